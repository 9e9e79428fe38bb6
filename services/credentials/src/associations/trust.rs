//! Whether a role lets Pod Identity assume it for a ServiceAccount, and for whom else of the account it does.

use std::collections::BTreeMap;

use lanyard_api::{
    authn::accounts::IamRole,
    credentials::{POD_IDENTITY_SERVICE, PodIdentityAssociation},
    mapping::Cluster,
};
use lanyard_iam::{
    ConditionKeys, RequestContext, TrustPolicy,
    policy::{Decision, NearMiss, TrustCaller, TrustEvaluation, evaluate_trust},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What EKS does with the role (EKS user guide, "Pod Identity role trust").
const ACTIONS: [&str; 2] = ["sts:AssumeRole", "sts:TagSession"];
/// What only the call will tell: a condition on it may hold.
const OPEN_KEYS: [&str; 7] = [
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "sts:RoleSessionName",
    "sts:ExternalId",
];
/// Session tags whose values are the pod's own.
const OPEN_TAGS: [&str; 2] = ["aws:RequestTag/kubernetes-pod-name", "aws:RequestTag/kubernetes-pod-uid"];
/// The session tags (EKS), all of them transitive.
const SESSION_TAGS: [&str; 6] = [
    "eks-cluster-arn",
    "eks-cluster-name",
    "kubernetes-namespace",
    "kubernetes-pod-name",
    "kubernetes-pod-uid",
    "kubernetes-service-account",
];
/// A cluster's name that stands for any other of the account.
const ANOTHER_CLUSTER: &str = "0-another-cluster";

/// How far a role's trust goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not to this ServiceAccount of this cluster: the action that is lacking.
    Lacking(&'static str),
    /// To this cluster, as far as conditions tell.
    OfCluster,
    /// To the ServiceAccount of this name in any cluster of the account.
    OfAccount,
}

impl Trust {
    /// Weighs a role's trust policy as it is stored; one that cannot be read trusts nobody.
    pub(super) fn of(role: &IamRole, association: &PodIdentityAssociation, cluster: &Cluster) -> Self {
        let Ok(policy) = role.trust() else { return Self::Lacking(ACTIONS[0]) };
        let lacking = |cluster: &Cluster| {
            let keys = keys(role, association, cluster);
            ACTIONS.into_iter().find(|action| !lets(&policy, action, association, &keys))
        };
        if let Some(action) = lacking(cluster) {
            return Self::Lacking(action);
        }
        let another = Cluster { name: ANOTHER_CLUSTER.to_owned(), ..cluster.clone() };
        if lacking(&another).is_some() { Self::OfCluster } else { Self::OfAccount }
    }
}

/// What only the call for a pod tells.
pub(crate) struct Moment<'a> {
    /// The session's name.
    pub(crate) session_name: &'a str,
    /// Its tags; none where the association has them off.
    pub(crate) tags: &'a BTreeMap<String, String>,
    /// When.
    pub(crate) now: OffsetDateTime,
}

/// The action that a role does not let Pod Identity do in this very call, and what came nearest to letting it; none where it lets all
/// of them. A trust policy that cannot be read trusts nobody.
pub(crate) fn lacking(
    policy: Option<&TrustPolicy>,
    role: &IamRole,
    association: &PodIdentityAssociation,
    cluster: &Cluster,
    moment: &Moment<'_>,
) -> Option<(&'static str, Option<NearMiss>)> {
    let Some(policy) = policy else { return Some((ACTIONS[0], None)) };
    let mut keys = fixed_keys(role, association, cluster);
    keys.set("sts:RoleSessionName", moment.session_name)
        .set("aws:CurrentTime", moment.now.format(&Rfc3339).unwrap_or_default())
        .set("aws:EpochTime", moment.now.unix_timestamp().to_string())
        .set_tags("aws:RequestTag/", moment.tags);
    ACTIONS.into_iter().find_map(|action| {
        let weighed = weigh(policy, action, association, &keys);
        (weighed.decision != Decision::Allow).then_some((action, weighed.near))
    })
}

fn weigh(
    policy: &TrustPolicy,
    action: &str,
    association: &PodIdentityAssociation,
    keys: &ConditionKeys,
) -> TrustEvaluation {
    let resource = association.role_arn.to_string();
    let request = RequestContext { action, resource: &resource, keys };
    evaluate_trust(policy, &TrustCaller::Service(POD_IDENTITY_SERVICE), &request)
}

fn lets(
    policy: &TrustPolicy,
    action: &str,
    association: &PodIdentityAssociation,
    keys: &ConditionKeys,
) -> bool {
    weigh(policy, action, association, keys).decision == Decision::Allow
}

/// What EKS's call bears, as far as it is known beforehand.
fn keys(role: &IamRole, association: &PodIdentityAssociation, cluster: &Cluster) -> ConditionKeys {
    let mut keys = fixed_keys(role, association, cluster);
    keys.leave_open(OPEN_KEYS);
    if !association.disable_session_tags {
        keys.leave_open(OPEN_TAGS);
    }
    keys
}

/// What is the same in each call of an association.
fn fixed_keys(role: &IamRole, association: &PodIdentityAssociation, cluster: &Cluster) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    keys.set("aws:SourceAccount", cluster.account.to_string())
        .set("aws:SourceArn", cluster.arn())
        .set("aws:PrincipalIsAWSService", "true")
        .set("aws:PrincipalServiceName", POD_IDENTITY_SERVICE);
    keys.set_iam_resource_tags(&role.tags);
    if !association.disable_session_tags {
        let tags = SESSION_TAGS.map(str::to_owned);
        keys.set("aws:RequestTag/eks-cluster-arn", cluster.arn())
            .set("aws:RequestTag/eks-cluster-name", &cluster.name)
            .set("aws:RequestTag/kubernetes-namespace", &association.namespace)
            .set("aws:RequestTag/kubernetes-service-account", &association.service_account)
            .set_all("aws:TagKeys", tags.clone())
            .set_all("sts:TransitiveTagKeys", tags);
    }
    keys
}

#[cfg(test)]
mod tests;

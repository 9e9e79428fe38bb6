//! Whether a role lets Pod Identity assume it for a ServiceAccount, and for whom else of the account it does.

use lanyard_api::{
    authn::accounts::IamRole,
    credentials::{POD_IDENTITY_SERVICE, PodIdentityAssociation},
    mapping::Cluster,
};
use lanyard_iam::{
    ConditionKeys, RequestContext, TrustPolicy,
    policy::{Decision, TrustCaller, evaluate_trust},
};

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
        let Ok(policy) = TrustPolicy::parse(&role.trust_policy) else { return Self::Lacking(ACTIONS[0]) };
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

fn lets(
    policy: &TrustPolicy,
    action: &str,
    association: &PodIdentityAssociation,
    keys: &ConditionKeys,
) -> bool {
    let resource = association.role_arn.to_string();
    let request = RequestContext { action, resource: &resource, keys };
    let caller = TrustCaller::Service(POD_IDENTITY_SERVICE);
    evaluate_trust(policy, &caller, &request).decision == Decision::Allow
}

/// What EKS's call bears.
fn keys(role: &IamRole, association: &PodIdentityAssociation, cluster: &Cluster) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    keys.set("aws:SourceAccount", cluster.account.to_string())
        .set("aws:SourceArn", cluster.arn())
        .set("aws:PrincipalIsAWSService", "true")
        .set("aws:PrincipalServiceName", POD_IDENTITY_SERVICE)
        .leave_open(OPEN_KEYS);
    for (key, value) in &role.tags {
        keys.set(&format!("aws:ResourceTag/{key}"), value);
    }
    if !association.disable_session_tags {
        let tags = SESSION_TAGS.map(str::to_owned);
        keys.set("aws:RequestTag/eks-cluster-arn", cluster.arn())
            .set("aws:RequestTag/eks-cluster-name", &cluster.name)
            .set("aws:RequestTag/kubernetes-namespace", &association.namespace)
            .set("aws:RequestTag/kubernetes-service-account", &association.service_account)
            .set_all("aws:TagKeys", tags.clone())
            .set_all("sts:TransitiveTagKeys", tags)
            .leave_open(OPEN_TAGS);
    }
    keys
}

#[cfg(test)]
mod tests;

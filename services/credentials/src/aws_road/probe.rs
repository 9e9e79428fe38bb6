//! Trying a role of AWS, before its credentials are given to anybody: it has to let the hub in, and nobody whom it should not.
//!
//! A role that trusts the hub and demands no external id of the hub's making could be named by any tenant of the hub. So it is
//! assumed as it will be, then, whichever road it is to take, by the hub without the external id and with another's; and where it trusts
//! the cluster's issuer, in the name of a ServiceAccount that no cluster can have. What a try is given can do nothing, by a session
//! policy, and is dropped.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{
    CallError,
    credentials::{AwsRoad, PodIdentityAssociation},
    mapping::Cluster,
};
use lanyard_aws::{AssumeRefusal, AssumeRoleAsked, AssumedBy, AssumedRole, AwsFault, RoleSessionAsked};

use super::{
    Road, faults,
    issuer::{AUDIENCE, IssuerTokens, TokenAsked, tag_claims},
    spelled, subject,
};
use crate::rules::SESSION_SECONDS_MIN;

/// The name of the sessions, as CloudTrail shows it.
const SESSION_NAME: &str = "lanyard-probe";
/// What they may do.
const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
/// Follows the name of a ServiceAccount: no name in Kubernetes has it.
const NOBODY: &str = "_lanyard-probe";
/// Stands for the pod in session tags.
const NO_POD: (&str, &str) = ("lanyard-probe", "00000000-0000-0000-0000-000000000000");

/// What a try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The role lets the hub in for this ServiceAccount, and not for what else was tried.
    Good,
    /// It does not let the hub in, or is not there, or the hub's own policies do not let it: STS does not say which.
    Closed,
    /// It lets the hub in, but not tag the session.
    Untagged,
    /// Its account has no OIDC provider for the cluster's issuer, or none for this audience.
    NoProvider,
    /// It lets the hub in that names no external id.
    WithoutExternalId,
    /// It lets the hub in that names another's external id.
    AnyExternalId,
    /// It lets in others of the cluster's issuer.
    AnySubject,
}

/// Whether a try was let in, where no other answer is one.
enum Door {
    Open,
    Shut,
}

impl Road {
    /// Tries the role of an association.
    ///
    /// # Errors
    /// A fault where AWS has not answered, and so nothing is known; or what keeps the hub from signing tokens of the issuer.
    pub(super) async fn probe(
        &self,
        tokens: &impl IssuerTokens,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
        road: AwsRoad,
    ) -> Result<Finding, CallError> {
        let tags = match association.disable_session_tags {
            true => BTreeMap::new(),
            false => session_tags(cluster, association),
        };
        match road {
            AwsRoad::HubPrincipal => self.probe_as_hub(cluster, association, &tags).await,
            AwsRoad::Issuer => self.probe_as_issuer(tokens, cluster, association, &tags).await,
        }
    }

    async fn probe_as_hub(
        &self,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
        tags: &BTreeMap<String, String>,
    ) -> Result<Finding, CallError> {
        let PodIdentityAssociation { namespace, service_account, .. } = association;
        let own = self.external_id(cluster, namespace, service_account);
        if let Door::Shut = told(self.as_hub(association, Some(&own), tags).await)? {
            let bare = match tags.is_empty() {
                true => Door::Shut,
                false => told(self.as_hub(association, Some(&own), &BTreeMap::new()).await)?,
            };
            return Ok(match bare {
                Door::Open => Finding::Untagged,
                Door::Shut => Finding::Closed,
            });
        }
        let open = told(self.open_to_hub(cluster, association).await)?;
        Ok(open.unwrap_or(Finding::Good))
    }

    /// Whether the role lets the hub in that does not name this ServiceAccount's external id, and by what.
    async fn open_to_hub(
        &self,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
    ) -> Result<Option<Finding>, AwsFault> {
        let PodIdentityAssociation { namespace, service_account, .. } = association;
        let none = BTreeMap::new();
        if let Door::Open = self.as_hub(association, None, &none).await? {
            return Ok(Some(Finding::WithoutExternalId));
        }
        // Of the same form as ours, so that a pattern that takes any of the hub's is found too.
        let nobody = [service_account, NOBODY].concat();
        let another = self.external_id(cluster, namespace, &nobody);
        Ok(match self.as_hub(association, Some(&another), &none).await? {
            Door::Open => Some(Finding::AnyExternalId),
            Door::Shut => None,
        })
    }

    /// Assumes the role as the hub's own principal.
    async fn as_hub(
        &self,
        association: &PodIdentityAssociation,
        external_id: Option<&str>,
        tags: &BTreeMap<String, String>,
    ) -> Result<Door, AwsFault> {
        let transitive_keys: BTreeSet<String> = tags.keys().cloned().collect();
        let session = session_of(association);
        let asked = AssumeRoleAsked { session, tags, transitive_keys: &transitive_keys, external_id };
        door(self.aws().assume_role(AssumedBy::Hub, asked).await)
    }

    async fn probe_as_issuer(
        &self,
        tokens: &impl IssuerTokens,
        cluster: &Cluster,
        association: &PodIdentityAssociation,
        tags: &BTreeMap<String, String>,
    ) -> Result<Finding, CallError> {
        let PodIdentityAssociation { namespace, service_account, .. } = association;
        let assume = async |name: &str, tags: &BTreeMap<String, String>| {
            let asked = TokenAsked {
                subject: subject(namespace, name),
                audience: AUDIENCE.to_owned(),
                claims: tag_claims(tags),
            };
            let token = tokens.token(cluster.uid, asked).await?;
            let session = session_of(association);
            match self.aws().assume_role_with_web_identity(&token, session).await {
                Err(AwsFault::Refused(refusal)) if refusal.of_role() == AssumeRefusal::TokenRefused => {
                    Ok(None)
                }
                answer => told(door(answer)).map(Some),
            }
        };
        match assume(service_account, tags).await? {
            None => return Ok(Finding::NoProvider),
            Some(Door::Open) => {}
            Some(Door::Shut) if tags.is_empty() => return Ok(Finding::Closed),
            Some(Door::Shut) => {
                return Ok(match assume(service_account, &BTreeMap::new()).await? {
                    Some(Door::Open) => Finding::Untagged,
                    _ => Finding::Closed,
                });
            }
        }
        // This road needs no credentials of the hub's own; who has none is let in by no role.
        let open = match self.open_to_hub(cluster, association).await {
            Err(AwsFault::NoCredentials { .. }) => None,
            open => told(open)?,
        };
        if let Some(finding) = open {
            return Ok(finding);
        }
        // It begins as the ServiceAccount's own, so that a pattern is found too.
        let nobody = [service_account, NOBODY].concat();
        Ok(match assume(&nobody, &BTreeMap::new()).await? {
            Some(Door::Open) => Finding::AnySubject,
            Some(Door::Shut) | None => Finding::Good,
        })
    }
}

fn session_of(association: &PodIdentityAssociation) -> RoleSessionAsked<'_> {
    RoleSessionAsked {
        role: &association.role_arn,
        session_name: SESSION_NAME,
        seconds: SESSION_SECONDS_MIN,
        session_policy: Some(NOTHING),
    }
}

/// Only "not authorized" says that a role is shut; whatever else keeps STS from a session tells nothing of it.
fn door(answer: Result<AssumedRole, AwsFault>) -> Result<Door, AwsFault> {
    match answer {
        Ok(_) => Ok(Door::Open),
        Err(AwsFault::Refused(refusal)) if refusal.of_role() == AssumeRefusal::NotTrusted => Ok(Door::Shut),
        Err(fault) => Err(fault),
    }
}

/// The same, where a fault is the caller's to know.
fn told<T>(tried: Result<T, AwsFault>) -> Result<T, CallError> {
    tried.map_err(|fault| faults::shown(&fault).into())
}

/// The six tags of a session (EKS), for a pod that is none.
fn session_tags(cluster: &Cluster, association: &PodIdentityAssociation) -> BTreeMap<String, String> {
    let (name, uid) = NO_POD;
    let arn = cluster.arn();
    [
        ("eks-cluster-arn", arn.as_str()),
        ("eks-cluster-name", &cluster.name),
        ("kubernetes-namespace", &association.namespace),
        ("kubernetes-service-account", &association.service_account),
        ("kubernetes-pod-name", name),
        ("kubernetes-pod-uid", uid),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

impl Finding {
    /// The refusal that it is, with its code, the reason and the next step; none where the role does.
    pub(super) fn refusal(
        self,
        association: &PodIdentityAssociation,
        road: AwsRoad,
    ) -> Option<(&'static str, String)> {
        let role = &association.role_arn;
        let account = role.account;
        let policy = "`lanyard associate --print-trust-policy` shows the trust policy that it needs";
        Some(match self {
            Self::Good => return None,
            Self::Closed => (
                "aws_role_closed",
                format!(
                    "AWS does not let the hub assume `{role}` by {}: it may not exist, not trust it, or the hub's own policies may lack \
                     the action; {policy}; IAM takes some seconds to know of a change",
                    spelled(road)
                ),
            ),
            Self::Untagged => (
                "aws_role_untagged",
                format!(
                    "`{role}` lets the hub in, but not tag the session: allow `sts:TagSession` too, or disable session tags; {policy}"
                ),
            ),
            Self::NoProvider => (
                "aws_issuer_provider",
                format!(
                    "account {account} has no OIDC provider for the cluster's issuer with the client id `{AUDIENCE}`: make one there \
                     first (iam:CreateOpenIDConnectProvider); {policy}"
                ),
            ),
            Self::WithoutExternalId => (
                "aws_external_id_missing",
                format!(
                    "`{role}` lets the hub in without an external id, so that every tenant of this hub could have its credentials: \
                     make `sts:ExternalId` a condition of its trust policy; {policy}"
                ),
            ),
            Self::AnyExternalId => (
                "aws_external_id_any",
                format!(
                    "`{role}` lets the hub in with the external id of another ServiceAccount, so that every tenant of this hub could \
                     have its credentials: compare `sts:ExternalId` by StringEquals with the whole id; {policy}"
                ),
            ),
            Self::AnySubject => (
                "aws_any_subject",
                format!(
                    "`{role}` lets in other ServiceAccounts of the cluster than `{}/{}`: compare the issuer's `sub` by StringEquals, or \
                     take it as it is by `allow_any_cluster`; {policy}",
                    association.namespace, association.service_account
                ),
            ),
        })
    }
}

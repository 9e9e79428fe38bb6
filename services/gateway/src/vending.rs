//! Credentials for pods, as credentials vends them; and each answer as a decision of its cluster, which `explain --id` finds.

use std::sync::Arc;

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterUid, DecisionId, Denial, Vouched,
    authz::{DecisionKind, DecisionOutcome, DecisionRecord},
    credentials::{AssumeRoleForPodIdentity, PodCredentials, Vend},
};
use lanyard_iam::TokenDigest;
use lanyard_kit::ExposeSecret as _;

use crate::{kubernetes::Gateway, recorder, services::Services};

/// [`Vend`] that records what it answers. The doors of one process share it.
pub struct RecordedVend<S> {
    gateway: Arc<Gateway<S>>,
}

impl<S> std::fmt::Debug for RecordedVend<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordedVend")
    }
}

impl<S: Services> RecordedVend<S> {
    /// Before what a gateway has behind it.
    #[must_use]
    pub fn new(gateway: Arc<Gateway<S>>) -> Self {
        Self { gateway }
    }

    /// The cluster that a caller may vend in; none where there is none of that id.
    fn cluster(&self, by: &Actor, request: &AssumeRoleForPodIdentity) -> Option<ClusterUid> {
        match &by.kind {
            ActorKind::Node { cluster, .. } => Some(*cluster),
            _ => {
                let spoke = self.gateway.parts.directory.by_id(request.cluster.as_str())?;
                // What is another account's is no record of it.
                (by.account() == Some(spoke.cluster.account)).then_some(spoke.cluster.uid)
            }
        }
    }
}

impl<S: Services> Vend for RecordedVend<S> {
    async fn assume_role_for_pod_identity(
        &self,
        by: Vouched<Actor>,
        request: AssumeRoleForPodIdentity,
    ) -> Result<PodCredentials, CallError> {
        let parts = &self.gateway.parts;
        let cluster = self.cluster(&by.value, &request);
        let caller = by.value.name();
        let token = TokenDigest::of(request.token.expose_secret());
        let answer = parts.services.credentials().assume_role_for_pod_identity(by, request).await;
        let Some(cluster) = cluster else { return answer };
        let id = DecisionId::random();
        let told = Told::of(&answer, &caller);
        tracing::info!(
            cluster.uid = %cluster,
            decision.id = %id,
            token = %token,
            caller,
            reason.code = told.reason,
            outcome = %told.outcome,
            "a call for the credentials of a pod was decided"
        );
        parts.recorder.take(DecisionRecord {
            id,
            at: parts.clock.now(),
            cluster,
            kind: DecisionKind::ManagementCall,
            outcome: told.outcome,
            reason: told.reason.into(),
            who: told.who.into(),
            what: format!("credentials for the pod that bears token {token}, by {caller}").into(),
            detail: told.detail.into(),
            trace: recorder::trace(),
        });
        answer.map_err(|error| match error {
            CallError::Denied(Denial { code, message }) => {
                CallError::Denied(Denial { code, message: format!("{message}; decision {id}") })
            }
            other => other,
        })
    }
}

/// What a record says of an answer. No secret is in it.
struct Told {
    outcome: DecisionOutcome,
    reason: String,
    who: String,
    detail: String,
}

impl Told {
    fn of(answer: &Result<PodCredentials, CallError>, caller: &str) -> Self {
        let refused = |outcome, reason: &str, detail: String| Self {
            outcome,
            reason: reason.to_owned(),
            who: caller.to_owned(),
            detail,
        };
        match answer {
            Ok(vended) => Self {
                outcome: DecisionOutcome::Allow,
                reason: "vended".to_owned(),
                who: format!("system:serviceaccount:{}:{}", vended.subject.namespace, vended.subject.name),
                detail: format!(
                    "association: {} at revision {}\nsession: {}\naccess key: {}\nuntil: {}\npod: {}",
                    vended.association.arn,
                    vended.association.revision,
                    vended.user.arn,
                    vended.credentials.access_key_id,
                    vended.credentials.expires_at,
                    life(vended)
                ),
            },
            Err(CallError::Denied(denial)) => {
                refused(DecisionOutcome::Deny, &denial.code, denial.message.clone())
            }
            Err(CallError::Fault(fault)) => {
                refused(DecisionOutcome::NoAnswer, fault.code(), fault.to_string())
            }
            Err(other) => refused(DecisionOutcome::Deny, "invalid_request", other.to_string()),
        }
    }
}

/// Whether the pod is known to be still there.
fn life(vended: &PodCredentials) -> String {
    match &vended.unconfirmed {
        None => "it is there, says its cluster's API server".to_owned(),
        Some(why) => format!("not confirmed to be still there: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::{
        Fault, Revision,
        credentials::{ServiceAccountName, SessionCredentials, VendRefusal, VendedAssociation, VendedUser},
    };

    use super::*;

    #[test]
    fn immunity_48_a_vend_to_a_pod_whose_life_nobody_confirmed_says_so_and_why() {
        let vended = |unconfirmed: Option<&str>| PodCredentials {
            subject: ServiceAccountName { namespace: "team-a".to_owned(), name: "bot".to_owned() },
            audience: "pods.eks.amazonaws.com".to_owned(),
            association: VendedAssociation {
                arn: "arn".to_owned(),
                id: "a-0123456789abcdefg".parse().unwrap(),
                revision: Revision(3),
            },
            user: VendedUser { arn: "arn".to_owned(), id: "id".to_owned() },
            credentials: SessionCredentials {
                access_key_id: "LSIAABCDEFGHIJKLMNOP".parse().unwrap(),
                secret_access_key: "hush".into(),
                session_token: "hush".into(),
                expires_at: time::OffsetDateTime::UNIX_EPOCH,
            },
            account: "111122223333".parse().unwrap(),
            unconfirmed: unconfirmed.map(str::to_owned),
        };
        for (unconfirmed, says) in [
            (None, "pod: it is there, says its cluster's API server"),
            (Some("nobody watches"), "pod: not confirmed to be still there: nobody watches"),
        ] {
            let told = Told::of(&Ok(vended(unconfirmed)), "node:u/n");
            assert_eq!((told.outcome, &*told.reason), (DecisionOutcome::Allow, "vended"));
            assert_eq!(told.detail.lines().last(), Some(says));
            assert!(!told.detail.contains("hush"));
        }
    }

    #[test]
    fn a_refusal_a_fault_and_a_broken_rule_are_told_apart() {
        let told = |error: CallError| {
            let told = Told::of(&Err(error), "node:u/n");
            (told.outcome, told.reason, told.detail)
        };
        let refusal = VendRefusal::AccessDenied.because("the token's pod runs on node `a`");
        let why = "the token's pod runs on node `a`".to_owned();
        assert_eq!(told(refusal), (DecisionOutcome::Deny, "pod_identity_denied".to_owned(), why));
        assert_eq!(told(Fault::Internal.into()).0, DecisionOutcome::NoAnswer);
        let invalid = CallError::invalid("node_name", "node_name", "too long");
        assert_eq!(told(invalid).1, "invalid_request");
    }
}

//! What was answered to a call for a pod's credentials, as a decision that `explain --id` finds: the same whichever door had the call.

use lanyard_iam::{TokenDigest, moment_text};
use time::OffsetDateTime;

use super::PodCredentials;
use crate::{
    authz::{DecisionKind, DecisionOutcome, DecisionRecord},
    fault::{CallError, Denial},
    ids::{ClusterUid, DecisionId, TraceId},
};

/// A call for a pod's credentials, as far as its decision tells of it.
#[derive(Debug, Clone)]
pub struct VendCall {
    /// The cluster that the caller may vend in.
    pub cluster: ClusterUid,
    /// Who called: a node, or a principal.
    pub caller: String,
    /// The pod's token.
    pub token: TokenDigest,
    /// When it was answered.
    pub at: OffsetDateTime,
    /// The trace of the request, where it has one.
    pub trace: Option<TraceId>,
}

impl VendCall {
    /// The decision that an answer is, and the answer with the decision's number in a refusal's text. It is logged.
    pub fn decided(
        self,
        answer: Result<PodCredentials, CallError>,
    ) -> (DecisionRecord, Result<PodCredentials, CallError>) {
        let Self { cluster, caller, token, at, trace } = self;
        let (id, told) = (DecisionId::random(), Told::of(&answer, &caller));
        tracing::info!(
            cluster.uid = %cluster,
            decision.id = %id,
            token = %token,
            caller,
            reason.code = told.reason,
            outcome = %told.outcome,
            "a call for the credentials of a pod was decided"
        );
        let record = DecisionRecord {
            id,
            at,
            cluster,
            kind: DecisionKind::ManagementCall,
            outcome: told.outcome,
            reason: told.reason.into(),
            who: told.who.into(),
            what: format!("credentials for the pod that bears token {token}, by {caller}").into(),
            detail: told.detail.into(),
            trace,
            question: None,
        };
        let answer = answer.map_err(|error| match error {
            CallError::Denied(Denial { code, message }) => {
                CallError::Denied(Denial { code, message: format!("{message}; decision {id}") })
            }
            other => other,
        });
        (record, answer)
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
                    moment_text(&vended.credentials.expires_at),
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
    use super::*;
    use crate::{
        credentials::{ServiceAccountName, SessionCredentials, VendRefusal, VendedAssociation, VendedUser},
        fault::Fault,
        ids::Revision,
    };

    fn decided(error: CallError) -> (DecisionRecord, CallError) {
        let call = VendCall {
            cluster: ClusterUid::random(),
            caller: "node:u/n".to_owned(),
            token: TokenDigest::of("a.b.c"),
            at: OffsetDateTime::UNIX_EPOCH,
            trace: None,
        };
        let (record, answer) = call.decided(Err(error));
        (record, answer.unwrap_err())
    }

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
                expires_at: OffsetDateTime::UNIX_EPOCH,
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
            assert!(told.detail.contains("until: 1970-01-01T00:00:00Z"), "{}", told.detail);
            assert!(!told.detail.contains("hush"));
        }
    }

    #[test]
    fn a_refusal_a_fault_and_a_broken_rule_are_told_apart() {
        let told = |error: CallError| {
            let record = decided(error).0;
            (record.outcome, record.reason.into_owned(), record.detail.to_string())
        };
        let refusal = VendRefusal::AccessDenied.because("the token's pod runs on node `a`");
        let why = "the token's pod runs on node `a`".to_owned();
        assert_eq!(told(refusal), (DecisionOutcome::Deny, "pod_identity_denied".to_owned(), why));
        assert_eq!(told(Fault::Internal.into()).0, DecisionOutcome::NoAnswer);
        let invalid = CallError::invalid("node_name", "node_name", "too long");
        assert_eq!(told(invalid).1, "invalid_request");
    }

    #[test]
    fn a_refusal_bears_the_number_of_its_decision_and_a_token_its_digest_alone() {
        let (record, error) = decided(VendRefusal::InvalidToken.because("it is not signed"));
        let CallError::Denied(denial) = error else { panic!("{error}") };
        assert_eq!(denial.message, format!("it is not signed; decision {}", record.id));
        let digest = TokenDigest::of("a.b.c").to_string();
        assert!(record.what.contains(&digest) && !record.what.contains("a.b.c"), "{}", record.what);
        let (_, fault) = decided(Fault::Internal.into());
        assert_eq!(fault.to_string(), CallError::from(Fault::Internal).to_string());
    }
}

//! AWS's STS, or a named one of one's own: the rebuilt URL is executed, and who signed is who STS says.

use std::sync::Arc;

use lanyard_api::{Authority, AwsIdentity, Fault, IdentityKind};
use lanyard_aws::{BoundTo, GetCallerIdentity, Limited, StsAnswer, StsClient, StsFault};
use lanyard_iam::CallerIdentity;

use super::{Proven, Question, Verification, Verifier, refusal};

/// Asks STS.
#[derive(Debug)]
pub(crate) struct StsVerifier {
    client: Arc<StsClient>,
}

impl StsVerifier {
    /// A verifier over a client, whose limits it shares.
    #[must_use]
    pub(crate) fn new(client: Arc<StsClient>) -> Self {
        Self { client }
    }
}

impl Verifier for StsVerifier {
    async fn verify(&self, question: Question<'_>) -> Result<Verification, Fault> {
        let Question { token, cluster, authority, .. } = question;
        let url = token.rebuild_url();
        let call = GetCallerIdentity {
            url: &url,
            host: token.host(),
            region: token.region(),
            partition: cluster.rules.partition,
            self_hosted: token.self_hosted().is_some(),
            access_key_id: token.access_key_id(),
            bound_to: BoundTo::Cluster(cluster.cluster.id.as_str()),
            spoke: &cluster.uid,
        };
        match self.client.get_caller_identity(call).await.map_err(fault)? {
            StsAnswer::Verified(caller) => Ok(Verification::Verified(Proven {
                identity: Arc::new(identity(caller, &question).into()),
                verifier: verifier_name(authority, token.host()).into(),
                cached: false,
                kept_until: None,
            })),
            StsAnswer::Refused(refused) => {
                let reason = refused.reason;
                Ok(Verification::Refused(refusal(
                    reason.code(),
                    format!("{} (STS at {}, status {})", reason.advice(), token.host(), refused.status),
                    "X-Amz-Signature",
                    authority,
                    token.access_key_id(),
                )))
            }
        }
    }
}

fn verifier_name(authority: &Authority, host: &str) -> String {
    match authority {
        Authority::Aws | Authority::Local => format!("AWS STS {host}"),
        Authority::Sts(name) => format!("STS {name} {host}"),
    }
}

fn identity(caller: CallerIdentity, question: &Question<'_>) -> AwsIdentity {
    AwsIdentity {
        authority: question.authority.clone(),
        account: caller.account,
        partition: caller.arn.partition,
        principal_id: caller.principal_id.to_string(),
        canonical_arn: caller.canonical_arn(),
        principal_arn: None,
        session_name: caller.session_name().map(str::to_owned),
        tags: std::collections::BTreeMap::new(),
        access_key_id: question.token.access_key_id().clone(),
        kind: IdentityKind::Ordinary,
        ancestors: Vec::new(),
        kin: Vec::new(),
        arn: caller.arn,
    }
}

/// What a caller is told of a fault. Causes stay in the log, where the client has put them.
fn fault(fault: StsFault) -> Fault {
    match fault {
        StsFault::Limited { whose, retry_after } => {
            Fault::Throttled { part: limit_name(whose).into(), retry_after: Some(retry_after) }
        }
        StsFault::Throttled { host } => {
            Fault::Throttled { part: format!("STS at {host}").into(), retry_after: None }
        }
        StsFault::TimedOut { host, limit } => {
            Fault::TimedOut { part: format!("STS at {host}").into(), limit }
        }
        StsFault::BreakerOpen { host, .. } => {
            unavailable(&host, "it fails for everyone and is left alone for a while")
        }
        StsFault::Unreachable { host, .. } => unavailable(&host, "it cannot be reached"),
        StsFault::ServerError { host, .. } => unavailable(&host, "it answers with an error of its own"),
        StsFault::BadAnswer { host, .. } => unavailable(&host, "its answer cannot be used"),
    }
}

fn limit_name(whose: Limited) -> &'static str {
    whose.name()
}

fn unavailable(host: &str, detail: &'static str) -> Fault {
    Fault::Unavailable { part: format!("STS at {host}").into(), detail: detail.into() }
}

//! A session for somebody whom AWS, or a self-hosted STS, keeps: a presigned `GetCallerIdentity` that signs this hub's id, taken
//! apart and rebuilt, executed at that STS, and good once.
//!
//! A caller is a stranger until STS has spoken. The session is of the principal that STS named, in an account that is registered as
//! that authority's; what it may do the policies say that are kept here for that principal, and who has none gets no session. It
//! descends from the key that signed and from the account as it is registered, so that a block on the one and the end of the other
//! count wherever it is used.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use lanyard_api::{
    Actor, Authority, CallError, Denial, Fault, HubId, Scope, SignatureUse, Vouched,
    credentials::{ExchangeCallerIdentity, ExchangedSession},
};
use lanyard_aws::{
    BoundTo, GetCallerIdentity, SelfHostedSts, StsAnswer, StsClient, StsFault, StsRefusalReason,
};
use lanyard_iam::{
    Ancestor, CallerIdentity, Partition, PrincipalArn, PrincipalKind, Region, StsAuthority, TokenError,
    TokenRules,
    token::{HubProof, HubProofError},
};
use secrecy::ExposeSecret as _;
use time::OffsetDateTime;

use crate::{
    Credentials,
    account::HubSnapshot,
    config::ExchangeConfig,
    engine::{Making, SetUpError},
    rules,
};

/// What stands as a name in the session of a user: AWS has none for it.
const USER_SESSION_NAME: &str = "GetCallerIdentity";

/// What exchanges need to know.
pub struct Exchange {
    /// The hub, which proofs sign.
    pub hub: HubId,
    /// Its own region, whose STS is asked although no naming rule knows it.
    pub region: Region,
    /// STS of one's own.
    pub self_hosted: Vec<StsAuthority>,
    /// Calls STS.
    pub sts: Arc<StsClient>,
}

/// A proof whose form is in order, and who would have to vouch for it.
struct Read {
    proof: HubProof,
    authority: Authority,
    partition: Partition,
}

impl Exchange {
    /// With a client of its own.
    ///
    /// # Errors
    /// [`SetUpError`] where STS cannot be called as it is configured.
    pub fn new(hub: HubId, region: Region, config: &ExchangeConfig) -> Result<Self, SetUpError> {
        let all = &config.self_hosted_sts;
        let self_hosted = SelfHostedSts::authorities(all)?;
        let sts = Arc::new(StsClient::new(config.sts.clone(), SelfHostedSts::http_options(all)?)?);
        Ok(Self { hub, region, self_hosted, sts })
    }

    /// Judges a proof by the hosts of those who vouch for accounts of this hub. Nobody else is asked anything.
    fn read(&self, hub: &HubSnapshot, url: &str, now: OffsetDateTime) -> Result<Read, CallError> {
        let mut refused = None;
        for (authority, partition) in &hub.elsewhere {
            let own = self.self_hosted.iter().filter(|sts| names(authority, sts)).cloned();
            // The hub itself vouches for nobody of another authority.
            let rules = TokenRules {
                partition: *partition,
                region: self.region.clone(),
                self_hosted: own.collect(),
                own_hosts: [].into(),
            };
            match HubProof::parse(url, &rules, now) {
                Ok(proof) if vouched_by(&proof) == *authority => {
                    return Ok(Read { proof, authority: authority.clone(), partition: *partition });
                }
                // A host of AWS is none of a self-hosted STS's.
                Ok(_) => {}
                Err(HubProofError::Form(error @ TokenError::Host { .. })) => {
                    refused = refused.or(Some(HubProofError::Form(error)));
                }
                Err(error) => return Err(refusal(error.reason_code(), error.to_string())),
            }
        }
        let nobody = "this hub knows no account of that STS; a hub operator registers one (`lanyard iam account create`)";
        Err(match refused {
            Some(error) => refusal(error.reason_code(), error.to_string()),
            None => refusal("no_such_authority", nobody.to_owned()),
        })
    }

    /// Whom STS names.
    async fn ask(&self, read: &Read) -> Result<CallerIdentity, CallError> {
        let parts = read.proof.parts();
        let (url, hub) = (parts.rebuild_url(), self.hub.to_string());
        let call = GetCallerIdentity {
            url: &url,
            host: parts.host(),
            region: parts.region(),
            partition: read.partition,
            self_hosted: parts.self_hosted().is_some(),
            access_key_id: parts.access_key_id(),
            bound_to: BoundTo::Hub(&hub),
            spoke: &hub,
        };
        match self.sts.get_caller_identity(call).await.map_err(fault)? {
            StsAnswer::Verified(caller) => Ok(caller),
            StsAnswer::Refused(refused) => {
                let (code, advice) = match refused.reason {
                    StsRefusalReason::SignatureOrCluster => (
                        "signature_or_hub",
                        "the signature does not fit: the secret is wrong, or the proof was made for another hub (STS cannot \
                         tell which); make one for this hub's id",
                    ),
                    reason => (reason.code(), reason.advice()),
                };
                let (host, status) = (parts.host(), refused.status);
                Err(refusal(code, format!("{advice} (STS at {host}, status {status})")))
            }
        }
    }
}

impl Credentials {
    pub(crate) async fn exchanged_session(
        &self,
        query: ExchangeCallerIdentity,
    ) -> Result<ExchangedSession, CallError> {
        let Some(exchange) = self.exchange() else {
            return Err(refusal("no_exchange", "this service exchanges nothing".to_owned()));
        };
        let seconds_max = self.config().exchange.session_seconds_max;
        let seconds = rules::exchange_duration(query.duration_seconds, seconds_max)?;
        let hub = self.hub().await?;
        let read = exchange.read(&hub, query.presigned_url.expose_secret(), self.now())?;
        let caller = exchange.ask(&read).await?;
        let principal = policy_owner(&caller)?;
        let registered = registered_nanoseconds(&hub, &read, &caller)?;
        let account = self.account(caller.account).await?;
        if !account.has_policies(&principal.canonical()) {
            return Err(refusal("no_policies", no_policies(&principal)));
        }
        let parts = read.proof.parts();
        let ancestors = vec![
            Ancestor::AccessKey(parts.access_key_id().clone()),
            Ancestor::Account { account: caller.account, registered_nanoseconds: registered },
        ];
        let making = Making {
            authority: read.authority.clone(),
            principal,
            principal_id: caller.principal_id.to_string(),
            session_name: caller.session_name().unwrap_or(USER_SESSION_NAME).to_owned(),
            seconds,
            tags: Default::default(),
            transitive_keys: BTreeSet::new(),
            source_identity: None,
            session_policy: None,
            revision: account.revision.0,
            chain_depth: 0,
            ancestors,
        };
        let (session, claims, _) = self.mint(making)?;
        // For as long as any clock may take the proof for a good one.
        let used = SignatureUse {
            digest: read.proof.digest(&exchange.hub.to_string()),
            expires_at: parts.not_after(),
        };
        let by = Actor { signature: Some(used), ..Actor::system("exchange") };
        self.use_up(Vouched::in_process(by), Scope::Account(caller.account)).await?;
        let arn = caller.arn.to_string();
        tracing::info!(
            principal.arn = arn,
            authority = %read.authority,
            signed_by = %parts.access_key_id(),
            access_key.id = %session.access_key_id,
            "a principal was exchanged for a session"
        );
        let user_id = match &claims.principal.kind {
            PrincipalKind::Role { .. } => format!("{}:{}", claims.principal_id, claims.session_name),
            _ => claims.principal_id.to_string(),
        };
        Ok(ExchangedSession { session, arn, user_id, authority: read.authority })
    }

    /// Whoever asks without a signature has a share of what may be asked.
    pub(crate) fn admit_stranger(&self, from: Option<std::net::IpAddr>) -> Result<(), CallError> {
        Ok(self.strangers().admit(from, Instant::now())?)
    }
}

/// Whether a self-hosted STS is this authority.
fn names(authority: &Authority, sts: &StsAuthority) -> bool {
    matches!(authority, Authority::Sts(name) if name == sts.name())
}

/// Whose host a proof is for.
fn vouched_by(proof: &HubProof) -> Authority {
    proof.parts().self_hosted().map_or(Authority::Aws, |name| Authority::Sts(name.to_owned()))
}

/// The user or role whose policies count: of a session its role, without the path, which STS leaves out.
fn policy_owner(caller: &CallerIdentity) -> Result<PrincipalArn, CallError> {
    match &caller.arn.kind {
        PrincipalKind::User { .. } => Ok(caller.arn.clone()),
        PrincipalKind::AssumedRole { role, .. } => {
            let kind = PrincipalKind::Role { path: "/".to_owned(), name: role.clone() };
            Ok(PrincipalArn { kind, ..caller.arn.clone() })
        }
        _ => {
            let message =
                format!("`{}` is neither a user nor a session of a role: use one of these", caller.arn);
            Err(refusal("principal_kind", message))
        }
    }
}

/// When the account of a caller was registered; nobody vouches for an account of somebody else's.
fn registered_nanoseconds(hub: &HubSnapshot, read: &Read, caller: &CallerIdentity) -> Result<i64, CallError> {
    let account = caller.account;
    let Some(registered) = hub.registered(account) else {
        let message =
            format!("account `{account}` is not registered on this hub; a hub operator registers it");
        return Err(refusal("account_not_registered", message));
    };
    if registered.authority != read.authority {
        let message = format!(
            "account `{account}` belongs to another authority than `{}`, which vouched for this identity",
            read.authority
        );
        return Err(refusal("account_of_other_authority", message));
    }
    if registered.partition != caller.arn.partition {
        let message =
            format!("account `{account}` is registered in another partition than `{}`", caller.arn.partition);
        return Err(refusal("partition", message));
    }
    Ok(i64::try_from(registered.at.unix_timestamp_nanos()).map_err(|_| Fault::Internal)?)
}

fn no_policies(principal: &PrincipalArn) -> String {
    format!(
        "no policy is attached to `{principal}` on this hub, so it may do nothing here; a hub operator attaches one (`lanyard iam \
         policy put --principal {principal} …`)"
    )
}

fn refusal(code: &'static str, message: String) -> CallError {
    CallError::Denied(Denial { code: code.into(), message })
}

/// What a caller is told of a fault. Causes stay in the log, where the client has put them.
fn fault(fault: StsFault) -> Fault {
    let part = |host: &str| format!("STS at {host}").into();
    match fault {
        StsFault::Limited { whose, retry_after } => {
            Fault::Throttled { part: whose.name().into(), retry_after: Some(retry_after) }
        }
        StsFault::Throttled { host } => Fault::Throttled { part: part(&host), retry_after: None },
        StsFault::TimedOut { host, limit } => Fault::TimedOut { part: part(&host), limit },
        StsFault::BreakerOpen { host, .. }
        | StsFault::Unreachable { host, .. }
        | StsFault::ServerError { host, .. }
        | StsFault::BadAnswer { host, .. } => {
            Fault::Unavailable { part: part(&host), detail: "it gives no answer that can be used".into() }
        }
    }
}

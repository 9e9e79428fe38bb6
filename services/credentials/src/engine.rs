//! The engine: what it keeps in memory; and minting, once everything about the role and the parameters is settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration as StdDuration,
};

use aws_lc_rs::rand::SystemRandom;
use lanyard_api::{
    Actor, ActorKind, Authority, CallError, Denial, Fault, Lineage, Mutation, Scope, Vouched,
    authn::accounts::IamRole,
    credentials::{
        AssumeRole, AssumeRoleWithWebIdentity, CallerIdentity, ExchangeCallerIdentity, ExchangedSession,
        RoleSession, SessionCredentials, Sessions, WebIdentitySession,
    },
};
use lanyard_aws::{AwsClient, SelfHostedStsError};
use lanyard_iam::{
    AccountId, Ancestor, PolicyDocument, PrincipalArn, PrincipalId, PrincipalKind, SessionClaims,
    SessionError, SessionMinter,
};
use lanyard_kit::{Clock, http_client::HttpClientError};
use lanyard_oidc::Providers;
use lanyard_store::{Followed, Keyed, SpokePushes, Store};
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use crate::{
    account::{AccountModel, AccountSnapshot, HubModel, HubSnapshot},
    associations::AssociationModel,
    aws_road::Road,
    blocks::{Sought, stopped},
    config::CredentialsConfig,
    exchange::Exchange,
    issuers::KeyPairs,
    keys::{KeysError, minter},
    pods::Waits,
    rules,
    sight::fault,
    snapshot::{ClusterModel, WorkloadModel},
    unsigned::Strangers,
    vend::{NodeModel, Vending},
};

/// Accounts whose roles and OIDC providers are kept in memory; those used last.
const ACCOUNTS_MAX: usize = 1_024;
/// The action that an actor must have been admitted for.
const ACTION: &str = "sts:AssumeRole";
/// The action that a user must have been admitted for.
const GET_SESSION_TOKEN: &str = "sts:GetSessionToken";
/// What stands as a name in a user's own session: AWS has none for it.
const USER_SESSION_NAME: &str = "GetSessionToken";
/// What AWS says, alike for a role that is not there and one that does not let the caller.
const REFUSED: &str = "not authorized to perform sts:AssumeRole on this role, or there is no such role";

/// The engine of role sessions, workloads and their roles. Clones share it.
#[derive(Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A self-hosted STS cannot be used as it is configured.
    #[error("credentials.exchange.{0}")]
    SelfHosted(#[from] SelfHostedStsError),
    /// Nothing can be called over HTTPS.
    #[error(transparent)]
    Http(#[from] HttpClientError),
}

struct Inner {
    store: Store,
    config: CredentialsConfig,
    strangers: Strangers,
    pushes: SpokePushes,
    /// Without it nobody is exchanged.
    exchange: Option<Exchange>,
    /// Without it no role of AWS is assumed.
    road: Option<Road>,
    hub: Followed<HubModel>,
    accounts: Followed<AccountModel>,
    clusters: Followed<ClusterModel>,
    workloads: Followed<WorkloadModel>,
    associations: Followed<AssociationModel>,
    nodes: Followed<NodeModel>,
    vending: Vending,
    waits: Waits,
    minter: Keyed<SessionMinter>,
    key_pairs: KeyPairs,
    clock: Arc<dyn Clock>,
}

impl Credentials {
    /// An engine over an opened store, whose keyring must hold the session keys. It exchanges nobody.
    ///
    /// # Errors
    /// [`KeysError`] where it does not.
    pub fn new(store: &Store, config: CredentialsConfig) -> Result<Self, KeysError> {
        Self::open(store, config, None, None)
    }

    /// An engine that exchanges principals of other authorities for sessions.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn exchanging(
        store: &Store,
        config: CredentialsConfig,
        exchange: Exchange,
    ) -> Result<Self, KeysError> {
        Self::open(store, config, Some(exchange), None)
    }

    /// The same, of a hub in AWS mode, that assumes roles which AWS keeps.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn in_aws_mode(
        store: &Store,
        config: CredentialsConfig,
        exchange: Exchange,
        aws: AwsClient,
    ) -> Result<Self, KeysError> {
        let road = Road::new(aws, exchange.hub);
        Self::open(store, config, Some(exchange), Some(road))
    }

    fn open(
        store: &Store,
        config: CredentialsConfig,
        exchange: Option<Exchange>,
        road: Option<Road>,
    ) -> Result<Self, KeysError> {
        let providers = Providers::new(config.oidc.clone(), Arc::clone(store.clock()));
        let inner = Inner {
            store: store.clone(),
            hub: Followed::new(store, HubModel, 1),
            accounts: Followed::new(
                store,
                AccountModel { providers, external_url: config.external_url.clone() },
                ACCOUNTS_MAX,
            ),
            clusters: Followed::new(store, ClusterModel, 1),
            workloads: Followed::new(store, WorkloadModel, config.clusters_max),
            associations: Followed::new(store, AssociationModel, config.clusters_max),
            nodes: Followed::new(store, NodeModel, config.clusters_max),
            vending: Vending::new(&config.vend),
            waits: Waits::default(),
            minter: Keyed::following(store.keyring(), minter)?,
            key_pairs: KeyPairs::default(),
            clock: Arc::clone(store.clock()),
            strangers: Strangers::new(&config.unsigned, &config.web_identity),
            pushes: SpokePushes::new(config.spoke_pushes),
            exchange,
            road,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn pushes(&self) -> &SpokePushes {
        &self.inner.pushes
    }

    pub(crate) fn config(&self) -> &CredentialsConfig {
        &self.inner.config
    }

    pub(crate) fn strangers(&self) -> &Strangers {
        &self.inner.strangers
    }

    pub(crate) fn exchange(&self) -> Option<&Exchange> {
        self.inner.exchange.as_ref()
    }

    pub(crate) fn key_pairs(&self) -> &KeyPairs {
        &self.inner.key_pairs
    }

    pub(crate) fn road(&self) -> Option<&Road> {
        self.inner.road.as_ref()
    }

    pub(crate) fn clusters(&self) -> &Followed<ClusterModel> {
        &self.inner.clusters
    }

    pub(crate) fn workload_snapshots(&self) -> &Followed<WorkloadModel> {
        &self.inner.workloads
    }

    pub(crate) fn association_snapshots(&self) -> &Followed<AssociationModel> {
        &self.inner.associations
    }

    pub(crate) fn node_snapshots(&self) -> &Followed<NodeModel> {
        &self.inner.nodes
    }

    pub(crate) fn vending(&self) -> &Vending {
        &self.inner.vending
    }

    pub(crate) fn waits(&self) -> &Waits {
        &self.inner.waits
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.inner.clock.now()
    }

    pub(crate) async fn hub(&self) -> Result<Arc<HubSnapshot>, Fault> {
        match self.inner.hub.peek(Scope::Hub) {
            Some(snapshot) => Ok(snapshot),
            None => self.inner.hub.get(Scope::Hub).await.map_err(fault),
        }
    }

    pub(crate) async fn account(&self, account: AccountId) -> Result<Arc<AccountSnapshot>, CallError> {
        let scope = Scope::Account(account);
        match self.inner.accounts.peek(scope) {
            Some(snapshot) => Ok(snapshot),
            None => Ok(self.inner.accounts.get(scope).await?),
        }
    }

    /// A signature makes one session: whoever captures the call and sends it again gets none.
    pub(crate) async fn use_up(&self, by: Vouched<Actor>, scope: Scope) -> Result<(), CallError> {
        if by.value.signature.is_none() {
            return Ok(());
        }
        let transaction = self.inner.store.begin("assume_role", &Mutation::by(by), &[scope]).await?;
        transaction.commit_unrecorded().await?;
        Ok(())
    }

    /// Whether no block of the hub or of its account stops a role of the hub's own, or this session of it. The session would be refused
    /// wherever it is used; who asks for it learns here why.
    async fn unblocked(&self, role: &PrincipalArn, session_name: &str) -> Result<(), CallError> {
        let sought = Sought { authority: &Authority::Local, role, session_name: Some(session_name) };
        match self.standing(&[role.account], None).await?.on_role(&sought) {
            None => Ok(()),
            Some(block) => {
                Err(CallError::Denied(Denial { code: "blocked".into(), message: stopped(block, role) }))
            }
        }
    }

    /// When a session is issued that is minted at that moment: sessions count whole seconds.
    pub(crate) fn issued_at(moment: OffsetDateTime) -> OffsetDateTime {
        moment.replace_nanosecond(0).unwrap_or(moment)
    }

    /// How long until a session of a role outlives the last revocation of the role's sessions; none where one that is made at that moment
    /// does. They count whole seconds, so that one of the second of the revocation cannot be told from those before it, and is refused
    /// wherever it is used.
    pub(crate) fn until_past_revocation(role: &IamRole, moment: OffsetDateTime) -> Option<StdDuration> {
        let revoked = role.revoked_before.filter(|revoked| Self::issued_at(moment) <= *revoked)?;
        Some((Self::issued_at(revoked) + Duration::SECOND - moment).unsigned_abs())
    }

    /// Whether a session of a role that is made now is of use. Whoever asks again in the next second gets one; an SDK does, and would keep
    /// one that is refused until its end.
    pub(crate) fn is_past_revocation(&self, role: &IamRole) -> Result<(), Fault> {
        match Self::until_past_revocation(role, self.now()) {
            None => Ok(()),
            retry_after => {
                let part = "the role, in the second in which its sessions are revoked,".into();
                Err(Fault::Throttled { part, retry_after })
            }
        }
    }

    /// Mints a session for which everything is settled.
    pub(crate) fn mint(&self, making: Making) -> Result<(SessionCredentials, SessionClaims, u8), CallError> {
        let issued_at = Self::issued_at(self.inner.clock.now());
        let claims = SessionClaims {
            authority: making.authority.to_string(),
            principal_id: PrincipalId::parse(&making.principal_id).map_err(|_| Fault::Internal)?,
            principal: making.principal,
            session_name: making.session_name,
            tags: making.tags,
            transitive_keys: making.transitive_keys,
            source_identity: making.source_identity,
            session_policy: making.session_policy,
            issued_at,
            expires_at: issued_at + Duration::seconds(i64::from(making.seconds)),
            revision: making.revision,
            chain_depth: making.chain_depth,
            ancestors: making.ancestors,
        };
        let minted = self.inner.minter.get().mint(&claims, &SystemRandom::new()).map_err(unminted)?;
        let token = minted.credentials.session_token.ok_or(Fault::Internal)?;
        let credentials = SessionCredentials {
            access_key_id: minted.credentials.access_key_id,
            secret_access_key: SecretString::from(minted.credentials.secret_access_key.expose()),
            session_token: SecretString::from(token.expose()),
            expires_at: minted.expires_at,
        };
        Ok((credentials, claims, minted.packed_percent))
    }

    /// Mints a session of a role.
    pub(crate) fn mint_role_session(&self, making: Making) -> Result<RoleSession, CallError> {
        let assumed_role_id = format!("{}:{}", making.principal_id, making.session_name);
        let (credentials, claims, packed_percent) = self.mint(making)?;
        let SessionCredentials { access_key_id, secret_access_key, session_token, expires_at } = credentials;
        Ok(RoleSession {
            access_key_id,
            secret_access_key,
            session_token,
            expires_at,
            arn: claims.session_arn().to_string(),
            assumed_role_id,
            packed_policy_percent: u32::from(packed_percent),
            source_identity: claims.source_identity,
        })
    }
}

/// A session that is to be made.
pub(crate) struct Making {
    /// Who vouches for it.
    pub(crate) authority: Authority,
    /// The role or user, with its path where that is known.
    pub(crate) principal: PrincipalArn,
    pub(crate) principal_id: String,
    pub(crate) session_name: String,
    pub(crate) seconds: u32,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) transitive_keys: BTreeSet<String>,
    pub(crate) source_identity: Option<String>,
    pub(crate) session_policy: Option<PolicyDocument>,
    /// The account's, at which it was judged.
    pub(crate) revision: u64,
    pub(crate) chain_depth: u8,
    pub(crate) ancestors: Vec<Ancestor>,
}

impl Sessions for Credentials {
    async fn assume_role(&self, by: Vouched<Actor>, query: AssumeRole) -> Result<RoleSession, CallError> {
        let ActorKind::Principal { arn: principal, principal_id, lineage, .. } = &by.value.kind else {
            return Err(refused());
        };
        rules::session_name(&query.session_name)?;
        rules::external_id(query.external_id.as_deref())?;
        rules::source_identity(query.source_identity.as_deref())?;
        let (arn, path, name) = rules::role_arn(&query.role_arn)?;
        if by.value.action != ACTION || by.value.resource != arn.to_string() {
            return Err(refused());
        }
        let snapshot = self.account(arn.account).await?;
        let role = snapshot.role(&name).map(|view| &view.role);
        let role = role.filter(|role| role.path == path && role.name == name).ok_or_else(refused)?;
        self.unblocked(&arn, &query.session_name).await?;
        self.is_past_revocation(role)?;
        // A user's own session is no role session (IAM: role chaining).
        let is_chained = lineage.chain_depth > 0;
        let (tags, transitive_keys) =
            rules::tags(&query.tags, &query.transitive_tag_keys, &lineage.transitive_tags)?;
        let making = Making {
            authority: Authority::Local,
            principal_id: role.principal_id.clone(),
            seconds: rules::duration(query.duration_seconds, role.session_seconds_max, is_chained)?,
            tags,
            transitive_keys,
            source_identity: source_identity(&query, lineage)?,
            session_policy: rules::session_policy(query.session_policy.as_deref())?,
            session_name: query.session_name,
            revision: snapshot.revision.0,
            chain_depth: lineage.chain_depth,
            ancestors: ancestors(lineage, (principal, principal_id))?,
            principal: arn,
        };
        let scope = Scope::Account(making.principal.account);
        let session = self.mint_role_session(making)?;
        self.use_up(by, scope).await?;
        Ok(session)
    }

    async fn get_caller_identity(&self, by: Vouched<Actor>) -> Result<CallerIdentity, CallError> {
        let message = "only a principal of an account has an identity to ask for";
        CallerIdentity::of(&by.value).ok_or_else(|| {
            CallError::Denied(Denial { code: "not_a_principal".into(), message: message.to_owned() })
        })
    }

    async fn assume_role_with_web_identity(
        &self,
        from: Option<IpAddr>,
        query: AssumeRoleWithWebIdentity,
    ) -> Result<WebIdentitySession, CallError> {
        let token = self.admit_bearer(from, &query)?;
        self.told_web_identity_session(from, token, query).await
    }

    async fn exchange_caller_identity(
        &self,
        from: Option<IpAddr>,
        query: ExchangeCallerIdentity,
    ) -> Result<ExchangedSession, CallError> {
        self.admit_stranger(from)?;
        self.exchanged_session(query).await
    }

    async fn get_session_token(
        &self,
        by: Vouched<Actor>,
        duration_seconds: u32,
    ) -> Result<SessionCredentials, CallError> {
        let ActorKind::Principal { arn, principal_id, lineage, .. } = &by.value.kind else {
            return Err(no_user());
        };
        if !matches!(arn.kind, PrincipalKind::User { .. }) || by.value.action != GET_SESSION_TOKEN {
            return Err(no_user());
        }
        let seconds = rules::user_duration(duration_seconds)?;
        let making = Making {
            authority: Authority::Local,
            principal: arn.clone(),
            principal_id: principal_id.clone(),
            session_name: USER_SESSION_NAME.to_owned(),
            seconds,
            tags: BTreeMap::new(),
            transitive_keys: BTreeSet::new(),
            source_identity: None,
            session_policy: None,
            revision: self.account(arn.account).await?.revision.0,
            chain_depth: 0,
            ancestors: ancestors(lineage, (arn, principal_id))?,
        };
        let scope = Scope::Account(arn.account);
        let (credentials, _, _) = self.mint(making)?;
        self.use_up(by, scope).await?;
        Ok(credentials)
    }
}

fn no_user() -> CallError {
    let message = "only a user has a session of their own: sign with a user's key";
    CallError::Denied(Denial { code: "session_of_session".into(), message: message.to_owned() })
}

fn refused() -> CallError {
    CallError::Denied(Denial { code: "assume_role_refused".into(), message: REFUSED.to_owned() })
}

fn unminted(error: SessionError) -> CallError {
    match error {
        SessionError::PackedPolicyTooLarge { .. } => {
            CallError::invalid("session_policy", "packed_policy_too_large", error.to_string())
        }
        SessionError::InvalidClaim { claim, rule } => CallError::invalid(claim, "session_claim", rule),
        _ => {
            tracing::error!(%error, "a session could not be minted");
            CallError::Fault(Fault::Internal)
        }
    }
}

/// Once set, a source identity stays (IAM: source identity).
fn source_identity(query: &AssumeRole, by: &Lineage) -> Result<Option<String>, CallError> {
    match (&by.source_identity, &query.source_identity) {
        (Some(kept), Some(asked)) if kept != asked => {
            let rule =
                "the calling session has another source identity, which cannot be changed: leave it out";
            Err(CallError::invalid("source_identity", "source_identity", rule))
        }
        (kept, asked) => Ok(kept.clone().or_else(|| asked.clone())),
    }
}

/// The actor itself and all that it descends from: when one of them is gone, so is the session.
fn ancestors(
    by: &Lineage,
    (principal, principal_id): (&PrincipalArn, &str),
) -> Result<Vec<Ancestor>, CallError> {
    let mut ancestors = Vec::with_capacity(by.ancestors.len() + 2);
    let id = PrincipalId::parse(principal_id).map_err(|_| Fault::Internal)?;
    ancestors.push(match &principal.kind {
        PrincipalKind::User { .. } => Ancestor::User(id),
        PrincipalKind::AssumedRole { session, .. } => {
            Ancestor::RoleSession { role: id, name: session.clone() }
        }
        _ => Ancestor::Role(id),
    });
    // A session's key too, though it has no record: a block may name it.
    ancestors.extend(by.access_key_id.clone().map(Ancestor::AccessKey));
    ancestors.extend(Ancestor::parse_names(&by.ancestors).ok_or(Fault::Internal)?);
    Ok(ancestors)
}

#[cfg(test)]
mod tests {
    use lanyard_iam::AccessKeyId;

    use super::*;

    #[test]
    fn a_source_identity_is_kept_and_never_changed() {
        let by = |identity: Option<&str>| Lineage {
            access_key_id: Some(AccessKeyId::parse("LKIAAAAAAAAAAAAAAAAA").unwrap()),
            ancestors: Vec::new(),
            transitive_tags: Default::default(),
            source_identity: identity.map(str::to_owned),
            chain_depth: 0,
        };
        let ask = |identity: Option<&str>| AssumeRole {
            source_identity: identity.map(str::to_owned),
            ..AssumeRole::default()
        };
        assert_eq!(source_identity(&ask(None), &by(Some("a"))).unwrap().as_deref(), Some("a"));
        assert_eq!(source_identity(&ask(Some("a")), &by(Some("a"))).unwrap().as_deref(), Some("a"));
        assert_eq!(source_identity(&ask(Some("b")), &by(None)).unwrap().as_deref(), Some("b"));
        assert!(source_identity(&ask(Some("b")), &by(Some("a"))).is_err());
    }
}

//! The engine: one type behind the three traits, with all that they share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use lanyard_api::authn::{Authenticate, AuthenticateQuery, Authentication, Refusal, Verified};
use lanyard_api::mapping::{BlockIndex, Someone};
use lanyard_api::{
    Authority, AwsIdentity, Basis, BlockId, ClusterUid, Denial, Fault, Holds, HubId, Kin, Revision, Vouched,
};
use lanyard_aws::StsClient;
use lanyard_iam::token::TOKEN_BYTES_MAX;
use lanyard_iam::{
    AccessKeyId, AccountId, ParsedToken, Partition, Region, SessionOpener, TokenDigest, TokenError,
    TokenLife, looks_like_token,
};
use lanyard_kit::{
    Clock, ExposeSecret as _,
    tls::{ChainVerifier, Live},
};
use lanyard_oidc::{Jwt, looks_like_jwt, unverified_issuer};
use lanyard_store::{Keyed, Keyring, KeyringError, Purpose, Store};
use zeroize::Zeroizing;

use crate::admit::{Admissions, NodeTokens};
use crate::answers::Answers;
use crate::cache::{CacheKey, Cached, NotShared, Recalled, SealKey, Sealer, SharedCache};
use crate::config::{AuthnConfig, ConfigError};
use crate::directory::Directory;
use crate::local_keys::{LocalKeys, certificates};
use crate::snapshot::{AccountSnapshot, ClusterSnapshot, ClusterView, HubSnapshot};
use crate::verifier::{LocalIam, Proven, Question, StsVerifier, Verification, Verifier, oidc, refusal};
use lanyard_oidc::Providers;

/// What the hub is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Its id, which management calls sign.
    pub id: HubId,
    /// The account made at first start: its administrators are the hub's operators.
    pub account: AccountId,
    /// That account's partition.
    pub partition: Partition,
    /// The hub's own region.
    pub region: Region,
}

impl Hub {
    /// The hub itself as policy documents name it: what belongs to no account.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:{}:lanyard::{}:hub/{}", self.partition, self.account, self.id)
    }
}

/// What the engine is made of.
pub struct Parts<S = NotShared> {
    /// The store.
    pub store: Store,
    /// Opens role sessions; it cannot mint them.
    pub sessions: Keyed<SessionOpener>,
    /// Judges the certificates of callers, by the root as it is now; without it none is accepted.
    pub certificates: Option<Live<ChainVerifier>>,
    /// Calls STS.
    pub sts: Arc<StsClient>,
    /// The second level of the token cache.
    pub shared_cache: S,
    /// What the hub is.
    pub hub: Hub,
    /// What was configured.
    pub config: AuthnConfig,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A configured value breaks its rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store's keyring has no key for the token cache.
    #[error("the token cache has no key: {0}")]
    CacheKey(String),
    /// The store's keyring has no key for page tokens.
    #[error("page tokens have no key: {0}")]
    PageKey(#[from] KeyringError),
}

/// authn: proves client tokens, admits management calls, keeps accounts.
pub struct Engine<S = NotShared> {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) keys: Arc<LocalKeys>,
    pub(crate) certificates: Option<Live<ChainVerifier>>,
    pub(crate) hub: Hub,
    pub(crate) config: AuthnConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: SystemRandom,
    /// What page tokens of the AWS wire are sealed under.
    pub(crate) page_secrets: Keyed<PageSecrets>,
    local: LocalIam,
    sts: Cached<StsVerifier, S>,
    answers: Answers,
    pub(crate) admissions: Admissions,
    pub(crate) node_tokens: NodeTokens,
}

impl<S: SharedCache> Engine<S> {
    /// Puts the engine together. Snapshots are loaded when they are first asked for.
    ///
    /// # Errors
    /// [`EngineError`] where the configuration or the keyring does not do.
    pub fn new(parts: Parts<S>) -> Result<Self, EngineError> {
        let Parts { store, sessions, certificates, sts, shared_cache, hub, config, clock } = parts;
        let hosts = (config.validate()?, config.own_hosts()?);
        let providers = Providers::new(config.oidc.clone(), Arc::clone(&clock));
        let directory = Directory::new(&store, hub.region.clone(), hosts, &config.snapshots, providers);
        let keys = Arc::new(LocalKeys::new(directory.clone(), sessions, store.clone()));
        let sealer = Keyed::following(store.keyring(), sealer)?;
        let page_secrets = Keyed::following(store.keyring(), page_secrets)?;
        Ok(Self {
            local: LocalIam::new(Arc::clone(&keys)),
            sts: Cached::new(StsVerifier::new(sts), shared_cache, sealer, &config.token_cache),
            answers: Answers::default(),
            admissions: Admissions::default(),
            node_tokens: NodeTokens::default(),
            store,
            directory,
            keys,
            certificates,
            hub,
            config,
            clock,
            random: SystemRandom::new(),
            page_secrets,
        })
    }

    async fn prove(&self, query: &AuthenticateQuery) -> Result<Authentication, Fault> {
        let raw = query.token.expose_secret();
        if !looks_like_token(raw) {
            return match looks_like_jwt(raw) {
                true => Box::pin(self.prove_jwt(raw, query.cluster)).await,
                false => Ok(Authentication::NotOurs),
            };
        }
        let hub = At::of(self.directory.hub_at().await?);
        let Some(cluster) = hub.cluster(query.cluster) else {
            let message = "the cluster is not registered on this hub; register it first".to_owned();
            return Ok(Authentication::Refused(refuse("unknown_cluster", message, "")));
        };
        if raw.len() > TOKEN_BYTES_MAX {
            return Ok(out_of_form(&TokenError::TooLong(raw.len())));
        }
        let (now, digest) = (self.clock.now(), query.digest.unwrap_or_else(|| TokenDigest::of(raw)));
        let key = CacheKey::of(&digest, query.cluster, &query.audiences);
        let (life, answer) = if let Some(recalled) = self.sts.recall(&key, cluster, now) {
            (recalled.life(), self.recall(&hub, cluster, recalled).await?)
        } else {
            let token = match ParsedToken::parse(raw, &cluster.rules, now) {
                Ok(token) => token,
                Err(error) => return Ok(out_of_form(&error)),
            };
            let authority = authority_of(&token);
            let question = Question { key, digest, token: &token, cluster, authority: &authority, now };
            (token.life(), self.verify(&hub, question, query.explain).await?)
        };
        Ok(match answer {
            Ok((proven, basis)) => Authentication::Verified(Box::new(Verified {
                identity: Vouched::in_process(proven.identity),
                token: digest,
                not_after: life.not_after(),
                verifier: proven.verifier,
                cached: proven.cached,
                holds: proven.kept_until.map(|end| Holds { until: end.min(life.not_after()), basis }),
            })),
            Err(refusal) => Authentication::Refused(refusal),
        })
    }

    /// A JWT of an issuer that the cluster takes tokens of. Any other one is another authenticator's affair, as those of
    /// ServiceAccounts are.
    async fn prove_jwt(&self, raw: &str, cluster: ClusterUid) -> Result<Authentication, Fault> {
        let hub = self.directory.hub().await?;
        let Some(cluster) = hub.cluster(cluster) else { return Ok(Authentication::NotOurs) };
        let own = self.directory.cluster(cluster.cluster.uid).await?;
        if !own.has_identity_providers() {
            return Ok(Authentication::NotOurs);
        }
        let jwt = Jwt::parse(raw);
        let view = match &jwt {
            Ok(jwt) => jwt.unverified_issuer().and_then(|issuer| own.identity_provider(issuer)),
            // One that is out of order is refused by name, if it would be ours.
            Err(_) => unverified_issuer(raw).and_then(|issuer| own.identity_provider(&issuer)),
        };
        let Some(view) = view else { return Ok(Authentication::NotOurs) };
        let account = self.directory.account(cluster.cluster.account).await?;
        let blocks = [&hub.blocks, &account.blocks, &own.blocks];
        let issuer = view.config.settings.issuer_url.as_str();
        if let Some(block) = blocks.iter().find_map(|index| index.on_oidc_issuer(issuer)) {
            return Ok(Authentication::Refused(refuse("blocked", blocked("issuer", block), "")));
        }
        let jwt = match jwt {
            Ok(jwt) => jwt,
            Err(refused) => return Ok(Authentication::Refused(oidc::refusal(view, &refused))),
        };
        let oidc::Known { identity, not_after } = match oidc::verify(view, jwt).await? {
            Ok(known) => known,
            Err(refusal) => return Ok(Authentication::Refused(refusal)),
        };
        if let Some(block) = blocks.iter().find_map(|index| index.on_oidc_subject(issuer, &identity.subject))
        {
            return Ok(Authentication::Refused(refuse("blocked", blocked("subject", block), "")));
        }
        Ok(Authentication::Verified(Box::new(Verified {
            identity: Vouched::in_process(Arc::new(identity.into())),
            token: TokenDigest::of(raw),
            not_after,
            verifier: Arc::clone(&view.verifier),
            cached: false,
            holds: None,
        })))
    }

    /// Everything beyond the token's form: who may vouch here, whom blocks stop, whose signature it is.
    async fn verify(
        &self,
        hub: &At<HubSnapshot>,
        question: Question<'_>,
        explain: bool,
    ) -> Result<Result<(Proven, Basis), Refusal>, Fault> {
        let Question { token, cluster, authority, .. } = question;
        let claim = Claim { cluster, authority, key: token.access_key_id(), life: token.life() };
        let gate = match self.gate(hub, &claim).await? {
            Ok(gate) => gate,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let verification = if *authority == Authority::Local {
            match self.local.verify(hub, question, explain).await? {
                Ok(proven) => Verification::Verified(proven),
                Err(refusal) => Verification::Refused(refusal),
            }
        } else {
            self.sts.verify(question).await?
        };
        gate.pass(hub, &claim, verification)
    }

    /// The same for a token that is known, whose answer is kept.
    async fn recall(
        &self,
        hub: &At<HubSnapshot>,
        cluster: &ClusterView,
        recalled: Recalled,
    ) -> Result<Result<(Proven, Basis), Refusal>, Fault> {
        let (authority, key) = (recalled.authority(), recalled.access_key_id());
        let claim = Claim { cluster, authority, key, life: recalled.life() };
        let gate = match self.gate(hub, &claim).await? {
            Ok(gate) => gate,
            Err(refusal) => return Ok(Err(refusal)),
        };
        gate.pass(hub, &claim, recalled.verification.clone())
    }

    /// What is looked at each time before anybody proves anything; what is left is the gate to let the proven through.
    async fn gate(&self, hub: &At<HubSnapshot>, claim: &Claim<'_>) -> Result<Result<Gate, Refusal>, Fault> {
        let Claim { cluster, authority, key, life } = claim;
        // Ids are used again, clusters are not: a token is for none that came after it.
        let created_at = cluster.cluster.created_at;
        if life.date() < created_at.replace_nanosecond(0).unwrap_or(created_at) {
            let message = "the token was made before this cluster was registered; make a new one".to_owned();
            return Ok(Err(refuse("older_than_cluster", message, "")));
        }
        // Whose a session is, its sealed claims say: then the pair that they prove is looked at, or what it was made for.
        let is_own_session = key.is_local() && key.is_session();
        if !cluster.trusts_any_of(authority) && !is_own_session {
            return Ok(Err(claim.refuse(
                "authority_not_trusted",
                format!(
                    "this cluster lets in no account of authority `{authority}`; add one to its trusted accounts"
                ),
            )));
        }
        let gate = Gate {
            account: At::of(self.directory.account_at(cluster.cluster.account).await?),
            cluster: At::of(self.directory.cluster_at(cluster.cluster.uid).await?),
        };
        Ok(match gate.blocks(hub).iter().find_map(|index| index.on_key(key)) {
            Some(block) => Err(claim.refuse("blocked", blocked("access key", block))),
            None => Ok(gate),
        })
    }
}

/// What a token says of itself before it is proven, and where.
struct Claim<'a> {
    cluster: &'a ClusterView,
    authority: &'a Authority,
    key: &'a AccessKeyId,
    life: TokenLife,
}

impl Claim<'_> {
    fn refuse(&self, code: &'static str, message: String) -> Refusal {
        refusal(code, message, "", self.authority, self.key)
    }
}

/// A snapshot, and the revision that it is true of.
struct At<T> {
    snapshot: Arc<T>,
    revision: Revision,
}

impl<T> At<T> {
    fn of((snapshot, revision): (Arc<T>, Revision)) -> Self {
        Self { snapshot, revision }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.snapshot
    }
}

/// Whoever may be blocked in a cluster: by the hub, by the cluster's account, by the cluster.
struct Gate {
    account: At<AccountSnapshot>,
    cluster: At<ClusterSnapshot>,
}

impl Gate {
    fn blocks<'a>(&'a self, hub: &'a HubSnapshot) -> [&'a BlockIndex; 3] {
        [&hub.blocks, &self.account.blocks, &self.cluster.blocks]
    }

    /// Whether whoever a verifier has proven comes in here.
    fn pass(
        &self,
        hub: &At<HubSnapshot>,
        claim: &Claim<'_>,
        verification: Verification,
    ) -> Result<Result<(Proven, Basis), Refusal>, Fault> {
        let proven = match verification {
            Verification::Verified(proven) => proven,
            Verification::Refused(refusal) => return Ok(Err(refusal)),
        };
        // Nothing else is verified here.
        let identity = proven.identity.aws().ok_or(Fault::Internal)?;
        if let Some((code, message)) = not_let_in(hub, claim.cluster, identity) {
            return Ok(Err(claim.refuse(code, message)));
        }
        if let Some((what, block)) = block_on(&self.blocks(hub), identity) {
            return Ok(Err(claim.refuse("blocked", blocked(what, block))));
        }
        let basis =
            Basis { hub: hub.revision, account: self.account.revision, cluster: self.cluster.revision };
        Ok(Ok((proven, basis)))
    }
}

/// Whose a token is, by its key and host: nobody else is asked about it.
fn authority_of(token: &ParsedToken) -> Authority {
    match token.self_hosted() {
        _ if token.access_key_id().is_local() => Authority::Local,
        Some(name) => Authority::Sts(name.to_owned()),
        None => Authority::Aws,
    }
}

/// Why the proven identity may not come in here: a verifier answers for accounts of its own alone, and a cluster lets in
/// the pairs that it lists alone.
fn not_let_in(
    hub: &HubSnapshot,
    cluster: &ClusterView,
    identity: &AwsIdentity,
) -> Option<(&'static str, String)> {
    let AwsIdentity { authority, account, partition, .. } = identity;
    match hub.account(*account) {
        None => Some((
            "account_not_registered",
            format!("account `{account}` is not registered on this hub; a hub operator registers it"),
        )),
        Some(registered) if registered.authority != *authority => Some((
            "account_of_other_authority",
            format!(
                "account `{account}` belongs to another authority than `{authority}`, which vouched for this identity"
            ),
        )),
        Some(_) if *partition != cluster.cluster.partition => {
            Some(("partition", format!("the identity is of partition `{partition}`, the cluster is not")))
        }
        Some(_) if !cluster.trusts(authority, *account) => Some((
            "account_not_trusted",
            format!(
                "this cluster does not let in account `{account}` of authority `{authority}`; add it to its trusted accounts"
            ),
        )),
        Some(_) => None,
    }
}

/// The block that stops somebody, themselves or what their session descends from.
fn block_on(blocks: &[&BlockIndex], identity: &AwsIdentity) -> Option<(&'static str, BlockId)> {
    let who = Someone {
        authority: &identity.authority,
        account: identity.account,
        canonical_arn: &identity.canonical_arn,
        session_name: identity.session_name.as_deref(),
    };
    let find = |on: &dyn Fn(&BlockIndex) -> Option<BlockId>| blocks.iter().find_map(|index| on(index));
    if let Some(block) = find(&|index| index.on(&who)) {
        return Some(("principal", block));
    }
    let keys = identity.ancestors.iter().filter_map(|name| name.strip_prefix("key/")?.parse().ok());
    for key in keys {
        if let Some(block) = find(&|index| index.on_key(&key)) {
            return Some(("access key that the session was made with", block));
        }
    }
    for certificate in certificates(&identity.ancestors) {
        if let Some(block) = find(&|index| index.on_certificate(&certificate)) {
            return Some(("certificate that the session was made with", block));
        }
    }
    if let Some(block) = find(&|index| index.on_web_identities(&identity.ancestors)) {
        return Some(("OIDC issuer or subject by whose token the session was made", block));
    }
    for Kin { account, canonical_arn, session_name } in &identity.kin {
        let who = Someone {
            authority: &Authority::Local,
            account: *account,
            canonical_arn,
            session_name: session_name.as_deref(),
        };
        if let Some(block) = find(&|index| index.on(&who)) {
            return Some(("principal, or session of it, that made the session", block));
        }
    }
    None
}

fn blocked(what: &str, block: BlockId) -> String {
    format!("block `{block}` stops the {what}; whoever put it up can lift it")
}

/// A refusal before anything of the token is known.
fn refuse(code: &'static str, message: String, part: &str) -> Refusal {
    let denial = Denial { code: code.into(), message };
    Refusal { denial, part: part.to_owned(), authority: None, access_key_id: None, hints: Vec::new() }
}

fn out_of_form(error: &TokenError) -> Authentication {
    Authentication::Refused(refuse(error.reason_code(), error.to_string(), error.part().as_str()))
}

/// Of every version, the one that seals first.
pub(crate) type PageSecrets = Vec<Zeroizing<[u8; 32]>>;

fn page_secrets(keyring: &Keyring) -> Result<PageSecrets, KeyringError> {
    Ok(keyring.purpose_keys(Purpose::PageToken)?.into_iter().map(|(_, secret)| secret).collect())
}

fn sealer(keyring: &Keyring) -> Result<Sealer, EngineError> {
    let keys = keyring.purpose_keys(Purpose::TokenCache);
    let keys = keys.map_err(|error| EngineError::CacheKey(error.to_string()))?;
    let keys: Vec<SealKey> = keys.into_iter().map(|(id, key)| SealKey { id, key }).collect();
    Sealer::new(&keys).map_err(|fault| EngineError::CacheKey(fault.to_string()))
}

impl<S: SharedCache> Authenticate for Engine<S> {
    async fn authenticate(&self, query: AuthenticateQuery) -> Result<Authentication, Fault> {
        let started = Instant::now();
        let answer = self.prove(&query).await;
        self.answers.count(&answer, started.elapsed());
        answer
    }
}

impl<S> std::fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("hub", &self.hub).finish_non_exhaustive()
    }
}

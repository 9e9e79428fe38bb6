//! The hub's own keys of clusters' issuers, and the tokens that it signs with them: for AWS, where a role trusts a cluster's issuer.
//!
//! They verify nothing that comes to this hub: pods' tokens are verified by the API server's keys alone.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use aws_lc_rs::rand;
use lanyard_api::{
    CallError, ClusterUid, Fault, Mutated, Mutation, Scope,
    credentials::{HostedIssuer, HostedKey, IssuerSigner},
    mapping::Cluster,
};
use lanyard_oidc::IssuerKeyPair;
use lanyard_store::{Kind, Place, Purpose, Transaction, replayed};
use quick_cache::sync::Cache;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::rules::{self, HUB_KEY_LEAD, HUB_TOKEN_LIFETIME, Publishing};
use crate::{
    engine::Credentials,
    sight::{fault, is_there},
};

/// Key pairs that are kept parsed; those used last. One takes some 3 KB.
const PAIRS_MAX: usize = 1_024;
/// Bytes of `jti`.
const ID_BYTES: usize = 16;

/// Key pairs that were unsealed, by cluster and id.
pub(crate) struct KeyPairs(Cache<(ClusterUid, String), Arc<IssuerKeyPair>>);

impl Default for KeyPairs {
    fn default() -> Self {
        Self(Cache::new(PAIRS_MAX))
    }
}

/// A token to sign.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterToken {
    /// `sub`: `system:serviceaccount:<namespace>:<name>`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// How long it holds; at most 15 minutes, for it is used at once.
    pub lifetime: Duration,
    /// Other claims; none of those that are made here.
    pub claims: Map<String, Value>,
}

/// Signs tokens of clusters' issuers.
pub trait ClusterTokens: Send + Sync + 'static {
    /// A token of the cluster's issuer, by the hub's own key. The first for a cluster makes that key, and the issuer where there is none.
    ///
    /// An error is as of any change where a key had to be made; else a fault.
    fn mint(
        &self,
        cluster: ClusterUid,
        asked: ClusterToken,
    ) -> impl Future<Output = Result<SecretString, CallError>> + Send;
}

impl ClusterTokens for Credentials {
    async fn mint(&self, cluster: ClusterUid, asked: ClusterToken) -> Result<SecretString, CallError> {
        let known = self.workloads(cluster).await?.hosted().map(Arc::clone);
        let issuer = match known {
            Some(hosted) if rules::signing(&hosted, self.now()).is_some() => hosted,
            _ => Arc::new(self.first_hub_key(cluster).await?),
        };
        let now = self.now();
        let key = rules::signing(&issuer, now).ok_or(Fault::Internal)?;
        let pair = self.pair(&issuer, key.kid()).await?;
        let claims = claims(&issuer.issuer_url, asked, now)?;
        let token = pair.sign(&claims).map_err(|error| {
            tracing::error!(%error, "a token of a cluster's issuer cannot be signed");
            Fault::Internal
        })?;
        Ok(SecretString::from(token))
    }
}

/// What the token says (RFC 7519).
fn claims(issuer_url: &str, asked: ClusterToken, now: OffsetDateTime) -> Result<Map<String, Value>, Fault> {
    let ClusterToken { subject, audience, lifetime, mut claims } = asked;
    let mut id = [0; ID_BYTES];
    rand::fill(&mut id).map_err(|_| Fault::Internal)?;
    let lifetime = lifetime.clamp(Duration::ZERO, HUB_TOKEN_LIFETIME);
    let own: [(&str, Value); 7] = [
        ("iss", issuer_url.into()),
        ("sub", subject.into()),
        ("aud", audience.into()),
        ("iat", now.unix_timestamp().into()),
        ("nbf", now.unix_timestamp().into()),
        ("exp", (now + lifetime).unix_timestamp().into()),
        ("jti", hex::encode(id).into()),
    ];
    claims.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(claims)
}

/// Which key of the hub's is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One, if there is none that signs.
    First,
    /// Another.
    Next,
}

/// The private halves of an issuer, by id, as they are sealed together.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Kept(BTreeMap<String, String>);

impl Kept {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(bytes).map_err(|_| broken("what is sealed cannot be read"))
    }

    fn pair(&self, kid: &str) -> Result<IssuerKeyPair, Fault> {
        let text = self.0.get(kid).ok_or_else(|| broken("nothing is sealed for a key"))?;
        let der = hex::decode(text).map(Zeroizing::new).map_err(|_| broken("what is sealed is no key"))?;
        IssuerKeyPair::from_pkcs8(&der).map_err(|error| broken(&error.to_string()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.0.values_mut().for_each(|text| text.zeroize());
    }
}

impl Credentials {
    /// The issuer in whose name the hub signs, or would with the first token.
    pub(crate) async fn signing_issuer(&self, cluster: ClusterUid) -> Result<String, CallError> {
        if let Some(hosted) = self.workloads(cluster).await?.hosted() {
            return Ok(hosted.issuer_url.clone());
        }
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        let known = clusters.by_uid(cluster).ok_or_else(|| CallError::not_found("cluster", cluster))?;
        self.issuer_url(known, None)
    }

    /// The issuer with a key of the hub, made now unless another was faster.
    async fn first_hub_key(&self, cluster: ClusterUid) -> Result<HostedIssuer, CallError> {
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        let known = clusters.by_uid(cluster).ok_or_else(|| CallError::not_found("cluster", cluster))?;
        let by = Mutation::system("a token of a cluster's issuer");
        Ok(self.make_hub_key(by, known, Wanted::First).await?.value)
    }

    /// Makes a key of the hub. The first signs at once, for there is no other; the next when those who verify have it.
    pub(super) async fn make_hub_key(
        &self,
        by: Mutation,
        cluster: &Cluster,
        wanted: Wanted,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let made = tokio::task::spawn_blocking(IssuerKeyPair::generate).await;
        let pair = made.map_err(|_| Fault::Internal)?.map_err(|error| broken(&error.to_string()))?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.store().begin("rotate_hub_issuer_key", &by, &[Scope::Hub, scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, cluster).await?;
        let now = tx.now();
        let before: Option<HostedIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        let mut issuer = match before {
            Some(issuer) => issuer,
            None => {
                let issuer_url = self.issuer_url(cluster, None)?;
                HostedIssuer { cluster: cluster.uid, issuer_url, keys: Vec::new() }
            }
        };
        let is_first = rules::signing(&issuer, now).is_none();
        if wanted == Wanted::First && !is_first {
            // Another was faster.
            return tx.answer(scope, issuer, Vec::new()).await;
        }
        let mut kept = self.kept(&issuer).await?;
        // Those whose tokens have ended make room.
        let is_over = |key: &HostedKey| {
            key.signer == IssuerSigner::Hub && rules::tokens_end_at(key).is_some_and(|end| end <= now)
        };
        for over in issuer.keys.iter().filter(|key| is_over(key)) {
            kept.0.remove(over.kid());
        }
        issuer.keys.retain(|key| !is_over(key));
        let publishing = Publishing {
            signer: IssuerSigner::Hub,
            by: by.actor.value.name(),
            now,
            signs_from: if is_first { now } else { now + HUB_KEY_LEAD },
        };
        let issuer =
            rules::published(issuer, rules::key(&pair.jwk())?, publishing)?.ok_or(Fault::Internal)?;
        self.put(&mut tx, &issuer).await?;
        let pkcs8 = pair.pkcs8().map_err(|error| broken(&error.to_string()))?;
        kept.0.insert(pair.kid().to_owned(), hex::encode(&*pkcs8));
        self.keep(&mut tx, &issuer, &kept).await?;
        let notices = self.notices(&issuer);
        tx.answer(scope, issuer, notices).await
    }

    /// Takes the private half of a key away.
    pub(super) async fn forget_pair(
        &self,
        tx: &mut Transaction,
        issuer: &HostedIssuer,
        kid: &str,
    ) -> Result<(), CallError> {
        let mut kept = self.kept(issuer).await?;
        kept.0.remove(kid);
        self.keep(tx, issuer, &kept).await
    }

    async fn pair(&self, issuer: &HostedIssuer, kid: &str) -> Result<Arc<IssuerKeyPair>, Fault> {
        let (pairs, place) = (&self.key_pairs().0, (issuer.cluster, kid.to_owned()));
        if let Some(pair) = pairs.get(&place) {
            return Ok(pair);
        }
        let pair = Arc::new(self.kept(issuer).await?.pair(kid)?);
        pairs.insert(place, Arc::clone(&pair));
        Ok(pair)
    }

    /// What is sealed beside an issuer; nothing where it has no key of the hub.
    async fn kept(&self, issuer: &HostedIssuer) -> Result<Kept, Fault> {
        let place = Place::of(issuer);
        let Some(sealed) = self.store().secret(&place).await? else { return Ok(Kept::default()) };
        let opened = self.store().keyring().open(Purpose::IssuerSigning, &place, &sealed);
        Kept::read(&opened.map_err(|error| broken(&error.to_string()))?)
    }

    async fn keep(&self, tx: &mut Transaction, issuer: &HostedIssuer, kept: &Kept) -> Result<(), CallError> {
        let place = Place::of(issuer);
        let plain = serde_json::to_vec(kept).map(Zeroizing::new).map_err(|_| Fault::Internal)?;
        let sealed = self.store().keyring().seal(Purpose::IssuerSigning, &place, &plain);
        tx.put_secret(&place, &sealed.map_err(|error| broken(&error.to_string()))?).await?;
        Ok(())
    }
}

fn broken(what: &str) -> Fault {
    tracing::error!(fault = what, "the hub's keys of a cluster's issuer are of no use");
    Fault::Internal
}

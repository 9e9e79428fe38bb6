//! [`Issuers`]: the issuers that the hub serves for clusters.
//!
//! A cluster's issuer is `<external URL>/id/<uid>`: a uid is never given again, and so is no issuer. Its keys come from one place: the API
//! server serves them and they are watched, or they are published here, and then the API server may serve none that is not. The
//! private halves of an API server's keys are never here. The hub has keys of its own for each issuer, made when they are first
//! needed (`tokens`), by which it signs for AWS; they lie sealed, and verify nothing that comes here.

mod place;
mod rules;
mod tokens;

use lanyard_api::{
    Actor, CallError, ClusterId, ClusterUid, Fault, Mutated, Mutation, Scope, Vouched,
    credentials::{
        FoundIssuer, HostedIssuer, IssuerDescription, IssuerKey, IssuerSigner, Issuers, PublishIssuerKey,
        PublishedDocuments, WorkloadIssuer, published_documents,
    },
    mapping::Cluster,
};
use lanyard_store::{Kind, Transaction, replayed};

use crate::{
    engine::Credentials,
    sight::{fault, is_there},
    snapshot::WorkloadSnapshot,
    workloads::taken,
};

pub(crate) use place::{is_of_another_cluster, own_cluster};
use place::{own_url, uid_in};
pub(crate) use rules::judge_watched;
pub(crate) use tokens::KeyPairs;
pub use tokens::{ClusterToken, ClusterTokens};

/// What people call it in errors.
const KEY: &str = "issuer key";

impl Issuers for Credentials {
    async fn publish_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
        asked: PublishIssuerKey,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let cluster = self.seen(&by.actor.value, &cluster).await?;
        let key = rules::key(&asked.jwk)?;
        let asked_url = asked.issuer_url.as_deref();
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.store().begin("publish_issuer_key", &by, &[Scope::Hub, scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, &cluster).await?;
        let before: Option<HostedIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        let watched: Option<WorkloadIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        let before = match before {
            Some(before) => before,
            None => {
                let issuer_url = self.issuer_url(&cluster, asked_url)?;
                HostedIssuer { cluster: cluster.uid, issuer_url, keys: Vec::new() }
            }
        };
        rules::judge_url(&before, asked_url)?;
        rules::judge_source(&before, watched.as_ref(), &key)?;
        let published = rules::Publishing {
            signer: IssuerSigner::ApiServer,
            by: by.actor.value.name(),
            now: tx.now(),
            signs_from: tx.now(),
        };
        let issuer = match rules::published(before.clone(), key, published)? {
            Some(issuer) => issuer,
            // It is there already.
            None => return tx.answer(scope, before, Vec::new()).await,
        };
        self.put(&mut tx, &issuer).await?;
        let notices = self.notices(&issuer);
        tx.answer(scope, issuer, notices).await
    }

    async fn retire_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
        kid: String,
        early: bool,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let cluster = self.seen(&by.actor.value, &cluster).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.store().begin("retire_issuer_key", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, &cluster).await?;
        let before: Option<HostedIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        let before = before.ok_or_else(|| CallError::not_found(KEY, &kid))?;
        let now = tx.now();
        let watched: Option<WorkloadIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        let (issuer, gone) = rules::retired(before, &kid, early, now)?;
        let mut notices = Vec::new();
        if gone.signer == IssuerSigner::Hub {
            self.forget_pair(&mut tx, &issuer, &kid).await?;
        } else {
            notices.push(rules::tokens_of_retired(&issuer, watched.as_ref(), &gone));
        }
        match issuer.keys.is_empty() {
            true => drop(tx.delete::<HostedIssuer>(scope, Kind::ONLY_KEY).await?),
            false => tx.put(&issuer).await?,
        }
        tx.answer(scope, issuer, notices).await
    }

    async fn rotate_hub_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
    ) -> Result<Mutated<HostedIssuer>, CallError> {
        let cluster = self.seen(&by.actor.value, &cluster).await?;
        self.make_hub_key(by, &cluster, tokens::Wanted::Next).await
    }

    async fn describe_issuer(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
    ) -> Result<IssuerDescription, CallError> {
        let cluster = self.seen(&by.value, &cluster).await?;
        let snapshot = self.workloads(cluster.uid).await?;
        let hub_url = own_url(self.config().external_url.as_deref(), cluster.uid);
        let (hosted, watched) = (snapshot.hosted(), snapshot.watched());
        Ok(IssuerDescription {
            issuer_url: snapshot.issuer().map(|issuer| issuer.record.issuer_url.clone()),
            documents: documents(&snapshot),
            hub_url,
            hosted: hosted.map(|hosted| HostedIssuer::clone(hosted)),
            watched: watched.map(|watched| watched.record.clone()),
        })
    }

    async fn find_issuer(&self, cluster: ClusterUid) -> Result<FoundIssuer, Fault> {
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        // Of a cluster that is gone nothing is told, whatever is still in memory.
        if clusters.by_uid(cluster).is_none() {
            return Ok(FoundIssuer::default());
        }
        let snapshot = self.workloads(cluster).await?;
        let own = own_url(self.config().external_url.as_deref(), cluster);
        Ok(FoundIssuer {
            issuer_url: snapshot.issuer().map(|issuer| issuer.record.issuer_url.clone()),
            documents: served(&snapshot, own.as_deref()),
        })
    }
}

impl Credentials {
    /// Where a cluster's issuer is: as asked, or at the hub.
    fn issuer_url(&self, cluster: &Cluster, asked: Option<&str>) -> Result<String, CallError> {
        let external_url = self.config().external_url.as_deref();
        if let Some(asked) = asked {
            rules::asked_url(asked)?;
            if is_of_another_cluster(external_url, asked, cluster.uid) {
                return Err(rules::url_of_another(asked));
            }
            return Ok(asked.to_owned());
        }
        own_url(external_url, cluster.uid).ok_or_else(|| {
            let rule = "the hub does not know under which URL it is reached: set `external_url` in credentials' configuration, or \
                        name where the documents will be served";
            CallError::precondition("external_url", rule)
        })
    }

    /// Writes an issuer, if what it has is no other cluster's.
    async fn put(&self, tx: &mut Transaction, issuer: &HostedIssuer) -> Result<(), CallError> {
        if let Some(of_another) = tx.hosted_issuer_taken(issuer).await? {
            return Err(taken(&issuer.issuer_url, &of_another));
        }
        Ok(tx.put(issuer).await?)
    }

    /// What there is to know of an issuer that is not where the hub would serve it.
    fn notices(&self, issuer: &HostedIssuer) -> Vec<String> {
        let own = own_url(self.config().external_url.as_deref(), issuer.cluster);
        let is_served = own.as_deref() == Some(issuer.issuer_url.as_str());
        let notice = || {
            format!(
                "`{}` is not where this hub serves issuers: export the documents and put them there, after each change of keys",
                issuer.issuer_url
            )
        };
        (!is_served).then(notice).into_iter().collect()
    }
}

/// What the issuer that counts has to show.
fn documents(snapshot: &WorkloadSnapshot) -> Option<PublishedDocuments> {
    let issuer = snapshot.issuer()?;
    let url = issuer.record.issuer_url.as_str();
    let is_useful = issuer.record.irsa_obstacle.is_none();
    is_useful.then(|| published_documents(url, keys_of(snapshot, url)))
}

/// What the hub serves: an issuer of its own URL, or of one by which it was reached before.
fn served(snapshot: &WorkloadSnapshot, own: Option<&str>) -> Option<PublishedDocuments> {
    let watched = || snapshot.watched().map(|watched| watched.record.issuer_url.as_str());
    let url = match snapshot.hosted() {
        Some(hosted) => uid_in(&hosted.issuer_url)
            .filter(|uid| *uid == hosted.cluster)
            .map(|_| hosted.issuer_url.as_str()),
        None => watched().filter(|url| Some(*url) == own),
    }?;
    Some(published_documents(url, keys_of(snapshot, url)))
}

/// The keys of an issuer's name: those that are published; and those that are watched, where these are its source.
fn keys_of<'s>(snapshot: &'s WorkloadSnapshot, url: &str) -> impl Iterator<Item = &'s IssuerKey> {
    let hosted = snapshot.hosted().filter(|hosted| hosted.issuer_url == url);
    let is_ours = hosted.is_some_and(|hosted| hosted.keys_of(IssuerSigner::ApiServer).next().is_some());
    let watched = snapshot.watched().filter(|watched| !is_ours && watched.record.issuer_url == url);
    let published = hosted.into_iter().flat_map(|hosted| hosted.keys.iter().map(|key| &key.key));
    published.chain(watched.into_iter().flat_map(|watched| &watched.record.keys))
}

//! `Spokes`: the kubeconfigs by which the hub watches clusters, sealed, and the leases on them.

use std::time::Duration;

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, ClusterUid, Fault, Mutated, Mutation, Scope, Vouched,
    kubeconfig::{Kubeconfig, KubeconfigError},
    mapping::{
        LendQuery, Lending, Loan, SpokeCredential, SpokeCredentialKind, SpokeKubeconfig, SpokeStatus,
        SpokeWatch, Spokes,
    },
};
use lanyard_store::{KeyringError, Place, Purpose, Record as _, StoreError, Transaction, spoke_lease};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Mapping,
    commit::{commit, fresh},
    directory::{make_room, own_credentials},
    entries::current,
    sight::{Call, denied},
};

/// How long a replica may watch a cluster without a word: then another one takes over.
pub(crate) const LEASE_LIFETIME: Duration = Duration::from_secs(15);

/// After how long without a word a watcher counts as silent: one that lives speaks several times in it.
const SILENT_AFTER: Duration = LEASE_LIFETIME;

/// Longest name of a replica.
const HOLDER_CHARS_MAX: usize = 128;

/// Longest text that a watcher says of what is in its way.
const FAULT_CHARS_MAX: usize = 1_000;

/// Most objects that a watcher names as not taken, with a line on how many more there are.
const REFUSED_MAX: usize = 21;

impl Spokes for Mapping {
    async fn put_spoke_kubeconfig(
        &self,
        by: Mutation,
        id: ClusterId,
        kubeconfig: SecretString,
        context: Option<String>,
    ) -> Result<Mutated<SpokeKubeconfig>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let reduced = Kubeconfig::reduce(kubeconfig.expose_secret(), context.as_deref()).map_err(refused)?;
        let mut tx = fresh!(self.begin("put_spoke_kubeconfig", &by, &[Scope::Hub]).await?);
        let cluster = current(&mut tx, &cluster).await?;
        let before: Option<SpokeKubeconfig> = tx.get(Scope::Hub, &cluster.uid.to_string()).await?;
        if let Some(before) = &before
            && self.unsealed(before).await.is_ok_and(|kept| kept == reduced)
        {
            let notice = String::from("it is the one that is kept already");
            return commit(tx, Scope::Hub, before.clone(), vec![notice]).await;
        }
        let record = SpokeKubeconfig {
            cluster: cluster.uid,
            version: tx.next_revision(Scope::Hub)?.0,
            server: reduced.server.to_string(),
            credential_kind: reduced.credential.kind().to_owned(),
            put_by: by.actor.value.name(),
            put_at: tx.now(),
        };
        tx.put(&record).await?;
        self.seal(&mut tx, &record, &reduced).await?;
        commit(tx, Scope::Hub, record, Vec::new()).await
    }

    async fn delete_spoke_kubeconfig(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<SpokeKubeconfig>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let mut tx = fresh!(self.begin("delete_spoke_kubeconfig", &by, &[Scope::Hub]).await?);
        let gone: Option<SpokeKubeconfig> = tx.delete(Scope::Hub, &cluster.uid.to_string()).await?;
        let gone = gone.ok_or_else(|| CallError::not_found("spoke kubeconfig", &id))?;
        let notice = "what was seen of the cluster stays as it was: the hub hears of no change any more";
        commit(tx, Scope::Hub, gone, vec![notice.to_owned()]).await
    }

    async fn register_spoke_certificate(
        &self,
        by: Mutation,
        id: ClusterId,
        certificate_sha256: String,
    ) -> Result<Mutated<SpokeCredential>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let is_digest = certificate_sha256.len() == 64
            && certificate_sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !is_digest {
            let message = "it has to be the SHA-256 of the certificate's DER, as 64 hex digits in lower case";
            return Err(CallError::invalid("certificate_sha256", "malformed", message));
        }
        let mut tx = fresh!(self.begin("register_spoke_certificate", &by, &[Scope::Hub]).await?);
        let cluster = current(&mut tx, &cluster).await?;
        let own = own_credentials(&mut tx, &cluster).await?;
        if let Some(known) = own.into_iter().find(|known| known.token_sha256 == certificate_sha256) {
            return commit(tx, Scope::Hub, known, Vec::new()).await;
        }
        let notices = make_room(&mut tx, &cluster, SpokeCredentialKind::Certificate).await?;
        let credential = SpokeCredential {
            cluster: cluster.uid,
            id: certificate_sha256.chars().take(12).collect(),
            token_sha256: certificate_sha256,
            created_at: tx.now(),
            kind: SpokeCredentialKind::Certificate,
        };
        tx.insert(&credential).await?;
        commit(tx, Scope::Hub, credential, notices).await
    }

    async fn get_spoke(&self, by: Vouched<Actor>, id: ClusterId) -> Result<SpokeStatus, CallError> {
        let cluster = self.seen(&by.value, &id, Call::Management).await?;
        let hub = self.inner.state.hub().await?;
        let store = &self.inner.store;
        let lease = store.lease(&spoke_lease(cluster.uid)).await?;
        let now = store.clock().now();
        let watch = store.spoke_watch(cluster.uid).await?;
        let said_at = watch.as_ref().map(|watch| watch.reported_at);
        Ok(SpokeStatus {
            kubeconfig: hub.kubeconfigs.get(&cluster.uid).cloned(),
            silent_since: said_at.filter(|at| *at + SILENT_AFTER < now),
            watch,
            lease_ends_at: lease.map(|lease| lease.ends_at).filter(|ends_at| *ends_at > now),
        })
    }

    async fn report_spoke(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        watch: SpokeWatch,
    ) -> Result<(), CallError> {
        let cluster = self.seen(&by.value, &id, Call::OwnWatch).await?;
        if !matches!(by.value.kind, ActorKind::Spoke { .. }) {
            let message = "how a cluster is watched from inside is told by its own spoke alone, which shows its certificate";
            return Err(denied("spoke_alone", message));
        }
        self.inner.pushes.admit(&by.value, "reports of its watch")?;
        let store = &self.inner.store;
        let (lease, now) = (store.lease(&spoke_lease(cluster.uid)).await?, store.clock().now());
        // The hub sees for itself.
        if lease.is_some_and(|lease| lease.ends_at > now) {
            return Ok(());
        }
        let watch = SpokeWatch { reported_at: now, ..bounded(watch, by.value.name()) };
        store.put_spoke_watch(cluster.uid, &watch).await?;
        Ok(())
    }

    async fn lend_spoke(&self, query: LendQuery) -> Result<Lending, Fault> {
        let hub = self.inner.state.hub().await?;
        let known = hub.clusters.contains_key(&query.cluster);
        let Some(record) = hub.kubeconfigs.get(&query.cluster).filter(|_| known) else {
            return Ok(Lending::Gone);
        };
        let store = &self.inner.store;
        let name = spoke_lease(query.cluster);
        let holder: String = query.holder.chars().take(HOLDER_CHARS_MAX).collect();
        let Some(lease) = store.acquire_lease(&name, &holder, LEASE_LIFETIME).await? else {
            let lease = store.lease(&name).await?;
            let until = lease.map_or_else(|| store.clock().now(), |lease| lease.ends_at);
            return Ok(Lending::Held(until));
        };
        if let Some(watch) = query.watch {
            store.put_spoke_watch(query.cluster, &bounded(watch, holder)).await?;
        }
        let kubeconfig = match query.known_version {
            Some(version) if version == record.version => None,
            _ => Some(self.unsealed(record).await?.to_document()),
        };
        let (version, term) = (record.version, lease.term);
        Ok(Lending::Lent(Loan { version, kubeconfig, lifetime: LEASE_LIFETIME, term }))
    }

    async fn return_spoke(&self, cluster: ClusterUid, holder: String) -> Result<(), Fault> {
        let store = &self.inner.store;
        if let Some(lease) = store.lease(&spoke_lease(cluster)).await?
            && lease.holder == holder
        {
            store.release_lease(&lease).await?;
        }
        Ok(())
    }
}

impl Mapping {
    async fn seal(
        &self,
        tx: &mut Transaction,
        record: &SpokeKubeconfig,
        kubeconfig: &Kubeconfig,
    ) -> Result<(), CallError> {
        let place = Place::of(record);
        let document = kubeconfig.to_document();
        let keyring = self.inner.store.keyring();
        let sealed = keyring.seal(Purpose::SpokeKubeconfig, &place, document.expose_secret().as_bytes());
        tx.put_secret(&place, &sealed.map_err(|error| locked(record, error))?).await?;
        Ok(())
    }

    /// What is sealed beside a record. It was reduced when it was written, and is read by the same rules again.
    async fn unsealed(&self, record: &SpokeKubeconfig) -> Result<Kubeconfig, Fault> {
        let place = Place::of(record);
        let sealed = self.inner.store.secret(&place).await?;
        let sealed = sealed.ok_or_else(|| broken(record, "nothing is sealed beside it"))?;
        let opened = self.inner.store.keyring().open(Purpose::SpokeKubeconfig, &place, &sealed);
        let opened = opened.map_err(|error| locked(record, error))?;
        let text = std::str::from_utf8(&opened).map_err(|_| broken(record, "what is sealed is no text"))?;
        Kubeconfig::reduce(text, None).map_err(|error| broken(record, &error.to_string()))
    }
}

/// What a watcher says, no longer than it may be.
fn bounded(watch: SpokeWatch, holder: String) -> SpokeWatch {
    let short = |text: String| text.chars().take(FAULT_CHARS_MAX).collect();
    let refused = watch.refused.into_iter().take(REFUSED_MAX).map(short).collect();
    let (fault, issuer_url) = (watch.fault.map(short), watch.issuer_url.map(short));
    SpokeWatch { holder, fault, issuer_url, refused, ..watch }
}

fn refused(error: KubeconfigError) -> CallError {
    CallError::invalid("kubeconfig", error.code(), error.to_string())
}

fn locked(record: &SpokeKubeconfig, error: KeyringError) -> Fault {
    let SpokeKubeconfig { cluster, version, .. } = record;
    tracing::error!(cluster.uid = %cluster, version, %error, "a spoke's kubeconfig cannot be sealed or opened");
    Fault::Internal
}

fn broken(record: &SpokeKubeconfig, what: &str) -> Fault {
    let error = StoreError::Broken(format!("the kubeconfig of cluster `{}`: {what}", record.key()));
    tracing::error!(%error, "a spoke's kubeconfig cannot be used");
    Fault::from(error)
}

//! Which clusters there are, and whose API server knocks.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use lanyard_api::{
    ClusterUid,
    mapping::{Cluster, ClusterDirectory, SpokeCredentialKind},
};
use lanyard_kit::{Clock, telemetry::names};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::{
    reviews::{OfCluster, Reviews},
    revisions::Place,
};

/// A cluster as the doors see it.
#[derive(Debug)]
pub struct Spoke {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// SHA-256 of its API server's bearer tokens.
    tokens: Vec<[u8; 32]>,
    /// SHA-256 of its client certificates.
    certificates: Vec<[u8; 32]>,
    /// What its API server asks for.
    pub(crate) reviews: Arc<OfCluster>,
}

impl Spoke {
    /// Whether the bearer token is one of this cluster's. Hashes are compared, so time tells nothing of the token.
    pub fn bears(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.tokens.contains(&digest)
    }

    /// The cluster and its account.
    pub(crate) fn place(&self) -> Place {
        (self.cluster.uid, self.cluster.account)
    }

    /// Whether a certificate, by its SHA-256, still counts as this cluster's.
    pub fn shows(&self, certificate_sha256: &[u8; 32]) -> bool {
        self.certificates.contains(certificate_sha256)
    }
}

struct Index {
    source: Arc<ClusterDirectory>,
    by_id: HashMap<String, Arc<Spoke>, RandomState>,
    by_uid: HashMap<ClusterUid, Arc<Spoke>, RandomState>,
}

/// The directory of clusters, kept current by mapping's watch.
#[derive(Clone)]
pub struct Directory {
    watch: watch::Receiver<Arc<ClusterDirectory>>,
    index: Arc<ArcSwap<Index>>,
    reviews: Arc<Reviews>,
}

impl Directory {
    /// Follows the watch. The first so many clusters have a name among the metrics.
    pub fn follow(watch: watch::Receiver<Arc<ClusterDirectory>>, metric_clusters_max: usize) -> Self {
        let reviews = Arc::new(Reviews::new(metric_clusters_max));
        let index = compile(&watch.borrow(), &reviews);
        Self { watch, index: Arc::new(ArcSwap::from_pointee(index)), reviews }
    }

    /// The cluster of an id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Spoke>> {
        self.current().by_id.get(id).cloned()
    }

    /// The cluster of a uid.
    pub fn by_uid(&self, uid: ClusterUid) -> Option<Arc<Spoke>> {
        self.current().by_uid.get(&uid).cloned()
    }

    /// Compiled when the first reader comes after a change, so that a cluster is there as soon as its creation has answered.
    fn current(&self) -> Guard<Arc<Index>> {
        let index = self.index.load();
        let source = self.watch.borrow();
        if Arc::ptr_eq(&index.source, &source) {
            return index;
        }
        let compiled = compile(&source, &self.reviews);
        drop(source);
        self.index.store(Arc::new(compiled));
        self.index.load()
    }
}

/// Shows how current the directory is that mapping's process tells, for as long as somebody listens.
pub(crate) async fn show(mut watch: watch::Receiver<Arc<ClusterDirectory>>, clock: Arc<dyn Clock>) {
    loop {
        let revision = watch.borrow_and_update().revision.0;
        // One that was never heard is of revision 0.
        if revision > 0 {
            // Gauges are floats, which are exact up to 2^53.
            metrics::gauge!(names::DIRECTORY_REVISION).set(revision as f64);
            metrics::gauge!(names::DIRECTORY_HEARD_AT).set(clock.now().unix_timestamp_nanos() as f64 / 1e9);
        }
        if watch.changed().await.is_err() {
            return;
        }
    }
}

fn compile(directory: &Arc<ClusterDirectory>, reviews: &Reviews) -> Index {
    let (by_id, by_uid) = (HashMap::default(), HashMap::default());
    let mut index = Index { source: Arc::clone(directory), by_id, by_uid };
    for entry in &directory.clusters {
        let digests = |kind| {
            let of_kind = entry.credentials.iter().filter(move |credential| credential.kind == kind);
            let digests = of_kind.filter_map(|credential| {
                let mut digest = [0; 32];
                hex::decode_to_slice(&credential.token_sha256, &mut digest).ok().map(|()| digest)
            });
            digests.collect()
        };
        let spoke = Arc::new(Spoke {
            cluster: Arc::clone(&entry.cluster),
            tokens: digests(SpokeCredentialKind::Token),
            certificates: digests(SpokeCredentialKind::Certificate),
            reviews: reviews.of(&entry.cluster.id),
        });
        index.by_id.insert(entry.cluster.id.to_string(), Arc::clone(&spoke));
        index.by_uid.insert(entry.cluster.uid, spoke);
    }
    index
}

//! How many pods of one cluster may wait for their ServiceAccounts at once.
//!
//! Who waits holds one of the doors' places, which all clusters share: an API server that asks about what never comes would else hold all
//! of them, and nobody could log in anywhere.

use std::{convert::Infallible, sync::Arc};

use lanyard_api::ClusterUid;
use quick_cache::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Above what an API server has in work itself (kube-apiserver, `--max-mutating-requests-inflight`: 200), for two of a cluster; an eighth
/// of what the doors take.
const OF_CLUSTER_MAX: usize = 512;
/// Clusters that are remembered, those used last.
const CLUSTERS_MAX: usize = 8_192;

/// The places to wait, by cluster.
pub(crate) struct Waits(Cache<ClusterUid, Arc<Semaphore>>);

impl Default for Waits {
    fn default() -> Self {
        Self(Cache::new(CLUSTERS_MAX))
    }
}

impl Waits {
    /// A place to wait, as long as the answer is held; none where too many of the cluster wait.
    pub(super) fn place(&self, cluster: ClusterUid) -> Option<OwnedSemaphorePermit> {
        let fresh = || Ok::<_, Infallible>(Arc::new(Semaphore::new(OF_CLUSTER_MAX)));
        let places = self.0.get_or_insert_with(&cluster, fresh).unwrap_or_else(|never| match never {});
        places.try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immunity_28_pods_of_one_cluster_that_wait_leave_those_of_others_their_places() {
        let waits = Waits::default();
        let (loud, quiet) = (ClusterUid::random(), ClusterUid::random());
        let held: Vec<_> = std::iter::from_fn(|| waits.place(loud)).collect();
        assert_eq!(held.len(), OF_CLUSTER_MAX);
        assert!(waits.place(quiet).is_some());
        drop(held);
        assert!(waits.place(loud).is_some());
    }
}

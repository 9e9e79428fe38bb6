//! How often may be vended: so many a second for each namespace, so that no namespace's burst starves another's, and for each
//! cluster; and so many bad tokens for each node.

use std::time::Instant;

use lanyard_api::{ClusterUid, Fault};
use lanyard_aws::Buckets;

use crate::config::VendConfig;

/// Namespaces, and nodes, that are remembered at once, each in about 100 bytes. One that has not called for a moment is forgotten.
const KEYS_MAX: usize = 65_536;
/// Clusters that are remembered at once.
const CLUSTERS_MAX: usize = 8_192;

/// The buckets of those who vend.
pub(crate) struct Budgets {
    of_namespace: Buckets<(ClusterUid, String)>,
    of_cluster: Buckets<ClusterUid>,
    of_bad_tokens: Buckets<(ClusterUid, String)>,
}

impl Budgets {
    pub(crate) fn new(config: &VendConfig) -> Self {
        Self {
            of_namespace: Buckets::new(config.per_namespace, KEYS_MAX),
            of_cluster: Buckets::new(config.per_cluster, CLUSTERS_MAX),
            of_bad_tokens: Buckets::new(config.bad_tokens_per_node, KEYS_MAX),
        }
    }

    /// Takes one vend of a namespace, which a verified token names. Whoever is over their own limit takes nothing of what the cluster's
    /// namespaces share.
    pub(crate) fn take(&self, cluster: ClusterUid, namespace: &str, now: Instant) -> Result<(), Fault> {
        let own = self.of_namespace.take((cluster, namespace.to_owned()), now);
        own.map_err(throttled("this namespace's share of vending"))?;
        self.of_cluster.take(cluster, now).map_err(throttled("this cluster's share of vending"))
    }

    /// Takes one bad token of a caller, whose verification was in vain.
    pub(crate) fn take_bad(&self, cluster: ClusterUid, caller: &str, now: Instant) -> Result<(), Fault> {
        let taken = self.of_bad_tokens.take((cluster, caller.to_owned()), now);
        taken.map_err(throttled("this node's share of tokens that are not good"))
    }
}

fn throttled(part: &'static str) -> impl Fn(std::time::Duration) -> Fault {
    move |wait| Fault::Throttled { part: part.into(), retry_after: Some(wait) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanyard_aws::Quota;

    use super::*;

    #[test]
    fn immunity_28_a_namespaces_burst_takes_nothing_of_anothers() {
        let quota = |burst| Quota { per_second: 1, burst };
        let config = VendConfig {
            per_namespace: quota(3),
            per_cluster: quota(5),
            bad_tokens_per_node: quota(2),
            ..VendConfig::default()
        };
        let (budgets, now) = (Budgets::new(&config), Instant::now());
        let (dev, prod) = (ClusterUid::random(), ClusterUid::random());
        let vended = |cluster, namespace: &str| {
            (0..100).filter(|_| budgets.take(cluster, namespace, now).is_ok()).count()
        };
        assert_eq!(vended(dev, "loud"), 3);
        assert_eq!(
            vended(dev, "quiet"),
            2,
            "what is left of the cluster's, which the loud one took no more of"
        );
        assert_eq!(vended(prod, "loud"), 3, "another cluster is another budget");
        let fault = budgets.take(dev, "loud", now).unwrap_err();
        assert!(matches!(fault, Fault::Throttled { retry_after: Some(_), .. }), "{fault:?}");
        assert!(budgets.take(dev, "loud", now + Duration::from_secs(10)).is_ok());
        let bad = |caller: &str| (0..100).filter(|_| budgets.take_bad(dev, caller, now).is_ok()).count();
        assert_eq!((bad("node-1"), bad("node-2")), (2, 2));
    }
}

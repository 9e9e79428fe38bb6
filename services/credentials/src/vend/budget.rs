//! How often may be vended: so many a second for each namespace, with a part that is its own whatever others do, and for each
//! cluster; and so many bad tokens for each node.

use std::time::Instant;

use lanyard_api::{ClusterUid, Fault};
use lanyard_kit::limits::Buckets;

use crate::{
    config::VendConfig,
    shares::{Parts, Quotas, Shares, throttled},
};

/// Nodes that are remembered at once, and namespaces on them, each in about 100 bytes. One that has not called for a moment is forgotten.
const NODES_MAX: usize = 65_536;
/// What a node is told that brings too many bad ones.
const BAD_TOKENS: &str = "this node's share of tokens that are not good";

/// Who wants to know of a token: the caller that brings it, and the namespace that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) cluster: ClusterUid,
    pub(crate) caller: String,
    pub(crate) namespace: String,
}

/// The buckets of those who vend.
pub(crate) struct Budgets {
    of_namespaces: Shares<ClusterUid>,
    of_bad_tokens: Buckets<(ClusterUid, String)>,
    of_dead_tokens: Buckets<Asker>,
}

impl Budgets {
    pub(crate) fn new(config: &VendConfig) -> Self {
        let quotas = Quotas {
            of_one: config.per_namespace,
            guaranteed: config.per_namespace_guaranteed,
            of_all: config.per_cluster,
        };
        let parts = Parts {
            of_one: "this namespace's share of vending",
            of_all: "what this cluster's namespaces share of vending",
        };
        Self {
            of_namespaces: Shares::new(quotas, parts),
            of_bad_tokens: Buckets::new(config.bad_tokens_per_node, NODES_MAX),
            of_dead_tokens: Buckets::new(config.bad_tokens_per_node, NODES_MAX),
        }
    }

    /// Takes one vend of a namespace, which a verified token names.
    pub(crate) fn take(&self, cluster: ClusterUid, namespace: &str, now: Instant) -> Result<(), Fault> {
        self.of_namespaces.take(&cluster, namespace, now)
    }

    /// Whether an API server is asked about one more token of this namespace that this caller brings: not where too many of them were
    /// dead. Nothing is taken.
    pub(crate) fn may_ask(&self, asker: &Asker, now: Instant) -> Result<(), Fault> {
        self.of_dead_tokens.has_room(asker, now).map_err(throttled(BAD_TOKENS))
    }

    /// Takes one dead token, about which an API server was asked in vain. Those that a caller brings of other namespaces are others': who
    /// has dead tokens keeps none but their own pods waiting.
    pub(crate) fn take_dead(&self, asker: &Asker, now: Instant) {
        // What was over before stays so.
        let _ = self.of_dead_tokens.take(asker.clone(), now);
    }

    /// Takes one bad token of a caller, whose verification was in vain.
    pub(crate) fn take_bad(&self, cluster: ClusterUid, caller: &str, now: Instant) -> Result<(), Fault> {
        let taken = self.of_bad_tokens.take((cluster, caller.to_owned()), now);
        taken.map_err(throttled(BAD_TOKENS))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanyard_kit::limits::Quota;

    use super::*;

    #[test]
    fn immunity_28_no_number_of_namespaces_bursts_takes_anothers_part() {
        let quota = |burst| Quota { per_second: 1, burst };
        let config = VendConfig {
            per_namespace: quota(4),
            per_namespace_guaranteed: quota(2),
            per_cluster: quota(5),
            bad_tokens_per_node: quota(2),
            ..VendConfig::default()
        };
        let (budgets, now) = (Budgets::new(&config), Instant::now());
        let (dev, prod) = (ClusterUid::random(), ClusterUid::random());
        let vended = |cluster, namespace: &str| {
            (0..100).filter(|_| budgets.take(cluster, namespace, now).is_ok()).count()
        };
        // Two of its own each, and of the cluster's five as far as they go.
        for (namespace, expected) in
            [("loud-1", 4), ("loud-2", 4), ("loud-3", 3), ("loud-4", 2), ("quiet", 2)]
        {
            assert_eq!(vended(dev, namespace), expected, "{namespace}");
        }
        assert_eq!(vended(prod, "loud-1"), 4, "another cluster is another budget");
        let fault = budgets.take(dev, "loud-1", now).unwrap_err();
        assert!(matches!(fault, Fault::Throttled { retry_after: Some(_), .. }), "{fault:?}");
        assert!(budgets.take(dev, "loud-1", now + Duration::from_secs(10)).is_ok());
        let bad = |caller: &str| (0..100).filter(|_| budgets.take_bad(dev, caller, now).is_ok()).count();
        assert_eq!((bad("node-1"), bad("node-2")), (2, 2));
    }
}

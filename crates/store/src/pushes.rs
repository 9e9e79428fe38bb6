//! How often the spoke of a cluster may push what it sees: each push that differs is a transaction, a line of the chain and a new
//! snapshot in every process.

use std::time::Instant;

use lanyard_api::{Actor, ActorKind, ClusterUid, Fault};
use lanyard_kit::{
    limits::{Buckets, Quota},
    telemetry::{Counters, names},
};
use serde::{Deserialize, Serialize};

/// Buckets at once: of a cluster one for each thing that its spoke pushes.
const BUCKETS_MAX: usize = 65_536;

/// How often one thing of one cluster may be pushed by its spoke, in each process. Ours pushes once a second at most, and what it sees
/// meanwhile goes along, so that none that behaves meets this. Whoever manages a cluster is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpokePushQuota {
    /// Pushes a second, over time; 0 counts as 1.
    pub per_second: u32,
    /// Pushes at once.
    pub burst: u32,
}

impl Default for SpokePushQuota {
    fn default() -> Self {
        Self { per_second: 10, burst: 100 }
    }
}

/// Counts what spokes push.
pub struct SpokePushes {
    quota: SpokePushQuota,
    buckets: Buckets<(ClusterUid, &'static str)>,
    throttled: Counters<()>,
}

impl SpokePushes {
    /// Nobody has pushed yet. Make it after the metrics recorder.
    #[must_use]
    pub fn new(quota: SpokePushQuota) -> Self {
        let SpokePushQuota { per_second, burst } = quota;
        let buckets = Buckets::new(Quota { per_second, burst }, BUCKETS_MAX);
        Self { quota, buckets, throttled: Counters::new(names::STORE_PUSHES_THROTTLED_TOTAL) }
    }

    /// Takes one push of `what` (`aws-auth`), if it comes of a spoke. Asked before anything is read of it.
    ///
    /// # Errors
    /// [`Fault::Throttled`], with when to come again, where its cluster has pushed too often.
    pub fn admit(&self, by: &Actor, what: &'static str) -> Result<(), Fault> {
        self.admit_at(by, what, Instant::now())
    }

    fn admit_at(&self, by: &Actor, what: &'static str, now: Instant) -> Result<(), Fault> {
        let ActorKind::Spoke { cluster } = &by.kind else { return Ok(()) };
        self.buckets.take((*cluster, what), now).map_err(|wait| {
            self.throttled.increment(());
            let SpokePushQuota { per_second, burst } = self.quota;
            tracing::debug!(cluster.uid = %cluster, what, "a spoke pushes too often");
            let part = format!(
                "what this cluster's spoke may push of {what} ({burst} pushes at once, then {per_second} a second)"
            );
            Fault::Throttled { part: part.into(), retry_after: Some(wait) }
        })
    }
}

impl std::fmt::Debug for SpokePushes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpokePushes").field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spoke(cluster: ClusterUid) -> Actor {
        Actor { kind: ActorKind::Spoke { cluster }, ..Actor::system("test") }
    }

    #[test]
    fn immunity_28_a_spoke_that_floods_is_held_to_its_rate_and_leaves_others_theirs() {
        let (pushes, now) = (SpokePushes::new(SpokePushQuota { per_second: 10, burst: 3 }), Instant::now());
        let (one, other) = (spoke(ClusterUid::random()), spoke(ClusterUid::random()));
        let taken = |by: &Actor, what, at| (0..300).filter(|_| pushes.admit_at(by, what, at).is_ok()).count();
        assert_eq!(taken(&one, "aws-auth", now), 3);
        assert_eq!(taken(&one, "RBAC objects", now), 3, "each thing has its own");
        assert_eq!(taken(&other, "aws-auth", now), 3);
        assert_eq!(taken(&Actor::system("an operator"), "aws-auth", now), 300);
        let fault = pushes.admit_at(&one, "aws-auth", now).unwrap_err();
        let said = "what this cluster's spoke may push of aws-auth (3 pushes at once, then 10 a second) is over its limit: try again in 1 s";
        assert_eq!(fault.to_string(), said);
        assert!(
            matches!(fault, Fault::Throttled { retry_after: Some(wait), .. } if wait == Duration::from_millis(100))
        );
        assert_eq!(
            taken(&one, "aws-auth", now + Duration::from_secs(10)),
            3,
            "what is not used is not saved up"
        );
    }

    #[test]
    fn a_spoke_that_pushes_each_second_never_meets_it() {
        let (pushes, now) = (SpokePushes::new(SpokePushQuota::default()), Instant::now());
        let by = spoke(ClusterUid::random());
        assert!(
            (0..1_000).all(|second| {
                pushes.admit_at(&by, "aws-auth", now + Duration::from_secs(second)).is_ok()
            })
        );
    }
}

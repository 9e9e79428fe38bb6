//! How often the spoke of a cluster may push what it sees, and how much: each push that differs is a transaction, lines of the chain that
//! stay for good, and a new snapshot in every process.

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
    /// KiB a second, over time, of what the chain keeps of the pushes: what they change, as it was before and as it is after, and who did it
    /// and why. 0 counts as 1.
    pub kib_per_second: u32,
    /// KiB of it at once. A push of more is taken where there is any left, and waited for afterwards.
    pub kib_burst: u32,
}

impl Default for SpokePushQuota {
    /// The first list of a cluster of thousands of objects, and then one that changes all of it, are below the burst; the rate is some
    /// 1.3 GiB a day.
    fn default() -> Self {
        Self { per_second: 10, burst: 100, kib_per_second: 16, kib_burst: 64 * 1024 }
    }
}

/// Bytes of the unit in which is counted what pushes change.
const KIB: u64 = 1024;

/// Counts what spokes push.
pub struct SpokePushes {
    quota: SpokePushQuota,
    buckets: Buckets<(ClusterUid, &'static str)>,
    written: Buckets<(ClusterUid, &'static str)>,
    throttled: Counters<()>,
}

impl SpokePushes {
    /// Nobody has pushed yet. Make it after the metrics recorder.
    #[must_use]
    pub fn new(quota: SpokePushQuota) -> Self {
        let SpokePushQuota { per_second, burst, kib_per_second, kib_burst } = quota;
        Self {
            quota,
            buckets: Buckets::new(Quota { per_second, burst }, BUCKETS_MAX),
            written: Buckets::new(Quota { per_second: kib_per_second, burst: kib_burst }, BUCKETS_MAX),
            throttled: Counters::new(names::STORE_PUSHES_THROTTLED_TOTAL),
        }
    }

    /// Takes one push of `what` (`aws-auth`), if it comes of a spoke. Asked before anything is read of it.
    ///
    /// # Errors
    /// [`Fault::Throttled`], with when to come again, where its cluster has pushed too often.
    pub fn admit(&self, by: &Actor, what: &'static str) -> Result<(), Fault> {
        self.admit_at(by, what, Instant::now())
    }

    /// A push of `what` leaves lines of so many bytes ([`Transaction::line_bytes`](crate::Transaction::line_bytes)), if it comes of a
    /// spoke. Told before it is committed: whoever pushes may be gone by the end of that, and the lines are there all the same.
    pub fn wrote(&self, by: &Actor, what: &'static str, bytes: u64) {
        self.wrote_at(by, what, bytes, Instant::now());
    }

    fn admit_at(&self, by: &Actor, what: &'static str, now: Instant) -> Result<(), Fault> {
        let ActorKind::Spoke { cluster } = &by.kind else { return Ok(()) };
        let SpokePushQuota { per_second, burst, kib_per_second, kib_burst } = self.quota;
        let throttled = |part: String, wait| {
            self.throttled.increment(());
            tracing::debug!(cluster.uid = %cluster, what, "a spoke pushes too often, or too much");
            Fault::Throttled { part: part.into(), retry_after: Some(wait) }
        };
        self.written.has_room(&(*cluster, what), now).map_err(|wait| {
            let part = format!(
                "what this cluster's spoke may change of {what} ({kib_burst} KiB at once, then {kib_per_second} KiB a second)"
            );
            throttled(part, wait)
        })?;
        self.buckets.take((*cluster, what), now).map_err(|wait| {
            let part = format!(
                "what this cluster's spoke may push of {what} ({burst} pushes at once, then {per_second} a second)"
            );
            throttled(part, wait)
        })
    }

    fn wrote_at(&self, by: &Actor, what: &'static str, bytes: u64, now: Instant) {
        if let ActorKind::Spoke { cluster } = &by.kind {
            self.written.charge((*cluster, what), bytes.div_ceil(KIB), now);
        }
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
        let quota = SpokePushQuota { per_second: 10, burst: 3, ..SpokePushQuota::default() };
        let (pushes, now) = (SpokePushes::new(quota), Instant::now());
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
    fn immunity_28_what_a_spoke_leaves_in_the_chain_is_held_to_a_rate_of_its_own() {
        let quota = SpokePushQuota { kib_per_second: 10, kib_burst: 100, ..SpokePushQuota::default() };
        let (pushes, now) = (SpokePushes::new(quota), Instant::now());
        let (one, other) = (spoke(ClusterUid::random()), spoke(ClusterUid::random()));
        pushes.wrote_at(&one, "aws-auth", 0, now);
        pushes.wrote_at(&one, "aws-auth", 1, now);
        assert!(pushes.admit_at(&one, "aws-auth", now).is_ok(), "a byte is a KiB, and there are more");
        // More than may come at once is taken, and waited for.
        pushes.wrote_at(&one, "aws-auth", 199 * KIB, now);
        let fault = pushes.admit_at(&one, "aws-auth", now).unwrap_err();
        let said = "what this cluster's spoke may change of aws-auth (100 KiB at once, then 10 KiB a second) is over its limit: try again in";
        assert!(fault.to_string().starts_with(said), "{fault}");
        let wait = Duration::from_millis(10_100);
        assert!(matches!(fault, Fault::Throttled { retry_after: Some(after), .. } if after == wait));
        assert!(pushes.admit_at(&one, "RBAC objects", now).is_ok(), "each thing has its own");
        assert!(pushes.admit_at(&other, "aws-auth", now).is_ok());
        assert!(pushes.admit_at(&one, "aws-auth", now + wait).is_ok());
        let operator = Actor::system("an operator");
        pushes.wrote_at(&operator, "aws-auth", u64::MAX, now);
        assert!(pushes.admit_at(&operator, "aws-auth", now).is_ok());
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

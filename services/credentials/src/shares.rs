//! Who shares what: of each group (a cluster, an issuer) there is so much for all of its tenants together and so much for each, and each
//! has a small part that no other's burst can take.

use std::{convert::Infallible, hash::Hash, sync::Arc, time::Instant};

use lanyard_api::Fault;
use lanyard_kit::limits::{Buckets, Quota};
use quick_cache::sync::Cache;

/// Groups that are remembered at once, those used last. Who is forgotten begins anew.
const GROUPS_MAX: usize = 8_192;
/// Tenants of one group that are remembered at once, each in about 100 bytes. One that has not asked for a moment is forgotten.
const TENANTS_MAX: usize = 16_384;
/// Tenants of one group that have a part of their own at once: what is granted beside the common share is bounded by it. Those that
/// come when so many have asked within the last moments take of the common share alone.
pub(crate) const GUARANTEED_MAX: usize = 500;

/// How often each may ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quotas {
    /// One tenant, in all.
    pub(crate) of_one: Quota,
    /// What of that is not taken out of the common share.
    pub(crate) guaranteed: Quota,
    /// All tenants of a group together, beyond that.
    pub(crate) of_all: Quota,
}

/// What the limits are called where they are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) of_one: &'static str,
    pub(crate) of_all: &'static str,
}

/// The buckets of all groups.
pub(crate) struct Shares<G> {
    quotas: Quotas,
    parts: Parts,
    groups: Cache<G, Arc<Group>>,
}

struct Group {
    of_one: Buckets<String>,
    guaranteed: Buckets<String>,
    of_all: Buckets<()>,
}

impl Group {
    fn new(quotas: Quotas) -> Self {
        Self {
            of_one: Buckets::new(quotas.of_one, TENANTS_MAX),
            guaranteed: Buckets::new(quotas.guaranteed, GUARANTEED_MAX),
            of_all: Buckets::new(quotas.of_all, 1),
        }
    }
}

impl<G: Hash + Eq + Clone> Shares<G> {
    pub(crate) fn new(quotas: Quotas, parts: Parts) -> Self {
        Self { quotas, parts, groups: Cache::new(GROUPS_MAX) }
    }

    /// Takes one call of a tenant: of its own limit always, and of the common share only what is beyond its guaranteed part. Whoever is
    /// over their own limit takes nothing of what the others share.
    pub(crate) fn take(&self, group: &G, tenant: &str, now: Instant) -> Result<(), Fault> {
        let (of, tenant) = (self.group(group), tenant.to_owned());
        of.of_one.take(tenant.clone(), now).map_err(throttled(self.parts.of_one))?;
        if of.guaranteed.take(tenant.clone(), now).is_ok() {
            return Ok(());
        }
        of.of_all.take((), now).map_err(|wait| {
            of.of_one.give_back(&tenant, now);
            throttled(self.parts.of_all)(wait)
        })
    }

    /// Whether the tenant has anything left of its own limit. Nothing is taken.
    pub(crate) fn has_room(&self, group: &G, tenant: &str, now: Instant) -> Result<(), Fault> {
        let room = self.group(group).of_one.has_room(&tenant.to_owned(), now);
        room.map_err(throttled(self.parts.of_one))
    }

    fn group(&self, group: &G) -> Arc<Group> {
        let fresh = || Ok::<_, Infallible>(Arc::new(Group::new(self.quotas)));
        self.groups.get_or_insert_with(group, fresh).unwrap_or_else(|never| match never {})
    }
}

/// A limit that is reached.
pub(crate) fn throttled(part: &'static str) -> impl Fn(std::time::Duration) -> Fault {
    move |wait| Fault::Throttled { part: part.into(), retry_after: Some(wait) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PARTS: Parts = Parts { of_one: "the tenant's", of_all: "the group's" };

    fn shares(of_one: u32, guaranteed: u32, of_all: u32) -> Shares<u8> {
        let quota = |burst| Quota { per_second: 1, burst };
        Shares::new(
            Quotas { of_one: quota(of_one), guaranteed: quota(guaranteed), of_all: quota(of_all) },
            PARTS,
        )
    }

    fn taken(shares: &Shares<u8>, tenant: &str, now: Instant) -> u32 {
        (0..100).map(|_| u32::from(shares.take(&0, tenant, now).is_ok())).sum()
    }

    #[test]
    fn immunity_28_no_number_of_noisy_tenants_takes_a_quiet_ones_part() {
        let now = Instant::now();
        for noisy in [1, 2, 10, 11, 100, GUARANTEED_MAX - 1] {
            let shares = shares(20, 3, 30);
            for number in 0..noisy {
                taken(&shares, &format!("noisy-{number}"), now);
            }
            // One noisy tenant has left something of the common share; two have not.
            let expected = if noisy == 1 { 3 + (30 - 17) } else { 3 };
            assert_eq!(taken(&shares, "quiet", now), expected, "{noisy}");
            assert!(shares.take(&1, "quiet", now).is_ok(), "another group is another share");
        }
    }

    #[test]
    fn what_all_may_have_at_once_is_bounded() {
        let (shares, now) = (shares(20, 1, 30), Instant::now());
        let all: u32 = (0..2 * GUARANTEED_MAX).map(|number| taken(&shares, &number.to_string(), now)).sum();
        assert_eq!(all as usize, 30 + GUARANTEED_MAX);
    }

    #[test]
    fn a_limit_that_is_reached_is_named_and_what_was_not_had_is_not_taken() {
        let (shares, now) = (shares(4, 1, 2), Instant::now());
        let part = |answer: Result<(), Fault>| match answer {
            Err(Fault::Throttled { part, retry_after: Some(_) }) => part.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(taken(&shares, "a", now), 3, "one of its own and two of the common share");
        assert_eq!(part(shares.take(&0, "a", now)), "the group's");
        assert!(shares.has_room(&0, "a", now).is_ok(), "its own limit lost nothing by that");
        assert_eq!(taken(&shares, "a", now + Duration::from_secs(1)), 2, "each part comes again by itself");
        let own = of_two();
        assert_eq!(taken(&own, "a", now), 2);
        assert_eq!(part(own.take(&0, "a", now)), "the tenant's");
        assert_eq!(part(own.has_room(&0, "a", now)), "the tenant's");
    }

    fn of_two() -> Shares<u8> {
        shares(2, 1, 100)
    }

    proptest! {
        /// The model: whatever others do and when, who never asks beyond the guaranteed part always gets it.
        #[test]
        fn who_stays_within_the_guaranteed_part_is_never_refused(
            calls in prop::collection::vec((0u64..300, 0u8..12, 1usize..40), 1..60),
        ) {
            let (shares, start) = (shares(20, 2, 10), Instant::now());
            let mut at = Duration::ZERO;
            let mut quiet_at = None;
            for (gap, noisy, many) in calls {
                at += Duration::from_millis(gap);
                for _ in 0..many {
                    let _ = shares.take(&0, &format!("noisy-{noisy}"), start + at);
                }
                if quiet_at.is_none_or(|last| at - last >= Duration::from_secs(1)) {
                    quiet_at = Some(at);
                    prop_assert!(shares.take(&0, "quiet", start + at).is_ok(), "at {at:?}");
                }
            }
        }
    }
}

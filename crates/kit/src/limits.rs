//! How often something may be done: one bounded table of buckets.

mod network;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use network::network_of;

/// A rate with room for bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Calls a second, over time. 0 lets nothing through beyond the burst of the first second.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

/// As good as never, and within what clocks can say, however many calls have to wait for it.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// What is told to wait where it is as good as never: whoever waits so long asks again, and finds what a restart has set right.
const NEVER_TOLD: Duration = Duration::from_mins(1);

impl Quota {
    /// The time that one call uses up.
    fn interval(self) -> Duration {
        Duration::from_secs(1).checked_div(self.per_second).unwrap_or(NEVER)
    }

    /// What is told of a time that a call has to wait.
    fn told(self, wait: Duration) -> Duration {
        if self.per_second == 0 { wait.min(NEVER_TOLD) } else { wait }
    }

    /// Whether nothing at all gets through.
    fn is_none(self) -> bool {
        self.per_second == 0 && self.burst == 0
    }
}

/// A bucket for each key, by the generic cell rate algorithm: of each key one moment is kept, until which it has used
/// up its calls. A moment that has passed is as good as none, so the table forgets it when it needs room.
pub struct Buckets<K> {
    quota: Quota,
    keys_max: usize,
    used_until: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Buckets of this quota, for so many keys at once.
    #[must_use]
    pub fn new(quota: Quota, keys_max: usize) -> Self {
        Self { quota, keys_max, used_until: Mutex::new(HashMap::new()) }
    }

    /// Takes one call of the key. A table full of keys that are all in use takes no new key until one has come to rest.
    ///
    /// # Errors
    /// After which time to try again.
    pub fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut table = locked(&self.used_until);
        self.has_place(&mut table, &key, now)?;
        let until = table.entry(key).or_insert(now);
        let from = self.has_call(*until, now)?;
        *until = from + self.quota.interval();
        Ok(())
    }

    /// Takes so many calls of the key whether it has them or not: what it has not, it has to wait for before it has one again.
    pub fn charge(&self, key: K, calls: u64, now: Instant) {
        let mut table = locked(&self.used_until);
        // Whom a full table does not take has no call anyway.
        if calls == 0 || self.has_place(&mut table, &key, now).is_err() {
            return;
        }
        let until = table.entry(key).or_insert(now);
        let time = self.quota.interval().saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX));
        // One beyond what a clock can say stays as it is.
        *until = (*until).max(now).checked_add(time).unwrap_or(*until);
    }

    /// Whether the key has a call to take, of which nothing is taken.
    ///
    /// # Errors
    /// After which time to try again.
    pub fn has_room(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut table = locked(&self.used_until);
        self.has_place(&mut table, key, now)?;
        let until = table.get(key).copied().unwrap_or(now);
        self.has_call(until, now).map(drop)
    }

    /// Gives back one call that was taken of the key and is no longer to count. Never more comes of it than the burst.
    pub fn give_back(&self, key: &K, now: Instant) {
        if let Some(until) = locked(&self.used_until).get_mut(key) {
            *until = until.checked_sub(self.quota.interval()).unwrap_or(now);
        }
    }

    /// Whether the table has a place for the key.
    fn has_place(&self, table: &mut HashMap<K, Instant>, key: &K, now: Instant) -> Result<(), Duration> {
        if !table.contains_key(key) && table.len() >= self.keys_max {
            table.retain(|_, until| *until > now);
            if table.len() >= self.keys_max {
                return Err(self.quota.told(self.quota.interval()));
            }
        }
        Ok(())
    }

    /// From when one call more counts, of a key that has used up its calls until then.
    fn has_call(&self, until: Instant, now: Instant) -> Result<Instant, Duration> {
        if self.quota.is_none() {
            return Err(self.quota.told(NEVER));
        }
        let from = until.max(now);
        let room = self.quota.interval() * self.quota.burst.saturating_sub(1);
        match (from - now).checked_sub(room) {
            None | Some(Duration::ZERO) => Ok(from),
            Some(wait) => Err(self.quota.told(wait)),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        locked(&self.used_until).len()
    }
}

/// The table holds no invariant that a panic elsewhere could break half-way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUOTA: Quota = Quota { per_second: 10, burst: 3 };
    const STEP: Duration = Duration::from_millis(100);

    #[test]
    fn a_key_has_its_burst_and_then_its_rate_and_says_when_to_come_again() {
        let (buckets, start) = (Buckets::new(QUOTA, 8), Instant::now());
        for call in 0..3 {
            assert_eq!(buckets.take("a", start), Ok(()), "call {call}");
        }
        assert_eq!(buckets.take("a", start), Err(STEP));
        assert_eq!(buckets.take("a", start + STEP / 2), Err(STEP / 2));
        assert_eq!(buckets.take("a", start + STEP), Ok(()));
        assert_eq!(buckets.take("a", start + STEP), Err(STEP));
        assert_eq!(buckets.take("b", start), Ok(()), "another key has a bucket of its own");
    }

    #[test]
    fn a_rate_of_nothing_has_its_burst_and_then_nothing_more() {
        for (burst, expected) in [(0, 0), (1, 1), (5, 5)] {
            let (buckets, start) = (Buckets::new(Quota { per_second: 0, burst }, 8), Instant::now());
            let day = Duration::from_hours(24);
            let taken = (0..100).filter(|days| buckets.take("a", start + day * *days).is_ok()).count();
            assert_eq!(taken, expected, "{burst}");
            assert!(buckets.has_room(&"a", start).is_err());
        }
        let most = Buckets::new(Quota { per_second: 0, burst: u32::MAX }, 8);
        most.charge("a", u64::MAX, Instant::now());
        assert!(most.take("a", Instant::now()).is_err() && most.take("b", Instant::now()).is_ok());
    }

    #[test]
    fn who_meets_a_rate_of_nothing_is_told_to_come_again_in_a_minute() {
        let minute = Duration::from_mins(1);
        for burst in [0, 1, 5] {
            let (buckets, start) = (Buckets::new(Quota { per_second: 0, burst }, 1), Instant::now());
            buckets.charge("a", 65_536, start);
            assert_eq!(buckets.has_room(&"a", start), Err(minute), "{burst}");
            assert_eq!(buckets.take("a", start), Err(minute), "{burst}");
            assert_eq!(buckets.take("b", start), Err(minute), "{burst}: there is no place");
            assert_eq!(
                buckets.take("a", start + minute),
                Err(minute),
                "{burst}: it comes to no more for that"
            );
        }
        let slow = Buckets::new(Quota { per_second: 1, burst: 1 }, 1);
        let start = Instant::now();
        slow.charge("a", 3_600, start);
        assert_eq!(slow.take("a", start), Err(Duration::from_hours(1)), "what ends is told as it is");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more_than_the_burst() {
        let (buckets, start) = (Buckets::new(QUOTA, 8), Instant::now());
        let taken = |now: Instant| (0..100).filter(|_| buckets.take("a", now).is_ok()).count();
        assert_eq!(buckets.has_room(&"a", start), Ok(()));
        assert_eq!(taken(start), 3);
        assert_eq!(buckets.has_room(&"a", start), Err(STEP));
        buckets.give_back(&"a", start);
        assert_eq!((buckets.has_room(&"a", start), taken(start)), (Ok(()), 1));
        for _ in 0..10 {
            buckets.give_back(&"a", start);
            buckets.give_back(&"never seen", start);
        }
        assert_eq!(taken(start), 3);
        assert_eq!(buckets.len(), 1);
    }

    #[test]
    fn what_is_charged_beyond_the_burst_is_waited_for() {
        let (buckets, start) = (Buckets::new(QUOTA, 1), Instant::now());
        buckets.charge("a", 0, start);
        assert_eq!(buckets.len(), 0, "nothing is nothing");
        buckets.charge("a", 2, start);
        assert_eq!(buckets.has_room(&"a", start), Ok(()), "there is one left");
        buckets.charge("a", 10, start);
        assert_eq!(buckets.has_room(&"a", start), Err(STEP * 10));
        assert_eq!(buckets.take("a", start + STEP * 9), Err(STEP));
        assert_eq!(buckets.take("a", start + STEP * 10), Ok(()));
        buckets.charge("b", 10, start);
        assert_eq!(buckets.len(), 1, "there is no place");
        buckets.charge("a", u64::MAX, start);
        assert!(buckets.has_room(&"a", start).is_err());
    }

    #[test]
    fn immunity_28_a_flood_of_keys_does_not_grow_the_table_and_does_not_push_anyone_out() {
        let (buckets, start) = (Buckets::new(QUOTA, 100), Instant::now());
        for _ in 0..3 {
            assert_eq!(buckets.take(0, start), Ok(()));
        }
        let refused = (1..1000).filter(|key| buckets.take(*key, start).is_err()).count();
        assert_eq!((buckets.len(), refused), (100, 900));
        assert_eq!(buckets.take(0, start), Err(STEP), "who is over the limit is not forgotten");
        assert_eq!(buckets.take(5000, start + Duration::from_secs(1)), Ok(()), "keys at rest make room");
        assert_eq!(buckets.len(), 1);
    }

    proptest! {
        /// The model: in any second's window there are at most `burst + rate` calls.
        #[test]
        fn no_window_holds_more_than_burst_and_rate(gaps in prop::collection::vec(0u64..400, 1..200)) {
            let (buckets, start) = (Buckets::new(QUOTA, 8), Instant::now());
            let mut at = Duration::ZERO;
            let mut taken = Vec::new();
            for gap in gaps {
                at += Duration::from_millis(gap);
                if buckets.take("a", start + at).is_ok() {
                    taken.push(at);
                }
            }
            for (place, from) in taken.iter().enumerate() {
                let within = taken[place..].iter().take_while(|call| **call - *from < Duration::from_secs(1)).count();
                prop_assert!(within <= 13, "{within} calls from {from:?}");
            }
        }
    }
}

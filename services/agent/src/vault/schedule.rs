//! When credentials are renewed. Pure.

use lanyard_iam::TokenDigest;
use time::{Duration, OffsetDateTime};

/// The share of a life after which credentials are renewed at the latest, in percent: SDKs begin to ask for new ones a quarter of
/// an hour before the end, and of six hours three tenths leave room for an outage of the hub.
const LIFE_PERCENT: i32 = 70;
/// By how much renewals of one moment are spread, in percent of the time until they are due.
const SPREAD_PERCENT: i32 = 10;
/// Until a renewal that failed is tried again; as much again is added by chance (the published agent's figures).
const AGAIN_AFTER: Duration = Duration::minutes(1);
/// Least time until then, where the credentials end soon.
const AGAIN_AFTER_MIN: Duration = Duration::seconds(1);

/// How long credentials that a hub made itself are handed out before it is asked about them, though their renewal is not due: it may
/// have ended them since, and tells nobody. So long a hub gives a pod what it has (`credentials.vend.kept_seconds`), so that the question
/// is mostly cheap.
const QUESTION_AFTER: Duration = Duration::minutes(5);

/// When credentials are renewed.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Longest time until then.
    pub retention_max: Duration,
}

impl Schedule {
    /// When credentials are due: after the retention or a part of their life, whichever is sooner, less a part by chance. The
    /// token's hash is the chance: it is as good as any, and two entries of one moment have two of them.
    #[must_use]
    pub fn renewal(
        &self,
        digest: &TokenDigest,
        from: OffsetDateTime,
        ends: OffsetDateTime,
    ) -> OffsetDateTime {
        let life: Duration = ends - from;
        let until = (life * LIFE_PERCENT / 100_i32).min(self.retention_max);
        from.saturating_add(until - until * SPREAD_PERCENT / 100_i32 * chance(digest))
    }

    /// How long after the last question there is another one about credentials of a hub's own making that are in use; spread as renewals are.
    #[must_use]
    pub fn question_after(digest: &TokenDigest) -> Duration {
        QUESTION_AFTER - QUESTION_AFTER * SPREAD_PERCENT / 100_i32 * chance(digest)
    }

    /// When a renewal that came to nothing is tried again: sooner where little is left.
    #[must_use]
    pub fn again(&self, digest: &TokenDigest, now: OffsetDateTime, ends: OffsetDateTime) -> OffsetDateTime {
        let left: Duration = ends - now;
        let after = (AGAIN_AFTER + AGAIN_AFTER * chance(digest)).min(left / 4_i32);
        now.saturating_add(after.max(AGAIN_AFTER_MIN))
    }
}

/// From 0 to 1.
fn chance(digest: &TokenDigest) -> f64 {
    let [first, second, ..] = *digest.as_bytes();
    f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    #[test]
    fn renewals_come_well_ahead_and_are_spread() {
        let schedule = Schedule { retention_max: Duration::hours(3) };
        let cases = [
            // life, earliest, latest
            (Duration::hours(6), Duration::minutes(162), Duration::minutes(180)),
            (Duration::hours(1), Duration::seconds(2268), Duration::seconds(2520)),
            (Duration::minutes(15), Duration::seconds(567), Duration::seconds(630)),
        ];
        for (life, earliest, latest) in cases {
            let due: Vec<Duration> = (0..50)
                .map(|n| schedule.renewal(&TokenDigest::of(&n.to_string()), NOON, NOON + life) - NOON)
                .collect();
            assert!(due.iter().all(|due| (earliest..=latest).contains(due)), "{life}: {due:?}");
            let spread = *due.iter().max().unwrap() - *due.iter().min().unwrap();
            assert!(spread > (latest - earliest) / 2, "{life}: {spread}");
        }
    }

    #[test]
    fn questions_about_what_is_in_use_are_minutes_apart_and_spread() {
        let after: Vec<Duration> =
            (0..50).map(|n| Schedule::question_after(&TokenDigest::of(&n.to_string()))).collect();
        let expected = Duration::seconds(270)..=Duration::seconds(300);
        assert!(after.iter().all(|after| expected.contains(after)), "{after:?}");
        assert!(*after.iter().max().unwrap() - *after.iter().min().unwrap() > Duration::seconds(15));
    }

    proptest! {
        #[test]
        fn what_failed_is_tried_again_before_the_end(left in 5i64..100_000, name in "[a-z]{1,9}") {
            let schedule = Schedule { retention_max: Duration::hours(3) };
            let ends = NOON + Duration::seconds(left);
            let again = schedule.again(&TokenDigest::of(&name), NOON, ends);
            prop_assert!(again > NOON && again < ends);
            prop_assert!(again - NOON <= Duration::minutes(2));
        }
    }
}

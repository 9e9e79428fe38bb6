//! The time, as a parameter: what decides never reads it on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Tells the time of day, in UTC.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> OffsetDateTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> OffsetDateTime {
        (**self).now()
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still until it is told otherwise. Clones show the same time.
#[derive(Debug, Clone)]
pub struct TestClock {
    epoch: OffsetDateTime,
    /// Nanoseconds after `epoch`; a signed 64-bit count reaches 292 years either way.
    offset_nanoseconds: Arc<AtomicI64>,
}

impl TestClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self { epoch: now, offset_nanoseconds: Arc::new(AtomicI64::new(0)) }
    }

    /// Shows `now` from here on; earlier than before is allowed, clocks do step back.
    pub fn set(&self, now: OffsetDateTime) {
        self.offset_nanoseconds.store(nanoseconds(now - self.epoch), Ordering::SeqCst);
    }

    /// Moves by `step`, which may be negative.
    pub fn advance(&self, step: Duration) {
        self.offset_nanoseconds.fetch_add(nanoseconds(step), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        self.epoch + Duration::nanoseconds(self.offset_nanoseconds.load(Ordering::SeqCst))
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.whole_nanoseconds()).unwrap_or(if duration.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// How messages show a moment: as RFC 3339 writes it, in UTC and to the second.
#[must_use]
pub fn moment_text(at: &OffsetDateTime) -> String {
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(*at);
    // Only years before 0 and after 9999 have no such form.
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    #[test]
    fn a_test_clock_stands_still_until_it_is_moved() {
        let clock = TestClock::new(NOON);
        let (first, second) = (clock.now(), clock.now());
        assert_eq!((first, second), (NOON, NOON));
        clock.advance(Duration::minutes(15));
        assert_eq!(clock.now(), datetime!(2026-11-24 12:15 UTC));
        clock.advance(Duration::minutes(-30));
        assert_eq!(clock.now(), datetime!(2026-11-24 11:45 UTC));
        clock.set(datetime!(2027-01-01 00:00 UTC));
        assert_eq!(clock.now(), datetime!(2027-01-01 00:00 UTC));
    }

    #[test]
    fn a_moment_is_shown_in_utc_and_to_the_second() {
        for moment in [NOON, datetime!(2026-11-24 12:00:00.5 UTC), datetime!(2026-11-24 14:00 +2)] {
            assert_eq!(moment_text(&moment), "2026-11-24T12:00:00Z", "{moment}");
        }
    }

    #[test]
    fn clones_of_a_test_clock_show_the_same_time() {
        let clock = TestClock::new(NOON);
        let other: Arc<dyn Clock> = Arc::new(clock.clone());
        clock.advance(Duration::seconds(1));
        assert_eq!(other.now(), clock.now());
    }

    #[test]
    fn the_system_clock_is_in_utc_and_past_the_year_of_writing() {
        let now = SystemClock.now();
        assert!(now.offset().is_utc());
        assert!(now.year() >= 2024, "{now}");
    }
}

//! Trying again where AWS throttles, within one deadline.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How long and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// From the first try to the last byte of the last answer.
    pub(crate) deadline: Duration,
    /// Tries where AWS throttles.
    pub(crate) attempts_max: u32,
    /// Before the second try a random time up to this is waited, before each further one up to twice that of the last.
    pub(crate) backoff: Duration,
}

/// What one try came to.
pub(crate) enum Tried<T> {
    /// An answer, or a fault that another try would not mend.
    Over(T),
    /// Too much was asked at once.
    Throttled,
}

/// Why nothing came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// Throttled to the last try.
    Throttled,
    /// The deadline has passed.
    Late(Duration),
}

impl Patience {
    /// Tries until it is over.
    pub(crate) async fn ask<T, F>(&self, once: impl FnMut() -> F) -> Result<T, GaveUp>
    where
        F: Future<Output = Tried<T>>,
    {
        let late = |_| GaveUp::Late(self.deadline);
        tokio::time::timeout(self.deadline, self.tries(once)).await.map_err(late)?
    }

    async fn tries<T, F>(&self, mut once: impl FnMut() -> F) -> Result<T, GaveUp>
    where
        F: Future<Output = Tried<T>>,
    {
        for attempt in 1..=self.attempts_max.max(1) {
            if let Tried::Over(outcome) = once().await {
                return Ok(outcome);
            }
            if attempt < self.attempts_max {
                tokio::time::sleep(self.pause_after(attempt)).await;
            }
        }
        Err(GaveUp::Throttled)
    }

    /// A random part of a span that doubles with each attempt: callers that were throttled together come back apart.
    fn pause_after(&self, attempt: u32) -> Duration {
        let backoff = u64::try_from(self.backoff.as_millis()).unwrap_or(u64::MAX);
        let span = backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        // A fresh `RandomState` is randomly keyed; what is hashed does not matter.
        Duration::from_millis(RandomState::new().hash_one(attempt) % span.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const QUICK: Patience =
        Patience { deadline: Duration::from_secs(60), attempts_max: 3, backoff: Duration::ZERO };

    #[tokio::test]
    async fn throttling_is_tried_again_up_to_the_limit_and_nothing_else_is() {
        for (throttled, tries, expected) in
            [(0, 1, Ok("done")), (2, 3, Ok("done")), (3, 3, Err(GaveUp::Throttled))]
        {
            let calls = Cell::new(0);
            let once = async || {
                calls.set(calls.get() + 1);
                if calls.get() > throttled { Tried::Over("done") } else { Tried::Throttled }
            };
            assert_eq!(QUICK.ask(once).await, expected, "{throttled} times throttled");
            assert_eq!(calls.get(), tries);
        }
    }

    #[tokio::test]
    async fn the_deadline_holds_for_all_tries_together() {
        let patience = Patience {
            deadline: Duration::from_millis(20),
            attempts_max: u32::MAX,
            backoff: Duration::from_millis(1),
        };
        let always = async || Tried::<()>::Throttled;
        assert_eq!(patience.ask(always).await, Err(GaveUp::Late(patience.deadline)));
        let never = async || std::future::pending::<Tried<()>>().await;
        assert_eq!(patience.ask(never).await, Err(GaveUp::Late(patience.deadline)));
    }

    #[test]
    fn pauses_are_spread_and_grow_up_to_a_bound() {
        let patience = Patience { backoff: Duration::from_millis(100), ..QUICK };
        for attempt in 1..40 {
            let most = Duration::from_millis(100 * (1 << (attempt - 1).min(16)));
            assert!(patience.pause_after(attempt) < most, "attempt {attempt}");
        }
        let pauses: std::collections::HashSet<Duration> = (0..50).map(|_| patience.pause_after(10)).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }
}

//! A warning now and then rather than for each request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long nothing is said after a warning of one kind; what comes in between is counted.
const SILENCE: Duration = Duration::from_secs(10);

/// Warnings of one kind.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    said: Option<Instant>,
    times: u64,
}

impl Warnings {
    /// One more. If it is time to say so: how many there were since the last time.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.times = counted.times.saturating_add(1);
        if counted.said.is_some_and(|said| now.saturating_duration_since(said) < SILENCE) {
            return None;
        }
        counted.said = Some(now);
        Some(std::mem::take(&mut counted.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_said_at_once_then_now_and_then_with_how_many_there_were() {
        let (warnings, start) = (Warnings::default(), Instant::now());
        let at = |seconds| warnings.due(start + Duration::from_secs(seconds));
        let said = [0, 1, 2, 9, 10, 11, 30].map(at);
        assert_eq!(said, [Some(1), None, None, None, Some(4), None, Some(2)]);
    }
}

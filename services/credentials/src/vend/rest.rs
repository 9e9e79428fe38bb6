//! When an API server does not answer it is left alone for a moment, so that no vend waits for it.

use std::time::{Duration, Instant};

/// After so many questions in a row without an answer.
const FAULTS_MAX: u32 = 3;
/// So long. Whoever asks then finds out whether it is back, and one more fault is enough for another rest.
const REST: Duration = Duration::from_secs(5);
/// So long a cluster is not asked about that nobody watches: it may be added, or its lease taken, at any time.
const UNWATCHED_REST: Duration = Duration::from_secs(2);

/// How it goes with one API server. `W` is why it does not answer.
#[derive(Debug)]
pub(super) struct Rest<W> {
    faults: u32,
    until: Option<(Instant, W)>,
    answered_at: Option<Instant>,
}

impl<W> Default for Rest<W> {
    fn default() -> Self {
        Self { faults: 0, until: None, answered_at: None }
    }
}

impl<W: Clone> Rest<W> {
    /// Why it is not asked now; none where it is.
    pub(super) fn why(&self, now: Instant) -> Option<W> {
        self.until.as_ref().filter(|(until, _)| now < *until).map(|(_, why)| why.clone())
    }

    /// It has answered, whatever it said.
    pub(super) fn answered(&mut self, now: Instant) {
        *self = Self { answered_at: Some(now), ..Self::default() };
    }

    /// Whether it answered somebody a moment ago.
    pub(super) fn has_just_answered(&self, now: Instant) -> bool {
        self.answered_at.is_some_and(|at| now.saturating_duration_since(at) < REST)
    }

    /// It has not.
    pub(super) fn faulted(&mut self, why: W, now: Instant) {
        self.faults = self.faults.saturating_add(1);
        if self.faults >= FAULTS_MAX {
            self.until = Some((now + REST, why));
        }
    }

    /// Nobody could ask it.
    pub(super) fn unwatched(&mut self, why: W, now: Instant) {
        self.until = Some((now + UNWATCHED_REST, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_left_alone_and_asked_again_and_an_answer_wipes_all_of_it() {
        let (mut rest, start) = (Rest::default(), Instant::now());
        for why in ["first", "second"] {
            rest.faulted(why, start);
            assert_eq!(rest.why(start), None, "{why}");
        }
        rest.faulted("third", start);
        assert_eq!(rest.why(start + REST - Duration::from_millis(1)), Some("third"));
        assert_eq!(rest.why(start + REST), None, "somebody finds out whether it is back");
        rest.faulted("again", start + REST);
        assert_eq!(rest.why(start + REST), Some("again"), "it is not, and nobody else waits for it");
        assert!(!rest.has_just_answered(start + REST));
        rest.answered(start + REST);
        assert_eq!(rest.why(start + REST), None);
        assert!(rest.has_just_answered(start + REST) && !rest.has_just_answered(start + REST * 2));
        rest.faulted("anew", start + REST);
        assert_eq!(rest.why(start + REST), None, "it counts anew");
    }

    #[test]
    fn what_nobody_watches_is_looked_for_again_soon() {
        let (mut rest, start) = (Rest::default(), Instant::now());
        rest.unwatched("unwatched", start);
        assert_eq!(rest.why(start), Some("unwatched"));
        assert_eq!(rest.why(start + UNWATCHED_REST), None);
    }
}

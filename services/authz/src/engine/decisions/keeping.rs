//! What is kept in memory, and what of it goes to the store: the two sorts of decision, each with its own bounds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lanyard_api::{DecisionId, authz::DecisionRecord};

use super::ring::Ring;
use crate::config::AuthzConfig;

/// The two sorts, side by side.
#[derive(Debug)]
pub(super) struct Keeping {
    refusals: Sort,
    let_in: Sort,
}

#[derive(Debug)]
struct Sort {
    ring: Ring,
    share: Share,
}

impl Keeping {
    pub(super) fn new(config: &AuthzConfig) -> Self {
        let sort = |records_max, per_second| Sort {
            ring: Ring::new(records_max),
            share: Share { per_second, left: per_second, second: None },
        };
        let refusals_max = config.decisions_in_memory_max.div_ceil(2);
        Self {
            refusals: sort(refusals_max, config.refusals_stored_per_second_max),
            let_in: sort(config.decisions_in_memory_max - refusals_max, config.let_in_stored_per_second_max),
        }
    }

    /// Keeps one in memory; gives it back where it is to be stored as well.
    pub(super) fn take(&mut self, record: Arc<DecisionRecord>, now: Instant) -> Option<Arc<DecisionRecord>> {
        let sort = if record.outcome.lets_in() { &mut self.let_in } else { &mut self.refusals };
        let stored = sort.share.take(now).then(|| Arc::clone(&record));
        sort.ring.push(record);
        stored
    }

    pub(super) fn find(&self, id: DecisionId) -> Option<Arc<DecisionRecord>> {
        self.refusals.ring.find(id).or_else(|| self.let_in.ring.find(id))
    }
}

/// So many in each second; what is left of one is not saved for the next.
#[derive(Debug)]
struct Share {
    per_second: u32,
    left: u32,
    /// When the second began.
    second: Option<Instant>,
}

impl Share {
    fn take(&mut self, now: Instant) -> bool {
        let is_over =
            self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1));
        if is_over {
            (self.second, self.left) = (Some(now), self.per_second);
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::authz::DecisionOutcome;

    use super::{super::ring::tests::record, *};

    fn config(in_memory: usize, refusals: u32, let_in: u32) -> AuthzConfig {
        AuthzConfig {
            decisions_in_memory_max: in_memory,
            refusals_stored_per_second_max: refusals,
            let_in_stored_per_second_max: let_in,
            ..AuthzConfig::default()
        }
    }

    #[test]
    fn a_flood_of_those_let_in_leaves_the_refusals_where_they_were() {
        let mut keeping = Keeping::new(&config(4, 2, 1));
        let now = Instant::now();
        let refusals = [record(DecisionOutcome::Deny), record(DecisionOutcome::Refused)];
        for refusal in &refusals {
            assert!(keeping.take(Arc::clone(refusal), now).is_some());
        }
        let flood: Vec<_> = (0..100).map(|_| record(DecisionOutcome::Allow)).collect();
        let stored = flood.iter().filter(|one| keeping.take(Arc::clone(one), now).is_some()).count();
        assert_eq!(stored, 1, "in one second");
        for refusal in &refusals {
            assert_eq!(keeping.find(refusal.id).as_ref(), Some(refusal));
        }
        assert_eq!(keeping.find(flood[99].id).as_ref(), Some(&flood[99]), "the newest stays");
        assert_eq!(keeping.find(flood[0].id), None);
    }

    #[test]
    fn each_second_has_its_share() {
        let mut keeping = Keeping::new(&config(8, 2, 0));
        let start = Instant::now();
        let cases =
            [(0, true), (10, true), (999, false), (1000, true), (1001, true), (1999, false), (2000, true)];
        for (millis, expected) in cases {
            let at = start + Duration::from_millis(millis);
            let stored = keeping.take(record(DecisionOutcome::NoAnswer), at).is_some();
            assert_eq!(stored, expected, "after {millis} ms");
            assert!(keeping.take(record(DecisionOutcome::Verified), at).is_none(), "none of the other sort");
        }
    }
}

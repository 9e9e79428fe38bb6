//! What authz counts.

use std::time::Instant;

use lanyard_api::{
    Fault,
    authz::{Decision, Reason, Verdict},
};
use lanyard_kit::telemetry::{Counters, Histograms, Label, names};

#[derive(Clone, Copy)]
enum Answer {
    Allow,
    Deny,
    NoOpinion,
}

impl Label for Answer {
    const KEY: &'static str = names::DECISION;
    const ALL: &'static [Self] = &[Self::Allow, Self::Deny, Self::NoOpinion];

    fn value(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NoOpinion => "no_opinion",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Counters and histograms of decisions, registered once.
#[derive(Debug)]
pub(super) struct Telemetry {
    decisions: Counters<Answer>,
    seconds: Histograms<()>,
    faults: Counters<()>,
}

impl Telemetry {
    pub(super) fn new() -> Self {
        Self {
            decisions: Counters::new(names::AUTHZ_DECISIONS_TOTAL),
            seconds: Histograms::new(names::AUTHZ_SECONDS),
            faults: Counters::new(names::AUTHZ_FAULTS_TOTAL),
        }
    }

    /// The answers of a batch: each took its share of the time.
    pub(super) fn count_all(&self, began: Instant, decisions: &[Decision]) {
        let Ok(count) = u32::try_from(decisions.len()) else { return };
        if count == 0 {
            return;
        }
        self.seconds.record_many((), began.elapsed() / count, decisions.len());
        // A batch is more than the nearest cache holds, so that it is gone through once.
        let (mut counts, mut faults) = ([0_u64; Answer::ALL.len()], 0);
        for decision in decisions {
            counts.get_mut(answer_of(decision).index()).into_iter().for_each(|count| *count += 1);
            faults += u64::from(decision.reason == Reason::Unanswerable);
        }
        for (answer, count) in Answer::ALL.iter().zip(counts) {
            self.decisions.add(*answer, count);
        }
        self.faults.add((), faults);
    }

    /// One answer, or the lack of one.
    pub(super) fn count(&self, began: Instant, answer: Result<&Decision, &Fault>) {
        self.seconds.record((), began.elapsed());
        match answer {
            Ok(decision) => {
                self.decisions.increment(answer_of(decision));
                if decision.reason == Reason::Unanswerable {
                    self.faults.increment(());
                }
            }
            Err(_) => self.faults.increment(()),
        }
    }
}

fn answer_of(decision: &Decision) -> Answer {
    match decision.verdict {
        Verdict::Allow => Answer::Allow,
        Verdict::Deny => Answer::Deny,
        Verdict::NoOpinion => Answer::NoOpinion,
    }
}

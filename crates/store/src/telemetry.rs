//! What the store counts and measures.

use std::time::{Duration, Instant};

use lanyard_kit::telemetry::names;

use crate::{error::StoreError, keyring::Purpose};

/// Sealed values that did not open: moved, altered, or of another purpose. Label: `purpose`.
const UNOPENED_TOTAL: &str = "lanyard_store_unopened_total";
/// Reads that showed a lower revision than one seen before: an old dump or a standby that lags.
const REGRESSIONS_TOTAL: &str = "lanyard_store_regressions_total";

/// One more sealed value that did not open.
pub(crate) fn unopened(purpose: Purpose) {
    metrics::counter!(UNOPENED_TOTAL, "purpose" => purpose.as_str()).increment(1);
    tracing::warn!(purpose = purpose.as_str(), "a sealed value did not open: it was moved or altered");
}

/// One more lower revision, told loudly: somebody should get up.
pub(crate) fn regressed(error: &StoreError) {
    metrics::counter!(REGRESSIONS_TOTAL).increment(1);
    tracing::error!(error = %error, "the store went back in time");
}

/// So many revisions are in the store and not yet applied here.
pub(crate) fn lag(revisions: u64) {
    // A gauge is a float, which is exact up to 2^53.
    metrics::gauge!(names::SNAPSHOT_REVISION_LAG).set(revisions as f64);
}

/// A snapshot took so long to compile.
pub(crate) fn compiled(duration: Duration) {
    metrics::histogram!(names::SNAPSHOT_COMPILE_SECONDS).record(duration);
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    /// Given up by its caller, or refused by a rule.
    Refused,
    /// Another transaction was in the way.
    Conflict,
    Fault,
}

/// Measures a transaction from its beginning until it is dropped.
pub(crate) struct Timer {
    name: &'static str,
    started: Instant,
    outcome: Outcome,
}

impl Timer {
    pub(crate) fn start(name: &'static str) -> Self {
        Self { name, started: Instant::now(), outcome: Outcome::Refused }
    }

    pub(crate) fn ended(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    pub(crate) fn failed(&mut self, error: &StoreError) {
        self.outcome = match error {
            StoreError::Conflict => Outcome::Conflict,
            StoreError::Unavailable(_)
            | StoreError::Broken(_)
            | StoreError::Newer { .. }
            | StoreError::Altered(_)
            | StoreError::Outdated { .. }
            | StoreError::File(_)
            | StoreError::Keyring(_)
            | StoreError::Regressed { .. }
            | StoreError::ScopeNotBegun(_) => Outcome::Fault,
            StoreError::Exists { .. }
            | StoreError::Dangling { .. }
            | StoreError::InUse { .. }
            | StoreError::Record(_)
            | StoreError::Replayed { .. }
            | StoreError::Lockout { .. }
            | StoreError::NobodyLifts
            | StoreError::Reason
            | StoreError::Aborted => Outcome::Refused,
        };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let outcome = match self.outcome {
            Outcome::Committed => "committed",
            Outcome::Refused => "refused",
            Outcome::Conflict => "conflict",
            Outcome::Fault => "fault",
        };
        let labels = [(names::NAME, self.name), (names::OUTCOME, outcome)];
        metrics::histogram!(names::STORE_TRANSACTION_SECONDS, &labels).record(self.started.elapsed());
    }
}

//! What the store counts and measures.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use lanyard_kit::telemetry::{Counters, Histograms, Label, names};
use metrics::SharedString;
use papaya::HashMap;
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    keyring::{KeyringError, Purpose},
};

/// One more sealed value that did not open.
pub(crate) fn unopened(purpose: Purpose) {
    metrics::counter!(names::STORE_UNOPENED_TOTAL, names::PURPOSE => purpose.as_str()).increment(1);
    tracing::warn!(purpose = purpose.as_str(), "a sealed value did not open: it was moved or altered");
}

/// One more lower revision, told loudly: somebody should get up.
pub(crate) fn regressed(error: &StoreError) {
    metrics::counter!(names::STORE_REGRESSIONS_TOTAL).increment(1);
    tracing::error!(error = %error, "the store went back in time");
}

/// Whether the store has keys for this process that it cannot open, and what it says of that.
pub(crate) fn keys_lacking(lacking: Option<&KeyringError>) {
    metrics::gauge!(names::STORE_KEYS_LACKING).set(if lacking.is_some() { 1.0 } else { 0.0 });
    if let Some(error) = lacking {
        tracing::error!(%error, "the store has newer keys than this process can open: start it anew, until then it goes on without them");
    }
}

/// So many revisions are in the store and not yet applied here.
pub(crate) fn lag(revisions: u64) {
    // A gauge is a float, which is exact up to 2^53.
    metrics::gauge!(names::SNAPSHOT_REVISION_LAG).set(revisions as f64);
}

/// So many revisions of all scopes are applied here.
pub(crate) fn revisions(applied: u64) {
    metrics::gauge!(names::STORE_REVISIONS).set(applied as f64);
}

/// This process has every change that the store has.
pub(crate) fn caught_up(now: OffsetDateTime) {
    lag(0);
    metrics::gauge!(names::STORE_CAUGHT_UP_AT).set(now.unix_timestamp_nanos() as f64 / 1e9);
}

/// How a change came to be known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was committed here.
    Own,
    /// Postgres told of it.
    Notification,
    /// It was looked for.
    Poll,
}

impl Label for Source {
    const KEY: &'static str = names::SOURCE;
    const ALL: &'static [Self] = &[Self::Own, Self::Notification, Self::Poll];

    fn value(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Notification => "notification",
            Self::Poll => "poll",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// A change is in force here, so long after the moment that it bears. Where that lies ahead, by another machine's clock, it counts
/// as at once.
pub(crate) fn applied(source: Source, made: OffsetDateTime, now: OffsetDateTime) {
    static SECONDS: LazyLock<Histograms<Source>> =
        LazyLock::new(|| Histograms::new(names::STORE_APPLY_SECONDS));
    SECONDS.record(source, (now - made).try_into().unwrap_or_default());
}

/// Somebody looks for changes.
pub(crate) fn looked(source: Source) {
    static LOOKS: LazyLock<Counters<Source>> = LazyLock::new(|| Counters::new(names::STORE_LOOKS_TOTAL));
    LOOKS.increment(source);
}

/// What came of asking the pool for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Begun,
    Timeout,
    Fault,
}

impl Label for Begin {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Begun, Self::Timeout, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Timeout => "timeout",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// A connection was asked of the pool, and what that came to after so long.
pub(crate) fn begun(outcome: Begin, took: Duration) {
    static BEGINS: LazyLock<Counters<Begin>> = LazyLock::new(|| Counters::new(names::STORE_BEGINS_TOTAL));
    static SECONDS: LazyLock<Histograms<()>> = LazyLock::new(|| Histograms::new(names::STORE_BEGIN_SECONDS));
    BEGINS.increment(outcome);
    SECONDS.record((), took);
}

/// The connections of the pool.
pub(crate) fn pool(open: u32, idle: usize, max: u32) {
    let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
    let set = |state, count: u32| {
        metrics::gauge!(names::STORE_CONNECTIONS, names::STATE => state).set(f64::from(count));
    };
    set("idle", idle);
    set("used", open - idle);
    metrics::gauge!(names::STORE_CONNECTIONS_MAX).set(f64::from(max));
}

/// A snapshot took so long to compile.
pub(crate) fn compiled(duration: Duration) {
    static SECONDS: LazyLock<Histograms<()>> =
        LazyLock::new(|| Histograms::new(names::SNAPSHOT_COMPILE_SECONDS));
    SECONDS.record((), duration);
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

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Committed, Self::Refused, Self::Conflict, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
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
            | StoreError::TokenOfAnother
            | StoreError::TokenUsedUp
            | StoreError::Lockout { .. }
            | StoreError::NobodyLifts
            | StoreError::LeaseLost
            | StoreError::Reason
            | StoreError::Aborted => Outcome::Refused,
        };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Registered when the first of a name ends: the names are those that the services' code has.
        static SECONDS: LazyLock<HashMap<&'static str, Histograms<Outcome>>> = LazyLock::new(HashMap::new);
        let of_name = || {
            let label = (names::NAME, SharedString::const_str(self.name));
            Histograms::of(names::STORE_TRANSACTION_SECONDS, label)
        };
        SECONDS.pin().get_or_insert_with(self.name, of_name).record(self.outcome, self.started.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex};

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, Unit};

    use super::*;

    /// Which histograms somebody registered, in that order.
    #[derive(Default)]
    struct Registered(Mutex<Vec<String>>);

    impl Recorder for Registered {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.0.lock().unwrap().push(key.to_string());
            Histogram::noop()
        }
    }

    #[test]
    fn what_is_measured_is_registered_once() {
        let registered = Registered::default();
        metrics::with_local_recorder(&registered, || {
            for outcome in [Outcome::Committed, Outcome::Fault, Outcome::Committed] {
                begun(Begin::Begun, Duration::ZERO);
                compiled(Duration::ZERO);
                Timer::start("of-this-test").ended(outcome);
            }
        });
        let registered = registered.0.into_inner().unwrap();
        let own = registered.iter().filter(|key| key.contains("of-this-test"));
        assert_eq!(own.count(), Outcome::ALL.len(), "{registered:?}");
        // Other tests of this process may have come before with what they share.
        let distinct: BTreeSet<&String> = registered.iter().collect();
        assert_eq!(distinct.len(), registered.len(), "{registered:?}");
    }
}

//! What is counted and said of Redis: outcomes of closed sets, and a warning now and then rather than for each request.

use std::time::{Duration, Instant};

use lanyard_kit::telemetry::{Counters, Label, names};
use metrics::{Gauge, Histogram, gauge, histogram};
use redis::RedisError;

use super::connection::{Unreached, reason};
use crate::warnings::Warnings;

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Get {
    Hit,
    Miss,
    /// What lay there is no value of ours: too long, or another type.
    Garbage,
    Timeout,
    Fault,
    /// Not asked.
    Skipped,
}

impl Label for Get {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] =
        &[Self::Hit, Self::Miss, Self::Garbage, Self::Timeout, Self::Fault, Self::Skipped];

    fn value(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Garbage => "garbage",
            Self::Timeout => "timeout",
            Self::Fault => "fault",
            Self::Skipped => "skipped",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Stored,
    /// Redis has no memory left.
    Full,
    Timeout,
    Fault,
    /// Not sent.
    Dropped,
}

impl Label for Put {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Stored, Self::Full, Self::Timeout, Self::Fault, Self::Dropped];

    fn value(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::Fault => "fault",
            Self::Dropped => "dropped",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What stands for the reason where Redis did not answer.
const NO_ANSWER: &str = "no answer in time";

pub(super) struct Telemetry {
    gets: Counters<Get>,
    puts: Counters<Put>,
    get_seconds: Histogram,
    up: Gauge,
    about_gets: Warnings,
    about_puts: Warnings,
    about_connecting: Warnings,
}

impl Telemetry {
    pub(super) fn new() -> Self {
        let telemetry = Self {
            gets: Counters::new(names::AUTHN_REDIS_GETS_TOTAL),
            puts: Counters::new(names::AUTHN_REDIS_PUTS_TOTAL),
            get_seconds: histogram!(names::AUTHN_REDIS_GET_SECONDS),
            up: gauge!(names::AUTHN_REDIS_UP),
            about_gets: Warnings::default(),
            about_puts: Warnings::default(),
            about_connecting: Warnings::default(),
        };
        telemetry.up.set(0.0);
        telemetry
    }

    pub(super) fn got(&self, outcome: Get) {
        self.gets.increment(outcome);
    }

    pub(super) fn took(&self, time: Duration) {
        self.get_seconds.record(time);
    }

    pub(super) fn put(&self, outcome: Put) {
        self.puts.increment(outcome);
    }

    pub(super) fn get_failed(&self, error: &RedisError) {
        if let Some(times) = self.about_gets.due(Instant::now()) {
            let reason = reason(error);
            tracing::warn!(reason, times, "Redis does not tell what is cached: STS is asked instead");
        }
    }

    pub(super) fn get_timed_out(&self) {
        if let Some(times) = self.about_gets.due(Instant::now()) {
            tracing::warn!(
                reason = NO_ANSWER,
                times,
                "Redis does not tell what is cached: STS is asked instead"
            );
        }
    }

    pub(super) fn put_failed(&self, error: &RedisError) {
        if let Some(times) = self.about_puts.due(Instant::now()) {
            let reason = reason(error);
            tracing::warn!(reason, times, "Redis does not take an answer: other replicas ask STS themselves");
        }
    }

    pub(super) fn put_timed_out(&self) {
        if let Some(times) = self.about_puts.due(Instant::now()) {
            tracing::warn!(
                reason = NO_ANSWER,
                times,
                "Redis does not take an answer: other replicas ask STS themselves"
            );
        }
    }

    pub(super) fn connected(&self) {
        self.up.set(1.0);
        tracing::info!("Redis answers: replicas share what STS has told");
    }

    pub(super) fn not_connected(&self, why: &Unreached) {
        if let Some(times) = self.about_connecting.due(Instant::now()) {
            tracing::warn!(reason = %why, times, "Redis cannot be used, and is tried again and again: STS is asked instead");
        }
    }

    pub(super) fn left_alone(&self, failing: bool) {
        self.up.set(0.0);
        if let Some(times) = self.about_connecting.due(Instant::now()) {
            let reason = if failing { "one failure after the other" } else { "the connection has ended" };
            tracing::warn!(reason, times, "Redis is left alone until it answers again: STS is asked instead");
        }
    }
}

//! What calls to AWS come to, for metrics.

use std::time::Duration;

use lanyard_kit::telemetry::{Counters, Histograms, Label, names};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Refused,
    Throttled,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Answered, Self::Refused, Self::Throttled, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// STS, with what others have signed.
    Sts,
    /// STS, signed by the hub.
    StsAsHub,
    Iam,
    Ec2,
    Kms,
}

impl Label for Service {
    const KEY: &'static str = names::SERVICE;
    const ALL: &'static [Self] = &[Self::Sts, Self::StsAsHub, Self::Iam, Self::Ec2, Self::Kms];

    fn value(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::StsAsHub => "sts_as_hub",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Kms => "kms",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Counts and times calls.
pub(crate) struct Meter {
    outcomes: Counters<(Service, Outcome)>,
    seconds: Histograms<Service>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            outcomes: Counters::new(names::AWS_CALLS_TOTAL),
            seconds: Histograms::new(names::AWS_CALL_SECONDS),
        }
    }
}

impl Meter {
    pub(crate) fn record(&self, service: Service, outcome: Outcome, took: Duration) {
        self.outcomes.increment((service, outcome));
        self.seconds.record(service, took);
    }
}

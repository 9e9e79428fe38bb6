//! What calls to AWS come to, for metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanyard_iam::Partition;
use lanyard_kit::telemetry::{
    Counters, Histograms, Label, LabelSet, Place, SetCounters, SetGauges, SetHistograms, names,
};

use crate::limits::locked;

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
    /// STS, for the roles of workloads.
    StsForPods,
    Iam,
    Ec2,
    Kms,
}

impl Label for Service {
    const KEY: &'static str = names::SERVICE;
    const ALL: &'static [Self] =
        &[Self::Sts, Self::StsAsHub, Self::StsForPods, Self::Iam, Self::Ec2, Self::Kms];

    fn value(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::StsAsHub => "sts_as_hub",
            Self::StsForPods => "sts_for_pods",
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

/// What stands for the region of an STS of one's own, whose regions are whatever it calls them.
const SELF_HOSTED: &str = "self_hosted";

/// Counts and times questions to STS by region: those that are known, and no other that a token may name.
pub(crate) struct Regions {
    regions: Arc<LabelSet>,
    outcomes: SetCounters<Outcome>,
    seconds: SetHistograms,
    open: SetGauges,
    /// The host that was asked last at each place, by the place's name: some have several.
    asked: Mutex<HashMap<&'static str, String>>,
}

impl Default for Regions {
    fn default() -> Self {
        let known =
            Partition::ALL.into_iter().flat_map(|partition| partition.known_regions().iter().copied());
        let regions = LabelSet::new(names::REGION, known.chain([SELF_HOSTED]));
        Self {
            outcomes: SetCounters::new(names::AWS_STS_CALLS_TOTAL, &regions),
            seconds: SetHistograms::new(names::AWS_STS_SECONDS, &regions),
            open: SetGauges::new(names::AWS_STS_BREAKER_OPEN, &regions),
            asked: Mutex::default(),
            regions,
        }
    }
}

impl Regions {
    /// Where a call belongs.
    pub(crate) fn place(&self, region: &str, self_hosted: bool) -> Place {
        self.regions.place(if self_hosted { SELF_HOSTED } else { region })
    }

    /// What a place is called.
    pub(crate) fn name(&self, place: Place) -> &'static str {
        self.regions.value(place)
    }

    /// A question to a host there has come to this.
    pub(crate) fn record(
        &self,
        place: Place,
        host: &str,
        outcome: Outcome,
        took: Duration,
        breaker_open: bool,
    ) {
        self.outcomes.increment(place, outcome);
        self.seconds.record(place, took);
        let mut asked = locked(&self.asked);
        let last = asked.entry(self.name(place)).or_default();
        if *last != *host {
            host.clone_into(last);
        }
        self.open.set(place, if breaker_open { 1.0 } else { 0.0 });
    }

    /// The breaker of a host there lets calls through again. Where another was asked since, it is that one's breaker that is shown.
    pub(crate) fn closed(&self, place: Place, host: &str) {
        let asked = locked(&self.asked);
        if asked.get(self.name(place)).is_some_and(|last| last == host) {
            self.open.set(place, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_nobody_knows_and_one_that_is_called_like_aws_own_have_one_place_each() {
        let regions = Regions::default();
        let name = |region, self_hosted| regions.name(regions.place(region, self_hosted));
        assert_eq!(name("eu-west-1", false), "eu-west-1");
        assert_eq!(name("cn-north-1", false), "cn-north-1");
        assert_eq!(name("eu-west-99", false), "other");
        assert_eq!(name("eu-west-1", true), "self_hosted");
    }

    #[test]
    fn of_hosts_that_share_a_place_the_breaker_of_the_one_that_was_asked_last_is_shown() {
        const A: &str = "sts-a.example.com";
        const B: &str = "sts-b.example.com";
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _local = metrics::set_default_local_recorder(&recorder);
        let regions = Regions::default();
        let place = regions.place("eu-west-1", true);
        let fault = |host| regions.record(place, host, Outcome::Fault, Duration::ZERO, true);
        let shows = |open: u8| {
            let line = format!("lanyard_aws_sts_breaker_open{{region=\"self_hosted\"}} {open}\n");
            recorder.handle().render().contains(&line)
        };
        fault(A);
        fault(B);
        regions.closed(place, A);
        assert!(shows(1), "the one that was asked last is open");
        regions.closed(place, B);
        assert!(shows(0));
        fault(A);
        regions.record(place, B, Outcome::Answered, Duration::ZERO, false);
        assert!(shows(0));
        fault(A);
        assert!(shows(1));
        regions.closed(place, A);
        assert!(shows(0));
    }
}

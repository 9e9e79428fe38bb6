//! Metrics with a label whose values are known when the process starts, though they are no enum of ours: methods, regions.
//!
//! A value's metrics are registered when it is first counted, so that a process shows those that it has to do with. After that
//! they are found without a lock and without an allocation. Whatever is not in the set is [`OTHER`].

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use metrics::{Gauge, SharedString};

use super::names::OTHER;
use super::{Counters, Histograms, Labels};

/// The values of one label.
#[derive(Debug)]
pub struct LabelSet {
    key: &'static str,
    values: Vec<&'static str>,
    places: HashMap<&'static str, usize, RandomState>,
}

impl LabelSet {
    /// These values, and [`OTHER`].
    pub fn new(key: &'static str, values: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        let mut set = Self { key, values: Vec::new(), places: HashMap::default() };
        for value in values.into_iter().chain([OTHER]) {
            set.places.entry(value).or_insert_with(|| {
                set.values.push(value);
                set.values.len() - 1
            });
        }
        Arc::new(set)
    }

    /// Where a value stands.
    #[must_use]
    pub fn place(&self, value: &str) -> Place {
        let other = || self.places.get(OTHER).copied().unwrap_or_default();
        Place(self.places.get(value).copied().unwrap_or_else(other))
    }

    /// The value at a place.
    #[must_use]
    pub fn value(&self, place: Place) -> &'static str {
        self.values.get(place.0).copied().unwrap_or(OTHER)
    }

    fn label(&self, place: Place) -> (&'static str, SharedString) {
        (self.key, SharedString::const_str(self.value(place)))
    }
}

/// Where a value stands in its set: looked up once, for all metrics of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

/// What is registered for each value of a set when it is first needed.
struct Each<T> {
    set: Arc<LabelSet>,
    each: Box<[OnceLock<T>]>,
}

impl<T> Each<T> {
    fn new(set: &Arc<LabelSet>) -> Self {
        Self { set: Arc::clone(set), each: set.values.iter().map(|_| OnceLock::new()).collect() }
    }

    fn get(&self, place: Place, register: impl FnOnce((&'static str, SharedString)) -> T) -> Option<&T> {
        Some(self.each.get(place.0)?.get_or_init(|| register(self.set.label(place))))
    }
}

/// A counter for each value of a set and each combination of closed labels.
pub struct SetCounters<L> {
    name: &'static str,
    each: Each<Counters<L>>,
}

impl<L: Labels> SetCounters<L> {
    /// Registers nothing yet.
    #[must_use]
    pub fn new(name: &'static str, set: &Arc<LabelSet>) -> Self {
        Self { name, each: Each::new(set) }
    }

    /// One more of these.
    pub fn increment(&self, place: Place, labels: L) {
        if let Some(counters) = self.each.get(place, |label| Counters::of(self.name, label)) {
            counters.increment(labels);
        }
    }
}

/// A histogram of durations for each value of a set.
pub struct SetHistograms {
    name: &'static str,
    each: Each<Histograms<()>>,
}

impl SetHistograms {
    /// Registers nothing yet.
    #[must_use]
    pub fn new(name: &'static str, set: &Arc<LabelSet>) -> Self {
        Self { name, each: Each::new(set) }
    }

    /// It took so long.
    pub fn record(&self, place: Place, duration: Duration) {
        if let Some(histograms) = self.each.get(place, |label| Histograms::of(self.name, label)) {
            histograms.record((), duration);
        }
    }
}

/// A gauge for each value of a set.
pub struct SetGauges {
    name: &'static str,
    each: Each<Gauge>,
}

impl SetGauges {
    /// Registers nothing yet.
    #[must_use]
    pub fn new(name: &'static str, set: &Arc<LabelSet>) -> Self {
        Self { name, each: Each::new(set) }
    }

    /// It is so much now.
    pub fn set(&self, place: Place, value: f64) {
        let register = |(key, value)| metrics::gauge!(self.name, vec![metrics::Label::new(key, value)]);
        if let Some(gauge) = self.each.get(place, register) {
            gauge.set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::tests::{Outcome, shown};
    use super::super::names;
    use super::*;

    #[test]
    fn a_value_of_the_set_is_shown_once_it_is_counted_and_any_other_under_one_name() {
        let text = shown(|| {
            let set = LabelSet::new(names::REGION, ["eu-west-1", "us-east-1", "eu-west-1"]);
            let counts = SetCounters::<Outcome>::new(names::AWS_STS_CALLS_TOTAL, &set);
            let seconds = SetHistograms::new(names::AWS_STS_SECONDS, &set);
            let open = SetGauges::new(names::AWS_STS_BREAKER_OPEN, &set);
            for region in ["eu-west-1", "nowhere", "no\"where", "eu-west-1"] {
                let place = set.place(region);
                counts.increment(place, Outcome::Verified);
                seconds.record(place, Duration::from_millis(1));
                open.set(place, 1.0);
            }
        });
        for line in [
            r#"lanyard_aws_sts_calls_total{region="eu-west-1",outcome="verified"} 2"#,
            r#"lanyard_aws_sts_calls_total{region="eu-west-1",outcome="refused"} 0"#,
            r#"lanyard_aws_sts_calls_total{region="other",outcome="verified"} 2"#,
            r#"lanyard_aws_sts_seconds_count{region="eu-west-1"} 2"#,
            r#"lanyard_aws_sts_breaker_open{region="other"} 1"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("us-east-1") && !text.contains("where\""), "{text}");
    }
}

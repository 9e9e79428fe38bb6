//! Histograms, counted as their durations come.
//!
//! The exporter's own keep each duration with its moment until somebody scrapes or folds them, and then hold each against every
//! bucket: for a hub that answers in microseconds that is work to be seen, most of all where a batch counts as its thousand
//! checks. Here a duration is one step up in its bucket. They are shown as the exporter shows its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::formatting::{write_help_line, write_metric_line, write_type_line};
use metrics_exporter_prometheus::{LabelSet, PrometheusRecorder};

use super::names::{METRICS, SECONDS_BUCKETS};

/// All histograms of a process, in the order of their names and labels.
#[derive(Debug, Default)]
pub(super) struct Durations(Mutex<BTreeMap<Key, Arc<Buckets>>>);

/// One histogram.
#[derive(Debug)]
struct Buckets {
    /// How many came to each bucket and to none before it; the last are those beyond all of them.
    counts: Box<[AtomicU64]>,
    /// Of all of them in seconds, as the bits of a float.
    sum: AtomicU64,
}

impl Durations {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Buckets>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, key: &Key) -> Histogram {
        Histogram::from_arc(Arc::clone(self.all().entry(key.clone()).or_default()))
    }

    /// Adds all of them to what is shown, in Prometheus' text format.
    pub(super) fn write(&self, text: &mut String) {
        // Whoever registers one meanwhile waits for no text.
        let all = BTreeMap::clone(&self.all());
        let mut before = None;
        for (key, buckets) in &all {
            let name = key.name();
            if before != Some(name) {
                if before.is_some() {
                    text.push('\n');
                }
                if let Some(metric) = METRICS.iter().find(|metric| metric.name == name) {
                    write_help_line(text, name, None, None, metric.help);
                }
                write_type_line(text, name, None, None, "histogram");
                before = Some(name);
            }
            buckets.write(name, &LabelSet::from_key_and_global(key, &Default::default()), text);
        }
        if before.is_some() {
            text.push('\n');
        }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        let counts = SECONDS_BUCKETS.iter().map(|_| AtomicU64::new(0)).chain([AtomicU64::new(0)]);
        Self { counts: counts.collect(), sum: AtomicU64::new(0.0_f64.to_bits()) }
    }
}

impl Buckets {
    /// In Prometheus' format a bucket counts those of the buckets before it too.
    fn write(&self, name: &str, labels: &LabelSet, text: &mut String) {
        let mut count = 0;
        let mut counts = self.counts.iter().map(|own| {
            count += own.load(Ordering::Relaxed);
            count
        });
        for (bound, so_far) in SECONDS_BUCKETS.iter().zip(counts.by_ref()) {
            write_metric_line(text, name, Some("bucket"), labels, Some(("le", bound)), so_far, None);
        }
        let all = counts.next().unwrap_or_default();
        write_metric_line(text, name, Some("bucket"), labels, Some(("le", "+Inf")), all, None);
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        write_metric_line::<&str, f64>(text, name, Some("sum"), labels, None, sum, None);
        write_metric_line::<&str, u64>(text, name, Some("count"), labels, None, all, None);
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        let at = SECONDS_BUCKETS.partition_point(|bound| *bound < value);
        if let Some(own) = self.counts.get(at) {
            own.fetch_add(count as u64, Ordering::Relaxed);
        }
        let more = value * count as f64;
        let added = |sum| Some((f64::from_bits(sum) + more).to_bits());
        // It gives up where there is nothing to put in place, which is never.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
    }
}

/// The recorder of a process: the exporter's for everything but histograms.
#[derive(Debug)]
pub(super) struct ProcessRecorder {
    exporter: PrometheusRecorder,
    durations: Arc<Durations>,
}

impl ProcessRecorder {
    pub(super) fn new(exporter: PrometheusRecorder, durations: &Arc<Durations>) -> Self {
        Self { exporter, durations: Arc::clone(durations) }
    }
}

impl Recorder for ProcessRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.exporter.describe_gauge(key, unit, description);
    }

    /// What a histogram tells stands in the one list of metrics.
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.exporter.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.durations.register(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use proptest::prelude::*;

    use super::super::{Counters, Histograms, names};
    use super::*;

    /// What somebody asks of a recorder.
    fn work(durations: &[(u64, usize)]) {
        let cluster = |name: &str| (names::CLUSTER, name.to_owned().into());
        let alone = Histograms::<()>::new(names::AUTHZ_SECONDS);
        let (one, _idle) = (
            Histograms::<()>::of(names::GATEWAY_REVIEW_SECONDS, cluster("one")),
            Histograms::<()>::of(names::GATEWAY_REVIEW_SECONDS, cluster("idle")),
        );
        Counters::<()>::new(names::DECISIONS_DROPPED_TOTAL).increment(());
        for (nanoseconds, count) in durations {
            let took = Duration::from_nanos(*nanoseconds);
            alone.record_many((), took, *count);
            one.record((), took);
        }
        for metric in METRICS {
            metrics::describe_histogram!(metric.name, Unit::Seconds, metric.help);
        }
    }

    /// Names, labels and numbers; a sum that was added up in another order may end in another digit.
    fn lines(text: &str) -> Vec<(String, f64)> {
        let mut lines: Vec<(String, f64)> = text
            .lines()
            .map(|line| match line.rsplit_once(' ') {
                Some((name, number)) if !line.starts_with('#') => (name.to_owned(), number.parse().unwrap()),
                _ => (line.to_owned(), 0.0),
            })
            .filter(|(name, _)| name.contains("_seconds"))
            .collect();
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        lines
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_the_exporter_shows(
            durations in prop::collection::vec((prop_oneof![0_u64..3_000, 0..40_000_000_000_u64], 0..5_usize), 0..20),
        ) {
            let exporter = PrometheusBuilder::new().set_buckets(SECONDS_BUCKETS).unwrap().build_recorder();
            metrics::with_local_recorder(&exporter, || work(&durations));
            let expected = lines(&exporter.handle().render());
            let all = Arc::<Durations>::default();
            let own = ProcessRecorder::new(PrometheusBuilder::new().build_recorder(), &all);
            metrics::with_local_recorder(&own, || work(&durations));
            let mut text = String::new();
            all.write(&mut text);
            let shown = lines(&text);
            prop_assert_eq!(shown.len(), expected.len(), "{}", text);
            for (shown, expected) in shown.iter().zip(&expected) {
                prop_assert_eq!(&shown.0, &expected.0);
                prop_assert!((shown.1 - expected.1).abs() <= expected.1 * 1e-9, "{:?} {:?}", shown, expected);
            }
        }
    }
}

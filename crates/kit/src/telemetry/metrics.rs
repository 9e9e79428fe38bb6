//! The metrics recorder of the process.

use std::sync::Arc;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::TelemetryError;
use super::durations::{Durations, ProcessRecorder};
use super::names::{Kind, METRICS, OF_CLUSTERS};

/// The recorder, to render what it holds.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    durations: Arc<Durations>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Installs the recorder for the whole process.
    ///
    /// # Errors
    /// [`TelemetryError::Recorder`] when there is one already.
    pub fn install() -> Result<Self, TelemetryError> {
        let (recorder, shown) = recorder();
        metrics::set_global_recorder(recorder)
            .map_err(|error| TelemetryError::Recorder(error.to_string()))?;
        describe();
        Ok(shown)
    }

    /// A recorder that nothing comes to, for tests.
    #[cfg(test)]
    pub(super) fn detached() -> Self {
        recorder().1
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        self.durations.write(&mut text);
        text
    }

    /// The same without what names clusters, for whoever comes to a public door.
    #[must_use]
    pub fn render_public(&self) -> String {
        without(&self.render(), OF_CLUSTERS)
    }
}

/// The lines of all metrics but these.
fn without(text: &str, names: &[&str]) -> String {
    // `# HELP <name> …`, `# TYPE <name> …`, `<name>{…} …`, and of histograms `<name>_bucket{…} …`.
    let is_of = |line: &str| {
        let line = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        names.iter().any(|name| line.starts_with(name))
    };
    text.split_inclusive('\n').filter(|line| !is_of(line)).collect()
}

/// A recorder, and what shows it.
fn recorder() -> (ProcessRecorder, Metrics) {
    let (exporter, durations) = (PrometheusBuilder::new().build_recorder(), Arc::<Durations>::default());
    let handle = exporter.handle();
    (ProcessRecorder::new(exporter, &durations), Metrics { handle, durations })
}

fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metrics::Unit::Seconds, metric.help),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::{Counters, Histograms, Label, names};
    use super::*;

    /// What is shown after this.
    pub(in super::super) fn shown(work: impl FnOnce()) -> String {
        let (recorder, shown) = recorder();
        metrics::with_local_recorder(&recorder, work);
        shown.render()
    }

    #[derive(Clone, Copy)]
    pub(in super::super) enum Outcome {
        Verified,
        Refused,
    }

    impl Label for Outcome {
        const KEY: &'static str = names::OUTCOME;
        const ALL: &'static [Self] = &[Self::Verified, Self::Refused];
        fn value(self) -> &'static str {
            match self {
                Self::Verified => "verified",
                Self::Refused => "refused",
            }
        }
        fn index(self) -> usize {
            self as usize
        }
    }

    #[derive(Clone, Copy)]
    enum Reason {
        None,
        Expired,
    }

    impl Label for Reason {
        const KEY: &'static str = names::REASON;
        const ALL: &'static [Self] = &[Self::None, Self::Expired];
        fn value(self) -> &'static str {
            match self {
                Self::None => "none",
                Self::Expired => "expired",
            }
        }
        fn index(self) -> usize {
            self as usize
        }
    }

    #[test]
    fn every_combination_of_labels_is_shown_from_the_start_and_counted_in_its_own_place() {
        let text = shown(|| {
            describe();
            let answers = Counters::<(Outcome, Reason)>::new(names::AUTHN_ANSWERS_TOTAL);
            answers.increment((Outcome::Refused, Reason::Expired));
            answers.add((Outcome::Verified, Reason::None), 3);
            let seconds = Histograms::<()>::new(names::AUTHZ_SECONDS);
            seconds.record((), Duration::from_nanos(1_700));
        });
        for line in [
            r#"lanyard_authn_answers_total{outcome="refused",reason="expired"} 1"#,
            r#"lanyard_authn_answers_total{outcome="verified",reason="none"} 3"#,
            r#"lanyard_authn_answers_total{outcome="verified",reason="expired"} 0"#,
            r#"lanyard_authn_answers_total{outcome="refused",reason="none"} 0"#,
            r#"lanyard_authz_seconds_bucket{le="0.000001"} 0"#,
            r#"lanyard_authz_seconds_bucket{le="0.0000025"} 1"#,
            "# HELP lanyard_authn_answers_total Answers about client tokens, by outcome and reason.",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }
    #[test]
    fn a_public_door_shows_no_cluster() {
        let text = shown(|| {
            describe();
            let cluster = |name: &str| (names::CLUSTER, name.to_owned().into());
            let _ = Counters::<Outcome>::of(names::GATEWAY_REVIEWS_TOTAL, cluster("secret-project"));
            Histograms::<()>::of(names::GATEWAY_REVIEW_SECONDS, cluster("secret-project"))
                .record((), Duration::from_millis(1));
            let _ = Counters::<Outcome>::new(names::AUTHN_ADMISSIONS_TOTAL);
        });
        let public = without(&text, OF_CLUSTERS);
        assert!(text.contains("secret-project") && !public.contains("secret-project"), "{public}");
        assert!(!public.contains("lanyard_gateway_review"), "{public}");
        assert!(public.contains("# TYPE lanyard_authn_admissions_total counter\n"), "{public}");
    }
}

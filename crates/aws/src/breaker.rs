//! When an endpoint is down for everyone, its callers are told at once instead of after a timeout each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lanyard_kit::telemetry::{Label, names};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::limits::locked;
use crate::metered::Service;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerOptions {
    /// So many different principals, each verified by STS before, have to meet a fault while nobody gets an answer.
    pub principals_min: usize,
    /// Faults older than this do not count.
    pub window_seconds: u64,
    /// How long it stays open; then everyone may try again.
    pub open_seconds: u64,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { principals_min: 3, window_seconds: 30, open_seconds: 5 }
    }
}

/// Endpoints whose breaker is remembered: those of all known regions in three forms (plain, FIPS, dual stack), and
/// self-hosted ones beside.
const ENDPOINTS_MAX: usize = 512;
/// Principals remembered of one endpoint; more change nothing.
const PRINCIPALS_MAX: usize = 64;

/// One breaker for each endpoint. A fault counts only for a principal that STS has verified before, and any answer at
/// all wipes the count: who makes up keys, or sends what makes STS stumble, opens nothing while others get answers.
/// After its time an open breaker closes with nothing counted: no caller is picked as a probe who could hold it open.
pub(crate) struct Breaker {
    options: BreakerOptions,
    shown: Arc<Shown>,
}

/// What is told of a service's endpoints.
struct Shown {
    service: Service,
    endpoints: Mutex<HashMap<String, Endpoint>>,
}

#[derive(Default)]
struct Endpoint {
    faults: HashMap<String, Instant>,
    open_until: Option<Instant>,
}

impl Breaker {
    pub(crate) fn new(service: Service, options: BreakerOptions) -> Self {
        let shown = Arc::new(Shown { service, endpoints: Mutex::new(HashMap::new()) });
        shown.show(&HashMap::new(), Instant::now());
        Self { options, shown }
    }

    /// Lets a call through, or says for how long none will be.
    pub(crate) fn admit(&self, endpoint: &str, now: Instant) -> Result<(), Duration> {
        let mut endpoints = locked(&self.shown.endpoints);
        let Some(state) = endpoints.get_mut(endpoint) else { return Ok(()) };
        match state.open_until.and_then(|until| until.checked_duration_since(now)) {
            Some(left) if !left.is_zero() => Err(left),
            _ => {
                if state.open_until.take().is_some() {
                    tracing::info!(
                        endpoint,
                        "the breaker of an endpoint of AWS has closed: calls go out again"
                    );
                    self.shown.show(&endpoints, now);
                }
                Ok(())
            }
        }
    }

    /// Whether it lets no call through.
    pub(crate) fn is_open(&self, endpoint: &str, now: Instant) -> bool {
        locked(&self.shown.endpoints)
            .get(endpoint)
            .is_some_and(|state| state.open_until.is_some_and(|until| until > now))
    }

    /// The endpoint has answered somebody, whatever it said.
    pub(crate) fn answered(&self, endpoint: &str) {
        if let Some(state) = locked(&self.shown.endpoints).get_mut(endpoint) {
            state.faults.clear();
        }
    }

    /// A verified principal has met a fault. Where that opens the breaker, `closed` is called once it has closed by its time, for
    /// whoever shows that too: perhaps nobody asks this endpoint again.
    pub(crate) fn faulted(
        &self,
        endpoint: &str,
        principal: &str,
        now: Instant,
        closed: impl FnOnce() + Send + 'static,
    ) {
        let mut endpoints = locked(&self.shown.endpoints);
        if !endpoints.contains_key(endpoint) && endpoints.len() >= ENDPOINTS_MAX {
            return;
        }
        let state = endpoints.entry(endpoint.to_owned()).or_default();
        let window = Duration::from_secs(self.options.window_seconds);
        state.faults.retain(|_, at| now.saturating_duration_since(*at) < window);
        if state.faults.len() < PRINCIPALS_MAX || state.faults.contains_key(principal) {
            state.faults.insert(principal.to_owned(), now);
        }
        if state.faults.len() < self.options.principals_min || state.open_until.is_some() {
            return;
        }
        state.open_until = Some(now + Duration::from_secs(self.options.open_seconds));
        state.faults.clear();
        let open_seconds = self.options.open_seconds;
        tracing::warn!(
            endpoint,
            open_seconds,
            "an endpoint of AWS fails again and again: its breaker is open"
        );
        self.shown.show(&endpoints, now);
        drop(endpoints);
        let (shown, open) = (Arc::clone(&self.shown), Duration::from_secs(open_seconds));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(open).await;
                shown.show(&locked(&shown.endpoints), Instant::now());
                closed();
            });
        }
    }
}

impl Shown {
    /// The gauge tells whether any breaker of the service is open; the log tells which.
    fn show(&self, endpoints: &HashMap<String, Endpoint>, now: Instant) {
        let open = endpoints.values().any(|state| state.open_until.is_some_and(|until| until > now));
        metrics::gauge!(names::AWS_BREAKER_OPEN, Service::KEY => self.service.value()).set(if open {
            1.0
        } else {
            0.0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "sts.eu-west-1.amazonaws.com";

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn it_opens_when_several_principals_fail_and_closes_after_its_time() {
        let (breaker, start) = (Breaker::new(Service::Sts, BreakerOptions::default()), Instant::now());
        for principal in ["ana", "bo"] {
            breaker.faulted(HOST, principal, start, || {});
            assert_eq!(breaker.admit(HOST, start), Ok(()), "after {principal}");
        }
        breaker.faulted(HOST, "cy", start, || {});
        assert_eq!(breaker.admit(HOST, start + seconds(1)), Err(seconds(4)));
        assert!(breaker.is_open(HOST, start + seconds(1)) && !breaker.is_open(HOST, start + seconds(5)));
        assert_eq!(breaker.admit("sts.us-east-1.amazonaws.com", start), Ok(()), "another endpoint");
        assert_eq!(breaker.admit(HOST, start + seconds(5)), Ok(()));
        breaker.faulted(HOST, "ana", start + seconds(5), || {});
        assert_eq!(breaker.admit(HOST, start + seconds(5)), Ok(()), "it counts anew");
    }

    #[test]
    fn whether_one_is_open_is_shown_until_all_are_closed_again() {
        const OTHER: &str = "sts.us-east-1.amazonaws.com";
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _local = metrics::set_default_local_recorder(&recorder);
        let shows = |open: u8| {
            let line = format!("lanyard_aws_breaker_open{{service=\"sts\"}} {open}\n");
            recorder.handle().render().contains(&line)
        };
        let (breaker, start) = (Breaker::new(Service::Sts, BreakerOptions::default()), Instant::now());
        assert!(shows(0));
        for (endpoint, at) in [(HOST, start), (OTHER, start + seconds(2))] {
            for principal in ["ana", "bo", "cy"] {
                breaker.faulted(endpoint, principal, at, || {});
            }
            assert!(shows(1), "{endpoint} is open");
        }
        assert_eq!(breaker.admit(HOST, start + seconds(5)), Ok(()));
        assert!(shows(1), "the other is open for two seconds more");
        assert_eq!(breaker.admit(OTHER, start + seconds(7)), Ok(()));
        assert!(shows(0));
    }

    #[tokio::test]
    async fn one_that_closes_by_its_time_is_shown_closed_though_nobody_asks_there_again() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let _local = metrics::set_default_local_recorder(&recorder);
        let breaker =
            Breaker::new(Service::Sts, BreakerOptions { open_seconds: 1, ..BreakerOptions::default() });
        let (told, closed) = tokio::sync::oneshot::channel();
        let start = Instant::now();
        for principal in ["ana", "bo"] {
            breaker.faulted(HOST, principal, start, || panic!("it has not opened"));
        }
        breaker.faulted(HOST, "cy", start, || told.send(()).unwrap());
        assert!(recorder.handle().render().contains("lanyard_aws_breaker_open{service=\"sts\"} 1\n"));
        closed.await.unwrap();
        assert!(recorder.handle().render().contains("lanyard_aws_breaker_open{service=\"sts\"} 0\n"));
    }

    #[test]
    fn immunity_55_one_principal_cannot_open_it_and_an_answer_to_anyone_wipes_the_count() {
        let (breaker, start) = (Breaker::new(Service::Sts, BreakerOptions::default()), Instant::now());
        for call in 0..1000 {
            breaker.faulted(HOST, "mallory", start + Duration::from_millis(call), || {});
        }
        assert_eq!(breaker.admit(HOST, start + seconds(1)), Ok(()));
        breaker.faulted(HOST, "accomplice", start + seconds(1), || {});
        breaker.answered(HOST);
        breaker.faulted(HOST, "third", start + seconds(1), || {});
        assert_eq!(breaker.admit(HOST, start + seconds(1)), Ok(()));
    }

    #[test]
    fn faults_that_lie_far_apart_do_not_add_up() {
        let (breaker, start) = (Breaker::new(Service::Sts, BreakerOptions::default()), Instant::now());
        for (step, principal) in (0u64..).zip(["a", "b", "c", "d", "e"]) {
            breaker.faulted(HOST, principal, start + seconds(20 * step), || {});
        }
        assert_eq!(breaker.admit(HOST, start + seconds(80)), Ok(()));
    }
}

//! Traces: one tree of spans for each request, through every service and into PostgreSQL, Redis and STS, sent to a collector
//! over OTLP.
//!
//! Off unless an endpoint is configured. Then nothing of a request makes a span: each constructor in [`span`] looks at one flag
//! and gives [`tracing::Span::none`]. On, a request has a span where it comes in, so that log lines bear its trace's id; what is
//! below it has spans where the trace is recorded.
//!
//! Who comes in from outside may say which trace a request belongs to, and not that it is recorded, or only so many times a
//! second ([`TracesConfig::honoured_per_second_max`]). Between services that word counts. No span holds a token, a key, or
//! anything else that a caller chooses beyond names of clusters.

mod config;
mod context;
mod export;
pub mod span;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::sync::oneshot;

pub use config::{InvalidTraces, TelemetryConfig, TracesConfig};
pub(crate) use context::ids;
pub use context::{id, inject};
use export::{Exporter, Queue, Worker};

/// Whether this process makes spans at all.
static ON: AtomicBool = AtomicBool::new(false);

/// Whether this process makes spans at all: one load, and nothing more where it does not.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The way of spans to the collector.
pub(crate) struct Tracing {
    provider: SdkTracerProvider,
    queue: Queue,
    worker: Option<Worker>,
    flush_timeout: Duration,
}

impl Tracing {
    /// Made ready, before anything runs; none where it is not configured. After the metrics recorder: spans that are dropped
    /// are counted.
    ///
    /// # Errors
    /// [`InvalidTraces`] names the key and the rule.
    pub(crate) fn prepare(
        config: &TracesConfig,
        service: &'static str,
    ) -> Result<Option<Self>, InvalidTraces> {
        let Some(collector) = config.collector()? else { return Ok(None) };
        let (queue, worker) = export::pair(config, Exporter::new(collector, service));
        // Whoever decides that a trace is recorded does so at its root. `context` has weighed what callers say.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
        let provider =
            SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(queue.clone()).build();
        context::configure(config.sample_ratio, config.honoured_per_second_max);
        let flush_timeout = Duration::from_millis(config.flush_timeout_ms);
        Ok(Some(Self { provider, queue, worker: Some(worker), flush_timeout }))
    }

    /// What makes spans, for the subscriber.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer(env!("CARGO_PKG_NAME"))
    }

    /// Spans are made from here on, and sent. Needs a Tokio runtime.
    pub(crate) fn start(&mut self) {
        if let Some(worker) = self.worker.take() {
            tokio::spawn(worker.run());
            ON.store(true, Ordering::Relaxed);
        }
    }

    /// Waits until what has ended is sent, or for as long as that may take.
    pub(crate) async fn flush(&self) {
        let (done, sent) = oneshot::channel();
        let flushed = async {
            if self.queue.flush(done).await {
                // The worker ends with the runtime alone.
                let _ = sent.await;
            }
        };
        if tokio::time::timeout(self.flush_timeout, flushed).await.is_err() {
            tracing::warn!(timeout = ?self.flush_timeout, "the collector did not take the last spans in time");
        }
    }
}

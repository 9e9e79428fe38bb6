//! From ended spans to the collector: a bounded queue, batches, and nothing that anybody waits for.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, Span, SpanData, SpanProcessor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Request;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::config::{Collector, TracesConfig};
use crate::telemetry::{Counters, Label, names};

/// What became of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Exported,
    /// The queue was full.
    Dropped,
    /// The collector was not there, too slow, or refused them.
    Failed,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Exported, Self::Dropped, Self::Failed];

    fn value(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

type Counts = Arc<Counters<Outcome>>;

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are spans: in boxes each would be allocated once more"
)]
enum Order {
    Send(SpanData),
    /// Answered when all before it is sent or given up.
    Flush(oneshot::Sender<()>),
}

/// Takes spans as they end. What does not fit is dropped and counted.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    orders: mpsc::Sender<Order>,
    counts: Counts,
}

impl Queue {
    /// Puts a flush behind what is there; false where nobody sends any more.
    pub(super) async fn flush(&self, done: oneshot::Sender<()>) -> bool {
        self.orders.send(Order::Flush(done)).await.is_ok()
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.orders.try_send(Order::Send(span)).is_err() {
            self.counts.increment(Outcome::Dropped);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // It cannot wait here; `Tracing::flush` does.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends batches to a collector.
pub(super) struct Exporter {
    collector: Collector,
    resource: ResourceAttributesWithSchema,
}

impl Exporter {
    /// A process of a service, one among its replicas.
    pub(super) fn new(collector: Collector, service: &'static str) -> Self {
        let instance = RandomIdGenerator::default().new_trace_id().to_string();
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new(names::SERVICE_NAME, service),
                KeyValue::new(names::SERVICE_NAMESPACE, "lanyard"),
                KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
                KeyValue::new(names::SERVICE_INSTANCE_ID, instance),
            ])
            .build();
        Self { collector, resource: (&resource).into() }
    }

    /// Needs a Tokio runtime.
    fn connect(self) -> Connected {
        let Self { collector: Collector { endpoint, headers }, resource } = self;
        Connected { client: TraceServiceClient::new(endpoint.connect_lazy()), headers, resource }
    }
}

struct Connected {
    client: TraceServiceClient<Channel>,
    headers: MetadataMap,
    resource: ResourceAttributesWithSchema,
}

impl Connected {
    /// How many of the batch the collector has not taken, or why it has taken none.
    async fn send(&mut self, batch: Vec<SpanData>) -> Result<u64, tonic::Status> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let mut request = Request::new(ExportTraceServiceRequest { resource_spans });
        *request.metadata_mut() = self.headers.clone();
        let answer = self.client.export(request).await?.into_inner();
        let refused = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(u64::try_from(refused).unwrap_or(0))
    }
}

/// The queue, and who empties it once there is a runtime.
pub(super) fn pair(config: &TracesConfig, exporter: Exporter) -> (Queue, Worker) {
    let (sender, orders) = mpsc::channel(config.queue_max);
    let counts: Counts = Arc::new(Counters::new(names::TRACE_SPANS_TOTAL));
    let worker = Worker {
        orders,
        exporter,
        counts: Arc::clone(&counts),
        batch_max: config.batch_max,
        batch_wait: Duration::from_millis(config.batch_wait_ms),
        export_timeout: Duration::from_millis(config.export_timeout_ms),
    };
    (Queue { orders: sender, counts }, worker)
}

/// Empties the queue.
pub(super) struct Worker {
    orders: mpsc::Receiver<Order>,
    exporter: Exporter,
    counts: Counts,
    batch_max: usize,
    batch_wait: Duration,
    export_timeout: Duration,
}

impl Worker {
    /// Until the queue is gone.
    pub(super) async fn run(self) {
        let Self { mut orders, exporter, counts, batch_max, batch_wait, export_timeout } = self;
        let mut collector = exporter.connect();
        let mut is_well = true;
        while let Some((batch, waiting)) = next(&mut orders, batch_max, batch_wait).await {
            let count = batch.len() as u64;
            if count > 0 {
                let fault = match timeout(export_timeout, collector.send(batch)).await {
                    Ok(Ok(refused)) => {
                        let refused = refused.min(count);
                        counts.add(Outcome::Exported, count - refused);
                        counts.add(Outcome::Failed, refused);
                        (refused > 0).then(|| format!("it refused {refused} spans"))
                    }
                    Ok(Err(status)) => {
                        counts.add(Outcome::Failed, count);
                        Some(status.code().to_string())
                    }
                    Err(_) => {
                        counts.add(Outcome::Failed, count);
                        Some("it does not answer in time".to_owned())
                    }
                };
                tell(fault, &mut is_well);
            }
            // Whoever waited may have gone.
            for done in waiting {
                let _ = done.send(());
            }
        }
    }
}

/// What is sent next, and who waits for that. The first span waits for others, unless somebody waits.
async fn next(
    orders: &mut mpsc::Receiver<Order>,
    batch_max: usize,
    wait: Duration,
) -> Option<(Vec<SpanData>, Vec<oneshot::Sender<()>>)> {
    let (mut batch, mut waiting) = (Vec::new(), Vec::new());
    let mut order = Some(orders.recv().await?);
    let until = Instant::now() + wait;
    while let Some(next) = order {
        match next {
            Order::Send(span) => batch.push(span),
            Order::Flush(done) => waiting.push(done),
        }
        if batch.len() >= batch_max || !waiting.is_empty() {
            break;
        }
        order = timeout_at(until, orders.recv()).await.ok().flatten();
    }
    Some((batch, waiting))
}

/// Once when it begins to fail, once when it is well again.
fn tell(fault: Option<String>, is_well: &mut bool) {
    match fault {
        Some(fault) if *is_well => {
            tracing::warn!(fault, "the collector does not take spans: they are dropped and counted");
            *is_well = false;
        }
        None if !*is_well => {
            tracing::info!("the collector takes spans again");
            *is_well = true;
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests;

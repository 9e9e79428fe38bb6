//! Hands finished decisions to authz in batches, never on the path.

use std::sync::Arc;

use lanyard_api::{
    TraceId,
    authz::{DecisionRecord, Decisions},
};
use lanyard_kit::{
    batches::Batches,
    telemetry::{names, trace},
};

use crate::services::Services;

/// The trace of the request that is decided now, by which its log lines and spans are found.
pub fn trace() -> Option<TraceId> {
    trace::id().map(TraceId::new)
}

/// Takes finished decisions without waiting. What does not fit is dropped and counted.
#[derive(Clone)]
pub struct Recorder(Batches<DecisionRecord>);

impl Recorder {
    /// Starts the hand that carries batches over, until the last recorder is gone.
    pub fn start<S: Services>(services: Arc<S>, queue_max: usize) -> Self {
        Self(Batches::start(queue_max, names::DECISIONS_DROPPED_TOTAL, move |batch| {
            let services = Arc::clone(&services);
            async move { services.authz().record_or_tell(batch).await }
        }))
    }

    /// Takes one.
    pub fn take(&self, record: DecisionRecord) {
        self.0.take(record);
    }

    /// Waits until all that was taken before is handed over, or authz has said that it cannot be.
    pub async fn flush(&self) {
        self.0.flush().await;
    }
}

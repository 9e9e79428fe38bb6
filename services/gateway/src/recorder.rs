//! Hands finished decisions to authz in batches, never on the path.

use std::{sync::Arc, time::Duration};

use lanyard_api::authz::{DecisionRecord, Decisions};
use lanyard_kit::telemetry::names;
use tokio::sync::mpsc::{Sender, channel};

use crate::services::Services;

/// Most decisions of one batch.
const BATCH_MAX: usize = 512;
/// How long a batch may wait for company: less than anybody needs to ask for a decision by its id.
const BATCH_WAIT: Duration = Duration::from_millis(2);

/// Takes finished decisions without waiting. What does not fit is dropped and counted.
#[derive(Clone)]
pub struct Recorder(Sender<DecisionRecord>);

impl Recorder {
    /// Starts the hand that carries batches over, until the last recorder is gone.
    pub fn start<S: Services>(services: Arc<S>, queue_max: usize) -> Self {
        let (sender, mut receiver) = channel(queue_max.max(1));
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            while receiver.recv_many(&mut batch, BATCH_MAX).await > 0 {
                if let Err(fault) = services.authz().record(std::mem::take(&mut batch)).await {
                    tracing::warn!(%fault, "decisions were not recorded");
                }
                tokio::time::sleep(BATCH_WAIT).await;
            }
        });
        Self(sender)
    }

    /// Takes one.
    pub fn take(&self, record: DecisionRecord) {
        if self.0.try_send(record).is_err() {
            metrics::counter!(names::DECISIONS_DROPPED_TOTAL).increment(1);
        }
    }
}

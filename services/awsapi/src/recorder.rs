//! Decisions of this door: they go to authz in batches, never on the path.

use std::sync::Arc;

use lanyard_api::{
    TraceId,
    authz::{DecisionRecord, Decisions},
    credentials::VendCall,
};
use lanyard_iam::TokenDigest;
use lanyard_kit::{
    Clock,
    batches::Batches,
    telemetry::{names, trace},
};

/// Most decisions that wait to be handed over; one more is dropped and counted, and so are those that authz does not take. Some 1 KB each.
const QUEUE_MAX: usize = 16_384;

/// Takes decisions, dated by a clock.
#[derive(Clone)]
pub struct Recorder {
    decisions: Batches<DecisionRecord>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// Hands them to `authz` from now on. Needs a Tokio runtime.
    pub fn start(authz: impl Decisions + Clone, clock: Arc<dyn Clock>) -> Self {
        let decisions = Batches::start(QUEUE_MAX, names::DECISIONS_DROPPED_TOTAL, move |batch| {
            let authz = authz.clone();
            async move { authz.record_or_tell(batch).await }
        });
        Self { decisions, clock }
    }

    /// A call for a pod's credentials that is answered now.
    pub(crate) fn call(&self, cluster: lanyard_api::ClusterUid, caller: String, token: &str) -> VendCall {
        let (token, trace) = (TokenDigest::of(token), trace::id().map(TraceId::new));
        VendCall { cluster, caller, token, at: self.clock.now(), trace }
    }

    /// Takes one.
    pub(crate) fn take(&self, record: DecisionRecord) {
        self.decisions.take(record);
    }

    /// Waits until all that was taken before is handed over, or authz has said that it cannot be.
    pub async fn flush(&self) {
        self.decisions.flush().await;
    }
}

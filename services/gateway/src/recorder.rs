//! Hands finished decisions to authz in batches, never on the path.

use std::{future::Future, sync::Arc, time::Duration};

use lanyard_api::{
    Fault, TraceId,
    authz::{DecisionRecord, Decisions},
};
use lanyard_kit::telemetry::{names, trace};
use tokio::sync::{
    mpsc::{Receiver, Sender, channel},
    oneshot,
};

use crate::services::Services;

/// Most decisions of one batch.
const BATCH_MAX: usize = 512;
/// How long a batch may wait for company: less than anybody needs to ask for a decision by its id.
const BATCH_WAIT: Duration = Duration::from_millis(2);

/// What goes to the hand that carries batches over.
enum Order {
    Carry(DecisionRecord),
    /// Answered when all before it is handed over.
    Flush(oneshot::Sender<()>),
}

/// The trace of the request that is decided now, by which its log lines and spans are found.
pub fn trace() -> Option<TraceId> {
    trace::id().map(TraceId::new)
}

/// Takes finished decisions without waiting. What does not fit is dropped and counted.
#[derive(Clone)]
pub struct Recorder(Sender<Order>);

impl Recorder {
    /// Starts the hand that carries batches over, until the last recorder is gone.
    pub fn start<S: Services>(services: Arc<S>, queue_max: usize) -> Self {
        Self::with(queue_max, move |batch| {
            let services = Arc::clone(&services);
            async move { services.authz().record(batch).await }
        })
    }

    fn with<F>(queue_max: usize, hand_over: impl Fn(Vec<DecisionRecord>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let (sender, orders) = channel(queue_max.max(1));
        tokio::spawn(carry_all(orders, hand_over));
        Self(sender)
    }

    /// Takes one.
    pub fn take(&self, record: DecisionRecord) {
        if self.0.try_send(Order::Carry(record)).is_err() {
            metrics::counter!(names::DECISIONS_DROPPED_TOTAL).increment(1);
        }
    }

    /// Waits until all that was taken before is handed over, or authz has said that it cannot be.
    pub async fn flush(&self) {
        let (done, handed_over) = oneshot::channel();
        if self.0.send(Order::Flush(done)).await.is_ok() {
            // The hand is gone only when the process ends.
            let _ = handed_over.await;
        }
    }
}

async fn carry_all<F>(mut orders: Receiver<Order>, hand_over: impl Fn(Vec<DecisionRecord>) -> F)
where
    F: Future<Output = Result<(), Fault>>,
{
    let mut taken = Vec::with_capacity(BATCH_MAX);
    while orders.recv_many(&mut taken, BATCH_MAX).await > 0 {
        let (mut batch, mut waiting) = (Vec::with_capacity(taken.len()), Vec::new());
        for order in taken.drain(..) {
            match order {
                Order::Carry(record) => batch.push(record),
                Order::Flush(done) => waiting.push(done),
            }
        }
        if !batch.is_empty()
            && let Err(fault) = hand_over(batch).await
        {
            tracing::warn!(%fault, "decisions were not recorded");
        }
        // Whoever waited may have gone.
        for done in waiting {
            let _ = done.send(());
        }
        tokio::time::sleep(BATCH_WAIT).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use lanyard_api::{
        ClusterUid, DecisionId,
        authz::{DecisionKind, DecisionOutcome},
    };
    use time::OffsetDateTime;

    use super::*;

    fn record() -> DecisionRecord {
        DecisionRecord {
            id: DecisionId::random(),
            at: OffsetDateTime::UNIX_EPOCH,
            cluster: ClusterUid::random(),
            kind: DecisionKind::TokenReview,
            outcome: DecisionOutcome::Refused,
            reason: "unmapped".into(),
            who: "ana".into(),
            what: "token 0123456789ab".into(),
            detail: "".into(),
            trace: None,
        }
    }

    #[tokio::test]
    async fn a_flush_returns_once_all_that_was_taken_is_handed_over_whatever_authz_says() {
        for answer in [Ok(()), Err(Fault::Internal)] {
            let handed_over = Arc::new(Mutex::new(Vec::new()));
            let there = Arc::clone(&handed_over);
            let recorder = Recorder::with(3 * BATCH_MAX, move |batch| {
                let (there, answer) = (Arc::clone(&there), answer.clone());
                async move {
                    tokio::task::yield_now().await;
                    there.lock().unwrap().extend(batch.into_iter().map(|record| record.id));
                    answer
                }
            });
            let records: Vec<_> = std::iter::repeat_with(record).take(2 * BATCH_MAX + 1).collect();
            records.iter().for_each(|record| recorder.take(record.clone()));
            recorder.flush().await;
            let ids: Vec<_> = records.iter().map(|record| record.id).collect();
            assert_eq!(*handed_over.lock().unwrap(), ids);
        }
    }

    #[tokio::test]
    async fn a_flush_finds_room_in_a_full_queue() {
        let handed_over = Arc::new(Mutex::new(0));
        let there = Arc::clone(&handed_over);
        let recorder = Recorder::with(1, move |batch| {
            *there.lock().unwrap() += batch.len();
            std::future::ready(Ok(()))
        });
        recorder.take(record());
        recorder.flush().await;
        assert_eq!(*handed_over.lock().unwrap(), 1);
    }
}

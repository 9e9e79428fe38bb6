//! Writes decisions behind, many at a time.

use std::{sync::Arc, time::Duration};

use lanyard_api::authz::DecisionRecord;
use lanyard_kit::{
    caught,
    telemetry::{Counters, names, trace::span},
};
use lanyard_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};

/// Most records of one write.
const WRITE_MAX: usize = 512;

/// How long a record waits for company: a write costs the disk the same for one as for many.
const WRITE_WAIT: Duration = Duration::from_millis(250);

/// How often a write is tried.
const TRIES_MAX: u32 = 3;

/// Between tries.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// What is written at once.
type Batch = Arc<[DecisionRecord]>;

/// What goes to the writer.
enum Order {
    Write(Arc<DecisionRecord>),
    /// Answered when all before it is done.
    Flush(oneshot::Sender<()>),
}

/// The hand that stores decisions, until the last sender is gone.
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    dropped: Arc<Counters<()>>,
}

impl Writer {
    pub(super) fn start(store: Store, waiting_max: usize) -> Self {
        Self::through(waiting_max, move |batch: Batch| {
            let store = store.clone();
            async move { span::own(names::AUTHZ_DECISIONS_SPAN, store.put_decisions(&batch)).await }
        })
    }

    /// One that has each batch stored by `put`.
    fn through<F>(waiting_max: usize, put: impl Fn(Batch) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (orders, waiting) = mpsc::channel(waiting_max.max(1));
        let dropped = Arc::new(Counters::new(names::DECISIONS_DROPPED_TOTAL));
        tokio::spawn(write_all(put, waiting, Arc::clone(&dropped)));
        Self { orders, dropped }
    }

    /// Takes one without waiting; what there is no room for is counted.
    pub(super) fn write(&self, record: Arc<DecisionRecord>) {
        if self.orders.try_send(Order::Write(record)).is_err() {
            self.dropped.increment(());
        }
    }

    pub(super) async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() {
            // The writer is gone only when the process ends.
            let _ = waiting.await;
        }
    }
}

/// Stores what comes, until nobody can send any more.
async fn write_all<F>(put: impl Fn(Batch) -> F, mut orders: mpsc::Receiver<Order>, dropped: Arc<Counters<()>>)
where
    F: Future<Output = Result<(), StoreError>>,
{
    let mut taken = Vec::with_capacity(WRITE_MAX);
    while orders.recv_many(&mut taken, WRITE_MAX).await > 0 {
        // In vain where nothing more comes: that is what the wait is for.
        let _ = tokio::time::timeout(WRITE_WAIT, gather(&mut orders, &mut taken)).await;
        let (mut batch, mut waiting) = (Vec::with_capacity(taken.len()), Vec::new());
        for order in taken.drain(..) {
            match order {
                Order::Write(record) => batch.push(DecisionRecord::clone(&record)),
                Order::Flush(done) => waiting.push(done),
            }
        }
        if !batch.is_empty() {
            let batch = Batch::from(batch);
            // A panic loses its batch and nothing that comes later.
            if caught("the writer of decisions", write(&put, &batch, &dropped)).await.is_err() {
                dropped.add((), batch.len() as u64);
            }
        }
        // Whoever waited may have gone.
        for done in waiting {
            let _ = done.send(());
        }
    }
}

/// Takes more, until there is enough for a write or somebody waits for it.
async fn gather(orders: &mut mpsc::Receiver<Order>, taken: &mut Vec<Order>) {
    let mut looked_at = 0;
    loop {
        let is_awaited = taken.iter().skip(looked_at).any(|order| matches!(order, Order::Flush(_)));
        looked_at = taken.len();
        let room = WRITE_MAX.saturating_sub(looked_at);
        if is_awaited || room == 0 || orders.recv_many(taken, room).await == 0 {
            return;
        }
    }
}

async fn write<F>(put: &impl Fn(Batch) -> F, batch: &Batch, dropped: &Counters<()>)
where
    F: Future<Output = Result<(), StoreError>>,
{
    for tried in 1..=TRIES_MAX {
        match put(Arc::clone(batch)).await {
            Ok(()) => return,
            Err(error) if tried == TRIES_MAX => {
                tracing::warn!(%error, decisions = batch.len(), "decisions were not stored: explain finds them in memory only");
            }
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
    dropped.add((), batch.len() as u64);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use lanyard_api::authz::DecisionOutcome;

    use super::{super::ring::tests::record, *};

    #[tokio::test]
    async fn a_panic_loses_its_batch_and_nothing_that_comes_later() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let stored = Arc::new(Mutex::new(Vec::new()));
        let there = Arc::clone(&stored);
        let writer = metrics::with_local_recorder(&recorder, || {
            Writer::through(3, move |batch: Batch| {
                let there = Arc::clone(&there);
                async move {
                    let allowed = batch.iter().all(|record| record.outcome == DecisionOutcome::Allow);
                    assert!(allowed, "as the test has it");
                    there.lock().unwrap().extend(batch.iter().map(|record| record.id));
                    Ok(())
                }
            })
        });
        let kept = record(DecisionOutcome::Allow);
        writer.write(record(DecisionOutcome::Deny));
        writer.flush().await;
        writer.write(Arc::clone(&kept));
        writer.flush().await;
        assert_eq!(*stored.lock().unwrap(), [kept.id]);
        let shown = recorder.handle().render();
        assert!(shown.contains("lanyard_decisions_dropped_total 1"), "{shown}");
    }
}

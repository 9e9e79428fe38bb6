//! [`Decisions`]: the newest in memory, all of them in the store, written behind.

mod ring;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lanyard_api::{
    Actor, ActorKind, CallError, DecisionId, Fault, Vouched,
    authz::{DecisionRecord, Decisions},
};
use lanyard_kit::telemetry::{Counters, names};
use lanyard_store::Store;
use tokio::sync::{mpsc, oneshot};

use self::ring::Ring;
use super::{Authz, may_know};
use crate::config::AuthzConfig;

/// Most records of one write.
const WRITE_MAX: usize = 512;

/// Longest text of one field of a record, in bytes; what is longer is cut. A caller chooses usernames and names of objects.
const TEXT_BYTES_MAX: usize = 4096;

/// How often a write is tried.
const TRIES_MAX: u32 = 3;

/// Between tries.
const RETRY_AFTER: Duration = Duration::from_millis(200);

impl Decisions for Authz {
    async fn record(&self, batch: Vec<DecisionRecord>) -> Result<(), Fault> {
        self.inner.log.take(batch);
        Ok(())
    }

    async fn find(&self, by: Vouched<Actor>, id: DecisionId) -> Result<DecisionRecord, CallError> {
        let none = || CallError::not_found("decision", id);
        // A spoke was told its reason code; the detail is for people.
        if matches!(by.value.kind, ActorKind::Spoke { .. }) {
            return Err(none());
        }
        let kept = self.inner.log.find(id);
        let record = match kept {
            Some(record) => record,
            None => Arc::new(self.inner.store.get_decision(id).await?.ok_or_else(none)?),
        };
        let hub = self.inner.view.load_full().loaded_hub().await?;
        let is_theirs = hub.spoke(record.cluster).is_some_and(|spoke| may_know(&by.value, spoke));
        if is_theirs { Ok(DecisionRecord::clone(&record)) } else { Err(none()) }
    }
}

/// What goes to the writer.
enum Order {
    Write(Arc<DecisionRecord>),
    /// Answered when all before it is done.
    Flush(oneshot::Sender<()>),
}

/// Keeps the newest decisions, and has all of them stored.
pub(super) struct DecisionLog {
    ring: Mutex<Ring>,
    writer: mpsc::Sender<Order>,
    dropped: Arc<Counters<()>>,
}

impl DecisionLog {
    pub(super) fn start(store: Store, config: &AuthzConfig) -> Self {
        let (writer, orders) = mpsc::channel(config.decisions_waiting_max.max(1));
        let dropped = Arc::new(Counters::new(names::DECISIONS_DROPPED_TOTAL));
        tokio::spawn(write_all(store, orders, Arc::clone(&dropped)));
        Self { ring: Mutex::new(Ring::new(config.decisions_in_memory_max)), writer, dropped }
    }

    /// Never waits: what the writer has no room for stays in memory alone.
    fn take(&self, batch: Vec<DecisionRecord>) {
        let batch: Vec<Arc<DecisionRecord>> = batch.into_iter().map(|record| Arc::new(cut(record))).collect();
        let unsent =
            batch.iter().filter(|record| self.writer.try_send(Order::Write(Arc::clone(record))).is_err());
        self.dropped.add((), unsent.count() as u64);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        batch.into_iter().for_each(|record| ring.push(record));
    }

    fn find(&self, id: DecisionId) -> Option<Arc<DecisionRecord>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).find(id)
    }

    pub(super) async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        if self.writer.send(Order::Flush(done)).await.is_ok() {
            // The writer is gone only when the process ends.
            let _ = waiting.await;
        }
    }
}

/// Stores what comes, until the log is gone.
async fn write_all(store: Store, mut orders: mpsc::Receiver<Order>, dropped: Arc<Counters<()>>) {
    let mut taken = Vec::with_capacity(WRITE_MAX);
    while orders.recv_many(&mut taken, WRITE_MAX).await > 0 {
        let (mut batch, mut waiting) = (Vec::with_capacity(taken.len()), Vec::new());
        for order in taken.drain(..) {
            match order {
                Order::Write(record) => batch.push(DecisionRecord::clone(&record)),
                Order::Flush(done) => waiting.push(done),
            }
        }
        if !batch.is_empty() {
            write(&store, &batch, &dropped).await;
        }
        // Whoever waited may have gone.
        for done in waiting {
            let _ = done.send(());
        }
    }
}

async fn write(store: &Store, batch: &[DecisionRecord], dropped: &Counters<()>) {
    for tried in 1..=TRIES_MAX {
        match store.put_decisions(batch).await {
            Ok(()) => return,
            Err(error) if tried == TRIES_MAX => {
                tracing::warn!(%error, decisions = batch.len(), "decisions were not stored: explain finds them in memory only");
            }
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
    dropped.add((), batch.len() as u64);
}

fn cut(mut record: DecisionRecord) -> DecisionRecord {
    let DecisionRecord { outcome, reason, who, what, detail, .. } = &mut record;
    for text in [outcome, reason, who, what, detail] {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
    }
    record
}

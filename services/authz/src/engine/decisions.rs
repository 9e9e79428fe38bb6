//! [`Decisions`]: the newest in memory, and as many as the store can take written behind.

mod keeping;
mod ring;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, DecisionId, Fault, Vouched,
    authz::{DecisionRecord, Decisions, InputChanges},
};
use lanyard_kit::{
    batches::BATCH_WAIT,
    telemetry::{Counters, names},
};
use lanyard_store::Store;

use self::{keeping::Keeping, writer::Writer};
use super::{Authz, may_know};
use crate::config::AuthzConfig;

/// Longest text of one field of a record, in bytes; what is longer is cut, and a question left out. A caller chooses usernames and
/// names of objects.
const TEXT_BYTES_MAX: usize = 4096;

/// How long a decision may be on its way here from the door that has answered: what its batch waits for, and the call.
const LATE_MAX: Duration = BATCH_WAIT.saturating_mul(2);

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
        if let Some(record) = self.found_for(&by.value, id).await? {
            return Ok(record);
        }
        // Of somebody else's as well: how long an answer takes does not tell that there is one.
        tokio::time::sleep(LATE_MAX).await;
        self.found_for(&by.value, id).await?.ok_or_else(none)
    }

    async fn watch_inputs(&self, by: Vouched<Actor>, cluster: ClusterId) -> Result<InputChanges, CallError> {
        self.watch(by, cluster).await
    }
}

impl Authz {
    /// A decision that is there, and that they may know.
    async fn found_for(&self, actor: &Actor, id: DecisionId) -> Result<Option<DecisionRecord>, CallError> {
        let Some(record) = self.found(id).await? else { return Ok(None) };
        let hub = self.inner.view.load_full().loaded_hub().await?;
        let is_theirs = hub.spoke(record.cluster).is_some_and(|spoke| may_know(actor, spoke));
        Ok(is_theirs.then(|| DecisionRecord::clone(&record)))
    }

    async fn found(&self, id: DecisionId) -> Result<Option<Arc<DecisionRecord>>, Fault> {
        match self.inner.log.find(id) {
            Some(record) => Ok(Some(record)),
            None => Ok(self.inner.store.get_decision(id).await?.map(Arc::new)),
        }
    }
}

/// Keeps the newest decisions, and has them stored.
///
/// Those that let somebody in are kept apart from the others, in memory and in the store: they are many and seldom asked
/// about, and must not crowd out a refusal.
pub(super) struct DecisionLog {
    keeping: Mutex<Keeping>,
    writer: Writer,
    unstored: Counters<()>,
}

impl DecisionLog {
    pub(super) fn start(store: Store, config: &AuthzConfig) -> Self {
        Self {
            keeping: Mutex::new(Keeping::new(config)),
            writer: Writer::start(store, config.decisions_waiting_max),
            unstored: Counters::new(names::DECISIONS_UNSTORED_TOTAL),
        }
    }

    /// Never waits: what is too much for the store stays in memory alone.
    fn take(&self, batch: Vec<DecisionRecord>) {
        let batch: Vec<Arc<DecisionRecord>> = batch.into_iter().map(|record| Arc::new(cut(record))).collect();
        let (now, count) = (Instant::now(), batch.len());
        let stored: Vec<Arc<DecisionRecord>> = {
            let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
            batch.into_iter().filter_map(|record| keeping.take(record, now)).collect()
        };
        self.unstored.add((), count.saturating_sub(stored.len()) as u64);
        stored.into_iter().for_each(|record| self.writer.write(record));
    }

    fn find(&self, id: DecisionId) -> Option<Arc<DecisionRecord>> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).find(id)
    }

    /// Waits until all that was taken so far is stored, or was given up.
    pub(super) async fn flush(&self) {
        self.writer.flush().await;
    }
}

fn cut(mut record: DecisionRecord) -> DecisionRecord {
    let DecisionRecord { who, what, detail, .. } = &mut record;
    for text in [who, what, detail] {
        if text.len() > TEXT_BYTES_MAX {
            *text = text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into();
        }
    }
    // Half a question is another question.
    record.question = record.question.filter(|question| question.text_bytes() <= TEXT_BYTES_MAX);
    if record.reason.len() > TEXT_BYTES_MAX {
        let end = record.reason.floor_char_boundary(TEXT_BYTES_MAX);
        record.reason.to_mut().truncate(end);
    }
    record
}

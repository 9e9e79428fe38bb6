//! The end of a mutation.

use lanyard_api::{Revision, Scope};
use serde::Serialize;
use tracing::Instrument as _;

use super::{Committed, Transaction, Written};
use crate::{
    chain::mac_of,
    change::Change,
    error::StoreError,
    feed::CHANNEL,
    keyring::Purpose,
    tables::{
        changes::{ChainedChange, attach_sealed, insert_line, set_counter},
        uses,
    },
    telemetry::Outcome,
};

impl Transaction {
    /// Commits. `answer` is what a second arrival of the same signed request is given; none where it holds a secret.
    ///
    /// Runs to its end even when the caller gives up waiting. When it answers, this process's followers have applied it.
    ///
    /// # Errors
    /// [`StoreError::Lockout`]; then nothing was written. [`StoreError::Unavailable`] leaves open whether it was.
    pub async fn commit(self, answer: Option<&impl Serialize>) -> Result<Committed, StoreError> {
        let answer = answer.map(serde_json::to_vec).transpose();
        let answer =
            answer.map_err(|error| StoreError::Broken(format!("an answer cannot be written: {error}")))?;
        self.finish(answer).await
    }

    /// Commits without keeping an answer.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_unrecorded(self) -> Result<Committed, StoreError> {
        self.finish(None).await
    }

    async fn finish(mut self, answer: Option<Vec<u8>>) -> Result<Committed, StoreError> {
        let prepared = self.prepare(answer).await;
        let batches = self.noted(prepared)?;
        let revisions = self.revisions();
        let revision = revisions.get(&self.first).copied().unwrap_or_default();
        let Self { store, connection, permit, mut timer, .. } = self;
        let alone = store.options().alone;
        // A task of its own: whoever waits may be cancelled, but followers must not miss what was committed.
        let ending = async move {
            let committed = connection.commit().await.map_err(StoreError::from);
            drop(permit);
            if let Err(StoreError::Unavailable(_)) = &committed {
                // It may be done all the same.
                store.feed().wake.notify_one();
            }
            match &committed {
                Ok(()) => timer.ended(Outcome::Committed),
                Err(error) => timer.failed(error),
            }
            drop(timer);
            committed?;
            Ok::<bool, StoreError>(store.deliver(batches).await)
        };
        let ending = tokio::spawn(ending.in_current_span());
        let applied = ending.await.map_err(|_| StoreError::Broken(String::from("a follower failed")))??;
        Ok(Committed { revision, revisions, applied, confirmed: applied && alone })
    }

    /// Everything before the database's own commit.
    async fn prepare(&mut self, answer: Option<Vec<u8>>) -> Result<Vec<Vec<Change>>, StoreError> {
        if self.is_failed {
            return Err(StoreError::Aborted);
        }
        if let Some(guard) = self.guard.as_ref().filter(|_| !self.allow_lockout) {
            let clusters = guard.locked_out(&mut self.connection, self.own_account).await?;
            if !clusters.is_empty() {
                return Err(StoreError::Lockout { clusters });
            }
        }
        if let Some(lifting) = self.lifting.as_ref().filter(|_| !self.allow_lockout)
            && lifting.locks_out(&mut self.connection).await?
        {
            return Err(StoreError::NobodyLifts);
        }
        let batches = self.write_lines().await?;
        let revisions = self.revisions();
        for used in &self.uses {
            uses::record(&mut self.connection, used, &revisions, answer.clone()).await?;
        }
        Ok(batches)
    }

    /// Writes the lines of each scope that changed, and moves its counter on.
    async fn write_lines(&mut self) -> Result<Vec<Vec<Change>>, StoreError> {
        let keys = self.store.keyring().purpose_keys(Purpose::Chain)?;
        let (mac_version, key) = keys.first().ok_or(StoreError::Aborted)?;
        let writes: Vec<_> =
            std::mem::take(&mut self.writes).into_iter().filter(|w| w.before != w.after).collect();
        let scopes: Vec<Scope> = self.counters.keys().copied().collect();
        let mut batches = Vec::new();
        for scope in scopes {
            let Some(counter) = self.counters.get_mut(&scope) else { continue };
            let revision = Revision(counter.revision.0 + 1);
            let mut mac = counter.mac.clone();
            let mut changes = Vec::new();
            for (sequence, write) in (0..).zip(writes.iter().filter(|write| write.scope == scope)) {
                let change = line(write, revision, sequence, self.now, &self.actor, self.reason.as_deref());
                mac = mac_of(key, &mac, &change).to_vec();
                let line = ChainedChange { change, mac: mac.clone(), mac_version: *mac_version };
                insert_line(&mut self.connection, &line).await?;
                changes.push(line.change);
            }
            if changes.is_empty() {
                continue;
            }
            set_counter(&mut self.connection, scope, revision, mac.clone()).await?;
            (counter.revision, counter.mac) = (revision, mac);
            attach_sealed(&mut self.connection, &mut changes).await?;
            if self.connection.notifies() {
                // Heard by others once the commit is done.
                self.connection
                    .fetch("SELECT pg_notify($1, $2)", [CHANNEL.into(), scope.to_string().into()])
                    .await?;
            }
            batches.push(changes);
        }
        Ok(batches)
    }
}

fn line(
    write: &Written,
    revision: Revision,
    sequence: u32,
    at: time::OffsetDateTime,
    actor: &str,
    reason: Option<&str>,
) -> Change {
    Change {
        scope: write.scope,
        revision,
        sequence,
        kind: write.kind,
        key: write.key.clone(),
        before: write.before.clone(),
        after: write.after.clone(),
        sealed: None,
        actor: actor.to_owned(),
        reason: reason.map(str::to_owned),
        at,
    }
}

//! The change feed of a process: its own commits at once, other processes' as the tailer finds them, each once and in order.

mod tail;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use lanyard_api::{Revision, Scope};
use lanyard_kit::{
    caught_now,
    telemetry::{names, trace::span},
};
use tokio::sync::Notify;

pub(crate) use tail::{Words, tail};

use crate::{
    change::Change,
    error::StoreError,
    store::Store,
    tables::{
        changes::{attach_sealed, counters, lines_after},
        purpose_keys::is_rotation,
    },
    telemetry::{self, Source},
};

/// The channel on which Postgres tells other processes which scope was committed in.
pub(crate) const CHANNEL: &str = "lanyard_changes";
/// Revisions fetched at a time when catching up.
const REVISIONS_PAGE: u64 = 200;

/// Something that follows changes.
pub trait Follower: Send + Sync {
    /// Takes lines of one scope: whole revisions, in commit order, never one twice and none left out, from when it began to
    /// follow. It is called while a commit waits: no waiting here.
    fn apply(&self, changes: &[Change]);
}

/// Who follows, and how far they are.
#[derive(Default)]
pub(crate) struct Feed {
    followers: ArcSwap<Vec<Arc<dyn Follower>>>,
    /// One delivery at a time, whether of an own commit or of a catch-up.
    turn: tokio::sync::Mutex<()>,
    /// The last revision handed to followers. A scope that is not here is at 0: it was made later than the store was opened.
    applied: Mutex<HashMap<Scope, Revision>>,
    /// The highest revision ever seen, by whatever read.
    seen: Mutex<HashMap<Scope, Revision>>,
    /// Wakes the tailer.
    pub(crate) wake: Arc<Notify>,
}

impl Feed {
    /// Begins where the store is.
    pub(crate) fn begin(&self, counters: &[(Scope, Revision)]) {
        for (scope, revision) in counters {
            raise(&self.applied, *scope, *revision);
            raise(&self.seen, *scope, *revision);
        }
        self.tell();
    }

    /// Shows how far the followers are.
    fn tell(&self) {
        let applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        telemetry::revisions(applied.values().map(|revision| revision.0).sum());
    }

    pub(crate) fn follow(&self, follower: Arc<dyn Follower>) {
        self.followers.rcu(|followers| {
            let mut followers = Vec::clone(followers);
            followers.push(Arc::clone(&follower));
            followers
        });
    }

    /// The highest revision seen so far. Asked for before a read begins: another read may see a higher one meanwhile.
    pub(crate) fn seen(&self, scope: Scope) -> Revision {
        current(&self.seen, scope)
    }

    /// Takes note of a revision that a read showed; refuses one lower than was seen before the read began.
    pub(crate) fn refuse_lower(
        &self,
        scope: Scope,
        seen: Revision,
        found: Revision,
    ) -> Result<(), StoreError> {
        if found < seen {
            let error = StoreError::Regressed { scope, seen, found };
            telemetry::regressed(&error);
            return Err(error);
        }
        raise(&self.seen, scope, found);
        Ok(())
    }

    fn applied(&self, scope: Scope) -> Revision {
        current(&self.applied, scope)
    }
}

fn current(of: &Mutex<HashMap<Scope, Revision>>, scope: Scope) -> Revision {
    of.lock().unwrap_or_else(PoisonError::into_inner).get(&scope).copied().unwrap_or_default()
}

fn raise(of: &Mutex<HashMap<Scope, Revision>>, scope: Scope, to: Revision) {
    let mut revisions = of.lock().unwrap_or_else(PoisonError::into_inner);
    let revision = revisions.entry(scope).or_default();
    *revision = to.max(*revision);
}

impl Store {
    /// Follows every change from now on, for as long as the store is open.
    pub fn follow(&self, follower: Arc<dyn Follower>) {
        self.feed().follow(follower);
    }

    /// How far the followers are, in every scope that there is.
    pub fn revisions(&self) -> Vec<(Scope, Revision)> {
        let applied = self.feed().applied.lock().unwrap_or_else(PoisonError::into_inner);
        applied.iter().map(|(scope, revision)| (*scope, *revision)).collect()
    }

    /// Hands an own commit to the followers, after what others committed before it; false where that could not be fetched, so
    /// that the tailer has to.
    pub(crate) async fn deliver(&self, batches: Vec<Vec<Change>>) -> bool {
        let _turn = self.feed().turn.lock().await;
        let mut is_applied = true;
        for changes in batches {
            let Some(Change { scope, revision, .. }) = changes.first() else { continue };
            let (scope, revision) = (*scope, *revision);
            let applied = self.feed().applied(scope);
            let delivered = async {
                match revision.0.checked_sub(applied.0) {
                    // The tailer was quicker.
                    None | Some(0) => Ok(()),
                    Some(1) => self.hand_over(&changes, Source::Own).await,
                    Some(_) => self.catch_up_in(scope, Source::Own).await,
                }
            };
            if let Err(error) = self.answered(Box::pin(delivered)).await {
                tracing::warn!(error = %error, scope = %scope, "a commit is not applied yet: trying again");
                is_applied = false;
            }
        }
        if !is_applied {
            self.feed().wake.notify_one();
        }
        is_applied
    }

    /// Brings followers up to what the store has now. The tailer does so by itself.
    ///
    /// # Errors
    /// [`StoreError::Regressed`] where the store has a lower revision than was seen; the other scopes are caught up all the
    /// same. Otherwise when the database does not answer.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.look(Source::Poll).await.map(drop)
    }

    /// The same, with what caused it; the answer is whether there was anything to catch up with.
    pub(crate) async fn look(&self, source: Source) -> Result<bool, StoreError> {
        telemetry::looked(source);
        self.keyring().advance(self.clock().now());
        let _turn = self.feed().turn.lock().await;
        self.answered(Box::pin(self.look_in_turn(source))).await
    }

    /// What the feed does, which others wait for, for as long as answers may be awaited. A server that is gone without a word shows by nothing
    /// else for a quarter of an hour; on another connection there may be one again. What is dropped has handed over whole revisions,
    /// and goes on there.
    async fn answered<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let limit = self.options().answer_max;
        let silent = |_| Err(StoreError::Unavailable(format!("it said nothing for {limit:?}")));
        tokio::time::timeout(limit, work).await.unwrap_or_else(silent)
    }

    async fn look_in_turn(&self, source: Source) -> Result<bool, StoreError> {
        let before: HashMap<Scope, Revision> =
            self.feed().seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = {
            let mut connection = self.read().await?;
            counters(&mut connection).await?
        };
        // A scope that is gone altogether is at 0.
        let gone = before.keys().filter(|scope| !found.iter().any(|(other, _)| other == *scope)).copied();
        let gone: Vec<_> = gone.map(|scope| (scope, Revision(0))).collect();
        found.extend(gone);
        let behind: u64 =
            found.iter().map(|(scope, at)| at.0.saturating_sub(self.feed().applied(*scope).0)).sum();
        telemetry::lag(behind);
        let mut caught_up = Ok(());
        for (scope, revision) in found {
            let seen = before.get(&scope).copied().unwrap_or_default();
            let done = match self.feed().refuse_lower(scope, seen, revision) {
                Ok(()) if revision > self.feed().applied(scope) => {
                    span::own(names::STORE_FOLLOW_SPAN, self.catch_up_in(scope, source)).await
                }
                other => other,
            };
            caught_up = caught_up.and(done);
        }
        if caught_up.is_ok() {
            telemetry::caught_up(self.clock().now());
        }
        caught_up.map(|()| behind > 0)
    }

    /// Hands over what the store has of a scope beyond what was applied.
    async fn catch_up_in(&self, scope: Scope, source: Source) -> Result<(), StoreError> {
        loop {
            let mut changes = Vec::new();
            {
                let mut connection = self.read().await?;
                let lines =
                    lines_after(&mut connection, scope, self.feed().applied(scope), REVISIONS_PAGE).await?;
                changes.extend(lines.into_iter().map(|line| line.change));
                attach_sealed(&mut connection, &mut changes).await?;
            }
            if changes.is_empty() {
                return Ok(());
            }
            self.hand_over(&changes, source).await?;
        }
    }

    async fn hand_over(&self, changes: &[Change], source: Source) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Ok(()) };
        let applied = self.feed().applied(first.scope);
        if first.revision.0 != applied.0 + 1 {
            return Err(StoreError::Broken(format!(
                "scope `{}` has no lines between revisions {applied} and {}",
                first.scope, first.revision
            )));
        }
        if changes.iter().any(|change| is_rotation(change.kind, &change.key)) {
            self.renew_keys().await?;
        }
        self.learn_keys(changes.iter().filter_map(|change| change.sealed.as_ref())).await?;
        // Before the followers: none gets the same lines again.
        raise(&self.feed().applied, last.scope, last.revision);
        raise(&self.feed().seen, last.scope, last.revision);
        for follower in self.feed().followers.load().iter() {
            // One that panics must not keep the change from the others.
            let _ = caught_now("a follower of the store", || follower.apply(changes));
        }
        self.feed().tell();
        let now = self.clock().now();
        for of_one in changes.chunk_by(|a, b| a.revision == b.revision) {
            if let Some(change) = of_one.first() {
                telemetry::applied(source, change.at, now);
            }
        }
        Ok(())
    }
}

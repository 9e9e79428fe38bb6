//! The place of one scope's snapshot.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use lanyard_api::{Revision, Scope};
use lanyard_kit::caught_now;

use crate::{change::Change, error::StoreError, model::Model, telemetry};

/// Revisions that may come in while a scope is loaded; beyond that the load has failed.
const HELD_MAX: usize = 100_000;

/// The place of one scope's snapshot.
pub(super) struct Slot<M: Model> {
    published: ArcSwapOption<Published<M::Snapshot>>,
    state: Mutex<State<M::Rows>>,
    loading: tokio::sync::Mutex<()>,
    used: AtomicU64,
}

/// A snapshot and the revision it is true of.
struct Published<S> {
    snapshot: Arc<S>,
    revision: Revision,
}

enum State<R> {
    /// Nothing is in memory: changes are no concern.
    Empty,
    /// Somebody reads the rows: changes are held until that is done.
    Loading(Vec<Change>),
    /// The rows of this revision.
    Ready { rows: R, revision: Revision },
}

impl<M: Model> Default for Slot<M> {
    fn default() -> Self {
        Self {
            published: ArcSwapOption::empty(),
            state: Mutex::new(State::Empty),
            loading: tokio::sync::Mutex::new(()),
            used: AtomicU64::new(0),
        }
    }
}

impl<M: Model> Slot<M> {
    pub(super) fn peek(&self) -> Option<(Arc<M::Snapshot>, Revision)> {
        let published = self.published.load();
        published.as_ref().map(|published| (Arc::clone(&published.snapshot), published.revision))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.published.load().is_some()
    }

    /// Whether it has no snapshot and nobody is about to load one.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_ready() && self.loading.try_lock().is_ok()
    }

    /// Notes when it was read. Written only when it differs, so that readers on many cores do not fight over it.
    pub(super) fn used(&self, tick: u64) {
        if self.used.load(Ordering::Relaxed) != tick {
            self.used.store(tick, Ordering::Relaxed);
        }
    }

    pub(super) fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Waits for the turn to load.
    pub(super) async fn loading(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.loading.lock().await
    }

    /// Holds changes from now on, until the load is finished or given up.
    pub(super) fn begin_load(&self) -> Load<'_, M> {
        *self.state() = State::Loading(Vec::new());
        Load { slot: self }
    }

    /// Takes changes of its scope.
    pub(super) fn follow(&self, model: &M, scope: Scope, changes: &[Change]) {
        let mut state = self.state();
        match &mut *state {
            State::Empty => {}
            State::Loading(held) if held.len() + changes.len() > HELD_MAX => *state = State::Empty,
            State::Loading(held) => held.extend_from_slice(changes),
            State::Ready { rows, revision } => {
                let followed = caught_now("a snapshot", || {
                    let Advance { to, is_touched } = advance(model, rows, *revision, changes)?;
                    *revision = to;
                    self.publish(model, scope, rows, to, is_touched);
                    Ok::<_, StoreError>(())
                });
                let error = match followed {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => error.to_string(),
                    Err(panicked) => panicked.to_string(),
                };
                // No snapshot is better than one that lacks a change: it may be a revocation.
                tracing::error!(error, scope = %scope, "a snapshot cannot follow: it is loaded anew");
                *state = State::Empty;
                self.published.store(None);
            }
        }
    }

    fn publish(&self, model: &M, scope: Scope, rows: &M::Rows, revision: Revision, is_touched: bool) {
        let unchanged = self.peek().filter(|_| !is_touched).map(|(snapshot, _)| snapshot);
        let snapshot = unchanged.unwrap_or_else(|| {
            let started = Instant::now();
            let snapshot = Arc::new(model.compile(scope, rows, revision));
            telemetry::compiled(started.elapsed());
            snapshot
        });
        self.published.store(Some(Arc::new(Published { snapshot, revision })));
    }

    fn state(&self) -> MutexGuard<'_, State<M::Rows>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load under way. Dropped before it is finished, it leaves the slot empty.
pub(super) struct Load<'a, M: Model> {
    slot: &'a Slot<M>,
}

impl<M: Model> Load<'_, M> {
    /// Takes the rows of a revision, and the changes that came in since.
    pub(super) fn finish(
        self,
        model: &M,
        scope: Scope,
        mut rows: M::Rows,
        revision: Revision,
    ) -> Result<Arc<M::Snapshot>, StoreError> {
        let mut state = self.slot.state();
        let State::Loading(held) = std::mem::replace(&mut *state, State::Empty) else {
            return Err(StoreError::Conflict);
        };
        let Advance { to, .. } = advance(model, &mut rows, revision, &held)?;
        self.slot.publish(model, scope, &rows, to, true);
        *state = State::Ready { rows, revision: to };
        drop(state);
        self.slot.peek().map(|(snapshot, _)| snapshot).ok_or(StoreError::Conflict)
    }
}

impl<M: Model> Drop for Load<'_, M> {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        if matches!(*state, State::Loading(_)) {
            *state = State::Empty;
        }
    }
}

struct Advance {
    to: Revision,
    /// Whether any change was of a kind that the model reads.
    is_touched: bool,
}

/// Applies changes to rows of a revision: those that the rows have already are passed over, none may be lacking.
fn advance<M: Model>(
    model: &M,
    rows: &mut M::Rows,
    from: Revision,
    changes: &[Change],
) -> Result<Advance, StoreError> {
    let mut advance = Advance { to: from, is_touched: false };
    for change in changes.iter().filter(|change| change.revision > from) {
        if change.revision.0 > advance.to.0 + 1 {
            let (scope, revision) = (change.scope, change.revision);
            return Err(StoreError::Broken(format!(
                "scope `{scope}` went from revision {} to {revision}",
                advance.to
            )));
        }
        advance.to = change.revision;
        if M::KINDS.contains(&change.kind) {
            advance.is_touched = true;
            model.apply(rows, change)?;
        }
    }
    Ok(advance)
}

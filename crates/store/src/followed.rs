//! Snapshots of scopes that keep up with the store.

mod slot;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lanyard_api::{Revision, Scope};

use self::slot::{Load, Slot};
use crate::{change::Change, error::StoreError, feed::Follower, model::Model, store::Store};

/// The snapshots of a model, one for each scope that was asked for. Clones share them.
///
/// Each is immutable; a change replaces it by another, before the commit that made the change returns. Reading one takes no lock
/// and waits for nothing. At most so many are kept, those used last; a scope with no snapshot has to be loaded again, and is,
/// by [`Followed::get`].
pub struct Followed<M: Model> {
    store: Store,
    shared: Arc<Shared<M>>,
}

/// What follows: everything but the store, which holds it.
struct Shared<M: Model> {
    model: M,
    slots: papaya::HashMap<Scope, Arc<Slot<M>>, foldhash::fast::RandomState>,
    scopes_max: usize,
    /// Counts loads. A slot notes it when it is read, so that the one unread for longest is known.
    tick: AtomicU64,
}

impl<M: Model> Followed<M> {
    /// Keeps at most `scopes_max` snapshots (at least one). It follows for as long as the store is open.
    pub fn new(store: &Store, model: M, scopes_max: usize) -> Self {
        let slots = papaya::HashMap::builder().hasher(foldhash::fast::RandomState::default()).build();
        let shared =
            Arc::new(Shared { model, slots, scopes_max: scopes_max.max(1), tick: AtomicU64::new(0) });
        store.follow(Arc::clone(&shared) as Arc<dyn Follower>);
        Self { store: store.clone(), shared }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.shared.model
    }

    /// The snapshot if it is in memory: no lock, no waiting.
    pub fn peek(&self, scope: Scope) -> Option<Arc<M::Snapshot>> {
        self.peek_at(scope).map(|(snapshot, _)| snapshot)
    }

    /// The same with the revision that it is true of.
    pub fn peek_at(&self, scope: Scope) -> Option<(Arc<M::Snapshot>, Revision)> {
        let slots = self.shared.slots.pin();
        let slot = slots.get(&scope)?;
        slot.used(self.shared.tick.load(Ordering::Relaxed));
        slot.peek()
    }

    /// The snapshot, loaded if it is not in memory; many who ask at once wait for one load.
    ///
    /// # Errors
    /// When the store does not answer, is an older one than before ([`StoreError::Regressed`]), or holds what the model cannot
    /// read.
    pub async fn get(&self, scope: Scope) -> Result<Arc<M::Snapshot>, StoreError> {
        match self.peek(scope) {
            Some(snapshot) => Ok(snapshot),
            // In a box of its own: a request's future has this in it many times, is moved often, and loads nothing as a rule.
            None => Box::pin(self.load_alone(scope)).await,
        }
    }

    /// The same with the revision that it is true of.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_at(&self, scope: Scope) -> Result<(Arc<M::Snapshot>, Revision), StoreError> {
        match self.peek_at(scope) {
            Some(found) => Ok(found),
            // It may be gone again before it is looked at: then it is of no revision that anything could be newer than.
            None => {
                let snapshot = Box::pin(self.load_alone(scope)).await?;
                let at = self.peek_at(scope).filter(|(current, _)| Arc::ptr_eq(current, &snapshot));
                Ok(at.unwrap_or((snapshot, Revision::default())))
            }
        }
    }

    async fn load_alone(&self, scope: Scope) -> Result<Arc<M::Snapshot>, StoreError> {
        let slot = Arc::clone(self.shared.slots.pin().get_or_insert_with(scope, Arc::default));
        let _turn = slot.loading().await;
        if let Some((snapshot, _)) = slot.peek() {
            return Ok(snapshot);
        }
        // From here on changes are kept, so that none is lost between what is read now and what follows.
        let load = slot.begin_load();
        let loaded = self.load(scope, load).await;
        slot.used(self.shared.tick.fetch_add(1, Ordering::Relaxed));
        self.shared.make_room(scope);
        loaded
    }

    async fn load(&self, scope: Scope, load: Load<'_, M>) -> Result<Arc<M::Snapshot>, StoreError> {
        let (revision, rows) = self.store.load_rows(scope, M::KINDS).await?;
        let rows = self.shared.model.build(scope, rows)?;
        load.finish(&self.shared.model, scope, rows, revision)
    }

    /// The revision that the snapshot in memory is true of: at least the one it was compiled at.
    pub fn revision(&self, scope: Scope) -> Option<Revision> {
        self.peek_at(scope).map(|(_, revision)| revision)
    }

    /// The scopes in memory, in order.
    pub fn scopes(&self) -> Vec<Scope> {
        let slots = self.shared.slots.pin();
        let mut scopes: Vec<_> =
            slots.iter().filter(|(_, slot)| slot.is_ready()).map(|(scope, _)| *scope).collect();
        scopes.sort_unstable();
        scopes
    }
}

impl<M: Model> Shared<M> {
    /// Drops the snapshots that were unread for longest, but for the one just asked for; and places where nothing came to be.
    fn make_room(&self, asked: Scope) {
        let slots = self.slots.pin();
        let (mut ready, idle): (Vec<_>, Vec<_>) = slots
            .iter()
            .filter(|(_, slot)| slot.is_ready() || slot.is_idle())
            .partition(|(_, slot)| slot.is_ready());
        for (scope, _) in idle {
            slots.remove(scope);
        }
        let surplus = ready.len().saturating_sub(self.scopes_max);
        ready.sort_unstable_by_key(|(scope, slot)| (**scope == asked, slot.last_used()));
        for (scope, _) in ready.into_iter().take(surplus) {
            slots.remove(scope);
        }
    }
}

impl<M: Model> Follower for Shared<M> {
    fn apply(&self, changes: &[Change]) {
        let mut by_scope: HashMap<Scope, &[Change]> = HashMap::new();
        // One scope in practice; the trait says so.
        for part in changes.chunk_by(|a, b| a.scope == b.scope) {
            if let Some(first) = part.first() {
                by_scope.insert(first.scope, part);
            }
        }
        let slots = self.slots.pin();
        for (scope, changes) in by_scope {
            if let Some(slot) = slots.get(&scope) {
                slot.follow(&self.model, scope, changes);
            }
        }
    }
}

impl<M: Model> Clone for Followed<M> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<M: Model> std::fmt::Debug for Followed<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Followed").field("scopes", &self.scopes().len()).finish_non_exhaustive()
    }
}

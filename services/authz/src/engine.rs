//! The engine: answers from memory, loads what is not there, counts.

mod authorize;
mod decisions;
mod objects;
mod telemetry;
mod watch;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, Fault, WatchPlaces,
    authz::{Decision, Review},
};
use lanyard_kit::Clock;
use lanyard_store::{ChangeSignal, SpokePushes, Store, StoreError};
use time::OffsetDateTime;

use crate::{
    config::AuthzConfig,
    decision::{Batch, Lacking},
    snapshot::Spoke,
    store::{CaughtUp, Current, Seen, View},
};

use self::{decisions::DecisionLog, telemetry::Telemetry};

/// Rounds of loading for one question. Each answers all that the one before was lacking; more than a few happen only where
/// memory is too small for what is asked.
const ROUNDS_MAX: usize = 8;

/// authz: decides access reviews, keeps the RBAC objects of clusters, and finished decisions. Clones share everything.
#[derive(Clone)]
pub struct Authz {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    config: AuthzConfig,
    clock: Arc<dyn Clock>,
    view: ArcSwap<View>,
    /// Held while a view with newer keys is made, so that one is.
    renewing: Mutex<()>,
    caught_up: CaughtUp,
    log: DecisionLog,
    signal: ChangeSignal,
    /// Places for watches.
    watches: Arc<WatchPlaces>,
    pushes: SpokePushes,
    telemetry: Telemetry,
}

impl Authz {
    /// Starts on a store. Needs a Tokio runtime, for the hand that stores finished decisions.
    ///
    /// # Errors
    /// [`StoreError::Keyring`] where this process has no key for proofs.
    pub fn start(store: &Store, config: AuthzConfig) -> Result<Self, StoreError> {
        let view = View::follow(store, &config)?;
        let log = DecisionLog::start(store.clone(), &config);
        let inner = Inner {
            store: store.clone(),
            clock: Arc::clone(store.clock()),
            view: ArcSwap::from_pointee(view),
            renewing: Mutex::new(()),
            caught_up: CaughtUp::default(),
            log,
            signal: ChangeSignal::follow(store),
            watches: WatchPlaces::new(config.watches_max, config.watches_per_account_max),
            pushes: SpokePushes::new(config.spoke_pushes),
            telemetry: Telemetry::new(),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Waits until the decisions handed over so far are stored, or given up: for the end of a process.
    pub async fn flush(&self) {
        self.inner.log.flush().await;
    }
}

impl Inner {
    /// Asks until everything that the answer needs is in memory.
    async fn ask<T>(
        &self,
        question: impl Fn(&Current<'_>, OffsetDateTime) -> Result<T, Lacking>,
    ) -> Result<T, Fault> {
        let mut caught_up_since = None;
        for _ in 0..ROUNDS_MAX {
            // In one process the first round answers, as a rule; the view must not be held across an await without owning it.
            let view = self.view.load();
            let lacking = match question(
                &Current::new(&view, &self.caught_up, caught_up_since.is_some()),
                self.clock.now(),
            ) {
                Ok(answer) => return Ok(answer),
                Err(lacking) => lacking,
            };
            let view = arc_swap::Guard::into_inner(view);
            self.supply(&view, lacking, &mut caught_up_since).await?;
        }
        Err(dropped())
    }

    /// Decides reviews in their order, all of them from what the first found in memory. Others have a turn in between, so that many
    /// reviews hold nobody up.
    async fn decide_all(&self, reviews: &[Review]) -> Result<Vec<Decision>, Fault> {
        let mut caught_up_since = None;
        for _ in 0..ROUNDS_MAX {
            let view = self.view.load_full();
            let current = Current::new(&view, &self.caught_up, caught_up_since.is_some());
            let (now, mut seen, mut batch) = (self.clock.now(), Seen::default(), Batch::of(reviews));
            let lacking = loop {
                let decided = seen.ask(&current, |pinned| batch.go_on(pinned, now));
                match decided {
                    Ok(()) if batch.is_done() => return Ok(batch.into_decisions()),
                    Ok(()) => tokio::task::yield_now().await,
                    Err(lacking) => break lacking,
                }
            };
            self.supply(&view, lacking, &mut caught_up_since).await?;
        }
        Err(dropped())
    }

    /// Brings what an answer lacks into memory.
    async fn supply(
        &self,
        view: &Arc<View>,
        lacking: Lacking,
        caught_up_since: &mut Option<Instant>,
    ) -> Result<(), Fault> {
        let catch_up = async {
            let since = *caught_up_since.get_or_insert_with(Instant::now);
            // In a box of its own, for hardly a question has to.
            Box::pin(self.caught_up.since(since, &self.store)).await
        };
        let newer = lacking.newer();
        lacking.supply(view, catch_up, || self.renew(view)).await.map_err(fault)?;
        newer.into_iter().for_each(|named| self.caught_up.note(named));
        Ok(())
    }

    /// Makes a view with the keys that the keyring has by now, in place of this one.
    fn renew(&self, stale: &Arc<View>) -> Result<(), StoreError> {
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&self.view.load(), stale) {
            self.view.store(Arc::new(View::follow(&self.store, &self.config)?));
            stale.retire();
        }
        Ok(())
    }

    /// The cluster of an id, where the actor may know of it.
    async fn spoke(&self, actor: &Actor, id: &ClusterId) -> Result<Arc<Spoke>, CallError> {
        let hub = self.view.load_full().loaded_hub().await?;
        let found = hub.spoke_by_id(id).filter(|spoke| may_know(actor, spoke));
        found.map(Arc::clone).ok_or_else(|| CallError::not_found("cluster", id))
    }
}

/// Names resolve inside the actor's account; a spoke knows itself. What one may not know does not exist.
fn may_know(actor: &Actor, spoke: &Spoke) -> bool {
    match &actor.kind {
        ActorKind::Principal { arn, .. } => arn.account == spoke.account,
        ActorKind::Spoke { cluster } => *cluster == spoke.uid,
        // Admit lets a node vend, and nothing else.
        ActorKind::Node { .. } => false,
        ActorKind::System { .. } => true,
    }
}

/// There was no answer in as many rounds as there are.
fn dropped() -> Fault {
    Fault::Unavailable {
        part: "the snapshot".into(),
        detail: "it was dropped from memory as often as it was loaded".into(),
    }
}

/// A fault, logged for those who can do something about it.
fn fault(error: StoreError) -> Fault {
    tracing::error!(%error, "a snapshot is not available");
    Fault::from(error)
}

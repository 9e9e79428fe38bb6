//! Wakes those who wait for changes, whatever these are.

use std::sync::Arc;

use lanyard_api::{Revision, Scope};
use tokio::sync::broadcast;

use crate::{change::Change, feed::Follower, kind::Kind, store::Store};

/// Changes that may wait for a slow listener; of more it is told that it missed some.
const WAITING_MAX: usize = 1024;

/// Tells of the scopes that change. What follows the store before it has the change when a listener hears of it.
#[derive(Debug, Clone)]
pub struct ChangeSignal {
    sender: broadcast::Sender<Heard>,
}

/// Hears of changes from when it began to listen.
#[derive(Debug)]
pub struct ChangeListener(broadcast::Receiver<Heard>);

/// What a listener heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// This scope is at this revision.
    Changed(Scope, Revision),
    /// Of what changed there, some were Pod Identity associations: sessions that descend from them are used in other clusters too. It is
    /// heard beside [`Self::Changed`].
    Associations(Scope),
    /// So much happened that some of it was missed: anything may have changed.
    Missed,
}

impl ChangeSignal {
    /// Follows a store from now on, behind those who follow it already.
    #[must_use]
    pub fn follow(store: &Store) -> Self {
        let (sender, _) = broadcast::channel(WAITING_MAX);
        let signal = Self { sender };
        store.follow(Arc::new(signal.clone()) as Arc<dyn Follower>);
        signal
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> ChangeListener {
        ChangeListener(self.sender.subscribe())
    }
}

#[cfg(any(test, feature = "test-support"))]
impl ChangeSignal {
    /// One that follows no store, and tells what a test has it tell.
    #[must_use]
    pub fn of_no_store() -> Self {
        Self { sender: broadcast::channel(WAITING_MAX).0 }
    }

    /// Tells whoever listens.
    pub fn tell(&self, heard: Heard) {
        // Nobody may be listening.
        let _ = self.sender.send(heard);
    }
}

impl Follower for ChangeSignal {
    fn apply(&self, changes: &[Change]) {
        if let Some(last) = changes.last() {
            // Nobody may be listening.
            let _ = self.sender.send(Heard::Changed(last.scope, last.revision));
            if changes.iter().any(|change| change.kind == Kind::PodIdentityAssociation) {
                let _ = self.sender.send(Heard::Associations(last.scope));
            }
        }
    }
}

impl ChangeListener {
    /// Waits for the next change. `None` when there will be none any more.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(heard) => Some(heard),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Heard::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next change if it has happened: no waiting.
    pub fn now(&mut self) -> Option<Heard> {
        match self.0.try_recv() {
            Ok(heard) => Some(heard),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(Heard::Missed),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}

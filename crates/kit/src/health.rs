//! Whether this process should get work: what `/livez` and `/readyz` answer from.
//!
//! Live means that the process runs at all. Ready means that every part that registered itself has said so and that
//! the process is not on its way out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The readiness of one process, shared by everybody in it.
#[derive(Debug, Clone)]
pub struct Readiness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    parts: Mutex<Vec<PartReport>>,
    stopping: CancellationToken,
    ready: watch::Sender<bool>,
}

/// One part of the process that must be ready; it begins not ready.
#[derive(Debug, Clone)]
pub struct Part {
    readiness: Readiness,
    name: &'static str,
}

/// What one part says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// The part, such as `store` or `snapshots`.
    pub name: &'static str,
    /// Why it is not ready; nothing if it is.
    pub waiting_for: Option<String>,
}

/// The whole answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether work may be sent here.
    pub ready: bool,
    /// Whether the process was told to stop.
    pub stopping: bool,
    /// Every part, in order of registration.
    pub parts: Vec<PartReport>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Ready at once, for no part has registered.
    #[must_use]
    pub fn new() -> Self {
        let (ready, _) = watch::channel(true);
        Self { inner: Arc::new(Inner { parts: Mutex::default(), stopping: CancellationToken::new(), ready }) }
    }

    /// Adds a part, not ready until it says so. A name that is already there is the same part.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Part {
        let part = Part { readiness: self.clone(), name };
        part.not_ready("starting");
        part
    }

    /// Not ready from here on, for good: the first step of stopping, so that balancers look elsewhere.
    pub fn stop(&self) {
        let parts = self.parts();
        self.inner.stopping.cancel();
        self.publish(&parts);
    }

    /// Waits until the process is told to stop: for what would go on for as long as it runs.
    pub async fn stopping(&self) {
        self.inner.stopping.cancelled().await;
    }

    /// Whether work may be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.inner.ready.borrow()
    }

    /// Whether the process was told to stop, be it while it starts.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.stopping.is_cancelled()
    }

    /// Waits until everything is ready.
    pub async fn wait(&self) {
        // An error means the sender is gone, which `self` holds: then there is nobody left to wait for.
        let _ = self.inner.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// The whole picture, for people and probes.
    #[must_use]
    pub fn report(&self) -> Report {
        let parts = self.parts().clone();
        let stopping = self.is_stopping();
        Report { ready: !stopping && all_ready(&parts), stopping, parts }
    }

    fn set(&self, name: &'static str, waiting_for: Option<String>) {
        let mut parts = self.parts();
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.waiting_for = waiting_for,
            None => parts.push(PartReport { name, waiting_for }),
        }
        self.publish(&parts);
    }

    /// Tells the waiting; called with the lock held, so that an older state never overtakes a newer one.
    fn publish(&self, parts: &[PartReport]) {
        let ready = !self.inner.stopping.is_cancelled() && all_ready(parts);
        self.inner.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }

    fn parts(&self) -> MutexGuard<'_, Vec<PartReport>> {
        // Nothing panics while it holds the lock, and a list of names has no half-done state.
        self.inner.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn all_ready(parts: &[PartReport]) -> bool {
    parts.iter().all(|part| part.waiting_for.is_none())
}

impl Part {
    /// This part can do its work.
    pub fn ready(&self) {
        self.readiness.set(self.name, None);
    }

    /// This part cannot do its work, for this reason (no secrets: anybody may read it).
    pub fn not_ready(&self, waiting_for: impl Into<String>) {
        self.readiness.set(self.name, Some(waiting_for.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_part_is() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let (store, snapshots) = (readiness.register("store"), readiness.register("snapshots"));
        assert!(!readiness.is_ready());
        store.ready();
        assert!(!readiness.is_ready());
        snapshots.ready();
        assert!(readiness.is_ready());
        store.not_ready("the database does not answer");
        assert!(!readiness.is_ready());
        assert_eq!(readiness.report().parts[0].waiting_for.as_deref(), Some("the database does not answer"));
    }

    #[test]
    fn a_stopping_process_is_never_ready_again() {
        let readiness = Readiness::new();
        let part = readiness.register("store");
        part.ready();
        readiness.stop();
        part.ready();
        assert!(!readiness.is_ready());
        assert!(readiness.report().stopping);
    }

    #[test]
    fn a_part_registered_twice_is_one_part() {
        let readiness = Readiness::new();
        let (first, second) = (readiness.register("store"), readiness.register("store"));
        first.ready();
        assert!(readiness.is_ready());
        second.not_ready("gone");
        assert_eq!(readiness.report().parts.len(), 1);
    }

    #[tokio::test]
    async fn waiting_ends_when_the_last_part_is_ready() {
        let readiness = Readiness::new();
        let part = readiness.register("store");
        let waiter = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.wait().await }
        });
        part.ready();
        waiter.await.unwrap();
        assert!(readiness.is_ready());
    }
}

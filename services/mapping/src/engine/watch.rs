//! Watches on the entries of a cluster: what there is, then what happens to it, each as the snapshots have it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use lanyard_api::{
    CallError, ClusterId, Revision, Scope, Vouched,
    mapping::{Cluster, EntryEvent, EntryEventKind, EntryEvents},
};
use lanyard_store::{ChangeListener, Heard};
use tokio::sync::OwnedSemaphorePermit;

use super::{Mapping, sight::Call};
use crate::snapshot::{ClusterSnapshot, Entry};

/// How long a watch is silent at most: whoever looks through it is weighed anew with each event.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A watch under way.
struct Watch {
    mapping: Mapping,
    cluster: Arc<Cluster>,
    told: Arc<ClusterSnapshot>,
    pending: VecDeque<EntryEvent>,
    changes: ChangeListener,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Mapping {
    pub(super) async fn watch(
        &self,
        by: Vouched<lanyard_api::Actor>,
        id: ClusterId,
        after: Option<Revision>,
    ) -> Result<EntryEvents, CallError> {
        let cluster = self.seen(&by.value, &id, Call::Management).await?;
        let place = Arc::clone(&self.inner.watches).try_acquire_owned().map_err(|_| {
            let limit = self.inner.config.limits.watches as u64;
            CallError::LimitExceeded { what: "watches at one time".into(), limit }
        })?;
        // Before the snapshot is read, so that no change falls between.
        let changes = self.inner.signal.listen();
        let told = self.inner.state.cluster(cluster.uid).await?;
        let mut pending = VecDeque::new();
        if after != Some(told.revision) {
            if after.is_some() {
                pending.push_back(bare(EntryEventKind::Reset, told.revision));
            }
            for entry in told.entries() {
                pending.push_back(self.event(&cluster, &told, entry, EntryEventKind::Added).await?);
            }
        }
        pending.push_back(bare(EntryEventKind::Bookmark, told.revision));
        let watch =
            Watch { mapping: self.clone(), cluster, told, pending, changes, ended: false, _place: place };
        Ok(stream::unfold(watch, Watch::next).boxed())
    }

    async fn event(
        &self,
        cluster: &Cluster,
        snapshot: &ClusterSnapshot,
        entry: &Entry,
        kind: EntryEventKind,
    ) -> Result<EntryEvent, CallError> {
        let associations = snapshot.associations_of(entry.record.id);
        let detail = self.detail(cluster, entry.record.clone(), associations).await?;
        Ok(EntryEvent { kind, revision: snapshot.revision, entry: Some(detail) })
    }
}

fn bare(kind: EntryEventKind, revision: Revision) -> EntryEvent {
    EntryEvent { kind, revision, entry: None }
}

impl Watch {
    async fn next(mut self) -> Option<(Result<EntryEvent, CallError>, Self)> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some((Ok(event), self));
            }
            if self.ended {
                return None;
            }
            let heard = tokio::time::timeout(SILENCE_MAX, self.changes.next()).await;
            let concerns = match heard {
                Err(_) => {
                    self.pending.push_back(bare(EntryEventKind::Bookmark, self.told.revision));
                    continue;
                }
                Ok(None) => return None,
                Ok(Some(Heard::Associations(_))) => false,
                Ok(Some(Heard::Missed)) => true,
                Ok(Some(Heard::Changed(scope, _))) => {
                    scope == Scope::Hub || scope == Scope::Cluster(self.cluster.uid)
                }
            };
            if concerns && let Err(error) = self.look().await {
                self.ended = true;
                return Some((Err(error), self));
            }
        }
    }

    /// Finds out what happened since it was told last.
    async fn look(&mut self) -> Result<(), CallError> {
        let hub = self.mapping.inner.state.hub().await?;
        let Some(cluster) = hub.clusters.get(&self.cluster.uid) else {
            return Err(CallError::not_found("cluster", &self.cluster.id));
        };
        self.cluster = Arc::clone(cluster);
        let now = self.mapping.inner.state.cluster(self.cluster.uid).await?;
        let before = std::mem::replace(&mut self.told, Arc::clone(&now));
        if Arc::ptr_eq(&before, &now) {
            return Ok(());
        }
        for entry in before.entries() {
            if now.entry(entry.record.id).is_none() {
                let mut event =
                    self.mapping.event(&self.cluster, &before, entry, EntryEventKind::Deleted).await?;
                event.revision = now.revision;
                self.pending.push_back(event);
            }
        }
        for entry in now.entries() {
            let id = entry.record.id;
            let kind = match before.entry(id) {
                None => EntryEventKind::Added,
                Some(old)
                    if old.record == entry.record
                        && before.associations.get(&id) == now.associations.get(&id) =>
                {
                    continue;
                }
                Some(_) => EntryEventKind::Changed,
            };
            self.pending.push_back(self.mapping.event(&self.cluster, &now, entry, kind).await?);
        }
        Ok(())
    }
}

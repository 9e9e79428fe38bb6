//! Watches on the entries of a cluster: what there is, then what happens to it, each as the snapshots have it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use lanyard_api::{
    CallError, ClusterId, ClusterUid, Revision, Scope, Vouched, WatchPlace,
    mapping::{Cluster, EntryEvent, EntryEventKind, EntryEvents},
};
use lanyard_store::{ChangeListener, Heard};
use tokio::time::{Instant, timeout_at};

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
    /// When it has last told anything.
    spoke_at: Instant,
    ended: bool,
    _place: WatchPlace,
}

impl Mapping {
    pub(super) async fn watch(
        &self,
        by: Vouched<lanyard_api::Actor>,
        id: ClusterId,
        after: Option<Revision>,
    ) -> Result<EntryEvents, CallError> {
        let cluster = self.seen(&by.value, &id, Call::Management).await?;
        let place = self.inner.watches.take(cluster.account)?;
        // Before the snapshot is read, so that no change falls between.
        let changes = self.inner.signal.listen();
        let told = self.inner.state.cluster(cluster.uid).await?;
        let mut events = Vec::new();
        if after != Some(told.revision) {
            if after.is_some() {
                events.push(bare(EntryEventKind::Reset, told.revision));
            }
            for entry in told.entries() {
                events.push(self.event(&cluster, &told, entry, EntryEventKind::Added).await?);
            }
        }
        events.push(bare(EntryEventKind::Bookmark, told.revision));
        let watch = Watch {
            mapping: self.clone(),
            cluster,
            told,
            pending: at_once(events, Revision::default()),
            changes,
            spoke_at: Instant::now(),
            ended: false,
            _place: place,
        };
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

/// What is told at once. Only the last of it bears the revision by which all of it had happened: whoever was cut off after an earlier
/// one, and goes on after the revision of that, has not heard the rest.
fn at_once(mut events: Vec<EntryEvent>, before: Revision) -> VecDeque<EntryEvent> {
    if let Some((_, earlier)) = events.split_last_mut() {
        for event in earlier {
            event.revision = before;
        }
    }
    events.into()
}

impl Watch {
    async fn next(mut self) -> Option<(Result<EntryEvent, CallError>, Self)> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                self.spoke_at = Instant::now();
                return Some((Ok(event), self));
            }
            if self.ended {
                return None;
            }
            match next_of(&mut self.changes, self.cluster.uid, self.spoke_at + SILENCE_MAX).await {
                Next::Change => {
                    if let Err(error) = self.look().await {
                        self.ended = true;
                        return Some((Err(error), self));
                    }
                }
                Next::Silence => {
                    self.pending.push_back(bare(EntryEventKind::Bookmark, self.told.revision));
                }
                Next::End => return None,
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
        let mut events = Vec::new();
        for entry in before.entries() {
            if now.entry(entry.record.id).is_none() {
                let gone = self.mapping.event(&self.cluster, &before, entry, EntryEventKind::Deleted).await?;
                events.push(EntryEvent { revision: now.revision, ..gone });
            }
        }
        for entry in now.entries() {
            let id = entry.record.id;
            let kind = match before.entry(id) {
                None => EntryEventKind::Added,
                Some(old)
                    if old.record == entry.record
                        && before.stale(id).is_some() == now.stale(id).is_some()
                        && before.associations.get(&id) == now.associations.get(&id) =>
                {
                    continue;
                }
                Some(_) => EntryEventKind::Changed,
            };
            events.push(self.mapping.event(&self.cluster, &now, entry, kind).await?);
        }
        self.pending = at_once(events, before.revision);
        Ok(())
    }
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A change that may concern it.
    Change,
    /// It has been silent for long enough.
    Silence,
    /// There will be no change any more.
    End,
}

/// Waits for a change that may concern the entries of a cluster, and no longer than to a moment, however much happens elsewhere.
async fn next_of(changes: &mut ChangeListener, cluster: ClusterUid, until: Instant) -> Next {
    if Instant::now() >= until {
        return Next::Silence;
    }
    let waiting = async {
        loop {
            match changes.next().await {
                None => return Next::End,
                Some(Heard::Missed) => return Next::Change,
                Some(Heard::Changed(scope, _)) if scope == Scope::Hub || scope == Scope::Cluster(cluster) => {
                    return Next::Change;
                }
                Some(Heard::Changed(..) | Heard::Associations(_)) => {}
            }
        }
    };
    timeout_at(until, waiting).await.unwrap_or(Next::Silence)
}

#[cfg(test)]
mod tests {
    use lanyard_store::ChangeSignal;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_speaks_in_time_however_much_happens_that_does_not_concern_it() {
        let (signal, own, other) = (ChangeSignal::of_no_store(), ClusterUid::random(), ClusterUid::random());
        let changed = |scope| Heard::Changed(scope, Revision(1));
        let mut changes = signal.listen();
        let until = Instant::now() + SILENCE_MAX;
        let elsewhere = async {
            for _ in 0..9 {
                tokio::time::sleep(SILENCE_MAX / 3).await;
                signal.tell(changed(Scope::Cluster(other)));
                signal.tell(Heard::Associations(Scope::Cluster(own)));
            }
        };
        let told = async { (next_of(&mut changes, own, until).await, Instant::now()) };
        let ((next, at), ()) = tokio::join!(told, elsewhere);
        assert_eq!(next, Next::Silence);
        assert!(at < until + SILENCE_MAX / 3, "{:?} late", at - until);

        let until = Instant::now() + SILENCE_MAX;
        for heard in [changed(Scope::Cluster(own)), changed(Scope::Hub), Heard::Missed] {
            signal.tell(heard);
            assert_eq!(next_of(&mut changes, own, until).await, Next::Change, "{heard:?}");
        }
        signal.tell(changed(Scope::Hub));
        assert_eq!(next_of(&mut changes, own, Instant::now()).await, Next::Silence, "it is time");
        assert_eq!(next_of(&mut changes, own, until).await, Next::Change, "nothing was lost for it");
        drop(signal);
        assert_eq!(next_of(&mut changes, own, until).await, Next::End);
    }
}

//! Watches on the entries of a cluster: what there is, then what happens to it, each as the snapshots have it.

mod told;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use lanyard_api::{
    CallError, ClusterId, Revision, Vouched, WatchPlace,
    mapping::{Cluster, EntryEvent, EntryEventKind, EntryEvents, WatchEnd},
};
use lanyard_store::{ChangeListener, Heard};
use tokio::time::{Instant, timeout_at};

use self::told::Told;
use super::{Mapping, entries::kept_principal, sight::Call};
use crate::snapshot::Entry;

/// How long a watch is silent at most: whoever looks through it is weighed anew with each event.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A watch under way.
struct Watch {
    mapping: Mapping,
    cluster: Arc<Cluster>,
    told: Told,
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
        after: Option<WatchEnd>,
    ) -> Result<EntryEvents, CallError> {
        let cluster = self.seen(&by.value, &id, Call::Management).await?;
        let place = self.inner.watches.take(cluster.account)?;
        // Before the snapshot is read, so that no change falls between.
        let changes = self.inner.signal.listen();
        let told = Told::load(self, cluster.uid).await?;
        let revision = told.snapshot.revision;
        // Counters begin anew with each cluster, and ids are used again.
        let is_here = |end: WatchEnd| end.cluster.is_none_or(|uid| uid == cluster.uid);
        let goes_on = after.is_some_and(|end| end.revision == revision && is_here(end));
        let entries = told.snapshot.entries().iter();
        let mut events = Vec::new();
        if goes_on {
            // That a principal of an account which the hub keeps is gone is in no revision of the cluster, and may not have been told. One
            // that is made anew has another id: the entry stays stale until it is changed, which is in a revision.
            let is_of_account = |entry: &&Arc<Entry>| kept_principal(&entry.record).is_some();
            let stale = entries.filter(is_of_account).filter(|entry| told.is_stale(&entry.record));
            events.extend(stale.map(|entry| told.event(self, &cluster, entry, EntryEventKind::Changed)));
        } else {
            if after.is_some() {
                events.push(told.bare(EntryEventKind::Reset));
            }
            events.extend(entries.map(|entry| told.event(self, &cluster, entry, EntryEventKind::Added)));
        }
        events.push(told.bare(EntryEventKind::Bookmark));
        let before = if goes_on { revision } else { Revision::default() };
        let watch = Watch {
            mapping: self.clone(),
            cluster,
            told,
            pending: at_once(events, before),
            changes,
            spoke_at: Instant::now(),
            ended: false,
            _place: place,
        };
        Ok(stream::unfold(watch, Watch::next).boxed())
    }
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
            match next_of(&mut self.changes, &self.told, self.spoke_at + SILENCE_MAX).await {
                Next::Change => {
                    if let Err(error) = self.look().await {
                        self.ended = true;
                        return Some((Err(error), self));
                    }
                }
                Next::Silence => {
                    self.pending.push_back(self.told.bare(EntryEventKind::Bookmark));
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
        let now = Told::load(&self.mapping, self.cluster.uid).await?;
        if now.is(&self.told) {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.told, now);
        let now = &self.told;
        let mut events = Vec::new();
        for entry in before.snapshot.entries() {
            if now.snapshot.entry(entry.record.id).is_none() {
                let gone = before.event(&self.mapping, &self.cluster, entry, EntryEventKind::Deleted);
                events.push(EntryEvent { revision: now.snapshot.revision, ..gone });
            }
        }
        for entry in now.snapshot.entries() {
            let kind = match before.snapshot.entry(entry.record.id) {
                None => EntryEventKind::Added,
                Some(old) if now.shows_as(&before, &entry.record, &old.record) => continue,
                Some(_) => EntryEventKind::Changed,
            };
            events.push(now.event(&self.mapping, &self.cluster, entry, kind));
        }
        self.pending = at_once(events, before.snapshot.revision);
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

/// Waits for a change that may concern what was told, and no longer than to a moment, however much happens elsewhere.
async fn next_of(changes: &mut ChangeListener, told: &Told, until: Instant) -> Next {
    if Instant::now() >= until {
        return Next::Silence;
    }
    let waiting = async {
        loop {
            match changes.next().await {
                None => return Next::End,
                Some(Heard::Missed) => return Next::Change,
                Some(Heard::Changed(scope, _)) if told.depends_on(scope) => return Next::Change,
                Some(Heard::Changed(..) | Heard::Associations(_)) => {}
            }
        }
    };
    timeout_at(until, waiting).await.unwrap_or(Next::Silence)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lanyard_api::{ClusterUid, Scope};
    use lanyard_store::ChangeSignal;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_speaks_in_time_however_much_happens_that_does_not_concern_it() {
        let (signal, own, other) = (ChangeSignal::of_no_store(), ClusterUid::random(), ClusterUid::random());
        let [kept, others] = ["111122223333", "444455556666"].map(|id| Scope::Account(id.parse().unwrap()));
        let Scope::Account(account) = kept else { panic!("{kept}") };
        let accounts = BTreeMap::from([(account, Arc::default())]);
        let told = Told { cluster: own, snapshot: Arc::default(), accounts };
        let changed = |scope| Heard::Changed(scope, Revision(1));
        let mut changes = signal.listen();
        let until = Instant::now() + SILENCE_MAX;
        let elsewhere = async {
            for _ in 0..9 {
                tokio::time::sleep(SILENCE_MAX / 3).await;
                signal.tell(changed(Scope::Cluster(other)));
                signal.tell(changed(others));
                signal.tell(Heard::Associations(Scope::Cluster(own)));
            }
        };
        let waiting = async { (next_of(&mut changes, &told, until).await, Instant::now()) };
        let ((next, at), ()) = tokio::join!(waiting, elsewhere);
        assert_eq!(next, Next::Silence);
        assert!(at < until + SILENCE_MAX / 3, "{:?} late", at - until);

        let until = Instant::now() + SILENCE_MAX;
        for heard in [changed(Scope::Cluster(own)), changed(Scope::Hub), changed(kept), Heard::Missed] {
            signal.tell(heard);
            assert_eq!(next_of(&mut changes, &told, until).await, Next::Change, "{heard:?}");
        }
        signal.tell(changed(Scope::Hub));
        assert_eq!(next_of(&mut changes, &told, Instant::now()).await, Next::Silence, "it is time");
        assert_eq!(next_of(&mut changes, &told, until).await, Next::Change, "nothing was lost for it");
        drop(signal);
        assert_eq!(next_of(&mut changes, &told, until).await, Next::End);
    }
}

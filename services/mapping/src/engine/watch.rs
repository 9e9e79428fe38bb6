//! Watches on the entries of a cluster: what there is, then what happens to it, each as it is when it is asked for.

mod told;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use lanyard_api::{
    CallError, ClusterId, EntryId, Revision, Scope, Vouched, WatchPlace,
    mapping::{Cluster, EntryEvent, EntryEventKind, EntryEvents, WatchEnd},
};
use lanyard_store::{ChangeListener, Heard};
use tokio::time::{Instant, timeout_at};

use self::told::{Shown, Told};
use super::{Mapping, sight::Call};

/// How long a watch is silent at most: whoever looks through it is weighed anew with each event.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A watch under way. Minutes may pass before somebody asks it for the next event: it makes none before, and holds no snapshot.
struct Watch {
    mapping: Mapping,
    cluster: Arc<Cluster>,
    told: Told,
    pending: VecDeque<Step>,
    /// Up to where all was told before what is pending.
    before: Revision,
    /// And up to where with it.
    revision: Revision,
    changes: ChangeListener,
    /// When it has last told anything.
    spoke_at: Instant,
    ended: bool,
    _place: WatchPlace,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reset,
    /// What has become of this entry, if anything has by then.
    Entry(EntryId),
    Bookmark,
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
        let state = &self.inner.state;
        let snapshot = state.cluster(cluster.uid).await?;
        let revision = snapshot.revision;
        // Counters begin anew with each cluster, and ids are used again.
        let is_here = |end: WatchEnd| end.cluster.is_none_or(|uid| uid == cluster.uid);
        let goes_on = after.is_some_and(|end| end.revision == revision && is_here(end));
        let (mut told, before) = if goes_on {
            (Told::by_revision(cluster.uid, &snapshot), revision)
        } else {
            (Told::nothing(cluster.uid), Revision::default())
        };
        let mut pending = VecDeque::new();
        if after.is_some() && !goes_on {
            pending.push_back(Step::Reset);
        }
        let news = told.news(state, &snapshot).await?;
        pending.extend(news.into_iter().map(Step::Entry));
        pending.push_back(Step::Bookmark);
        let watch = Watch {
            mapping: self.clone(),
            cluster,
            told,
            pending,
            before,
            revision,
            changes,
            spoke_at: Instant::now(),
            ended: false,
            _place: place,
        };
        Ok(stream::unfold(watch, Watch::next).boxed())
    }
}

impl Watch {
    async fn next(mut self) -> Option<(Result<EntryEvent, CallError>, Self)> {
        while !self.ended {
            let told = match self.pending.pop_front() {
                Some(step) => self.tell(step).await,
                None => match next_of(&mut self.changes, &self.told, self.spoke_at + SILENCE_MAX).await {
                    Next::Hub => self.find_cluster().await.map(|()| None),
                    Next::Change => self.look().await.map(|()| None),
                    Next::Silence => Ok(Some(self.bare(EntryEventKind::Bookmark))),
                    Next::End => return None,
                },
            };
            match told {
                Ok(None) => {}
                Ok(Some(event)) => {
                    self.spoke_at = Instant::now();
                    return Some((Ok(event), self));
                }
                Err(error) => {
                    self.ended = true;
                    return Some((Err(error), self));
                }
            }
        }
        None
    }

    /// Makes the event of a step that is no longer pending. Of all that became known at once the last one alone bears the revision by
    /// which it had happened: whoever was cut off after an earlier one, and goes on after the revision of that, has not heard the rest.
    async fn tell(&mut self, step: Step) -> Result<Option<EntryEvent>, CallError> {
        let event = match step {
            Step::Reset => Some(self.bare(EntryEventKind::Reset)),
            Step::Entry(id) => self.event(id).await?,
            Step::Bookmark => Some(self.bare(EntryEventKind::Bookmark)),
        };
        if self.pending.is_empty() {
            // Of the last entry there may be nothing to tell by now: then this says that all was told.
            return Ok(Some(event.unwrap_or_else(|| self.bare(EntryEventKind::Bookmark))));
        }
        Ok(event.map(|event| EntryEvent { revision: self.before, ..event }))
    }

    /// What has become of an entry since it was told last. It may be newer than what made it pending: then that is told once.
    async fn event(&mut self, id: EntryId) -> Result<Option<EntryEvent>, CallError> {
        let state = &self.mapping.inner.state;
        let snapshot = state.cluster(self.cluster.uid).await?;
        let now = match snapshot.entry(id) {
            Some(entry) => Some(Shown::load(state, &snapshot, entry).await?),
            None => None,
        };
        Ok(self.told.tell(id, now).map(|(kind, shown)| {
            let detail = shown.detail(&self.mapping, &self.cluster);
            EntryEvent { entry: Some(detail), ..self.bare(kind) }
        }))
    }

    /// What is told of no entry.
    fn bare(&self, kind: EntryEventKind) -> EntryEvent {
        EntryEvent { kind, revision: self.revision, cluster: Some(self.cluster.uid), entry: None }
    }

    /// Takes the cluster as it is now, if it is.
    async fn find_cluster(&mut self) -> Result<(), CallError> {
        let hub = self.mapping.inner.state.hub().await?;
        let Some(cluster) = hub.clusters.get(&self.cluster.uid) else {
            return Err(CallError::not_found("cluster", &self.cluster.id));
        };
        self.cluster = Arc::clone(cluster);
        Ok(())
    }

    /// Finds out what happened since it was told last.
    async fn look(&mut self) -> Result<(), CallError> {
        self.find_cluster().await?;
        let state = &self.mapping.inner.state;
        let snapshot = state.cluster(self.cluster.uid).await?;
        let news = self.told.news(state, &snapshot).await?;
        self.pending.extend(news.into_iter().map(Step::Entry));
        self.before = std::mem::replace(&mut self.revision, snapshot.revision);
        Ok(())
    }
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A change of the hub: the cluster may be another or gone, but nothing of its entries lies there.
    Hub,
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
                Some(Heard::Changed(Scope::Hub, _)) => return Next::Hub,
                Some(Heard::Changed(scope, _)) if told.depends_on(scope) => return Next::Change,
                Some(Heard::Changed(..) | Heard::Associations(_)) => {}
            }
        }
    };
    timeout_at(until, waiting).await.unwrap_or(Next::Silence)
}

#[cfg(test)]
mod tests {
    use lanyard_api::ClusterUid;
    use lanyard_store::ChangeSignal;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_speaks_in_time_however_much_happens_that_does_not_concern_it() {
        let (signal, own, other) = (ChangeSignal::of_no_store(), ClusterUid::random(), ClusterUid::random());
        let [kept, others] = ["111122223333", "444455556666"].map(|id| Scope::Account(id.parse().unwrap()));
        let Scope::Account(account) = kept else { panic!("{kept}") };
        let mut told = Told::nothing(own);
        told.accounts.insert(account);
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
        for (heard, expected) in [
            (changed(Scope::Cluster(own)), Next::Change),
            (changed(Scope::Hub), Next::Hub),
            (changed(kept), Next::Change),
            (Heard::Missed, Next::Change),
        ] {
            signal.tell(heard);
            assert_eq!(next_of(&mut changes, &told, until).await, expected, "{heard:?}");
        }
        signal.tell(changed(kept));
        assert_eq!(next_of(&mut changes, &told, Instant::now()).await, Next::Silence, "it is time");
        assert_eq!(next_of(&mut changes, &told, until).await, Next::Change, "nothing was lost for it");
        drop(signal);
        assert_eq!(next_of(&mut changes, &told, until).await, Next::End);
    }
}

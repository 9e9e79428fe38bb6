//! Watches on what decisions depend on: for those who keep answers.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use lanyard_api::{
    Actor, CallError, ClusterId, ClusterUid, Revision, Scope, Vouched, WatchPlace,
    authz::{InputChanges, Inputs},
};
use lanyard_store::{ChangeListener, Heard};

use super::{Authz, Inner};

/// How long a watch is silent at most: whoever looks through it is weighed anew with each message.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A watch under way.
struct Watch {
    inner: Arc<Inner>,
    cluster: ClusterUid,
    id: ClusterId,
    revision: Revision,
    begun: bool,
    ended: bool,
    changes: ChangeListener,
    _place: WatchPlace,
}

impl Authz {
    pub(super) async fn watch(&self, by: Vouched<Actor>, id: ClusterId) -> Result<InputChanges, CallError> {
        let inner = &self.inner;
        let spoke = inner.spoke(&by.value, &id).await?;
        let (cluster, place) = (spoke.uid, inner.watches.take(spoke.account)?);
        // Before the revision is read, so that no change falls between.
        let changes = inner.signal.listen();
        let revision = inner.store.revision(Scope::Cluster(cluster)).await?;
        let watch = Watch {
            inner: Arc::clone(inner),
            cluster,
            id,
            revision,
            begun: false,
            ended: false,
            changes,
            _place: place,
        };
        Ok(stream::unfold(watch, Watch::next).boxed())
    }
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Inputs, CallError>, Self)> {
        if self.ended {
            return None;
        }
        if self.begun
            && let Ok(heard) = tokio::time::timeout(SILENCE_MAX, self.heard()).await
            && let Err(error) = heard?
        {
            self.ended = true;
            return Some((Err(error), self));
        }
        self.begun = true;
        Some((Ok(Inputs { revision: self.revision }), self))
    }

    /// Waits for a change of the cluster, of the hub, or of an account: principals of any may come in.
    async fn heard(&mut self) -> Option<Result<(), CallError>> {
        loop {
            match self.changes.next().await? {
                Heard::Changed(Scope::Cluster(uid), revision) if uid == self.cluster => {
                    self.revision = self.revision.max(revision);
                    return Some(Ok(()));
                }
                // A pod's session descends from an association of its own cluster.
                Heard::Associations(_) => return Some(Ok(())),
                Heard::Changed(Scope::Cluster(_), _) => {}
                Heard::Changed(Scope::Account(_), _) => return Some(Ok(())),
                Heard::Changed(Scope::Hub, _) | Heard::Missed => return Some(self.look().await),
            }
        }
    }

    /// Whether the cluster is there still, and its revision.
    async fn look(&mut self) -> Result<(), CallError> {
        let hub = self.inner.view.load_full().loaded_hub().await?;
        if hub.spoke(self.cluster).is_none() {
            return Err(CallError::not_found("cluster", &self.id));
        }
        let revision = self.inner.store.revision(Scope::Cluster(self.cluster)).await?;
        self.revision = self.revision.max(revision);
        Ok(())
    }
}

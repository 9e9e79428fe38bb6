//! How far all scopes are here, for doors that keep answers.

use futures::{StreamExt as _, stream};
use lanyard_api::mapping::{REVISIONS_SILENCE_MAX, RevisionReport, RevisionReports};
use lanyard_store::{ChangeListener, Heard, Store};
use tokio::time::timeout;

use super::Mapping;

/// Moves told in one report at most: those that have come meanwhile wait for the next.
const MOVES_MAX: usize = 512;

impl Mapping {
    /// All scopes, then those that move, as soon as the snapshots here have moved.
    pub(super) fn reports(&self) -> RevisionReports {
        // Before the whole is read, so that no change falls between.
        let watch =
            Watch { changes: self.inner.signal.listen(), store: self.inner.store.clone(), told_all: false };
        stream::unfold(watch, Watch::next).boxed()
    }
}

struct Watch {
    changes: ChangeListener,
    store: Store,
    told_all: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(RevisionReport, Self)> {
        if !self.told_all {
            self.told_all = true;
            return Some((RevisionReport::All(self.store.revisions()), self));
        }
        let mut moved = Vec::new();
        let mut heard = timeout(REVISIONS_SILENCE_MAX, self.changes.next()).await.ok();
        while let Some(found) = heard {
            match found? {
                Heard::Changed(scope, revision) => moved.push((scope, revision)),
                Heard::Associations(_) => {}
                Heard::Missed => return Some((RevisionReport::All(self.store.revisions()), self)),
            }
            heard = match moved.len() {
                MOVES_MAX => None,
                // What is there already.
                _ => self.changes.now().map(Some),
            };
        }
        Some((RevisionReport::Moved(moved), self))
    }
}

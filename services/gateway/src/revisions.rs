//! How far the scopes are, as far as this process knows: what it has kept of answers is held against that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use futures::StreamExt as _;
use lanyard_api::{
    Basis, ClusterUid, Revision, Scope,
    mapping::{RevisionReport, RevisionReports},
};
use lanyard_iam::AccountId;
use lanyard_kit::telemetry::names;

/// How long what was heard of another process counts: a few times the silence that it allows itself.
const HEARD_FOR: Duration = Duration::from_secs(1);

/// A cluster, and whose it is.
pub(crate) type Place = (ClusterUid, AccountId);

/// The revisions that are known. Clones share them.
#[derive(Clone)]
pub struct Revisions(Arc<Inner>);

struct Inner {
    known: papaya::HashMap<Scope, Revision, RandomState>,
    begun: Instant,
    /// Until when what is known counts, in milliseconds since `begun`; 0 where nothing is known.
    until: AtomicU64,
}

impl Revisions {
    fn new(until: u64) -> Self {
        let known = papaya::HashMap::builder().hasher(RandomState::default()).build();
        Self(Arc::new(Inner { known, begun: Instant::now(), until: AtomicU64::new(until) }))
    }

    /// Of a store that this process follows itself: whoever follows it says [`Self::moved`], before a change has answered.
    pub fn of_own_store() -> Self {
        Self::new(u64::MAX)
    }

    /// Of another process, whose reports [`Self::listen`] hears.
    pub fn of_another() -> Self {
        Self::new(0)
    }

    /// A scope has moved.
    pub fn moved(&self, scope: Scope, to: Revision) {
        self.0.known.pin().update_or_insert(scope, |known| to.max(*known), to);
    }

    /// Shows how far all scopes are, for as long as reports come.
    fn tell(&self) {
        let sum: u64 = self.0.known.pin().values().map(|revision| revision.0).sum();
        // A gauge is a float, which is exact up to 2^53.
        metrics::gauge!(names::GATEWAY_REVISIONS).set(sum as f64);
    }

    /// Takes what is reported, until there are no reports any more.
    pub async fn listen(self, mut reports: RevisionReports) {
        while let Some(report) = reports.next().await {
            self.hear(report, Instant::now());
        }
        self.hear(RevisionReport::Lost, Instant::now());
    }

    fn hear(&self, report: RevisionReport, now: Instant) {
        let (scopes, counts) = match report {
            RevisionReport::All(scopes) => (scopes, true),
            // Nothing is known before all was told.
            RevisionReport::Moved(scopes) => (scopes, self.0.until.load(Ordering::Acquire) > 0),
            RevisionReport::Lost => (Vec::new(), false),
        };
        if !scopes.is_empty() {
            for (scope, revision) in scopes {
                self.moved(scope, revision);
            }
            self.tell();
        }
        let until = if counts { self.millis(now + HEARD_FOR) } else { 0 };
        self.0.until.store(until, Ordering::Release);
    }

    /// Whether what was true of these revisions of a cluster's scopes still is, as far as this process can know: never where
    /// it has not heard for a while.
    pub(crate) fn are_covered_by(&self, basis: &Basis, (cluster, account): Place, now: Instant) -> bool {
        if self.millis(now) >= self.0.until.load(Ordering::Acquire) {
            return false;
        }
        let known = self.0.known.pin();
        let of = |scope| known.get(&scope).copied().unwrap_or_default();
        basis.covers(&Basis {
            hub: of(Scope::Hub),
            account: of(Scope::Account(account)),
            cluster: of(Scope::Cluster(cluster)),
        })
    }

    fn millis(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.0.begun).as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl std::fmt::Debug for Revisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revisions").field("scopes", &self.0.known.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> (ClusterUid, AccountId) {
        (ClusterUid::random(), "111122223333".parse().unwrap())
    }

    fn basis(hub: u64, account: u64, cluster: u64) -> Basis {
        Basis { hub: Revision(hub), account: Revision(account), cluster: Revision(cluster) }
    }

    #[test]
    fn what_moved_on_is_covered_no_more_and_other_scopes_are_no_concern() {
        let (revisions, cluster, now) = (Revisions::of_own_store(), cluster(), Instant::now());
        let covered = |basis| revisions.are_covered_by(&basis, cluster, now);
        assert!(covered(basis(0, 0, 0)), "a scope in which nothing happened yet");
        revisions.moved(Scope::Hub, Revision(3));
        revisions.moved(Scope::Account("999999999999".parse().unwrap()), Revision(9));
        assert!(covered(basis(3, 0, 0)) && !covered(basis(2, 9, 9)));
        revisions.moved(Scope::Cluster(cluster.0), Revision(5));
        revisions.moved(Scope::Cluster(cluster.0), Revision(4));
        assert!(covered(basis(3, 0, 5)) && !covered(basis(3, 0, 4)), "a revision went back");
        revisions.moved(Scope::Account(cluster.1), Revision(1));
        assert!(covered(basis(3, 1, 5)) && !covered(basis(3, 0, 5)));
    }

    #[test]
    fn nothing_is_covered_before_all_was_told_nor_after_a_silence() {
        let (revisions, cluster, begun) = (Revisions::of_another(), cluster(), Instant::now());
        let covered = |basis, now| revisions.are_covered_by(&basis, cluster, now);
        let late = basis(9, 9, 9);
        assert!(!covered(late, begun), "nobody was heard yet");
        revisions.hear(RevisionReport::Moved(vec![(Scope::Hub, Revision(1))]), begun);
        assert!(!covered(late, begun), "not all was told");
        revisions.hear(RevisionReport::All(vec![(Scope::Hub, Revision(2))]), begun);
        assert!(covered(late, begun) && !covered(basis(1, 9, 9), begun));
        let later = begun + HEARD_FOR + Duration::from_millis(2);
        assert!(!covered(late, later), "silence");
        revisions.hear(RevisionReport::Moved(Vec::new()), later);
        assert!(covered(late, later), "silence that is told counts as word");
        revisions.hear(RevisionReport::Lost, later);
        assert!(!covered(late, later));
        revisions.hear(RevisionReport::Moved(Vec::new()), later);
        assert!(!covered(late, later), "not all was told again");
        revisions.hear(RevisionReport::All(Vec::new()), later);
        assert!(covered(late, later) && !covered(basis(1, 9, 9), later), "what was known is forgotten");
    }
}

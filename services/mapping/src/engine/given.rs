//! Badges that were given a moment ago: who asks again within seconds gets the one that they got.
//!
//! authn answers with one and the same identity while a local user's account is the same: not an equal one, the same place in
//! memory. And as long as hub, account, cluster and proof key are the same too, a badge made anew would differ in one thing, the
//! moments in its proof. Nothing here keeps a replaced snapshot or a forgotten identity in memory, nor can a later one be taken
//! for it. Identities that others vouch for are not kept here: the door keeps the whole answer, for as long.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use foldhash::fast::RandomState;
use lanyard_api::{ClusterUid, Identity, mapping::Mapped, proof::ProofKey};
use quick_cache::{UnitWeighter, sync::Cache};
use time::OffsetDateTime;

use crate::{hub::HubSnapshot, principals::AccountSnapshot, snapshot::ClusterSnapshot, store::View};

/// How long a badge is given again. Its proof was minted that much earlier at most, and ends that much earlier: half of what it
/// holds longer than the API server's token cache.
const GIVEN_AGAIN: Duration = Duration::from_secs(30);

/// Badges by identity and cluster.
pub(super) struct Given(Cache<(usize, ClusterUid), Arc<Badge>, UnitWeighter, RandomState>);

/// A badge, and all that it was made of.
struct Badge {
    identity: Weak<Identity>,
    hub: Weak<HubSnapshot>,
    account: Weak<AccountSnapshot>,
    cluster: Weak<ClusterSnapshot>,
    key: Weak<ProofKey>,
    /// From when until when it is given.
    since: OffsetDateTime,
    until: OffsetDateTime,
    mapped: Arc<Mapped>,
}

/// Whether it is the same thing. While there is a [`Weak`], its place in memory is not used again.
fn is<T>(weak: &Weak<T>, arc: &Arc<T>) -> bool {
    std::ptr::eq(weak.as_ptr(), Arc::as_ptr(arc))
}

impl Given {
    pub(super) fn new(badges_max: usize) -> Self {
        let weight = u64::try_from(badges_max).unwrap_or(u64::MAX);
        Self(Cache::with(badges_max, weight, UnitWeighter, RandomState::default(), Default::default()))
    }

    /// The badge given before, if nothing of what it was made of has changed.
    pub(super) fn again(
        &self,
        identity: &Arc<Identity>,
        view: &View,
        key: &Arc<ProofKey>,
        now: OffsetDateTime,
    ) -> Option<Arc<Mapped>> {
        let badge = self.0.get(&place(identity, view))?;
        let holds = is(&badge.identity, identity)
            && is(&badge.hub, &view.hub)
            && is(&badge.account, &view.account)
            && is(&badge.cluster, &view.snapshot)
            && is(&badge.key, key)
            && (badge.since..badge.until).contains(&now);
        holds.then(|| Arc::clone(&badge.mapped))
    }

    /// Remembers one that is made now and would be made anew until `ends_at` at most.
    pub(super) fn note(
        &self,
        identity: &Arc<Identity>,
        view: &View,
        key: &Arc<ProofKey>,
        mapped: &Arc<Mapped>,
        (now, ends_at): (OffsetDateTime, Option<OffsetDateTime>),
    ) {
        let badge = Badge {
            identity: Arc::downgrade(identity),
            hub: Arc::downgrade(&view.hub),
            account: Arc::downgrade(&view.account),
            cluster: Arc::downgrade(&view.snapshot),
            key: Arc::downgrade(key),
            since: now,
            until: given_until(now, ends_at),
            mapped: Arc::clone(mapped),
        };
        self.0.insert(place(identity, view), Arc::new(badge));
    }
}

/// Until when a badge is given again that is made now and would be made anew until `ends_at` at most.
pub(super) fn given_until(now: OffsetDateTime, ends_at: Option<OffsetDateTime>) -> OffsetDateTime {
    let until = now + GIVEN_AGAIN;
    ends_at.map_or(until, |end| end.min(until))
}

fn place(identity: &Arc<Identity>, view: &View) -> (usize, ClusterUid) {
    (Arc::as_ptr(identity).addr(), view.cluster.uid)
}

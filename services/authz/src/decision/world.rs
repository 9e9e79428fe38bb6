//! What decisions are made from.

use std::sync::Arc;

use lanyard_api::{ClusterUid, Revision, Scope, proof::Handle};
use lanyard_iam::AccountId;
use time::OffsetDateTime;

use crate::{
    handles::{BlockSet, ProofKeys},
    snapshot::{AccountSnapshot, ClusterSnapshot, HubSnapshot, Spoke},
};

/// What is in memory. None is "not in memory", never "does not exist".
pub(crate) trait World {
    fn hub(&self) -> Option<Arc<HubSnapshot>>;
    fn account(&self, account: AccountId) -> Option<Arc<AccountSnapshot>>;
    /// The snapshot with the revision that it is true of.
    fn cluster(&self, cluster: ClusterUid) -> Option<(Arc<ClusterSnapshot>, Revision)>;
    fn keys(&self) -> &ProofKeys;
    /// Whether there are proof keys by now that these snapshots were not made with, or may be: where nobody has asked for newer
    /// ones a moment ago.
    fn may_have_newer_keys(&self) -> bool;
    /// Whether this is at least what the store had when a proof was first met that names this: what is not in it then is gone, and not
    /// only unknown yet.
    fn is_caught_up_with(&self, named: &Handle) -> bool;
}

/// What has to be in memory before there can be an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lacking {
    /// Snapshots of these scopes.
    Scopes(Vec<Scope>),
    /// Everything, made with the newer keys.
    Keys,
    /// What the store has had since: what is in memory may be older than this, which a proof names.
    Newer(Handle),
}

impl Lacking {
    /// What a proof names that may be newer than what is in memory.
    pub(crate) fn newer(&self) -> Option<Handle> {
        match self {
            Self::Newer(named) => Some(*named),
            Self::Scopes(_) | Self::Keys => None,
        }
    }
}

/// One cluster as it is at one moment: a question is answered from one of these, so that it sees one state.
pub(crate) struct Sight<'w, W> {
    pub(crate) world: &'w W,
    pub(crate) now: OffsetDateTime,
    pub(crate) hub: Arc<HubSnapshot>,
    pub(crate) spoke: Arc<Spoke>,
    /// Of the cluster's own account.
    pub(crate) account: Arc<AccountSnapshot>,
    pub(crate) cluster: Arc<ClusterSnapshot>,
    pub(crate) revision: Revision,
}

impl<'w, W: World> Sight<'w, W> {
    /// None where there is no such cluster.
    pub(crate) fn open(
        world: &'w W,
        cluster: ClusterUid,
        now: OffsetDateTime,
    ) -> Result<Option<Self>, Lacking> {
        let hub = world.hub().ok_or_else(|| Lacking::Scopes(vec![Scope::Hub]))?;
        let Some(spoke) = hub.spoke(cluster).map(Arc::clone) else { return Ok(None) };
        let (account, snapshot) = (world.account(spoke.account), world.cluster(cluster));
        let (Some(account), Some((snapshot, revision))) = (account, snapshot) else {
            return Err(Lacking::Scopes(vec![Scope::Account(spoke.account), Scope::Cluster(cluster)]));
        };
        Ok(Some(Self { world, now, hub, spoke, account, cluster: snapshot, revision }))
    }

    /// Whether any of the three blocks that reach this cluster's people do as `is_blocked` asks.
    pub(crate) fn any_blocks(&self, is_blocked: impl Fn(&BlockSet) -> bool) -> bool {
        [&self.hub.blocks, &self.account.blocks, &self.cluster.blocks].into_iter().any(is_blocked)
    }

    /// Whether a local user or role of this account has one of these unique ids.
    pub(crate) fn has_principal(&self, account: AccountId, ids: &[Handle]) -> Result<bool, Lacking> {
        let home = self.home(account)?;
        Ok(ids.iter().any(|id| home.has_principal(id)))
    }

    /// A local account; mostly it is the cluster's own, which is at hand.
    pub(crate) fn home(&self, account: AccountId) -> Result<Arc<AccountSnapshot>, Lacking> {
        if account == self.spoke.account {
            return Ok(Arc::clone(&self.account));
        }
        self.world.account(account).ok_or_else(|| Lacking::Scopes(vec![Scope::Account(account)]))
    }

    /// A cluster of the hub; mostly it is the one asked about.
    pub(crate) fn other(&self, cluster: ClusterUid) -> Result<Arc<ClusterSnapshot>, Lacking> {
        if cluster == self.spoke.uid {
            return Ok(Arc::clone(&self.cluster));
        }
        let found = self.world.cluster(cluster).map(|(snapshot, _)| snapshot);
        found.ok_or_else(|| Lacking::Scopes(vec![Scope::Cluster(cluster)]))
    }
}

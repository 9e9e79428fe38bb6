//! What the events of a watch are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lanyard_api::{
    ClusterUid, Fault, Scope,
    mapping::{AccessEntry, Cluster, EntryEvent, EntryEventKind},
};
use lanyard_iam::AccountId;

use crate::{
    engine::{Mapping, entries::kept_principal},
    principals::AccountSnapshot,
    snapshot::{ClusterSnapshot, Entry},
};

/// The entries of a cluster at one time, and what says which of them are stale.
pub(super) struct Told {
    pub(super) cluster: ClusterUid,
    pub(super) snapshot: Arc<ClusterSnapshot>,
    /// Those that the hub keeps, of principals that an entry is bound to: what happens there is no change of the cluster.
    pub(super) accounts: BTreeMap<AccountId, Arc<AccountSnapshot>>,
}

impl Told {
    pub(super) async fn load(mapping: &Mapping, cluster: ClusterUid) -> Result<Self, Fault> {
        let state = &mapping.inner.state;
        let snapshot = state.cluster(cluster).await?;
        let bound = snapshot.entries().iter().filter_map(|entry| kept_principal(&entry.record));
        let kept: BTreeSet<AccountId> = bound.map(|(_, arn)| arn.account).collect();
        let mut accounts = BTreeMap::new();
        for account in kept {
            accounts.insert(account, state.account(account).await?);
        }
        Ok(Self { cluster, snapshot, accounts })
    }

    /// Whether nothing of it is another.
    pub(super) fn is(&self, other: &Self) -> bool {
        let mut accounts = self.accounts.values().zip(other.accounts.values());
        Arc::ptr_eq(&self.snapshot, &other.snapshot) && accounts.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Whether a change there may be one of what is told.
    pub(super) fn depends_on(&self, scope: Scope) -> bool {
        match scope {
            Scope::Hub => true,
            Scope::Account(account) => self.accounts.contains_key(&account),
            Scope::Cluster(cluster) => cluster == self.cluster,
        }
    }

    /// Whether an entry of it looks as it does in another.
    pub(super) fn shows_as(&self, other: &Self, own: &AccessEntry, others: &AccessEntry) -> bool {
        own == others
            && self.is_stale(own) == other.is_stale(others)
            && self.snapshot.associations.get(&own.id) == other.snapshot.associations.get(&others.id)
    }

    /// Whether an entry of it was made for another principal than bears its ARN.
    pub(super) fn is_stale(&self, entry: &AccessEntry) -> bool {
        match kept_principal(entry) {
            Some((id, arn)) => {
                self.accounts.get(&arn.account).is_none_or(|account| !account.is_borne_by(arn, id))
            }
            None => entry.principal_id.is_some() && self.snapshot.stale(entry.id).is_some(),
        }
    }

    /// What is told of no entry.
    pub(super) fn bare(&self, kind: EntryEventKind) -> EntryEvent {
        EntryEvent { kind, revision: self.snapshot.revision, cluster: self.cluster, entry: None }
    }

    /// What happened to an entry of it.
    pub(super) fn event(
        &self,
        mapping: &Mapping,
        cluster: &Cluster,
        entry: &Entry,
        kind: EntryEventKind,
    ) -> EntryEvent {
        let record = entry.record.clone();
        let (associations, is_stale) = (self.snapshot.associations_of(record.id), self.is_stale(&record));
        let detail = mapping.shown(cluster, record, associations, is_stale);
        EntryEvent { entry: Some(detail), ..self.bare(kind) }
    }
}

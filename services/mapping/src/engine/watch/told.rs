//! What the reader of a watch knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lanyard_api::{
    ClusterUid, EntryId, Fault, Scope,
    mapping::{AccessEntry, Cluster, EntryDetail, EntryEventKind},
};
use lanyard_iam::AccountId;

use crate::{
    engine::{Mapping, entries::kept_principal},
    snapshot::{Associations, ClusterSnapshot, Entry, copies_of},
    store::State,
};

/// The entries of a cluster as they were told last.
///
/// It holds no snapshot: of many watches that nobody reads each would hold another one, and with it all that a cluster was at some time.
/// What it holds of an entry, to say how one was that is gone, it shares with the snapshots and the other watches that have it so.
pub(super) struct Told {
    cluster: ClusterUid,
    entries: BTreeMap<EntryId, Shown>,
    /// Those that the hub keeps, of principals that an entry is bound to: what happens there is no change of the cluster.
    pub(super) accounts: BTreeSet<AccountId>,
}

impl Told {
    /// Nothing yet.
    pub(super) fn nothing(cluster: ClusterUid) -> Self {
        Self { cluster, entries: BTreeMap::new(), accounts: BTreeSet::new() }
    }

    /// All that the cluster's revision says. That a principal of an account which the hub keeps is gone is in no revision of the cluster,
    /// and may not have been told. One that is made anew has another id: the entry stays stale until it is changed, which is in a revision.
    pub(super) fn by_revision(cluster: ClusterUid, snapshot: &ClusterSnapshot) -> Self {
        let shown = |entry: &Arc<Entry>| (entry.record.id, Shown::by_revision(snapshot, entry));
        Self { entries: snapshot.entries().iter().map(shown).collect(), ..Self::nothing(cluster) }
    }

    /// Whether a change there may be one of what is told of entries.
    pub(super) fn depends_on(&self, scope: Scope) -> bool {
        match scope {
            Scope::Hub => false,
            Scope::Account(account) => self.accounts.contains(&account),
            Scope::Cluster(cluster) => cluster == self.cluster,
        }
    }

    /// The entries of which there is something to tell: first those that are gone, then the others in the snapshot's order.
    pub(super) async fn news(
        &mut self,
        state: &State,
        snapshot: &ClusterSnapshot,
    ) -> Result<Vec<EntryId>, Fault> {
        let is_gone = |id: &EntryId| snapshot.entry(*id).is_none();
        let mut news: Vec<EntryId> = self.entries.keys().copied().filter(is_gone).collect();
        self.accounts.clear();
        for entry in snapshot.entries() {
            if let Some((_, arn)) = kept_principal(&entry.record) {
                self.accounts.insert(arn.account);
            }
            let now = Shown::load(state, snapshot, entry).await?;
            match self.entries.get_mut(&entry.record.id) {
                // A snapshot that was loaded anew has the same once more: the older one is kept no longer.
                Some(told) if told.is(&now) => *told = now,
                _ => news.push(entry.record.id),
            }
        }
        Ok(news)
    }

    /// What is to be told of an entry that is so by now, or gone: nothing where that was told, or it never was. It counts as told then.
    pub(super) fn tell(&mut self, id: EntryId, now: Option<Shown>) -> Option<(EntryEventKind, Shown)> {
        let Some(now) = now else {
            return self.entries.remove(&id).map(|gone| (EntryEventKind::Deleted, gone));
        };
        match self.entries.insert(id, now.clone()) {
            None => Some((EntryEventKind::Added, now)),
            Some(told) if told.is(&now) => None,
            Some(_) => Some((EntryEventKind::Changed, now)),
        }
    }
}

/// An entry as it shows at one time.
#[derive(Clone)]
pub(super) struct Shown {
    entry: Arc<Entry>,
    associations: Option<Associations>,
    is_stale: bool,
}

impl Shown {
    /// As it is now.
    pub(super) async fn load(
        state: &State,
        snapshot: &ClusterSnapshot,
        entry: &Arc<Entry>,
    ) -> Result<Self, Fault> {
        let shown = Self::by_revision(snapshot, entry);
        // Whether it was made for another principal than bears its ARN.
        let is_stale = match kept_principal(&entry.record) {
            Some((id, arn)) => !state.account(arn.account).await?.is_borne_by(arn, id),
            None => shown.is_stale,
        };
        Ok(Self { is_stale, ..shown })
    }

    /// The same, but for what is in no revision of the cluster.
    fn by_revision(snapshot: &ClusterSnapshot, entry: &Arc<Entry>) -> Self {
        let AccessEntry { id, principal_id, .. } = &entry.record;
        let is_of_hub = kept_principal(&entry.record).is_some();
        let is_stale = !is_of_hub && principal_id.is_some() && snapshot.stale(*id).is_some();
        Self { entry: Arc::clone(entry), associations: snapshot.associations.get(id).cloned(), is_stale }
    }

    /// Whether it looks as the other does.
    fn is(&self, other: &Self) -> bool {
        let is_same_entry = Arc::ptr_eq(&self.entry, &other.entry) || self.entry.record == other.entry.record;
        is_same_entry && self.is_stale == other.is_stale && self.associations == other.associations
    }

    /// A copy of it, for the one event that is asked for.
    pub(super) fn detail(&self, mapping: &Mapping, cluster: &Cluster) -> EntryDetail {
        let associations = copies_of(self.associations.as_ref());
        mapping.shown(cluster, self.entry.record.clone(), associations, self.is_stale)
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::{Authority, mapping::EntryType};
    use time::OffsetDateTime;

    use super::*;
    use crate::snapshot::Parts;

    fn entry(id: EntryId, group: &str) -> Arc<Entry> {
        let record = AccessEntry {
            id,
            cluster: ClusterUid(uuid::Uuid::nil()),
            authority: Authority::Local,
            principal_arn: "arn:aws:iam::111122223333:role/dev".parse().unwrap(),
            principal_id: None,
            entry_type: EntryType::Standard,
            username: String::from("dev"),
            groups: vec![group.to_owned()],
            tags: BTreeMap::new(),
            ends_at: None,
            pin_until: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            modified_at: OffsetDateTime::UNIX_EPOCH,
        };
        Arc::new(Entry::compile(record).unwrap())
    }

    fn snapshot(entry: &Arc<Entry>) -> ClusterSnapshot {
        ClusterSnapshot::compile(Parts { entries: vec![Arc::clone(entry)], ..Parts::default() })
    }

    #[test]
    fn what_becomes_of_an_entry_is_told_once_and_as_it_is_by_then() {
        use EntryEventKind::{Added, Changed, Deleted};
        let (id, mut told) = (EntryId::random(), Told::nothing(ClusterUid::random()));
        let mut group_told = |group: Option<&str>| {
            let now = group.map(|group| {
                let entry = entry(id, group);
                Shown::by_revision(&snapshot(&entry), &entry)
            });
            told.tell(id, now).map(|(kind, shown)| (kind, shown.entry.record.groups.concat()))
        };
        assert_eq!(group_told(None), None, "nobody heard of it");
        assert_eq!(group_told(Some("b")), Some((Added, String::from("b"))));
        assert_eq!(group_told(Some("b")), None, "read anew, it is the same");
        assert_eq!(group_told(Some("c")), Some((Changed, String::from("c"))));
        assert_eq!(group_told(None), Some((Deleted, String::from("c"))));
        assert_eq!(group_told(None), None);
    }

    #[test]
    fn immunity_28_a_watch_shares_what_it_holds_of_an_entry() {
        let (cluster, id) = (ClusterUid::random(), EntryId::random());
        let entry = entry(id, "a");
        let snapshot = snapshot(&entry);
        let told = [(); 2].map(|()| Told::by_revision(cluster, &snapshot));
        drop(snapshot);
        assert_eq!(Arc::strong_count(&entry), 3, "two watches hold it, and no snapshot does");
        assert!(told.iter().all(|told| Arc::ptr_eq(&told.entries[&id].entry, &entry)));
        assert!(size_of::<(EntryId, Shown)>() <= 40, "all else that is held of it is pointers");
    }
}

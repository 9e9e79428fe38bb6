//! Of a cluster's own scope authn needs the blocks, and which access entries there are: their ARNs hold their numbers.

use std::collections::{BTreeMap, HashMap};

use lanyard_api::mapping::{AccessEntry, Block};
use lanyard_api::{EntryId, Revision, Scope};
use lanyard_iam::FoldedArn;
use lanyard_store::{Change, Kind, Model, Row, StoreError};

use crate::blocks::BlockIndex;

/// Compiles a cluster's scope.
#[derive(Debug)]
pub(crate) struct ClusterModel;

/// A cluster's decoded records, by key.
#[derive(Debug, Default)]
pub(crate) struct ClusterRows {
    blocks: BTreeMap<String, Block>,
    entries: BTreeMap<String, (FoldedArn, EntryView)>,
}

/// An access entry, as policy documents see it.
#[derive(Debug, Clone)]
pub(crate) struct EntryView {
    pub(crate) id: EntryId,
    pub(crate) tags: BTreeMap<String, String>,
}

/// One cluster, for looking up.
#[derive(Debug)]
pub(crate) struct ClusterSnapshot {
    pub(crate) blocks: BlockIndex,
    entries: HashMap<FoldedArn, EntryView>,
}

impl ClusterSnapshot {
    /// The entry of a principal, by its ARN.
    pub(crate) fn entry(&self, principal_arn: &str) -> Option<&EntryView> {
        self.entries.get(&FoldedArn::of(principal_arn))
    }
}

fn entry(entry: AccessEntry) -> (FoldedArn, EntryView) {
    let arn = FoldedArn::of(&entry.principal_arn.to_string());
    (arn, EntryView { id: entry.id, tags: entry.tags })
}

impl Model for ClusterModel {
    type Rows = ClusterRows;
    type Snapshot = ClusterSnapshot;
    const KINDS: &'static [Kind] = &[Kind::AccessEntry, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<ClusterRows, StoreError> {
        let mut cluster = ClusterRows::default();
        for row in rows {
            match row.kind {
                Kind::AccessEntry => set(&mut cluster.entries, &row.key, Some(entry(row.decode()?))),
                _ => set(&mut cluster.blocks, &row.key, Some(row.decode()?)),
            }
        }
        Ok(cluster)
    }

    fn apply(&self, rows: &mut ClusterRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::AccessEntry => set(&mut rows.entries, &change.key, change.after()?.map(entry)),
            Kind::Block => set(&mut rows.blocks, &change.key, change.after()?),
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &ClusterRows, _: Revision) -> ClusterSnapshot {
        ClusterSnapshot {
            blocks: BlockIndex::compile(rows.blocks.values()),
            entries: rows.entries.values().cloned().collect(),
        }
    }
}

/// Puts what a record is now, or takes it away.
pub(super) fn set<T>(rows: &mut BTreeMap<String, T>, key: &str, now: Option<T>) {
    match now {
        Some(record) => rows.insert(key.to_owned(), record),
        None => rows.remove(key),
    };
}

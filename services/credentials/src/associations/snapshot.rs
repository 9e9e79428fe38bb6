//! The Pod Identity associations of a cluster, in memory: by ServiceAccount for those who vend, by id for those who manage; and the
//! cluster's blocks, which those who vend look at too.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use lanyard_api::{
    Revision, Scope,
    credentials::PodIdentityAssociation,
    mapping::{Block, BlockIndex},
};
use lanyard_store::{Change, Kind, Model, Row, StoreError};

/// The associations of one cluster at a revision.
#[derive(Debug, Default)]
pub struct AssociationSnapshot {
    index: Arc<Index>,
    /// Those that hold in this cluster alone.
    pub(crate) blocks: Arc<BlockIndex>,
    /// The cluster's revision when this was compiled.
    pub revision: Revision,
}

impl AssociationSnapshot {
    /// The association of a ServiceAccount, by its exact names.
    #[must_use]
    pub fn of(&self, namespace: &str, service_account: &str) -> Option<&Arc<PodIdentityAssociation>> {
        self.index.by_namespace.get(namespace)?.get(service_account)
    }

    /// An association by its id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Arc<PodIdentityAssociation>> {
        self.index.by_id.get(id)
    }

    /// Those of one namespace, or of all, in the order of namespace and ServiceAccount; none before `after`, which is
    /// `<namespace> <ServiceAccount>`, is looked at.
    pub(super) fn in_order<'s>(
        &'s self,
        namespace: Option<&'s str>,
        after: &'s str,
    ) -> impl Iterator<Item = &'s Arc<PodIdentityAssociation>> + Send {
        let (last, name) = after.split_once(' ').unwrap_or_default();
        let (from, to) = match namespace {
            Some(one) => (Bound::Included(one), Bound::Included(one)),
            None => (Bound::Included(last), Bound::Unbounded),
        };
        self.index.by_namespace.range::<str, _>((from, to)).flat_map(move |(namespace, names)| {
            let from = if namespace == last { Bound::Excluded(name) } else { Bound::Unbounded };
            names.range::<str, _>((from, Bound::Unbounded)).map(|(_, association)| association)
        })
    }
}

/// The same associations, found both ways.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    by_namespace: BTreeMap<String, BTreeMap<String, Arc<PodIdentityAssociation>>>,
    by_id: BTreeMap<String, Arc<PodIdentityAssociation>>,
}

impl Index {
    /// Puts what an association is now, or takes it away.
    fn set(&mut self, id: &str, now: Option<PodIdentityAssociation>) {
        if let Some(before) = self.by_id.remove(id)
            && let Some(namespace) = self.by_namespace.get_mut(&before.namespace)
        {
            namespace.remove(&before.service_account);
            if namespace.is_empty() {
                self.by_namespace.remove(&before.namespace);
            }
        }
        if let Some(now) = now.map(Arc::new) {
            let namespace = self.by_namespace.entry(now.namespace.clone()).or_default();
            namespace.insert(now.service_account.clone(), Arc::clone(&now));
            self.by_id.insert(id.to_owned(), now);
        }
    }
}

/// Compiles a cluster's associations.
pub(crate) struct AssociationModel;

/// A cluster's associations and blocks; what is dear to make again is kept with them.
pub(crate) struct AssociationRows {
    index: Arc<Index>,
    /// By key.
    blocks: BTreeMap<String, Block>,
    compiled: Arc<BlockIndex>,
}

impl AssociationRows {
    /// Puts what a block is now, or takes it away.
    fn set_block(&mut self, key: &str, now: Option<Block>) {
        match now {
            Some(block) => self.blocks.insert(key.to_owned(), block),
            None => self.blocks.remove(key),
        };
        self.compiled = Arc::new(BlockIndex::compile(self.blocks.values()));
    }
}

impl Model for AssociationModel {
    type Rows = AssociationRows;
    type Snapshot = AssociationSnapshot;
    const KINDS: &'static [Kind] = &[Kind::PodIdentityAssociation, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<AssociationRows, StoreError> {
        let (mut index, mut blocks) = (Index::default(), BTreeMap::<String, Block>::new());
        for row in rows {
            match row.kind {
                Kind::Block => {
                    blocks.insert(row.key.clone(), row.decode()?);
                }
                _ => index.set(&row.key, Some(row.decode()?)),
            }
        }
        let compiled = Arc::new(BlockIndex::compile(blocks.values()));
        Ok(AssociationRows { index: Arc::new(index), blocks, compiled })
    }

    fn apply(&self, rows: &mut AssociationRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::Block => rows.set_block(&change.key, change.after()?),
            _ => Arc::make_mut(&mut rows.index).set(&change.key, change.after()?),
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &AssociationRows, revision: Revision) -> AssociationSnapshot {
        let AssociationRows { index, compiled, .. } = rows;
        AssociationSnapshot { index: Arc::clone(index), blocks: Arc::clone(compiled), revision }
    }
}

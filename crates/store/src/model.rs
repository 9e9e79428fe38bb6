//! How the rows of a scope become a snapshot.

use lanyard_api::{Revision, Scope};

use crate::{
    change::Change,
    error::StoreError,
    keyring::Sealed,
    kind::Kind,
    record::{Record, record_of},
};

/// A stored record, not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its kind.
    pub kind: Kind,
    /// Its key in its scope.
    pub key: String,
    /// Its bytes.
    pub body: Vec<u8>,
    /// The sealed secret that belongs to it ([`crate::Place::of`] says where); of access keys alone.
    pub sealed: Option<Sealed>,
}

impl Row {
    /// Reads it as what its kind says.
    ///
    /// # Errors
    /// [`StoreError::Record`] where the bytes are no such record.
    pub fn decode<R: Record>(&self) -> Result<R, StoreError> {
        record_of(&self.body)
    }
}

/// Turns the rows of one scope into an immutable snapshot, and moves on with each change.
pub trait Model: Send + Sync + 'static {
    /// What is kept between changes, to compile from: typically maps of decoded records.
    type Rows: Send + 'static;
    /// What answers; immutable.
    type Snapshot: Send + Sync + 'static;
    /// Which kinds it reads; changes of others only move the revision on.
    const KINDS: &'static [Kind];

    /// Takes all rows of the scope, in the order of kind and key.
    ///
    /// # Errors
    /// Where a row cannot be read; the scope then has no snapshot.
    fn build(&self, scope: Scope, rows: Vec<Row>) -> Result<Self::Rows, StoreError>;

    /// Takes one change of one of its kinds.
    ///
    /// # Errors
    /// Where it cannot be read; the scope's snapshot is then dropped and loaded anew when next asked for.
    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError>;

    /// Makes the snapshot. `revision` is the scope's when it is made; later revisions that touch none of its kinds do not
    /// make another, so that [`crate::Followed::revision`] may run ahead of it.
    fn compile(&self, scope: Scope, rows: &Self::Rows, revision: Revision) -> Self::Snapshot;
}

//! Change lines: what was done, by whom, chained so that nobody can alter them unnoticed.

use lanyard_api::{Revision, Scope};
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    keyring::Sealed,
    kind::Kind,
    record::{Record, record_of},
};

/// One record's change in one committed mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose counter counts it.
    pub scope: Scope,
    /// The mutation's number in the scope.
    pub revision: Revision,
    /// Its place among the lines of that mutation in that scope, from 0.
    pub sequence: u32,
    /// The record's kind.
    pub kind: Kind,
    /// The record's key.
    pub key: String,
    /// Its bytes before; none for a new one.
    pub before: Option<Vec<u8>>,
    /// Its bytes after; none for one that is gone.
    pub after: Option<Vec<u8>>,
    /// The sealed secret that belongs to the record now; of access keys alone, and not part of the line.
    pub sealed: Option<Sealed>,
    /// Who did it.
    pub actor: String,
    /// The reason given.
    pub reason: Option<String>,
    /// When, to the millisecond.
    pub at: OffsetDateTime,
}

impl Change {
    /// The record before; none for a new one.
    ///
    /// # Errors
    /// [`StoreError::Record`] where the bytes are no such record.
    pub fn before<R: Record>(&self) -> Result<Option<R>, StoreError> {
        self.before.as_deref().map(record_of).transpose()
    }

    /// The record after; none for one that is gone.
    ///
    /// # Errors
    /// [`StoreError::Record`] where the bytes are no such record.
    pub fn after<R: Record>(&self) -> Result<Option<R>, StoreError> {
        self.after.as_deref().map(record_of).transpose()
    }
}

/// What [`crate::Store::verify_chain`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// The scope.
    pub scope: Scope,
    /// Its counter.
    pub revision: Revision,
    /// Lines read.
    pub lines: u64,
    /// The first thing that does not fit; none where all is as it was written.
    pub fault: Option<ChainFault>,
}

/// What does not fit in a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A line was altered, or the line before it was altered, removed or moved.
    #[error("line {sequence} of revision {revision} does not fit the line before it")]
    Line {
        /// The line's revision.
        revision: Revision,
        /// Its place in it.
        sequence: u32,
    },
    /// Lines are missing between two revisions, or before the counter.
    #[error("revision {0} has no lines")]
    Gap(Revision),
    /// The counter row does not fit the last line.
    #[error("the scope's counter does not fit its last line")]
    Counter,
    /// A record is not as its last line left it: it was written past Lanyard.
    #[error("{} `{key}` is not as its last line left it", .kind.noun())]
    Record {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: String,
    },
}

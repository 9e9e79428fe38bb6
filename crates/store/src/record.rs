//! What a record is to the store.

use lanyard_api::Scope;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{RecordError, StoreError},
    kind::Kind,
    sql::Value,
};

/// Longest record, as JSON. Above the longest aws-auth (a ConfigMap holds 1 MiB) with its findings.
pub const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest key or other text that a table compares: what an index entry of Postgres holds, which is the shorter of the two.
pub const TEXT_BYTES_MAX: usize = 1024;

/// What is stored: one row of its kind's table, as the bytes that its change line hashes.
pub trait Record: Columns + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its kind.
    const KIND: Kind;
    /// Whose revisions count it.
    fn scope(&self) -> Scope;
    /// Unique among its kind in its scope; see [`Kind`] for what it is.
    fn key(&self) -> String;
    /// What people call it, where the key is only a number.
    fn name(&self) -> String {
        self.key()
    }
}

/// The columns of a record beside scope, key and body, in the order of its table; implemented here alone.
pub trait Columns {
    #[doc(hidden)]
    fn columns(&self) -> Vec<Value>;

    /// What has to be there before the row is.
    #[doc(hidden)]
    fn before_insert(&self) -> Vec<Statement> {
        Vec::new()
    }

    /// What goes with the row into other tables, each time that it is written.
    #[doc(hidden)]
    fn after_write(&self) -> Vec<Statement> {
        Vec::new()
    }

    /// What has to go before the row does.
    #[doc(hidden)]
    fn before_delete(&self) -> Vec<Statement> {
        Vec::new()
    }
}

/// A statement with its values.
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
}

/// The bytes of a record: JSON with the members in the order of declaration.
pub(crate) fn body_of<R: Record>(record: &R) -> Result<Vec<u8>, StoreError> {
    let body = serde_json::to_vec(record)
        .map_err(|error| RecordError::Unreadable { kind: R::KIND, detail: error.to_string() })?;
    if body.len() > RECORD_BYTES_MAX {
        let (key, bytes) = (record.key(), body.len());
        return Err(RecordError::TooLong { kind: R::KIND, key, bytes, limit: RECORD_BYTES_MAX }.into());
    }
    Ok(body)
}

/// Reads a record back.
pub(crate) fn record_of<R: Record>(body: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(body)
        .map_err(|error| RecordError::Unreadable { kind: R::KIND, detail: error.to_string() }.into())
}

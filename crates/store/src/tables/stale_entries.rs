//! Access entries that are bound to a principal whose ARN another bears by now, as that one's authority proved at the door.

use lanyard_api::{ClusterUid, EntryId, Scope};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    kind::Kind,
    record::{Columns, Record},
    sql::Value,
};

/// Who has knocked under the ARN of an entry that is bound to another unique id. Whoever the hub keeps itself needs no such record: there
/// the hub knows who bears a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaleEntry {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The entry; the record's key.
    pub entry: EntryId,
    /// When the first of them knocked.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Their unique ids, each once, the newest last.
    pub principal_ids: Vec<String>,
}

impl StaleEntry {
    /// Most unique ids of one entry. Each costs a write that a login brings about, and a name that is made anew more often before its entry
    /// is bound again is better looked at by a person.
    pub const IDS_MAX: usize = 8;

    /// Whether somebody is new here, and there is a place.
    #[must_use]
    pub fn takes(&self, principal_id: &str) -> bool {
        self.principal_ids.len() < Self::IDS_MAX
            && !self.principal_ids.iter().any(|known| known == principal_id)
    }

    /// Who came last for the first time: a role that was made anew twice is the second one now.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.principal_ids.last().map(String::as_str)
    }
}

impl Record for StaleEntry {
    const KIND: Kind = Kind::StaleEntry;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.entry.to_string()
    }
}

impl Columns for StaleEntry {
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

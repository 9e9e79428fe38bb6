//! Who could log in to a cluster as its administrator: what the lockout guard counts.

use std::fmt;

use lanyard_api::{Authority, ClusterUid, EntryId, Scope};
use lanyard_iam::{AccountId, CanonicalArn};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::principal::FoldedPrincipal;
use crate::{
    kind::Kind,
    record::{Columns, Record},
    sql::Value,
};

/// A principal that is an administrator of a cluster by one source.
///
/// Whether it is a *live* one, able to log in now, the store finds out at each write: see [`crate::StoreError::Lockout`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// The cluster.
    pub cluster: ClusterUid,
    /// What makes it one; the record's key.
    pub source: AdministratorSource,
    /// Who vouches for the principal.
    pub authority: Authority,
    /// Its account.
    pub account: AccountId,
    /// The principal, without path for roles.
    pub canonical_arn: CanonicalArn,
    /// Its unique id, where the source binds it.
    pub principal_id: Option<String>,
    /// From then on it is none.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub ends_at: Option<OffsetDateTime>,
}

/// What makes a principal an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdministratorSource {
    /// An access entry with the cluster administrator's policy in cluster scope. Counts while that association is there, and
    /// in the modes that count entries; deleting the entry deletes this record.
    Entry(EntryId),
    /// A line of the aws-auth in force that gives `system:masters` (`mapRoles[3]`). Counts in the modes that count aws-auth.
    AwsAuth(String),
}

impl fmt::Display for AdministratorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(id) => write!(f, "entry/{id}"),
            Self::AwsAuth(line) => write!(f, "aws-auth/{line}"),
        }
    }
}

impl Record for Administrator {
    const KIND: Kind = Kind::Administrator;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.source.to_string()
    }
}

impl Columns for Administrator {
    fn columns(&self) -> Vec<Value> {
        let entry = match &self.source {
            AdministratorSource::Entry(id) => Some(id.to_string()),
            AdministratorSource::AwsAuth(_) => None,
        };
        let principal = FoldedPrincipal::of(&self.canonical_arn);
        vec![
            Value::Text(entry),
            self.authority.to_string().into(),
            self.account.to_string().into(),
            principal.partition.into(),
            principal.arn.into(),
            principal.kind.into(),
            principal.path.into(),
            principal.name.into(),
            Value::Text(self.principal_id.clone()),
            Value::moment_or_none(self.ends_at),
        ]
    }
}

//! RBAC objects of clusters.

use lanyard_api::{ClusterUid, Scope};
use serde::{Deserialize, Serialize};

use crate::{
    kind::Kind,
    record::{Columns, Record},
    sql::Value,
};

/// An RBAC object in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RbacObject {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The object; its key is the record's.
    pub object: lanyard_rbac::Object,
}

impl Record for RbacObject {
    const KIND: Kind = Kind::RbacObject;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.object.key().to_string()
    }
}

impl Columns for RbacObject {
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

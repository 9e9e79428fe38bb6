//! The issuers that the hub serves for clusters.

use std::collections::BTreeSet;

use lanyard_api::{ClusterUid, Scope, credentials::HostedIssuer};

use crate::{
    kind::Kind,
    record::{Columns, Record, Statement},
    sql::Value,
};

impl Record for HostedIssuer {
    const KIND: Kind = Kind::HostedIssuer;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        Kind::ONLY_KEY.to_owned()
    }

    fn name(&self) -> String {
        self.issuer_url.clone()
    }
}

impl Columns for HostedIssuer {
    fn columns(&self) -> Vec<Value> {
        vec![self.issuer_url.as_str().into()]
    }

    fn after_write(&self) -> Vec<Statement> {
        let thumbprints: BTreeSet<&str> = self.keys.iter().map(|key| key.key.thumbprint.as_str()).collect();
        let mut statements = vec![keyless(self.cluster)];
        statements.extend(thumbprints.into_iter().map(|thumbprint| Statement {
            sql: "INSERT INTO hosted_issuer_keys (thumbprint, cluster) VALUES ($1, $2)",
            values: vec![thumbprint.into(), self.cluster.to_string().into()],
        }));
        statements
    }

    fn before_delete(&self) -> Vec<Statement> {
        vec![keyless(self.cluster)]
    }
}

/// Takes away the keys that the hub publishes for a cluster.
pub(crate) fn keyless(cluster: ClusterUid) -> Statement {
    let values = vec![cluster.to_string().into()];
    Statement { sql: "DELETE FROM hosted_issuer_keys WHERE cluster = $1", values }
}

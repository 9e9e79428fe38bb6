//! The issuers that the hub serves for clusters.

use lanyard_api::{Scope, credentials::HostedIssuer};

use crate::{
    kind::Kind,
    record::{Columns, Record, Statement},
    sql::Value,
    tables::workloads::IssuerKeys,
};

/// The keys that the hub publishes for clusters.
pub(crate) const KEYS: IssuerKeys = IssuerKeys {
    insert: "INSERT INTO hosted_issuer_keys (thumbprint, cluster) VALUES ($1, $2)",
    delete: "DELETE FROM hosted_issuer_keys WHERE cluster = $1",
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
        KEYS.replaced(self.cluster, self.keys.iter().map(|key| key.key.thumbprint.as_str()))
    }

    fn before_delete(&self) -> Vec<Statement> {
        vec![KEYS.taken_away(self.cluster)]
    }
}

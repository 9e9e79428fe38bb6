//! Workloads of clusters: ServiceAccounts, and the issuers of their tokens.

use std::collections::BTreeSet;

use lanyard_api::{
    ClusterUid, Scope,
    credentials::{HostedIssuer, ServiceAccount, WorkloadIssuer},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record, Statement},
    sql::Value,
    transaction::Transaction,
};

/// A ServiceAccount in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterServiceAccount {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The ServiceAccount; its name is the record's key.
    pub service_account: ServiceAccount,
}

impl Record for ClusterServiceAccount {
    const KIND: Kind = Kind::ServiceAccount;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.service_account.key().to_string()
    }
}

impl Columns for ClusterServiceAccount {
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Record for WorkloadIssuer {
    const KIND: Kind = Kind::WorkloadIssuer;

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

impl Columns for WorkloadIssuer {
    fn columns(&self) -> Vec<Value> {
        vec![irsa_issuer(self).map(str::to_owned).into()]
    }

    fn after_write(&self) -> Vec<Statement> {
        KEYS.replaced(self.cluster, self.keys.iter().map(|key| key.thumbprint.as_str()))
    }

    fn before_delete(&self) -> Vec<Statement> {
        vec![KEYS.taken_away(self.cluster)]
    }
}

/// The name that no other cluster may have.
fn irsa_issuer(issuer: &WorkloadIssuer) -> Option<&str> {
    Some(issuer.issuer_url.as_str()).filter(|_| issuer.irsa_obstacle.is_none())
}

/// The keys of clusters' own issuers.
pub(crate) const KEYS: IssuerKeys = IssuerKeys {
    insert: "INSERT INTO workload_issuer_keys (thumbprint, cluster) VALUES ($1, $2)",
    delete: "DELETE FROM workload_issuer_keys WHERE cluster = $1",
};

/// A table of issuers' keys by thumbprint, so that the database itself lets no two clusters have one.
pub(crate) struct IssuerKeys {
    /// Adds one: thumbprint, cluster.
    pub(crate) insert: &'static str,
    /// Takes all of a cluster away.
    pub(crate) delete: &'static str,
}

impl IssuerKeys {
    /// A cluster has these keys and no others.
    pub(crate) fn replaced<'a>(
        &self,
        cluster: ClusterUid,
        thumbprints: impl Iterator<Item = &'a str>,
    ) -> Vec<Statement> {
        let thumbprints: BTreeSet<&str> = thumbprints.collect();
        let insert = |thumbprint: &str| Statement {
            sql: self.insert,
            values: vec![thumbprint.into(), cluster.to_string().into()],
        };
        [self.taken_away(cluster)].into_iter().chain(thumbprints.into_iter().map(insert)).collect()
    }

    /// A cluster has no keys any more.
    pub(crate) fn taken_away(&self, cluster: ClusterUid) -> Statement {
        Statement { sql: self.delete, values: vec![cluster.to_string().into()] }
    }
}

/// What of an issuer is another cluster's already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerTaken {
    /// Its name, by which tokens are told apart.
    Name,
    /// The key of this thumbprint.
    Key(String),
}

impl Transaction {
    /// What of an issuer another cluster has. Begin the hub's scope too, so that no other transaction takes it at the same time.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn issuer_taken(&mut self, issuer: &WorkloadIssuer) -> Result<Option<IssuerTaken>, StoreError> {
        let thumbprints = issuer.keys.iter().map(|key| key.thumbprint.as_str());
        self.taken(issuer.cluster, irsa_issuer(issuer), thumbprints).await
    }

    /// The same of an issuer that the hub serves.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn hosted_issuer_taken(
        &mut self,
        issuer: &HostedIssuer,
    ) -> Result<Option<IssuerTaken>, StoreError> {
        let thumbprints = issuer.keys.iter().map(|hosted| hosted.key.thumbprint.as_str());
        self.taken(issuer.cluster, Some(&issuer.issuer_url), thumbprints).await
    }

    /// What of a name and of keys another cluster has, as its API server shows them or as the hub serves them.
    async fn taken(
        &mut self,
        cluster: ClusterUid,
        name: Option<&str>,
        thumbprints: impl Iterator<Item = &str>,
    ) -> Result<Option<IssuerTaken>, StoreError> {
        const NAME: &str = "SELECT 1 FROM workload_issuers WHERE irsa_issuer = $1 AND cluster <> $2 \
            UNION ALL SELECT 1 FROM hosted_issuers WHERE issuer_url = $1 AND cluster <> $2";
        const KEY: &str = "SELECT 1 FROM workload_issuer_keys WHERE thumbprint = $1 AND cluster <> $2 \
            UNION ALL SELECT 1 FROM hosted_issuer_keys WHERE thumbprint = $1 AND cluster <> $2";
        let cluster = cluster.to_string();
        if let Some(name) = name
            && self.connection.fetch_one(NAME, [name.into(), cluster.as_str().into()]).await?.is_some()
        {
            return Ok(Some(IssuerTaken::Name));
        }
        for thumbprint in thumbprints {
            let values = [thumbprint.into(), cluster.as_str().into()];
            if self.connection.fetch_one(KEY, values).await?.is_some() {
                return Ok(Some(IssuerTaken::Key(thumbprint.to_owned())));
            }
        }
        Ok(None)
    }
}

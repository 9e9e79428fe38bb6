//! Clusters, and what belongs to one beside its entries.

use lanyard_api::{
    ClusterId, Scope,
    mapping::{
        AuthenticationMode, AwsAuthStatus, AwsAuthVersion, BreakGlass, Cluster, Node, SpokeCredential,
        SpokeKubeconfig,
    },
};

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record, Statement, record_of},
    sql::{Connection, Value},
    tables::{hosted, workloads},
};

/// A cluster by its id.
pub(crate) async fn cluster_by_id(
    connection: &mut Connection,
    id: &ClusterId,
) -> Result<Option<Cluster>, StoreError> {
    let line = connection.fetch_one("SELECT body FROM clusters WHERE id = $1", [id.as_str().into()]).await?;
    line.map(|line| record_of(&line.bytes(0)?)).transpose()
}

/// The tag by which a cluster's owner switches the lockout guard off.
const ALLOWS_LOCKOUT_TAG: &str = "lanyard:allow-lockout";

impl Record for Cluster {
    const KIND: Kind = Kind::Cluster;

    fn scope(&self) -> Scope {
        Scope::Hub
    }

    fn key(&self) -> String {
        self.uid.to_string()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Columns for Cluster {
    fn columns(&self) -> Vec<Value> {
        let mode = match self.authentication_mode {
            AuthenticationMode::ConfigMap => "CONFIG_MAP",
            AuthenticationMode::ApiAndConfigMap => "API_AND_CONFIG_MAP",
            AuthenticationMode::Api => "API",
        };
        let allows_lockout = self.tags.get(ALLOWS_LOCKOUT_TAG).is_some_and(|value| value == "true");
        vec![
            self.id.as_str().into(),
            self.partition.to_string().into(),
            self.account.to_string().into(),
            self.region.as_str().into(),
            self.name.as_str().into(),
            mode.into(),
            allows_lockout.into(),
        ]
    }

    fn before_insert(&self) -> Vec<Statement> {
        // Fails where the uid was ever used.
        let values = vec![self.uid.to_string().into(), Value::moment(self.created_at)];
        vec![Statement { sql: "INSERT INTO cluster_uids (uid, used_at) VALUES ($1, $2)", values }]
    }

    fn after_write(&self) -> Vec<Statement> {
        let mut statements = vec![untrusted(self)];
        let trusted: std::collections::BTreeSet<_> = self.trusted_accounts.iter().collect();
        statements.extend(trusted.into_iter().map(|pair| Statement {
            sql: "INSERT INTO cluster_trusts (cluster, authority, account) VALUES ($1, $2, $3)",
            values: vec![
                self.uid.to_string().into(),
                pair.authority.to_string().into(),
                pair.account.to_string().into(),
            ],
        }));
        statements
    }

    fn before_delete(&self) -> Vec<Statement> {
        let values = vec![self.uid.to_string().into()];
        let unwatched = Statement { sql: "DELETE FROM spoke_watches WHERE cluster = $1", values };
        // The issuer itself has gone as a record of the cluster's own.
        vec![
            untrusted(self),
            unwatched,
            workloads::KEYS.taken_away(self.uid),
            hosted::KEYS.taken_away(self.uid),
        ]
    }
}

/// Takes away whom a cluster trusts.
fn untrusted(cluster: &Cluster) -> Statement {
    let values = vec![cluster.uid.to_string().into()];
    Statement { sql: "DELETE FROM cluster_trusts WHERE cluster = $1", values }
}

impl Record for SpokeKubeconfig {
    const KIND: Kind = Kind::SpokeKubeconfig;

    fn scope(&self) -> Scope {
        Scope::Hub
    }

    fn key(&self) -> String {
        self.cluster.to_string()
    }
}

impl Columns for SpokeKubeconfig {
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Record for SpokeCredential {
    const KIND: Kind = Kind::SpokeCredential;

    fn scope(&self) -> Scope {
        Scope::Hub
    }

    fn key(&self) -> String {
        format!("{}/{}", self.cluster, self.id)
    }
}

impl Columns for SpokeCredential {
    fn columns(&self) -> Vec<Value> {
        vec![self.cluster.to_string().into(), self.token_sha256.as_str().into()]
    }
}

impl Record for AwsAuthVersion {
    const KIND: Kind = Kind::AwsAuthVersion;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        // In the order of the versions.
        format!("{:020}", self.version)
    }
}

impl Columns for AwsAuthVersion {
    fn columns(&self) -> Vec<Value> {
        let status = match self.status {
            AwsAuthStatus::Accepted => "accepted",
            AwsAuthStatus::Rejected => "rejected",
        };
        vec![status.into()]
    }
}

impl Record for Node {
    const KIND: Kind = Kind::Node;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.instance_id.clone()
    }
}

impl Columns for Node {
    fn columns(&self) -> Vec<Value> {
        vec![self.private_dns_name.as_str().into()]
    }
}

impl Record for BreakGlass {
    const KIND: Kind = Kind::BreakGlass;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        Kind::ONLY_KEY.to_owned()
    }
}

impl Columns for BreakGlass {
    fn columns(&self) -> Vec<Value> {
        vec![self.token_sha256.as_str().into()]
    }
}

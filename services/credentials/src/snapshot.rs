//! What is known of the workloads of a cluster, in memory: immutable, and moved on with each change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lanyard_api::{
    ClusterId, Revision, Scope,
    credentials::{ServiceAccount, WorkloadIssuer},
    mapping::Cluster,
    tags::ClusterPlace,
};
use lanyard_oidc::Jwks;
use lanyard_store::{Change, ClusterServiceAccount, Kind, Model, Row, StoreError};

/// Which clusters there are.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    by_id: HashMap<ClusterId, Arc<Cluster>>,
    by_place: HashMap<ClusterPlace, Arc<Cluster>>,
}

impl Clusters {
    pub(crate) fn by_id(&self, id: &ClusterId) -> Option<&Arc<Cluster>> {
        self.by_id.get(id)
    }

    pub(crate) fn at(&self, place: &ClusterPlace) -> Option<&Arc<Cluster>> {
        self.by_place.get(place)
    }
}

/// Compiles the hub's clusters.
pub(crate) struct ClusterModel;

impl Model for ClusterModel {
    type Rows = BTreeMap<String, Arc<Cluster>>;
    type Snapshot = Clusters;
    const KINDS: &'static [Kind] = &[Kind::Cluster];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<Self::Rows, StoreError> {
        rows.into_iter().map(|row| Ok((row.key.clone(), Arc::new(row.decode()?)))).collect()
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        match change.after::<Cluster>()? {
            Some(cluster) => rows.insert(change.key.clone(), Arc::new(cluster)),
            None => rows.remove(&change.key),
        };
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &Self::Rows, _: Revision) -> Clusters {
        let by_id = rows.values().map(|cluster| (cluster.id.clone(), Arc::clone(cluster)));
        let by_place = rows.values().map(|cluster| (cluster.place(), Arc::clone(cluster)));
        Clusters { by_id: by_id.collect(), by_place: by_place.collect() }
    }
}

/// ServiceAccounts by `<namespace>/<name>`.
pub(crate) type ServiceAccounts = BTreeMap<String, Arc<ServiceAccount>>;

/// An issuer, with its keys ready to verify.
#[derive(Debug)]
pub struct KnownIssuer {
    /// As it was pushed.
    pub record: WorkloadIssuer,
    /// Its keys, parsed once.
    pub jwks: Jwks,
}

impl KnownIssuer {
    /// None where the store holds keys that were never taken: nothing is verified by them.
    fn of(record: WorkloadIssuer) -> Option<Self> {
        match Jwks::of_keys(record.keys.iter().map(|key| key.jwk.as_str())) {
            Ok(jwks) => Some(Self { record, jwks }),
            Err(error) => {
                tracing::error!(cluster.uid = %record.cluster, %error, "the stored keys of a cluster's issuer cannot be read");
                None
            }
        }
    }
}

/// The workloads of one cluster at a revision.
#[derive(Debug, Default)]
pub struct WorkloadSnapshot {
    pub(crate) service_accounts: Arc<ServiceAccounts>,
    issuer: Option<Arc<KnownIssuer>>,
    /// The cluster's revision when this was compiled.
    pub revision: Revision,
}

impl WorkloadSnapshot {
    /// A ServiceAccount of the cluster.
    #[must_use]
    pub fn service_account(&self, namespace: &str, name: &str) -> Option<&Arc<ServiceAccount>> {
        self.service_accounts.get(&format!("{namespace}/{name}"))
    }

    /// Who signs the tokens of its ServiceAccounts; none where that is not known.
    #[must_use]
    pub fn issuer(&self) -> Option<&Arc<KnownIssuer>> {
        self.issuer.as_ref()
    }
}

/// Compiles a cluster's workloads.
pub(crate) struct WorkloadModel;

/// The rows of a cluster; what is dear to make again is kept with them.
#[derive(Default)]
pub(crate) struct WorkloadRows {
    service_accounts: Arc<ServiceAccounts>,
    issuer: Option<Arc<KnownIssuer>>,
}

impl WorkloadRows {
    fn set_issuer(&mut self, issuer: Option<WorkloadIssuer>) {
        self.issuer = issuer.and_then(KnownIssuer::of).map(Arc::new);
    }

    fn set_service_account(&mut self, key: &str, record: Option<ClusterServiceAccount>) {
        let service_accounts = Arc::make_mut(&mut self.service_accounts);
        match record {
            Some(record) => service_accounts.insert(key.to_owned(), Arc::new(record.service_account)),
            None => service_accounts.remove(key),
        };
    }
}

impl Model for WorkloadModel {
    type Rows = WorkloadRows;
    type Snapshot = WorkloadSnapshot;
    const KINDS: &'static [Kind] = &[Kind::ServiceAccount, Kind::WorkloadIssuer];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<WorkloadRows, StoreError> {
        let mut read = WorkloadRows::default();
        for row in rows {
            match row.kind {
                Kind::WorkloadIssuer => read.set_issuer(Some(row.decode()?)),
                _ => read.set_service_account(&row.key, Some(row.decode()?)),
            }
        }
        Ok(read)
    }

    fn apply(&self, rows: &mut WorkloadRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::WorkloadIssuer => rows.set_issuer(change.after()?),
            _ => rows.set_service_account(&change.key, change.after()?),
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &WorkloadRows, revision: Revision) -> WorkloadSnapshot {
        let WorkloadRows { service_accounts, issuer } = rows;
        WorkloadSnapshot { service_accounts: Arc::clone(service_accounts), issuer: issuer.clone(), revision }
    }
}

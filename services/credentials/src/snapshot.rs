//! What is known of the workloads of a cluster, in memory: immutable, and moved on with each change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lanyard_api::{
    ClusterId, ClusterUid, Revision, Scope,
    credentials::{HostedIssuer, IrsaObstacle, IssuerSigner, ServiceAccount, WorkloadIssuer},
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
    by_uid: HashMap<ClusterUid, Arc<Cluster>>,
}

impl Clusters {
    pub(crate) fn by_id(&self, id: &ClusterId) -> Option<&Arc<Cluster>> {
        self.by_id.get(id)
    }

    pub(crate) fn by_uid(&self, uid: ClusterUid) -> Option<&Arc<Cluster>> {
        self.by_uid.get(&uid)
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
        let by_uid = rows.values().map(|cluster| (cluster.uid, Arc::clone(cluster)));
        Clusters { by_id: by_id.collect(), by_place: by_place.collect(), by_uid: by_uid.collect() }
    }
}

/// ServiceAccounts by `<namespace>/<name>`.
pub(crate) type ServiceAccounts = BTreeMap<String, Arc<ServiceAccount>>;

/// An issuer, with its keys ready to verify.
#[derive(Debug)]
pub struct KnownIssuer {
    /// As it was pushed, or as the hub publishes it.
    pub record: WorkloadIssuer,
    /// Its keys, parsed once.
    pub jwks: Jwks,
}

impl KnownIssuer {
    /// The API server's keys that the hub publishes; none where there is none. The hub's own keys verify no pod's token.
    fn of_hosted(hosted: &HostedIssuer) -> Option<Self> {
        let last = hosted.keys_of(IssuerSigner::ApiServer).next_back()?;
        Self::of(WorkloadIssuer {
            cluster: hosted.cluster,
            issuer_url: hosted.issuer_url.clone(),
            irsa_obstacle: IrsaObstacle::of(&hosted.issuer_url),
            pushed_by: last.published_by.clone(),
            pushed_at: last.published_at,
            keys: hosted.keys_of(IssuerSigner::ApiServer).map(|key| key.key.clone()).collect(),
        })
    }

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
    issuers: Issuers,
    /// The cluster's revision when this was compiled.
    pub revision: Revision,
}

impl WorkloadSnapshot {
    /// A ServiceAccount of the cluster.
    #[must_use]
    pub fn service_account(&self, namespace: &str, name: &str) -> Option<&Arc<ServiceAccount>> {
        self.service_accounts.get(&format!("{namespace}/{name}"))
    }

    /// Who signs the tokens of its ServiceAccounts; none where that is not known. An API server that was told of an issuer at the hub
    /// and was not started with it yet signs as before.
    #[must_use]
    pub fn issuer(&self) -> Option<&Arc<KnownIssuer>> {
        let Issuers { watched, published, .. } = &self.issuers;
        match (watched, published) {
            (Some(watched), Some(published)) if watched.record.issuer_url != published.record.issuer_url => {
                Some(watched)
            }
            (watched, published) => published.as_ref().or(watched.as_ref()),
        }
    }

    /// The issuer of that name, as tokens write it in `iss`: while an API server changes from one name to another, both have keys.
    #[must_use]
    pub fn issuer_named(&self, issuer_url: &str) -> Option<&Arc<KnownIssuer>> {
        let Issuers { watched, published, .. } = &self.issuers;
        [published, watched].into_iter().flatten().find(|known| known.record.issuer_url == issuer_url)
    }

    /// Whether anything is known of its ServiceAccounts: a cluster that is watched has some.
    pub(crate) fn is_watched(&self) -> bool {
        !self.service_accounts.is_empty()
    }

    /// What its API server was seen to serve.
    pub(crate) fn watched(&self) -> Option<&Arc<KnownIssuer>> {
        self.issuers.watched.as_ref()
    }

    /// What the hub publishes for it.
    pub(crate) fn hosted(&self) -> Option<&Arc<HostedIssuer>> {
        self.issuers.hosted.as_ref()
    }
}

/// Who signs the tokens of one cluster, as it is known from two sides.
#[derive(Debug, Clone, Default)]
struct Issuers {
    /// As the API server shows it.
    watched: Option<Arc<KnownIssuer>>,
    /// As the hub publishes it.
    hosted: Option<Arc<HostedIssuer>>,
    /// The API server's keys of that, ready to verify.
    published: Option<Arc<KnownIssuer>>,
}

/// Compiles a cluster's workloads.
pub(crate) struct WorkloadModel;

/// The rows of a cluster; what is dear to make again is kept with them.
#[derive(Default)]
pub(crate) struct WorkloadRows {
    service_accounts: Arc<ServiceAccounts>,
    issuers: Issuers,
}

impl WorkloadRows {
    fn set_watched(&mut self, watched: Option<WorkloadIssuer>) {
        self.issuers.watched = watched.and_then(KnownIssuer::of).map(Arc::new);
    }

    fn set_hosted(&mut self, hosted: Option<HostedIssuer>) {
        self.issuers.published = hosted.as_ref().and_then(KnownIssuer::of_hosted).map(Arc::new);
        self.issuers.hosted = hosted.map(Arc::new);
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
    const KINDS: &'static [Kind] = &[Kind::ServiceAccount, Kind::WorkloadIssuer, Kind::HostedIssuer];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<WorkloadRows, StoreError> {
        let mut read = WorkloadRows::default();
        for row in rows {
            match row.kind {
                Kind::WorkloadIssuer => read.set_watched(Some(row.decode()?)),
                Kind::HostedIssuer => read.set_hosted(Some(row.decode()?)),
                _ => read.set_service_account(&row.key, Some(row.decode()?)),
            }
        }
        Ok(read)
    }

    fn apply(&self, rows: &mut WorkloadRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::WorkloadIssuer => rows.set_watched(change.after()?),
            Kind::HostedIssuer => rows.set_hosted(change.after()?),
            _ => rows.set_service_account(&change.key, change.after()?),
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &WorkloadRows, revision: Revision) -> WorkloadSnapshot {
        let WorkloadRows { service_accounts, issuers } = rows;
        WorkloadSnapshot {
            service_accounts: Arc::clone(service_accounts),
            issuers: issuers.clone(),
            revision,
        }
    }
}

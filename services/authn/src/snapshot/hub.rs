//! The hub's scope: who vouches for which account, and which clusters there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lanyard_api::authn::accounts::Account;
use lanyard_api::mapping::{Block, BlockIndex, Cluster, SpokeCredential, SpokeCredentialKind};
use lanyard_api::{Authority, ClusterId, ClusterUid, Revision, Scope};
use lanyard_iam::{AccountId, Region, StsAuthority, StsHost, TokenRules};
use lanyard_store::{Change, Kind, Model, Row, StoreError};

use super::cluster::set;

/// Compiles the hub's scope.
#[derive(Debug)]
pub(crate) struct HubModel {
    /// The hub's own region.
    pub(crate) region: Region,
    /// Every self-hosted STS of the configuration; clusters accept those that vouch for an account of theirs.
    pub(crate) self_hosted: Vec<StsAuthority>,
    /// Where the hub itself is an STS.
    pub(crate) own_hosts: Arc<[StsHost]>,
}

/// The hub's decoded records, by key.
#[derive(Debug, Default)]
pub(crate) struct HubRows {
    accounts: BTreeMap<String, Arc<Account>>,
    clusters: BTreeMap<String, Arc<Cluster>>,
    blocks: BTreeMap<String, Block>,
    credentials: BTreeMap<String, SpokeCredential>,
}

/// The hub, for looking up.
#[derive(Debug)]
pub(crate) struct HubSnapshot {
    accounts: BTreeMap<AccountId, Arc<Account>>,
    clusters: HashMap<ClusterUid, Arc<ClusterView>>,
    ids: HashMap<ClusterId, ClusterUid>,
    /// As the AWS wire names clusters: by account, region and name.
    names: HashMap<AccountId, HashMap<String, HashMap<String, ClusterUid>>>,
    /// The client certificates that count, each with its cluster.
    certificates: HashMap<String, ClusterUid>,
    pub(crate) blocks: BlockIndex,
}

/// A cluster, with what a token for it has to be.
#[derive(Debug)]
pub(crate) struct ClusterView {
    pub(crate) cluster: Arc<Cluster>,
    /// The uid as text, as limits name the spoke.
    pub(crate) uid: String,
    pub(crate) rules: TokenRules,
}

impl ClusterView {
    /// Whether some account of this authority is let in at all.
    pub(crate) fn trusts_any_of(&self, authority: &Authority) -> bool {
        self.cluster.trusted_accounts.iter().any(|pair| pair.authority == *authority)
    }

    /// Whether the pair is let in.
    pub(crate) fn trusts(&self, authority: &Authority, account: AccountId) -> bool {
        self.cluster
            .trusted_accounts
            .iter()
            .any(|pair| pair.account == account && pair.authority == *authority)
    }
}

impl HubSnapshot {
    pub(crate) fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// All accounts by number.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values().map(|account| &**account)
    }

    /// Whether the account is one of Lanyard's own.
    pub(crate) fn is_local(&self, id: AccountId) -> bool {
        self.account(id).is_some_and(|account| account.authority == Authority::Local)
    }

    pub(crate) fn cluster(&self, uid: ClusterUid) -> Option<&Arc<ClusterView>> {
        self.clusters.get(&uid)
    }

    pub(crate) fn cluster_by_id(&self, id: &ClusterId) -> Option<&Arc<ClusterView>> {
        self.clusters.get(self.ids.get(id)?)
    }

    /// The cluster of that name in an account's region.
    pub(crate) fn cluster_named(
        &self,
        account: AccountId,
        region: &str,
        name: &str,
    ) -> Option<&Arc<ClusterView>> {
        self.cluster(*self.names.get(&account)?.get(region)?.get(name)?)
    }

    /// Whether an account has a cluster in a region.
    pub(crate) fn has_clusters_in(&self, account: AccountId, region: &str) -> bool {
        self.names.get(&account).is_some_and(|regions| regions.contains_key(region))
    }

    /// The cluster whose client certificate it is, by the SHA-256 of its DER in hex; none once it counts no more.
    pub(crate) fn cluster_of_certificate(&self, sha256: &str) -> Option<&Arc<ClusterView>> {
        self.cluster(*self.certificates.get(sha256)?)
    }

    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Arc<ClusterView>> {
        self.clusters.values()
    }
}

impl Model for HubModel {
    type Rows = HubRows;
    type Snapshot = HubSnapshot;
    const KINDS: &'static [Kind] = &[Kind::Account, Kind::Cluster, Kind::Block, Kind::SpokeCredential];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<HubRows, StoreError> {
        let mut hub = HubRows::default();
        for row in rows {
            match row.kind {
                Kind::Account => set(&mut hub.accounts, &row.key, Some(Arc::new(row.decode()?))),
                Kind::Cluster => set(&mut hub.clusters, &row.key, Some(Arc::new(row.decode()?))),
                Kind::SpokeCredential => set(&mut hub.credentials, &row.key, Some(row.decode()?)),
                _ => set(&mut hub.blocks, &row.key, Some(row.decode()?)),
            }
        }
        Ok(hub)
    }

    fn apply(&self, rows: &mut HubRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::Account => set(&mut rows.accounts, &change.key, change.after()?.map(Arc::new)),
            Kind::Cluster => set(&mut rows.clusters, &change.key, change.after()?.map(Arc::new)),
            Kind::Block => set(&mut rows.blocks, &change.key, change.after()?),
            Kind::SpokeCredential => set(&mut rows.credentials, &change.key, change.after()?),
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &HubRows, _: Revision) -> HubSnapshot {
        let clusters: Vec<Arc<ClusterView>> =
            rows.clusters.values().map(|cluster| Arc::new(self.view(cluster))).collect();
        HubSnapshot {
            accounts: rows.accounts.values().map(|account| (account.id, Arc::clone(account))).collect(),
            names: by_name(&clusters),
            ids: clusters.iter().map(|view| (view.cluster.id.clone(), view.cluster.uid)).collect(),
            clusters: clusters.into_iter().map(|view| (view.cluster.uid, view)).collect(),
            certificates: rows
                .credentials
                .values()
                .filter(|credential| credential.kind == SpokeCredentialKind::Certificate)
                .map(|credential| (credential.token_sha256.clone(), credential.cluster))
                .collect(),
            blocks: BlockIndex::compile(rows.blocks.values()),
        }
    }
}

fn by_name(
    clusters: &[Arc<ClusterView>],
) -> HashMap<AccountId, HashMap<String, HashMap<String, ClusterUid>>> {
    let mut names: HashMap<AccountId, HashMap<String, HashMap<String, ClusterUid>>> = HashMap::new();
    for cluster in clusters.iter().map(|view| &view.cluster) {
        let region = names.entry(cluster.account).or_default().entry(cluster.region.clone()).or_default();
        region.insert(cluster.name.clone(), cluster.uid);
    }
    names
}

impl HubModel {
    fn view(&self, cluster: &Arc<Cluster>) -> ClusterView {
        let vouches = |sts: &&StsAuthority| {
            let mut pairs = cluster.trusted_accounts.iter();
            pairs.any(|pair| matches!(&pair.authority, Authority::Sts(name) if *name == sts.name()))
        };
        // A cluster's region is a free text where it lies outside AWS; then the hub's stands in.
        let region = Region::parse(&cluster.region).unwrap_or_else(|_| self.region.clone());
        ClusterView {
            uid: cluster.uid.to_string(),
            rules: TokenRules {
                partition: cluster.partition,
                region,
                self_hosted: self.self_hosted.iter().filter(vouches).cloned().collect(),
                own_hosts: Arc::clone(&self.own_hosts),
            },
            cluster: Arc::clone(cluster),
        }
    }
}

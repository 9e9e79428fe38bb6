//! What the hub's scope says: accounts, clusters, their API servers' credentials, blocks for everywhere.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use lanyard_api::{
    Authority, ClusterId, ClusterUid, Revision,
    authn::accounts::Account,
    mapping::{Block, Cluster, ClusterDirectory, DirectoryEntry, SpokeCredential, SpokeKubeconfig},
    tags::ClusterPlace,
};
use lanyard_iam::AccountId;

use crate::blocks::BlockSet;

/// The hub at one revision.
#[derive(Debug)]
pub(crate) struct HubSnapshot {
    pub(crate) accounts: HashMap<AccountId, Account, RandomState>,
    pub(crate) clusters: HashMap<ClusterUid, Arc<Cluster>, RandomState>,
    by_id: HashMap<ClusterId, ClusterUid, RandomState>,
    by_place: HashMap<ClusterPlace, ClusterUid, RandomState>,
    /// Each account's, in the order of their ids.
    by_account: HashMap<AccountId, Vec<Arc<Cluster>>, RandomState>,
    /// How the hub gets at the clusters that it watches.
    pub(crate) kubeconfigs: HashMap<ClusterUid, SpokeKubeconfig, RandomState>,
    pub(crate) blocks: BlockSet,
    pub(crate) block_list: Vec<Block>,
    pub(crate) directory: Arc<ClusterDirectory>,
}

impl HubSnapshot {
    pub(crate) fn compile<'a>(
        revision: Revision,
        accounts: impl Iterator<Item = &'a Account>,
        clusters: impl Iterator<Item = &'a Arc<Cluster>>,
        credentials: impl Iterator<Item = &'a SpokeCredential>,
        kubeconfigs: impl Iterator<Item = &'a SpokeKubeconfig>,
        blocks: impl Iterator<Item = &'a Block>,
    ) -> Self {
        let clusters: HashMap<ClusterUid, Arc<Cluster>, RandomState> =
            clusters.map(|cluster| (cluster.uid, Arc::clone(cluster))).collect();
        let by_id: HashMap<ClusterId, ClusterUid, RandomState> =
            clusters.values().map(|cluster| (cluster.id.clone(), cluster.uid)).collect();
        let mut by_cluster: HashMap<ClusterUid, Vec<SpokeCredential>> = HashMap::new();
        for credential in credentials {
            by_cluster.entry(credential.cluster).or_default().push(credential.clone());
        }
        let kubeconfigs: HashMap<ClusterUid, SpokeKubeconfig, RandomState> =
            kubeconfigs.map(|kubeconfig| (kubeconfig.cluster, kubeconfig.clone())).collect();
        let mut entries: Vec<DirectoryEntry> = clusters
            .values()
            .map(|cluster| DirectoryEntry {
                cluster: Arc::clone(cluster),
                credentials: by_cluster.remove(&cluster.uid).unwrap_or_default(),
                kubeconfig_version: kubeconfigs.get(&cluster.uid).map(|kubeconfig| kubeconfig.version),
            })
            .collect();
        entries.sort_by(|a, b| a.cluster.id.cmp(&b.cluster.id));
        let mut by_account: HashMap<AccountId, Vec<Arc<Cluster>>, RandomState> = HashMap::default();
        for entry in &entries {
            by_account.entry(entry.cluster.account).or_default().push(Arc::clone(&entry.cluster));
        }
        let block_list: Vec<Block> = blocks.cloned().collect();
        Self {
            accounts: accounts.map(|account| (account.id, account.clone())).collect(),
            by_place: clusters.values().map(|cluster| (cluster.place(), cluster.uid)).collect(),
            clusters,
            by_id,
            by_account,
            kubeconfigs,
            blocks: BlockSet::compile(&block_list),
            block_list,
            directory: Arc::new(ClusterDirectory { revision, clusters: entries }),
        }
    }

    pub(crate) fn cluster_by_id(&self, id: &ClusterId) -> Option<&Arc<Cluster>> {
        self.by_id.get(id).and_then(|uid| self.clusters.get(uid))
    }

    pub(crate) fn cluster_at(&self, place: &ClusterPlace) -> Option<&Arc<Cluster>> {
        self.by_place.get(place).and_then(|uid| self.clusters.get(uid))
    }

    /// The clusters of an account, in the order of their ids.
    pub(crate) fn clusters_of(&self, account: AccountId) -> &[Arc<Cluster>] {
        self.by_account.get(&account).map(Vec::as_slice).unwrap_or_default()
    }

    /// The accounts whose principals the hub keeps itself.
    pub(crate) fn local_accounts(&self) -> impl Iterator<Item = AccountId> {
        self.accounts
            .values()
            .filter(|account| account.authority == Authority::Local)
            .map(|account| account.id)
    }
}

//! The snapshots, kept up with the store; loaded when first asked for.

use std::sync::Arc;

use lanyard_api::authn::accounts::Account;
use lanyard_api::{Authority, ClusterUid, Fault, Revision, Scope};
use lanyard_iam::{AccountId, Region, StsAuthority, StsHost};
use lanyard_store::{Followed, Store, StoreError};

use crate::config::SnapshotConfig;
use crate::snapshot::{AccountModel, AccountSnapshot, ClusterModel, ClusterSnapshot, HubModel, HubSnapshot};
use lanyard_oidc::Providers;

/// What authn knows of hub, accounts and clusters. Clones share it.
#[derive(Clone)]
pub(crate) struct Directory {
    hub: Followed<HubModel>,
    accounts: Followed<AccountModel>,
    clusters: Followed<ClusterModel>,
}

/// An account with its state.
#[derive(Debug, Clone)]
pub(crate) struct KnownAccount {
    pub(crate) account: Arc<Account>,
    pub(crate) snapshot: Arc<AccountSnapshot>,
}

impl Directory {
    pub(crate) fn new(
        store: &Store,
        region: Region,
        (self_hosted, own_hosts): (Vec<StsAuthority>, Arc<[StsHost]>),
        config: &SnapshotConfig,
        providers: Providers,
    ) -> Self {
        let keyring = store.keyring().clone();
        Self {
            hub: Followed::new(store, HubModel { region, self_hosted, own_hosts }, 1),
            accounts: Followed::new(store, AccountModel { keyring }, config.accounts_max),
            clusters: Followed::new(store, ClusterModel { providers }, config.clusters_max),
        }
    }

    pub(crate) async fn hub(&self) -> Result<Arc<HubSnapshot>, Fault> {
        self.hub.get(Scope::Hub).await.map_err(unavailable)
    }

    /// With the revision that it is true of.
    pub(crate) async fn hub_at(&self) -> Result<(Arc<HubSnapshot>, Revision), Fault> {
        self.hub.get_at(Scope::Hub).await.map_err(unavailable)
    }

    /// The state of a local account; none where the hub knows it as somebody else's, or not at all. Only numbers that are
    /// registered are loaded, so that made-up ones push nothing out.
    pub(crate) async fn local_account(
        &self,
        hub: &HubSnapshot,
        id: AccountId,
    ) -> Result<Option<KnownAccount>, Fault> {
        let Some(account) = hub.account(id).filter(|_| hub.is_local(id)) else { return Ok(None) };
        let snapshot = self.account(id).await?;
        Ok(Some(KnownAccount { account: Arc::clone(account), snapshot }))
    }

    /// The state of an account whose principals another authority keeps; none where the hub knows it as anybody else's, or not at
    /// all.
    pub(crate) async fn account_of(
        &self,
        hub: &HubSnapshot,
        id: AccountId,
        authority: &Authority,
    ) -> Result<Option<KnownAccount>, Fault> {
        let known = hub.account(id).filter(|account| account.authority == *authority);
        let Some(account) = known.filter(|_| !hub.is_local(id)) else { return Ok(None) };
        let snapshot = self.account(id).await?;
        Ok(Some(KnownAccount { account: Arc::clone(account), snapshot }))
    }

    /// The state of a registered account of any authority.
    pub(crate) async fn account(&self, id: AccountId) -> Result<Arc<AccountSnapshot>, Fault> {
        self.accounts.get(Scope::Account(id)).await.map_err(unavailable)
    }

    /// With the revision that it is true of.
    pub(crate) async fn account_at(&self, id: AccountId) -> Result<(Arc<AccountSnapshot>, Revision), Fault> {
        self.accounts.get_at(Scope::Account(id)).await.map_err(unavailable)
    }

    /// The revision that is known of an account.
    pub(crate) fn account_revision(&self, id: AccountId) -> Revision {
        self.accounts.revision(Scope::Account(id)).unwrap_or_default()
    }

    pub(crate) async fn cluster(&self, uid: ClusterUid) -> Result<Arc<ClusterSnapshot>, Fault> {
        self.clusters.get(Scope::Cluster(uid)).await.map_err(unavailable)
    }

    /// With the revision that it is true of.
    pub(crate) async fn cluster_at(
        &self,
        uid: ClusterUid,
    ) -> Result<(Arc<ClusterSnapshot>, Revision), Fault> {
        self.clusters.get_at(Scope::Cluster(uid)).await.map_err(unavailable)
    }
}

/// What is not in memory and cannot be loaded is no answer.
fn unavailable(error: StoreError) -> Fault {
    tracing::error!(%error, "a snapshot cannot be loaded");
    Fault::from(error)
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Directory")
    }
}

//! The hub's scope: clusters, accounts, hub-wide blocks.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use lanyard_api::{
    Authority, ClusterId, ClusterUid, TrustedAccount,
    authn::accounts::Account,
    mapping::{AuthenticationMode, AuthorizerMode, Block, Cluster},
    proof::Handle,
};
use lanyard_iam::AccountId;

use super::{Table, set};
use crate::handles::{BlockSet, ProofKeys};

/// The hub's records.
#[derive(Debug, Default)]
pub(crate) struct HubRows {
    accounts: Table<Account>,
    clusters: Table<Cluster>,
    blocks: Table<Block>,
}

/// The hub, compiled.
#[derive(Debug, Default)]
pub(crate) struct HubSnapshot {
    by_uid: HashMap<ClusterUid, Arc<Spoke>, RandomState>,
    by_id: HashMap<ClusterId, ClusterUid, RandomState>,
    local_accounts: HashMap<Handle, AccountId, RandomState>,
    /// As the proofs of pods' sessions name them.
    by_handle: HashMap<Handle, ClusterUid, RandomState>,
    pub(crate) blocks: BlockSet,
}

/// A cluster, as far as decisions need it.
#[derive(Debug)]
pub(crate) struct Spoke {
    pub(crate) uid: ClusterUid,
    pub(crate) id: ClusterId,
    pub(crate) account: AccountId,
    pub(crate) authentication_mode: AuthenticationMode,
    pub(crate) authorizer_mode: AuthorizerMode,
    /// The accounts that it lets in, each with its authority; those left out that the hub does not have with that one.
    trusted: HashMap<Handle, Authority, RandomState>,
}

impl HubRows {
    pub(crate) fn set_account(&mut self, key: &str, account: Option<Account>) {
        set(&mut self.accounts, key, account);
    }

    pub(crate) fn set_cluster(&mut self, key: &str, cluster: Option<Cluster>) {
        set(&mut self.clusters, key, cluster);
    }

    pub(crate) fn set_block(&mut self, key: &str, block: Option<Block>) {
        set(&mut self.blocks, key, block);
    }

    pub(crate) fn compile(&self, keys: &ProofKeys) -> HubSnapshot {
        let registered: HashMap<TrustedAccount, Vec<Handle>> =
            self.accounts.values().map(|a| registered(a, keys)).collect();
        let spokes = self.clusters.values().map(|cluster| Arc::new(Spoke::compile(cluster, &registered)));
        let by_uid: HashMap<_, _, RandomState> = spokes.map(|spoke| (spoke.uid, spoke)).collect();
        let local = registered.iter().filter(|(account, _)| account.authority == Authority::Local);
        HubSnapshot {
            by_id: by_uid.values().map(|spoke| (spoke.id.clone(), spoke.uid)).collect(),
            by_handle: by_uid.keys().flat_map(|uid| handles_of(*uid, keys)).collect(),
            by_uid,
            local_accounts: local.flat_map(|(a, handles)| handles.iter().map(|h| (*h, a.account))).collect(),
            blocks: BlockSet::compile(self.blocks.values(), keys),
        }
    }
}

fn registered(account: &Account, keys: &ProofKeys) -> (TrustedAccount, Vec<Handle>) {
    let handles = keys.each(|key| key.account(&account.authority, account.id.as_str())).collect();
    (TrustedAccount { authority: account.authority.clone(), account: account.id }, handles)
}

fn handles_of(uid: ClusterUid, keys: &ProofKeys) -> impl Iterator<Item = (Handle, ClusterUid)> {
    let text = uid.to_string();
    let handles: Vec<Handle> = keys.each(|key| key.cluster(&text)).collect();
    handles.into_iter().map(move |handle| (handle, uid))
}

impl HubSnapshot {
    pub(crate) fn spoke(&self, uid: ClusterUid) -> Option<&Arc<Spoke>> {
        self.by_uid.get(&uid)
    }

    pub(crate) fn spoke_by_id(&self, id: &ClusterId) -> Option<&Arc<Spoke>> {
        self.spoke(*self.by_id.get(id)?)
    }

    /// The local account of this handle.
    pub(crate) fn local_account(&self, handle: &Handle) -> Option<AccountId> {
        self.local_accounts.get(handle).copied()
    }

    /// The cluster of this handle.
    pub(crate) fn cluster(&self, handle: &Handle) -> Option<ClusterUid> {
        self.by_handle.get(handle).copied()
    }
}

impl Spoke {
    fn compile(cluster: &Cluster, registered: &HashMap<TrustedAccount, Vec<Handle>>) -> Self {
        let trusted =
            cluster.trusted_accounts.iter().filter_map(|account| Some((account, registered.get(account)?)));
        let by_handle = trusted.flat_map(|(account, handles)| {
            handles.iter().map(move |handle| (*handle, account.authority.clone()))
        });
        Self {
            uid: cluster.uid,
            id: cluster.id.clone(),
            account: cluster.account,
            authentication_mode: cluster.authentication_mode,
            authorizer_mode: cluster.authorizer_mode,
            trusted: by_handle.collect(),
        }
    }

    /// Whether the account of this handle is let in.
    pub(crate) fn trusts(&self, account: &Handle) -> bool {
        self.trusted.contains_key(account)
    }

    /// Who vouches for the account of this handle, where it is let in.
    pub(crate) fn authority_of(&self, account: &Handle) -> Option<&Authority> {
        self.trusted.get(account)
    }

    /// Whether access entries count here.
    pub(crate) fn counts_entries(&self) -> bool {
        self.authentication_mode != AuthenticationMode::ConfigMap
    }

    /// Whether aws-auth counts here.
    pub(crate) fn counts_aws_auth(&self) -> bool {
        self.authentication_mode != AuthenticationMode::Api
    }

    /// Whether RBAC is evaluated here for everybody.
    pub(crate) fn is_full(&self) -> bool {
        self.authorizer_mode == AuthorizerMode::Full
    }
}

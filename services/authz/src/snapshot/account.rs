//! An account's scope: its blocks, and who of its local principals, keys and OIDC providers is alive.

use std::collections::HashMap;

use lanyard_api::{
    Authority,
    authn::{
        accounts::{AccessKey, IamRole, User},
        oidc_providers::OidcProvider,
    },
    mapping::Block,
    proof::Handle,
};

use time::OffsetDateTime;

use super::{Table, set};
use crate::handles::{BlockSet, HandleSet, ProofKeys};

/// An account's records: handles in place of principals and keys.
#[derive(Debug)]
pub(crate) struct AccountRows {
    keys: ProofKeys,
    users: Table<Vec<Handle>>,
    roles: Table<Role>,
    access_keys: Table<Vec<Handle>>,
    oidc_providers: Table<Vec<Handle>>,
    blocks: Table<Block>,
}

/// A role: its handles, and since when its sessions count.
#[derive(Debug)]
struct Role {
    handles: Vec<Handle>,
    revoked_before: Option<OffsetDateTime>,
}

/// An account, compiled.
#[derive(Debug, Default)]
pub(crate) struct AccountSnapshot {
    principals: HandleSet,
    access_keys: HandleSet,
    oidc_providers: HandleSet,
    /// Roles whose sessions were revoked, by their unique ids.
    revoked_before: HashMap<Handle, OffsetDateTime>,
    /// Those that hold in all clusters of this account.
    pub(crate) blocks: BlockSet,
}

impl AccountRows {
    pub(crate) fn new(keys: ProofKeys) -> Self {
        Self {
            keys,
            users: Table::new(),
            roles: Table::new(),
            access_keys: Table::new(),
            oidc_providers: Table::new(),
            blocks: Table::new(),
        }
    }

    pub(crate) fn set_user(&mut self, key: &str, user: Option<User>) {
        let handles = user.map(|user| self.principal(&user.principal_id));
        set(&mut self.users, key, handles);
    }

    pub(crate) fn set_role(&mut self, key: &str, role: Option<IamRole>) {
        let role = role.map(|role| Role {
            handles: self.principal(&role.principal_id),
            revoked_before: role.revoked_before,
        });
        set(&mut self.roles, key, role);
    }

    /// A deactivated key is as good as none.
    pub(crate) fn set_access_key(&mut self, key: &str, access_key: Option<AccessKey>) {
        let active = access_key.filter(|access_key| access_key.active);
        let handles = active.map(|active| self.keys.each(|key| key.access_key(active.id.as_str())).collect());
        set(&mut self.access_keys, key, handles);
    }

    pub(crate) fn set_oidc_provider(&mut self, key: &str, provider: Option<OidcProvider>) {
        let handles = provider
            .map(|provider| self.keys.each(|key| key.oidc_provider(&provider.id.to_string())).collect());
        set(&mut self.oidc_providers, key, handles);
    }

    pub(crate) fn set_block(&mut self, key: &str, block: Option<Block>) {
        set(&mut self.blocks, key, block);
    }

    pub(crate) fn compile(&self) -> AccountSnapshot {
        AccountSnapshot {
            principals: self
                .users
                .values()
                .flatten()
                .chain(self.roles.values().flat_map(|role| &role.handles))
                .copied()
                .collect(),
            revoked_before: self.roles.values().flat_map(Role::revocations).collect(),
            access_keys: self.access_keys.values().flatten().copied().collect(),
            oidc_providers: self.oidc_providers.values().flatten().copied().collect(),
            blocks: BlockSet::compile(self.blocks.values(), &self.keys),
        }
    }

    fn principal(&self, principal_id: &str) -> Vec<Handle> {
        self.keys.each(|key| key.principal_id(&Authority::Local, principal_id)).collect()
    }
}

impl Role {
    fn revocations(&self) -> impl Iterator<Item = (Handle, OffsetDateTime)> {
        self.revoked_before.into_iter().flat_map(|at| self.handles.iter().map(move |handle| (*handle, at)))
    }
}

impl AccountSnapshot {
    /// Whether sessions of this principal from before a moment are revoked.
    pub(crate) fn is_revoked(&self, principal_id: &Handle, at: OffsetDateTime) -> bool {
        self.revoked_before.get(principal_id).is_some_and(|revoked_before| at < *revoked_before)
    }

    /// Whether a local user or role has this unique id.
    pub(crate) fn has_principal(&self, principal_id: &Handle) -> bool {
        self.principals.contains(principal_id)
    }

    /// Whether this is an active key of a local user.
    pub(crate) fn has_key(&self, access_key: &Handle) -> bool {
        self.access_keys.contains(access_key)
    }

    /// Whether the account has this OIDC provider.
    pub(crate) fn has_oidc_provider(&self, provider: &Handle) -> bool {
        self.oidc_providers.contains(provider)
    }
}

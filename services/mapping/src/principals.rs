//! What an account's scope says: which local principals bear which names now, and the account's blocks.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use lanyard_api::{
    authn::accounts::{IamRole, User},
    mapping::Block,
};
use lanyard_iam::{AccountId, Partition, PrincipalArn, PrincipalKind};

use crate::blocks::BlockSet;

/// An account at one revision.
#[derive(Debug, Default)]
pub(crate) struct AccountSnapshot {
    users: HashMap<Box<str>, LocalPrincipal, RandomState>,
    roles: HashMap<Box<str>, LocalPrincipal, RandomState>,
    pub(crate) blocks: BlockSet,
    pub(crate) block_list: Vec<Block>,
}

/// A user or role that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalPrincipal {
    pub(crate) principal_id: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) name: Box<str>,
}

impl AccountSnapshot {
    pub(crate) fn compile<'a>(
        users: impl Iterator<Item = &'a User>,
        roles: impl Iterator<Item = &'a IamRole>,
        blocks: impl Iterator<Item = &'a Block>,
    ) -> Self {
        let mut snapshot = Self::default();
        let principal = |id: &str, path: &str, name: &str| LocalPrincipal {
            principal_id: id.into(),
            path: path.into(),
            name: name.into(),
        };
        for user in users {
            let key: Box<str> = user.name.to_ascii_lowercase().into();
            snapshot.users.insert(key, principal(&user.principal_id, &user.path, &user.name));
        }
        for role in roles {
            let key: Box<str> = role.name.to_ascii_lowercase().into();
            snapshot.roles.insert(key, principal(&role.principal_id, &role.path, &role.name));
        }
        snapshot.block_list = blocks.cloned().collect();
        snapshot.blocks = BlockSet::compile(&snapshot.block_list);
        snapshot
    }

    /// All of them, by their ARNs, in no order.
    pub(crate) fn principals(
        &self,
        partition: Partition,
        account: AccountId,
    ) -> impl Iterator<Item = (PrincipalArn, String)> {
        let arn = move |kind, id: &str| (PrincipalArn { partition, account, kind }, id.to_owned());
        let parts = |one: &LocalPrincipal| (one.path.to_string(), one.name.to_string());
        let users = self.users.values().map(move |user| {
            let (path, name) = parts(user);
            arn(PrincipalKind::User { path, name }, &user.principal_id)
        });
        let roles = self.roles.values().map(move |role| {
            let (path, name) = parts(role);
            arn(PrincipalKind::Role { path, name }, &role.principal_id)
        });
        users.chain(roles)
    }

    /// The principal that bears the ARN's name now, whatever its path. For a session, its role.
    pub(crate) fn bearer(&self, arn: &PrincipalArn) -> Option<&LocalPrincipal> {
        let name = arn.name()?.to_ascii_lowercase();
        match arn.kind {
            PrincipalKind::User { .. } => self.users.get(name.as_str()),
            PrincipalKind::Role { .. } | PrincipalKind::AssumedRole { .. } => self.roles.get(name.as_str()),
            PrincipalKind::Root | PrincipalKind::FederatedUser { .. } => None,
        }
    }

    /// Whether the one of this unique id bears the ARN's name now.
    pub(crate) fn is_borne_by(&self, arn: &PrincipalArn, principal_id: &str) -> bool {
        self.bearer(arn).is_some_and(|bearer| *bearer.principal_id == *principal_id)
    }

    /// Whoever bears the ARN's name now, by the ARN that they have themselves.
    pub(crate) fn spelled(&self, arn: &PrincipalArn) -> Option<PrincipalArn> {
        let bearer = self.bearer(arn)?;
        let (path, name) = (bearer.path.to_string(), bearer.name.to_string());
        let kind = match arn.kind {
            PrincipalKind::User { .. } => PrincipalKind::User { path, name },
            _ => PrincipalKind::Role { path, name },
        };
        Some(PrincipalArn { kind, ..*arn })
    }
}

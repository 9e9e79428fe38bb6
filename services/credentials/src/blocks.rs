//! Standing refusals, looked at wherever a session is made. One that is made all the same is refused wherever the hub opens it;
//! what AWS gives nobody opens here, so that this look is the only one.

use std::sync::Arc;

use lanyard_api::{
    Authority, BlockId, CallError, Scope,
    mapping::{BlockIndex, Cluster, Someone},
};
use lanyard_iam::{AccessKeyId, AccountId, PrincipalArn};

use crate::{
    account::{AccountSnapshot, HubSnapshot},
    associations::AssociationSnapshot,
    engine::Credentials,
    sight::fault,
};

/// A role of which there is to be a session, and as much of that as is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) role: &'a PrincipalArn,
    pub(crate) session_name: Option<&'a str>,
}

/// The blocks that count for sessions of some roles in one place: the hub's, those of the accounts of the roles, and those of the
/// cluster where they are used and of its account.
pub(crate) struct Standing {
    hub: Arc<HubSnapshot>,
    accounts: Vec<Arc<AccountSnapshot>>,
    cluster: Option<Arc<AssociationSnapshot>>,
}

impl Credentials {
    /// The blocks that count for sessions of roles of these accounts, in a cluster or out of any.
    pub(crate) async fn standing(
        &self,
        of_roles: &[AccountId],
        cluster: Option<&Cluster>,
    ) -> Result<Standing, CallError> {
        let hub = self.hub().await?;
        let mut numbers: Vec<AccountId> =
            of_roles.iter().copied().chain(cluster.map(|cluster| cluster.account)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut accounts = Vec::with_capacity(numbers.len());
        for number in numbers {
            // One that is not registered has no blocks of its own.
            if hub.registered(number).is_some() {
                accounts.push(self.account(number).await?);
            }
        }
        let cluster = match cluster {
            Some(cluster) => {
                let scope = Scope::Cluster(cluster.uid);
                Some(self.association_snapshots().get(scope).await.map_err(fault)?)
            }
            None => None,
        };
        Ok(Standing { hub, accounts, cluster })
    }
}

impl Standing {
    fn all(&self) -> impl Iterator<Item = &BlockIndex> {
        let accounts = self.accounts.iter().map(|account| &account.blocks);
        let cluster = self.cluster.iter().map(|cluster| &*cluster.blocks);
        std::iter::once(&self.hub.blocks).chain(accounts).chain(cluster)
    }

    /// Who vouches for an account; none where it is not registered.
    pub(crate) fn authority_of(&self, account: AccountId) -> Option<&Authority> {
        self.hub.registered(account).map(|registered| &registered.authority)
    }

    /// The block that stops a session of a role. Without blocks it costs nothing.
    pub(crate) fn on_role(&self, sought: &Sought<'_>) -> Option<BlockId> {
        if self.all().all(BlockIndex::names_nobody) {
            return None;
        }
        let Sought { authority, role, session_name } = *sought;
        // As blocks name roles: without their path.
        let canonical_arn = role.without_path().canonical();
        let someone =
            Someone { authority, account: role.account, canonical_arn: &canonical_arn, session_name };
        self.all().find_map(|blocks| blocks.on(&someone))
    }

    /// The block on an OIDC issuer, or on somebody whom it knows.
    pub(crate) fn on_web_identity(&self, issuer: &str, subject: &str) -> Option<BlockId> {
        let of = |blocks: &BlockIndex| {
            blocks.on_oidc_issuer(issuer).or_else(|| blocks.on_oidc_subject(issuer, subject))
        };
        self.all().find_map(of)
    }

    /// The block on a key.
    pub(crate) fn on_key(&self, key: &AccessKeyId) -> Option<BlockId> {
        self.all().find_map(|blocks| blocks.on_key(key))
    }
}

/// What somebody is told whom a block on a role stops: which one, and never what its author wrote of it.
pub(crate) fn stopped(block: BlockId, role: &PrincipalArn) -> String {
    format!(
        "block `{block}` stops role `{role}`, its account or this session of it; whoever put it up can lift it (blocked)"
    )
}

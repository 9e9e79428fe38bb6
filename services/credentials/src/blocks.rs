//! Standing refusals, compiled for a look wherever a session is made. One that is made all the same is refused wherever the hub opens it;
//! what AWS gives nobody opens here, so that this look is the only one.

use std::{collections::HashMap, sync::Arc};

use lanyard_api::{
    Authority, BlockId, CallError, Scope,
    mapping::{Block, BlockTarget, Cluster},
};
use lanyard_iam::{AccessKeyId, AccountId, FoldedArn, PrincipalArn};

use crate::{
    account::{AccountSnapshot, HubSnapshot},
    associations::AssociationSnapshot,
    engine::Credentials,
    sight::fault,
};

/// The blocks of one scope.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    principals: HashMap<(Authority, FoldedArn), BlockId>,
    accounts: HashMap<(Authority, AccountId), BlockId>,
    sessions: HashMap<(Authority, FoldedArn, String), BlockId>,
    keys: HashMap<AccessKeyId, BlockId>,
    issuers: HashMap<String, BlockId>,
    subjects: HashMap<(String, String), BlockId>,
}

/// A role of which there is to be a session, and as much of that as is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) role: &'a PrincipalArn,
    pub(crate) session_name: Option<&'a str>,
}

impl Blocks {
    pub(crate) fn compile<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Self {
        let mut compiled = Self::default();
        for block in blocks {
            match block.target.clone() {
                BlockTarget::Principal { authority, canonical_arn } => {
                    compiled.principals.insert((authority, canonical_arn.folded()), block.id);
                }
                BlockTarget::Account { authority, account } => {
                    compiled.accounts.insert((authority, account), block.id);
                }
                BlockTarget::Session { authority, canonical_arn, session_name } => {
                    compiled.sessions.insert((authority, canonical_arn.folded(), session_name), block.id);
                }
                BlockTarget::AccessKey { access_key_id } => {
                    compiled.keys.insert(access_key_id, block.id);
                }
                BlockTarget::OidcIssuer { issuer } => {
                    compiled.issuers.insert(issuer, block.id);
                }
                BlockTarget::OidcSubject { issuer, subject } => {
                    compiled.subjects.insert((issuer, subject), block.id);
                }
                // No session is made of one here: authn has looked at who calls.
                BlockTarget::Certificate { .. } => {}
            }
        }
        compiled
    }

    /// The block on all of an issuer's people.
    pub(crate) fn on_issuer(&self, issuer: &str) -> Option<BlockId> {
        self.issuers.get(issuer).copied()
    }

    /// The block on one of them.
    pub(crate) fn on_subject(&self, issuer: &str, subject: &str) -> Option<BlockId> {
        if self.subjects.is_empty() {
            return None;
        }
        self.subjects.get(&(issuer.to_owned(), subject.to_owned())).copied()
    }

    /// The block on a role, on its account, or on one session of it. Without blocks it costs nothing.
    fn on_role(&self, sought: &Sought<'_>) -> Option<BlockId> {
        if self.principals.is_empty() && self.accounts.is_empty() && self.sessions.is_empty() {
            return None;
        }
        let Sought { authority, role, session_name } = *sought;
        let on_account = self.accounts.get(&(authority.clone(), role.account)).copied();
        on_account.or_else(|| {
            // As blocks name roles: without their path.
            let named = role.without_path().canonical().folded();
            let on_principal = self.principals.get(&(authority.clone(), named.clone())).copied();
            on_principal.or_else(|| {
                let session = (authority.clone(), named, session_name?.to_owned());
                self.sessions.get(&session).copied()
            })
        })
    }
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
    fn all(&self) -> impl Iterator<Item = &Blocks> {
        let accounts = self.accounts.iter().map(|account| &account.blocks);
        let cluster = self.cluster.iter().map(|cluster| &*cluster.blocks);
        std::iter::once(&self.hub.blocks).chain(accounts).chain(cluster)
    }

    /// Who vouches for an account; none where it is not registered.
    pub(crate) fn authority_of(&self, account: AccountId) -> Option<&Authority> {
        self.hub.registered(account).map(|registered| &registered.authority)
    }

    /// The block that stops a session of a role.
    pub(crate) fn on_role(&self, sought: &Sought<'_>) -> Option<BlockId> {
        self.all().find_map(|blocks| blocks.on_role(sought))
    }

    /// The block on a key.
    pub(crate) fn on_key(&self, key: &AccessKeyId) -> Option<BlockId> {
        self.all().find_map(|blocks| blocks.keys.get(key).copied())
    }
}

/// What somebody is told whom a block on a role stops: which one, and never what its author wrote of it.
pub(crate) fn stopped(block: BlockId, role: &PrincipalArn) -> String {
    format!(
        "block `{block}` stops role `{role}`, its account or this session of it; whoever put it up can lift it (blocked)"
    )
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/team/Dev";

    fn compiled(target: BlockTarget) -> (Blocks, BlockId) {
        let block = Block {
            id: BlockId::random(),
            scope: Scope::Hub,
            target,
            reason: "left".to_owned(),
            created_by: "ana".to_owned(),
            created_at: OffsetDateTime::UNIX_EPOCH,
        };
        (Blocks::compile([&block]), block.id)
    }

    #[test]
    fn a_block_stops_the_role_the_account_or_the_session_that_it_names_and_no_other() {
        let aws = || Authority::Aws;
        let canonical_arn = || "arn:aws:iam::111122223333:role/DEV".parse().unwrap();
        let principal = || BlockTarget::Principal { authority: aws(), canonical_arn: canonical_arn() };
        let account = || BlockTarget::Account { authority: aws(), account: "111122223333".parse().unwrap() };
        let session = || BlockTarget::Session {
            authority: aws(),
            canonical_arn: canonical_arn(),
            session_name: "ana".to_owned(),
        };
        let (local, other) = (Authority::Local, "arn:aws:iam::111122223333:role/Dev2");
        let far = "arn:aws:iam::444455556666:role/Dev";
        for (what, target, authority, role, session_name, stops) in [
            ("a role with its path, by any letter case", principal(), aws(), ROLE, None, true),
            ("another authority's", principal(), local.clone(), ROLE, None, false),
            ("another role", principal(), aws(), other, None, false),
            ("an account's", account(), aws(), other, None, true),
            ("an account of another authority", account(), local, ROLE, None, false),
            ("another account's", account(), aws(), far, None, false),
            ("a session's", session(), aws(), ROLE, Some("ana"), true),
            ("another session's", session(), aws(), ROLE, Some("Ana"), false),
            ("a session of no name yet", session(), aws(), ROLE, None, false),
        ] {
            let (blocks, id) = compiled(target);
            let role: PrincipalArn = role.parse().unwrap();
            let sought = Sought { authority: &authority, role: &role, session_name };
            assert_eq!(blocks.on_role(&sought), stops.then_some(id), "{what}");
        }
    }
}

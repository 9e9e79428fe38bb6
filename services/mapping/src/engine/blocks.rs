//! `Blocks`: standing refusals.

use lanyard_api::{
    Actor, Authority, BlockId, CallError, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    authn::{accounts::AccessKey, oidc_providers::OidcProvider},
    mapping::{Block, BlockTarget, Blocks, CreateBlock},
};
use lanyard_iam::{AccountId, CanonicalArn, PrincipalArn};
use lanyard_kit::config::nearest;
use lanyard_store::Transaction;

use super::{
    Mapping,
    commit::{commit, fresh},
    sight::in_account,
};
use crate::{key, rules};

/// A block names whom it stops as they knock: a role without its path, which STS leaves out.
fn as_it_knocks(target: BlockTarget) -> BlockTarget {
    let known_as = |arn: CanonicalArn| match PrincipalArn::parse(arn.as_str()) {
        Ok(principal) => key::known_as(&principal),
        Err(_) => arn,
    };
    match target {
        BlockTarget::Principal { authority, canonical_arn } => {
            BlockTarget::Principal { authority, canonical_arn: known_as(canonical_arn) }
        }
        BlockTarget::Session { authority, canonical_arn, session_name } => {
            BlockTarget::Session { authority, canonical_arn: known_as(canonical_arn), session_name }
        }
        other @ (BlockTarget::Account { .. }
        | BlockTarget::AccessKey { .. }
        | BlockTarget::OidcSubject { .. }
        | BlockTarget::OidcIssuer { .. }
        | BlockTarget::Certificate { .. }) => other,
    }
}

impl Mapping {
    /// Why a block would stop nobody as things are, as far as whoever may put it up may know. It is put up all the same, for it may be
    /// for somebody yet to come; but who has mistaken a name would believe that somebody is out who is not.
    async fn stops_nobody(
        &self,
        actor: &Actor,
        scope: Scope,
        target: &BlockTarget,
    ) -> Result<Option<String>, CallError> {
        let (authority, account, principal) = match target {
            BlockTarget::Principal { authority, canonical_arn }
            | BlockTarget::Session { authority, canonical_arn, .. } => {
                let Ok(arn) = PrincipalArn::parse(canonical_arn.as_str()) else { return Ok(None) };
                (authority, arn.account, Some(arn))
            }
            BlockTarget::Account { authority, account } => (authority, *account, None),
            BlockTarget::OidcSubject { issuer, .. } | BlockTarget::OidcIssuer { issuer } => {
                return self.stops_nobody_of(scope, issuer).await;
            }
            BlockTarget::AccessKey { .. } | BlockTarget::Certificate { .. } => return Ok(None),
        };
        let hub = self.inner.state.hub().await?;
        let cluster = match scope {
            Scope::Cluster(uid) => hub.clusters.get(&uid),
            Scope::Hub | Scope::Account(_) => None,
        };
        // Of other accounts the maintainer of a cluster knows whom it trusts, and no more.
        let is_own = match scope {
            Scope::Hub => true,
            Scope::Account(own) => own == account,
            Scope::Cluster(_) => cluster.is_some_and(|cluster| cluster.account == account),
        };
        let vouches = if is_own {
            hub.accounts.get(&account).map(|account| &account.authority)
        } else {
            let mut pairs = cluster.into_iter().flat_map(|cluster| &cluster.trusted_accounts);
            pairs.find(|pair| pair.account == account).map(|pair| &pair.authority)
        };
        match vouches {
            None => return Ok(None),
            Some(vouches) if vouches != authority => {
                return Ok(Some(format!(
                    "it stops nobody: account {account} is of authority {vouches}, and not of {authority}"
                )));
            }
            Some(_) => {}
        }
        // Who there is in an account is for its own principals: not for a hub operator of another one.
        let may_know = is_own && in_account(actor, account);
        let Some(arn) = principal.filter(|_| may_know && *authority == Authority::Local) else {
            return Ok(None);
        };
        let there = self.inner.state.account(account).await?.spelled(&arn);
        Ok(match there {
            Some(there) if key::known_as(&there).folded() == key::known_as(&arn).folded() => None,
            Some(there) => {
                Some(format!("it stops nobody: `{arn}` is not there, and `{there}` is not stopped"))
            }
            None => Some(format!("it stops nobody as things are: `{arn}` is not there")),
        })
    }

    /// The same of an issuer, which is compared as tokens write it, byte by byte: a slash at its end makes another one of it. Only of a
    /// cluster can it be told, for whose maintainers its configurations are. The sessions that the cluster's account exchanges tokens
    /// for are stopped too, so that an issuer whom its roles trust is no slip.
    async fn stops_nobody_of(&self, scope: Scope, issuer: &str) -> Result<Option<String>, CallError> {
        let Scope::Cluster(uid) = scope else { return Ok(None) };
        let snapshot = self.inner.state.cluster(uid).await?;
        let urls: Vec<&str> =
            snapshot.identity_providers().iter().map(|config| config.settings.issuer_url.as_str()).collect();
        if urls.contains(&issuer) {
            return Ok(None);
        }
        if let Some(own) = self.account_of_scope(scope).await? {
            let provider: Option<OidcProvider> = self.inner.store.get(Scope::Account(own), issuer).await?;
            if provider.is_some() {
                return Ok(None);
            }
        }
        let nearest = match nearest(issuer, urls) {
            Some(url) => format!("the nearest is `{}`", rules::shown(url)),
            None => String::from("`lanyard identity-provider list` has those that there are"),
        };
        Ok(Some(format!(
            "it stops nobody who logs in by an OIDC token, as things are: no identity-provider configuration of the cluster has the \
             issuer `{}`, byte by byte; {nearest}",
            rules::shown(issuer)
        )))
    }

    /// Whose clusters a block is for, where that is one account's.
    async fn account_of_scope(&self, scope: Scope) -> Result<Option<AccountId>, CallError> {
        Ok(match scope {
            Scope::Hub => None,
            Scope::Account(account) => Some(account),
            Scope::Cluster(uid) => {
                self.inner.state.hub().await?.clusters.get(&uid).map(|cluster| cluster.account)
            }
        })
    }
}

/// That the account has no such key: it may be another account's, of which nothing is told here, or it is a slip.
async fn unknown_key(
    tx: &mut Transaction,
    own: Option<AccountId>,
    target: &BlockTarget,
) -> Result<Option<String>, CallError> {
    let (Some(own), BlockTarget::AccessKey { access_key_id: key }) = (own, target) else { return Ok(None) };
    if !key.is_local() || key.is_session() {
        return Ok(None);
    }
    let found: Option<AccessKey> = tx.get(Scope::Account(own), key.as_str()).await?;
    Ok(found.is_none().then(|| {
        format!("account {own} has no access key `{key}`: if one of its own was meant, look at it again")
    }))
}

impl Blocks for Mapping {
    async fn create_block(&self, by: Mutation, block: CreateBlock) -> Result<Mutated<Block>, CallError> {
        let CreateBlock { scope, target, reason } = block;
        self.seen_scope(&by.actor.value, scope).await?;
        rules::cluster::block(&reason, &target)?;
        let target = as_it_knocks(target);
        // What cannot be told of it now keeps no block from being put up.
        let told = self.stops_nobody(&by.actor.value, scope, &target).await;
        let mut notices: Vec<String> = told.ok().flatten().into_iter().collect();
        let own = self.account_of_scope(scope).await?;
        let mut tx = fresh!(self.begin("create_block", &by, &[scope]).await?);
        notices.extend(unknown_key(&mut tx, own, &target).await?);
        let standing: Vec<Block> = tx.list(scope).await?;
        if let Some(twin) = standing.iter().find(|other| other.target == target) {
            return Err(CallError::exists("block", twin.id));
        }
        let limit = self.inner.config.limits.blocks_per_scope;
        if standing.len() as u64 >= limit {
            return Err(CallError::LimitExceeded { what: "blocks of one scope".into(), limit });
        }
        let block = Block {
            id: BlockId::random(),
            scope,
            target,
            reason,
            created_by: by.actor.value.name(),
            created_at: tx.now(),
        };
        tx.insert(&block).await?;
        commit(tx, scope, block, notices).await
    }

    async fn delete_block(
        &self,
        by: Mutation,
        scope: Scope,
        id: BlockId,
    ) -> Result<Mutated<Block>, CallError> {
        self.seen_scope(&by.actor.value, scope).await?;
        let mut tx = fresh!(self.begin("delete_block", &by, &[scope]).await?);
        let block: Option<Block> = tx.delete(scope, &id.to_string()).await?;
        let block = block.ok_or_else(|| CallError::not_found("block", id))?;
        commit(tx, scope, block, Vec::new()).await
    }

    async fn list_blocks(
        &self,
        by: Vouched<Actor>,
        scope: Scope,
        page: PageQuery,
    ) -> Result<Page<Block>, CallError> {
        self.seen_scope(&by.value, scope).await?;
        let state = &self.inner.state;
        let mut blocks = match scope {
            Scope::Hub => state.hub().await?.block_list.clone(),
            Scope::Account(account) => state.account(account).await?.block_list.clone(),
            Scope::Cluster(cluster) => state.cluster(cluster).await?.block_list.clone(),
        };
        blocks.sort_unstable_by_key(|block| block.id);
        Ok(Page::cut(blocks.into_iter(), &page, |block| block.id.to_string()))
    }
}

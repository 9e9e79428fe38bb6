//! `Blocks`: standing refusals.

use lanyard_api::{
    Actor, BlockId, CallError, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    mapping::{Block, BlockTarget, Blocks, CreateBlock},
};
use lanyard_iam::{CanonicalArn, PrincipalArn};

use super::{
    Mapping,
    commit::{commit, fresh},
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

impl Blocks for Mapping {
    async fn create_block(&self, by: Mutation, block: CreateBlock) -> Result<Mutated<Block>, CallError> {
        let CreateBlock { scope, target, reason } = block;
        self.seen_scope(&by.actor.value, scope).await?;
        rules::cluster::block(&reason, &target)?;
        let target = as_it_knocks(target);
        let mut tx = fresh!(self.begin("create_block", &by, &[scope]).await?);
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
        commit(tx, scope, block, Vec::new()).await
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

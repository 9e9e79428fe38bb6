//! Standing refusals.

use std::future::Future;

use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Authority, Vouched},
    ids::{BlockId, CertificateSha256, Scope},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// A standing refusal: looked at before any mapping, in every mode, and *denied* in authz.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Its number.
    pub id: BlockId,
    /// Where it holds: a cluster, all clusters of an account, or the hub.
    pub scope: Scope,
    /// Whom it stops.
    pub target: BlockTarget,
    /// Why.
    pub reason: String,
    /// Who put it there.
    pub created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Whom a block stops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BlockTarget {
    /// A principal, all its sessions included.
    Principal {
        /// Whose.
        authority: Authority,
        /// Without path for roles.
        canonical_arn: CanonicalArn,
    },
    /// Everyone of an account.
    Account {
        /// Whose.
        authority: Authority,
        /// The account.
        account: AccountId,
    },
    /// One access key; sessions made with it too.
    AccessKey {
        /// The key.
        access_key_id: AccessKeyId,
    },
    /// One role session, by its role and name.
    Session {
        /// Whose.
        authority: Authority,
        /// The role.
        canonical_arn: CanonicalArn,
        /// The session's name.
        session_name: String,
    },
    /// Somebody whom an OIDC issuer knows.
    OidcSubject {
        /// The issuer, byte for byte as its tokens write it.
        issuer: String,
        /// The subject.
        subject: String,
    },
    /// Everyone whom an OIDC issuer knows.
    OidcIssuer {
        /// The issuer, byte for byte as its tokens write it.
        issuer: String,
    },
    /// One client certificate; sessions made with it too.
    Certificate {
        /// Which.
        sha256: CertificateSha256,
    },
}

/// What makes a block.
#[derive(Debug, Clone)]
pub struct CreateBlock {
    /// Where.
    pub scope: Scope,
    /// Whom.
    pub target: BlockTarget,
    /// Why; shown in lists.
    pub reason: String,
}

/// Puts up, lists and lifts blocks.
pub trait Blocks: Send + Sync + 'static {
    /// Puts a block up.
    fn create_block(
        &self,
        by: Mutation,
        block: CreateBlock,
    ) -> impl Future<Output = Result<Mutated<Block>, CallError>> + Send;
    /// Lifts one.
    fn delete_block(
        &self,
        by: Mutation,
        scope: Scope,
        id: BlockId,
    ) -> impl Future<Output = Result<Mutated<Block>, CallError>> + Send;
    /// Those of a scope.
    fn list_blocks(
        &self,
        by: Vouched<Actor>,
        scope: Scope,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<Block>, CallError>> + Send;
}

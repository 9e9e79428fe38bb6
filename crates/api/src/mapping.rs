//! What mapping promises: which badge a proven identity gets in a cluster, and the tables behind that.

pub mod block_index;
pub mod blocks;
mod client;
pub mod clusters;
mod convert;
pub mod entries;
pub mod identity_providers;
mod rule;
pub mod server;
pub mod spokes;
mod updates;

use std::{future::Future, sync::Arc};

use lanyard_iam::PrincipalArn;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use block_index::{BlockIndex, Someone};
pub use blocks::{Block, BlockTarget, Blocks, CreateBlock};
pub use clusters::{
    AGENT_ADDRESS_TAG, AUDIENCE_DEFAULT, AgentAddress, AuthenticationMode, AuthorizerMode, AwsAuthEffect,
    AwsAuthFinding, AwsAuthStatus, AwsAuthVersion, BreakGlass, Cluster, ClusterDirectory, Clusters,
    CreateCluster, DIRECTORY_HEARD_WITHIN, DIRECTORY_SILENCE_MAX, DirectoryEntry, Node,
    REVISIONS_HEARD_WITHIN, REVISIONS_SILENCE_MAX, RevisionReport, RevisionReports, SpokeCredential,
    SpokeCredentialKind, TOKEN_CACHE_SECONDS_DEFAULT, UpdateCluster,
};
pub use entries::{
    AccessEntry, AccessPolicySummary, AccessScope, CreateAccessEntry, Entries, EntryDetail, EntryEvent,
    EntryEventKind, EntryEvents, EntryMatch, EntryMatches, EntryRef, EntryState, EntryType, EntryView,
    PolicyAssociation, PrincipalPage, UpdateAccessEntry, WatchEnd,
};
pub use identity_providers::{
    AssociateIdentityProvider, CLAIM_NAMES, DEFAULT_USERNAME_CLAIM, EMAIL_CLAIM, GROUPS_CLAIM,
    HAS_GROUPS_CLAIM, IdentityProviderConfig, IdentityProviderConfigDetail, IdentityProviderRef,
    IdentityProviderSettings, IdentityProviders, NO_PREFIX, SHARED_AUDIENCE_TAG,
};
pub use lanyard_proto::{PrincipalArnList, PrincipalArns};
pub use rule::Rule;
pub use spokes::{AwsAuthSight, LendQuery, Lending, Loan, SpokeKubeconfig, SpokeStatus, SpokeWatch, Spokes};
pub use updates::{ClusterUpdate, ClusterUpdateParam, ClusterUpdateType, Updates};

use crate::{
    fault::{CallError, Denial, Fault},
    holds::Holds,
    identity::{Actor, Authority, Identity, Vouched},
    ids::{BlockId, ClusterUid, EntryId, Revision},
    written_user::WrittenUser,
};

/// Turns an identity into user info.
pub trait Resolve: Send + Sync + 'static {
    /// Mapped (with the proof minted), blocked or unmapped; `Err` when there is no answer.
    fn resolve(&self, query: ResolveQuery) -> impl Future<Output = Result<Resolution, Fault>> + Send;
    /// Lets the bearer of a cluster's break-glass credential in, once: the use is written before this answers. Unmapped,
    /// with code `break_glass_refused`, where the credential is not the armed one, is used, or has ended.
    fn resolve_break_glass(
        &self,
        query: BreakGlassQuery,
    ) -> impl Future<Output = Result<Resolution, Fault>> + Send;
}

/// How a break-glass credential begins: a token that begins so is mapping's affair, never authn's.
pub const BREAK_GLASS_PREFIX: &str = "lbg_";

/// What a token is that begins so, for people who look at one where it is not spent.
pub const BREAK_GLASS_MEANING: &str =
    "a break-glass credential: it opens its cluster once, at a review of its API server, which this is not";

/// A break-glass credential at the door of a cluster.
#[derive(Debug, Clone)]
pub struct BreakGlassQuery {
    /// The cluster.
    pub cluster: ClusterUid,
    /// As it came, prefix included.
    pub credential: SecretString,
}

/// An identity at the door of a cluster.
#[derive(Debug, Clone)]
pub struct ResolveQuery {
    /// The cluster.
    pub cluster: ClusterUid,
    /// Who, as authn vouched.
    pub identity: Vouched<Arc<Identity>>,
    /// Look for near misses too.
    pub explain: bool,
}

/// The answer to [`ResolveQuery`].
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// In.
    /// Shared, for whoever asks again gets the same.
    Mapped(Arc<Mapped>),
    /// A standing refusal, before every mapping.
    Blocked(BlockId),
    /// Nothing maps this identity, or what does may not count.
    Unmapped(Unmapped),
}

/// In, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The badge, with the proof in its extra.
    pub user: WrittenUser,
    /// What gave it.
    pub grant: Grant,
    /// How the entry was matched.
    pub matched_by: MatchedBy,
    /// How long it may be given again; none where it is made anew each time.
    pub holds: Option<Holds>,
}

/// Not in, and what came near.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    /// Stable code (`unmapped`, `stale_entry`, `template_refused`, …) and text.
    pub denial: Denial,
    /// Near misses, for those who may know them.
    pub near_misses: Vec<String>,
}

/// What gave a badge, as the proof names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which kind of thing.
    pub kind: GrantKind,
    /// For an access entry its number; else a number derived from its key.
    pub id: EntryId,
    /// The cluster's revision of which this is true.
    pub revision: Revision,
    /// For people: `access entry arn:…`, `aws-auth version 3, mapRoles line 12`, `identity-provider configuration okta`.
    pub name: Arc<str>,
}

/// The kinds of grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// An access entry.
    AccessEntry,
    /// A line of the aws-auth ConfigMap.
    AwsAuth,
    /// An identity-provider configuration.
    IdentityProvider,
    /// The cluster's break-glass identity.
    BreakGlass,
}

/// How a principal was matched to what maps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// By its unique id: a principal made anew under the ARN does not match.
    PrincipalId,
    /// By authority, partition, account and name: the id is not known.
    Arn,
    /// By the permission set that its role was made of.
    PermissionSet,
    /// By an ARN pattern that its name fits.
    Pattern,
    /// By the canonical ARN in aws-auth.
    AwsAuthArn,
    /// By its account, in aws-auth's mapAccounts.
    AwsAuthAccount,
    /// By the break-glass identity itself.
    BreakGlass,
    /// By the OIDC issuer of the token.
    Issuer,
}

/// Asks what an ARN that nobody proved would become: for explain and who-can. Never a proof.
pub trait Preview: Send + Sync + 'static {
    /// The same resolution, without a proof in it.
    fn preview(
        &self,
        by: Vouched<Actor>,
        query: PreviewQuery,
    ) -> impl Future<Output = Result<Resolution, CallError>> + Send;
}

/// An ARN and where it would knock.
#[derive(Debug, Clone)]
pub struct PreviewQuery {
    /// The cluster.
    pub cluster: ClusterUid,
    /// Whose identity it would be.
    pub authority: Authority,
    /// The principal or session.
    pub arn: PrincipalArn,
    /// Its unique id, where known.
    pub principal_id: Option<String>,
}

//! Access entries and policy associations (EKS: access entries, access policies).

use std::{collections::BTreeMap, future::Future};

use futures::stream::BoxStream;
use lanyard_iam::{EntryPrincipal, PrincipalArn};
use lanyard_proto::PrincipalArns;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Authority, Vouched},
    ids::{ClusterId, ClusterUid, EntryId, Revision},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// Principal ARN → username and groups, in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessEntry {
    /// Its number, part of its ARN.
    pub id: EntryId,
    /// The cluster.
    pub cluster: ClusterUid,
    /// Who vouches for the principal's account.
    pub authority: Authority,
    /// A user or role, with its path; or a rule that picks several out of one account.
    pub principal_arn: EntryPrincipal,
    /// Its unique id, where known: then the match is by it.
    pub principal_id: Option<String>,
    /// Whoever knocks first before this moment is who the entry is for from then on; until then it lets nobody in.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub pin_until: Option<OffsetDateTime>,
    /// What kind of thing knocks.
    pub entry_type: EntryType,
    /// A name, or a template with `{{SessionName}}` and the like.
    pub username: String,
    /// Groups, exactly as given.
    pub groups: Vec<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// From then on it does not count.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub ends_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified_at: OffsetDateTime,
}

/// EKS's types of access entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryType {
    /// People and programs.
    #[serde(rename = "STANDARD")]
    Standard,
    /// Linux nodes on EC2.
    #[serde(rename = "EC2_LINUX")]
    Ec2Linux,
    /// Windows nodes on EC2.
    #[serde(rename = "EC2_WINDOWS")]
    Ec2Windows,
    /// Fargate.
    #[serde(rename = "FARGATE_LINUX")]
    FargateLinux,
    /// Hybrid nodes.
    #[serde(rename = "HYBRID_LINUX")]
    HybridLinux,
    /// EKS Auto Mode nodes.
    #[serde(rename = "EC2")]
    Ec2,
    /// SageMaker HyperPod nodes.
    #[serde(rename = "HYPERPOD_LINUX")]
    HyperpodLinux,
}

impl EntryType {
    /// As AWS writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Ec2Linux => "EC2_LINUX",
            Self::Ec2Windows => "EC2_WINDOWS",
            Self::FargateLinux => "FARGATE_LINUX",
            Self::HybridLinux => "HYBRID_LINUX",
            Self::Ec2 => "EC2",
            Self::HyperpodLinux => "HYPERPOD_LINUX",
        }
    }
}

/// An access policy at an entry, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyAssociation {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The entry.
    pub entry: EntryId,
    /// `arn:<partition>:eks::aws:cluster-access-policy/<name>`.
    pub policy_arn: String,
    /// Where it holds.
    pub scope: AccessScope,
    /// From then on it does not count.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub ends_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub associated_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified_at: OffsetDateTime,
}

/// An access policy that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicySummary {
    /// Such as `AmazonEKSViewPolicy`.
    pub name: String,
    /// `arn:<partition>:eks::aws:cluster-access-policy/<name>`.
    pub arn: String,
}

/// Where an access policy holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "namespaces", rename_all = "snake_case")]
pub enum AccessScope {
    /// The whole cluster.
    Cluster,
    /// These namespaces; `*` stands for any characters (`dev-*`).
    Namespace(Vec<String>),
}

/// How much of each entry a list has (AIP-157).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryView {
    /// Whom it names alone.
    Principals,
    /// All of it.
    Full,
}

/// Whom the entries of a page name. Unlike other pages it lies in one piece from the snapshot to the door, for clients of EKS list
/// nothing else of entries, a hundred at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrincipalPage {
    /// In the order of the entries.
    pub principal_arns: PrincipalArns,
    /// For the next page; none on the last.
    pub next_token: Option<String>,
}

/// How an entry stands towards its principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// It counts.
    Active,
    /// Its end has passed, or nobody knocked while it could be pinned.
    Ended,
    /// It waits for whom it will be pinned to.
    Unpinned,
    /// The principal of this ARN is not the one it was made for: re-bind it or delete it.
    Stale,
}

/// Names an entry.
#[derive(Debug, Clone)]
pub struct EntryRef {
    /// The cluster.
    pub cluster: ClusterId,
    /// Whom it names: a principal with its path, a permission set, or an ARN pattern.
    pub principal_arn: String,
}

/// What makes an entry (EKS `CreateAccessEntry`).
#[derive(Debug, Clone)]
pub struct CreateAccessEntry {
    /// Which.
    pub entry: EntryRef,
    /// Default [`EntryType::Standard`].
    pub entry_type: Option<EntryType>,
    /// Default by type.
    pub username: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// An end.
    pub ends_at: Option<OffsetDateTime>,
    /// The principal's unique id, where the operator knows it and the hub cannot.
    pub principal_id: Option<String>,
    /// Binds the entry to the unique id of whoever knocks first, until then.
    pub pin_until: Option<OffsetDateTime>,
}

/// What changes an entry (EKS `UpdateAccessEntry`); what is absent stays.
#[derive(Debug, Clone)]
pub struct UpdateAccessEntry {
    /// Which.
    pub entry: EntryRef,
    /// A new username or template.
    pub username: Option<String>,
    /// New groups, all of them.
    pub groups: Option<Vec<String>>,
    /// A new end; `Some(None)` takes it away.
    pub ends_at: Option<Option<OffsetDateTime>>,
    /// Binds a stale entry to the principal that bears the ARN now.
    pub rebind: bool,
    /// Forgets whom the entry is bound to, and binds it to whoever knocks first, until then.
    pub pin_until: Option<OffsetDateTime>,
}

/// An entry with its state and associations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryDetail {
    /// The entry.
    pub entry: AccessEntry,
    /// `arn:…:access-entry/…`.
    pub arn: String,
    /// How it stands.
    pub state: EntryState,
    /// Its policies.
    pub associations: Vec<PolicyAssociation>,
}

/// Whom an entry would mean, as far as the hub can know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMatches {
    /// Users and roles that fit, by ARN.
    pub principals: Vec<EntryMatch>,
    /// Whether these are all: the hub keeps the account, or IAM has told it.
    pub complete: bool,
    /// Entries that name some of the same, for which an entry is refused.
    pub overlaps: Vec<String>,
    /// What whoever writes the entry should know.
    pub notices: Vec<String>,
}

/// Somebody whom an entry would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMatch {
    /// With its path.
    pub principal_arn: PrincipalArn,
    /// Its unique id.
    pub principal_id: Option<String>,
    /// What maps it now, and goes before the entry or is put out by it.
    pub mapped_by: Option<String>,
}

/// Something that happened to an entry of a cluster that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryEvent {
    /// What.
    pub kind: EntryEventKind,
    /// The cluster's revision up to which all has been told with this event: of what is told at once the last one alone has the one by
    /// which it had happened.
    pub revision: Revision,
    /// The cluster: one that is made anew under the id is another. None where the hub is of before clusters were told, when every event of
    /// what is told at once had the revision of the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterUid>,
    /// The entry; none in [`EntryEventKind::Bookmark`] and [`EntryEventKind::Reset`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryDetail>,
}

/// Where a watch before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchEnd {
    /// The revision of its last event.
    pub revision: Revision,
    /// The cluster of that, where it is known: another one may have its id by now, and be at that revision too.
    pub cluster: Option<ClusterUid>,
}

/// What can happen to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryEventKind {
    /// It is there: since it was made, or since before the watch.
    Added,
    /// It, or an access policy on it, is another by now; or it has gone stale, or is stale no more.
    Changed,
    /// It is gone; this is how it was told last.
    Deleted,
    /// Nothing: all up to the revision was told.
    Bookmark,
    /// What was told before does not count any more: all entries follow.
    Reset,
}

/// What happens to the entries of a cluster, until it or the watch ends.
pub type EntryEvents = BoxStream<'static, Result<EntryEvent, CallError>>;

/// The access entries of clusters.
pub trait Entries: Send + Sync + 'static {
    /// Makes one.
    fn create_entry(
        &self,
        by: Mutation,
        entry: CreateAccessEntry,
    ) -> impl Future<Output = Result<Mutated<EntryDetail>, CallError>> + Send;
    /// One, whole.
    fn get_entry(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
    ) -> impl Future<Output = Result<EntryDetail, CallError>> + Send;
    /// Those of a cluster; of one access policy alone if it is given.
    fn list_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        policy_arn: Option<String>,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<EntryDetail>, CallError>> + Send;
    /// Whom those of [`Entries::list_entries`] name, as it is written, and nothing else of them.
    fn list_principals(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        policy_arn: Option<String>,
        page: PageQuery,
    ) -> impl Future<Output = Result<PrincipalPage, CallError>> + Send;
    /// Those of a cluster as they are, and what happens to them from then on; after a watch that told all, only if something has
    /// happened since.
    fn watch_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        after: Option<WatchEnd>,
    ) -> impl Future<Output = Result<EntryEvents, CallError>> + Send;
    /// Whom an entry of this name means or would mean; nothing is written.
    fn preview_entry(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
    ) -> impl Future<Output = Result<EntryMatches, CallError>> + Send;
    /// Changes one.
    fn update_entry(
        &self,
        by: Mutation,
        entry: UpdateAccessEntry,
    ) -> impl Future<Output = Result<Mutated<EntryDetail>, CallError>> + Send;
    /// Deletes one with its associations; the notices say what its principal still resolves to.
    fn delete_entry(
        &self,
        by: Mutation,
        entry: EntryRef,
    ) -> impl Future<Output = Result<Mutated<EntryDetail>, CallError>> + Send;
    /// Puts an access policy on an entry, or changes its scope.
    fn associate_policy(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
        scope: AccessScope,
        ends_at: Option<OffsetDateTime>,
    ) -> impl Future<Output = Result<Mutated<PolicyAssociation>, CallError>> + Send;
    /// Takes one off.
    fn disassociate_policy(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
    ) -> impl Future<Output = Result<Mutated<PolicyAssociation>, CallError>> + Send;
    /// Those on an entry, by the ARNs of the policies.
    fn list_associated_policies(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<PolicyAssociation>, CallError>> + Send;
    /// All that are published, by name, as the partition of the actor's account names them.
    fn list_access_policies(
        &self,
        by: Vouched<Actor>,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<AccessPolicySummary>, CallError>> + Send;
}

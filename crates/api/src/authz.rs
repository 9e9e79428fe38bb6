//! What authz promises: which doors a badge opens, the RBAC objects behind that, and finished decisions by id.

pub(crate) mod batch;
mod client;
mod convert;
mod gone;
mod plain;
mod question;
pub mod server;
mod text;

pub use batch::{
    BATCH_REVIEWS_MAX, batch_decisions, batch_message, batch_reviews, first_cluster, read_decisions,
};
pub use gone::Gone;
pub use question::{DoorQuestion, KnockQuestion, Question};

use std::{borrow::Cow, fmt, future::Future, sync::Arc};

use futures::stream::BoxStream;
use lanyard_proto::authz::v1 as pb;
use lanyard_rbac::{ObjectKey, Subject};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use time::OffsetDateTime;

use crate::{
    fault::{CallError, Fault},
    identity::{Actor, UserInfo, Vouched},
    ids::{ClusterId, ClusterUid, DecisionId, Revision, TraceId},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// Decides access reviews.
pub trait Authorize: Send + Sync + 'static {
    /// Allow, deny or no opinion. To a review that bears a proof this is never an error: what cannot be decided is denied.
    fn authorize(&self, review: Review) -> impl Future<Output = Result<Decision, Fault>> + Send;
    /// Many reviews of one cluster, answered in order from one snapshot.
    fn authorize_batch(
        &self,
        reviews: Vec<Review>,
    ) -> impl Future<Output = Result<Vec<Decision>, Fault>> + Send;
    /// The same for a batch as the wire has it: a service in another process gets it as it came, fields that nobody here knows too, and its
    /// answer comes as it was written.
    ///
    /// # Errors
    /// [`CallError`] names what of the batch cannot be read.
    fn authorize_written(
        &self,
        batch: pb::AuthorizeBatchRequest,
    ) -> impl Future<Output = Result<pb::AuthorizeBatchResponse, CallError>> + Send {
        async { Ok(batch_decisions(self.authorize_batch(batch_reviews(batch)?).await?)) }
    }
    /// What a user may do in a namespace (`SelfSubjectRulesReview`).
    fn rules_for(&self, query: RulesQuery) -> impl Future<Output = Result<Rules, Fault>> + Send;
    /// Who may do it: subjects of RBAC, and grants by id.
    fn who_can(&self, query: WhoCanQuery) -> impl Future<Output = Result<WhoCan, Fault>> + Send;
}

/// A SubjectAccessReview, parsed.
#[derive(Debug, Clone)]
pub struct Review {
    /// The asking cluster.
    pub cluster: ClusterUid,
    /// Who wants in; the proof is in its extra. Reviews of one batch share it where they are about one person.
    pub user: Arc<UserInfo>,
    /// What is asked; whoever records the answer shares it.
    pub attributes: Arc<Attributes>,
    /// Also name all that would have allowed it, at length.
    pub explain: bool,
    /// Weigh RBAC whatever the cluster's mode: for those who ask us alone.
    pub full: bool,
    /// The access entry to take access policies from, in place of a proof: for explanations about a person whom nobody
    /// proved. Never set from anything that an API server sends.
    pub grant: Option<crate::ids::EntryId>,
}

/// What is asked of a door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attributes {
    /// Something in the API.
    Resource(ResourceAttributes),
    /// A path.
    NonResource {
        /// As asked, never cleaned.
        path: SmolStr,
        /// Lower case.
        verb: SmolStr,
    },
}

/// Kubernetes' `resourceAttributes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAttributes {
    /// Empty for cluster-scoped ones, and for "all namespaces".
    pub namespace: SmolStr,
    /// `get`, `list`, …
    pub verb: SmolStr,
    /// Empty for core.
    pub group: SmolStr,
    /// The API version.
    pub version: SmolStr,
    /// Plural, lower case.
    pub resource: SmolStr,
    /// `log`, `exec`, …
    pub subresource: SmolStr,
    /// Empty for all.
    pub name: SmolStr,
    /// What could be parsed of the selectors; recorded.
    pub selectors: Option<Box<Selectors>>,
}

/// Field and label selectors of a review (KEP-4601).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selectors {
    /// On fields.
    pub field: Vec<SelectorRequirement>,
    /// On labels.
    pub label: Vec<SelectorRequirement>,
}

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectorRequirement {
    /// The field or label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// Its values.
    pub values: Vec<String>,
}

/// Kubernetes' three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Allow,
    /// No, whatever others say.
    Deny,
    /// Nothing matched; another authorizer may know.
    NoOpinion,
}

/// A verdict with what decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// What decided it, as data; text is made last.
    pub reason: Reason,
    /// Set where a review could not be evaluated whole (Kubernetes' `evaluationError`).
    pub evaluation_error: Option<String>,
    /// What would have allowed it, the nearest first: all of it where that was asked for, else the first one or two of a
    /// single review that bears a verified proof, which stand in its `reason`.
    pub hints: Vec<String>,
    /// Of the snapshot that answered.
    pub revision: Revision,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// An RBAC rule.
    Rbac {
        /// Whom the binding names, and the asker is: the user, or one of their groups.
        subject: Subject,
        /// The binding.
        binding: ObjectKey,
        /// The role.
        role: ObjectKey,
        /// The rule's place in the role, from 0.
        rule: u32,
    },
    /// The group `system:masters`.
    SystemMasters,
    /// An access policy of the proof's grant.
    AccessPolicy {
        /// Its name.
        policy: SmolStr,
        /// The rule's place in it, from 0.
        rule: u32,
        /// `cluster`, or the namespace pattern that matched.
        scope: SmolStr,
    },
    /// A block holds.
    Blocked,
    /// The principal, its key or what its session descends from is gone.
    Gone(Gone),
    /// The proof's grant is gone, ended, or no longer gives what the review claims.
    GrantRevoked,
    /// Somebody tries to impersonate the proof itself.
    ProofImpersonation,
    /// The review bears a proof that is forged, of another cluster or too old.
    ProofInvalid,
    /// The review could not be answered (shed, too long, not parsed, stale) and bears a proof.
    Unanswerable,
    /// Nothing matched.
    NothingMatched,
}

impl Reason {
    /// Stable, in snake case, for metrics and wires.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rbac { .. } => "rbac",
            Self::SystemMasters => "system_masters",
            Self::AccessPolicy { .. } => "access_policy",
            Self::Blocked => "blocked",
            Self::Gone(_) => "gone",
            Self::GrantRevoked => "grant_revoked",
            Self::ProofImpersonation => "proof_impersonation",
            Self::ProofInvalid => "proof_invalid",
            Self::Unanswerable => "unanswerable",
            Self::NothingMatched => "nothing_matched",
        }
    }
}

/// Asks for a user's rules.
#[derive(Debug, Clone)]
pub struct RulesQuery {
    /// The cluster.
    pub cluster: ClusterUid,
    /// Whose.
    pub user: UserInfo,
    /// In which namespace.
    pub namespace: String,
    /// For a person without a proof: the entry to take access policies from.
    pub grant: Option<crate::ids::EntryId>,
}

/// A user's rules in a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// With verbs, groups, resources and names.
    pub resource: Vec<lanyard_rbac::PolicyRule>,
    /// With verbs and URLs.
    pub non_resource: Vec<lanyard_rbac::PolicyRule>,
    /// Something could not be enumerated.
    pub incomplete: bool,
    /// Why.
    pub evaluation_error: Option<String>,
}

/// Asks who may.
#[derive(Debug, Clone)]
pub struct WhoCanQuery {
    /// The cluster.
    pub cluster: ClusterUid,
    /// What.
    pub attributes: Attributes,
}

/// Who may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoCan {
    /// Each with what gives it.
    pub holders: Vec<Holder>,
    /// Somebody could not be enumerated (members of a group, for one), or is left out.
    pub incomplete: bool,
    /// How many more may whom an answer has no room for.
    pub left_out: u32,
}

/// Somebody who may, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `User ana`, `Group devs`, `ServiceAccount ns/name`, or `access entry <id>`; doors turn ids into ARNs for who may know.
    pub subject: String,
    /// The entry's number, for access policies.
    pub entry: Option<crate::ids::EntryId>,
    /// `ClusterRoleBinding/x → ClusterRole/y rule 2`.
    pub via: String,
    /// The entry's principal: authz does not know it, doors add it for callers who may.
    pub principal_arn: Option<String>,
}

/// The RBAC objects of clusters.
pub trait Objects: Send + Sync + 'static {
    /// Puts objects in place.
    fn apply_objects(
        &self,
        by: Mutation,
        cluster: ClusterId,
        batch: ObjectBatch,
    ) -> impl Future<Output = Result<Mutated<ApplySummary>, CallError>> + Send;
    /// Removes one.
    fn delete_object(
        &self,
        by: Mutation,
        cluster: ClusterId,
        key: ObjectKey,
    ) -> impl Future<Output = Result<Mutated<ObjectKey>, CallError>> + Send;
    /// All of them, by key.
    fn list_objects(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<lanyard_rbac::Object>, CallError>> + Send;
}

/// RBAC objects to put in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectBatch {
    /// Any output of `kubectl get -o yaml|json`.
    pub documents: String,
    /// Also remove those that are not in it.
    pub replace: bool,
    /// Take what can be taken: an object that is out of form or too large is left out, gone if it was there, and named in the
    /// answer. Without it such an object refuses all.
    pub partial: bool,
}

impl ObjectBatch {
    /// All of these or none, beside what is there.
    pub fn of(documents: impl Into<String>) -> Self {
        Self { documents: documents.into(), replace: false, partial: false }
    }
}

/// What an apply did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplySummary {
    /// New ones.
    pub created: u32,
    /// Changed ones.
    pub changed: u32,
    /// Those that were the same already.
    pub unchanged: u32,
    /// Removed ones.
    pub removed: u32,
    /// Documents of other kinds.
    pub skipped: Vec<String>,
    /// Of a partial batch those objects that were left out, each with the rule that it broke.
    pub refused: Vec<String>,
}

/// Finished decisions, kept for `explain --id` within bounds.
pub trait Decisions: Send + Sync + 'static {
    /// Takes a batch; never waits for the store.
    fn record(&self, batch: Vec<DecisionRecord>) -> impl Future<Output = Result<(), Fault>> + Send;
    /// The same for a door, which has answered already: that they could not be taken is told to the log. The answer is how many are lost
    /// by that, for the door to count.
    fn record_or_tell(&self, batch: Vec<DecisionRecord>) -> impl Future<Output = usize> + Send {
        async move {
            let count = batch.len();
            match self.record(batch).await {
                Ok(()) => 0,
                Err(fault) => {
                    tracing::warn!(%fault, count, "decisions were not recorded");
                    count
                }
            }
        }
    }
    /// One, while it is kept.
    fn find(
        &self,
        by: Vouched<Actor>,
        id: DecisionId,
    ) -> impl Future<Output = Result<DecisionRecord, CallError>> + Send;
    /// What decisions in a cluster depend on, now and each time that it may have changed.
    fn watch_inputs(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
    ) -> impl Future<Output = Result<InputChanges, CallError>> + Send;
}

/// What decisions in a cluster depend on, as far as those are told who keep answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The cluster's own revision; the same as before where something of its account or of the hub changed.
    pub revision: Revision,
}

/// These each time that they may have changed, until the cluster or the watch ends.
pub type InputChanges = BoxStream<'static, Result<Inputs, CallError>>;

/// One answer of the suite, as `explain --id` finds it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// Its number.
    pub id: DecisionId,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Where.
    pub cluster: ClusterUid,
    /// Which question was answered.
    pub kind: DecisionKind,
    /// How it ended.
    pub outcome: DecisionOutcome,
    /// The stable reason code.
    pub reason: Cow<'static, str>,
    /// Who, as far as known: a canonical ARN or a username.
    pub who: Arc<str>,
    /// What was asked, in a line; for a token its digest's first digits.
    pub what: Arc<str>,
    /// At length, for those who may know.
    pub detail: Arc<str>,
    /// The trace that the request belonged to, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// Of a refusal: what an explanation asks anew. None of who was let in, and where what was asked is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<Question>>,
}

/// How a recorded decision ended: three ways for a token, three for a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionOutcome {
    /// The token is somebody's, and mapped.
    Verified,
    /// The token is nobody's, or nobody's whom this cluster knows.
    Refused,
    /// A fault: nothing is known of the token.
    NoAnswer,
    /// The door opens.
    Allow,
    /// The door stays shut, whatever others say.
    Deny,
    /// The door is left to the cluster's own authorizers.
    NoOpinion,
}

impl DecisionOutcome {
    /// Whether somebody got in: people ask about the others, so those are kept longer.
    #[must_use]
    pub fn lets_in(self) -> bool {
        matches!(self, Self::Verified | Self::Allow)
    }
}

impl fmt::Display for DecisionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NoOpinion => "no_opinion",
        })
    }
}

impl From<Verdict> for DecisionOutcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Deny => Self::Deny,
            Verdict::NoOpinion => Self::NoOpinion,
        }
    }
}

/// The kinds of recorded decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// At TokenReview.
    TokenReview,
    /// At SubjectAccessReview.
    SubjectAccessReview,
    /// At the front door: a spoke's call that was refused, or a call for the credentials of a pod.
    ManagementCall,
}

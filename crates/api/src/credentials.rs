//! What credentials promises so far: role sessions, what is known of the workloads of clusters, and which of these get which
//! role.

mod associations;
mod client;
mod convert;
pub mod server;
mod workloads;

use std::{collections::BTreeMap, future::Future};

use lanyard_iam::AccessKeyId;
use secrecy::SecretString;
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
};

pub use associations::{
    Associations, CreatePodIdentityAssociation, POD_IDENTITY_SERVICE, PodIdentityAssociation,
    PodIdentityAssociationDetail, PodIdentityAssociationFilter, PodIdentityAssociationId,
    PodIdentityAssociationRef, UpdatePodIdentityAssociation,
};
pub use workloads::{
    ANNOTATION_PREFIX, IrsaObstacle, IssuerDocuments, IssuerKey, ServiceAccount, ServiceAccountBatch,
    ServiceAccountName, ServiceAccountSummary, WorkloadIssuer, Workloads,
};

/// Mints role sessions.
pub trait Sessions: Send + Sync + 'static {
    /// A session of a local role, for an actor whom identity policy and the role's trust policy let (AWS STS `AssumeRole`).
    fn assume_role(
        &self,
        by: Vouched<Actor>,
        query: AssumeRole,
    ) -> impl Future<Output = Result<RoleSession, CallError>> + Send;
}

/// The parameters of AWS STS `AssumeRole`, parsed.
#[derive(Debug, Clone, Default)]
pub struct AssumeRole {
    /// The role's whole ARN, path included.
    pub role_arn: String,
    /// 2 to 64 of `[\w+=,.@-]`.
    pub session_name: String,
    /// 900 to the role's maximum; 0 means 3600.
    pub duration_seconds: u32,
    /// At most 50.
    pub tags: BTreeMap<String, String>,
    /// Tags that a chained session inherits.
    pub transitive_tag_keys: Vec<String>,
    /// What the trust policy may ask for.
    pub external_id: Option<String>,
    /// Kept through chaining.
    pub source_identity: Option<String>,
    /// Narrows the session.
    pub session_policy: Option<String>,
}

/// A role session's credentials.
#[derive(Debug)]
pub struct RoleSession {
    /// `LSIA…`.
    pub access_key_id: AccessKeyId,
    /// Signs; not derivable from the token.
    pub secret_access_key: SecretString,
    /// Goes with each request.
    pub session_token: SecretString,
    /// The end.
    pub expires_at: OffsetDateTime,
    /// `arn:…:assumed-role/ROLE/SESSION`.
    pub arn: String,
    /// `AROA…:SESSION`.
    pub assumed_role_id: String,
    /// How full the token is, in percent.
    pub packed_policy_percent: u32,
}

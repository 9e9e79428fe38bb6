//! What became of changes of clusters (EKS: `Update`). The hub's changes are done when they are answered.

use std::future::Future;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid, ClusterUpdateId},
    mutation::{Page, PageQuery},
};

/// The changes of a cluster's configuration, as EKS lets its clients follow them.
pub trait Updates: Send + Sync + 'static {
    /// One of them.
    fn get_update(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        id: ClusterUpdateId,
    ) -> impl Future<Output = Result<ClusterUpdate, CallError>> + Send;
    /// All that are kept, the oldest first.
    fn list_updates(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<ClusterUpdate>, CallError>> + Send;
}

/// A change of a cluster's configuration, which was successful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterUpdate {
    /// Its number.
    pub id: ClusterUpdateId,
    /// The cluster.
    pub cluster: ClusterUid,
    /// What was changed.
    #[serde(rename = "type")]
    pub kind: ClusterUpdateType,
    /// With what.
    pub params: Vec<ClusterUpdateParam>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What a change was about; it serializes as EKS names it (`UpdateType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterUpdateType {
    /// The authentication mode.
    #[serde(rename = "AccessConfigUpdate")]
    AccessConfig,
    /// Anything else of its configuration.
    #[serde(rename = "ConfigUpdate")]
    Config,
    /// An identity provider was associated.
    #[serde(rename = "AssociateIdentityProviderConfig")]
    AssociateIdentityProvider,
    /// An identity provider was disassociated.
    #[serde(rename = "DisassociateIdentityProviderConfig")]
    DisassociateIdentityProvider,
}

/// With what a cluster was changed (EKS `UpdateParam`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterUpdateParam {
    /// As EKS names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// As EKS writes it.
    pub value: String,
}

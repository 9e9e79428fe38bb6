//! Pod Identity associations (EKS): the role of a ServiceAccount's pods.

mod aws_road;
mod id;

use std::{collections::BTreeMap, future::Future};

use lanyard_iam::PrincipalArn;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid},
    mapping::Cluster,
    mutation::{Mutated, Mutation, Page, PageQuery},
};

pub use aws_road::{AWS_ROAD_TAG, AwsRoad, ProposeTrust, TrustProposal};
pub use id::PodIdentityAssociationId;

/// The service that a role has to trust, so that pods get its credentials (EKS user guide, "Pod Identity role trust").
pub const POD_IDENTITY_SERVICE: &str = "pods.eks.amazonaws.com";

/// The tag by which a role may be for the pods of any cluster of its account, with the value `true`: callers whose wire has no flag
/// for that say so by it.
pub const ANY_CLUSTER_TAG: &str = "lanyard:any-cluster";

/// Which ServiceAccount's pods get which role. One association at most for each ServiceAccount.
pub trait Associations: Send + Sync + 'static {
    /// Makes one. The notices tell what of the role could not be looked at, and which condition its trust policy lacks where that
    /// was let pass. A role that AWS keeps is tried, so that whoever makes the association has its trust policy right at once.
    fn create_pod_identity_association(
        &self,
        by: Mutation,
        asked: CreatePodIdentityAssociation,
    ) -> impl Future<Output = Result<Mutated<PodIdentityAssociationDetail>, CallError>> + Send;
    /// One, whole.
    fn get_pod_identity_association(
        &self,
        by: Vouched<Actor>,
        named: PodIdentityAssociationRef,
    ) -> impl Future<Output = Result<PodIdentityAssociationDetail, CallError>> + Send;
    /// Those of a cluster, by namespace and ServiceAccount.
    fn list_pod_identity_associations(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        filter: PodIdentityAssociationFilter,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<PodIdentityAssociationDetail>, CallError>> + Send;
    /// Changes one.
    fn update_pod_identity_association(
        &self,
        by: Mutation,
        named: PodIdentityAssociationRef,
        change: UpdatePodIdentityAssociation,
    ) -> impl Future<Output = Result<Mutated<PodIdentityAssociationDetail>, CallError>> + Send;
    /// Takes one away, and answers what it was: its pods get no credentials any more.
    fn delete_pod_identity_association(
        &self,
        by: Mutation,
        named: PodIdentityAssociationRef,
    ) -> impl Future<Output = Result<Mutated<PodIdentityAssociationDetail>, CallError>> + Send;
    /// What a role that AWS keeps has to say in its trust policy, so that it does for a ServiceAccount. Nothing is written, and the
    /// role is not asked about.
    fn propose_trust(
        &self,
        by: Vouched<Actor>,
        asked: ProposeTrust,
    ) -> impl Future<Output = Result<TrustProposal, CallError>> + Send;
}

/// The role of a ServiceAccount's pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodIdentityAssociation {
    /// Its number, part of its ARN.
    pub id: PodIdentityAssociationId,
    /// The cluster.
    pub cluster: ClusterUid,
    /// The ServiceAccount's namespace.
    pub namespace: String,
    /// The ServiceAccount's name.
    pub service_account: String,
    /// The role, of the cluster's own account.
    pub role_arn: PrincipalArn,
    /// The role that is assumed with the first one, and whose credentials the pods get.
    pub target_role_arn: Option<PrincipalArn>,
    /// Whether the six session tags are left out.
    pub disable_session_tags: bool,
    /// Narrows the session, as the JSON given; with a target role, that role's.
    pub policy: Option<String>,
    /// By which road the role's credentials come from AWS; none where the hub keeps the role's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_road: Option<AwsRoad>,
    /// Whether the role of AWS was not tried when this was written, so that it is before its first use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unprobed: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified_at: OffsetDateTime,
}

impl PodIdentityAssociation {
    /// `arn:P:eks:R:A:podidentityassociation/CLUSTER/ID`.
    #[must_use]
    pub fn arn(&self, cluster: &Cluster) -> String {
        let Cluster { partition, region, account, name, .. } = cluster;
        format!("arn:{partition}:eks:{region}:{account}:podidentityassociation/{name}/{}", self.id)
    }

    /// What the target role's trust policy should ask for: `REGION/ACCOUNT/CLUSTER/NAMESPACE/SERVICE-ACCOUNT` (EKS).
    #[must_use]
    pub fn external_id(&self, cluster: &Cluster) -> Option<String> {
        let Cluster { region, account, name, .. } = cluster;
        let Self { namespace, service_account, .. } = self;
        let id = || format!("{region}/{account}/{name}/{namespace}/{service_account}");
        self.target_role_arn.is_some().then(id)
    }
}

/// An association with what follows from it and its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentityAssociationDetail {
    /// The association.
    pub association: PodIdentityAssociation,
    /// Its ARN.
    pub arn: String,
    /// What the target role's trust policy should ask for; none without a target role.
    pub external_id: Option<String>,
}

impl PodIdentityAssociationDetail {
    /// Of an association of this cluster.
    #[must_use]
    pub fn new(cluster: &Cluster, association: PodIdentityAssociation) -> Self {
        Self { arn: association.arn(cluster), external_id: association.external_id(cluster), association }
    }
}

/// What makes an association (EKS `CreatePodIdentityAssociation`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePodIdentityAssociation {
    /// Where.
    pub cluster: ClusterId,
    /// The ServiceAccount's namespace.
    pub namespace: String,
    /// The ServiceAccount's name.
    pub service_account: String,
    /// The role's whole ARN.
    pub role_arn: String,
    /// The target role's whole ARN.
    pub target_role_arn: Option<String>,
    /// Default false.
    pub disable_session_tags: Option<bool>,
    /// A session policy.
    pub policy: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Take a role that the pods of any cluster of the account may use; [`ANY_CLUSTER_TAG`] says the same.
    pub allow_any_cluster: bool,
    /// By which road credentials come from AWS, for a role that AWS keeps; [`AWS_ROAD_TAG`] says the same.
    pub aws_road: Option<AwsRoad>,
    /// Do not try the role of AWS now.
    pub unprobed: bool,
}

/// What changes an association (EKS `UpdatePodIdentityAssociation`); what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdatePodIdentityAssociation {
    /// The role's whole ARN.
    pub role_arn: Option<String>,
    /// The target role's whole ARN; an empty one takes it away.
    pub target_role_arn: Option<String>,
    /// Whether the six session tags are left out.
    pub disable_session_tags: Option<bool>,
    /// A session policy; an empty one takes it away.
    pub policy: Option<String>,
    /// As of a new association.
    pub allow_any_cluster: bool,
    /// By which road credentials come from AWS.
    pub aws_road: Option<AwsRoad>,
    /// As of a new association.
    pub unprobed: bool,
}

/// Names an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentityAssociationRef {
    /// The cluster.
    pub cluster: ClusterId,
    /// The association.
    pub id: PodIdentityAssociationId,
}

/// Which of a cluster's associations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodIdentityAssociationFilter {
    /// Of this namespace alone.
    pub namespace: Option<String>,
    /// Of ServiceAccounts of this name alone.
    pub service_account: Option<String>,
}

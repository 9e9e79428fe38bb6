//! `lanyard cluster describe`: a cluster, how it is watched, and which aws-auth is in force.

use lanyard_api::{
    ClusterId,
    grpc::admitted_at_the_door,
    mapping::{AwsAuthFinding, AwsAuthStatus, AwsAuthVersion, Cluster, Clusters, SpokeStatus, Spokes},
};
use serde::Serialize;
use time::OffsetDateTime;

use crate::failure::Failure;

/// A cluster at length.
#[derive(Debug, Serialize)]
pub(super) struct Described {
    cluster: Cluster,
    spoke: SpokeStatus,
    aws_auth: AwsAuthState,
}

/// Which version is in force, and which newer one is not.
#[derive(Debug, Serialize)]
struct AwsAuthState {
    /// None where none was ever good.
    in_force: Option<u64>,
    #[serde(with = "time::serde::rfc3339::option")]
    in_force_since: Option<OffsetDateTime>,
    /// The newest, where it was rejected.
    rejected: Option<u64>,
    #[serde(with = "time::serde::rfc3339::option")]
    rejected_since: Option<OffsetDateTime>,
    /// What is wrong with the newest.
    findings: Vec<AwsAuthFinding>,
}

/// Asks for the three parts.
pub(super) async fn of(hub: &(impl Clusters + Spokes), id: ClusterId) -> Result<Described, Failure> {
    let by = admitted_at_the_door;
    let cluster = hub.get_cluster(by(), id.clone()).await?;
    let spoke = hub.get_spoke(by(), id.clone()).await?;
    let versions = hub.get_aws_auth(by(), id).await?;
    Ok(Described { cluster, spoke, aws_auth: state(&versions) })
}

fn state(versions: &[AwsAuthVersion]) -> AwsAuthState {
    let in_force = versions.iter().rfind(|version| version.status == AwsAuthStatus::Accepted);
    let newest = versions.last();
    let rejected = newest.filter(|version| version.status == AwsAuthStatus::Rejected);
    AwsAuthState {
        in_force: in_force.map(|version| version.version),
        in_force_since: in_force.map(|version| version.pushed_at),
        rejected: rejected.map(|version| version.version),
        rejected_since: rejected.map(|version| version.pushed_at),
        findings: newest.map(|version| version.findings.clone()).unwrap_or_default(),
    }
}

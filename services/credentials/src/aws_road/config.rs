//! What a hub operator chooses of the AWS road.

use lanyard_api::credentials::AwsRoad;
use serde::{Deserialize, Serialize};

/// The road to roles of accounts that AWS keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AwsRoadConfig {
    /// The road of associations that name none: `hub-principal` or `issuer`. The first needs nothing but credentials of the hub;
    /// the second that AWS can fetch the keys of clusters' issuers.
    pub default: AwsRoad,
}

impl Default for AwsRoadConfig {
    fn default() -> Self {
        Self { default: AwsRoad::HubPrincipal }
    }
}

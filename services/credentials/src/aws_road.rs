//! The AWS road: credentials of roles that AWS keeps.
//!
//! Only EKS itself can be the service `pods.eks.amazonaws.com`, so a role trusts either the hub's own principal, which names an
//! external id of the hub's making ([`external_id`]), or the cluster's OIDC issuer, in whose name the hub signs a token with the
//! session tags. Which of the two is part of an association ([`AwsRoad`]). A role is tried when an association is written
//! ([`probe`]): it has to let the hub in, and not without the external id, nor with another's.
//!
//! A role of an account that the hub keeps never comes here, and no account but one that is registered as AWS's does.

mod config;
mod external_id;
mod faults;
mod issuer;
mod lifetime;
mod probe;
mod source;
mod trust_policy;
mod written;

use std::sync::Arc;

use lanyard_api::{CallError, HubId, credentials::AwsRoad, mapping::Cluster};
use lanyard_aws::AwsClient;
use quick_cache::sync::Cache;

pub use config::AwsRoadConfig;
pub use external_id::external_id;
pub use issuer::{IssuerTokens, TokenAsked};
pub use source::AwsSource;
pub use trust_policy::{hub_principal_policy, issuer_policy};
pub(crate) use written::{Said, Tried};

/// Roles whose longest session is remembered, and associations whose role was tried before its first use; those used last.
const REMEMBERED_MAX: usize = 16_384;

/// What the road needs: AWS as the hub, and who the hub is.
#[derive(Clone)]
pub(crate) struct Road {
    inner: Arc<Inner>,
}

struct Inner {
    aws: AwsClient,
    hub: HubId,
    /// By role.
    seconds_max: Cache<String, lifetime::Learned>,
    /// Associations that were written without a try, by id and time of their last change, of which one has succeeded since.
    tried: Cache<(String, i128), ()>,
}

impl Road {
    pub(crate) fn new(aws: AwsClient, hub: HubId) -> Self {
        let (seconds_max, tried) = (Cache::new(REMEMBERED_MAX), Cache::new(REMEMBERED_MAX));
        Self { inner: Arc::new(Inner { aws, hub, seconds_max, tried }) }
    }

    pub(crate) fn aws(&self) -> &AwsClient {
        &self.inner.aws
    }

    /// What the hub names when it assumes a role for a ServiceAccount.
    pub(crate) fn external_id(&self, cluster: &Cluster, namespace: &str, service_account: &str) -> String {
        external_id(self.inner.hub, cluster.uid, namespace, service_account)
    }
}

impl std::fmt::Debug for Road {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Road").field("hub", &self.inner.hub).finish_non_exhaustive()
    }
}

/// Why nothing of AWS can be had here.
fn not_in_aws_mode() -> CallError {
    let message = "this hub does not call AWS in its own name: set aws.enabled, with credentials as AWS's tools take them";
    CallError::precondition("aws_mode", message)
}

/// What a subject of a ServiceAccount's token is (Kubernetes, service account tokens).
fn subject(namespace: &str, service_account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{service_account}")
}

/// How the roads are told of where a message names one.
fn spelled(road: AwsRoad) -> &'static str {
    match road {
        AwsRoad::HubPrincipal => "the hub's principal",
        AwsRoad::Issuer => "the cluster's issuer",
    }
}

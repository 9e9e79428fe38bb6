//! Records that tests begin with.

#![allow(clippy::expect_used, reason = "for tests: what is none ends the test, and says why")]

use std::collections::BTreeMap;

use lanyard_iam::Partition;
use time::OffsetDateTime;

use crate::{
    ClusterUid,
    credentials::{PodIdentityAssociation, PodIdentityAssociationId},
    mapping::{AuthenticationMode, AuthorizerMode, Cluster},
};

/// A cluster of an account, with this id and name, and a uid of its own.
///
/// # Panics
/// Where they are none.
#[must_use]
pub fn cluster(id: &str, account: &str) -> Cluster {
    Cluster {
        uid: ClusterUid::random(),
        id: id.parse().expect("an id of a cluster"),
        name: id.to_owned(),
        partition: Partition::Aws,
        account: account.parse().expect("an account's number"),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::Api,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: Vec::new(),
        audiences: Vec::new(),
        token_cache_seconds: 10,
        created_by: "test".to_owned(),
        tags: BTreeMap::new(),
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// An association of the cluster's ServiceAccount `team-a/bot` with a role.
///
/// # Panics
/// Where the role is none.
#[must_use]
pub fn association(cluster: &Cluster, role_arn: &str) -> PodIdentityAssociation {
    PodIdentityAssociation {
        id: PodIdentityAssociationId::random(),
        cluster: cluster.uid,
        namespace: "team-a".to_owned(),
        service_account: "bot".to_owned(),
        role_arn: role_arn.parse().expect("a role's ARN"),
        target_role_arn: None,
        disable_session_tags: false,
        policy: None,
        aws_road: None,
        unprobed: false,
        tags: BTreeMap::new(),
        created_at: OffsetDateTime::UNIX_EPOCH,
        modified_at: OffsetDateTime::UNIX_EPOCH,
    }
}

//! A cluster for tests.

use std::collections::BTreeMap;

use lanyard_api::{
    ClusterUid,
    mapping::{AuthenticationMode, AuthorizerMode, Cluster},
};
use time::OffsetDateTime;

/// `dev`, of account 111122223333.
pub(super) fn cluster() -> Cluster {
    Cluster {
        uid: ClusterUid::random(),
        id: "dev".parse().unwrap(),
        name: "dev".to_owned(),
        partition: "aws".parse().unwrap(),
        account: "111122223333".parse().unwrap(),
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

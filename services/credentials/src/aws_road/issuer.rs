//! Tokens of clusters' issuers that the hub signs itself, for AWS: what they say.

use std::{collections::BTreeMap, future::Future};

use lanyard_api::{CallError, ClusterUid};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use time::Duration;

use crate::{ClusterToken, ClusterTokens, Credentials};

/// For whom they are: what IAM's OIDC providers and IRSA have by default.
pub(super) const AUDIENCE: &str = "sts.amazonaws.com";
/// The claim that STS takes session tags from (IAM user guide, "Passing session tags in STS", `AssumeRoleWithWebIdentity`).
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";

/// How long a token holds: it is shown to STS at once.
const LIFETIME: Duration = Duration::minutes(5);

/// A token to sign.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenAsked {
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// The claims beside the registered ones.
    pub claims: Map<String, Value>,
}

/// Signs tokens of clusters' issuers, by keys that the hub holds.
pub trait IssuerTokens: Clone + Send + Sync + 'static {
    /// What the cluster's issuer is called.
    fn issuer_of(&self, cluster: ClusterUid) -> impl Future<Output = Result<String, CallError>> + Send;
    /// A token, good for some minutes.
    fn token(
        &self,
        cluster: ClusterUid,
        asked: TokenAsked,
    ) -> impl Future<Output = Result<SecretString, CallError>> + Send;
}

impl IssuerTokens for Credentials {
    async fn issuer_of(&self, cluster: ClusterUid) -> Result<String, CallError> {
        self.signing_issuer(cluster).await
    }

    async fn token(&self, cluster: ClusterUid, asked: TokenAsked) -> Result<SecretString, CallError> {
        let TokenAsked { subject, audience, claims } = asked;
        let asked = ClusterToken { subject, audience, lifetime: LIFETIME, claims };
        ClusterTokens::mint(self, cluster, asked).await
    }
}

/// What a token says of session tags, all of them transitive.
pub(super) fn tag_claims(tags: &BTreeMap<String, String>) -> Map<String, Value> {
    if tags.is_empty() {
        return Map::new();
    }
    let principal_tags: Map<String, Value> =
        tags.iter().map(|(key, value)| (key.clone(), json!([value]))).collect();
    let keys: Vec<&String> = tags.keys().collect();
    let claim = json!({ "principal_tags": principal_tags, "transitive_tag_keys": keys });
    Map::from_iter([(TAGS_CLAIM.to_owned(), claim)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_in_the_claim_that_sts_reads_and_none_in_none() {
        let tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2 3".to_owned())]);
        let expected = json!({ TAGS_CLAIM: {
            "principal_tags": { "a": ["1"], "b": ["2 3"] },
            "transitive_tag_keys": ["a", "b"],
        } });
        assert_eq!(Value::Object(tag_claims(&tags)), expected);
        assert_eq!(tag_claims(&BTreeMap::new()), Map::new());
    }
}

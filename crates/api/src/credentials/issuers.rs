//! The issuers that the hub serves for clusters: who signs there, and what is published.

use std::future::Future;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{WorkloadIssuer, workloads::IssuerKey};
use crate::{
    fault::{CallError, Fault},
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid},
    mutation::{Mutated, Mutation},
};

/// The longest that a token of a pod lasts that our webhook has projected (EKS: 86400 s). So long after an API server has begun to
/// sign with another key, tokens of the old one are in use.
pub const WORKLOAD_TOKEN_LIFETIME: Duration = Duration::DAY;

/// The issuers of clusters, as the hub serves them at `<external URL>/id/<cluster uid>`.
pub trait Issuers: Send + Sync + 'static {
    /// Publishes the public half of a key that the cluster's API server is to sign with. The first one makes the issuer; the older
    /// ones stay until they are retired. A key of another cluster is refused, and so is any for an issuer whose keys its API server
    /// serves itself.
    fn publish_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
        asked: PublishIssuerKey,
    ) -> impl Future<Output = Result<Mutated<HostedIssuer>, CallError>> + Send;
    /// Takes a key away: its tokens end at once, unless the API server serves it itself under a name of which no key is published then,
    /// which a notice tells. One whose tokens may still be in use is refused, unless `early`.
    fn retire_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
        kid: String,
        early: bool,
    ) -> impl Future<Output = Result<Mutated<HostedIssuer>, CallError>> + Send;
    /// Makes the hub a new key of its own for the cluster's issuer. It is published now and signs a while later.
    fn rotate_hub_issuer_key(
        &self,
        by: Mutation,
        cluster: ClusterId,
    ) -> impl Future<Output = Result<Mutated<HostedIssuer>, CallError>> + Send;
    /// Everything about a cluster's issuer.
    fn describe_issuer(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
    ) -> impl Future<Output = Result<IssuerDescription, CallError>> + Send;
    /// What everybody may see of a cluster's issuer, for the doors.
    fn find_issuer(&self, cluster: ClusterUid) -> impl Future<Output = Result<FoundIssuer, Fault>> + Send;
}

/// A key to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishIssuerKey {
    /// The public half as a JWK (RFC 7517), with the `kid` that tokens will name. A private half is refused.
    pub jwk: String,
    /// Where the documents are served, if not by the hub: an https URL, such as a bucket's. It counts with the first key alone.
    pub issuer_url: Option<String>,
}

/// The issuer that the hub serves for a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedIssuer {
    /// The cluster.
    pub cluster: ClusterUid,
    /// As its tokens write it in `iss`. It stays what it was when the issuer was made.
    pub issuer_url: String,
    /// The keys that are published, the oldest first. A key is one cluster's alone.
    pub keys: Vec<HostedKey>,
}

impl HostedIssuer {
    /// The keys of one signer, the oldest first.
    pub fn keys_of(&self, signer: IssuerSigner) -> impl DoubleEndedIterator<Item = &HostedKey> {
        self.keys.iter().filter(move |key| key.signer == signer)
    }
}

/// A key that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedKey {
    /// The key; it always has an id.
    pub key: IssuerKey,
    /// Who has the private half.
    pub signer: IssuerSigner,
    /// Who published it.
    pub published_by: String,
    /// When it was published.
    #[serde(with = "time::serde::rfc3339")]
    pub published_at: OffsetDateTime,
    /// From when on the hub signs with it; of no meaning for keys of an API server.
    #[serde(with = "time::serde::rfc3339")]
    pub signs_from: OffsetDateTime,
    /// When the next key of its signer was published; none for the newest.
    #[serde(with = "time::serde::rfc3339::option")]
    pub superseded_at: Option<OffsetDateTime>,
}

impl HostedKey {
    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.key.kid.as_deref().unwrap_or_default()
    }
}

/// Who signs with a key of a hosted issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerSigner {
    /// The cluster's API server: it signs the tokens of pods.
    ApiServer,
    /// The hub: it signs tokens for AWS, and none that it takes itself.
    Hub,
}

/// The documents of an issuer (OpenID Connect Discovery; Kubernetes, service account issuer discovery).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedDocuments {
    /// `/.well-known/openid-configuration`.
    pub configuration: String,
    /// `/keys`: the key set (RFC 7517).
    pub jwks: String,
}

/// Everything about a cluster's issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssuerDescription {
    /// The issuer that counts for pods' tokens; none where nothing is known.
    pub issuer_url: Option<String>,
    /// Where the hub would serve the cluster's issuer; none where it does not know its own URL.
    pub hub_url: Option<String>,
    /// What is published by the hub; none where nothing is.
    pub hosted: Option<HostedIssuer>,
    /// What the API server was seen to serve; none where it was not seen.
    pub watched: Option<WorkloadIssuer>,
    /// The documents, to be put wherever the issuer's URL points; none for an issuer that is of no use outside its cluster.
    pub documents: Option<PublishedDocuments>,
}

/// What the doors may tell of a cluster's issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundIssuer {
    /// The issuer that counts; none where nothing is known.
    pub issuer_url: Option<String>,
    /// What the hub serves; none where it serves nothing.
    pub documents: Option<PublishedDocuments>,
}

/// The documents of an issuer with these keys.
#[must_use]
pub fn published_documents<'a>(
    issuer_url: &str,
    keys: impl IntoIterator<Item = &'a IssuerKey>,
) -> PublishedDocuments {
    let mut algorithms: Vec<&str> = Vec::new();
    let mut jwks: Vec<&str> = Vec::new();
    for key in keys {
        if !jwks.contains(&key.jwk.as_str()) {
            jwks.push(&key.jwk);
        }
        for algorithm in &key.algorithms {
            if !algorithms.contains(&algorithm.as_str()) {
                algorithms.push(algorithm);
            }
        }
    }
    let configuration = serde_json::json!({
        "issuer": issuer_url,
        "jwks_uri": jwks_uri(issuer_url),
        // As EKS and kube-apiserver have it: nobody logs in here by a browser.
        "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "claims_supported": ["sub", "iss"],
    });
    // Each is a JWK that was read and written anew when it was taken.
    let jwks = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
    PublishedDocuments { configuration: configuration.to_string(), jwks }
}

/// Where the keys of an issuer are.
#[must_use]
pub fn jwks_uri(issuer_url: &str) -> String {
    format!("{}/keys", issuer_url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn key(kid: &str, algorithm: &str) -> IssuerKey {
        IssuerKey {
            kid: Some(kid.to_owned()),
            thumbprint: kid.to_owned(),
            algorithms: vec![algorithm.to_owned()],
            jwk: format!(r#"{{"kid":"{kid}"}}"#),
        }
    }

    #[test]
    fn the_documents_name_the_issuer_as_it_is_and_each_key_once() {
        let keys = [key("a", "RS256"), key("b", "ES256"), key("a", "RS256")];
        let made = published_documents("https://hub.example/id/1", &keys);
        let configuration: Value = serde_json::from_str(&made.configuration).unwrap();
        assert_eq!(configuration["issuer"], "https://hub.example/id/1");
        assert_eq!(configuration["jwks_uri"], "https://hub.example/id/1/keys");
        let algorithms = serde_json::json!(["RS256", "ES256"]);
        assert_eq!(configuration["id_token_signing_alg_values_supported"], algorithms);
        let jwks: Value = serde_json::from_str(&made.jwks).unwrap();
        assert_eq!(jwks, serde_json::json!({ "keys": [{ "kid": "a" }, { "kid": "b" }] }));
    }
}

//! The OIDC issuers that the roles of an account may trust.

use std::{collections::BTreeMap, future::Future};

use lanyard_iam::{AccountId, Partition};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    ids::OidcProviderId,
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// An OIDC issuer that the roles of an account may trust (IAM's OpenID Connect provider).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    /// A provider made again for the same issuer has another.
    pub id: OidcProviderId,
    /// Its account.
    pub account: AccountId,
    /// As the issuer's tokens write it in `iss`, byte for byte.
    pub issuer_url: String,
    /// For whom its tokens have to be; each once.
    pub client_ids: Vec<String>,
    /// SHA-1 of certificates in hex. Without a CA bundle, an issuer whom the system's authorities do not vouch for is known by
    /// the last certificate of the chain that it shows, if it is one of these.
    pub thumbprints: Vec<String>,
    /// Certificates in PEM by which the issuer is verified, in place of the system's authorities.
    #[serde(default)]
    pub ca_bundle_pem: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What of an issuer's URL stands in ARNs and condition keys: all but the scheme (IAM: "Creating a role for OpenID Connect
/// federation").
#[must_use]
pub fn provider_name(issuer_url: &str) -> &str {
    issuer_url
        .get(8..)
        .filter(|_| issuer_url.to_ascii_lowercase().starts_with("https://"))
        .unwrap_or(issuer_url)
}

impl OidcProvider {
    /// What of the issuer's URL stands in ARNs and condition keys.
    #[must_use]
    pub fn name(&self) -> &str {
        provider_name(&self.issuer_url)
    }

    /// As trust policies name it: `arn:P:iam::A:oidc-provider/<URL without scheme>`.
    #[must_use]
    pub fn arn(&self, partition: Partition) -> String {
        format!("arn:{partition}:iam::{}:oidc-provider/{}", self.account, self.name())
    }
}

/// What makes a provider.
#[derive(Debug, Clone, Default)]
pub struct CreateOidcProvider {
    /// The account; none means the actor's own.
    pub account: Option<AccountId>,
    /// `https://`, at most 255 characters.
    pub issuer_url: String,
    /// At most 100.
    pub client_ids: Vec<String>,
    /// At most 5; none is needed.
    pub thumbprints: Vec<String>,
    /// Certificates in PEM, in place of the system's authorities.
    pub ca_bundle_pem: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A provider of an account; no account means the actor's own.
#[derive(Debug, Clone)]
pub struct OidcProviderRef {
    /// The account.
    pub account: Option<AccountId>,
    /// The issuer's URL.
    pub issuer_url: String,
}

/// One change of a provider that is there.
#[derive(Debug, Clone)]
pub enum UpdateOidcProvider {
    /// Takes tokens for one more client id.
    AddClientId(String),
    /// Takes tokens for it no more.
    RemoveClientId(String),
    /// Replaces the thumbprints.
    Thumbprints(Vec<String>),
    /// Replaces the authorities; none are the system's.
    CaBundle(Option<String>),
    /// Puts tags on it, beside those that it has.
    Tag(BTreeMap<String, String>),
    /// Takes tags away.
    Untag(Vec<String>),
}

/// The OIDC issuers that the roles of local accounts may trust.
pub trait OidcProviders: Send + Sync + 'static {
    /// Makes a provider; an account has one for each issuer.
    fn create_oidc_provider(
        &self,
        by: Mutation,
        provider: CreateOidcProvider,
    ) -> impl Future<Output = Result<Mutated<OidcProvider>, CallError>> + Send;
    /// One provider.
    fn get_oidc_provider(
        &self,
        by: Vouched<Actor>,
        provider: OidcProviderRef,
    ) -> impl Future<Output = Result<OidcProvider, CallError>> + Send;
    /// Providers by the issuer's URL.
    fn list_oidc_providers(
        &self,
        by: Vouched<Actor>,
        account: Option<AccountId>,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<OidcProvider>, CallError>> + Send;
    /// Changes one thing about a provider.
    fn update_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
        update: UpdateOidcProvider,
    ) -> impl Future<Output = Result<Mutated<OidcProvider>, CallError>> + Send;
    /// Deletes a provider; sessions that were made by its tokens end.
    fn delete_oidc_provider(
        &self,
        by: Mutation,
        provider: OidcProviderRef,
    ) -> impl Future<Output = Result<Mutated<OidcProvider>, CallError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_url_without_its_scheme() {
        let cases = [
            ("https://token.actions.githubusercontent.com", "token.actions.githubusercontent.com"),
            ("https://tenant.auth0.example/", "tenant.auth0.example/"),
            ("HTTPS://oidc.eks.eu-west-1.amazonaws.com/id/AB", "oidc.eks.eu-west-1.amazonaws.com/id/AB"),
            ("http://plain.example", "http://plain.example"),
            ("", ""),
        ];
        for (url, name) in cases {
            assert_eq!(provider_name(url), name, "{url}");
        }
    }
}

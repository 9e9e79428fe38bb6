//! OIDC identity-provider configurations (EKS: `OidcIdentityProviderConfig`): whose tokens a cluster takes, and what their
//! claims become.

use std::{borrow::Cow, collections::BTreeMap, future::Future};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, Vouched},
    ids::{ClusterId, ClusterUid, IdentityProviderConfigId},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

/// The claim that is the username where none is named (EKS, Kubernetes).
pub const DEFAULT_USERNAME_CLAIM: &str = "sub";

/// The one claim that needs no prefix of its own: its issuer vouches for it beyond itself (Kubernetes).
pub const EMAIL_CLAIM: &str = "email";

/// The claim whose members are the claims that an issuer keeps elsewhere (OpenID Connect Core section 5.6.2). Of a token that was verified its
/// value is the list of those among them that its configuration names.
pub const CLAIM_NAMES: &str = "_claim_names";

/// The claim by which Entra ID says in place of [`GROUPS_CLAIM`] that there are groups, where a token has no room for them.
pub const HAS_GROUPS_CLAIM: &str = "hasgroups";

/// The claim that [`HAS_GROUPS_CLAIM`] is about.
pub const GROUPS_CLAIM: &str = "groups";

/// The tag by which a configuration says, when it is associated, that other clusters may take tokens for its audience too: what
/// [`IdentityProviderSettings::shared_audience`] says, for clients of AWS, whose model has no such setting. Its value is `true`.
pub const SHARED_AUDIENCE_TAG: &str = "lanyard:shared-audience";

/// As a prefix: none at all (Kubernetes' `--oidc-username-prefix`).
pub const NO_PREFIX: &str = "-";

/// What is told about an issuer, to take its tokens in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderSettings {
    /// Unique in the cluster.
    pub name: String,
    /// Exactly as its tokens write it in `iss`; unique in the cluster.
    pub issuer_url: String,
    /// The audience that its tokens are for.
    pub client_id: String,
    /// The claim that becomes the username; [`DEFAULT_USERNAME_CLAIM`] where none is named.
    #[serde(default)]
    pub username_claim: Option<String>,
    /// As it was given; [`Self::username_prefix`] is what it comes to.
    #[serde(default)]
    pub username_prefix: Option<String>,
    /// The claim that becomes groups; without one there are none.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// As it was given; [`Self::groups_prefix`] is what it comes to.
    #[serde(default)]
    pub groups_prefix: Option<String>,
    /// Claims that a token must have, with these very values.
    #[serde(default)]
    pub required_claims: BTreeMap<String, String>,
    /// Other clusters, and OIDC providers of accounts, may take tokens for this audience too; [`SHARED_AUDIENCE_TAG`] says the same.
    #[serde(default)]
    pub shared_audience: bool,
    /// Certificates in PEM that the issuer is verified by, in place of the system's authorities.
    #[serde(default)]
    pub ca_bundle_pem: Option<String>,
    /// `email` counts without a word on whether it is verified; never where the issuer says that it is not.
    #[serde(default)]
    pub email_verified_may_be_absent: bool,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl IdentityProviderSettings {
    /// The claim that becomes the username.
    #[must_use]
    pub fn username_claim(&self) -> &str {
        self.username_claim.as_deref().unwrap_or(DEFAULT_USERNAME_CLAIM)
    }

    /// What stands before each username: by default the issuer's URL and `#`, but nothing before an address.
    #[must_use]
    pub fn username_prefix(&self) -> Cow<'_, str> {
        match self.username_prefix.as_deref() {
            Some(NO_PREFIX) => Cow::Borrowed(""),
            Some(prefix) if !prefix.is_empty() => Cow::Borrowed(prefix),
            _ if self.username_claim() == EMAIL_CLAIM => Cow::Borrowed(""),
            _ => Cow::Owned([self.issuer_url.as_str(), "#"].concat()),
        }
    }

    /// What stands before each group: nothing by default.
    #[must_use]
    pub fn groups_prefix(&self) -> &str {
        match self.groups_prefix.as_deref() {
            None | Some(NO_PREFIX) => "",
            Some(prefix) => prefix,
        }
    }

    /// The claims that mapping needs of a token, each once.
    #[must_use]
    pub fn claims(&self) -> Vec<&str> {
        let username = self.username_claim();
        let verified = (username == EMAIL_CLAIM).then_some("email_verified");
        let required = self.required_claims.keys().map(String::as_str);
        let groups = self.groups_claim.as_deref();
        let has_groups = (groups == Some(GROUPS_CLAIM)).then_some(HAS_GROUPS_CLAIM);
        let named = [username].into_iter().chain(verified).chain(groups).chain(has_groups);
        let mut claims: Vec<&str> = named.chain(required).collect();
        claims.sort_unstable();
        claims.dedup();
        claims
    }
}

/// An issuer whose tokens a cluster takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderConfig {
    /// Its number, part of its ARN.
    pub id: IdentityProviderConfigId,
    /// The cluster.
    pub cluster: ClusterUid,
    /// What was told about the issuer.
    pub settings: IdentityProviderSettings,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A configuration with its ARN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityProviderConfigDetail {
    /// The configuration.
    pub config: IdentityProviderConfig,
    /// `arn:…:identityproviderconfig/…`.
    pub arn: String,
}

/// What makes a configuration (EKS `AssociateIdentityProviderConfig`).
#[derive(Debug, Clone)]
pub struct AssociateIdentityProvider {
    /// Where.
    pub cluster: ClusterId,
    /// What.
    pub settings: IdentityProviderSettings,
}

/// Names a configuration.
#[derive(Debug, Clone)]
pub struct IdentityProviderRef {
    /// The cluster.
    pub cluster: ClusterId,
    /// The configuration's name.
    pub name: String,
}

/// The identity-provider configurations of clusters.
pub trait IdentityProviders: Send + Sync + 'static {
    /// Makes one; the notices warn of an audience that other clusters or the STS take too.
    fn associate_identity_provider(
        &self,
        by: Mutation,
        asked: AssociateIdentityProvider,
    ) -> impl Future<Output = Result<Mutated<IdentityProviderConfigDetail>, CallError>> + Send;
    /// One, whole.
    fn get_identity_provider(
        &self,
        by: Vouched<Actor>,
        named: IdentityProviderRef,
    ) -> impl Future<Output = Result<IdentityProviderConfigDetail, CallError>> + Send;
    /// Those of a cluster.
    fn list_identity_providers(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<IdentityProviderConfigDetail>, CallError>> + Send;
    /// Takes one away: nobody of its issuer gets in any more.
    fn disassociate_identity_provider(
        &self,
        by: Mutation,
        named: IdentityProviderRef,
    ) -> impl Future<Output = Result<Mutated<IdentityProviderConfigDetail>, CallError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        claim: Option<&str>,
        username: Option<&str>,
        groups: Option<&str>,
    ) -> IdentityProviderSettings {
        let text = |text: Option<&str>| text.map(str::to_owned);
        IdentityProviderSettings {
            name: "okta".to_owned(),
            issuer_url: "https://okta.example".to_owned(),
            client_id: "kubernetes".to_owned(),
            username_claim: text(claim),
            username_prefix: text(username),
            groups_claim: None,
            groups_prefix: text(groups),
            required_claims: BTreeMap::new(),
            shared_audience: false,
            ca_bundle_pem: None,
            email_verified_may_be_absent: false,
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn prefixes_are_those_of_kubernetes_unless_they_are_given() {
        let cases = [
            (settings(None, None, None), "https://okta.example#", ""),
            (settings(Some("sub"), Some(""), Some("")), "https://okta.example#", ""),
            (settings(Some("email"), None, None), "", ""),
            (settings(Some("email"), Some("okta:"), Some("okta:")), "okta:", "okta:"),
            (settings(None, Some("-"), Some("-")), "", ""),
        ];
        for (settings, username, groups) in cases {
            assert_eq!(
                (&*settings.username_prefix(), settings.groups_prefix()),
                (username, groups),
                "{settings:?}"
            );
        }
    }

    #[test]
    fn the_claims_that_mapping_needs_are_named_once() {
        let required = BTreeMap::from(
            [("hd", "example.com"), ("groups", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let named = |claim| IdentityProviderSettings {
            groups_claim: Some("groups".to_owned()),
            required_claims: required.clone(),
            ..settings(claim, None, None)
        };
        assert_eq!(named(None).claims(), ["groups", "hasgroups", "hd", "sub"]);
        assert_eq!(named(Some("email")).claims(), ["email", "email_verified", "groups", "hasgroups", "hd"]);
    }
}

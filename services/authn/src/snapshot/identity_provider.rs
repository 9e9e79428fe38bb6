//! An issuer whose tokens a cluster takes.

use std::sync::Arc;

use lanyard_api::mapping::IdentityProviderConfig;
use lanyard_oidc::{IssuerError, KeptProvider};

/// A configuration, with who keeps its issuer's keys.
#[derive(Debug)]
pub(crate) struct ProviderView {
    pub(crate) config: IdentityProviderConfig,
    /// None where the issuer cannot be called as it is configured: then its tokens have no answer.
    pub(crate) provider: Option<Arc<KeptProvider>>,
    /// Who is asked, for people.
    pub(crate) verifier: Arc<str>,
    /// The claims that go on to mapping.
    pub(crate) claims: Box<[Box<str>]>,
}

impl ProviderView {
    pub(crate) fn new(
        config: IdentityProviderConfig,
        provider: Result<Arc<KeptProvider>, IssuerError>,
    ) -> Self {
        let issuer = &config.settings.issuer_url;
        let provider = provider.inspect_err(
            |error| tracing::error!(issuer, cluster.uid = %config.cluster, %error, "an OIDC issuer cannot be called"),
        );
        Self {
            provider: provider.ok(),
            verifier: format!("OIDC issuer {issuer}").into(),
            claims: config.settings.claims().into_iter().map(Into::into).collect(),
            config,
        }
    }
}

//! The OIDC issuers whose keys are kept: one provider for each issuer and way to call it, however many clusters take its
//! tokens, and for as long as one does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lanyard_api::mapping::IdentityProviderSettings;
use lanyard_kit::Clock;
use lanyard_oidc::{Issuer, IssuerError, IssuerOptions, Provider};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::config::OidcConfig;

/// What tells providers apart: the issuer's URL, and the certificates that it is verified by.
type Key = (String, Option<String>);

/// The providers in use. Clones share them.
#[derive(Clone)]
pub(crate) struct Providers {
    inner: Arc<Inner>,
}

struct Inner {
    config: OidcConfig,
    clock: Arc<dyn Clock>,
    /// Where keys are renewed; none where nothing runs, and then they are fetched as tokens come.
    runtime: Option<Handle>,
    kept: Mutex<HashMap<Key, Weak<KeptProvider>>>,
}

/// A provider whose keys are renewed as long as this is held.
pub(crate) struct KeptProvider {
    provider: Provider,
    renewing: Option<AbortHandle>,
}

impl KeptProvider {
    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }
}

impl Drop for KeptProvider {
    fn drop(&mut self) {
        if let Some(renewing) = &self.renewing {
            renewing.abort();
        }
    }
}

impl std::fmt::Debug for KeptProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.provider.fmt(f)
    }
}

impl Providers {
    /// Knows no issuer yet.
    pub(crate) fn new(config: OidcConfig, clock: Arc<dyn Clock>) -> Self {
        let runtime = Handle::try_current().ok();
        Self { inner: Arc::new(Inner { config, clock, runtime, kept: Mutex::default() }) }
    }

    /// The provider of a configuration: one that is there, or a new one, whose keys are fetched from now on.
    pub(crate) fn of(&self, settings: &IdentityProviderSettings) -> Result<Arc<KeptProvider>, IssuerError> {
        let key = (settings.issuer_url.clone(), settings.ca_bundle_pem.clone());
        let mut kept = self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        kept.retain(|_, provider| provider.strong_count() > 0);
        let OidcConfig { private_hosts, keys } = self.inner.config.clone();
        let options =
            IssuerOptions { ca_bundle_pem: key.1.clone(), private_hosts, keys, ..IssuerOptions::new(&key.0) };
        let provider = Provider::new(Issuer::new(options)?, Arc::clone(&self.inner.clock))?;
        let renew = |runtime: &Handle| runtime.spawn(provider.clone().keep_fresh()).abort_handle();
        let renewing = self.inner.runtime.as_ref().map(renew);
        let made = Arc::new(KeptProvider { provider, renewing });
        kept.insert(key, Arc::downgrade(&made));
        Ok(made)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let kept = self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values().filter(|provider| provider.strong_count() > 0).count()
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Providers")
    }
}

#[cfg(test)]
mod tests {
    use lanyard_kit::SystemClock;

    use super::*;

    fn settings(issuer: &str, ca_bundle_pem: Option<&str>) -> IdentityProviderSettings {
        IdentityProviderSettings {
            name: "okta".to_owned(),
            issuer_url: issuer.to_owned(),
            client_id: "kubernetes".to_owned(),
            username_claim: None,
            username_prefix: None,
            groups_claim: None,
            groups_prefix: None,
            required_claims: Default::default(),
            shared_audience: false,
            ca_bundle_pem: ca_bundle_pem.map(str::to_owned),
            email_verified_may_be_absent: false,
            tags: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_provider_is_shared_by_who_calls_the_issuer_alike_and_goes_with_the_last() {
        let stand_in = lanyard_oidc::stand_in::StandIn::start("").await;
        let providers = Providers::new(OidcConfig::default(), Arc::new(SystemClock));
        let own = settings(stand_in.issuer(), Some(stand_in.ca_pem()));
        let one = providers.of(&own).unwrap();
        let again =
            providers.of(&IdentityProviderSettings { client_id: "other".to_owned(), ..own.clone() }).unwrap();
        assert!(Arc::ptr_eq(&one, &again));
        let elsewhere = providers.of(&settings("https://other.example", Some(stand_in.ca_pem()))).unwrap();
        assert!(!Arc::ptr_eq(&one, &elsewhere));
        assert_eq!(providers.len(), 2);
        drop((one, again));
        assert_eq!(providers.len(), 1);
        assert!(providers.of(&settings("http://okta.example", None)).is_err());
    }
}

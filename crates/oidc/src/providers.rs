//! The OIDC issuers whose keys are kept: one provider for each issuer and way to call it, however many clusters or accounts
//! take its tokens, and for as long as one does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lanyard_kit::Clock;
use lanyard_kit::http_client::TestInternet;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::issuer::{Issuer, IssuerError, IssuerOptions, KeyOptions};
use crate::provider::Provider;

/// How configured issuers are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcConfig {
    /// Hosts, exactly named, that may have addresses which are not public. Whoever configures an issuer for a cluster or an
    /// account cannot say so: they would make the hub call into its own network.
    pub private_hosts: Vec<String>,
    /// How long keys are kept, and how often an issuer is asked.
    pub keys: KeyOptions,
    /// In place of DNS, in tests.
    #[serde(skip)]
    pub internet: Option<TestInternet>,
}

impl OidcConfig {
    /// What an issuer is called with.
    #[must_use]
    pub fn issuer(&self, issuer_url: &str, ca_bundle_pem: Option<&str>) -> IssuerOptions {
        IssuerOptions {
            ca_bundle_pem: ca_bundle_pem.map(str::to_owned),
            private_hosts: self.private_hosts.clone(),
            keys: self.keys.clone(),
            internet: self.internet.clone(),
            ..IssuerOptions::new(issuer_url)
        }
    }
}

/// What tells providers apart: the issuer's URL, and the certificates or thumbprints that it is verified by.
type Key = (String, Option<String>, Vec<String>);

/// The providers in use. Clones share them.
#[derive(Clone)]
pub struct Providers {
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
pub struct KeptProvider {
    provider: Provider,
    renewing: Option<AbortHandle>,
}

impl KeptProvider {
    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &Provider {
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
    #[must_use]
    pub fn new(config: OidcConfig, clock: Arc<dyn Clock>) -> Self {
        let runtime = Handle::try_current().ok();
        Self { inner: Arc::new(Inner { config, clock, runtime, kept: Mutex::default() }) }
    }

    /// The provider of an issuer: one that is there, or a new one, whose keys are fetched from now on.
    ///
    /// # Errors
    /// [`IssuerError`] where the issuer cannot be called so.
    pub fn of(
        &self,
        issuer_url: &str,
        ca_bundle_pem: Option<&str>,
    ) -> Result<Arc<KeptProvider>, IssuerError> {
        self.pinned(issuer_url, ca_bundle_pem, &[])
    }

    /// As [`Self::of`]; without a CA bundle an issuer whom the system's authorities do not vouch for may also be known by the
    /// thumbprint of the last certificate that it shows.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn pinned(
        &self,
        issuer_url: &str,
        ca_bundle_pem: Option<&str>,
        thumbprints: &[String],
    ) -> Result<Arc<KeptProvider>, IssuerError> {
        // Beside a bundle they say nothing, and so tell nothing apart.
        let thumbprints = if ca_bundle_pem.is_some() { Vec::new() } else { thumbprints.to_vec() };
        let key = (issuer_url.to_owned(), ca_bundle_pem.map(str::to_owned), thumbprints.clone());
        let mut kept = self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        kept.retain(|_, provider| provider.strong_count() > 0);
        let options = IssuerOptions { thumbprints, ..self.inner.config.issuer(issuer_url, ca_bundle_pem) };
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

    #[tokio::test]
    async fn a_provider_is_shared_by_who_calls_the_issuer_alike_and_goes_with_the_last() {
        let stand_in = crate::stand_in::StandIn::start("").await;
        let providers = Providers::new(OidcConfig::default(), Arc::new(SystemClock));
        let ca = Some(stand_in.ca_pem());
        let one = providers.of(stand_in.issuer(), ca).unwrap();
        let again = providers.of(stand_in.issuer(), ca).unwrap();
        assert!(Arc::ptr_eq(&one, &again));
        let elsewhere = providers.of("https://other.example", ca).unwrap();
        assert!(!Arc::ptr_eq(&one, &elsewhere));
        assert_eq!(providers.len(), 2);
        drop((one, again));
        assert_eq!(providers.len(), 1);
        assert!(providers.of("http://okta.example", None).is_err());
    }
}

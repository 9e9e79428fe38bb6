//! Certificates that come by another way than a handshake, or before one.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use super::config::{TlsError, provider, root_store};

/// Judges chains as TLS judges those of clients: by the hub's root, by what each may be used for, and by the time.
#[derive(Debug, Clone)]
pub struct ChainVerifier(Arc<dyn ClientCertVerifier>);

impl ChainVerifier {
    /// One that trusts these roots alone.
    ///
    /// # Errors
    /// [`TlsError`] where there is none, or one that cannot be used.
    pub fn new(roots: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(root_store(roots)?), provider());
        Ok(Self(verifier.build().map_err(|error| TlsError::Certificate(error.to_string()))?))
    }

    /// Whether a chain, leaf first and without the root, comes from the roots and is good now, as a client's.
    ///
    /// # Errors
    /// [`TlsError`] says what does not fit.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: OffsetDateTime) -> Result<(), TlsError> {
        let (leaf, above) = chain.split_first().ok_or(TlsError::Pem { what: "certificate" })?;
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let verified = self.0.verify_client_cert(leaf, above, now);
        verified.map(|_| ()).map_err(|error| TlsError::Certificate(error.to_string()))
    }
}

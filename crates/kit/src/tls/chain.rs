//! Certificates that come by another way than a handshake, or before one.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
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
        let (leaf, above) = parts(chain)?;
        let verified = self.0.verify_client_cert(leaf, above, unix(now));
        verified.map(|_| ()).map_err(|error| TlsError::Certificate(error.to_string()))
    }
}

/// Whether a chain, leaf first and without the root, comes from the roots and is good now, as the server's of this name.
///
/// # Errors
/// [`TlsError`] says what does not fit.
pub(super) fn verify_server(
    roots: &[CertificateDer<'static>],
    chain: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    now: OffsetDateTime,
) -> Result<(), TlsError> {
    let (leaf, above) = parts(chain)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(root_store(roots)?), provider());
    let verifier = verifier.build().map_err(|error| TlsError::Certificate(error.to_string()))?;
    let verified = verifier.verify_server_cert(leaf, above, name, &[], unix(now));
    verified.map(|_| ()).map_err(|error| TlsError::Certificate(error.to_string()))
}

type Parts<'a, 'b> = (&'a CertificateDer<'b>, &'a [CertificateDer<'b>]);

fn parts<'a, 'b>(chain: &'a [CertificateDer<'b>]) -> Result<Parts<'a, 'b>, TlsError> {
    chain.split_first().ok_or(TlsError::Pem { what: "certificate" })
}

fn unix(now: OffsetDateTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.unix_timestamp()).unwrap_or(0)))
}

//! Roots that a server brings itself: the last certificate of the chain that it shows, where that one was named beforehand.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::config::{TlsError, alpn, provider};

/// Says of a certificate, in DER, whether it was named.
type Holds = dyn Fn(&[u8]) -> bool + Send + Sync;

/// Which certificates may be the root of the chain that they come with. How they are named, by a digest or whole, is the affair of
/// whoever makes it.
#[derive(Clone)]
pub struct PinnedRoots(Arc<Holds>);

impl PinnedRoots {
    /// Those of which this is true.
    pub fn new(holds: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }
}

impl fmt::Debug for PinnedRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinnedRoots")
    }
}

/// Judges a server's chain with its own last certificate as the one root, where that is pinned. All else is as ever: the host's name,
/// the times, what each certificate may be used for, and every signature up to that root.
#[derive(Debug)]
struct PinnedVerifier {
    roots: PinnedRoots,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // A server that shows its own certificate alone is its own root, if it has signed itself.
        let (top, between) = above.split_last().unwrap_or((leaf, &[]));
        if !(self.roots.0)(top) {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        let mut root = RootCertStore::empty();
        root.add(top.clone())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(root), Arc::clone(&self.provider));
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(leaf, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A client's configuration that trusts pinned roots alone, and shows no certificate.
///
/// # Errors
/// [`TlsError`] where the crypto library has not the usual versions of TLS.
pub fn pinned_config(roots: PinnedRoots) -> Result<ClientConfig, TlsError> {
    let verifier = PinnedVerifier { roots, provider: provider() };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Certificate(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = alpn();
    Ok(config)
}

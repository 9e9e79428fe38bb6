//! rustls configurations: one crypto library, TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use super::leaf::KeyedCertificate;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text does not hold what it should.
    #[error("found no readable {what} in the PEM text; give one that begins with a BEGIN line of that kind")]
    Pem {
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// A trusted root cannot be used as one.
    #[error("a trusted root certificate cannot be used: {0}")]
    Root(rustls::Error),
    /// Certificate and key do not fit, or no client verifier can be made.
    #[error("the certificate and its key cannot be used: {0}")]
    Certificate(String),
}

/// Whether a server asks its clients for certificates, and whom it then trusts. One that is shown and does not verify
/// ends the handshake, optional or not.
#[derive(Debug, Clone, Copy)]
pub enum ClientCertificates<'a> {
    /// Never asked for.
    NotAsked,
    /// Asked for; clients without one may still speak, as nobody.
    Optional(&'a [CertificateDer<'static>]),
    /// Nobody speaks without one.
    Required(&'a [CertificateDer<'static>]),
}

/// The one crypto provider: AWS-LC.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes it the process's default, for libraries that ask for none by name. Again is harmless.
pub fn install_provider() {
    // An error says that one is installed; there is no other in this build, `cargo deny` sees to that.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A server's configuration. One that asks for certificates resumes no session: each connection shows its own.
///
/// # Errors
/// [`TlsError`] when the certificate, its key or a root cannot be used.
pub fn server_config(
    certificate: &KeyedCertificate,
    clients: ClientCertificates<'_>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let fault = |error: &dyn std::fmt::Display| TlsError::Certificate(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?;
    let verifier = |roots: &[CertificateDer<'static>]| -> Result<_, TlsError> {
        Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(root_store(roots)?), provider()))
    };
    let builder = match clients {
        ClientCertificates::NotAsked => builder.with_no_client_auth(),
        ClientCertificates::Optional(roots) => builder.with_client_cert_verifier(
            verifier(roots)?.allow_unauthenticated().build().map_err(|error| fault(&error))?,
        ),
        ClientCertificates::Required(roots) => {
            builder.with_client_cert_verifier(verifier(roots)?.build().map_err(|error| fault(&error))?)
        }
    };
    let mut config =
        builder.with_single_cert(certificate.chain()?, certificate.key()?).map_err(|error| fault(&error))?;
    config.alpn_protocols = alpn();
    if !matches!(clients, ClientCertificates::NotAsked) {
        // A session that is resumed brings its client's chain along, at which nobody looks again, and begets the next one: a
        // certificate past its end would go on without end. A full handshake every ten minutes is next to nothing. Tickets of
        // TLS 1.2 rustls makes none without a ticketer.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// A client's configuration that trusts these roots alone, with its own certificate or none.
///
/// # Errors
/// As [`server_config`].
pub fn client_config(
    roots: &[CertificateDer<'static>],
    certificate: Option<&KeyedCertificate>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Certificate(error.to_string()))?
        .with_root_certificates(root_store(roots)?);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => builder
            .with_client_auth_cert(certificate.chain()?, certificate.key()?)
            .map_err(|error| TlsError::Certificate(error.to_string()))?,
    };
    config.alpn_protocols = alpn();
    Ok(config)
}

pub(super) fn root_store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(TlsError::Root)?;
    }
    Ok(store)
}

pub(super) fn alpn() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

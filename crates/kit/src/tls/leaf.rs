//! A certificate with its key, and the names that one may carry.

use std::fmt;
use std::net::IpAddr;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::config::TlsError;
use crate::secret::{ExposeSecret, SecretString};

/// Under which names a server may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// DNS names.
    pub dns: Vec<String>,
    /// Addresses, for those who connect by number.
    pub ip: Vec<IpAddr>,
}

impl Names {
    /// `localhost`, 127.0.0.1 and ::1.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            dns: vec!["localhost".to_owned()],
            ip: vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])],
        }
    }

    /// These and those others; each an address if it reads like one, else a DNS name.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = String>) -> Self {
        for name in others {
            match name.parse() {
                Ok(address) => self.ip.push(address),
                Err(_) => self.dns.push(name),
            }
        }
        self
    }
}

/// A certificate chain, leaf first, and the leaf's private key.
#[derive(Clone)]
pub struct KeyedCertificate {
    /// The chain in PEM, leaf first, without the root.
    pub chain_pem: String,
    /// The key in PEM (PKCS #8).
    pub key_pem: SecretString,
}

impl fmt::Debug for KeyedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCertificate").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

impl KeyedCertificate {
    /// The chain, leaf first.
    ///
    /// # Errors
    /// [`TlsError::Pem`] when the PEM holds no certificate or a broken one.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates_from_pem(&self.chain_pem)
    }

    /// The private key; rustls wipes it with its configuration.
    ///
    /// # Errors
    /// [`TlsError::Pem`] when the PEM holds no private key.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(self.key_pem.expose_secret().as_bytes())
            .map_err(|_| TlsError::Pem { what: "private key" })
    }
}

/// How one certificate is told from all others: the SHA-256 of its DER.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate.as_ref()).into()
}

/// Every certificate of a PEM text, at least one.
///
/// # Errors
/// [`TlsError::Pem`] when there is none, or one cannot be decoded.
pub fn certificates_from_pem(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = || TlsError::Pem { what: "certificate" };
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| fault())?;
    if certificates.is_empty() { Err(fault()) } else { Ok(certificates) }
}

//! A service's own certificate, key and root, as `lanyard pki issue` writes them.

use std::path::{Path, PathBuf};
use std::str;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::chain::ChainVerifier;
use super::config::TlsError;
use super::facts::CertificateFacts;
use super::files::{FileError, read_public_file, read_secret_file};
use super::identity::{PeerError, PeerIdentity};
use super::leaf::{KeyedCertificate, certificates_from_pem};
use crate::clock::moment_text;
use crate::secret::{ExposeSecret, SecretString};

/// The name of a service's certificate in its folder.
pub const CERTIFICATE_FILE: &str = "service.crt";
/// The name of its key.
pub const KEY_FILE: &str = "service.key";
/// The name of the hub's root certificate.
pub const ROOT_FILE: &str = "root.crt";

/// Where a service's certificate lies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceFiles {
    /// The folder that `lanyard pki issue` wrote; the files below may lie elsewhere.
    pub dir: PathBuf,
    /// The certificate and the chain below the root, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM, for the service's user alone.
    pub key: Option<PathBuf>,
    /// The hub's root, PEM.
    pub root: Option<PathBuf>,
}

/// A service's name and how it proves it.
#[derive(Debug, Clone)]
pub struct ServiceIdentity {
    /// The hub's id.
    pub hub: String,
    /// The service.
    pub service: String,
    /// The certificate with its key.
    pub certificate: KeyedCertificate,
    /// The hub's root.
    pub roots: Vec<CertificateDer<'static>>,
    /// The same, in PEM as it lies there.
    pub root_pem: String,
    /// Until when the certificate is good.
    pub not_after: OffsetDateTime,
}

impl ServiceIdentity {
    /// Whether certificate, key and root are the same.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let key = |identity: &Self| identity.certificate.key_pem.clone();
        self.certificate.chain_pem == other.certificate.chain_pem
            && key(self).expose_secret() == key(other).expose_secret()
            && self.roots == other.roots
    }
}

/// Why a service has no name.
#[derive(Debug, thiserror::Error)]
pub enum ServiceIdentityError {
    /// A file is not there, or may not be trusted.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file holds something else.
    #[error("`{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: TlsError,
    },
    /// The certificate names nobody.
    #[error("`{}`: {reason}", path.display())]
    Nobody {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: PeerError,
    },
    /// The certificate has ended, or not begun.
    #[error(
        "`{}` is good from {} to {}, and it is {}: renew it with `lanyard pki issue {service}`, or set this machine's clock right",
        path.display(), moment_text(not_before), moment_text(not_after), moment_text(now)
    )]
    NotNow {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        service: String,
        /// When it begins.
        not_before: OffsetDateTime,
        /// When it ends.
        not_after: OffsetDateTime,
        /// What time it is.
        now: OffsetDateTime,
    },
    /// The certificate does not come from the root beside it.
    #[error("`{}` does not come from the root `{}`: {reason}; take both from one `lanyard pki issue`", path.display(), root.display())]
    OtherRoot {
        /// The file.
        path: PathBuf,
        /// The root's file.
        root: PathBuf,
        /// What the verifier says.
        reason: TlsError,
    },
    /// The certificate is another's.
    #[error(
        "`{}` is the certificate of `{found}`, and this is {service}: give it its own, made by `lanyard pki issue {service}`",
        path.display()
    )]
    Another {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        service: String,
    },
}

impl ServiceFiles {
    /// Reads the files of a service: its certificate has to be good now, and to come from the root.
    ///
    /// # Errors
    /// [`ServiceIdentityError`] names the file, the rule it breaks and the next step.
    pub fn load(&self, service: &str, now: OffsetDateTime) -> Result<ServiceIdentity, ServiceIdentityError> {
        let path = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| self.dir.join(name));
        let certificate_path = path(&self.certificate, CERTIFICATE_FILE);
        let (key_path, root_path) = (path(&self.key, KEY_FILE), path(&self.root, ROOT_FILE));
        let key = read_secret_file(&key_path)?;
        let key_pem = str::from_utf8(key.expose_secret()).map_err(|_| content(&key_path, "private key"))?;
        let certificate = KeyedCertificate {
            chain_pem: read_public_file(&certificate_path)?,
            key_pem: SecretString::from(key_pem),
        };
        let chain = certificate.chain().map_err(|_| content(&certificate_path, "certificate"))?;
        certificate.key().map_err(|_| content(&key_path, "private key"))?;
        let root_pem = read_public_file(&root_path)?;
        let roots = certificates_from_pem(&root_pem).map_err(|_| content(&root_path, "certificate"))?;
        let found = PeerIdentity::from_chain(&chain)
            .map_err(|reason| ServiceIdentityError::Nobody { path: certificate_path.clone(), reason })?;
        let hub = match found {
            PeerIdentity::Service { hub, name } if name == service => hub,
            other => {
                return Err(ServiceIdentityError::Another {
                    path: certificate_path,
                    found: other.to_string(),
                    service: service.to_owned(),
                });
            }
        };
        let facts = chain.first().and_then(|leaf| CertificateFacts::of(leaf).ok());
        let CertificateFacts { not_before, not_after, .. } =
            facts.ok_or_else(|| content(&certificate_path, "certificate"))?;
        let service = service.to_owned();
        if now < not_before || now > not_after {
            let path = certificate_path;
            return Err(ServiceIdentityError::NotNow { path, service, not_before, not_after, now });
        }
        ChainVerifier::new(&roots).and_then(|verifier| verifier.verify(&chain, now)).map_err(|reason| {
            ServiceIdentityError::OtherRoot { path: certificate_path, root: root_path, reason }
        })?;
        Ok(ServiceIdentity { hub, service, certificate, roots, root_pem, not_after })
    }
}

fn content(path: &Path, what: &'static str) -> ServiceIdentityError {
    ServiceIdentityError::Content { path: path.to_owned(), reason: TlsError::Pem { what } }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::secret::SecretBytes;
    use crate::tls::{Authority, Names, write_public_file, write_secret_file};

    fn folder(service: &str) -> (tempfile::TempDir, ServiceFiles) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let now = OffsetDateTime::now_utc();
        let authority = Authority::create(&folder.path().join("pki"), "hub-1", now).unwrap();
        let issued = authority.issue_service(service, &Names::loopback(), Duration::DAY, now).unwrap();
        let file = |name: &str| folder.path().join(name);
        write_public_file(&file(CERTIFICATE_FILE), issued.chain_pem.as_bytes()).unwrap();
        let key = issued.key_pem.expose_secret().as_bytes().to_vec();
        write_secret_file(&file(KEY_FILE), &SecretBytes::from(key)).unwrap();
        write_public_file(&file(ROOT_FILE), authority.root_pem().as_bytes()).unwrap();
        let files = ServiceFiles { dir: folder.path().to_owned(), ..ServiceFiles::default() };
        (folder, files)
    }

    #[test]
    fn a_service_has_the_name_in_its_certificate_and_no_other() {
        let (_folder, files) = folder("authn");
        let identity = files.load("authn", OffsetDateTime::now_utc()).unwrap();
        assert_eq!((identity.hub.as_str(), identity.service.as_str()), ("hub-1", "authn"));
        let error = files.load("authz", OffsetDateTime::now_utc()).unwrap_err().to_string();
        assert!(
            error.contains("lanyard://hub/hub-1/service/authn") && error.contains("issue authz"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_named() {
        for (name, text) in [(CERTIFICATE_FILE, "x"), (KEY_FILE, "x"), (ROOT_FILE, "x")] {
            let (folder, files) = folder("authn");
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let error = files.load("authn", OffsetDateTime::now_utc()).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
            fs::remove_file(&path).unwrap();
            let error = files.load("authn", OffsetDateTime::now_utc()).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn a_certificate_that_has_ended_or_not_begun_is_refused_by_its_own_name() {
        let (_folder, files) = folder("authn");
        let now = OffsetDateTime::now_utc();
        for other in [now + Duration::days(2), now - Duration::days(1)] {
            let error = files.load("authn", other).unwrap_err();
            assert!(matches!(error, ServiceIdentityError::NotNow { .. }), "{error}");
            assert!(error.to_string().contains("lanyard pki issue authn"), "{error}");
        }
    }

    #[test]
    fn a_certificate_needs_the_root_that_it_comes_from() {
        let ((folder, files), (other, _)) = (folder("authn"), folder("authn"));
        fs::copy(other.path().join(ROOT_FILE), folder.path().join(ROOT_FILE)).unwrap();
        let error = files.load("authn", OffsetDateTime::now_utc()).unwrap_err();
        assert!(matches!(error, ServiceIdentityError::OtherRoot { .. }), "{error}");
    }
}

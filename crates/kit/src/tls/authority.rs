//! The embedded certificate authority: one root, and an issuing key each for services, spokes and principals.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::config::TlsError;
use super::facts::CertificateFacts;
use super::files::{FileError, read_secret_file, secure_dir, write_public_file, write_secret_file};
use super::identity::{PeerError, PeerIdentity, is_segment, issuer_name};
use super::leaf::{KeyedCertificate, Names, certificates_from_pem};
use crate::secret::{ExposeSecret, SecretBytes, SecretString};

/// The root outlives any hub's hardware; a new one means new configurations at every API server.
const ROOT_LIFETIME: Duration = Duration::days(20 * 365);
/// The issuing keys are renewed under the same root.
const ISSUING_LIFETIME: Duration = Duration::days(10 * 365);
/// Clocks differ: a certificate is good from a little before it was made.
pub(super) const BACKDATE: Duration = Duration::minutes(5);
/// The longest that a principal's certificate is good: nobody keeps a list of them, so a lost one ends by itself.
pub const PRINCIPAL_LIFETIME_MAX: Duration = Duration::days(90);

/// What is issued to whom, by the name of the issuing key, and what its certificates may be used for.
const ISSUING: [(&str, Use); 3] =
    [("services", Use::Both), ("spokes", Use::Client), (PRINCIPALS, Use::Client)];
/// The issuing key of principals.
const PRINCIPALS: &str = "principals";

/// Why there is no authority, or no certificate from it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file or folder is not there or may not be trusted.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the authority does not hold what it should.
    #[error("`{}` cannot be read as {what}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// There already is an authority.
    #[error("`{}` holds an authority already; load it, or choose another folder", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The name cannot stand in a certificate.
    #[error("`{0}` cannot stand in a certificate; use letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// It would be good for too long.
    #[error("a principal's certificate is good for at most {} days; issue it for less, and again", PRINCIPAL_LIFETIME_MAX.whole_days())]
    Lifetime,
    /// The identity belongs to another hub.
    #[error("`{identity}` is not of hub `{hub}`; its own hub must issue it")]
    OtherHub {
        /// The identity asked for.
        identity: String,
        /// The hub of this authority.
        hub: String,
    },
    /// The identity has no proper form.
    #[error(transparent)]
    Identity(#[from] PeerError),
    /// The crypto library refused.
    #[error("cannot make a certificate: {0}")]
    Crypto(#[from] rcgen::Error),
    /// What was made cannot be read back.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The authority of one hub, with the issuing keys of services and spokes in memory. The root's key stays on disk, and that of
/// principals until one is issued.
pub struct Authority {
    hub: String,
    dir: PathBuf,
    root_pem: String,
    root_path: PathBuf,
    services: IssuingKey,
    spokes: IssuingKey,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("hub", &self.hub).finish_non_exhaustive()
    }
}

struct IssuingKey {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Server,
    Client,
    Both,
}

impl Use {
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Self::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Self::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Self::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

impl Authority {
    /// Makes the root and the issuing keys, and writes them into `dir` (made if it is not there).
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] when one is there; otherwise when a file cannot be written.
    pub fn create(dir: &Path, hub: &str, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        if !is_segment(hub) {
            return Err(AuthorityError::Name(hub.to_owned()));
        }
        secure_dir(dir)?;
        if dir.join("root.crt").exists() || dir.join("root.key").exists() {
            return Err(AuthorityError::Exists { path: dir.to_owned() });
        }
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let params = authority_params("root", hub, now, ROOT_LIFETIME, None);
        let root_pem = params.self_signed(&root_key)?.pem();
        let root = Issuer::new(params, root_key);
        for (which, purpose) in ISSUING {
            make_issuing(dir, which, purpose, hub, &root, now)?;
        }
        // Last, and the certificate after its key: whoever finds it finds a whole authority.
        write_pair(dir, "root", &root_pem, root.key())?;
        Self::load(dir, hub)
    }

    /// Loads what [`Self::create`] wrote.
    ///
    /// # Errors
    /// [`AuthorityError`] when a file is missing, damaged, readable by others, or of another hub.
    pub fn load(dir: &Path, hub: &str) -> Result<Self, AuthorityError> {
        secure_dir(dir)?;
        let root_path = dir.join("root.crt");
        let root_pem = read_text(&root_path)?;
        certificates_from_pem(&root_pem)
            .map_err(|_| AuthorityError::Damaged { path: root_path.clone(), what: "a certificate" })?;
        let (services, spokes) =
            (IssuingKey::load(dir, "services", hub)?, IssuingKey::load(dir, "spokes", hub)?);
        Ok(Self { hub: hub.to_owned(), dir: dir.to_owned(), root_pem, root_path, services, spokes })
    }

    /// Loads the authority, or makes it on first start.
    ///
    /// # Errors
    /// As [`Self::load`] and [`Self::create`].
    pub fn load_or_create(dir: &Path, hub: &str, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        secure_dir(dir)?;
        if dir.join("root.crt").exists() { Self::load(dir, hub) } else { Self::create(dir, hub, now) }
    }

    /// Makes an issuing key anew under the same root: `services`, `spokes` or `principals`. Certificates of the one before go on,
    /// for each brings its chain along; whoever follows the folder issues with the new one.
    ///
    /// # Errors
    /// As [`Self::load`]; [`AuthorityError::Name`] for an issuing key that there is not.
    pub fn renew_issuing(
        dir: &Path,
        hub: &str,
        which: &str,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        secure_dir(dir)?;
        let known = ISSUING.into_iter().find(|(name, _)| *name == which);
        let (which, purpose) = known.ok_or_else(|| AuthorityError::Name(which.to_owned()))?;
        let root = IssuingKey::load(dir, "root", hub)?;
        make_issuing(dir, which, purpose, hub, &root.issuer, now)
    }

    /// The hub whose authority lies in a folder, as its root says.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn hub_in(dir: &Path) -> Result<String, AuthorityError> {
        let path = dir.join("root.crt");
        let roots = certificates_from_pem(&read_text(&path)?).ok();
        let root = roots.as_deref().and_then(<[_]>::first).and_then(|root| CertificateFacts::of(root).ok());
        let hub =
            root.and_then(|root| root.subject.strip_prefix(&issuer_name("root", "")).map(str::to_owned));
        hub.ok_or(AuthorityError::Damaged { path, what: "the root of a hub" })
    }

    /// The hub whose authority it is.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// The folder that it lies in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether servers have the same certificates above them as with the other.
    pub(super) fn serves_as(&self, other: &Self) -> bool {
        (&self.root_pem, &self.services.certificate_pem) == (&other.root_pem, &other.services.certificate_pem)
    }

    /// The root certificate in PEM: what clients are told to trust.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The file that holds it.
    #[must_use]
    pub fn root_path(&self) -> &Path {
        &self.root_path
    }

    /// The root certificate, to trust.
    ///
    /// # Errors
    /// [`TlsError::Pem`], which [`Self::load`] has ruled out.
    pub fn roots(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates_from_pem(&self.root_pem)
    }

    /// A certificate for a listener, under these names, for nothing but being a server.
    ///
    /// # Errors
    /// [`AuthorityError::Name`] for a name that cannot stand in a certificate.
    pub fn issue_server(
        &self,
        names: &Names,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<KeyedCertificate, AuthorityError> {
        let names = server_names(names)?;
        let common_name = match names.first() {
            Some(SanType::DnsName(name)) => name.as_str().to_owned(),
            _ => "lanyard".to_owned(),
        };
        self.services.issue(&common_name, names, Use::Server, lifetime, now)
    }

    /// A certificate for one of the hub's services, as server under these names and as client.
    ///
    /// # Errors
    /// [`AuthorityError::Name`] or [`AuthorityError::Identity`] for names that cannot stand in a certificate.
    pub fn issue_service(
        &self,
        service: &str,
        names: &Names,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<KeyedCertificate, AuthorityError> {
        let identity = PeerIdentity::service(&self.hub, service)?;
        let mut sans = server_names(names)?;
        sans.push(uri(&identity)?);
        self.services.issue(service, sans, Use::Both, lifetime, now)
    }

    /// A client certificate for one spoke cluster, such as its API server shows to the webhooks.
    ///
    /// # Errors
    /// [`AuthorityError::Identity`] for a uid that cannot stand in a certificate.
    pub fn issue_spoke(
        &self,
        cluster_uid: &str,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<KeyedCertificate, AuthorityError> {
        let identity = PeerIdentity::spoke(&self.hub, cluster_uid)?;
        self.spokes.issue(cluster_uid, vec![uri(&identity)?], Use::Client, lifetime, now)
    }

    /// A client certificate for one principal, by its authority, account and unique id. Whether there is such a principal is
    /// for others to know.
    ///
    /// # Errors
    /// [`AuthorityError::Lifetime`] beyond [`PRINCIPAL_LIFETIME_MAX`]; [`AuthorityError::Identity`] for names that cannot stand
    /// in a certificate; otherwise when the issuing key cannot be read, or made where there is none yet.
    pub fn issue_principal(
        &self,
        authority: &str,
        account: &str,
        principal_id: &str,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<KeyedCertificate, AuthorityError> {
        if lifetime > PRINCIPAL_LIFETIME_MAX {
            return Err(AuthorityError::Lifetime);
        }
        let identity = PeerIdentity::principal(&self.hub, authority, account, principal_id)?;
        let issuing = self.principals(now)?;
        issuing.issue(principal_id, vec![uri(&identity)?], Use::Client, lifetime, now)
    }

    /// The issuing key of principals; made where the authority is older than they are.
    fn principals(&self, now: OffsetDateTime) -> Result<IssuingKey, AuthorityError> {
        if !self.dir.join(format!("{PRINCIPALS}.crt")).exists() {
            let root = IssuingKey::load(&self.dir, "root", &self.hub)?;
            make_issuing(&self.dir, PRINCIPALS, Use::Client, &self.hub, &root.issuer, now)?;
        }
        IssuingKey::load(&self.dir, PRINCIPALS, &self.hub)
    }
}

/// Makes an issuing key under the root, and writes it.
fn make_issuing(
    dir: &Path,
    which: &str,
    purpose: Use,
    hub: &str,
    root: &Issuer<'_, KeyPair>,
    now: OffsetDateTime,
) -> Result<(), AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let params = authority_params(which, hub, now, ISSUING_LIFETIME, Some(purpose));
    write_pair(dir, which, &params.signed_by(&key, root)?.pem(), &key)
}

impl IssuingKey {
    fn load(dir: &Path, which: &str, hub: &str) -> Result<Self, AuthorityError> {
        let (certificate_path, key_path) =
            (dir.join(format!("{which}.crt")), dir.join(format!("{which}.key")));
        let certificate_pem = read_text(&certificate_path)?;
        let damaged = |path: &Path, what| AuthorityError::Damaged { path: path.to_owned(), what };
        let key_pem = read_secret_file(&key_path)?;
        let key = std::str::from_utf8(key_pem.expose_secret())
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(|| damaged(&key_path, "a private key"))?;
        let der = certificates_from_pem(&certificate_pem)
            .map_err(|_| damaged(&certificate_path, "a certificate"))?;
        let first = der.first().ok_or_else(|| damaged(&certificate_path, "a certificate"))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(first)
            .map_err(|_| damaged(&certificate_path, "a certificate"))?;
        let name =
            parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or("");
        if name != issuer_name(which, hub) {
            return Err(AuthorityError::OtherHub { identity: name.to_owned(), hub: hub.to_owned() });
        }
        if parsed.public_key().subject_public_key.data.as_ref() != rcgen::PublicKeyData::der_bytes(&key) {
            return Err(damaged(&key_path, "the private key of the certificate beside it"));
        }
        let issuer = Issuer::from_ca_cert_der(first, key)?;
        Ok(Self { certificate_pem, issuer })
    }

    fn issue(
        &self,
        common_name: &str,
        names: Vec<SanType>,
        purpose: Use,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> Result<KeyedCertificate, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(common_name);
        params.not_before = now - BACKDATE;
        params.not_after = now + lifetime;
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purpose.purposes();
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer)?.pem();
        Ok(KeyedCertificate {
            chain_pem: format!("{leaf}{}", self.certificate_pem),
            key_pem: SecretString::from(key.serialize_pem()),
        })
    }
}

/// `purpose` limits what an issuing key may issue; the root has none of its own and issues issuing keys alone.
fn authority_params(
    which: &str,
    hub: &str,
    now: OffsetDateTime,
    lifetime: Duration,
    purpose: Option<Use>,
) -> CertificateParams {
    let below = u8::from(purpose.is_none());
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(&issuer_name(which, hub));
    params.not_before = now - BACKDATE;
    params.not_after = now + lifetime;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = purpose.map(Use::purposes).unwrap_or_default();
    params.use_authority_key_identifier_extension = purpose.is_some();
    params
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn server_names(names: &Names) -> Result<Vec<SanType>, AuthorityError> {
    let dns = names.dns.iter().map(|name| {
        let refused = || AuthorityError::Name(name.clone());
        // A wildcard is a DNS name too, as far as certificates go.
        let plain = is_segment(name.strip_prefix("*.").unwrap_or(name));
        let name = name.as_str().try_into().map_err(|_| refused())?;
        if plain { Ok(SanType::DnsName(name)) } else { Err(refused()) }
    });
    dns.chain(names.ip.iter().map(|address| Ok(SanType::IpAddress(*address)))).collect()
}

fn uri(identity: &PeerIdentity) -> Result<SanType, AuthorityError> {
    let text = identity.to_string();
    Ok(SanType::URI(text.as_str().try_into().map_err(|_| AuthorityError::Name(text.clone()))?))
}

fn write_pair(dir: &Path, which: &str, certificate_pem: &str, key: &KeyPair) -> Result<(), AuthorityError> {
    write_secret_file(
        &dir.join(format!("{which}.key")),
        &SecretBytes::from(key.serialize_pem().into_bytes()),
    )?;
    write_public_file(&dir.join(format!("{which}.crt")), certificate_pem.as_bytes())?;
    Ok(())
}

fn read_text(path: &Path) -> Result<String, AuthorityError> {
    std::fs::read_to_string(path)
        .map_err(|source| FileError::Io { action: "read", path: path.to_owned(), source }.into())
}

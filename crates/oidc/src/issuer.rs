//! An issuer as it is configured.

use std::time::Duration;

use lanyard_kit::http_client::{self, AddressRules, TestInternet};
use lanyard_kit::tls::{CertificateDer, certificates_from_pem};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::algorithm::{Algorithm, Algorithms};
use crate::jwks::JWKS_BYTES_MAX;
use crate::thumbprint::{self, Thumbprint};

/// Longest issuer URL, in bytes.
pub const ISSUER_BYTES_MAX: usize = 1024;

/// What is configured about one issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerOptions {
    /// The issuer, exactly as its tokens write it in `iss`.
    pub issuer_url: String,
    /// What it may sign with; everything that is known, by default.
    #[serde(default = "every_algorithm")]
    pub algorithms: Vec<Algorithm>,
    /// Certificates in PEM that are trusted in place of the system's authorities.
    #[serde(default)]
    pub ca_bundle_pem: Option<String>,
    /// SHA-1 of certificates, in hex (IAM: "Obtain the thumbprint for an OpenID Connect identity provider"). Where the system's
    /// authorities do not vouch for a host, the last certificate of the chain that it shows is its root, if it has one of these. They
    /// do not count beside a CA bundle.
    #[serde(default)]
    pub thumbprints: Vec<String>,
    /// Hosts, exactly named, that may have addresses which are not public: the issuer's, and that of its keys if it is
    /// another.
    #[serde(default)]
    pub private_hosts: Vec<String>,
    /// Times.
    #[serde(default)]
    pub keys: KeyOptions,
    /// In place of DNS, in tests.
    #[serde(skip)]
    pub internet: Option<TestInternet>,
}

/// How long keys are kept, and how often their issuer is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyOptions {
    /// One request, from the first step of connecting to the last byte.
    pub timeout_milliseconds: u64,
    /// Keys are good for at least this long, whatever the issuer's `Cache-Control` says.
    pub lifetime_seconds_min: u32,
    /// And for at most this long: so long may a key that the issuer has withdrawn still count.
    pub lifetime_seconds_max: u32,
    /// Where it says nothing.
    pub lifetime_seconds: u32,
    /// While the issuer does not answer, keys count for so much longer; then its tokens have no answer.
    pub stale_seconds_max: u32,
    /// The issuer is asked at most once in this time, whatever tokens come in.
    pub refetch_seconds_min: u32,
    /// A key that the issuer did not have is not asked for again for so long.
    pub absent_key_seconds: u32,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self {
            timeout_milliseconds: 5_000,
            lifetime_seconds_min: 5 * 60,
            lifetime_seconds_max: 24 * 3600,
            lifetime_seconds: 3600,
            stale_seconds_max: 24 * 3600,
            refetch_seconds_min: 10,
            absent_key_seconds: 60,
        }
    }
}

fn every_algorithm() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

impl IssuerOptions {
    /// An issuer in the public internet, with every algorithm and the usual times.
    #[must_use]
    pub fn new(issuer_url: &str) -> Self {
        Self {
            issuer_url: issuer_url.to_owned(),
            algorithms: every_algorithm(),
            ca_bundle_pem: None,
            thumbprints: Vec::new(),
            private_hosts: Vec::new(),
            keys: KeyOptions::default(),
            internet: None,
        }
    }
}

/// Why an issuer cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The URL breaks a rule.
    #[error("the issuer URL {0}")]
    Url(&'static str),
    /// No algorithm is allowed, so no token would be good.
    #[error("the issuer has no algorithms, name at least one or leave them out")]
    NoAlgorithms,
    /// The bundle is none.
    #[error("the CA bundle has no certificate in PEM, or a broken one")]
    CaBundle,
    /// No certificate has such a thumbprint.
    #[error("`{0}` is no thumbprint, write the 40 hex digits of a certificate's SHA-1")]
    Thumbprint(String),
    /// A private host that could never be called.
    #[error("`{0}` is not a host, write a name or an address without scheme, port or path")]
    PrivateHost(String),
    /// Times that contradict one another.
    #[error("the times of the issuer's keys: {0}")]
    Times(&'static str),
    /// No HTTP client can be made of it.
    #[error("the issuer cannot be asked: {0}")]
    Client(String),
}

/// A configured issuer whose parts are in order.
#[derive(Clone, Debug)]
pub struct Issuer {
    url: String,
    discovery_url: Url,
    algorithms: Algorithms,
    roots: Vec<CertificateDer<'static>>,
    thumbprints: Vec<Thumbprint>,
    addresses: AddressRules,
    keys: KeyOptions,
    internet: Option<TestInternet>,
}

impl Issuer {
    /// Judges a configuration.
    ///
    /// # Errors
    /// [`IssuerError`] names the part and the rule.
    pub fn new(options: IssuerOptions) -> Result<Self, IssuerError> {
        let IssuerOptions {
            issuer_url,
            algorithms,
            ca_bundle_pem,
            thumbprints,
            private_hosts,
            keys,
            internet,
        } = options;
        let discovery_url = discovery_url(&issuer_url)?;
        let algorithms: Algorithms = algorithms.into_iter().collect();
        if algorithms.is_empty() {
            return Err(IssuerError::NoAlgorithms);
        }
        let roots = match ca_bundle_pem {
            None => Vec::new(),
            Some(pem) => certificates_from_pem(&pem).map_err(|_| IssuerError::CaBundle)?,
        };
        let thumbprints = match roots.is_empty() {
            true => thumbprints.iter().map(|text| Thumbprint::parse(text)).collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        let mut addresses = AddressRules::public_only();
        for host in private_hosts {
            addresses = addresses.allow_private(&host_of(&host)?);
        }
        judge_times(&keys)?;
        Ok(Self { url: issuer_url, discovery_url, algorithms, roots, thumbprints, addresses, keys, internet })
    }

    /// The issuer as its tokens write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// What it may sign with.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// Where its configuration lies (OpenID Connect Discovery section 4).
    #[must_use]
    pub fn discovery_url(&self) -> &Url {
        &self.discovery_url
    }

    pub(crate) fn keys(&self) -> &KeyOptions {
        &self.keys
    }

    /// How it is called: by these rules alone, whatever its documents say.
    #[must_use]
    pub fn http_options(&self) -> http_client::Options {
        http_client::Options {
            timeout: Duration::from_millis(self.keys.timeout_milliseconds),
            body_bytes_max: JWKS_BYTES_MAX,
            addresses: self.addresses.clone(),
            internet: self.internet.clone(),
            roots: self.roots.clone(),
            pinned_roots: thumbprint::pinned(&self.thumbprints),
            ..http_client::Options::default()
        }
    }
}

/// An https URL without query and fragment (OpenID Connect Core section 2, `iss`), nor a user; a slash at its end is left
/// away before the path of the configuration (OpenID Connect Discovery section 4).
fn discovery_url(issuer: &str) -> Result<Url, IssuerError> {
    let refused = |rule| Err(IssuerError::Url(rule));
    if issuer.len() > ISSUER_BYTES_MAX {
        return refused("is longer than 1024 bytes");
    }
    // What a URL parser would drop or turn around has no place in something that is compared byte for byte.
    if !issuer.bytes().all(|byte| byte.is_ascii_graphic()) || issuer.contains('\\') {
        return refused("has blanks, backslashes or characters beyond ASCII");
    }
    if !issuer.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        return refused("has to begin with https://");
    }
    if issuer.contains('?') {
        return refused("must not have a query");
    }
    if issuer.contains('#') {
        return refused("must not have a fragment");
    }
    let path = issuer.strip_suffix('/').unwrap_or(issuer);
    let Ok(url) = Url::parse(&format!("{path}/.well-known/openid-configuration")) else {
        return refused("is not a URL");
    };
    // Also `https://@host`, which has an empty one.
    let authority = path.get(8..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if authority.is_empty() {
        return refused("has no host");
    }
    if authority.contains('@') {
        return refused("must not name a user");
    }
    Ok(url)
}

/// A host in the spelling that URLs have for it.
fn host_of(host: &str) -> Result<String, IssuerError> {
    let refused = || IssuerError::PrivateHost(crate::shown::shown(host));
    let url = Url::parse(&format!("https://{host}/")).map_err(|_| refused())?;
    let plain = url.path() == "/" && url.port().is_none() && url.username().is_empty();
    let spelled = url.host_str().unwrap_or_default();
    if plain && spelled.eq_ignore_ascii_case(host) { Ok(spelled.to_owned()) } else { Err(refused()) }
}

fn judge_times(keys: &KeyOptions) -> Result<(), IssuerError> {
    let refused = |rule| Err(IssuerError::Times(rule));
    if keys.timeout_milliseconds == 0 {
        return refused("timeout_milliseconds has to be at least 1");
    }
    if keys.refetch_seconds_min == 0 {
        return refused(
            "refetch_seconds_min has to be at least 1, or tokens decide how often the issuer is asked",
        );
    }
    if keys.lifetime_seconds_min < keys.refetch_seconds_min {
        return refused("lifetime_seconds_min has to be at least refetch_seconds_min");
    }
    if !(keys.lifetime_seconds_min..=keys.lifetime_seconds_max).contains(&keys.lifetime_seconds) {
        return refused("lifetime_seconds has to be between its minimum and its maximum");
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! What authn can be told.

use std::{path::PathBuf, time::Duration};

use lanyard_aws::StsOptions;
use lanyard_iam::{Region, StsAuthority, StsAuthorityError};
use lanyard_kit::http_client::{AddressRules, Options};
use lanyard_kit::tls::CertificateDer;
pub use lanyard_oidc::OidcConfig;
use lanyard_oidc::{Issuer, IssuerError};
use serde::{Deserialize, Serialize};

use crate::ca_file;
use crate::cache::{InvalidRedis, RedisConfig};

/// Everything that authn can be told; each part by its own name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthnConfig {
    /// The token cache.
    pub token_cache: TokenCacheConfig,
    /// Calls to STS.
    pub sts: StsOptions,
    /// STS of one's own, each the authority `sts:<name>`.
    pub self_hosted_sts: Vec<SelfHostedSts>,
    /// How much of what an account may have.
    pub limits: AccountLimits,
    /// Snapshots in memory.
    pub snapshots: SnapshotConfig,
    /// Calls to OIDC issuers.
    pub oidc: OidcConfig,
}

/// How long and how many answers of STS are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenCacheConfig {
    /// The most that an identity is kept; never longer than its signature lives. So long a key that was deactivated at AWS
    /// can still open a cluster.
    pub lifetime_seconds: u32,
    /// How long a definite refusal by STS is kept, for that very token.
    pub refusal_seconds: u32,
    /// Answers kept, about 1 KiB each.
    pub entries_max: u64,
    /// The second level, which replicas share. Without one each has its own answers alone.
    pub redis: Option<RedisConfig>,
}

impl TokenCacheConfig {
    /// The longest lifetime that may be set: a token's own.
    pub const LIFETIME_SECONDS_MAX: u32 = 900;
    /// The longest that a refusal may be kept: long enough to take repeats, too short to outlive a repair.
    pub const REFUSAL_SECONDS_MAX: u32 = 60;
}

impl Default for TokenCacheConfig {
    fn default() -> Self {
        Self { lifetime_seconds: 60, refusal_seconds: 10, entries_max: 50_000, redis: None }
    }
}

/// An STS that is not AWS's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfHostedSts {
    /// Its name: `lab` is the authority `sts:lab`.
    pub name: String,
    /// The host that its clients sign for, with a port where it is not 443.
    pub host: String,
    /// The region of their credential scope.
    pub region: String,
    /// It may have a private address.
    #[serde(default)]
    pub private_address: bool,
    /// A PEM file with the authorities that its certificate is verified by: these alone, and at its host alone. Without one
    /// those of the system count.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// How much an account may have; AWS's quotas by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountLimits {
    /// Accounts of the hub.
    pub accounts_max: u64,
    /// Users of an account.
    pub users_max: u64,
    /// Roles of an account.
    pub roles_max: u64,
    /// Instance profiles of one account.
    pub instance_profiles_max: u64,
    /// OIDC providers of one account.
    pub oidc_providers_max: u64,
    /// Access keys of a user.
    pub keys_per_user_max: u64,
    /// Inline policies of a user or role.
    pub policies_per_owner_max: u64,
    /// All inline policies of a user together, blanks not counted, in characters.
    pub user_policy_chars_max: u64,
    /// All inline policies of a role together, blanks not counted, in characters.
    pub role_policy_chars_max: u64,
    /// Tags of a user or role.
    pub tags_max: u64,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            accounts_max: 10_000,
            users_max: 5_000,
            roles_max: 1_000,
            instance_profiles_max: 1_000,
            oidc_providers_max: 100,
            keys_per_user_max: 2,
            policies_per_owner_max: 50,
            user_policy_chars_max: 2_048,
            role_policy_chars_max: 10_240,
            tags_max: 50,
        }
    }
}

/// How many scopes are kept compiled; those used last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Accounts.
    pub accounts_max: usize,
    /// Clusters.
    pub clusters_max: usize,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self { accounts_max: 1_000, clusters_max: 10_000 }
    }
}

/// A value that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number out of range.
    #[error("authn.{key}: `{value}` is out of range, use {rule}")]
    Range {
        /// The key below `authn`.
        key: &'static str,
        /// What was given.
        value: u64,
        /// The range.
        rule: &'static str,
    },
    /// A self-hosted STS without a usable name.
    #[error(
        "authn.self_hosted_sts: `{0}` is not a name, use 1 to 63 lower-case letters, digits and `-`, each once"
    )]
    StsName(String),
    /// A self-hosted STS without a usable region.
    #[error("authn.self_hosted_sts: `{0}` is not a region name")]
    StsRegion(String),
    /// A self-hosted STS at a host that it cannot have.
    #[error("authn.self_hosted_sts: {0}")]
    StsHost(#[from] StsAuthorityError),
    /// Two at one host.
    #[error("authn.self_hosted_sts: `{0}` is given twice, a host belongs to one STS")]
    StsHostTwice(String),
    /// A file of authorities that cannot be used.
    #[error(
        "authn.self_hosted_sts.ca_file: `{}` of `{name}` {reason}; give a PEM file with the certificate of the authority \
         that signed the one of this STS, or leave the key out where that is one of the system's",
        path.display()
    )]
    StsCaFile {
        /// The STS.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A host or a time that no issuer can be called with.
    #[error("authn.oidc: {0}")]
    Oidc(#[from] IssuerError),
    /// A Redis that cannot be used as it is given.
    #[error(transparent)]
    Redis(#[from] InvalidRedis),
}

impl AuthnConfig {
    /// Judges what types cannot, and answers the self-hosted STS as verifiers know them.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and the rule.
    pub fn validate(&self) -> Result<Vec<StsAuthority>, ConfigError> {
        Issuer::new(self.oidc.issuer("https://issuer.invalid", None))?;
        let ranges = [
            (
                "token_cache.lifetime_seconds",
                self.token_cache.lifetime_seconds,
                TokenCacheConfig::LIFETIME_SECONDS_MAX,
                "0 to 900",
            ),
            (
                "token_cache.refusal_seconds",
                self.token_cache.refusal_seconds,
                TokenCacheConfig::REFUSAL_SECONDS_MAX,
                "0 to 60",
            ),
        ];
        for (key, value, max, rule) in ranges {
            if value > max {
                return Err(ConfigError::Range { key, value: value.into(), rule });
            }
        }
        if let Some(redis) = &self.token_cache.redis {
            redis.validate()?;
        }
        let mut known: Vec<StsAuthority> = Vec::with_capacity(self.self_hosted_sts.len());
        for sts in &self.self_hosted_sts {
            let authority = sts.authority()?;
            if known.iter().any(|other| other.name() == authority.name()) {
                return Err(ConfigError::StsName(sts.name.clone()));
            }
            if known.iter().any(|other| other.host() == authority.host()) {
                return Err(ConfigError::StsHostTwice(sts.host.clone()));
            }
            known.push(authority);
        }
        Ok(known)
    }
}

impl AuthnConfig {
    /// How STS is called: of all private addresses, those of the self-hosted STS that may have one are allowed; and a
    /// self-hosted STS with a CA file is verified by that alone.
    ///
    /// # Errors
    /// [`ConfigError::StsCaFile`] for a file that cannot be used.
    pub fn sts_http_options(&self) -> Result<Options, ConfigError> {
        let hosts = self.self_hosted_sts.iter().filter(|sts| sts.private_address);
        let addresses =
            hosts.fold(AddressRules::public_only(), |rules, sts| rules.allow_private(sts.bare_host()));
        let mut options = Options { addresses, ..Options::default() };
        for sts in &self.self_hosted_sts {
            if let Some(roots) = sts.roots()? {
                options.roots_of_hosts.insert(sts.host.clone(), roots);
            }
        }
        Ok(options)
    }
}

impl SelfHostedSts {
    fn authority(&self) -> Result<StsAuthority, ConfigError> {
        let parsed = format!("sts:{}", self.name).parse::<lanyard_api::Authority>();
        parsed.map_err(|_| ConfigError::StsName(self.name.clone()))?;
        let region = Region::parse(&self.region).map_err(|_| ConfigError::StsRegion(self.region.clone()))?;
        Ok(StsAuthority::new(&self.name, &self.host, region)?)
    }

    /// The host without its port.
    fn bare_host(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        }
    }

    /// The authorities of its CA file, if it has one.
    fn roots(&self) -> Result<Option<Vec<CertificateDer<'static>>>, ConfigError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let fault = |reason| ConfigError::StsCaFile { name: self.name.clone(), path: path.clone(), reason };
        ca_file::read(path).map(|(roots, _)| Some(roots)).map_err(fault)
    }
}

impl TokenCacheConfig {
    /// The most that an identity is kept.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_seconds.into())
    }

    /// How long a refusal is kept.
    #[must_use]
    pub fn refusal(&self) -> Duration {
        Duration::from_secs(self.refusal_seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sts(name: &str, host: &str, region: &str) -> SelfHostedSts {
        SelfHostedSts {
            name: name.into(),
            host: host.into(),
            region: region.into(),
            private_address: false,
            ca_file: None,
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(AuthnConfig::default().validate(), Ok(Vec::new()));
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        let lab = || sts("lab", "sts.lab.example", "eu-lab-1");
        let with = |all: Vec<SelfHostedSts>| AuthnConfig { self_hosted_sts: all, ..AuthnConfig::default() };
        assert_eq!(with(vec![lab()]).validate().unwrap().len(), 1);
        let cases = [
            (vec![sts("Lab", "sts.lab.example", "eu-lab-1")], "is not a name"),
            (vec![sts("", "sts.lab.example", "eu-lab-1")], "is not a name"),
            (vec![lab(), sts("lab", "sts2.lab.example", "eu-lab-1")], "is not a name"),
            (vec![lab(), sts("lab2", "sts.lab.example", "eu-lab-1")], "given twice"),
            (vec![sts("lab", "https://sts.lab.example", "eu-lab-1")], "is not a host"),
            (vec![sts("lab", "sts.amazonaws.com", "eu-lab-1")], "belongs to AWS"),
            (vec![sts("lab", "sts.lab.example", "EU")], "is not a region name"),
        ];
        for (all, words) in cases {
            let error = with(all).validate().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let cache = TokenCacheConfig { lifetime_seconds: 901, ..TokenCacheConfig::default() };
        let error = AuthnConfig { token_cache: cache, ..AuthnConfig::default() }.validate().unwrap_err();
        assert!(error.to_string().contains("token_cache.lifetime_seconds"), "{error}");
    }

    #[test]
    fn only_a_self_hosted_sts_that_says_so_may_have_a_private_address() {
        let mut lab = sts("lab", "sts.lab.example:8443", "eu-lab-1");
        lab.private_address = true;
        let config = AuthnConfig {
            self_hosted_sts: vec![lab, sts("other", "sts.other.example", "eu-lab-1")],
            ..AuthnConfig::default()
        };
        let addresses = config.sts_http_options().unwrap().addresses;
        let private = std::net::IpAddr::from([10, 0, 0, 1]);
        for (host, expected) in
            [("sts.lab.example", true), ("sts.other.example", false), ("sts.amazonaws.com", false)]
        {
            assert_eq!(addresses.allow(host, private), expected, "{host}");
        }
    }

    #[test]
    fn an_addresss_port_is_no_part_of_it() {
        for (host, bare) in [
            ("sts.lab.example", "sts.lab.example"),
            ("sts.lab.example:8443", "sts.lab.example"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[::1]:8443", "[::1]"),
        ] {
            assert_eq!(sts("lab", host, "eu-lab-1").bare_host(), bare);
        }
    }

    #[test]
    fn a_ca_file_is_of_its_own_host_and_allows_no_private_address() {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let ca = lanyard_kit::tls::Authority::create(&pki, "test", time::OffsetDateTime::now_utc()).unwrap();
        let (mut lab, other) =
            (sts("lab", "sts.lab.example:8443", "eu-lab-1"), sts("other", "b.example", "eu-lab-1"));
        lab.ca_file = Some(ca.root_path().to_owned());
        let config = AuthnConfig { self_hosted_sts: vec![lab, other], ..AuthnConfig::default() };
        let options = config.sts_http_options().unwrap();
        assert_eq!(options.roots_of_hosts, [("sts.lab.example:8443".to_owned(), ca.roots().unwrap())].into());
        assert_eq!((options.roots.len(), options.addresses), (0, AddressRules::public_only()));
    }

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let fault = || {
            let lab =
                SelfHostedSts { ca_file: Some(path.clone()), ..sts("lab", "sts.lab.example", "eu-lab-1") };
            let config = AuthnConfig { self_hosted_sts: vec![lab], ..AuthnConfig::default() };
            config.sts_http_options().unwrap_err().to_string()
        };
        let start = format!("authn.self_hosted_sts.ca_file: `{}` of `lab` ", path.display());
        let not_there = fault();
        assert!(not_there.starts_with(&format!("{start}cannot be read (No such file")), "{not_there}");
        let no_root = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let too_long = "x".repeat(ca_file::CA_FILE_BYTES_MAX as usize + 1);
        for (content, words) in [
            ("", "holds no certificate that can be read"),
            ("hello", "holds no certificate that can be read"),
            (no_root, "holds what is no authority"),
            (too_long.as_str(), "is longer than 1048576 bytes"),
        ] {
            std::fs::write(&path, content).unwrap();
            let text = fault();
            assert!(text.starts_with(&format!("{start}{words}")), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<AuthnConfig>(r#"{"token_cash":{}}"#).is_err());
        assert!(serde_json::from_str::<AuthnConfig>(r#"{"token_cache":{"lifetime_seconds":30}}"#).is_ok());
    }
}

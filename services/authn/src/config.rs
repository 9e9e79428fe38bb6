//! What authn can be told.

use std::{sync::Arc, time::Duration};

pub use lanyard_aws::SelfHostedSts;
use lanyard_aws::{SelfHostedStsError, StsOptions};
use lanyard_iam::{StsAuthority, StsAuthorityError, StsHost};
use lanyard_kit::config::OutOfRange;
use lanyard_kit::http_client::Options;
pub use lanyard_oidc::OidcConfig;
use lanyard_oidc::{Issuer, IssuerError};
use serde::{Deserialize, Serialize};

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
    /// Under which hosts clients of AWS reach this hub, `host` or `host:port` as they sign it. There it is an STS for keys of its
    /// own: a client token of one may name it, as any STS of AWS's. `serve` knows those of its own listener without being told.
    pub own_sts_hosts: Vec<String>,
    /// How much of what an account may have.
    pub limits: AccountLimits,
    /// Snapshots in memory.
    pub snapshots: SnapshotConfig,
    /// Calls to OIDC issuers.
    pub oidc: OidcConfig,
    /// Nodes of clusters, which vend to their pods.
    pub nodes: NodesConfig,
}

/// Who may call as a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodesConfig {
    /// The ServiceAccounts that the agents of nodes have, each `namespace/name`, in every cluster of the hub. Whoever can run a pod as
    /// one of these gets credentials of any pod of that pod's node whose token they have.
    pub agents: Vec<String>,
}

impl Default for NodesConfig {
    fn default() -> Self {
        Self {
            agents: vec![
                "kube-system/eks-pod-identity-agent".to_owned(),
                "kube-system/lanyard-agent".to_owned(),
            ],
        }
    }
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
    /// Principals of an account of AWS or a self-hosted STS that have inline policies here.
    pub principals_max: u64,
    /// Inline policies of a user or role.
    pub policies_per_owner_max: u64,
    /// All inline policies of a user together, blanks not counted, in characters.
    pub user_policy_chars_max: u64,
    /// All inline policies of a role together, blanks not counted, in characters.
    pub role_policy_chars_max: u64,
    /// The trust policy of a role, blanks not counted, in characters.
    pub trust_policy_chars_max: u64,
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
            principals_max: 5_000,
            policies_per_owner_max: 50,
            user_policy_chars_max: 2_048,
            role_policy_chars_max: 10_240,
            trust_policy_chars_max: 2_048,
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
    /// A self-hosted STS that cannot be one.
    #[error("authn.{0}")]
    SelfHosted(#[from] SelfHostedStsError),
    /// A host that cannot be the hub's own.
    #[error("authn.own_sts_hosts: {0}")]
    OwnHost(#[from] StsAuthorityError),
    /// A host that is a self-hosted STS's.
    #[error("authn.own_sts_hosts: `{0}` is a self-hosted STS: it cannot be the hub too")]
    OwnAndSelfHosted(String),
    /// A host or a time that no issuer can be called with.
    #[error("authn.oidc: {0}")]
    Oidc(#[from] IssuerError),
    /// A ServiceAccount that cannot be one.
    #[error("authn.nodes.agents: `{0}` is no ServiceAccount, write `namespace/name`")]
    Agent(String),
    /// A Redis that cannot be used as it is given.
    #[error(transparent)]
    Redis(#[from] InvalidRedis),
    /// A time of the calls to STS that no clock gets to the end of.
    #[error("authn.sts.{0}")]
    Sts(#[from] OutOfRange),
}

impl AuthnConfig {
    /// Judges what types cannot, and answers the self-hosted STS as verifiers know them.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and the rule.
    pub fn validate(&self) -> Result<Vec<StsAuthority>, ConfigError> {
        Issuer::new(self.oidc.issuer("https://issuer.invalid", None))?;
        self.sts.validate()?;
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
        let is_none = |agent: &&String| {
            agent
                .split_once('/')
                .is_none_or(|(namespace, name)| namespace.is_empty() || name.is_empty() || name.contains('/'))
        };
        if let Some(bad) = self.nodes.agents.iter().find(is_none) {
            return Err(ConfigError::Agent(bad.clone()));
        }
        let self_hosted = SelfHostedSts::authorities(&self.self_hosted_sts)?;
        for own in self.own_hosts()?.iter() {
            if self_hosted.iter().any(|sts| sts.host() == own.as_str()) {
                return Err(ConfigError::OwnAndSelfHosted(own.as_str().to_owned()));
            }
        }
        Ok(self_hosted)
    }

    /// The hosts at which the hub itself is an STS.
    ///
    /// # Errors
    /// [`ConfigError::OwnHost`] for one that cannot be.
    pub fn own_hosts(&self) -> Result<Arc<[StsHost]>, ConfigError> {
        Ok(self.own_sts_hosts.iter().map(|host| StsHost::parse(host)).collect::<Result<_, _>>()?)
    }
}

impl AuthnConfig {
    /// Takes the host of the URL by which the hub is known for one of its own, for something in front of it that has the AWS wire too.
    /// One that cannot be the hub's, such as a self-hosted STS's, is none.
    pub fn known_by(&mut self, external_url: &str) {
        let host = external_url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        let Some(host) = host else { return };
        // As clients sign it.
        let host = host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
        if self.own_sts_hosts.contains(&host) {
            return;
        }
        self.own_sts_hosts.push(host);
        if self.validate().is_err() {
            self.own_sts_hosts.pop();
        }
    }

    /// How STS is called: of all private addresses, those of the self-hosted STS that may have one are allowed; and a
    /// self-hosted STS with a CA file is verified by that alone.
    ///
    /// # Errors
    /// [`ConfigError::SelfHosted`] for a file that cannot be used.
    pub fn sts_http_options(&self) -> Result<Options, ConfigError> {
        Ok(SelfHostedSts::http_options(&self.self_hosted_sts)?)
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

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(AuthnConfig::default().validate(), Ok(Vec::new()));
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        let cache = TokenCacheConfig { lifetime_seconds: 901, ..TokenCacheConfig::default() };
        let error = AuthnConfig { token_cache: cache, ..AuthnConfig::default() }.validate().unwrap_err();
        assert!(error.to_string().contains("token_cache.lifetime_seconds"), "{error}");
        for agent in ["agent", "/agent", "kube-system/", "kube-system/a/b"] {
            let nodes = NodesConfig { agents: vec![agent.to_owned()] };
            let error = AuthnConfig { nodes, ..AuthnConfig::default() }.validate();
            assert_eq!(error, Err(ConfigError::Agent(agent.to_owned())));
        }
        let lab = serde_json::json!({ "self_hosted_sts": [{ "name": "Lab", "host": "a.example", "region": "lab" }] });
        let error = serde_json::from_value::<AuthnConfig>(lab).unwrap().validate().unwrap_err().to_string();
        assert!(error.starts_with("authn.self_hosted_sts: `Lab` is not a name"), "{error}");
        let lab = serde_json::json!({ "name": "lab", "host": "sts.lab.example", "region": "lab" });
        for (host, said) in [
            ("https://hub.example", "is not a host"),
            ("hub.example:443", "is not a host"),
            ("sts.eu-west-1.amazonaws.com", "belongs to AWS"),
            ("sts.lab.example", "is a self-hosted STS"),
        ] {
            let config = serde_json::json!({ "own_sts_hosts": [host], "self_hosted_sts": [lab] });
            let config: AuthnConfig = serde_json::from_value(config).unwrap();
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with("authn.own_sts_hosts: ") && error.contains(said), "{host}: {error}");
        }
    }

    #[test]
    fn the_host_of_the_url_by_which_the_hub_is_known_is_its_own_unless_it_is_anothers() {
        let lab = serde_json::json!({ "name": "lab", "host": "sts.lab.example", "region": "lab" });
        let config = serde_json::json!({ "own_sts_hosts": ["aws.hub.example"], "self_hosted_sts": [lab] });
        for (url, taken) in [
            ("https://Hub.example:443", Some("hub.example")),
            ("https://hub.example:8443/", Some("hub.example:8443")),
            ("https://[::1]:8443", Some("[::1]:8443")),
            ("https://hub.example/below", Some("hub.example")),
            ("https://aws.hub.example", None),
            ("https://sts.lab.example", None),
            ("https://sts.eu-west-1.amazonaws.com", None),
            ("http://hub.example", None),
        ] {
            let mut config: AuthnConfig = serde_json::from_value(config.clone()).unwrap();
            config.known_by(url);
            let hosts: Vec<&str> = ["aws.hub.example"].into_iter().chain(taken).collect();
            assert_eq!(config.own_sts_hosts, hosts, "{url}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<AuthnConfig>(r#"{"token_cash":{}}"#).is_err());
        assert!(serde_json::from_str::<AuthnConfig>(r#"{"token_cache":{"lifetime_seconds":30}}"#).is_ok());
    }
}

//! How much credentials keeps and takes.

use lanyard_aws::{Quota, SelfHostedSts, SelfHostedStsError, StsOptions};
use lanyard_oidc::OidcConfig;
use serde::{Deserialize, Serialize};

use crate::{aws_road::AwsRoadConfig, rules::EXCHANGE_SECONDS};

/// What credentials keeps in memory and takes at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsConfig {
    /// Clusters whose workloads are kept in memory, those used last. One of 50 000 ServiceAccounts takes some 20 MB.
    pub clusters_max: usize,
    /// Most ServiceAccounts of one cluster.
    pub service_accounts_max: usize,
    /// How the issuers of OIDC providers are called. In one process with authn what is configured there counts, unless something
    /// is configured here.
    pub oidc: OidcConfig,
    /// Most Pod Identity associations of one cluster. EKS has 5000.
    pub associations_per_cluster: u64,
    /// What may be asked without a signature.
    pub unsigned: UnsignedConfig,
    /// Sessions for principals whom AWS, or a self-hosted STS, keeps.
    pub exchange: ExchangeConfig,
    /// Roles of accounts that AWS keeps.
    pub aws_road: AwsRoadConfig,
}

impl Default for CredentialsConfig {
    fn default() -> Self {
        Self {
            clusters_max: 1_000,
            service_accounts_max: 100_000,
            associations_per_cluster: 5_000,
            oidc: OidcConfig::default(),
            unsigned: UnsignedConfig::default(),
            exchange: ExchangeConfig::default(),
            aws_road: AwsRoadConfig::default(),
        }
    }
}

/// How often sessions may be asked for without a signature, by web identities and by exchanges together. Who asks is a stranger, and
/// what they bring costs a signature verification or a question to STS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnsignedConfig {
    /// Of each source address, as the door saw it; IPv6 by its /64. The pipelines of a whole company may have one.
    pub per_address: Quota,
    /// Of all together.
    pub all: Quota,
}

impl Default for UnsignedConfig {
    fn default() -> Self {
        Self {
            per_address: Quota { per_second: 20, burst: 100 },
            all: Quota { per_second: 500, burst: 1_000 },
        }
    }
}

/// The exchange of a presigned `GetCallerIdentity` for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExchangeConfig {
    /// The longest that such a session lasts, 900 to 43200. STS does not say when the exchanged one ends, so this is how long somebody
    /// whose AWS session is over may still act here.
    pub session_seconds_max: u32,
    /// Calls to STS. In one process with authn its own count, and this is not looked at.
    pub sts: StsOptions,
    /// STS of one's own, as authn is told them. In one process with authn what is configured there counts.
    pub self_hosted_sts: Vec<SelfHostedSts>,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self { session_seconds_max: 3_600, sts: StsOptions::default(), self_hosted_sts: Vec::new() }
    }
}

/// A value that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A session that is too short or too long.
    #[error(
        "credentials.exchange.session_seconds_max: `{0}` is out of range, use {min} to {max}",
        min = EXCHANGE_SECONDS.start(),
        max = EXCHANGE_SECONDS.end()
    )]
    SessionSeconds(u32),
    /// A self-hosted STS that cannot be one.
    #[error("credentials.exchange.{0}")]
    SelfHosted(#[from] SelfHostedStsError),
}

impl CredentialsConfig {
    /// Judges what types cannot.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and the rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !EXCHANGE_SECONDS.contains(&self.exchange.session_seconds_max) {
            return Err(ConfigError::SessionSeconds(self.exchange.session_seconds_max));
        }
        SelfHostedSts::authorities(&self.exchange.self_hosted_sts)?;
        SelfHostedSts::http_options(&self.exchange.self_hosted_sts)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        assert_eq!(CredentialsConfig::default().validate(), Ok(()));
        let with = |exchange: serde_json::Value| {
            let config = serde_json::json!({ "exchange": exchange });
            serde_json::from_value::<CredentialsConfig>(config)
                .unwrap()
                .validate()
                .map_err(|error| error.to_string())
        };
        for (seconds, is_good) in [(899, false), (900, true), (43_200, true), (43_201, false)] {
            let answer = with(serde_json::json!({ "session_seconds_max": seconds }));
            assert_eq!(answer.is_ok(), is_good, "{seconds}: {answer:?}");
        }
        let lab = serde_json::json!({ "name": "Lab", "host": "sts.lab.example", "region": "lab" });
        let refused = with(serde_json::json!({ "self_hosted_sts": [lab] })).unwrap_err();
        assert!(refused.starts_with("credentials.exchange.self_hosted_sts: `Lab`"), "{refused}");
    }
}

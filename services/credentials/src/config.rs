//! How much credentials keeps and takes.

use lanyard_aws::{SelfHostedSts, SelfHostedStsError, StsOptions};
use lanyard_kit::{
    config::{OutOfRange, without_passwords},
    limits::Quota,
};
use lanyard_oidc::{Issuer, IssuerOptions, OidcConfig};
use lanyard_store::SpokePushQuota;
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
    /// The URL under which the hub's gateway is reached from outside, https: the issuers of clusters begin with it. Where nothing is said
    /// here, `lanyard serve` takes its own `external_url`, and a process of its own the one that is stored since it was first told;
    /// without any, no cluster gets an issuer at the hub.
    pub external_url: Option<String>,
    /// How the issuers of OIDC providers are called. In one process with authn what is configured there counts, unless something
    /// is configured here.
    pub oidc: OidcConfig,
    /// Most Pod Identity associations of one cluster. EKS has 5000.
    pub associations_per_cluster: u64,
    /// How often the spoke of one cluster may push ServiceAccounts, and as often their issuer.
    pub spoke_pushes: SpokePushQuota,
    /// What is put into pods.
    pub webhook: WebhookConfig,
    /// What may be asked without a signature.
    pub unsigned: UnsignedConfig,
    /// Sessions for those whose web identity is verified.
    pub web_identity: WebIdentityConfig,
    /// Sessions for principals whom AWS, or a self-hosted STS, keeps.
    pub exchange: ExchangeConfig,
    /// Roles of accounts that AWS keeps.
    pub aws_road: AwsRoadConfig,
    /// Credentials for the pods of clusters.
    pub vend: VendConfig,
}

impl Default for CredentialsConfig {
    fn default() -> Self {
        Self {
            clusters_max: 1_000,
            service_accounts_max: 100_000,
            associations_per_cluster: 5_000,
            external_url: None,
            oidc: OidcConfig::default(),
            spoke_pushes: SpokePushQuota::default(),
            webhook: WebhookConfig::default(),
            unsigned: UnsignedConfig::default(),
            web_identity: WebIdentityConfig::default(),
            exchange: ExchangeConfig::default(),
            aws_road: AwsRoadConfig::default(),
            vend: VendConfig::default(),
        }
    }
}

/// What is put into pods that have a role (admission webhook).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Whether SDKs are told to ask STS in the region, where a ServiceAccount does not say otherwise. EKS does so.
    pub regional_sts: bool,
    /// Milliseconds that a ServiceAccount which is not known yet is waited for: it was made with the pod, and is on its way here. Below the
    /// gateway's `review_timeout_ms`.
    pub service_account_wait_ms: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { regional_sts: true, service_account_wait_ms: 1_000 }
    }
}

/// How often sessions may be asked for without a signature, by web identities and by exchanges together. Who asks is a stranger, and
/// what they bring costs a signature verification or a question to STS. A web identity that is verified is none any more
/// ([`WebIdentityConfig`]).
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

/// How often sessions may be had by web identity (`AssumeRoleWithWebIdentity`). A call whose token is verified counts here, as that of
/// whom the token names, and not as the address's: a whole cluster may have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebIdentityConfig {
    /// Calls of each namespace of an issuer, in all. Of a subject that is no ServiceAccount what stands before its second colon is
    /// one, as `repo:octo-org/octo-repo` of a job at GitHub.
    pub per_namespace: Quota,
    /// What of that each namespace has for itself, whatever others do: it is not taken out of the issuer's. Of each issuer 500
    /// namespaces have it at once.
    pub per_namespace_guaranteed: Quota,
    /// Calls of each issuer, all its namespaces together, beyond what is guaranteed to each.
    pub per_issuer: Quota,
}

impl Default for WebIdentityConfig {
    fn default() -> Self {
        Self {
            per_namespace: Quota { per_second: 50, burst: 200 },
            per_namespace_guaranteed: Quota { per_second: 2, burst: 10 },
            per_issuer: Quota { per_second: 1_000, burst: 2_000 },
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

/// Longest that a vend may be given again, in seconds: a quarter of the shortest life that credentials have.
const VENDED_AGAIN_SECONDS_MAX: u32 = 900;

/// Longest that an API server may be waited for, in milliseconds: agents and SDKs give up after seconds.
const POD_REVIEW_MILLISECONDS_MAX: u64 = 5_000;
/// Longest that an API server's word on a pod may count, in seconds: what is gone would be vended to for so long.
const POD_REVIEWED_SECONDS_MAX: u32 = 60;

/// What comes of it where a cluster's API server does not say whether a pod is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodReviewPolicy {
    /// No pod is vended to. Not for clusters that push from inside, which the hub cannot ask.
    Required,
    /// It is vended to by its token alone, and the decision says that its life was not confirmed, and why.
    #[default]
    WhenAnswered,
    /// Nobody is asked.
    Off,
}

/// Vending to pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VendConfig {
    /// Vends of each namespace of a cluster, in all.
    pub per_namespace: Quota,
    /// What of that each namespace has for itself, whatever others do: it is not taken out of the cluster's. Of each cluster 500
    /// namespaces have it at once.
    pub per_namespace_guaranteed: Quota,
    /// Vends of each cluster, all its namespaces together, beyond what is guaranteed to each.
    pub per_cluster: Quota,
    /// Tokens that are not good, of each node or other caller; those that only an API server knows to be dead, or says nothing of, count by
    /// themselves for each namespace that they are of.
    pub bad_tokens_per_node: Quota,
    /// Pods whose credentials are kept in memory, those used last; each takes some 7 KB.
    pub kept_max: usize,
    /// How long a pod that asks again gets the credentials that it has, in seconds; 0 to 900. So long the signature of a token that it
    /// has shown before is not verified again, while the issuer's keys are the same.
    pub kept_seconds: u32,
    /// Whether a cluster's API server has to say that a pod is still there before it is vended to.
    pub pod_review: PodReviewPolicy,
    /// How long its word counts, in seconds; 0 to 60. An API server keeps what it says of a token for 10 s itself (kube-apiserver,
    /// `TokenSuccessCacheTTL`), so that to ask more often finds out little: a pod that is gone is refused after the sum of the two at
    /// most.
    pub pod_reviewed_seconds: u32,
    /// How long it is waited for, in milliseconds; 1 to 5000. The published agent gives a whole request a second.
    pub pod_review_milliseconds: u64,
}

impl Default for VendConfig {
    fn default() -> Self {
        Self {
            per_namespace: Quota { per_second: 50, burst: 200 },
            per_namespace_guaranteed: Quota { per_second: 2, burst: 10 },
            per_cluster: Quota { per_second: 1_000, burst: 2_000 },
            bad_tokens_per_node: Quota { per_second: 10, burst: 50 },
            kept_max: 20_000,
            kept_seconds: 300,
            pod_review: PodReviewPolicy::default(),
            pod_reviewed_seconds: 10,
            pod_review_milliseconds: 500,
        }
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
    /// Credentials that would be kept for longer than is safe.
    #[error("credentials.vend.kept_seconds: `{0}` is out of range, use 0 to {max}", max = VENDED_AGAIN_SECONDS_MAX)]
    KeptSeconds(u32),
    /// A word on a pod that would count for longer than is safe.
    #[error("credentials.vend.pod_reviewed_seconds: `{0}` is out of range, use 0 to {max}", max = POD_REVIEWED_SECONDS_MAX)]
    PodReviewedSeconds(u32),
    /// A wait that is none, or that nobody has the patience for.
    #[error("credentials.vend.pod_review_milliseconds: `{0}` is out of range, use 1 to {max}", max = POD_REVIEW_MILLISECONDS_MAX)]
    PodReviewMilliseconds(u64),
    /// An external URL that no issuer could begin with.
    #[error("credentials.external_url: `{}` {rule}", without_passwords(url))]
    ExternalUrl {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        rule: String,
    },
    /// A self-hosted STS that cannot be one.
    #[error("credentials.exchange.{0}")]
    SelfHosted(#[from] SelfHostedStsError),
    /// A time of the calls to STS that no clock gets to the end of.
    #[error("credentials.exchange.sts.{0}")]
    Sts(#[from] OutOfRange),
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
        if self.vend.kept_seconds > VENDED_AGAIN_SECONDS_MAX {
            return Err(ConfigError::KeptSeconds(self.vend.kept_seconds));
        }
        if self.vend.pod_reviewed_seconds > POD_REVIEWED_SECONDS_MAX {
            return Err(ConfigError::PodReviewedSeconds(self.vend.pod_reviewed_seconds));
        }
        if !(1..=POD_REVIEW_MILLISECONDS_MAX).contains(&self.vend.pod_review_milliseconds) {
            return Err(ConfigError::PodReviewMilliseconds(self.vend.pod_review_milliseconds));
        }
        if let Some(url) = &self.external_url
            && let Err(error) = Issuer::new(IssuerOptions::new(url))
        {
            return Err(ConfigError::ExternalUrl { url: url.clone(), rule: error.to_string() });
        }
        self.exchange.sts.validate()?;
        SelfHostedSts::authorities(&self.exchange.self_hosted_sts)?;
        SelfHostedSts::http_options(&self.exchange.self_hosted_sts)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_as_many_associations_as_at_eks_by_default() {
        assert_eq!(CredentialsConfig::default().associations_per_cluster, 5_000);
    }

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
        for (kept_seconds, is_good) in [(0, true), (900, true), (901, false)] {
            let vend = VendConfig { kept_seconds, ..VendConfig::default() };
            let config = CredentialsConfig { vend, ..CredentialsConfig::default() };
            assert_eq!(config.validate().is_ok(), is_good, "{kept_seconds}");
        }
        for (pod_reviewed_seconds, pod_review_milliseconds, is_good) in
            [(0, 1, true), (60, 5_000, true), (61, 500, false), (10, 0, false), (10, 5_001, false)]
        {
            let vend = VendConfig { pod_reviewed_seconds, pod_review_milliseconds, ..VendConfig::default() };
            let config = CredentialsConfig { vend, ..CredentialsConfig::default() };
            let answer = config.validate();
            assert_eq!(
                answer.is_ok(),
                is_good,
                "{pod_reviewed_seconds} {pod_review_milliseconds}: {answer:?}"
            );
        }
        for (text, policy) in [
            ("required", PodReviewPolicy::Required),
            ("when_answered", PodReviewPolicy::WhenAnswered),
            ("off", PodReviewPolicy::Off),
        ] {
            assert_eq!(serde_json::from_value::<PodReviewPolicy>(text.into()).unwrap(), policy, "{text}");
        }
        let at = |url: &str| CredentialsConfig {
            external_url: Some(url.to_owned()),
            ..CredentialsConfig::default()
        };
        for (url, is_good) in
            [("https://hub.example:8443", true), ("http://hub.example", false), ("hub", false)]
        {
            assert_eq!(at(url).validate().is_ok(), is_good, "{url}");
        }
        let lab = serde_json::json!({ "name": "Lab", "host": "sts.lab.example", "region": "lab" });
        let refused = with(serde_json::json!({ "self_hosted_sts": [lab] })).unwrap_err();
        assert!(refused.starts_with("credentials.exchange.self_hosted_sts: `Lab`"), "{refused}");
    }
}

//! What `lanyard serve` can be told: by file, environment and flags, the later one wins.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use lanyard_authn::AuthnConfig;
use lanyard_authz::AuthzConfig;
use lanyard_aws::{AwsOptions, AwsOptionsError};
use lanyard_awsapi::AwsApiConfig;
use lanyard_credentials::{CredentialsConfig, PodReviewPolicy};
use lanyard_gateway::GatewayConfig;
use lanyard_iam::{AccountId, Region};
use lanyard_kit::{
    ConfigSecret, ExposeSecret as _,
    config::{OutOfRange, without_passwords},
    telemetry::{LogConfig, MetricsConfig, TelemetryConfig},
};
use lanyard_mapping::MappingConfig;
use lanyard_spoke::SpokeConfig;
use lanyard_store::{StoreUrl, StoreUrlError};
use serde::{Deserialize, Serialize};

use super::envelope::{EnvelopeConfig, InvalidEnvelope};
use crate::place;

/// Where Kubernetes and people knock by default.
const GATEWAY_PORT: u16 = 8443;
/// Where gRPC listens by default.
const GRPC_PORT: u16 = 8444;
/// Where the AWS wire listens by default.
const AWS_PORT: u16 = 8445;

/// The store in the data folder.
const DATABASE_FILE: &str = "lanyard.db";

/// The configuration of `lanyard serve`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// The folder of the hub: database, keys, CA, credentials. Mode 0700.
    pub data_dir: PathBuf,
    /// Where Kubernetes' HTTP listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where gRPC listens; port 0 takes a free one.
    pub grpc_listen: SocketAddr,
    /// Where the AWS wire listens; port 0 takes a free one.
    pub aws_listen: SocketAddr,
    /// Names and addresses beyond loopback that the certificates hold.
    pub tls_san: Vec<String>,
    /// The URL by which the hub is known, which webhook files and issuers name. The first that is told is stored, and counts where none
    /// is told; without any it is the listener's own.
    pub external_url: Option<String>,
    /// The region that management calls sign and clusters are in by default.
    pub region: String,
    /// The number of the account made at first start; a random one by default.
    pub account: Option<String>,
    /// `sqlite:<path>` or `postgres://…`; a SQLite file in the data folder by default.
    pub store: Option<ConfigSecret>,
    /// Brings the store's tables up to date at start; else a store that lacks something is refused.
    pub migrate: bool,
    /// Lets the embedded administrator's profile work although a listener is not on loopback.
    pub administrator_on_public_listener: bool,
    /// Written once everything answers, one JSON object for scripts.
    pub ready_file: Option<PathBuf>,
    /// Where the envelope key comes from, under which the store's keys lie.
    pub envelope: EnvelopeConfig,
    /// What the hub asks of AWS as itself.
    pub aws: AwsOptions,
    /// The doors' limits.
    pub gateway: GatewayConfig,
    /// The limits of the AWS wire's door.
    pub awsapi: AwsApiConfig,
    /// authn: token cache, STS, limits of accounts.
    pub authn: AuthnConfig,
    /// mapping: limits of clusters and entries.
    pub mapping: MappingConfig,
    /// authz: what is kept in memory.
    pub authz: AuthzConfig,
    /// credentials: what is kept in memory, and how much of a cluster's workloads is taken.
    pub credentials: CredentialsConfig,
    /// The watch on spoke clusters.
    pub spoke: SpokeConfig,
    /// The log on standard error.
    pub log: LogConfig,
    /// The listener for operators.
    pub metrics: MetricsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
}

impl Default for ServeConfig {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            data_dir: place::data_dir(),
            listen: loopback(GATEWAY_PORT),
            grpc_listen: loopback(GRPC_PORT),
            aws_listen: loopback(AWS_PORT),
            tls_san: Vec::new(),
            external_url: None,
            region: "us-east-1".to_owned(),
            account: None,
            store: None,
            migrate: true,
            administrator_on_public_listener: false,
            ready_file: None,
            envelope: EnvelopeConfig::default(),
            aws: AwsOptions::default(),
            gateway: GatewayConfig::default(),
            awsapi: AwsApiConfig::default(),
            authn: AuthnConfig::default(),
            mapping: MappingConfig::default(),
            authz: AuthzConfig::default(),
            credentials: CredentialsConfig::default(),
            spoke: SpokeConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// A value that breaks a rule, found before any port is bound.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// Anybody on the network could try the administrator's key.
    #[error(
        "`{0}` is not a loopback address, and the embedded administrator's profile works on loopback listeners only: listen \
         on 127.0.0.1, or say administrator_on_public_listener = true"
    )]
    PublicListener(SocketAddr),
    /// An answer is required that nobody asks for.
    #[error(
        "credentials.vend.pod_review requires that API servers are asked about pods, which the watch on spoke clusters does: set \
         spoke.enabled = true"
    )]
    NobodyReviewsPods,
    /// A region of the wrong form.
    #[error("region: {0}")]
    Region(String),
    /// An account number of the wrong form.
    #[error("account: {0}")]
    Account(String),
    /// An external URL that webhooks cannot use.
    #[error("external_url `{}`: write https://host[:port], without path, query or user", without_passwords(.0))]
    ExternalUrl(String),
    /// A store that is none.
    #[error("store: {0}")]
    Store(#[from] StoreUrlError),
    /// Something of authn's.
    #[error(transparent)]
    Authn(#[from] lanyard_authn::ConfigError),
    /// Something of credentials'.
    #[error(transparent)]
    Credentials(#[from] lanyard_credentials::ConfigError),
    /// An envelope key that is none.
    #[error(transparent)]
    Envelope(#[from] InvalidEnvelope),
    /// A limit of the AWS wire's door.
    #[error("{0}")]
    AwsApi(String),
    /// Something of the watch on spokes.
    #[error(transparent)]
    Spoke(#[from] lanyard_spoke::ConfigError),
    /// Something that the hub's own calls to AWS cannot be.
    #[error(transparent)]
    Aws(#[from] AwsOptionsError),
    /// A number that no process could use.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

impl ServeConfig {
    /// Where the store is.
    ///
    /// # Errors
    /// [`InvalidConfig::Store`] where it is no place.
    pub fn store_url(&self) -> Result<StoreUrl, InvalidConfig> {
        match &self.store {
            Some(text) => Ok(text.clone().into_inner().expose_secret().parse()?),
            None => Ok(StoreUrl::Sqlite(self.data_dir.join(DATABASE_FILE))),
        }
    }

    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the value, the rule and the next step.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        for address in [self.listen, self.grpc_listen, self.aws_listen] {
            if !address.ip().is_loopback() && !self.administrator_on_public_listener {
                return Err(InvalidConfig::PublicListener(address));
            }
        }
        Region::parse(&self.region).map_err(|error| InvalidConfig::Region(error.to_string()))?;
        if let Some(account) = &self.account {
            AccountId::parse(account).map_err(|error| InvalidConfig::Account(error.to_string()))?;
        }
        self.store_url()?;
        self.envelope.validate()?;
        self.aws.validate()?;
        self.spoke.validate()?;
        self.gateway.validate()?;
        self.mapping.validate()?;
        self.authz.validate()?;
        self.awsapi.validate().map_err(InvalidConfig::AwsApi)?;
        if let Some(text) = &self.external_url {
            let bad = || InvalidConfig::ExternalUrl(text.clone());
            let url = url::Url::parse(text).map_err(|_| bad())?;
            let plain = url.scheme() == "https"
                && url.has_host()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none();
            if !plain {
                return Err(bad());
            }
        }
        self.credentials.validate()?;
        if self.credentials.vend.pod_review == PodReviewPolicy::Required && !self.spoke.enabled {
            return Err(InvalidConfig::NobodyReviewsPods);
        }
        self.authn.validate()?;
        self.authn.sts_http_options()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lanyard_gateway::config::REVIEW_TIMEOUT_MS_MAX;
    use lanyard_kit::config::{COUNT_MAX, SECONDS_MAX};

    use super::*;

    #[test]
    fn immunity_57_a_public_listener_is_refused_unless_it_is_said_by_name() {
        let public = ServeConfig { listen: "0.0.0.0:8443".parse().unwrap(), ..ServeConfig::default() };
        assert!(matches!(public.clone().validate(), Err(InvalidConfig::PublicListener(_))));
        let grpc = ServeConfig { grpc_listen: "[::]:1".parse().unwrap(), ..ServeConfig::default() };
        assert!(matches!(grpc.validate(), Err(InvalidConfig::PublicListener(_))));
        let aws = ServeConfig { aws_listen: "0.0.0.0:1".parse().unwrap(), ..ServeConfig::default() };
        assert!(matches!(aws.validate(), Err(InvalidConfig::PublicListener(_))));
        assert!(ServeConfig { administrator_on_public_listener: true, ..public }.validate().is_ok());
        assert!(ServeConfig::default().validate().is_ok());
    }

    #[test]
    fn what_is_required_of_api_servers_has_somebody_to_ask_them() {
        let mut config = ServeConfig::default();
        config.credentials.vend.pod_review = PodReviewPolicy::Required;
        assert!(config.validate().is_ok());
        config.spoke.enabled = false;
        assert!(matches!(config.validate(), Err(InvalidConfig::NobodyReviewsPods)));
    }

    #[test]
    fn an_external_url_is_https_and_a_host_alone() {
        let with = |url: &str| {
            ServeConfig { external_url: Some(url.to_owned()), ..ServeConfig::default() }.validate()
        };
        for good in ["https://hub.example", "https://hub.example:8443/"] {
            assert!(with(good).is_ok(), "{good}");
        }
        for bad in [
            "http://hub.example",
            "https://hub.example/x",
            "https://u@hub.example",
            "hub.example",
            "https://h?q",
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_authn_cannot_use_is_found_before_anything_starts() {
        let with = |authn: serde_json::Value| {
            let authn = serde_json::from_value(authn).unwrap();
            ServeConfig { authn, ..ServeConfig::default() }.validate().unwrap_err().to_string()
        };
        let text = with(serde_json::json!({ "token_cache": { "lifetime_seconds": 901 } }));
        assert!(text.contains("authn.token_cache.lifetime_seconds"), "{text}");
        let lab = serde_json::json!({
            "name": "lab", "host": "sts.lab.example", "region": "lab", "ca_file": "/nowhere/ca.pem"
        });
        let text = with(serde_json::json!({ "self_hosted_sts": [lab] }));
        assert!(
            text.contains("authn.self_hosted_sts.ca_file") && text.contains("`/nowhere/ca.pem`"),
            "{text}"
        );
    }

    #[test]
    fn redis_is_configured_by_file_and_environment_and_what_it_cannot_be_is_found_before_anything_starts() {
        let with = |url: &str| {
            let variables =
                [("URL", url), ("USERNAME", "lanyard"), ("PASSWORD", "12345"), ("GET_MILLISECONDS", "5")];
            let named = |(name, value): (&str, &str)| {
                (format!("LANYARD_AUTHN__TOKEN_CACHE__REDIS__{name}"), value.to_owned())
            };
            let sources =
                lanyard_kit::config::Sources::none().environment(variables.into_iter().map(named).collect());
            let config: ServeConfig = lanyard_kit::config::load(&sources).unwrap();
            config.validate().map(|()| config)
        };
        let config = with("redis-cluster://a:7000,b:7000").unwrap();
        let printed = lanyard_kit::config::print_config(&config).unwrap();
        assert!(printed.contains("[authn.token_cache.redis]\n"), "{printed}");
        assert!(printed.contains("get_milliseconds = 5\n") && !printed.contains("12345"), "{printed}");
        let text = with("redis://a,b").unwrap_err().to_string();
        assert!(text.contains("authn.token_cache.redis.url"), "{text}");
    }

    #[test]
    fn what_the_envelope_and_aws_cannot_be_is_found_before_any_port_is_bound() {
        let aws = AwsOptions { region: Some("EU".to_owned()), ..AwsOptions::default() };
        let aws = ServeConfig { aws, ..ServeConfig::default() }.validate();
        assert!(matches!(aws, Err(InvalidConfig::Aws(_))));
        let envelope = EnvelopeConfig { kms_key: Some("alias/x".to_owned()), ..EnvelopeConfig::default() };
        let envelope = ServeConfig { envelope, ..ServeConfig::default() }.validate();
        assert!(matches!(envelope, Err(InvalidConfig::Envelope(_))));
    }

    #[test]
    fn a_number_that_no_process_could_use_is_refused_by_its_key() {
        let counts = [
            "gateway.reviews_in_flight_max",
            "gateway.recorder_queue_max",
            "gateway.answers_max",
            "gateway.bodies.awaited_max",
            "gateway.bodies.awaited_per_network_max",
            "gateway.bodies.known_awaited_max",
            "awsapi.requests_in_flight_max",
            "mapping.limits.watches",
            "mapping.limits.watches_per_account",
            "mapping.memory.badges_max",
            "authz.decisions_waiting_max",
            "authz.watches_max",
            "authz.watches_per_account_max",
        ];
        let times = [
            "authn.sts.proven_seconds",
            "authn.sts.breaker.window_seconds",
            "authn.sts.breaker.open_seconds",
            "credentials.exchange.sts.proven_seconds",
            "credentials.exchange.sts.breaker.open_seconds",
            "aws.calls.breaker.window_seconds",
            "aws.calls.breaker.open_seconds",
            "spoke.issuer_seconds",
            "spoke.request_seconds",
            "spoke.watch_seconds",
            "spoke.silence_seconds",
            "spoke.resync_seconds",
            "spoke.pause_seconds_max",
        ];
        let counts = counts.map(|key| (key, COUNT_MAX));
        let times = times.map(|key| (key, SECONDS_MAX)).into_iter();
        let times = times.chain([("gateway.review_timeout_ms", REVIEW_TIMEOUT_MS_MAX)]);
        for (key, most) in counts.into_iter().chain(times) {
            let with = |value: u64| {
                let mut config = serde_json::to_value(ServeConfig::default()).unwrap();
                let path = format!("/{}", key.replace('.', "/"));
                *config.pointer_mut(&path).unwrap_or_else(|| panic!("{key}")) = value.into();
                let config: ServeConfig = serde_json::from_value(config).unwrap();
                config.validate().map_err(|error| error.to_string())
            };
            assert_eq!(with(most), Ok(()), "{key}");
            for bad in [most + 1, u64::MAX] {
                let error = with(bad).unwrap_err();
                assert!(error.starts_with(&format!("{key}: `{bad}` is out of range")), "{key}: {error}");
            }
        }
    }

    #[test]
    fn the_sample_configuration_is_the_default_written_out() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/lanyard.toml");
        let read: ServeConfig =
            lanyard_kit::config::load(&lanyard_kit::config::Sources::none().file(sample)).unwrap();
        let json = |config: &ServeConfig| serde_json::to_value(config).unwrap();
        assert_eq!(json(&read), json(&ServeConfig::default()));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_right_one() {
        let flags = serde_json::json!({ "listn": "127.0.0.1:0" });
        let refused =
            lanyard_kit::config::load::<ServeConfig>(&lanyard_kit::config::Sources::none().flags(flags));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("listn") && text.contains("`listen`"), "{text}");
    }
}

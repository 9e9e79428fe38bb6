//! credentials as a process of its own.

use std::{sync::Arc, time::Duration};

use lanyard_api::{
    credentials::server,
    grpc::{Remote, Served, Wire},
    methods::{self, SPOKE_SERVICE},
    tags,
    voucher::Audience,
};
use lanyard_aws::{AwsClient, AwsOptions};
use lanyard_iam::Region;
use lanyard_kit::{
    http_client,
    peers::{Options, Peers, PeersError},
    telemetry::Calls,
    tls::LiveIdentity,
};
use lanyard_process::{Configured, Opened, ProcessConfig, Service};
use lanyard_store::{Holder, Purpose};
use serde::{Deserialize, Serialize};
use tonic::{body::Body, codegen::http::Response, service::Routes};
use tower::ServiceExt as _;
use url::Url;

use crate::{Credentials, CredentialsConfig, Exchange, PodReviewPolicy, replicas::Replicas};

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsProcessConfig {
    /// What every service has.
    pub process: ProcessConfig,
    /// The hub's own region, whose STS is asked about exchanges although no naming rule knows it, and in AWS mode unless `aws.region`
    /// says another.
    pub region: String,
    /// AWS mode: roles that AWS keeps.
    pub aws: AwsOptions,
    /// Other services that are asked.
    pub peers: PeersConfig,
    /// The engine.
    pub credentials: CredentialsConfig,
}

/// Where other services are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeersConfig {
    /// `https://host:port` of each replica of the spoke service, which asks API servers about pods. Each watches clusters of its own, so
    /// that one name for several of them does not do. Without any, no pod's life is confirmed.
    pub spoke: Vec<Url>,
}

impl Default for CredentialsProcessConfig {
    fn default() -> Self {
        Self {
            process: ProcessConfig::default(),
            region: "us-east-1".to_owned(),
            aws: AwsOptions::default(),
            peers: PeersConfig::default(),
            credentials: CredentialsConfig::default(),
        }
    }
}

impl Configured for CredentialsProcessConfig {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn validate(&self) -> Result<(), String> {
        Region::parse(&self.region).map_err(|error| format!("region: {error}"))?;
        self.aws.validate().map_err(|error| error.to_string())?;
        if self.peers.spoke.is_empty() && self.credentials.vend.pod_review == PodReviewPolicy::Required {
            return Err("peers.spoke: no address is given, and `credentials.vend.pod_review` requires what the spoke service is asked: \
                        name each replica as https://host:port"
                .to_owned());
        }
        self.credentials.validate().map_err(|error| error.to_string())
    }
}

/// credentials, served.
#[derive(Debug)]
pub struct CredentialsService;

impl Service for CredentialsService {
    const HOLDER: Holder = Holder::Credentials;
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = CredentialsProcessConfig;

    async fn start(config: Self::Config, opened: &Opened) -> anyhow::Result<(Self, Routes)> {
        let door = opened.door(Audience::Credentials, Purpose::VouchCredentials)?;
        let region = Region::parse(&config.region)?;
        let exchange = Exchange::new(opened.hub, region, &config.credentials.exchange)?;
        let CredentialsProcessConfig { region: of_hub, aws, peers, mut credentials, .. } = config;
        let within = Duration::from_millis(credentials.vend.pod_review_milliseconds);
        let store = &opened.store;
        let external_url = store.settle_external_url(credentials.external_url.as_deref()).await?;
        if let Some(doubt) = external_url.doubt("credentials.external_url") {
            tracing::warn!("{doubt}");
        }
        credentials.external_url = external_url.used().map(str::to_owned);
        let engine = Arc::new(if aws.enabled {
            let region = Region::parse(aws.region.as_deref().unwrap_or(&of_hub))?;
            let source = lanyard_aws::CredentialSource::chain(aws.profile.as_deref(), &region);
            let http = http_client::Options::default();
            let client = AwsClient::new(&aws, &region, source, http, Arc::clone(store.clock()))?;
            Credentials::in_aws_mode(store, credentials, exchange, client)?
        } else {
            Credentials::exchanging(store, credentials, exchange)?
        });
        if !peers.spoke.is_empty() {
            engine.review_pods_by(Replicas::new(spoke_service(&opened.identity, &peers.spoke, within)?));
        }
        let served = Served::new(engine, door);
        let routes = Routes::new(server::sessions(served.clone()))
            .add_service(server::workloads(served.clone()))
            .add_service(server::issuers(served.clone()))
            .add_service(server::pods(served.clone()))
            .add_service(server::associations(served.clone()))
            .add_service(server::vend(served.clone()))
            .add_service(tags::of_credentials(served));
        Ok((Self, routes))
    }
}

/// The way to each replica of the spoke service. One that is away is not waited for.
fn spoke_service(
    own: &LiveIdentity,
    urls: &[Url],
    within: Duration,
) -> Result<Vec<Remote<impl Wire + use<>>>, PeersError> {
    let calls = Calls::sent(methods::paths());
    let way = |url: &Url| {
        let options = Options::new(&own.first().hub, SPOKE_SERVICE, vec![url.clone()], own.client(), &calls);
        let peers = Peers::<Body>::connect(&Options { wait_max: Duration::ZERO, ..options })?;
        let channel = peers.map_response(|response: Response<_>| response.map(Body::new));
        Ok(Remote::new(channel).with_timeout(within))
    };
    urls.iter().map(way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_has_somebody_to_ask() {
        let mut config = CredentialsProcessConfig::default();
        assert_eq!(config.validate(), Ok(()));
        config.credentials.vend.pod_review = PodReviewPolicy::Required;
        assert!(config.validate().unwrap_err().starts_with("peers.spoke: no address"));
        config.peers.spoke = vec!["https://spoke-0.lanyard:7443".parse().unwrap()];
        assert_eq!(config.validate(), Ok(()));
    }
}

//! credentials as a process of its own.

use std::sync::Arc;

use lanyard_api::{credentials::server, grpc::Served, tags, voucher::Audience};
use lanyard_aws::{AwsClient, AwsOptions};
use lanyard_iam::Region;
use lanyard_kit::http_client;
use lanyard_process::{Configured, Opened, ProcessConfig, Service};
use lanyard_store::{Holder, Purpose};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;

use crate::{Credentials, CredentialsConfig, Exchange};

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
    /// The engine.
    pub credentials: CredentialsConfig,
}

impl Default for CredentialsProcessConfig {
    fn default() -> Self {
        Self {
            process: ProcessConfig::default(),
            region: "us-east-1".to_owned(),
            aws: AwsOptions::default(),
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
        let CredentialsProcessConfig { region: of_hub, aws, credentials, .. } = config;
        let store = &opened.store;
        let engine = Arc::new(if aws.enabled {
            let region = Region::parse(aws.region.as_deref().unwrap_or(&of_hub))?;
            let source = lanyard_aws::CredentialSource::chain(aws.profile.as_deref(), &region);
            let http = http_client::Options::default();
            let client = AwsClient::new(&aws, &region, source, http, Arc::clone(store.clock()))?;
            Credentials::in_aws_mode(store, credentials, exchange, client)?
        } else {
            Credentials::exchanging(store, credentials, exchange)?
        });
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

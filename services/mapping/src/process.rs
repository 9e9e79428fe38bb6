//! mapping as a process of its own.

use std::sync::Arc;

use lanyard_api::{grpc::Served, mapping::server, tags, voucher::Audience};
use lanyard_aws::{AwsClient, AwsOptions, CredentialSource};
use lanyard_iam::Region;
use lanyard_kit::http_client;
use lanyard_process::{Configured, Opened, ProcessConfig, Service};
use lanyard_store::{Holder, Purpose};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;

use crate::{Mapping, MappingConfig, RECOUNTED_AFTER};

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingProcessConfig {
    /// What every service has.
    pub process: ProcessConfig,
    /// The hub's own region, whose STS is asked in AWS mode unless `aws.region` says another.
    pub region: String,
    /// What the hub asks of AWS as itself.
    pub aws: AwsOptions,
    /// The engine.
    pub mapping: MappingConfig,
}

impl Default for MappingProcessConfig {
    fn default() -> Self {
        Self {
            process: ProcessConfig::default(),
            region: "us-east-1".to_owned(),
            aws: AwsOptions::default(),
            mapping: MappingConfig::default(),
        }
    }
}

impl Configured for MappingProcessConfig {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn validate(&self) -> Result<(), String> {
        Region::parse(&self.region).map_err(|error| format!("region: {error}"))?;
        self.aws.validate().map_err(|error| error.to_string())?;
        self.mapping.validate().map_err(|error| error.to_string())
    }
}

/// mapping, served.
#[derive(Debug)]
pub struct MappingService;

impl Service for MappingService {
    const HOLDER: Holder = Holder::Mapping;
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = MappingProcessConfig;

    async fn start(config: Self::Config, opened: &Opened) -> anyhow::Result<(Self, Routes)> {
        let MappingProcessConfig { region, aws, mapping, .. } = config;
        let store = &opened.store;
        let engine = if aws.enabled {
            let region = Region::parse(aws.region.as_deref().unwrap_or(&region))?;
            let source = CredentialSource::chain(aws.profile.as_deref(), &region);
            let http = http_client::Options::default();
            let client = AwsClient::new(&aws, &region, source, http, Arc::clone(store.clock()))?;
            Mapping::open_in_aws_mode(store, mapping, client, aws.instances).await?
        } else {
            Mapping::open(store, mapping).await?
        };
        tokio::spawn(engine.clone().recount_administrators(RECOUNTED_AFTER));
        let served = Served::new(Arc::new(engine), opened.door(Audience::Mapping, Purpose::VouchMapping)?);
        let routes = Routes::new(server::resolve(served.clone()))
            .add_service(server::preview(served.clone()))
            .add_service(server::clusters(served.clone()))
            .add_service(server::entries(served.clone()))
            .add_service(server::identity_providers(served.clone()))
            .add_service(server::blocks(served.clone()))
            .add_service(server::spokes(served.clone()))
            .add_service(server::updates(served.clone()))
            .add_service(tags::of_mapping(served));
        Ok((Self, routes))
    }
}

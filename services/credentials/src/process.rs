//! credentials as a process of its own.

use std::sync::Arc;

use lanyard_api::{credentials::server, grpc::Served, tags, voucher::Audience};
use lanyard_process::{Configured, Opened, ProcessConfig, Service};
use lanyard_store::{Holder, Purpose};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;

use crate::{Credentials, CredentialsConfig};

/// What the process is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsProcessConfig {
    /// What every service has.
    pub process: ProcessConfig,
    /// The engine.
    pub credentials: CredentialsConfig,
}

impl Configured for CredentialsProcessConfig {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn validate(&self) -> Result<(), String> {
        Ok(())
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
        let engine = Arc::new(Credentials::new(&opened.store, config.credentials)?);
        let served = Served::new(engine, door);
        let routes = Routes::new(server::sessions(served.clone()))
            .add_service(server::workloads(served.clone()))
            .add_service(server::associations(served.clone()))
            .add_service(tags::of_credentials(served));
        Ok((Self, routes))
    }
}

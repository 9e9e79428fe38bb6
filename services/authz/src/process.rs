//! authz as a process of its own.

use std::sync::Arc;

use lanyard_api::{authz::server, grpc::Served, voucher::Audience};
use lanyard_process::{Configured, Opened, ProcessConfig, Service};
use lanyard_store::{Holder, Purpose};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;

use crate::{Authz, AuthzConfig};

/// What the process is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthzProcessConfig {
    /// What every service has.
    pub process: ProcessConfig,
    /// The engine.
    pub authz: AuthzConfig,
}

impl Configured for AuthzProcessConfig {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn validate(&self) -> Result<(), String> {
        self.authz.validate().map_err(|error| error.to_string())
    }
}

/// authz, served.
pub struct AuthzService {
    engine: Arc<Authz>,
}

impl Service for AuthzService {
    const HOLDER: Holder = Holder::Authz;
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = AuthzProcessConfig;

    async fn start(config: Self::Config, opened: &Opened) -> anyhow::Result<(Self, Routes)> {
        let engine = Arc::new(Authz::start(&opened.store, config.authz)?);
        let door = opened.door(Audience::Authz, Purpose::VouchAuthz)?;
        let served = Served::new(Arc::clone(&engine), door);
        let routes = Routes::new(server::authorize(served.clone()))
            .add_service(server::objects(served.clone()))
            .add_service(server::decisions(served));
        Ok((Self { engine }, routes))
    }

    async fn flush(&self) {
        self.engine.flush().await;
    }
}

impl std::fmt::Debug for AuthzService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthzService")
    }
}

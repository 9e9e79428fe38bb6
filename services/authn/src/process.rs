//! authn as a process of its own.

use std::sync::Arc;

use anyhow::Context as _;
use lanyard_api::{
    authn::{Vouching, server},
    grpc::Served,
    voucher::{Audience, Now, ServiceSecrets, Vouchers},
};
use lanyard_aws::StsClient;
use lanyard_iam::Region;
use lanyard_process::{Configured, Opened, ProcessConfig, Service};
use lanyard_store::{Holder, Keyed, Keyring, KeyringError, Purpose};
use serde::{Deserialize, Serialize};
use tonic::service::Routes;

use crate::{AuthnConfig, Engine, Parts, Shared, hub_of, session_opener};

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthnProcessConfig {
    /// What every service has.
    pub process: ProcessConfig,
    /// The region that management calls sign.
    pub region: String,
    /// The engine.
    pub authn: AuthnConfig,
}

impl Default for AuthnProcessConfig {
    fn default() -> Self {
        Self {
            process: ProcessConfig::default(),
            region: "us-east-1".to_owned(),
            authn: AuthnConfig::default(),
        }
    }
}

impl Configured for AuthnProcessConfig {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }

    fn validate(&self) -> Result<(), String> {
        Region::parse(&self.region).map_err(|error| format!("region: {error}"))?;
        self.authn.validate().map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// authn, served.
#[derive(Debug)]
pub struct Authn;

impl Service for Authn {
    const HOLDER: Holder = Holder::Authn;
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = AuthnProcessConfig;

    async fn start(config: Self::Config, opened: &Opened) -> anyhow::Result<(Self, Routes)> {
        let store = &opened.store;
        let region = Region::parse(&config.region)?;
        let hub = hub_of(store, &region).await?.context("the store has no hub")?;
        let mut authn = config.authn;
        if let Some(url) = store.external_url().await? {
            authn.known_by(&url);
        }
        let sts = StsClient::new(authn.sts.clone(), authn.sts_http_options()?)?;
        let engine = Arc::new(Engine::new(Parts {
            store: store.clone(),
            sessions: Keyed::following(store.keyring(), session_opener)?,
            certificates: Some(opened.identity.chains()),
            sts: Arc::new(sts),
            shared_cache: Shared::start(&authn.token_cache)?,
            hub,
            config: authn,
            clock: Arc::clone(store.clock()),
        })?);
        let now = opened.now();
        let vouchers = Keyed::following(store.keyring(), move |keyring| vouchers(keyring, Arc::clone(&now)))?;
        let door = opened.door(Audience::Authn, Purpose::VouchAuthn)?;
        let vouching = Vouching::following(Arc::clone(&engine), Arc::new(move || vouchers.get()));
        let vouching = Served::new(Arc::new(vouching), door.clone());
        let routes = Routes::new(server::accounts(Served::new(Arc::clone(&engine), door.clone())))
            .add_service(server::instance_profiles(Served::new(Arc::clone(&engine), door.clone())))
            .add_service(server::oidc_providers(Served::new(engine, door)))
            .add_service(server::authenticate(vouching.clone()))
            .add_service(server::admit(vouching.clone()))
            .add_service(server::admit_aws(vouching));
        Ok((Self, routes))
    }
}

fn vouchers(keyring: &Keyring, now: Now) -> Result<Vouchers, KeyringError> {
    let key = |purpose| keyring.purpose_key(purpose);
    let (authn, mapping) = (key(Purpose::VouchAuthn)?, key(Purpose::VouchMapping)?);
    let (authz, credentials) = (key(Purpose::VouchAuthz)?, key(Purpose::VouchCredentials)?);
    let secrets =
        ServiceSecrets { authn: &authn, mapping: &mapping, authz: &authz, credentials: &credentials };
    Ok(Vouchers::of_services(secrets, now))
}

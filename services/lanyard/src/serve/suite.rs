//! The engines of this process, composed with no socket between them.

use std::sync::Arc;

use lanyard_api::mapping::{ClusterDirectory, Clusters};
use lanyard_authn::{OidcConfig, Shared};
use lanyard_authz::Authz;
use lanyard_aws::{AwsClient, StsClient};
use lanyard_credentials::{Credentials, Exchange};
use lanyard_gateway::{Revisions, Services};
use lanyard_kit::tls::{ChainVerifier, Live};
use lanyard_mapping::{Mapping, RECOUNTED_AFTER};
use lanyard_store::{Change, Follower, Keyed};
use tokio::sync::watch;

use super::{config::ServeConfig, hub::OpenedHub};

/// authn, with the second level of the token cache that is configured.
type Authn = lanyard_authn::Engine<Shared>;

/// All four services.
pub struct Suite {
    authn: Arc<Authn>,
    mapping: Arc<Mapping>,
    authz: Arc<Authz>,
    credentials: Arc<Credentials>,
    revisions: Revisions,
}

/// What the engines need beside store and configuration.
pub struct Parts<'a> {
    /// AWS, as the hub itself.
    pub aws: Option<AwsClient>,
    /// Judges the certificates of principals.
    pub chains: Live<ChainVerifier>,
    /// Where the gateway is reached.
    pub external_url: &'a str,
}

/// Tells the gateway of changes before they have answered.
struct Moves(Revisions);

impl Follower for Moves {
    fn apply(&self, changes: &[Change]) {
        if let Some(last) = changes.last() {
            self.0.moved(last.scope, last.revision);
        }
    }
}

impl Suite {
    /// Starts every engine on one store.
    ///
    /// # Errors
    /// Where a key is missing or a configured value breaks its rule.
    pub async fn start(hub: &OpenedHub, config: &ServeConfig, parts: Parts<'_>) -> anyhow::Result<Self> {
        let store = &hub.store;
        let Parts { aws, chains, external_url } = parts;
        let sts = Arc::new(StsClient::new(config.authn.sts.clone(), config.authn.sts_http_options()?)?);
        let exchange = Exchange {
            hub: hub.hub.id,
            region: hub.hub.region.clone(),
            self_hosted: config.authn.validate()?,
            sts: Arc::clone(&sts),
        };
        let authn = Authn::new(lanyard_authn::Parts {
            store: store.clone(),
            sessions: Keyed::following(store.keyring(), lanyard_authn::session_opener)?,
            certificates: Some(chains),
            sts,
            shared_cache: Shared::start(&config.authn.token_cache)?,
            hub: hub.hub.clone(),
            config: config.authn.clone(),
            clock: Arc::clone(store.clock()),
        })?;
        let aws = aws.filter(|_| config.aws.enabled);
        let mapping = match aws.clone() {
            Some(aws) => {
                let instances = config.aws.instances.clone();
                Mapping::open_in_aws_mode(store, config.mapping.clone(), aws, instances).await?
            }
            None => Mapping::open(store, config.mapping.clone()).await?,
        };
        tokio::spawn(mapping.clone().recount_administrators(RECOUNTED_AFTER));
        let revisions = Revisions::of_own_store();
        store.follow(Arc::new(Moves(revisions.clone())));
        let mut credentials = config.credentials.clone();
        credentials.external_url.get_or_insert_with(|| external_url.trim_end_matches('/').to_owned());
        if credentials.oidc == OidcConfig::default() {
            credentials.oidc = config.authn.oidc.clone();
        }
        Ok(Self {
            revisions,
            authn: Arc::new(authn),
            mapping: Arc::new(mapping),
            authz: Arc::new(Authz::start(store, config.authz.clone())?),
            credentials: Arc::new(match aws {
                Some(aws) => Credentials::in_aws_mode(store, credentials, exchange, aws)?,
                None => Credentials::exchanging(store, credentials, exchange)?,
            }),
        })
    }

    /// The clusters, for the gateway.
    pub fn directory(&self) -> watch::Receiver<Arc<ClusterDirectory>> {
        self.mapping.directory()
    }

    /// How far the scopes are, for the gateway.
    pub fn revisions(&self) -> Revisions {
        self.revisions.clone()
    }

    /// Waits until what was handed over for the store is there.
    pub async fn flush(&self) {
        self.authz.flush().await;
    }
}

impl Services for Suite {
    type Authn = Authn;
    type Mapping = Mapping;
    type Authz = Authz;
    type Credentials = Credentials;

    fn authn(&self) -> &Arc<Authn> {
        &self.authn
    }

    fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    fn authz(&self) -> &Arc<Authz> {
        &self.authz
    }

    fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }
}

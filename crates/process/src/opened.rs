//! The store and the name of a service, opened.

use std::{path::PathBuf, sync::Arc};

use lanyard_api::{
    HubId,
    grpc::{Door, VouchKeys},
    voucher::{Audience, Now, VouchKey},
};
use lanyard_aws::{AwsClient, AwsClientError, CredentialSource};
use lanyard_kit::{
    Clock, http_client,
    tls::{Clients, LiveError, LiveIdentity},
};
use lanyard_store::{
    Holder, Keyed, Keyring, KeyringError, Purpose, Store, StoreError, StoreOptions, StoreUrl,
    require_migrated,
};

use crate::{
    config::{InvalidProcess, ProcessConfig},
    envelope,
};

/// What a service's engine starts from.
#[derive(Clone)]
pub struct Opened {
    /// The suite's database, with the keys of this service's purposes.
    pub store: Store,
    /// The hub.
    pub hub: HubId,
    /// The certificate, and with it the name, of this service: as its files are now.
    pub identity: Arc<LiveIdentity>,
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A configured value breaks its rule.
    #[error(transparent)]
    Config(#[from] InvalidProcess),
    /// Its certificate is not there, or not its own.
    #[error(transparent)]
    Identity(#[from] LiveError),
    /// There is no envelope key where one is looked for.
    #[error("`{}` is missing: it holds the envelope key that `lanyard pki issue` made for this service", .0.display())]
    NoEnvelope(PathBuf),
    /// KMS cannot be asked.
    #[error("process.envelope.kms: {0}")]
    KmsClient(#[from] AwsClientError),
    /// The envelope key cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The database does not open.
    #[error("process.store: {database}: {source}")]
    Database {
        /// Which, without what opens it.
        database: StoreUrl,
        /// Why not.
        source: StoreError,
    },
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has no hub yet.
    #[error("the store has no hub: set it up with `lanyard pki issue`, which makes one")]
    NoHub,
    /// Certificate and database are of different hubs.
    #[error(
        "the certificate is of hub {certificate} and the store of hub {store}: give this service what belongs together"
    )]
    OtherHub {
        /// Of the certificate.
        certificate: String,
        /// Of the store.
        store: HubId,
    },
}

impl Opened {
    /// Opens the store as a service, under its own envelope key.
    ///
    /// # Errors
    /// [`OpenError`] names what is missing or does not belong together.
    pub async fn open(
        holder: Holder,
        config: &ProcessConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        config.validate()?;
        let (service, trusted) = (holder.as_str(), Clients::Required);
        let identity = LiveIdentity::load(&config.tls, service, trusted, Arc::clone(clock))?;
        let hub = identity.first().hub.parse().ok();
        let envelope = envelope::of_service(holder, config, hub, |options, key| {
            let source = CredentialSource::chain(options.profile.as_deref(), key.region());
            let http = http_client::Options::default();
            AwsClient::new(&options.for_client(), key.region(), source, http, Arc::clone(clock))
        });
        let envelope = envelope.await?;
        let keyring = Keyring::of(holder, envelope, Vec::new());
        let mut options = StoreOptions::new(config.store_url()?, keyring);
        options.clock = Arc::clone(clock);
        options.alone = false;
        let fault = |source| OpenError::Database { database: options.url.clone(), source };
        if !config.migrate {
            require_migrated(&options.url, options.wait_max).await.map_err(fault)?;
        }
        let store = Store::open(&options).await.map_err(fault)?;
        let hub = store.hub_id().await?.ok_or(OpenError::NoHub)?;
        let certificate = &identity.first().hub;
        if hub.to_string() != *certificate {
            return Err(OpenError::OtherHub { certificate: certificate.clone(), store: hub });
        }
        Ok(Self { store, hub, identity: Arc::new(identity) })
    }

    /// The time as the store tells it.
    #[must_use]
    pub fn now(&self) -> Now {
        let clock = Arc::clone(self.store.clock());
        Arc::new(move || clock.now())
    }

    /// The door of a service: it takes actors and identities that authn vouched for to it.
    ///
    /// # Errors
    /// Where the service has no such key.
    pub fn door(&self, audience: Audience, purpose: Purpose) -> Result<Door, KeyringError> {
        let key =
            Keyed::following(self.store.keyring(), move |keyring| vouch_key(keyring, audience, purpose))?;
        Ok(Door::following(Arc::new(StoredKey { key, store: self.store.clone() }), self.now()))
    }
}

/// The key of vouchers as the store has it.
struct StoredKey {
    key: Keyed<VouchKey>,
    store: Store,
}

#[tonic::async_trait]
impl VouchKeys for StoredKey {
    fn known(&self) -> Arc<VouchKey> {
        self.key.get()
    }

    async fn asked_for(&self) -> Arc<VouchKey> {
        self.store.ask_for_keys().await;
        self.key.get()
    }
}

/// Vouchers count for a minute, so that beside the version that makes them only its neighbours are met.
const VOUCHING_VERSIONS_MAX: usize = 3;

fn vouch_key(keyring: &Keyring, audience: Audience, purpose: Purpose) -> Result<VouchKey, KeyringError> {
    let keys = keyring.purpose_keys(purpose)?;
    let mut keys = keys.iter().take(VOUCHING_VERSIONS_MAX).map(|(_, key)| &**key);
    let own = keys.next().ok_or(KeyringError::Locked(purpose))?;
    Ok(VouchKey::from_bytes(audience, own).opening(keys))
}

//! The engine: answers from snapshots, changes in transactions.
//!
//! What is asked on a request's path is in `resolve`; the rest of the files are the management calls, one family each.

mod aws;
mod aws_auth;
mod blocks;
mod break_glass;
mod clusters;
mod commit;
mod directory;
mod entries;
mod given;
mod identity_providers;
mod pin;
mod policies;
mod preview;
pub(crate) mod recount;
mod resolve;
mod revisions;
mod sight;
mod spokes;
mod stale;
mod tags;
mod updates;
mod watch;

use std::sync::Arc;

use lanyard_api::{WatchPlaces, proof::ProofKey};
use lanyard_aws::{AwsClient, InstanceOptions};
use lanyard_kit::telemetry::{Counters, names};
use lanyard_store::{ChangeSignal, Keyed, Keyring, KeyringError, Purpose, SpokePushes, Store, StoreError};

use self::{aws::Aws, given::Given, resolve::Outcome};
use crate::{config::MappingConfig, store::State};

/// Which badge: the engine behind `Resolve`, `Preview`, `Clusters`, `Entries`, `IdentityProviders`, `Tags`, `Updates` and `Blocks`. Clones share it.
#[derive(Clone)]
pub struct Mapping {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    state: State,
    config: MappingConfig,
    proof_key: Keyed<ProofKey>,
    /// In AWS mode.
    aws: Option<Aws>,
    given: Given,
    signal: ChangeSignal,
    /// Places for watches.
    watches: Arc<WatchPlaces>,
    pushes: SpokePushes,
    resolutions: Counters<Outcome>,
    aws_auth_rejected: Counters<()>,
}

/// Why mapping cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The hub's state could not be loaded.
    #[error("the hub cannot be loaded: {0}")]
    Store(#[from] StoreError),
    /// There is no key to mint proofs with.
    #[error("the proof's key is not there: {0}")]
    Keyring(#[from] KeyringError),
}

impl Mapping {
    /// Begins to follow a store.
    ///
    /// # Errors
    /// When the hub's state or the proof's key cannot be had.
    pub async fn open(store: &Store, config: MappingConfig) -> Result<Self, OpenError> {
        Self::start(store, config, None).await
    }

    /// The same, in AWS mode: entries learn the unique ids of their principals from IAM, nodes that nobody bound have the
    /// names that EC2 gives them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_in_aws_mode(
        store: &Store,
        config: MappingConfig,
        client: AwsClient,
        instances: InstanceOptions,
    ) -> Result<Self, OpenError> {
        Self::start(store, config, Some(Aws::new(client, instances))).await
    }

    async fn start(store: &Store, config: MappingConfig, aws: Option<Aws>) -> Result<Self, OpenError> {
        let proof_key = Keyed::following(store.keyring(), minting_key)?;
        let state = State::open(store, &config.memory).await?;
        let watches = WatchPlaces::new(config.limits.watches, config.limits.watches_per_account);
        let given = Given::new(config.memory.badges_max);
        let pushes = SpokePushes::new(config.limits.spoke_pushes);
        let inner = Inner {
            store: store.clone(),
            state,
            config,
            proof_key,
            aws,
            given,
            // Behind the snapshots: who hears of a change finds it there.
            signal: ChangeSignal::follow(store),
            watches,
            pushes,
            resolutions: Counters::new(names::MAPPING_RESOLUTIONS_TOTAL),
            aws_auth_rejected: Counters::new(names::MAPPING_AWS_AUTH_REJECTED_TOTAL),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

/// The key of the proof that makes now.
fn minting_key(keyring: &Keyring) -> Result<ProofKey, KeyringError> {
    let keys = keyring.purpose_keys(Purpose::Proof)?;
    let (version, secret) = keys.first().ok_or(KeyringError::Locked(Purpose::Proof))?;
    Ok(ProofKey::new(*version, secret))
}

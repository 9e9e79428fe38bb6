//! The keys of sessions, out of the hub's keyring.
//!
//! A generation is one version of three purposes together: the seed that signs, the key that seals, the key that secrets are
//! derived with. Rotating one of them alone makes no generation.

use std::collections::BTreeMap;

use lanyard_iam::{
    SessionError, SessionOpener,
    session::{MintingKeys, OpeningKeys},
};
use lanyard_store::{Keyring, KeyringError, Purpose};

/// Why there are no session keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The keyring has none for this process.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// They are no keys.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// The newest generation, for minting: this service's alone.
///
/// # Errors
/// [`KeysError`] where the keyring was not opened with a store, or the keys are kept from this process.
pub fn minting_keys(keyring: &Keyring) -> Result<MintingKeys, KeysError> {
    let newest = generations(keyring)?.into_iter().next();
    Ok(newest.ok_or(KeyringError::Locked(Purpose::SessionSigning))?)
}

/// What opens sessions of the newest generation, for authn: without the seed that signs them.
///
/// # Errors
/// As [`minting_keys`].
pub fn opening_keys(keyring: &Keyring) -> Result<OpeningKeys, KeysError> {
    Ok(minting_keys(keyring)?.opening_keys()?)
}

/// What opens sessions of every generation, for authn: those that were minted before a rotation live on to their end.
///
/// # Errors
/// As [`minting_keys`].
pub fn session_opener(keyring: &Keyring) -> Result<SessionOpener, KeysError> {
    let keys = generations(keyring)?.iter().map(MintingKeys::opening_keys).collect::<Result<Vec<_>, _>>()?;
    Ok(SessionOpener::new(&keys)?)
}

/// All generations, the newest first.
fn generations(keyring: &Keyring) -> Result<Vec<MintingKeys>, KeyringError> {
    let by_version = |purpose| {
        Ok::<_, KeyringError>(keyring.purpose_keys(purpose)?.into_iter().collect::<BTreeMap<_, _>>())
    };
    let mut sealing = by_version(Purpose::SessionOpening)?;
    let mut secret = by_version(Purpose::SessionSecret)?;
    let whole =
        by_version(Purpose::SessionSigning)?.into_iter().rev().filter_map(|(key_id, signing_seed)| {
            let (sealing_key, secret_key) = (sealing.remove(&key_id)?, secret.remove(&key_id)?);
            Some(MintingKeys { key_id, signing_seed, sealing_key, secret_key })
        });
    Ok(whole.collect())
}

//! The keys of sessions, out of the hub's keyring.

use lanyard_iam::{
    SessionError,
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
    let (key_id, signing_seed) = newest(keyring, Purpose::SessionSigning)?;
    let (_, sealing_key) = newest(keyring, Purpose::SessionOpening)?;
    let (_, secret_key) = newest(keyring, Purpose::SessionSecret)?;
    Ok(MintingKeys { key_id, signing_seed, sealing_key, secret_key })
}

/// What opens sessions, for authn: without the seed that signs them.
///
/// # Errors
/// As [`minting_keys`].
pub fn opening_keys(keyring: &Keyring) -> Result<OpeningKeys, KeysError> {
    Ok(minting_keys(keyring)?.opening_keys()?)
}

type Key = (u32, zeroize::Zeroizing<[u8; 32]>);

fn newest(keyring: &Keyring, purpose: Purpose) -> Result<Key, KeyringError> {
    let keys = keyring.purpose_keys(purpose)?;
    keys.into_iter().max_by_key(|(version, _)| *version).ok_or(KeyringError::Locked(purpose))
}

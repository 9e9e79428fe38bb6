//! The keys that mint sessions, out of the hub's keyring.
//!
//! A generation is one version of three purposes together: the seed that signs, the key that seals, the key that secrets are
//! derived with. Rotating one of them alone makes no generation.

use lanyard_iam::{SessionError, SessionMinter, session::MintingKeys};
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

/// The newest generation that has begun, for minting: this service's alone.
///
/// # Errors
/// [`KeysError`] where the keyring was not opened with a store, or the keys are kept from this process.
pub fn minting_keys(keyring: &Keyring) -> Result<MintingKeys, KeysError> {
    let purposes = [Purpose::SessionSigning, Purpose::SessionOpening, Purpose::SessionSecret];
    let (key_id, [signing_seed, sealing_key, secret_key]) = keyring.sealing_generation(purposes)?;
    Ok(MintingKeys { key_id, signing_seed, sealing_key, secret_key })
}

/// What mints sessions under those keys.
pub(crate) fn minter(keyring: &Keyring) -> Result<SessionMinter, KeysError> {
    Ok(SessionMinter::new(&minting_keys(keyring)?)?)
}

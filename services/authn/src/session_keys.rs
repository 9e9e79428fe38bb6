//! The keys that open role sessions, out of the hub's keyring: without the seed that signs them.

use lanyard_iam::{SessionError, SessionOpener, session::OpeningKeys};
use lanyard_store::{Keyring, KeyringError, Purpose};

/// Why no session can be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionKeysError {
    /// The keyring has no keys for it.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// They are no keys.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// What opens sessions of every generation: those that were minted before a rotation live on to their end.
///
/// # Errors
/// [`SessionKeysError`] where the keyring was not opened with a store, or has other purposes' keys alone.
pub fn session_opener(keyring: &Keyring) -> Result<SessionOpener, SessionKeysError> {
    let purposes = [Purpose::SessionVerifying, Purpose::SessionOpening, Purpose::SessionSecret];
    let opening = keyring.generations(purposes)?.into_iter().map(
        |(key_id, [verifying_key, sealing_key, secret_key])| OpeningKeys {
            key_id,
            verifying_key: *verifying_key,
            sealing_key,
            secret_key,
        },
    );
    Ok(SessionOpener::new(&opening.collect::<Vec<_>>())?)
}

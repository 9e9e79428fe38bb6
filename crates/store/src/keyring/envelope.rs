//! The key under which the purposes' keys are kept.

use std::{fmt, path::Path};

use aws_lc_rs::rand;
use lanyard_kit::{
    ExposeSecret, SecretBytes, SecretString,
    tls::{read_secret_file, write_secret_file},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::ring::KeyringError;

/// Length of every key.
pub(super) const KEY_BYTES: usize = 32;

/// The key under which the purposes' keys lie in the database; itself never there.
#[derive(Clone)]
pub struct EnvelopeKey {
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

impl EnvelopeKey {
    /// Takes 32 random bytes.
    pub fn from_bytes(secret: [u8; KEY_BYTES]) -> Self {
        Self { secret: Zeroizing::new(secret) }
    }

    /// Takes 32 bytes that somebody else has made at random.
    pub(super) fn from_secret(secret: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { secret }
    }

    /// A new random one.
    ///
    /// # Errors
    /// [`KeyringError::Random`] where the system gives no random bytes.
    pub fn random() -> Result<Self, KeyringError> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(secret.as_mut()).map_err(|_| KeyringError::Random)?;
        Ok(Self { secret })
    }

    /// Reads 64 hex digits, as files and environment variables hold them; white space around them is allowed.
    ///
    /// # Errors
    /// [`KeyringError::Envelope`]; the text is not repeated.
    pub fn parse(text: &SecretString) -> Result<Self, KeyringError> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text.expose_secret().trim(), secret.as_mut())
            .map_err(|_| KeyringError::Envelope)?;
        Ok(Self { secret })
    }

    /// Reads the key from a file that only its owner may read, and makes both at the first start.
    ///
    /// # Errors
    /// [`KeyringError::File`] for a loose mode, a symbolic link and what else must not hold a key.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyringError> {
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        let key = Self::random()?;
        let text = Zeroizing::new(hex::encode(key.secret.as_slice()));
        write_secret_file(path, &SecretBytes::from(text.as_bytes().to_vec()))?;
        Ok(key)
    }

    /// Reads the key from such a file, if it is there.
    ///
    /// # Errors
    /// As [`Self::load_or_create`].
    pub fn load(path: &Path) -> Result<Option<Self>, KeyringError> {
        match read_secret_file(path) {
            Ok(bytes) => {
                let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| KeyringError::Envelope)?;
                Self::parse(&SecretString::from(text)).map(Some)
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Names the key without giving it away: the first 16 hex digits of a hash of it.
    pub fn id(&self) -> String {
        let digest =
            Sha256::new_with_prefix(b"lanyard envelope key").chain_update(self.secret.as_slice()).finalize();
        hex::encode(digest).chars().take(16).collect()
    }

    pub(super) fn secret(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }
}

impl fmt::Debug for EnvelopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvelopeKey")
    }
}

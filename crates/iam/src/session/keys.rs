//! The keys of sessions, and what both sides do with them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::err::SessionError;
use crate::id::SecretAccessKey;

/// What is sealed, signed and hashed says what it is for, so that no value of one purpose passes for another's.
const PURPOSE: &[u8] = b"lanyard role session 1\0";
/// The form of the token; the first byte of its header.
const VERSION: u8 = 1;

/// Version, key generation.
pub(super) const HEADER_BYTES: usize = 5;
/// Header, nonce.
pub(super) const PREFIX_BYTES: usize = HEADER_BYTES + NONCE_LEN;
/// An Ed25519 signature.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// The keys of one generation, which only the minting service holds.
pub struct MintingKeys {
    /// Names the generation, in the clear in each token.
    pub key_id: u32,
    /// The seed of the Ed25519 key that signs.
    pub signing_seed: Zeroizing<[u8; 32]>,
    /// The AES-256 key that seals.
    pub sealing_key: Zeroizing<[u8; 32]>,
    /// The HMAC key that turns a token into its secret.
    pub secret_key: Zeroizing<[u8; 32]>,
}

/// What a verifying service holds: it can open sessions and know their secrets, and cannot mint any.
#[derive(Clone)]
pub struct OpeningKeys {
    /// Names the generation.
    pub key_id: u32,
    /// The Ed25519 public key.
    pub verifying_key: [u8; 32],
    /// The AES-256 key that opens.
    pub sealing_key: Zeroizing<[u8; 32]>,
    /// The HMAC key that turns a token into its secret.
    pub secret_key: Zeroizing<[u8; 32]>,
}

impl MintingKeys {
    /// Fresh keys.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(key_id: u32, random: &dyn SecureRandom) -> Result<Self, SessionError> {
        let fresh = || {
            let mut key = Zeroizing::new([0u8; 32]);
            random.fill(key.as_mut_slice()).map(|()| key).map_err(|_| SessionError::Random)
        };
        Ok(Self { key_id, signing_seed: fresh()?, sealing_key: fresh()?, secret_key: fresh()? })
    }

    /// The half for verifiers.
    ///
    /// # Errors
    /// When the seed makes no key.
    pub fn opening_keys(&self) -> Result<OpeningKeys, SessionError> {
        let public = self.key_pair()?;
        let verifying_key = <[u8; 32]>::try_from(public.public_key().as_ref());
        Ok(OpeningKeys {
            key_id: self.key_id,
            verifying_key: verifying_key
                .map_err(|_| SessionError::Keys("the public key has not 32 bytes"))?,
            sealing_key: self.sealing_key.clone(),
            secret_key: self.secret_key.clone(),
        })
    }

    pub(super) fn key_pair(&self) -> Result<Ed25519KeyPair, SessionError> {
        Ed25519KeyPair::from_seed_unchecked(self.signing_seed.as_slice())
            .map_err(|_| SessionError::Keys("the seed makes no Ed25519 key"))
    }
}

impl fmt::Debug for MintingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintingKeys").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for OpeningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningKeys").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// What both sides share: the sealing key and the secret's key, ready for use.
pub(super) struct SharedKeys {
    pub(super) key_id: u32,
    pub(super) sealing: LessSafeKey,
    secret: hmac::Key,
}

impl SharedKeys {
    pub(super) fn new(
        key_id: u32,
        sealing_key: &[u8; 32],
        secret_key: &[u8; 32],
    ) -> Result<Self, SessionError> {
        let sealing = UnboundKey::new(&AES_256_GCM, sealing_key)
            .map_err(|_| SessionError::Keys("the sealing key is no AES-256 key"))?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret_key);
        Ok(Self { key_id, sealing: LessSafeKey::new(sealing), secret })
    }

    pub(super) fn header(&self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.key_id.to_be_bytes();
        [VERSION, a, b, c, d]
    }

    /// The secret that belongs to a token.
    pub(super) fn secret_of(&self, token: &str) -> SecretAccessKey {
        let mut mac = hmac::Context::with_key(&self.secret);
        mac.update(PURPOSE);
        mac.update(token.as_bytes());
        SecretAccessKey::new(STANDARD_NO_PAD.encode(mac.sign()))
    }
}

/// The key generation that a header names; none for a token of another form.
pub(super) fn key_id_of(header: [u8; HEADER_BYTES]) -> Option<u32> {
    let [version, a, b, c, d] = header;
    (version == VERSION).then(|| u32::from_be_bytes([a, b, c, d]))
}

/// What the seal covers beside the content: purpose, version and key generation.
pub(super) fn associated_data(header: [u8; HEADER_BYTES]) -> Aad<Vec<u8>> {
    Aad::from([PURPOSE, &header].concat())
}

/// What is signed: purpose, header, claims.
pub(super) fn signed_text(header: [u8; HEADER_BYTES], claims: &[u8]) -> Vec<u8> {
    [PURPOSE, &header, claims].concat()
}

//! Opening sessions.

use std::fmt;

use aws_lc_rs::aead::Nonce;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::claims::SessionClaims;
use super::err::SessionError;
use super::keys::{
    HEADER_BYTES, OpeningKeys, PREFIX_BYTES, SIGNATURE_BYTES, SharedKeys, associated_data, key_id_of,
    signed_text,
};
use super::wire::Wire;
use super::{SESSION_SKEW_MAX, SESSION_TOKEN_CHARS_MAX};
use crate::id::{AccessKeyId, SecretAccessKey};

/// Opens sessions of every generation of keys that it holds.
pub struct SessionOpener {
    generations: Vec<Generation>,
}

struct Generation {
    shared: SharedKeys,
    verifying: ParsedPublicKey,
}

/// A session that was opened: its claims, and the secret that its user signs with.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The session's key.
    pub access_key_id: AccessKeyId,
    /// What requests are signed with.
    pub secret_access_key: SecretAccessKey,
    /// What the session says about itself.
    pub claims: SessionClaims,
}

impl SessionOpener {
    /// An opener with these generations of keys; without any it refuses every token.
    ///
    /// # Errors
    /// When keys are unusable, or two generations have one name.
    pub fn new(keys: &[OpeningKeys]) -> Result<Self, SessionError> {
        let mut generations: Vec<Generation> = Vec::with_capacity(keys.len());
        for keys in keys {
            if generations.iter().any(|generation| generation.shared.key_id == keys.key_id) {
                return Err(SessionError::Keys("two generations have the same key id"));
            }
            generations.push(Generation {
                shared: SharedKeys::new(keys.key_id, &keys.sealing_key, &keys.secret_key)?,
                verifying: ParsedPublicKey::new(&ED25519, keys.verifying_key)
                    .map_err(|_| SessionError::Keys("the verifying key is no Ed25519 public key"))?,
            });
        }
        Ok(Self { generations })
    }

    /// Opens the token that came with an access key: sealed by us, signed by the minting service, of this key, and within
    /// its time. Whether its ancestors still are is the caller's to judge.
    ///
    /// # Errors
    /// As [`SessionError`] says.
    pub fn open(
        &self,
        access_key_id: &AccessKeyId,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<OpenedSession, SessionError> {
        if token.len() > SESSION_TOKEN_CHARS_MAX {
            return Err(SessionError::Malformed);
        }
        let mut sealed = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).map_err(|_| SessionError::Malformed)?);
        let (prefix, content) = sealed.split_at_mut_checked(PREFIX_BYTES).ok_or(SessionError::Malformed)?;
        let (header, nonce) = prefix.split_first_chunk::<HEADER_BYTES>().ok_or(SessionError::Malformed)?;
        let key_id = key_id_of(*header).ok_or(SessionError::Malformed)?;
        let generation = self.generations.iter().find(|generation| generation.shared.key_id == key_id);
        let Generation { shared, verifying } = generation.ok_or(SessionError::UnknownKey(key_id))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SessionError::Malformed)?;
        let content = shared
            .sealing
            .open_in_place(nonce, associated_data(*header), content)
            .map_err(|_| SessionError::Sealed)?;
        let (signature, claims) = content.split_at_checked(SIGNATURE_BYTES).ok_or(SessionError::Malformed)?;
        verifying.verify_sig(&signed_text(*header, claims), signature).map_err(|_| SessionError::Forged)?;
        let (owner, claims) = Wire::decode(claims)?;
        if owner != *access_key_id {
            return Err(SessionError::OtherAccessKey);
        }
        if now >= claims.expires_at {
            return Err(SessionError::Expired(claims.expires_at));
        }
        if claims.issued_at > now + SESSION_SKEW_MAX {
            return Err(SessionError::Future(claims.issued_at));
        }
        Ok(OpenedSession { access_key_id: owner, secret_access_key: shared.secret_of(token), claims })
    }
}

impl fmt::Debug for SessionOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key_ids: Vec<u32> = self.generations.iter().map(|generation| generation.shared.key_id).collect();
        f.debug_struct("SessionOpener").field("key_ids", &key_ids).finish_non_exhaustive()
    }
}

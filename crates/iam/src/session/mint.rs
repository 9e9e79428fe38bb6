//! Minting sessions.

use std::fmt;

use aws_lc_rs::aead::{NONCE_LEN, Nonce};
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::SESSION_TOKEN_CHARS_MAX;
use super::claims::SessionClaims;
use super::err::SessionError;
use super::keys::{MintingKeys, PREFIX_BYTES, SharedKeys, associated_data, signed_text};
use super::wire::Wire;
use crate::id::{AccessKeyId, Credentials, SessionToken};

/// Mints sessions with one generation of keys.
pub struct SessionMinter {
    shared: SharedKeys,
    signing: Ed25519KeyPair,
}

/// A fresh session: what its user gets, once.
#[derive(Clone, Debug)]
pub struct MintedSession {
    /// Access key id, secret and token.
    pub credentials: Credentials,
    /// When they end.
    pub expires_at: OffsetDateTime,
    /// How much of the room in the token is used, in percent: AWS's `PackedPolicySize`.
    pub packed_percent: u8,
}

impl SessionMinter {
    /// A minter with these keys.
    ///
    /// # Errors
    /// When the keys are unusable.
    pub fn new(keys: &MintingKeys) -> Result<Self, SessionError> {
        let shared = SharedKeys::new(keys.key_id, &keys.sealing_key, &keys.secret_key)?;
        Ok(Self { shared, signing: keys.key_pair()? })
    }

    /// Mints a session under a fresh access key id.
    ///
    /// # Errors
    /// When a claim is out of its rule, the token would be too long, or there is no randomness.
    pub fn mint(
        &self,
        claims: &SessionClaims,
        random: &dyn SecureRandom,
    ) -> Result<MintedSession, SessionError> {
        claims.validate()?;
        let access_key_id = AccessKeyId::generate_local_session(claims.principal.account, fill(random)?);
        let encoded = Zeroizing::new(Wire::encode(claims, &access_key_id)?);
        let header = self.shared.header();
        let signature = self.signing.sign(&signed_text(header, &encoded));
        let mut content = Vec::with_capacity(encoded.len() + 96);
        content.extend_from_slice(signature.as_ref());
        content.extend_from_slice(&encoded);
        let nonce: [u8; NONCE_LEN] = fill(random)?;
        self.shared
            .sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                associated_data(header),
                &mut content,
            )
            .map_err(|_| SessionError::Keys("the sealing key does not seal"))?;
        let mut sealed = Vec::with_capacity(PREFIX_BYTES + content.len());
        for part in [header.as_slice(), &nonce, &content] {
            sealed.extend_from_slice(part);
        }
        let token = URL_SAFE_NO_PAD.encode(sealed);
        let chars = token.len();
        if chars > SESSION_TOKEN_CHARS_MAX {
            return Err(SessionError::PackedPolicyTooLarge { chars, max: SESSION_TOKEN_CHARS_MAX });
        }
        let secret_access_key = self.shared.secret_of(&token);
        Ok(MintedSession {
            credentials: Credentials {
                access_key_id,
                secret_access_key,
                session_token: Some(SessionToken::new(token)),
            },
            expires_at: claims.expires_at,
            packed_percent: u8::try_from(chars * 100 / SESSION_TOKEN_CHARS_MAX).unwrap_or(100),
        })
    }
}

impl fmt::Debug for SessionMinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMinter").field("key_id", &self.shared.key_id).finish_non_exhaustive()
    }
}

fn fill<const N: usize>(random: &dyn SecureRandom) -> Result<[u8; N], SessionError> {
    let mut bytes = [0u8; N];
    random.fill(&mut bytes).map(|()| bytes).map_err(|_| SessionError::Random)
}

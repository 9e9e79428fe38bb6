//! The keys of an issuer (RFC 7517 section 5), and which of them may have signed a token.

use lanyard_kit::json::{Bounds, JsonFault, read_object};
use serde_json::Value;

use crate::algorithm::Algorithm;
use crate::jwk::{Key, SkipReason, kid_of};
use crate::jwt::Signed;
use crate::refusal::JwtRefusal;
use crate::shown::shown;

/// Longest key set, in bytes; Entra ID's, with a chain of certificates for each key, has about 15 KiB.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// Most keys of a set. Issuers have two or three.
pub const KEYS_MAX: usize = 100;
/// Most keys that one token's signature is tried with: those of one `kid` and algorithm, or all of the algorithm where the
/// token names no key. An RSA key costs some 20 µs.
pub const CANDIDATES_MAX: usize = 8;
/// A key has flat members, and lists in two of them.
const BOUNDS: Bounds = Bounds { depth_max: 6, items_max: KEYS_MAX };

/// Why a document is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Longer than [`JWKS_BYTES_MAX`].
    #[error("the key set has {0} bytes, at most {max} are read", max = JWKS_BYTES_MAX)]
    TooLong(usize),
    /// More than [`KEYS_MAX`] keys, or a list as long within one.
    #[error("the key set has more than {max} keys", max = KEYS_MAX)]
    TooManyKeys,
    /// Not a JSON object, or nested too deep.
    #[error("the key set is not a JSON object of known depth")]
    Json,
    /// A member stands twice.
    #[error("the key set has the member `{0}` twice")]
    DuplicateMember(String),
    /// No list of keys.
    #[error("the key set has no list `keys`")]
    NoKeys,
}

/// A key that was left out of a set, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its id, where it has a proper one.
    pub kid: Option<String>,
    /// Why.
    pub reason: SkipReason,
}

/// The keys of an issuer that can verify tokens, parsed once.
#[derive(Debug)]
pub struct Jwks {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// The list of a key set, whose keys are not read yet.
pub(crate) fn key_list(document: &[u8]) -> Result<Vec<Value>, JwksError> {
    if document.len() > JWKS_BYTES_MAX {
        return Err(JwksError::TooLong(document.len()));
    }
    let mut members = read_object(document, BOUNDS).map_err(|fault| match fault {
        JsonFault::Syntax | JsonFault::NotAnObject | JsonFault::TooDeep(_) => JwksError::Json,
        JsonFault::TooMany(_) => JwksError::TooManyKeys,
        JsonFault::Duplicate(name) => JwksError::DuplicateMember(shown(&name)),
    })?;
    match members.remove("keys") {
        Some(Value::Array(list)) => Ok(list),
        _ => Err(JwksError::NoKeys),
    }
}

impl Jwks {
    /// Reads a key set. Keys that cannot be used are left out; a set without any is one that verifies nothing.
    ///
    /// # Errors
    /// [`JwksError`] when it is no key set, or too big to be an honest one, which is found out before any key is read.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let list = key_list(document)?;
        let mut set = Self { keys: Vec::with_capacity(list.len()), skipped: Vec::new() };
        for jwk in &list {
            match Key::read(jwk) {
                Ok(key) => set.keys.push(key),
                Err(reason) => {
                    let kid = jwk.as_object().and_then(|jwk| kid_of(jwk).ok()).flatten();
                    set.skipped.push(SkippedKey { kid, reason });
                }
            }
        }
        Ok(set)
    }

    /// Reads keys that stand each by itself, as a set.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_keys<'k>(jwks: impl IntoIterator<Item = &'k str>) -> Result<Self, JwksError> {
        let keys: Vec<&str> = jwks.into_iter().collect();
        Self::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    /// How many keys can verify tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that were left out.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether a key that can be used has this id.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Verifies a signature with the keys that the token may mean and that permit its algorithm.
    ///
    /// A `kid` is compared with those of the keys, of which there are few: that allocates nothing and needs no index. Where
    /// several keys have it (RFC 7517 section 4.5 allows that for keys of different types), each is tried.
    pub(crate) fn verify(&self, signed: &Signed<'_>) -> Result<(), JwtRefusal> {
        let algorithm = signed.header.algorithm;
        let wanted = signed.header.kid.as_deref();
        let meant = |key: &&Key| wanted.is_none() || key.kid.as_deref() == wanted;
        let candidates = || self.keys.iter().filter(meant).filter_map(|key| key.verifier(algorithm));
        match candidates().count() {
            0 => return Err(self.no_candidate(wanted, algorithm)),
            count if count > CANDIDATES_MAX => return Err(JwtRefusal::AmbiguousKey(count)),
            _ => {}
        }
        let verifies =
            candidates().any(|key| key.verify_sig(signed.input.as_bytes(), &signed.signature).is_ok());
        if verifies { Ok(()) } else { Err(JwtRefusal::Signature) }
    }

    fn no_candidate(&self, wanted: Option<&str>, algorithm: Algorithm) -> JwtRefusal {
        let Some(wanted) = wanted else { return JwtRefusal::NoKeyFor(algorithm) };
        let kid = shown(wanted);
        if self.has(wanted) {
            return JwtRefusal::KeyAlgorithm { kid, algorithm };
        }
        match self.skipped.iter().find(|key| key.kid.as_deref() == Some(wanted)) {
            Some(skipped) => JwtRefusal::UnusableKey { kid, reason: skipped.reason },
            None => JwtRefusal::UnknownKey(kid),
        }
    }
}

#[cfg(test)]
mod tests;

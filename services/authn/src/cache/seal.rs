//! Sealing of kept answers: AES-256-GCM, bound to the key that they lie under.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use lanyard_api::Fault;
use zeroize::Zeroizing;

use super::CacheKey;

/// One generation of the cache's key.
#[derive(Clone)]
pub(crate) struct SealKey {
    /// Names it in the clear.
    pub(crate) id: u32,
    /// 256 bits.
    pub(crate) key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

/// Seals under the first of its keys, opens under any.
pub(crate) struct Sealer {
    keys: Vec<(u32, LessSafeKey)>,
}

const ID_BYTES: usize = 4;

impl Sealer {
    /// A sealer with these generations, the newest first.
    ///
    /// # Errors
    /// [`Fault::Internal`] when there is none, or the crypto library does not take one.
    pub(crate) fn new(keys: &[SealKey]) -> Result<Self, Fault> {
        let generation = |one: &SealKey| {
            let key = UnboundKey::new(&AES_256_GCM, one.key.as_slice()).map_err(|_| Fault::Internal)?;
            Ok((one.id, LessSafeKey::new(key)))
        };
        let keys: Vec<_> = keys.iter().map(generation).collect::<Result<_, Fault>>()?;
        if keys.is_empty() { Err(Fault::Internal) } else { Ok(Self { keys }) }
    }

    pub(super) fn seal(&self, place: &CacheKey, plain: &[u8]) -> Result<Vec<u8>, Fault> {
        let (id, key) = self.keys.first().ok_or(Fault::Internal)?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Fault::Internal)?;
        let mut body = plain.to_vec();
        let nonce_value = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce_value, associated(*id, place), &mut body)
            .map_err(|_| Fault::Internal)?;
        let mut sealed = Vec::with_capacity(ID_BYTES + NONCE_LEN + body.len());
        sealed.extend(id.to_be_bytes());
        sealed.extend(nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// What was sealed for this very place; none for anything else.
    pub(super) fn open(&self, place: &CacheKey, sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_first_chunk::<ID_BYTES>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let id = u32::from_be_bytes(*id);
        let (_, key) = self.keys.iter().find(|(known, _)| *known == id)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, associated(id, place), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

/// What the values are, and in which form: another form is another text.
const ABOUT: &[u8; 21] = b"lanyard token cache 2";
const ASSOCIATED_BYTES: usize = ABOUT.len() + ID_BYTES + 32;

fn associated(id: u32, place: &CacheKey) -> Aad<[u8; ASSOCIATED_BYTES]> {
    let mut data = [0; ASSOCIATED_BYTES];
    let parts = ABOUT.iter().copied().chain(id.to_be_bytes()).chain(*place.as_bytes());
    for (to, from) in data.iter_mut().zip(parts) {
        *to = from;
    }
    Aad::from(data)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::ClusterUid;
    use lanyard_iam::TokenDigest;

    use super::*;

    fn key(id: u32, byte: u8) -> SealKey {
        SealKey { id, key: Zeroizing::new([byte; 32]) }
    }

    #[test]
    fn immunity_38_a_value_opens_only_where_it_was_sealed_and_as_it_was() {
        let sealer = Sealer::new(&[key(1, 1)]).unwrap();
        let place = |token| CacheKey::of(&TokenDigest::of(token), ClusterUid(uuid::Uuid::nil()), &[]);
        let sealed = sealer.seal(&place("mine"), b"ana").unwrap();
        assert_eq!(sealer.open(&place("mine"), &sealed).as_deref(), Some(&b"ana"[..]));
        assert_eq!(sealer.open(&place("yours"), &sealed), None, "under another key");
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1;
            assert_eq!(sealer.open(&place("mine"), &altered), None, "byte {byte}");
        }
        for length in 0..sealed.len() {
            assert_eq!(sealer.open(&place("mine"), &sealed[..length]), None, "cut to {length}");
        }
        let other = Sealer::new(&[key(1, 2)]).unwrap();
        assert_eq!(other.open(&place("mine"), &sealed), None, "another hub's key");
        assert!(!sealed.windows(3).any(|window| window == b"ana"));
    }

    #[test]
    fn an_older_generation_opens_and_does_not_seal() {
        let place = CacheKey::of(&TokenDigest::of("t"), ClusterUid(uuid::Uuid::nil()), &[]);
        let old = Sealer::new(&[key(1, 1)]).unwrap().seal(&place, b"ana").unwrap();
        let rotated = Sealer::new(&[key(2, 2), key(1, 1)]).unwrap();
        assert_eq!(rotated.open(&place, &old).as_deref(), Some(&b"ana"[..]));
        assert_eq!(rotated.seal(&place, b"bo").unwrap()[..4], 2u32.to_be_bytes());
        assert!(Sealer::new(&[]).is_err());
    }
}

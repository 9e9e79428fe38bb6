//! Sealed bytes and where they belong.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use zeroize::Zeroizing;

use super::purpose::Purpose;
use crate::record::Record;

/// The layout that [`Sealed`] begins with.
const LAYOUT: u8 = 1;
const VERSION_BYTES: usize = 4;
const HEAD_BYTES: usize = 1 + VERSION_BYTES + NONCE_LEN;

/// Where a sealed value belongs: part of its associated data, so that it opens nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The table, or what takes its place (`token_cache`).
    pub table: String,
    /// The row's key.
    pub row: String,
    /// Whose row it is.
    pub owner: String,
}

impl Place {
    /// A place by its three names.
    pub fn new(table: impl Into<String>, row: impl Into<String>, owner: impl Into<String>) -> Self {
        Self { table: table.into(), row: row.into(), owner: owner.into() }
    }

    /// The place of a record's own secret: its kind, its key, its scope. Deleting the record deletes the secret too.
    pub fn of<R: Record>(record: &R) -> Self {
        Self::new(R::KIND.as_str(), record.key(), record.scope().to_string())
    }
}

/// A value that only its key, its purpose and its place open.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes bytes as they were stored. Whether they are any good shows when they are opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The version of the purpose's key that sealed it.
    pub(crate) fn version(&self) -> Option<u32> {
        let (layout, rest) = self.0.split_first()?;
        let version = rest.first_chunk::<VERSION_BYTES>()?;
        (*layout == LAYOUT).then(|| u32::from_be_bytes(*version))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// The crypto library did not do its work, or the value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unopened;

/// What binds a value: every part with its length, so that none can lend characters to the next.
fn associated_data(purpose: &str, version: u32, place: &Place) -> Vec<u8> {
    let mut data = b"lanyard sealed value".to_vec();
    data.push(LAYOUT);
    data.extend(version.to_be_bytes());
    for part in [purpose, &place.table, &place.row, &place.owner] {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part.as_bytes());
    }
    data
}

/// Seals under a key of a purpose.
pub(super) fn seal(
    key: &[u8; 32],
    purpose: Purpose,
    version: u32,
    place: &Place,
    plain: &[u8],
) -> Result<Sealed, Unopened> {
    seal_as(key, purpose.as_str(), version, place, plain)
}

/// Opens with a key of a purpose.
pub(super) fn open(
    key: &[u8; 32],
    purpose: Purpose,
    place: &Place,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    open_as(key, purpose.as_str(), place, sealed)
}

pub(super) fn seal_as(
    key: &[u8; 32],
    purpose: &str,
    version: u32,
    place: &Place,
    plain: &[u8],
) -> Result<Sealed, Unopened> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| Unopened)?;
    let mut body = Zeroizing::new(Vec::with_capacity(plain.len() + AES_256_GCM.tag_len()));
    body.extend_from_slice(plain);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| Unopened)?);
    let data = Aad::from(associated_data(purpose, version, place));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), data, &mut *body)
        .map_err(|_| Unopened)?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.push(LAYOUT);
    bytes.extend(version.to_be_bytes());
    bytes.extend(nonce);
    bytes.extend_from_slice(&body);
    Ok(Sealed(bytes))
}

pub(super) fn open_as(
    key: &[u8; 32],
    purpose: &str,
    place: &Place,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let version = sealed.version().ok_or(Unopened)?;
    let (head, body) = sealed.0.split_at_checked(HEAD_BYTES).ok_or(Unopened)?;
    let nonce = head.last_chunk::<NONCE_LEN>().ok_or(Unopened)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| Unopened)?);
    let data = Aad::from(associated_data(purpose, version, place));
    let mut body = Zeroizing::new(body.to_vec());
    let length =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), data, &mut body).map_err(|_| Unopened)?.len();
    body.truncate(length);
    Ok(body)
}

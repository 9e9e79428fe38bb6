//! The proof: the one value in a user's `extra` by which authz knows that mapping gave this user this grant.
//!
//! `extra` alone proves nothing, for whoever may impersonate can set it. So mapping MACs the grant, keyed hashes of whom
//! it is for, and an end, together with username and groups; authz gives access-policy permissions only where the MAC
//! fits the review. A session's proof names all that the session descends from too, so that it ends with any of that; and the
//! instance of a node that EC2 has named, for only so does authz know that no bound name is behind it. A reader that does not know a
//! kind of kin takes the value for no proof, and denies. The
//! value is base64url of a layout with a hard maximum, so that reading it allocates nothing:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version |
//! | 4 | number of the key |
//! | 16 | cluster uid |
//! | 1 | kind of grant |
//! | 1 | flags: local, has a session |
//! | 16 + 8 | the grant's number and revision |
//! | 4 × 16 | handles of account, principal, unique id and access key; or of issuer and subject, and zeros |
//! | 16 | handle of the session, where there is one |
//! | 8 + 8 | minted at, not after |
//! | 1 | how many kin |
//! | 17 each | a kin's kind and handle |
//! | 32 | MAC over all of this, username and groups |

mod key;
mod kin;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use uuid::Uuid;

use self::key::{HANDLE_BYTES, update_sized};
pub use self::{
    key::{Handle, Handles, ProofKey},
    kin::{KIN_MAX, KinError, KinHandle, KinHandles, KinKind},
};
use crate::{
    ids::{ClusterUid, EntryId, Revision},
    mapping::GrantKind,
};

/// The key under which the proof stands in `extra`: lower case, as the API server makes impersonated keys.
pub const EXTRA_KEY: &str = "lanyard.dev/proof";

/// The key under which the canonical ARN stands there (aws-iam-authenticator's, in lower case). It proves nothing by itself.
pub const CANONICAL_ARN_KEY: &str = "canonicalarn";

/// The group that the API server adds by itself; never part of the MAC.
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";

const VERSION: u8 = 2;
const MAC_BYTES: usize = 32;
/// Of somebody without session or kin.
const BODY_BYTES_MIN: usize = 1 + 4 + 16 + 1 + 1 + 16 + 8 + 4 * HANDLE_BYTES + 8 + 8 + 1;
const BODY_BYTES_MAX: usize = BODY_BYTES_MIN + HANDLE_BYTES + KIN_MAX * KinHandle::BYTES;
const PROOF_BYTES_MAX: usize = BODY_BYTES_MAX + MAC_BYTES;
/// Most characters of a proof: that of a session at the end of the longest chain, each link in an account of its own.
pub const PROOF_CHARS_MAX: usize = chars(PROOF_BYTES_MAX);
const PROOF_CHARS_MIN: usize = chars(BODY_BYTES_MIN + MAC_BYTES);

/// Where the grant's number ends: a multiple of three, so that base64 can be cut there.
const GRANT_END: usize = 1 + 4 + 16 + 1 + 1 + 16;

const LOCAL: u8 = 1;
const HAS_SESSION: u8 = 2;

/// How long so many bytes are in base64 without padding.
const fn chars(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// What a proof says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The cluster it is for.
    pub cluster: ClusterUid,
    /// What kind of thing gave the grant.
    pub grant_kind: GrantKind,
    /// The grant's number.
    pub grant: EntryId,
    /// The cluster's revision when it was minted.
    pub revision: Revision,
    /// Whom it is for.
    pub handles: Handles,
    /// What their session descends from, and the instance that it is of where EC2 named it.
    pub kin: KinHandles,
    /// Whether the hub keeps this principal and key itself, so that they have to be alive.
    pub local: bool,
    /// When it was minted, in whole milliseconds: sessions of a role that were revoked later do not count.
    pub minted_at: OffsetDateTime,
    /// The end, in whole seconds.
    pub not_after: OffsetDateTime,
}

/// Why a value is not a proof for this review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not of the layout.
    #[error("not a proof")]
    Malformed,
    /// Made with a key that is not known (any more).
    #[error("made with an unknown key")]
    UnknownKey,
    /// Forged, or for another user, groups or cluster.
    #[error("does not fit this user, groups and cluster")]
    Mismatch,
    /// Its end has passed.
    #[error("too old")]
    Expired,
}

impl Proof {
    /// The value for `extra`. Groups may come in any order and with doubles.
    pub fn mint(&self, key: &ProofKey, username: &str, groups: &[String]) -> String {
        let Handles { account, principal, principal_id, access_key, session } = self.handles;
        let has_session = session != Handle::NONE;
        let mut bytes = Vec::with_capacity(PROOF_BYTES_MAX);
        bytes.push(VERSION);
        bytes.extend(key.id.to_be_bytes());
        bytes.extend(self.cluster.0.as_bytes());
        bytes.push(kind_byte(self.grant_kind));
        bytes.push(if self.local { LOCAL } else { 0 } | if has_session { HAS_SESSION } else { 0 });
        bytes.extend(self.grant.0.as_bytes());
        bytes.extend(self.revision.0.to_be_bytes());
        for handle in [account, principal, principal_id, access_key] {
            bytes.extend(handle.0);
        }
        if has_session {
            bytes.extend(session.0);
        }
        bytes.extend(unix_millis(self.minted_at).to_be_bytes());
        bytes.extend(self.not_after.unix_timestamp().to_be_bytes());
        self.kin.write(&mut bytes);
        let mac = mac_of(key, &bytes, username, groups);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a value and holds it against the review's cluster, username and groups.
    pub fn verify(
        value: &str,
        keys: &[ProofKey],
        cluster: ClusterUid,
        username: &str,
        groups: &[String],
        now: OffsetDateTime,
    ) -> Result<Self, ProofError> {
        if !(PROOF_CHARS_MIN..=PROOF_CHARS_MAX).contains(&value.len()) {
            return Err(ProofError::Malformed);
        }
        let mut buffer = [0; PROOF_BYTES_MAX];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut buffer).map_err(|_| ProofError::Malformed)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        let (body, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(ProofError::Malformed)?;
        let mut reader = Reader(body);
        if reader.array::<1>()? != [VERSION] {
            return Err(ProofError::Malformed);
        }
        let key_id = u32::from_be_bytes(reader.array()?);
        let key = keys.iter().find(|key| key.id == key_id).ok_or(ProofError::UnknownKey)?;
        if !bool::from(mac_of(key, body, username, groups).ct_eq(mac.as_slice())) {
            return Err(ProofError::Mismatch);
        }
        let proof = Self::read(&mut reader)?;
        if proof.cluster != cluster {
            return Err(ProofError::Mismatch);
        }
        if now > proof.not_after {
            return Err(ProofError::Expired);
        }
        Ok(proof)
    }

    /// The access entry that a value names, if it names one. Nothing of it is verified: it is for records of what was asked,
    /// and decides nothing.
    pub fn claimed_entry(value: &str) -> Option<EntryId> {
        let mut bytes = [0; GRANT_END];
        let length = URL_SAFE_NO_PAD.decode_slice(value.get(..chars(GRANT_END))?, &mut bytes).ok()?;
        let mut reader = Reader(bytes.get(..length)?);
        let [version] = reader.array().ok()?;
        let (_key, _cluster): ([u8; 4], [u8; 16]) = (reader.array().ok()?, reader.array().ok()?);
        let [kind, _flags] = reader.array().ok()?;
        let grant = EntryId(Uuid::from_bytes(reader.array().ok()?));
        (version == VERSION && kind == kind_byte(GrantKind::AccessEntry)).then_some(grant)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProofError> {
        let cluster = ClusterUid(Uuid::from_bytes(reader.array()?));
        let grant_kind = match reader.array()? {
            [1] => GrantKind::AccessEntry,
            [2] => GrantKind::AwsAuth,
            [3] => GrantKind::IdentityProvider,
            [4] => GrantKind::BreakGlass,
            [_] => return Err(ProofError::Malformed),
        };
        let [flags] = reader.array()?;
        if flags & !(LOCAL | HAS_SESSION) != 0 {
            return Err(ProofError::Malformed);
        }
        let grant = EntryId(Uuid::from_bytes(reader.array()?));
        let revision = Revision(u64::from_be_bytes(reader.array()?));
        let handles = Handles {
            account: Handle(reader.array()?),
            principal: Handle(reader.array()?),
            principal_id: Handle(reader.array()?),
            access_key: Handle(reader.array()?),
            session: if flags & HAS_SESSION != 0 { Handle(reader.array()?) } else { Handle::NONE },
        };
        let minted_at = i128::from(i64::from_be_bytes(reader.array()?)) * NANOS_PER_MILLI;
        let minted_at =
            OffsetDateTime::from_unix_timestamp_nanos(minted_at).map_err(|_| ProofError::Malformed)?;
        let not_after = OffsetDateTime::from_unix_timestamp(i64::from_be_bytes(reader.array()?))
            .map_err(|_| ProofError::Malformed)?;
        let kin = KinHandles::read(reader)?;
        if !reader.0.is_empty() {
            return Err(ProofError::Malformed);
        }
        let local = flags & LOCAL != 0;
        Ok(Self { cluster, grant_kind, grant, revision, handles, kin, local, minted_at, not_after })
    }
}

const NANOS_PER_MILLI: i128 = 1_000_000;

fn unix_millis(at: OffsetDateTime) -> i64 {
    // Beyond 292 million years there is no clock to have told it.
    i64::try_from(at.unix_timestamp_nanos() / NANOS_PER_MILLI).unwrap_or(i64::MAX)
}

fn kind_byte(kind: GrantKind) -> u8 {
    match kind {
        GrantKind::AccessEntry => 1,
        GrantKind::AwsAuth => 2,
        GrantKind::IdentityProvider => 3,
        GrantKind::BreakGlass => 4,
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProofError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(ProofError::Malformed)?;
        self.0 = tail;
        Ok(*head)
    }
}

/// Most groups that are sorted without touching the heap.
const GROUPS_INLINE: usize = 16;

fn mac_of(key: &ProofKey, body: &[u8], username: &str, groups: &[String]) -> [u8; MAC_BYTES] {
    let mut mac = key.mac.clone();
    mac.update(b"proof");
    update_sized(&mut mac, body);
    update_sized(&mut mac, username.as_bytes());
    let mut inline = [""; GROUPS_INLINE];
    let mut heap = Vec::new();
    let counted = groups.iter().map(String::as_str).filter(|group| *group != AUTHENTICATED_GROUP);
    let sorted: &mut [&str] = if groups.len() <= GROUPS_INLINE {
        let mut filled = 0;
        for (slot, group) in inline.iter_mut().zip(counted) {
            *slot = group;
            filled += 1;
        }
        inline.get_mut(..filled).unwrap_or_default()
    } else {
        heap.extend(counted);
        &mut heap
    };
    sorted.sort_unstable();
    let mut before = None;
    for group in sorted.iter() {
        if before != Some(group) {
            update_sized(&mut mac, group.as_bytes());
        }
        before = Some(group);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;

//! The proof: the one value in a user's `extra` by which authz knows that mapping gave this user this grant.
//!
//! `extra` alone proves nothing, for whoever may impersonate can set it. So mapping MACs the grant, keyed hashes of whom
//! it is for, and an end, together with username and groups; authz gives access-policy permissions only where the MAC
//! fits the review. The value is base64url of a fixed layout, so that reading it allocates nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use lanyard_iam::AccessKeyId;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    identity::{Authority, Identity},
    ids::{ClusterUid, EntryId, Revision},
    mapping::GrantKind,
};

/// The key under which the proof stands in `extra`: lower case, as the API server makes impersonated keys.
pub const EXTRA_KEY: &str = "lanyard.dev/proof";

/// The group that the API server adds by itself; never part of the MAC.
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";

const VERSION: u8 = 1;
const HANDLE_BYTES: usize = 16;
const HANDLES: usize = 5;
const MAC_BYTES: usize = 32;
const BODY_BYTES: usize = 1 + 4 + 16 + 1 + 1 + 16 + 8 + HANDLES * HANDLE_BYTES + 8 + 8;
const PROOF_BYTES: usize = BODY_BYTES + MAC_BYTES;
const PROOF_CHARS: usize = (PROOF_BYTES * 4).div_ceil(3);

/// A keyed hash of whom a proof is for: it lets authz look blocks up, and tells a reader of audit lines nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub [u8; HANDLE_BYTES]);

impl Handle {
    /// No such part: a user has no session.
    pub const NONE: Self = Self([0; HANDLE_BYTES]);
}

/// The secret that mapping mints and authz verifies with. Prints nothing of itself.
#[derive(Clone)]
pub struct ProofKey {
    id: u32,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProofKey({})", self.id)
    }
}

impl ProofKey {
    /// A key with its number, which the proof names.
    pub fn new(id: u32, secret: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Self { id, mac: Hmac::new(&block.into()) }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn handle(&self, purpose: u8, fill: impl FnOnce(&mut Hmac<Sha256>)) -> Handle {
        let mut mac = self.mac.clone();
        mac.update(b"handle");
        mac.update(&[purpose]);
        fill(&mut mac);
        let mut handle = [0; HANDLE_BYTES];
        for (to, from) in handle.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        Handle(handle)
    }

    /// The handle of an account.
    pub fn account(&self, authority: &Authority, account: &str) -> Handle {
        self.handle(1, |mac| {
            update_authority(mac, authority);
            update_sized(mac, account.as_bytes());
        })
    }

    /// The handle of a principal by its canonical ARN, whatever the letter case: IAM tells names apart ignoring it, and a
    /// block is written by hand.
    pub fn principal(&self, authority: &Authority, canonical_arn: &str) -> Handle {
        self.handle(2, |mac| {
            update_authority(mac, authority);
            update_folded(mac, canonical_arn);
        })
    }

    /// The handle of a principal by its unique id.
    pub fn principal_id(&self, authority: &Authority, principal_id: &str) -> Handle {
        self.handle(3, |mac| {
            update_authority(mac, authority);
            update_sized(mac, principal_id.as_bytes());
        })
    }

    /// The handle of an access key.
    pub fn access_key(&self, access_key_id: &str) -> Handle {
        self.handle(4, |mac| update_sized(mac, access_key_id.as_bytes()))
    }

    /// The handle of a role session: the role's letter case does not count, the session's does.
    pub fn session(&self, authority: &Authority, canonical_arn: &str, name: &str) -> Handle {
        self.handle(5, |mac| {
            update_authority(mac, authority);
            update_folded(mac, canonical_arn);
            update_sized(mac, name.as_bytes());
        })
    }

    /// All handles of an identity. The access key is the long-term one where the hub knows it: a local session's ancestor.
    pub fn handles(&self, identity: &Identity) -> Handles {
        let Identity { authority, canonical_arn, .. } = identity;
        // In a chain of sessions the keys of those before are among the ancestors too; they are no user's.
        let mut keys = identity.ancestors.iter().filter_map(|ancestor| ancestor.strip_prefix("key/"));
        let origin = keys.find(|key| !key.starts_with(AccessKeyId::LOCAL_SESSION_PREFIX));
        Handles {
            account: self.account(authority, identity.account.as_str()),
            principal: self.principal(authority, canonical_arn.as_str()),
            principal_id: self.principal_id(authority, &identity.principal_id),
            access_key: self.access_key(origin.unwrap_or(identity.access_key_id.as_str())),
            session: match &identity.session_name {
                Some(name) => self.session(authority, canonical_arn.as_str(), name),
                None => Handle::NONE,
            },
        }
    }
}

fn update_sized(mac: &mut Hmac<Sha256>, bytes: &[u8]) {
    mac.update(&(bytes.len() as u64).to_be_bytes());
    mac.update(bytes);
}

/// An authority as its text, without making it.
fn update_authority(mac: &mut Hmac<Sha256>, authority: &Authority) {
    let (head, name) = match authority {
        Authority::Aws => ("aws", ""),
        Authority::Local => ("local", ""),
        Authority::Sts(name) => ("sts:", name.as_str()),
    };
    mac.update(&((head.len() + name.len()) as u64).to_be_bytes());
    mac.update(head.as_bytes());
    mac.update(name.as_bytes());
}

/// A text in lower case, a piece at a time.
fn update_folded(mac: &mut Hmac<Sha256>, text: &str) {
    mac.update(&(text.len() as u64).to_be_bytes());
    for piece in text.as_bytes().chunks(64) {
        let mut folded = [0; 64];
        for (to, from) in folded.iter_mut().zip(piece) {
            *to = from.to_ascii_lowercase();
        }
        mac.update(folded.get(..piece.len()).unwrap_or_default());
    }
}

/// The keyed hashes of one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handles {
    /// Of its account.
    pub account: Handle,
    /// Of its canonical ARN.
    pub principal: Handle,
    /// Of its unique id.
    pub principal_id: Handle,
    /// Of the long-term key behind it, or the key that signed.
    pub access_key: Handle,
    /// Of its session, or [`Handle::NONE`].
    pub session: Handle,
}

impl Handles {
    fn all(&self) -> [Handle; HANDLES] {
        [self.account, self.principal, self.principal_id, self.access_key, self.session]
    }
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
        let mut bytes = Vec::with_capacity(PROOF_BYTES);
        bytes.push(VERSION);
        bytes.extend(key.id.to_be_bytes());
        bytes.extend(self.cluster.0.as_bytes());
        bytes.push(kind_byte(self.grant_kind));
        bytes.push(u8::from(self.local));
        bytes.extend(self.grant.0.as_bytes());
        bytes.extend(self.revision.0.to_be_bytes());
        for handle in self.handles.all() {
            bytes.extend(handle.0);
        }
        bytes.extend(unix_millis(self.minted_at).to_be_bytes());
        bytes.extend(self.not_after.unix_timestamp().to_be_bytes());
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
        if value.len() != PROOF_CHARS {
            return Err(ProofError::Malformed);
        }
        let mut bytes = [0; PROOF_BYTES];
        URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).map_err(|_| ProofError::Malformed)?;
        let (body, mac) = bytes.split_at(BODY_BYTES);
        let mut reader = Reader(body);
        if reader.array::<1>()? != [VERSION] {
            return Err(ProofError::Malformed);
        }
        let key_id = u32::from_be_bytes(reader.array()?);
        let key = keys.iter().find(|key| key.id == key_id).ok_or(ProofError::UnknownKey)?;
        if !bool::from(mac_of(key, body, username, groups).ct_eq(mac)) {
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

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProofError> {
        let cluster = ClusterUid(Uuid::from_bytes(reader.array()?));
        let grant_kind = match reader.array()? {
            [1] => GrantKind::AccessEntry,
            [2] => GrantKind::AwsAuth,
            [3] => GrantKind::IdentityProvider,
            [4] => GrantKind::BreakGlass,
            [_] => return Err(ProofError::Malformed),
        };
        let local = reader.array()? == [1];
        let grant = EntryId(Uuid::from_bytes(reader.array()?));
        let revision = Revision(u64::from_be_bytes(reader.array()?));
        let handles = Handles {
            account: Handle(reader.array()?),
            principal: Handle(reader.array()?),
            principal_id: Handle(reader.array()?),
            access_key: Handle(reader.array()?),
            session: Handle(reader.array()?),
        };
        let minted_at = i128::from(i64::from_be_bytes(reader.array()?)) * NANOS_PER_MILLI;
        let minted_at =
            OffsetDateTime::from_unix_timestamp_nanos(minted_at).map_err(|_| ProofError::Malformed)?;
        let not_after = OffsetDateTime::from_unix_timestamp(i64::from_be_bytes(reader.array()?))
            .map_err(|_| ProofError::Malformed)?;
        Ok(Self { cluster, grant_kind, grant, revision, handles, local, minted_at, not_after })
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
mod tests {
    use super::*;

    fn key(id: u32) -> ProofKey {
        ProofKey::new(id, &[id as u8; 32])
    }

    fn proof(now: OffsetDateTime) -> Proof {
        let key = key(1);
        Proof {
            cluster: ClusterUid::random(),
            grant_kind: GrantKind::AccessEntry,
            grant: EntryId::random(),
            revision: Revision(7),
            handles: Handles {
                account: key.account(&Authority::Local, "111122223333"),
                principal: key.principal(&Authority::Local, "arn:aws:iam::111122223333:role/dev"),
                principal_id: key.principal_id(&Authority::Local, "AROAX"),
                access_key: key.access_key("LKIAX"),
                session: Handle::NONE,
            },
            local: true,
            minted_at: now.replace_nanosecond(7_000_000).unwrap(),
            not_after: now.replace_nanosecond(0).unwrap() + time::Duration::minutes(1),
        }
    }

    fn groups(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_proof_reads_back_whatever_order_the_groups_come_in() {
        let now = OffsetDateTime::now_utc();
        let proof = proof(now);
        let value = proof.mint(&key(1), "ana", &groups(&["b", "a"]));
        for asked in [&["a", "b"][..], &["b", "a", "system:authenticated"], &["a", "a", "b"]] {
            let read = Proof::verify(&value, &[key(2), key(1)], proof.cluster, "ana", &groups(asked), now);
            assert_eq!(read.as_ref(), Ok(&proof), "{asked:?}");
        }
    }

    #[test]
    fn a_proof_fits_one_user_one_set_of_groups_one_cluster_one_key_and_its_time() {
        let now = OffsetDateTime::now_utc();
        let proof = proof(now);
        let value = proof.mint(&key(1), "ana", &groups(&["a"]));
        let verify = |value: &str, keys: &[ProofKey], cluster, user: &str, names: &[&str], at| {
            Proof::verify(value, keys, cluster, user, &groups(names), at).map(|_| ())
        };
        let (keys, cluster) = ([key(1)], proof.cluster);
        assert_eq!(verify(&value, &keys, cluster, "bob", &["a"], now), Err(ProofError::Mismatch));
        assert_eq!(verify(&value, &keys, cluster, "ana", &[], now), Err(ProofError::Mismatch));
        assert_eq!(
            verify(&value, &keys, cluster, "ana", &["a", "system:masters"], now),
            Err(ProofError::Mismatch)
        );
        assert_eq!(
            verify(&value, &keys, ClusterUid::random(), "ana", &["a"], now),
            Err(ProofError::Mismatch)
        );
        assert_eq!(verify(&value, &[key(3)], cluster, "ana", &["a"], now), Err(ProofError::UnknownKey));
        let late = proof.not_after + time::Duration::seconds(1);
        assert_eq!(verify(&value, &keys, cluster, "ana", &["a"], late), Err(ProofError::Expired));
        for bad in ["", "x", &value[1..], &format!("{value}A")] {
            assert_eq!(verify(bad, &keys, cluster, "ana", &["a"], now), Err(ProofError::Malformed), "{bad}");
        }
    }

    #[test]
    fn one_changed_character_anywhere_is_refused() {
        let now = OffsetDateTime::now_utc();
        let proof = proof(now);
        let value = proof.mint(&key(1), "ana", &[]);
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Proof::verify(&changed, &[key(1)], proof.cluster, "ana", &[], now).is_err(), "{at}");
        }
    }

    #[test]
    fn a_principals_handle_ignores_letter_case_and_nothing_else() {
        let key = key(1);
        let long = format!("arn:aws:iam::111122223333:user/{}/Ana", "Path".repeat(40));
        for arn in ["arn:aws:iam::111122223333:role/Dev", &long] {
            let of =
                |arn: &str| (key.principal(&Authority::Aws, arn), key.session(&Authority::Aws, arn, "Ana"));
            assert_eq!(of(arn), of(&arn.to_uppercase()), "{arn}");
            assert_ne!(of(arn), of(&format!("{arn} ")), "{arn}");
            assert_ne!(of(arn).1, key.session(&Authority::Aws, arn, "ana"), "{arn}");
        }
        assert_ne!(key.principal_id(&Authority::Aws, "AROAX"), key.principal_id(&Authority::Aws, "AROAx"));
    }

    #[test]
    fn immunity_12_handles_of_shifted_parts_differ() {
        let key = key(1);
        assert_ne!(key.session(&Authority::Local, "ab", "cd"), key.session(&Authority::Local, "abc", "d"));
        assert_ne!(key.account(&Authority::Aws, "1"), key.account(&Authority::Local, "1"));
        assert_ne!(key.account(&Authority::Aws, "1"), key.access_key("1"));
    }
}

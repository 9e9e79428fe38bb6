//! All purposes' keys of one hub, in memory.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use lanyard_aws::AwsFault;
use lanyard_kit::tls::FileError;
use zeroize::Zeroizing;

use super::{
    envelope::{EnvelopeKey, KEY_BYTES},
    holder::Holder,
    purpose::Purpose,
    sealed::{Place, Sealed, open, open_as, seal, seal_as},
};
use crate::telemetry;

/// The table of the purposes' keys, part of the associated data of each.
const TABLE: &str = "purpose_keys";

/// Why a key is not there, or a value does not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No store has been opened with this keyring yet, or the purpose's keys are kept from this process.
    #[error("there is no key for purpose `{0}`: open a store with this keyring first")]
    Locked(Purpose),
    /// A value that was moved, forged, or sealed for something else.
    #[error("a sealed value of purpose `{0}` does not open: it was moved or altered")]
    Unopened(Purpose),
    /// The keys in the database lie under another envelope key.
    #[error(
        "the keys in the store lie under envelope key `{stored}` and this process has `{given}`: give it the key that the \
         store was made with, or that one as the previous key beside the new one"
    )]
    ForeignEnvelope {
        /// The id of the key that is needed.
        stored: String,
        /// The id of the key that was given.
        given: String,
    },
    /// The store's keys were never sealed for this service.
    #[error(
        "the store has no key of purpose `{purpose}` for {holder} under envelope key `{given}`: let the hub's operator make \
         one for this service"
    )]
    NotEntrusted {
        /// Whose key is asked for.
        holder: Holder,
        /// A purpose without a key that it could open.
        purpose: Purpose,
        /// The id of its envelope key.
        given: String,
    },
    /// A service that has keys of its own would be left without the new one.
    #[error(
        "{holder} has the keys of purpose `{purpose}` under an envelope key of its own: give that one too, so that the new key \
         is sealed for it"
    )]
    EntrustedTo {
        /// Whose envelope key is needed.
        holder: Holder,
        /// The purpose whose key is to be made anew.
        purpose: Purpose,
    },
    /// One envelope key for two would open the keys of both.
    #[error(
        "the envelope key for {0} is another's already: give each service a key, and so a folder, of its own"
    )]
    SharedEnvelope(Holder),
    /// Not an envelope key.
    #[error("the envelope key is not 64 hex digits: make one with 32 random bytes")]
    Envelope,
    /// The file cannot hold a key.
    #[error("envelope key: {0}")]
    File(#[from] FileError),
    /// KMS gives no key.
    #[error("envelope key: {0}")]
    Kms(#[from] AwsFault),
    /// The file with the wrapped envelope key cannot be used.
    #[error(
        "`{}` is not this hub's envelope key: {reason}; put back the file that KMS's answer was kept in", path.display()
    )]
    WrappedKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The envelope key was wrapped by another KMS key than the configured one.
    #[error(
        "the envelope key in `{}` was wrapped by `{stored}` and the configuration says `{given}`: name the first, or rename \
         the file to {}.previous and start with the second, which makes a new envelope key", path.display(), path.display()
    )]
    OtherKmsKey {
        /// The file.
        path: PathBuf,
        /// The key that wrapped it.
        stored: String,
        /// The configured one.
        given: String,
    },
    /// The system gives no random bytes, or the crypto library refuses its work.
    #[error("the system gives no random bytes")]
    Random,
}

/// The bytes of a purpose's key, wiped when dropped.
pub type PurposeKey = Zeroizing<[u8; KEY_BYTES]>;

type Versions = BTreeMap<u32, PurposeKey>;
type Keys = BTreeMap<Purpose, Versions>;

/// Seals and opens, each purpose with its own key. Clones share what they hold; nothing of it can be printed.
#[derive(Clone)]
pub struct Keyring {
    inner: Arc<Inner>,
}

struct Inner {
    holder: Holder,
    /// The first seals; all open.
    envelopes: Vec<EnvelopeKey>,
    keys: ArcSwap<Keys>,
    unopened: AtomicU64,
}

/// A purpose's key as it lies in the database.
#[derive(Clone)]
pub(crate) struct StoredKey {
    pub(crate) purpose: Purpose,
    pub(crate) version: u32,
    pub(crate) envelope: String,
    pub(crate) sealed: Sealed,
}

impl Keyring {
    /// A keyring that gets the purposes' keys from the store it is opened with.
    pub fn new(envelope: EnvelopeKey) -> Self {
        Self::with_previous(envelope, Vec::new())
    }

    /// The same, that can still open what lies under earlier envelope keys. The store then seals it anew.
    pub fn with_previous(envelope: EnvelopeKey, previous: Vec<EnvelopeKey>) -> Self {
        Self::of(Holder::Suite, envelope, previous)
    }

    /// A keyring for one service, which gets that service's purposes' keys and no others.
    pub fn of(holder: Holder, envelope: EnvelopeKey, previous: Vec<EnvelopeKey>) -> Self {
        let envelopes = std::iter::once(envelope).chain(previous).collect();
        let (keys, unopened) = (ArcSwap::default(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { holder, envelopes, keys, unopened }) }
    }

    /// Whose it is.
    pub(crate) fn holder(&self) -> Holder {
        self.inner.holder
    }

    /// Seals a value for one place, under the newest key of the purpose.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn seal(&self, purpose: Purpose, place: &Place, plain: &[u8]) -> Result<Sealed, KeyringError> {
        let keys = self.inner.keys.load();
        let (version, key) = newest(&keys, purpose)?;
        seal(key, purpose, version, place, plain).map_err(|_| KeyringError::Random)
    }

    /// Opens a value at the place it was sealed for.
    ///
    /// # Errors
    /// [`KeyringError::Unopened`] for anything else than that; each is counted.
    pub fn open(
        &self,
        purpose: Purpose,
        place: &Place,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let keys = self.inner.keys.load();
        let versions = keys.get(&purpose).ok_or(KeyringError::Locked(purpose))?;
        let key = sealed.version().and_then(|version| versions.get(&version));
        key.and_then(|key| open(key, purpose, place, sealed).ok()).ok_or_else(|| {
            self.inner.unopened.fetch_add(1, Ordering::Relaxed);
            telemetry::unopened(purpose);
            KeyringError::Unopened(purpose)
        })
    }

    /// The newest key of a purpose, for what is not sealing: MACs, derivation, seeds.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn purpose_key(&self, purpose: Purpose) -> Result<PurposeKey, KeyringError> {
        let keys = self.inner.keys.load();
        newest(&keys, purpose).map(|(_, key)| key.clone())
    }

    /// All keys of a purpose with their versions, the newest first: the first makes, all verify.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn purpose_keys(&self, purpose: Purpose) -> Result<Vec<(u32, PurposeKey)>, KeyringError> {
        let keys = self.inner.keys.load();
        let versions = keys.get(&purpose).ok_or(KeyringError::Locked(purpose))?;
        Ok(versions.iter().rev().map(|(version, key)| (*version, key.clone())).collect())
    }

    /// The versions that all of these purposes have, the newest first: what is made of several keys is made of one version of
    /// each.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn generations<const N: usize>(
        &self,
        purposes: [Purpose; N],
    ) -> Result<Vec<(u32, [PurposeKey; N])>, KeyringError> {
        let keys = self.inner.keys.load();
        let of = |purpose| keys.get(&purpose).ok_or(KeyringError::Locked(purpose));
        for purpose in purposes {
            of(purpose)?;
        }
        let newest = keys.values().filter_map(Versions::last_key_value).map(|(version, _)| *version).max();
        let whole = (0..=newest.unwrap_or(0)).rev().filter_map(|version| {
            let found = purposes.map(|purpose| keys.get(&purpose)?.get(&version).cloned());
            let found: Option<Vec<_>> = found.into_iter().collect();
            Some((version, found?.try_into().ok()?))
        });
        Ok(whole.collect())
    }

    /// Whether the key that sealed a value of a purpose is here.
    pub(crate) fn knows(&self, purpose: Purpose, sealed: &Sealed) -> bool {
        let keys = self.inner.keys.load();
        let versions = keys.get(&purpose);
        sealed
            .version()
            .is_none_or(|version| versions.is_some_and(|versions| versions.contains_key(&version)))
    }

    /// How many values did not open so far.
    pub fn unopened(&self) -> u64 {
        self.inner.unopened.load(Ordering::Relaxed)
    }

    /// The id of the envelope key that seals.
    pub(crate) fn envelope_id(&self) -> Result<String, KeyringError> {
        self.inner.envelopes.first().map(EnvelopeKey::id).ok_or(KeyringError::Envelope)
    }

    /// A new random key of a purpose, sealed under the envelope key; it counts once the store has it.
    pub(crate) fn make_key(&self, purpose: Purpose, version: u32) -> Result<StoredKey, KeyringError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut()).map_err(|_| KeyringError::Random)?;
        self.seal_key(purpose, version, &key)
    }

    /// The keys of a purpose that is made of another one, sealed likewise: one for each version of that in the keyring.
    pub(crate) fn derived_keys(&self, purpose: Purpose, of: Purpose) -> Result<Vec<StoredKey>, KeyringError> {
        let seeds = self.purpose_keys(of)?;
        let derive = |(version, seed): (u32, PurposeKey)| {
            let public = public_half(&seed)?;
            self.seal_key(purpose, version, &public)
        };
        seeds.into_iter().map(derive).collect()
    }

    /// A new version of a purpose's key with all that is made of it, sealed under the envelope key and under those of the
    /// services that have keys of their own.
    pub(crate) fn make_version(
        &self,
        purpose: Purpose,
        version: u32,
        entrusted: &[(Holder, &EnvelopeKey)],
    ) -> Result<Vec<StoredKey>, KeyringError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut()).map_err(|_| KeyringError::Random)?;
        let mut fresh = vec![(purpose, key.clone())];
        for derived in Purpose::ALL.into_iter().filter(|derived| derived.made_of() == Some(purpose)) {
            fresh.push((derived, public_half(&key)?));
        }
        let mut sealed = Vec::new();
        for (purpose, key) in fresh {
            sealed.push(self.seal_key(purpose, version, &key)?);
            for (_, envelope) in entrusted.iter().filter(|(holder, _)| holder.may_have(purpose)) {
                sealed.push(seal_key_under(envelope, purpose, version, &key)?);
            }
        }
        Ok(sealed)
    }

    /// The keys of another holder, sealed under its envelope key.
    pub(crate) fn keys_for(
        &self,
        holder: Holder,
        envelope: &EnvelopeKey,
    ) -> Result<Vec<StoredKey>, KeyringError> {
        let mut sealed = Vec::new();
        for purpose in holder.purposes() {
            for (version, key) in self.purpose_keys(*purpose)? {
                sealed.push(seal_key_under(envelope, *purpose, version, &key)?);
            }
        }
        Ok(sealed)
    }

    /// Takes the keys that lie in the database in place of those it had. Answers those that lie under an earlier envelope
    /// key alone, sealed anew.
    pub(crate) fn take_keys(&self, stored: &[StoredKey]) -> Result<Vec<StoredKey>, KeyringError> {
        let first = self.envelope_id()?;
        let mut keys = Keys::new();
        let mut anew = Vec::new();
        let own = |key: &&StoredKey| self.inner.holder.may_have(key.purpose);
        for one in stored.iter().filter(own) {
            let Some(key) = self.open_key(one)? else { continue };
            let under_first = stored.iter().any(|other| {
                (other.purpose, other.version) == (one.purpose, one.version) && other.envelope == first
            });
            if !under_first {
                anew.push(self.seal_key(one.purpose, one.version, &key)?);
            }
            keys.entry(one.purpose).or_default().insert(one.version, key);
        }
        let lacking = stored
            .iter()
            .filter(own)
            .find(|one| !keys.get(&one.purpose).is_some_and(|v| v.contains_key(&one.version)));
        if let Some(lacking) = lacking {
            let (holder, purpose) = (self.inner.holder, lacking.purpose);
            if holder != Holder::Suite {
                return Err(KeyringError::NotEntrusted { holder, purpose, given: first });
            }
            return Err(KeyringError::ForeignEnvelope { stored: lacking.envelope.clone(), given: first });
        }
        self.inner.keys.store(Arc::new(keys));
        Ok(anew)
    }

    fn seal_key(
        &self,
        purpose: Purpose,
        version: u32,
        key: &[u8; KEY_BYTES],
    ) -> Result<StoredKey, KeyringError> {
        let envelope = self.inner.envelopes.first().ok_or(KeyringError::Envelope)?;
        seal_key_under(envelope, purpose, version, key)
    }

    fn open_key(&self, stored: &StoredKey) -> Result<Option<PurposeKey>, KeyringError> {
        let Some(envelope) = self.inner.envelopes.iter().find(|key| key.id() == stored.envelope) else {
            return Ok(None);
        };
        let place = place_of_key(stored.purpose, stored.version, &stored.envelope);
        let opened = open_as(envelope.secret(), TABLE, &place, &stored.sealed).ok();
        let key = opened.and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new));
        key.map(Some).ok_or(KeyringError::Unopened(stored.purpose))
    }
}

/// The public half of an Ed25519 key.
fn public_half(seed: &PurposeKey) -> Result<PurposeKey, KeyringError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| KeyringError::Random)?;
    let public: [u8; KEY_BYTES] = pair.public_key().as_ref().try_into().map_err(|_| KeyringError::Random)?;
    Ok(Zeroizing::new(public))
}

fn seal_key_under(
    envelope: &EnvelopeKey,
    purpose: Purpose,
    version: u32,
    key: &[u8; KEY_BYTES],
) -> Result<StoredKey, KeyringError> {
    let place = place_of_key(purpose, version, &envelope.id());
    let sealed = seal_as(envelope.secret(), TABLE, 0, &place, key).map_err(|_| KeyringError::Random)?;
    Ok(StoredKey { purpose, version, envelope: envelope.id(), sealed })
}

fn place_of_key(purpose: Purpose, version: u32, envelope: &str) -> Place {
    Place::new(TABLE, format!("{purpose}/{version}"), envelope)
}

fn newest(keys: &Keys, purpose: Purpose) -> Result<(u32, &PurposeKey), KeyringError> {
    let newest = keys.get(&purpose).and_then(BTreeMap::last_key_value);
    newest.map(|(version, key)| (*version, key)).ok_or(KeyringError::Locked(purpose))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

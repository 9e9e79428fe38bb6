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
use time::OffsetDateTime;
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

type Versions = BTreeMap<u32, Held>;

/// One version of a purpose's key.
#[derive(Clone, PartialEq)]
struct Held {
    key: PurposeKey,
    /// Before that it only opens and verifies.
    seals_from: OffsetDateTime,
}

/// All versions, and which of them count for what is made now.
#[derive(Clone, Default, PartialEq)]
struct Keys {
    of: BTreeMap<Purpose, Versions>,
    sealing: BTreeMap<Purpose, u32>,
    /// When the next version begins to seal.
    next: Option<OffsetDateTime>,
}

impl Keys {
    fn at(of: BTreeMap<Purpose, Versions>, now: OffsetDateTime) -> Self {
        let mut keys = Self { of, ..Self::default() };
        for (purpose, versions) in &keys.of {
            let begun = versions.iter().rev().find(|(_, held)| held.seals_from <= now);
            // Where clocks differ so much that none has begun, the oldest seals: every process has that one.
            let sealing = begun.or_else(|| versions.first_key_value()).map(|(version, _)| *version);
            keys.sealing.extend(sealing.map(|version| (*purpose, version)));
        }
        let waiting = keys.of.values().flat_map(BTreeMap::values).map(|held| held.seals_from);
        keys.next = waiting.filter(|begins| *begins > now).min();
        keys
    }

    fn versions(&self, purpose: Purpose) -> Result<&Versions, KeyringError> {
        self.of.get(&purpose).ok_or(KeyringError::Locked(purpose))
    }

    fn sealing(&self, purpose: Purpose) -> Result<(u32, &PurposeKey), KeyringError> {
        let version = self.sealing.get(&purpose).ok_or(KeyringError::Locked(purpose))?;
        let held = self.versions(purpose)?.get(version).ok_or(KeyringError::Locked(purpose))?;
        Ok((*version, &held.key))
    }
}

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
    /// Counts what became of the keys, so that who made something of them knows when to make it anew.
    generation: AtomicU64,
    unopened: AtomicU64,
}

/// A purpose's key as it lies in the database.
#[derive(Clone)]
pub(crate) struct StoredKey {
    pub(crate) purpose: Purpose,
    pub(crate) version: u32,
    pub(crate) envelope: String,
    pub(crate) sealed: Sealed,
    pub(crate) seals_from: OffsetDateTime,
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
        let (keys, generation, unopened) = (ArcSwap::default(), AtomicU64::new(0), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { holder, envelopes, keys, generation, unopened }) }
    }

    /// Whose it is.
    pub(crate) fn holder(&self) -> Holder {
        self.inner.holder
    }

    /// Seals a value for one place, under the newest key of the purpose that has begun to seal.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn seal(&self, purpose: Purpose, place: &Place, plain: &[u8]) -> Result<Sealed, KeyringError> {
        let keys = self.inner.keys.load();
        let (version, key) = keys.sealing(purpose)?;
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
        let versions = keys.versions(purpose)?;
        let held = sealed.version().and_then(|version| versions.get(&version));
        held.and_then(|held| open(&held.key, purpose, place, sealed).ok()).ok_or_else(|| {
            self.inner.unopened.fetch_add(1, Ordering::Relaxed);
            telemetry::unopened(purpose);
            KeyringError::Unopened(purpose)
        })
    }

    /// The newest key of a purpose that has begun to seal, for what is not sealing: MACs, derivation, seeds.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn purpose_key(&self, purpose: Purpose) -> Result<PurposeKey, KeyringError> {
        let keys = self.inner.keys.load();
        keys.sealing(purpose).map(|(_, key)| key.clone())
    }

    /// All keys of a purpose with their versions: the first makes, all verify. The others follow, the newest before the older.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn purpose_keys(&self, purpose: Purpose) -> Result<Vec<(u32, PurposeKey)>, KeyringError> {
        let keys = self.inner.keys.load();
        let (sealing, key) = keys.sealing(purpose)?;
        let others = keys.versions(purpose)?.iter().rev().filter(|(version, _)| **version != sealing);
        let others = others.map(|(version, held)| (*version, held.key.clone()));
        Ok(std::iter::once((sealing, key.clone())).chain(others).collect())
    }

    /// The newest version of a purpose's key, whether or not it has begun to seal.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened.
    pub fn newest_version(&self, purpose: Purpose) -> Result<u32, KeyringError> {
        let keys = self.inner.keys.load();
        let newest = keys.versions(purpose)?.last_key_value();
        newest.map(|(version, _)| *version).ok_or(KeyringError::Locked(purpose))
    }

    /// How often the keys, or what they are for, have changed here.
    pub(crate) fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// Lets those versions seal whose moment has come.
    pub(crate) fn advance(&self, now: OffsetDateTime) {
        if self.inner.keys.load().next.is_none_or(|next| next > now) {
            return;
        }
        self.inner.keys.rcu(|keys| Keys::at(keys.of.clone(), now));
        self.inner.generation.fetch_add(1, Ordering::Release);
        tracing::info!("a new version of a purpose's key seals from now on");
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
        let of = purposes.map(|purpose| keys.versions(purpose));
        let mut versions = Vec::with_capacity(N);
        for found in of {
            versions.push(found?);
        }
        let newest = versions.iter().filter_map(|of| of.last_key_value()).map(|(version, _)| *version).max();
        let whole = (0..=newest.unwrap_or(0)).rev().filter_map(|version| {
            let found: Option<Vec<_>> =
                versions.iter().map(|of| of.get(&version).map(|held| held.key.clone())).collect();
            Some((version, found?.try_into().ok()?))
        });
        Ok(whole.collect())
    }

    /// Of these the one that makes: the newest version that all of the purposes have and that has begun to seal for each.
    ///
    /// # Errors
    /// [`KeyringError::Locked`] before a store was opened, and where they have no version in common.
    pub fn sealing_generation<const N: usize>(
        &self,
        purposes: [Purpose; N],
    ) -> Result<(u32, [PurposeKey; N]), KeyringError> {
        let mut most = u32::MAX;
        for purpose in purposes {
            most = most.min(self.inner.keys.load().sealing(purpose)?.0);
        }
        let whole = self.generations(purposes)?.into_iter().find(|(version, _)| *version <= most);
        whole.ok_or_else(|| KeyringError::Locked(purposes.first().copied().unwrap_or(Purpose::Chain)))
    }

    /// Whether the key that sealed a value of a purpose is here.
    pub(crate) fn knows(&self, purpose: Purpose, sealed: &Sealed) -> bool {
        let keys = self.inner.keys.load();
        let versions = keys.of.get(&purpose);
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

    /// The first key of a purpose, random, sealed under the envelope key; it counts once the store has it.
    pub(crate) fn make_key(&self, purpose: Purpose) -> Result<StoredKey, KeyringError> {
        self.seal_key(purpose, 1, &random_key(OffsetDateTime::UNIX_EPOCH)?)
    }

    /// The keys of a purpose that is made of another one, sealed likewise: one for each version of that in the keyring.
    pub(crate) fn derived_keys(&self, purpose: Purpose, of: Purpose) -> Result<Vec<StoredKey>, KeyringError> {
        let keys = self.inner.keys.load();
        let derive = |(version, seed): (&u32, &Held)| self.seal_key(purpose, *version, &public_half(seed)?);
        keys.versions(of)?.iter().map(derive).collect()
    }

    /// A new version of a purpose's key with all that is made of it, sealed under the envelope key and under those of the
    /// services that have keys of their own.
    pub(crate) fn make_version(
        &self,
        purpose: Purpose,
        (version, seals_from): (u32, OffsetDateTime),
        entrusted: &[(Holder, &EnvelopeKey)],
    ) -> Result<Vec<StoredKey>, KeyringError> {
        let key = random_key(seals_from)?;
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
            for (version, held) in self.inner.keys.load().versions(*purpose)? {
                sealed.push(seal_key_under(envelope, *purpose, *version, held)?);
            }
        }
        Ok(sealed)
    }

    /// Takes the keys that lie in the database in place of those it had. Answers those that lie under an earlier envelope
    /// key alone, sealed anew. What it has already it keeps for as long as the database has that version, under whatever envelope
    /// key: a service that was given another one goes on with it until it ends. Where it lacks some all the same, that is the error,
    /// and what there is counts.
    pub(crate) fn take_keys(
        &self,
        stored: &[StoredKey],
        now: OffsetDateTime,
    ) -> Result<Vec<StoredKey>, KeyringError> {
        let first = self.envelope_id()?;
        let mut keys: BTreeMap<Purpose, Versions> = BTreeMap::new();
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
        let before = self.inner.keys.load_full();
        let mut lacking = None;
        for one in stored.iter().filter(own) {
            if keys.get(&one.purpose).is_some_and(|versions| versions.contains_key(&one.version)) {
                continue;
            }
            match before.of.get(&one.purpose).and_then(|versions| versions.get(&one.version)) {
                Some(held) => {
                    keys.entry(one.purpose).or_default().insert(one.version, held.clone());
                }
                None => lacking = lacking.or(Some(one)),
            }
        }
        let taken = Arc::new(Keys::at(keys, now));
        // What is made of keys is made anew where they are other keys, and not because somebody had them fetched.
        if *self.inner.keys.swap(Arc::clone(&taken)) != *taken {
            self.inner.generation.fetch_add(1, Ordering::Release);
        }
        lacking.map_or(Ok(anew), |lacking| Err(self.lacks(lacking, first)))
    }

    /// That a version lies in the database under envelope keys that are not here.
    fn lacks(&self, lacking: &StoredKey, given: String) -> KeyringError {
        match self.inner.holder {
            Holder::Suite => KeyringError::ForeignEnvelope { stored: lacking.envelope.clone(), given },
            holder => KeyringError::NotEntrusted { holder, purpose: lacking.purpose, given },
        }
    }

    fn seal_key(&self, purpose: Purpose, version: u32, key: &Held) -> Result<StoredKey, KeyringError> {
        let envelope = self.inner.envelopes.first().ok_or(KeyringError::Envelope)?;
        seal_key_under(envelope, purpose, version, key)
    }

    fn open_key(&self, stored: &StoredKey) -> Result<Option<Held>, KeyringError> {
        let Some(envelope) = self.inner.envelopes.iter().find(|key| key.id() == stored.envelope) else {
            return Ok(None);
        };
        let place = place_of_key(stored.purpose, stored.version, &stored.envelope);
        let opened = open_as(envelope.secret(), TABLE, &place, &stored.sealed).ok();
        let key = opened.and_then(|bytes| bytes.as_slice().try_into().ok().map(Zeroizing::new));
        let held = key.map(|key| Held { key, seals_from: stored.seals_from });
        held.map(Some).ok_or(KeyringError::Unopened(stored.purpose))
    }
}

fn random_key(seals_from: OffsetDateTime) -> Result<Held, KeyringError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(key.as_mut()).map_err(|_| KeyringError::Random)?;
    Ok(Held { key, seals_from })
}

/// The public half of an Ed25519 key.
fn public_half(seed: &Held) -> Result<Held, KeyringError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.key.as_slice()).map_err(|_| KeyringError::Random)?;
    let public: [u8; KEY_BYTES] = pair.public_key().as_ref().try_into().map_err(|_| KeyringError::Random)?;
    Ok(Held { key: Zeroizing::new(public), seals_from: seed.seals_from })
}

fn seal_key_under(
    envelope: &EnvelopeKey,
    purpose: Purpose,
    version: u32,
    Held { key, seals_from }: &Held,
) -> Result<StoredKey, KeyringError> {
    let place = place_of_key(purpose, version, &envelope.id());
    let sealed =
        seal_as(envelope.secret(), TABLE, 0, &place, key.as_slice()).map_err(|_| KeyringError::Random)?;
    Ok(StoredKey { purpose, version, envelope: envelope.id(), sealed, seals_from: *seals_from })
}

fn place_of_key(purpose: Purpose, version: u32, envelope: &str) -> Place {
    Place::new(TABLE, format!("{purpose}/{version}"), envelope)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

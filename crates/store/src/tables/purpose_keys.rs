//! The purposes' keys, each sealed under the envelope keys of those who may have it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use lanyard_api::{Mutation, Scope};
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    keyring::{EnvelopeKey, Holder, Keyring, KeyringError, Purpose, Sealed, StoredKey},
    kind::Kind,
    sql::{Access, Connection, Database, Value, moment},
    store::Store,
    tables::settings::Setting,
    telemetry,
    transaction::Transaction,
};

/// Begins the names of the settings that say which version of a purpose's key is the newest.
pub(super) const KEY_SETTING: &str = "purpose_key/";
/// How often keys are fetched because something does not open.
const ASKED_FOR_EVERY: Duration = Duration::from_secs(1);
/// How long whoever asks for them waits: a store that does not answer must not hold the places of those who knock.
const ASKING_MAX: Duration = Duration::from_secs(2);
/// Begins the names of the settings that say under which envelope key a service has its keys.
const HOLDER_SETTING: &str = "envelope/";

/// Fetches the purposes' keys, makes those that are missing, and hands them to the keyring.
pub(crate) async fn open_keys(
    database: &Database,
    keyring: &Keyring,
    wait_max: Duration,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // One process makes them; who starts at the same moment waits here and finds them.
    const LOCK: &str = "UPDATE guards SET name = name WHERE name = 'keys'";
    let (mut connection, permit) = database.begin(Access::Write, wait_max).await?;
    connection.execute(LOCK, []).await?;
    let mut stored = stored_keys(&mut connection).await?;
    // Before any is made: a wrong envelope key must not leave keys of its own behind.
    let anew = keyring.take_keys(&stored, now)?;
    for key in &anew {
        insert_key(&mut connection, key).await?;
    }
    if !anew.is_empty() {
        let envelope = keyring.envelope_id()?;
        tracing::info!(
            keys = anew.len(),
            envelope,
            "the purposes' keys are sealed under a new envelope key too"
        );
    }
    for purpose in keyring.holder().purposes().iter().copied() {
        let missing = missing_keys(keyring, &stored, purpose)?;
        for key in &missing {
            insert_key(&mut connection, key).await?;
        }
        if !missing.is_empty() {
            stored.extend(missing);
            keyring.take_keys(&stored, now)?;
        }
    }
    connection.commit().await?;
    drop(permit);
    Ok(())
}

/// The keys that a purpose lacks: its first, or one for each version of the purpose that it is made of. The suite makes them; a
/// service has those that were made for it.
fn missing_keys(
    keyring: &Keyring,
    stored: &[StoredKey],
    purpose: Purpose,
) -> Result<Vec<StoredKey>, KeyringError> {
    let is_stored = |version: Option<u32>| {
        stored
            .iter()
            .any(|key| key.purpose == purpose && version.is_none_or(|version| key.version == version))
    };
    let holder = keyring.holder();
    if holder != Holder::Suite {
        let lacks = KeyringError::NotEntrusted { holder, purpose, given: keyring.envelope_id()? };
        return if is_stored(None) { Ok(Vec::new()) } else { Err(lacks) };
    }
    match purpose.made_of() {
        None if is_stored(None) => Ok(Vec::new()),
        None => Ok(vec![keyring.make_key(purpose)?]),
        Some(seed) => {
            let mut derived = keyring.derived_keys(purpose, seed)?;
            derived.retain(|key| !is_stored(Some(key.version)));
            Ok(derived)
        }
    }
}

/// Whether a change says that there is another version of a purpose's key.
pub(crate) fn is_rotation(kind: Kind, key: &str) -> bool {
    kind == Kind::Setting && key.starts_with(KEY_SETTING)
}

pub(super) async fn stored_keys(connection: &mut Connection) -> Result<Vec<StoredKey>, StoreError> {
    const ALL: &str = "SELECT purpose, version, envelope, sealed, seals_from FROM purpose_keys ORDER BY purpose, version, envelope";
    let mut keys = Vec::new();
    for line in connection.fetch(ALL, []).await? {
        let name = line.text(0)?;
        // A purpose of a later version of the program is none of ours.
        let Some(purpose) = Purpose::from_name(&name) else { continue };
        let version = u32::try_from(line.integer(1)?)
            .map_err(|_| StoreError::Broken(format!("a key of purpose `{name}` has no good version")))?;
        keys.push(StoredKey {
            purpose,
            version,
            envelope: line.text(2)?,
            sealed: Sealed::from_bytes(line.bytes(3)?),
            seals_from: moment(line.integer(4)?).ok_or_else(|| {
                StoreError::Broken(format!("a key of purpose `{name}` begins at no moment that there is"))
            })?,
        });
    }
    Ok(keys)
}

async fn insert_key(connection: &mut Connection, key: &StoredKey) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO purpose_keys (purpose, version, envelope, sealed, seals_from) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (purpose, version, envelope) DO NOTHING";
    let values = [
        key.purpose.as_str().into(),
        Value::number(u64::from(key.version)),
        key.envelope.as_str().into(),
        key.sealed.as_bytes().to_vec().into(),
        Value::moment(key.seals_from),
    ];
    connection.execute(INSERT, values).await?;
    Ok(())
}

/// Removes a version of a purpose's key, under whatever envelope keys it lies.
pub(super) async fn delete_version(
    connection: &mut Connection,
    version: KeyVersion,
) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM purpose_keys WHERE purpose = $1 AND version = $2";
    let values = [version.purpose.as_str().into(), Value::number(u64::from(version.version))];
    connection.execute(DELETE, values).await?;
    Ok(())
}

async fn delete_keys(connection: &mut Connection, envelope: &str) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM purpose_keys WHERE envelope = $1";
    connection.execute(DELETE, [envelope.into()]).await?;
    Ok(())
}

impl Store {
    /// Gives a service its purposes' keys, sealed under an envelope key of its own. One that it had before opens nothing any
    /// more; its running processes go on until they end.
    ///
    /// # Errors
    /// As any mutation; [`KeyringError::Locked`] where this process has not these keys itself,
    /// [`KeyringError::SharedEnvelope`] where the envelope key is another service's, or the suite's.
    pub async fn entrust(
        &self,
        mutation: &Mutation,
        holder: Holder,
        envelope: &EnvelopeKey,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin("entrust_purpose_keys", mutation, &[Scope::Hub]).await?;
        let keys = {
            let _turn = self.keys_turn().lock().await;
            // Now that nobody makes another version: the service has to have all of them.
            let stored = stored_keys(transaction.connection()).await?;
            self.keyring().take_keys(&stored, self.clock().now())?;
            self.keyring().keys_for(holder, envelope)?
        };
        let name = format!("{HOLDER_SETTING}{holder}");
        let before: Option<Setting> = transaction.get(Scope::Hub, &name).await?;
        let own = self.keyring().envelope_id()?;
        let mut is_taken = envelope.id() == own;
        for other in Holder::SERVICES.into_iter().filter(|other| *other != holder) {
            let has: Option<Setting> =
                transaction.get(Scope::Hub, &format!("{HOLDER_SETTING}{other}")).await?;
            is_taken |= has.is_some_and(|has| has.value == envelope.id());
        }
        if is_taken {
            return Err(KeyringError::SharedEnvelope(holder).into());
        }
        if let Some(before) = before.filter(|before| before.value != own) {
            delete_keys(transaction.connection(), &before.value).await?;
        }
        for key in &keys {
            insert_key(transaction.connection(), key).await?;
        }
        transaction.put(&Setting::new(name, envelope.id())).await?;
        transaction.commit_unrecorded().await?;
        Ok(())
    }

    /// Makes a new version of some purposes' keys, the same number for all of them: it opens and verifies from now on, and after
    /// `seals_in` it seals and makes. The older ones still open and verify. In between every process gets it, so that none meets
    /// what it cannot open; one that was not told in that time is behind in everything else as well. Answers the version and when
    /// it begins. `envelopes` has the envelope keys of those services that were given these keys by [`Self::entrust`].
    ///
    /// # Errors
    /// As any mutation; [`KeyringError::EntrustedTo`] where such an envelope key is missing.
    pub async fn rotate(
        &self,
        mutation: &Mutation,
        purposes: &[Purpose],
        seals_in: Duration,
        envelopes: &[EnvelopeKey],
    ) -> Result<(u32, OffsetDateTime), StoreError> {
        // What is made of another key is made anew with it.
        let purposes: BTreeSet<Purpose> =
            purposes.iter().map(|purpose| purpose.made_of().unwrap_or(*purpose)).collect();
        let mut transaction = self.begin("rotate_purpose_keys", mutation, &[Scope::Hub]).await?;
        let stored = stored_keys(transaction.connection()).await?;
        let newest = stored.iter().filter(|key| purposes.contains(&key.purpose)).map(|key| key.version).max();
        let (version, seals_from) = (newest.unwrap_or(0).saturating_add(1), self.clock().now() + seals_in);
        for purpose in purposes {
            let entrusted = entrusted(&mut transaction, purpose, envelopes).await?;
            for key in self.keyring().make_version(purpose, (version, seals_from), &entrusted)? {
                insert_key(transaction.connection(), &key).await?;
            }
            let setting = Setting::new(format!("{KEY_SETTING}{purpose}"), version.to_string());
            transaction.put(&setting).await?;
        }
        transaction.commit_unrecorded().await?;
        Ok((version, seals_from))
    }

    /// The versions of the purposes' keys that there are, in order, with the moment from which each seals.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn key_versions(&self) -> Result<Vec<KeyVersion>, StoreError> {
        Ok(versions_of(stored_keys(&mut self.read().await?).await?))
    }

    /// Fetches the purposes' keys again because something came that none of those here has made: its maker may have heard of a new
    /// version before this process did. At most once a second, however many ask, and whether or not the store answers; all of them
    /// wait for that one, two seconds at most. A version is made some time before it is used, so that a look so short ago has
    /// brought it.
    pub async fn ask_for_keys(&self) {
        if self.has_asked_for_keys() {
            return;
        }
        let store = self.clone();
        // In a task of its own: if who asks goes away before there is an answer, the next must not ask the store once more.
        if let Err(error) = tokio::spawn(async move { store.ask_for_keys_in_turn().await }).await {
            tracing::error!(%error, "the store was not asked for newer keys");
        }
    }

    async fn ask_for_keys_in_turn(&self) {
        let asking = async {
            let _turn = self.keys_turn().lock().await;
            if self.has_asked_for_keys() {
                return Ok(());
            }
            // Dropped before the turn is given up: who waits for it finds that it was asked.
            let _asked = AskedForKeys(self);
            self.reload_keys_in_turn().await
        };
        match tokio::time::timeout(ASKING_MAX, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store was asked for newer keys and does not answer");
            }
            Err(_) => {
                // Perhaps somebody else's look held the turn for so long: one more would fare no better.
                drop(AskedForKeys(self));
                tracing::warn!("the store was asked for newer keys and does not answer in time");
            }
        }
    }

    /// Whether somebody has [asked for keys](Self::ask_for_keys) so short ago that asking again would bring nothing.
    pub fn has_asked_for_keys(&self) -> bool {
        self.keys_asked_for().is_some_and(|at| at.elapsed() < ASKED_FOR_EVERY)
    }

    /// Fetches the purposes' keys again, after another version was made.
    pub(crate) async fn reload_keys(&self) -> Result<(), StoreError> {
        let _turn = self.keys_turn().lock().await;
        self.reload_keys_in_turn().await
    }

    /// The same for whoever has more to do than that: where this process lacks a key that the store has, it goes on with those that it
    /// holds. A revocation must reach it all the same.
    pub(crate) async fn renew_keys(&self) -> Result<(), StoreError> {
        match self.reload_keys().await {
            Err(StoreError::Keyring(error)) => {
                telemetry::keys_lacking(Some(&error));
                Ok(())
            }
            Ok(()) => {
                telemetry::keys_lacking(None);
                Ok(())
            }
            other => other,
        }
    }

    async fn reload_keys_in_turn(&self) -> Result<(), StoreError> {
        let stored = stored_keys(&mut self.read().await?).await?;
        self.keyring().take_keys(&stored, self.clock().now())?;
        Ok(())
    }
}

/// Notes that the store was asked for keys, whatever came of it.
struct AskedForKeys<'a>(&'a Store);

impl Drop for AskedForKeys<'_> {
    fn drop(&mut self) {
        *self.0.keys_asked_for() = Some(Instant::now());
    }
}

/// Each version once, in order, however many envelope keys it lies under.
pub(super) fn versions_of(stored: Vec<StoredKey>) -> Vec<KeyVersion> {
    let versions = stored.into_iter().map(|StoredKey { purpose, version, seals_from, .. }| KeyVersion {
        purpose,
        version,
        seals_from,
    });
    versions.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A version of a purpose's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyVersion {
    /// What it is for.
    pub purpose: Purpose,
    /// Its number, from 1.
    pub version: u32,
    /// Before that it only opens and verifies.
    pub seals_from: OffsetDateTime,
}

/// The services that have a purpose's keys under an envelope key of their own, or keys that are made of them.
async fn entrusted<'a>(
    transaction: &mut Transaction,
    purpose: Purpose,
    envelopes: &'a [EnvelopeKey],
) -> Result<Vec<(Holder, &'a EnvelopeKey)>, StoreError> {
    let concerns = |holder: &Holder| {
        holder.purposes().iter().any(|other| *other == purpose || other.made_of() == Some(purpose))
    };
    let mut entrusted = Vec::new();
    for holder in Holder::SERVICES.into_iter().filter(concerns) {
        let name = format!("{HOLDER_SETTING}{holder}");
        let Some(setting) = transaction.get::<Setting>(Scope::Hub, &name).await? else { continue };
        let envelope = envelopes.iter().find(|envelope| envelope.id() == setting.value);
        let missing = KeyringError::EntrustedTo { holder, purpose };
        entrusted.push((holder, envelope.ok_or(missing)?));
    }
    Ok(entrusted)
}

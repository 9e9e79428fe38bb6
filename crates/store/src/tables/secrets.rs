//! Sealed values by their place, and the purposes' keys.

use lanyard_api::{Mutation, Scope};

use crate::{
    error::StoreError,
    keyring::{Keyring, Place, Purpose, Sealed, StoredKey},
    kind::Kind,
    sql::{Access, Connection, Database, Value},
    store::Store,
    tables::settings::Setting,
    transaction::Transaction,
};

/// Begins the names of the settings that say which version of a purpose's key is the newest.
const KEY_SETTING: &str = "purpose_key/";

fn values(place: &Place) -> [Value; 3] {
    [place.table.as_str().into(), place.owner.as_str().into(), place.row.as_str().into()]
}

/// Puts a sealed value in place of what was there.
pub(crate) async fn put(
    connection: &mut Connection,
    place: &Place,
    sealed: &Sealed,
) -> Result<(), StoreError> {
    const PUT: &str = "INSERT INTO secrets (place_table, place_owner, place_row, sealed) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (place_table, place_owner, place_row) DO UPDATE SET sealed = excluded.sealed";
    let [table, owner, row] = values(place);
    connection.execute(PUT, [table, owner, row, sealed.as_bytes().to_vec().into()]).await?;
    Ok(())
}

/// Removes a sealed value; false where none was.
pub(crate) async fn delete(connection: &mut Connection, place: &Place) -> Result<bool, StoreError> {
    const DELETE: &str = "DELETE FROM secrets WHERE place_table = $1 AND place_owner = $2 AND place_row = $3";
    Ok(connection.execute(DELETE, values(place)).await? > 0)
}

/// What is sealed at a place.
pub(crate) async fn get(connection: &mut Connection, place: &Place) -> Result<Option<Sealed>, StoreError> {
    const GET: &str =
        "SELECT sealed FROM secrets WHERE place_table = $1 AND place_owner = $2 AND place_row = $3";
    let line = connection.fetch_one(GET, values(place)).await?;
    Ok(line.map(|line| line.bytes(0)).transpose()?.map(Sealed::from_bytes))
}

/// The rows with something sealed of one kind in one scope.
pub(crate) async fn of_kind(
    connection: &mut Connection,
    kind: Kind,
    scope: Scope,
) -> Result<Vec<(String, Sealed)>, StoreError> {
    const OF_KIND: &str = "SELECT place_row, sealed FROM secrets WHERE place_table = $1 AND place_owner = $2";
    let lines = connection.fetch(OF_KIND, [kind.as_str().into(), scope.to_string().into()]).await?;
    let read = lines.iter().map(|line| Ok((line.text(0)?, Sealed::from_bytes(line.bytes(1)?))));
    read.collect()
}

/// Fetches the purposes' keys, makes those that are missing, and hands them to the keyring.
pub(crate) async fn open_keys(
    database: &Database,
    keyring: &Keyring,
    wait_max: std::time::Duration,
) -> Result<(), StoreError> {
    // One process makes them; who starts at the same moment waits here and finds them.
    const LOCK: &str = "UPDATE guards SET name = name WHERE name = 'keys'";
    let (mut connection, permit) = database.begin(Access::Write, wait_max).await?;
    connection.execute(LOCK, []).await?;
    let mut stored = stored_keys(&mut connection).await?;
    // Before any is made: a wrong envelope key must not leave keys of its own behind.
    let anew = keyring.take_keys(&stored)?;
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
    for purpose in Purpose::ALL {
        if !stored.iter().any(|key| key.purpose == purpose) {
            let key = keyring.make_key(purpose, 1)?;
            insert_key(&mut connection, &key).await?;
            stored.push(key);
        }
    }
    keyring.take_keys(&stored)?;
    connection.commit().await?;
    drop(permit);
    Ok(())
}

/// Fetches the purposes' keys again, after another version was made.
pub(crate) async fn reload_keys(
    database: &Database,
    keyring: &Keyring,
    wait_max: std::time::Duration,
) -> Result<(), StoreError> {
    let (mut connection, _) = database.begin(Access::Read, wait_max).await?;
    let stored = stored_keys(&mut connection).await?;
    keyring.take_keys(&stored)?;
    Ok(())
}

/// Whether a change says that there is another version of a purpose's key.
pub(crate) fn is_rotation(kind: Kind, key: &str) -> bool {
    kind == Kind::Setting && key.starts_with(KEY_SETTING)
}

async fn stored_keys(connection: &mut Connection) -> Result<Vec<StoredKey>, StoreError> {
    const ALL: &str =
        "SELECT purpose, version, envelope, sealed FROM purpose_keys ORDER BY purpose, version, envelope";
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
        });
    }
    Ok(keys)
}

async fn insert_key(connection: &mut Connection, key: &StoredKey) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO purpose_keys (purpose, version, envelope, sealed) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (purpose, version, envelope) DO NOTHING";
    let values = [
        key.purpose.as_str().into(),
        Value::number(u64::from(key.version)),
        key.envelope.as_str().into(),
        key.sealed.as_bytes().to_vec().into(),
    ];
    connection.execute(INSERT, values).await?;
    Ok(())
}

impl Transaction {
    /// Keeps something sealed at its place, in place of what was there. No change line says what it was.
    ///
    /// # Errors
    /// As any write.
    pub async fn put_secret(&mut self, place: &Place, sealed: &Sealed) -> Result<(), StoreError> {
        let done = put(self.connection(), place, sealed).await;
        self.noted(done)
    }

    /// Removes what is sealed at a place; false where nothing was.
    ///
    /// # Errors
    /// As any write.
    pub async fn delete_secret(&mut self, place: &Place) -> Result<bool, StoreError> {
        let done = delete(self.connection(), place).await;
        self.noted(done)
    }
}

impl Store {
    /// What is sealed at a place.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret(&self, place: &Place) -> Result<Option<Sealed>, StoreError> {
        let sealed = get(&mut self.read().await?, place).await?;
        // Its purpose is not written on it: the key is here for certain if every purpose has that version.
        let is_known =
            |sealed: &Sealed| Purpose::ALL.iter().all(|purpose| self.keyring().knows(*purpose, sealed));
        if !sealed.as_ref().is_none_or(is_known) {
            reload_keys(self.database(), self.keyring(), self.options().wait_max).await?;
        }
        Ok(sealed)
    }

    /// Fetches the purposes' keys again where the secret of an access key is sealed under one that another process made
    /// meanwhile.
    pub(crate) async fn learn_keys(
        &self,
        mut sealed: impl Iterator<Item = &Sealed>,
    ) -> Result<(), StoreError> {
        if sealed.all(|sealed| self.keyring().knows(Purpose::AccessKeySecret, sealed)) {
            return Ok(());
        }
        reload_keys(self.database(), self.keyring(), self.options().wait_max).await
    }

    /// Makes a new version of a purpose's key, which seals and makes from now on; the older ones still open and verify. Every
    /// process has it before its followers see the change. Answers the version.
    ///
    /// # Errors
    /// As any mutation.
    pub async fn rotate(&self, mutation: &Mutation, purpose: Purpose) -> Result<u32, StoreError> {
        let mut transaction = self.begin("rotate_purpose_key", mutation, &[Scope::Hub]).await?;
        let stored = stored_keys(transaction.connection()).await?;
        let newest = stored.iter().filter(|key| key.purpose == purpose).map(|key| key.version).max();
        let key = self.keyring().make_key(purpose, newest.unwrap_or(0).saturating_add(1))?;
        insert_key(transaction.connection(), &key).await?;
        let setting = Setting::new(format!("{KEY_SETTING}{purpose}"), key.version.to_string());
        transaction.put(&setting).await?;
        transaction.commit_unrecorded().await?;
        Ok(key.version)
    }
}

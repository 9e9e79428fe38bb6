//! Sealed values by their place.

use lanyard_api::Scope;

use crate::{
    error::StoreError,
    keyring::{Place, Purpose, Sealed},
    kind::Kind,
    sql::{Connection, Value},
    store::Store,
    transaction::Transaction,
};

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

/// What is sealed for records of one kind, wherever it belongs: at most `most` of it, in the order of owners and rows, after a place.
pub(crate) async fn page_of_kind(
    connection: &mut Connection,
    kind: Kind,
    after: Option<&Place>,
    most: u32,
) -> Result<Vec<(Place, Sealed)>, StoreError> {
    const PAGE: &str = "SELECT place_row, place_owner, sealed FROM secrets \
        WHERE place_table = $1 AND (place_owner > $2 OR (place_owner = $2 AND place_row > $3)) \
        ORDER BY place_owner, place_row LIMIT $4";
    let (owner, row) = after.map_or(("", ""), |place| (place.owner.as_str(), place.row.as_str()));
    let values = [kind.as_str().into(), owner.into(), row.into(), Value::number(most.into())];
    let lines = connection.fetch(PAGE, values).await?;
    let read = lines.iter().map(|line| {
        let place = Place::new(kind.as_str(), line.text(0)?, line.text(1)?);
        Ok((place, Sealed::from_bytes(line.bytes(2)?)))
    });
    read.collect()
}

/// Puts a sealed value in place of that one; false where another is there by now, or none.
pub(crate) async fn replace(
    connection: &mut Connection,
    place: &Place,
    before: &Sealed,
    sealed: &Sealed,
) -> Result<bool, StoreError> {
    const REPLACE: &str = "UPDATE secrets SET sealed = $4 \
        WHERE place_table = $1 AND place_owner = $2 AND place_row = $3 AND sealed = $5";
    let [table, owner, row] = values(place);
    let (new, old) = (sealed.as_bytes().to_vec().into(), before.as_bytes().to_vec().into());
    Ok(connection.execute(REPLACE, [table, owner, row, new, old]).await? > 0)
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
        // Where its place does not tell its purpose, the key is here for certain if each of this process's purposes has that version.
        let is_known = |sealed: &Sealed| match Purpose::of_place(&place.table) {
            Some(purpose) => self.keyring().knows(purpose, sealed),
            None => self.keyring().holder().purposes().iter().all(|one| self.keyring().knows(*one, sealed)),
        };
        if !sealed.as_ref().is_none_or(is_known) {
            self.reload_keys().await?;
        }
        Ok(sealed)
    }

    /// Fetches the purposes' keys again where the secret of an access key is sealed under one that another process made
    /// meanwhile.
    pub(crate) async fn learn_keys(
        &self,
        mut sealed: impl Iterator<Item = &Sealed>,
    ) -> Result<(), StoreError> {
        let keyring = self.keyring();
        // Whom those secrets are kept from cannot learn to open them.
        if !keyring.holder().may_have(Purpose::AccessKeySecret)
            || sealed.all(|sealed| keyring.knows(Purpose::AccessKeySecret, sealed))
        {
            return Ok(());
        }
        self.renew_keys().await
    }
}

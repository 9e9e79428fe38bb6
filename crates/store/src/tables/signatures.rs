//! Signatures of mutations: each counts once.

use std::collections::BTreeMap;

use lanyard_api::{Revision, Scope, SignatureUse};
use time::OffsetDateTime;

use crate::{
    error::StoreError,
    sql::{Connection, Value},
};

/// The revisions that a mutation left, as they are compared when its signature comes again.
fn text_of(revisions: &BTreeMap<Scope, Revision>) -> String {
    let each: Vec<String> = revisions.iter().map(|(scope, revision)| format!("{scope}@{revision}")).collect();
    each.join(" ")
}

/// Uses a signature, or answers what its first use did. `revisions` are those of the scopes that the caller holds locked.
pub(crate) async fn claim(
    connection: &mut Connection,
    signature: &SignatureUse,
    revisions: &BTreeMap<Scope, Revision>,
) -> Result<(), StoreError> {
    const CLAIM: &str = "INSERT INTO signature_uses (digest, expires_at, revisions) VALUES ($1, $2, '') \
        ON CONFLICT (digest) DO NOTHING";
    const FIRST_USE: &str = "SELECT revisions, answer FROM signature_uses WHERE digest = $1";
    let values = [signature.digest.to_vec().into(), Value::moment(signature.expires_at)];
    if connection.execute(CLAIM, values).await? == 1 {
        return Ok(());
    }
    let line = connection.fetch_one(FIRST_USE, [signature.digest.to_vec().into()]).await?;
    let Some(line) = line else { return Err(StoreError::Conflict) };
    // The same answer is true only while nothing has changed where it was true.
    let unchanged = line.text(0)? == text_of(revisions);
    let answer = line.bytes_or_none(1)?.filter(|_| unchanged);
    Err(StoreError::Replayed { answer })
}

/// Keeps what the mutation answered and left.
pub(crate) async fn record(
    connection: &mut Connection,
    signature: &SignatureUse,
    revisions: &BTreeMap<Scope, Revision>,
    answer: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    const RECORD: &str = "UPDATE signature_uses SET revisions = $2, answer = $3 WHERE digest = $1";
    let values = [signature.digest.to_vec().into(), text_of(revisions).into(), Value::Bytes(answer)];
    connection.execute(RECORD, values).await?;
    Ok(())
}

/// Forgets signatures that are too old to be accepted anyway.
pub(crate) async fn sweep(connection: &mut Connection, now: OffsetDateTime) -> Result<u64, StoreError> {
    const SWEEP: &str = "DELETE FROM signature_uses WHERE expires_at < $1";
    Ok(connection.execute(SWEEP, [Value::moment(now)]).await?)
}

//! Scopes' counters, change lines, and the rows of any kind.

use lanyard_api::{Revision, Scope};

use super::{scope_id, secrets, statements};
use crate::{
    change::Change,
    error::StoreError,
    keyring::Place,
    kind::Kind,
    model::Row,
    sql::{Connection, Line, Value, moment},
};

/// A line with what chains it.
pub(crate) struct ChainedChange {
    pub(crate) change: Change,
    pub(crate) mac: Vec<u8>,
    pub(crate) mac_version: u32,
}

/// Locks a scope's counter until the transaction ends, and makes it at first use; answers revision and last MAC.
pub(crate) async fn lock_counter(
    connection: &mut Connection,
    scope: Scope,
) -> Result<(Revision, Vec<u8>), StoreError> {
    const LOCK: &str = "INSERT INTO scopes (scope, revision, mac) VALUES ($1, 0, $2) \
        ON CONFLICT (scope) DO UPDATE SET revision = scopes.revision RETURNING revision, mac";
    match connection.fetch_one(LOCK, [scope.to_string().into(), Vec::new().into()]).await? {
        Some(line) => Ok((Revision(line.unsigned(0)?), line.bytes(1)?)),
        None => Err(StoreError::Broken(format!("the counter of scope `{scope}` cannot be locked"))),
    }
}

/// A scope's revision and last MAC; 0 and empty for one that was never written in.
pub(crate) async fn counter_of(
    connection: &mut Connection,
    scope: Scope,
) -> Result<(Revision, Vec<u8>), StoreError> {
    const COUNTER: &str = "SELECT revision, mac FROM scopes WHERE scope = $1";
    match connection.fetch_one(COUNTER, [scope.to_string().into()]).await? {
        Some(line) => Ok((Revision(line.unsigned(0)?), line.bytes(1)?)),
        None => Ok((Revision(0), Vec::new())),
    }
}

/// Moves a locked counter on.
pub(crate) async fn set_counter(
    connection: &mut Connection,
    scope: Scope,
    revision: Revision,
    mac: Vec<u8>,
) -> Result<(), StoreError> {
    const SET: &str = "UPDATE scopes SET revision = $2, mac = $3 WHERE scope = $1";
    connection.execute(SET, [scope.to_string().into(), Value::number(revision.0), mac.into()]).await?;
    Ok(())
}

/// All counters.
pub(crate) async fn counters(connection: &mut Connection) -> Result<Vec<(Scope, Revision)>, StoreError> {
    let mut counters = Vec::new();
    for line in connection.fetch("SELECT scope, revision FROM scopes ORDER BY scope", []).await? {
        counters.push((scope_of(&line, 0)?, Revision(line.unsigned(1)?)));
    }
    Ok(counters)
}

/// Writes a line.
pub(crate) async fn insert_line(connection: &mut Connection, line: &ChainedChange) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO changes \
        (scope, revision, sequence, at, actor, reason, kind, key, before, after, mac_version, mac) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let change = &line.change;
    let values = [
        change.scope.to_string().into(),
        Value::number(change.revision.0),
        Value::number(u64::from(change.sequence)),
        Value::moment(change.at),
        change.actor.as_str().into(),
        Value::Text(change.reason.clone()),
        change.kind.as_str().into(),
        change.key.as_str().into(),
        Value::Bytes(change.before.clone()),
        Value::Bytes(change.after.clone()),
        Value::number(u64::from(line.mac_version)),
        line.mac.clone().into(),
    ];
    connection.execute(INSERT, values).await?;
    Ok(())
}

/// The lines of the next so many revisions after one, in order.
pub(crate) async fn lines_after(
    connection: &mut Connection,
    scope: Scope,
    after: Revision,
    revisions_max: u64,
) -> Result<Vec<ChainedChange>, StoreError> {
    const AFTER: &str = "SELECT revision, sequence, at, actor, reason, kind, key, before, after, mac_version, mac \
        FROM changes WHERE scope = $1 AND revision > $2 AND revision <= $3 ORDER BY revision, sequence";
    let last = after.0.saturating_add(revisions_max);
    let values = [scope.to_string().into(), Value::number(after.0), Value::number(last)];
    let lines = connection.fetch(AFTER, values).await?;
    lines.iter().map(|line| read_line(scope, line)).collect()
}

fn read_line(scope: Scope, line: &Line) -> Result<ChainedChange, StoreError> {
    let unreadable =
        |what: &str| StoreError::Broken(format!("a change line of scope `{scope}` has no good {what}"));
    let change = Change {
        scope,
        revision: Revision(line.unsigned(0)?),
        sequence: u32::try_from(line.integer(1)?).map_err(|_| unreadable("sequence"))?,
        at: moment(line.integer(2)?).ok_or_else(|| unreadable("time"))?,
        actor: line.text(3)?,
        reason: line.text_or_none(4)?,
        kind: Kind::from_name(&line.text(5)?).ok_or_else(|| unreadable("kind"))?,
        key: line.text(6)?,
        before: line.bytes_or_none(7)?,
        after: line.bytes_or_none(8)?,
        sealed: None,
    };
    let mac_version = u32::try_from(line.integer(9)?).map_err(|_| unreadable("key version"))?;
    Ok(ChainedChange { change, mac_version, mac: line.bytes(10)? })
}

/// Adds to changes of access keys what is sealed for them now.
pub(crate) async fn attach_sealed(
    connection: &mut Connection,
    changes: &mut [Change],
) -> Result<(), StoreError> {
    for change in changes {
        if change.kind == Kind::AccessKey && change.after.is_some() {
            let place = Place::new(change.kind.as_str(), change.key.as_str(), change.scope.to_string());
            change.sealed = secrets::get(connection, &place).await?;
        }
    }
    Ok(())
}

/// Keys and bodies of a kind in a scope, in the order of keys; none where the kind has no place in the scope.
pub(crate) async fn rows_of(
    connection: &mut Connection,
    kind: Kind,
    scope: Scope,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let Ok(id) = scope_id(kind, scope, "") else { return Ok(Vec::new()) };
    let lines = connection.fetch(statements(kind).select_all, [id.into()]).await?;
    lines.iter().map(|line| Ok((line.text(0)?, line.bytes(1)?))).collect()
}

/// The bodies of so many rows of a kind in a scope at most, those whose keys come next after one, in the order of keys.
pub(crate) async fn bodies_after(
    connection: &mut Connection,
    kind: Kind,
    scope: Scope,
    after: &str,
    rows_max: u32,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let Ok(id) = scope_id(kind, scope, "") else { return Ok(Vec::new()) };
    let values = [id.into(), after.into(), Value::number(rows_max.into())];
    let lines = connection.fetch(statements(kind).select_after, values).await?;
    lines.iter().map(|line| Ok(line.bytes(1)?)).collect()
}

/// The same with what is sealed for each.
pub(crate) async fn sealed_rows_of(
    connection: &mut Connection,
    kind: Kind,
    scope: Scope,
) -> Result<Vec<Row>, StoreError> {
    let rows = rows_of(connection, kind, scope).await?;
    let mut sealed: std::collections::HashMap<_, _> = match kind {
        Kind::AccessKey => secrets::of_kind(connection, kind, scope).await?.into_iter().collect(),
        _ => std::collections::HashMap::new(),
    };
    let each = rows.into_iter().map(|(key, body)| {
        let sealed = sealed.remove(&key);
        Row { kind, key, body, sealed }
    });
    Ok(each.collect())
}

fn scope_of(line: &Line, at: usize) -> Result<Scope, StoreError> {
    let text = line.text(at)?;
    text.parse()
        .map_err(|_| StoreError::Broken(format!("the store has a counter for `{text}`, which is no scope")))
}

//! Writes, and what each leaves for the change lines.

use lanyard_api::Scope;

use super::{Transaction, Written};
use crate::{
    error::{RecordError, StoreError},
    keyring::Place,
    kind::Kind,
    lockout::{Guard, LiftGuard, Write, is_weighed},
    record::{Record, Statement, TEXT_BYTES_MAX, body_of, record_of},
    sql::{SqlError, Value, Violation},
    tables::{dependants, scope_id, secrets, statements},
};

impl Transaction {
    /// Makes a record.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where it, or another with the same unique name or number, is there;
    /// [`StoreError::Dangling`] where what it names is not.
    pub async fn insert<R: Record>(&mut self, record: &R) -> Result<(), StoreError> {
        let done = self.try_insert(record).await;
        self.noted(done)
    }

    /// Makes a record, or replaces the one of its key. One that is the same already stays without a change line.
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub async fn put<R: Record>(&mut self, record: &R) -> Result<(), StoreError> {
        let done = self.try_put(record).await;
        self.noted(done)
    }

    /// Deletes a record with what hangs on it (a user's keys, an entry's policies, all of a cluster), each with a line of its
    /// own, and with its secret; answers what it was. What hangs on it in another scope needs that scope begun too.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where something else names it.
    pub async fn delete<R: Record>(&mut self, scope: Scope, key: &str) -> Result<Option<R>, StoreError> {
        let done = self.try_delete(scope, key).await;
        self.noted(done)
    }

    async fn try_insert<R: Record>(&mut self, record: &R) -> Result<(), StoreError> {
        let body = body_of(record)?;
        self.weigh(R::KIND, Write::Insert, record.scope()).await?;
        self.insert_body(record, body).await
    }

    async fn try_put<R: Record>(&mut self, record: &R) -> Result<(), StoreError> {
        let (scope, key, body) = (record.scope(), record.key(), body_of(record)?);
        let Some(before) = self.body(R::KIND, scope, &key).await? else {
            self.weigh(R::KIND, Write::Insert, scope).await?;
            return self.insert_body(record, body).await;
        };
        if before == body {
            return Ok(());
        }
        self.weigh(R::KIND, Write::Put, scope).await?;
        let values = values_of(record, &key, body.clone())?;
        let done = self.connection.execute_all(statements(R::KIND).update, values).await;
        done.map_err(|error| refused(record, error))?;
        self.run(record, record.after_write()).await?;
        self.note(Written { scope, kind: R::KIND, key, before: Some(before), after: Some(body) })
    }

    async fn insert_body<R: Record>(&mut self, record: &R, body: Vec<u8>) -> Result<(), StoreError> {
        let (scope, key) = (record.scope(), record.key());
        let values = values_of(record, &key, body.clone())?;
        self.run(record, record.before_insert()).await?;
        let done = self.connection.execute_all(statements(R::KIND).insert, values).await;
        done.map_err(|error| refused(record, error))?;
        self.run(record, record.after_write()).await?;
        self.note(Written { scope, kind: R::KIND, key, before: None, after: Some(body) })
    }

    async fn try_delete<R: Record>(&mut self, scope: Scope, key: &str) -> Result<Option<R>, StoreError> {
        let Some(body) = self.body(R::KIND, scope, key).await? else { return Ok(None) };
        let record: R = record_of(&body)?;
        self.weigh(R::KIND, Write::Delete, scope).await?;
        self.delete_dependants(R::KIND, scope, key).await?;
        self.run(&record, record.before_delete()).await?;
        self.delete_row(R::KIND, scope, key.to_owned(), body).await?;
        Ok(Some(record))
    }

    /// Deletes what hangs on a record; each kind is listed before those that it hangs on, so none of these has dependants left.
    async fn delete_dependants(&mut self, kind: Kind, scope: Scope, key: &str) -> Result<(), StoreError> {
        for each in dependants(kind) {
            let theirs = if each.in_scope_of_key { scope_named(kind, key)? } else { scope };
            let values = [scope_id(kind, scope, key)?.into(), key.into()];
            let lines = self.connection.fetch(each.select, values).await?;
            for line in lines {
                self.delete_row(each.kind, theirs, line.text(0)?, line.bytes(1)?).await?;
            }
        }
        Ok(())
    }

    async fn delete_row(
        &mut self,
        kind: Kind,
        scope: Scope,
        key: String,
        body: Vec<u8>,
    ) -> Result<(), StoreError> {
        let id = scope_id(kind, scope, &key)?;
        let done = self.connection.execute(statements(kind).delete, [id.into(), key.as_str().into()]).await;
        done.map_err(|error| match error.violation() {
            Some(Violation::ForeignKey) => StoreError::InUse { kind, key: key.clone() },
            _ => error.into(),
        })?;
        let place = Place::new(kind.as_str(), key.as_str(), scope.to_string());
        secrets::delete(&mut self.connection, &place).await?;
        self.note(Written { scope, kind, key, before: Some(body), after: None })
    }

    /// Lets the guards look before the first write that they weigh.
    async fn weigh(&mut self, kind: Kind, write: Write, scope: Scope) -> Result<(), StoreError> {
        if self.guard.is_none() && is_weighed(kind, write) {
            let scopes = self.counters.keys().copied();
            self.guard = Some(Guard::begin(&mut self.connection, self.now, scopes).await?);
        }
        if self.lifting.is_none() && kind == Kind::Block && write != Write::Delete {
            self.lifting = Some(LiftGuard::begin(&mut self.connection, self.now, scope).await?);
        }
        Ok(())
    }

    async fn run<R: Record>(&mut self, record: &R, statements: Vec<Statement>) -> Result<(), StoreError> {
        for Statement { sql, values } in statements {
            let done = self.connection.execute_all(sql, values).await;
            done.map_err(|error| refused(record, error))?;
        }
        Ok(())
    }

    /// Adds a write to those of the same record before it: what counts is what it was at first and is at last.
    fn note(&mut self, write: Written) -> Result<(), StoreError> {
        if !self.counters.contains_key(&write.scope) {
            return Err(StoreError::ScopeNotBegun(write.scope));
        }
        let place = (write.scope, write.kind, write.key.clone());
        match self.written.get(&place).and_then(|at| self.writes.get_mut(*at)) {
            Some(earlier) => earlier.after = write.after,
            None => {
                self.written.insert(place, self.writes.len());
                self.writes.push(write);
            }
        }
        Ok(())
    }
}

/// Whether a record can be stored as far as its own form goes: its length, and what a database would refuse, cut or compare in
/// its own way.
///
/// # Errors
/// [`StoreError::Record`] says which rule it breaks.
pub fn check_record<R: Record>(record: &R) -> Result<(), StoreError> {
    values_of(record, &record.key(), body_of(record)?).map(drop)
}

/// The parameters of an insert or update, none of which a database would refuse, cut or compare in its own way.
fn values_of<R: Record>(record: &R, key: &str, body: Vec<u8>) -> Result<Vec<Value>, StoreError> {
    let kind = R::KIND;
    let id = scope_id(kind, record.scope(), key)?;
    let mut values = vec![Value::from(id), key.into(), body.into()];
    values.extend(record.columns());
    for value in &values {
        let Value::Text(Some(text)) = value else { continue };
        if text.contains('\0') {
            return Err(RecordError::Nul { kind, key: key.to_owned() }.into());
        }
        if text.len() > TEXT_BYTES_MAX {
            let (bytes, limit) = (text.len(), TEXT_BYTES_MAX);
            return Err(RecordError::TextTooLong { kind, bytes, limit }.into());
        }
    }
    Ok(values)
}

/// The scope that a record's key names.
fn scope_named(kind: Kind, key: &str) -> Result<Scope, StoreError> {
    let scope = match kind {
        Kind::Account => key.parse().ok().map(Scope::Account),
        Kind::Cluster => key.parse().ok().map(Scope::Cluster),
        _ => None,
    };
    scope.ok_or_else(|| StoreError::Broken(format!("{} `{key}` names no scope", kind.noun())))
}

/// What a failed write means for the record.
fn refused<R: Record>(record: &R, error: SqlError) -> StoreError {
    let (kind, key) = (R::KIND, record.name());
    match error.violation() {
        Some(Violation::Unique) => StoreError::Exists { kind, key },
        Some(Violation::ForeignKey) => StoreError::Dangling { kind, key },
        Some(Violation::Other) => RecordError::Refused { kind, key }.into(),
        None => error.into(),
    }
}

//! A database transaction of either kind, and the rows it answers.

use std::{io, time::Duration};

use lanyard_kit::telemetry::trace::{self, span};
use sqlx::{Postgres, Row as _, SqlSafeStr, Sqlite, error::ErrorKind, postgres::PgRow, sqlite::SqliteRow};
use tokio::time::{error::Elapsed, timeout};
use tracing::Span;

use super::value::Value;
use crate::error::StoreError;

/// How traces call the file's database.
pub(super) const SQLITE: &str = "sqlite";
/// How traces call the server's.
pub(super) const POSTGRESQL: &str = "postgresql";

/// A database transaction.
pub(crate) enum Connection {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// With the longest wait for an answer: a server that is gone without a word shows by nothing else for a quarter of an hour.
    Postgres(sqlx::Transaction<'static, Postgres>, Duration),
}

/// One row of an answer, its columns by place from 0.
pub(crate) enum Line {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A rule of the database that a statement broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    Unique,
    ForeignKey,
    Other,
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) struct SqlError(sqlx::Error);

/// Binds values one by one.
macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql.into_sql_str());
        for value in $values {
            query = match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Connection {
    /// Runs a statement; answers how many rows it touched.
    pub(crate) async fn execute<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<u64, SqlError> {
        self.execute_all(sql, values.into()).await
    }

    /// The same with as many values as there are.
    pub(crate) async fn execute_all(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, SqlError> {
        let span = self.span(sql);
        let done = match self {
            Self::Sqlite(tx) => bound!(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected()),
            Self::Postgres(tx, limit) => {
                let done = Box::pin(timeout(*limit, bound!(sql, values).execute(&mut **tx))).await;
                in_time(*limit, done).map(|done| done.rows_affected())
            }
        };
        told(&span, done.map_err(SqlError))
    }

    /// Runs a query; answers all its rows.
    pub(crate) async fn fetch<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<Vec<Line>, SqlError> {
        let span = self.span(sql);
        let done = match self {
            Self::Sqlite(tx) => {
                let rows = bound!(sql, values).fetch_all(&mut **tx).await;
                rows.map(|rows| rows.into_iter().map(Line::Sqlite).collect())
            }
            Self::Postgres(tx, limit) => {
                let rows = Box::pin(timeout(*limit, bound!(sql, values).fetch_all(&mut **tx))).await;
                in_time(*limit, rows).map(|rows| rows.into_iter().map(Line::Postgres).collect())
            }
        };
        told(&span, done.map_err(SqlError))
    }

    /// Runs a query that answers one row at most.
    pub(crate) async fn fetch_one<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<Option<Line>, SqlError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// Runs a query for one number, such as a count; 0 where there is no row.
    pub(crate) async fn number<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<i64, SqlError> {
        match self.fetch_one(sql, values).await? {
            Some(line) => line.integer(0),
            None => Ok(0),
        }
    }

    /// Makes it all count. Where the database is away in the end, or says nothing, it may count all the same.
    pub(crate) async fn commit(self) -> Result<(), SqlError> {
        let span = self.span("COMMIT");
        let done = match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx, limit) => in_time(limit, Box::pin(timeout(limit, tx.commit())).await),
        };
        told(&span, done.map_err(SqlError))
    }

    fn span(&self, sql: &'static str) -> Span {
        let (operation, table) = if trace::is_on() { kind_of(sql) } else { ("", None) };
        span::statement(self.system(), operation, table)
    }

    fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(..) => POSTGRESQL,
        }
    }

    /// Whether commits can wake others.
    pub(crate) fn notifies(&self) -> bool {
        matches!(self, Self::Postgres(..))
    }
}

/// What a server answered, if it did in time. What waits is in a box: each statement of a mutation would make its future larger.
pub(super) fn in_time<T>(
    limit: Duration,
    done: Result<Result<T, sqlx::Error>, Elapsed>,
) -> Result<T, sqlx::Error> {
    done.unwrap_or_else(|_| {
        let silent = format!("it said nothing for {limit:?}");
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, silent)))
    })
}

/// A statement's first word, and the table that it is about. Statements are this program's own: there is no value in them.
fn kind_of(sql: &'static str) -> (&'static str, Option<&'static str>) {
    let mut words =
        sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    let operation = words.next().unwrap_or("");
    if operation.eq_ignore_ascii_case("UPDATE") {
        return (operation, words.next());
    }
    let is_before_table = |word: &&str| ["FROM", "INTO"].iter().any(|other| word.eq_ignore_ascii_case(other));
    (operation, words.skip_while(|word| !is_before_table(word)).nth(1))
}

/// A statement's end, on its span. Nothing is below a statement, so that it is enough to hold its span: entered, it would have to
/// wrap the future, and make each larger.
pub(super) fn told<T, E>(span: &Span, done: Result<T, E>) -> Result<T, E> {
    if done.is_err() {
        span::failed(span);
    }
    done
}

/// Reads one column; an absent value is none.
macro_rules! column {
    ($line:expr, $at:expr) => {
        match $line {
            Line::Sqlite(row) => row.try_get($at).map_err(SqlError),
            Line::Postgres(row) => row.try_get($at).map_err(SqlError),
        }
    };
}

impl Line {
    pub(crate) fn integer(&self, at: usize) -> Result<i64, SqlError> {
        column!(self, at)
    }

    pub(crate) fn text(&self, at: usize) -> Result<String, SqlError> {
        column!(self, at)
    }

    pub(crate) fn text_or_none(&self, at: usize) -> Result<Option<String>, SqlError> {
        column!(self, at)
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<Vec<u8>, SqlError> {
        column!(self, at)
    }

    pub(crate) fn bytes_or_none(&self, at: usize) -> Result<Option<Vec<u8>>, SqlError> {
        column!(self, at)
    }

    /// A number that is never negative.
    pub(crate) fn unsigned(&self, at: usize) -> Result<u64, StoreError> {
        let number = self.integer(at)?;
        u64::try_from(number).map_err(|_| StoreError::Broken(format!("a counter is {number}")))
    }
}

impl SqlError {
    /// The rule that was broken, if that is what it is.
    pub(crate) fn violation(&self) -> Option<Violation> {
        let kind = self.0.as_database_error()?.kind();
        match kind {
            ErrorKind::UniqueViolation => Some(Violation::Unique),
            ErrorKind::ForeignKeyViolation => Some(Violation::ForeignKey),
            ErrorKind::NotNullViolation | ErrorKind::CheckViolation => Some(Violation::Other),
            _ => None,
        }
    }

    /// Whether another transaction was in the way: serialization failure, deadlock, lock timeout; SQLite's busy and locked.
    fn is_conflict(&self) -> bool {
        const POSTGRES: [&str; 3] = ["40001", "40P01", "55P03"];
        const SQLITE_BUSY: i32 = 5;
        const SQLITE_LOCKED: i32 = 6;
        let Some(error) = self.0.as_database_error() else { return false };
        let Some(code) = error.code() else { return false };
        if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            // The low byte is the code proper, the rest says more of it.
            return code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED));
        }
        POSTGRES.contains(&&*code)
    }

    /// Whether the database is away rather than of another opinion.
    fn is_absence(&self) -> bool {
        if let Some(error) = self.0.as_database_error() {
            // Postgres: connection exceptions, out of resources, going down or starting, statement cancelled.
            const CLASSES: [&str; 3] = ["08", "53", "57"];
            let is_postgres = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some();
            return is_postgres
                && error.code().is_some_and(|code| CLASSES.iter().any(|class| code.starts_with(class)));
        }
        matches!(
            self.0,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        )
    }
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        if error.is_conflict() {
            return Self::Conflict;
        }
        // A driver's text may quote what was stored; it goes to the log, its first line to the operator.
        let text = error.0.to_string();
        if error.is_absence() { Self::Unavailable(text) } else { Self::Broken(text) }
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_first_word_and_its_table() {
        for (sql, named) in [
            ("SELECT body FROM clusters WHERE uid = $1", ("SELECT", Some("clusters"))),
            ("INSERT INTO changes (scope) VALUES ($1)", ("INSERT", Some("changes"))),
            ("UPDATE counters SET revision = $2", ("UPDATE", Some("counters"))),
            ("DELETE FROM decisions WHERE id IN (SELECT id FROM x)", ("DELETE", Some("decisions"))),
            ("SELECT pg_notify($1, $2)", ("SELECT", None)),
            ("COMMIT", ("COMMIT", None)),
            ("", ("", None)),
        ] {
            assert_eq!(kind_of(sql), named, "{sql}");
        }
    }
}

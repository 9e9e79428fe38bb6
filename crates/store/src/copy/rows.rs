//! Rows on their way: in batches, each column a list, as Postgres takes them fastest.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqlitePool, Transaction, sqlite::SqliteRow};

use crate::{error::StoreError, sql::SqlError, store::Store};

/// Rows that are sent at a time, unless they are long.
const BATCH_ROWS_MAX: usize = 1000;
/// Bytes at which a batch is sent before that: far below what one message to Postgres may have.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// One table and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: ColumnKind,
}

/// The three types that columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Integer,
    Text,
    Bytes,
}

/// The values of one column in some rows.
pub(super) enum Values {
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// Some rows.
pub(super) struct Batch {
    pub(super) columns: Vec<Values>,
    pub(super) rows: usize,
    bytes: usize,
}

/// Pushes one column's value of a row of either database.
macro_rules! push {
    ($values:expr, $row:expr, $at:expr, $bytes:expr) => {
        match $values {
            Values::Integer(values) => {
                *$bytes += size_of::<i64>();
                values.push($row.try_get($at).map_err(SqlError::from)?);
            }
            Values::Text(values) => {
                let text: Option<String> = $row.try_get($at).map_err(SqlError::from)?;
                *$bytes += text.as_ref().map_or(0, String::len);
                values.push(text);
            }
            Values::Bytes(values) => {
                let bytes: Option<Vec<u8>> = $row.try_get($at).map_err(SqlError::from)?;
                *$bytes += bytes.as_ref().map_or(0, Vec::len);
                values.push(bytes);
            }
        }
    };
}
pub(super) use push;

impl Batch {
    pub(super) fn of(table: &Table) -> Self {
        let values = |column: &Column| match column.kind {
            ColumnKind::Integer => Values::Integer(Vec::new()),
            ColumnKind::Text => Values::Text(Vec::new()),
            ColumnKind::Bytes => Values::Bytes(Vec::new()),
        };
        Self { columns: table.columns.iter().map(values).collect(), rows: 0, bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES
    }

    fn take_sqlite(&mut self, row: &SqliteRow) -> Result<(), StoreError> {
        for (at, values) in self.columns.iter_mut().enumerate() {
            push!(values, row, at, &mut self.bytes);
        }
        self.rows += 1;
        Ok(())
    }
}

/// What a set of rows is, whatever their order: a sum over the hash of each. It tells a row that was lost, doubled or altered
/// on its way; against those who would forge one there is the chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: [u64; 4],
}

impl Digest {
    pub(super) fn take(&mut self, batch: &Batch) {
        for at in 0..batch.rows {
            let mut hash = Sha256::new();
            for values in &batch.columns {
                match values {
                    Values::Integer(values) => {
                        part(&mut hash, values.get(at).copied().flatten().map(i64::to_be_bytes));
                    }
                    Values::Text(values) => part(&mut hash, values.get(at).and_then(Option::as_ref)),
                    Values::Bytes(values) => part(&mut hash, values.get(at).and_then(Option::as_ref)),
                }
            }
            let hash = hash.finalize();
            for (lane, bytes) in self.sum.iter_mut().zip(hash.as_chunks::<8>().0) {
                *lane = lane.wrapping_add(u64::from_be_bytes(*bytes));
            }
            self.rows += 1;
        }
    }
}

/// A value with its length before it, so that none can lend bytes to the next; an absent one is none that is there.
fn part(hash: &mut Sha256, bytes: Option<impl AsRef<[u8]>>) {
    match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update((bytes.as_ref().len() as u64).to_be_bytes());
            hash.update(bytes.as_ref());
        }
    }
}

/// The source at one moment.
pub(super) struct Source {
    transaction: Transaction<'static, Sqlite>,
}

impl Source {
    pub(super) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let pool: &SqlitePool = store.database().sqlite()?;
        Ok(Self { transaction: pool.begin().await.map_err(SqlError::from)? })
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        // The names are those of our own migrations, as the target tells them.
        let sql = format!("SELECT count(*) FROM \"{}\"", table.name);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(SqlError::from)?;
        Ok(count.unsigned_abs())
    }

    /// All rows, in the order in which they were written.
    pub(super) fn batches<'a>(&'a mut self, table: &'a Table) -> Batches<'a> {
        let sql = format!("SELECT {} FROM \"{}\" ORDER BY rowid", table.column_list(), table.name);
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *self.transaction);
        Batches { table, rows }
    }
}

/// The rows of one table, some at a time.
pub(super) struct Batches<'a> {
    table: &'a Table,
    rows: Pin<Box<dyn Stream<Item = Result<SqliteRow, sqlx::Error>> + Send + 'a>>,
}

impl Batches<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        let mut batch = Batch::of(self.table);
        while !batch.is_full() {
            let Some(row) = self.rows.next().await else { break };
            batch.take_sqlite(&row.map_err(SqlError::from)?)?;
        }
        Ok((batch.rows > 0).then_some(batch))
    }
}

impl Table {
    pub(super) fn column_list(&self) -> String {
        let quoted: Vec<_> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        quoted.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = (Option<i64>, Option<&'a str>, Option<&'a [u8]>);

    fn digest(rows: &[Row<'_>]) -> Digest {
        let mut digest = Digest::default();
        // In batches of one, and the order turned around.
        for (number, text, bytes) in rows.iter().rev() {
            let columns = vec![
                Values::Integer(vec![*number]),
                Values::Text(vec![text.map(str::to_owned)]),
                Values::Bytes(vec![bytes.map(<[u8]>::to_vec)]),
            ];
            digest.take(&Batch { columns, rows: 1, bytes: 0 });
        }
        digest
    }

    #[test]
    fn a_digest_is_of_the_rows_and_not_of_their_order() {
        let (a, b) = ((Some(1), Some("a"), None), (None, Some(""), Some(&b"x"[..])));
        let whole = digest(&[a, b]);
        assert_eq!(digest(&[b, a]), whole);
        let others = [
            vec![a],
            vec![a, b, b],
            vec![a, a],
            vec![(Some(1), Some("a"), Some(&b""[..])), b],
            vec![(Some(1), None, Some(&b"a"[..])), b],
            vec![a, (None, Some("x"), Some(&b""[..]))],
        ];
        for other in others {
            assert_ne!(digest(&other), whole, "{other:?}");
        }
    }
}

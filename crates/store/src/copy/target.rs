//! The database that a hub is copied into.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Postgres, Row as _, Transaction,
    postgres::PgRow,
};

use super::rows::{Batch, Column, ColumnKind, Digest, Table, Values, push};
use crate::{error::StoreError, migrations::migrate_within, sql::SqlError};

/// All tables, by name.
const NAMES: &str = "SELECT table_name::text FROM information_schema.tables \
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name";
/// The columns of all tables, table by table, in their order.
const COLUMNS: &str = "SELECT c.table_name::text, c.column_name::text, c.data_type::text \
    FROM information_schema.columns c \
    JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
    WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' \
    ORDER BY c.table_name, c.ordinal_position";
/// Which table's rows name those of which other.
const REFERENCES: &str = "SELECT child.relname::text, parent.relname::text FROM pg_constraint k \
    JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid \
    WHERE k.contype = 'f' AND child.relnamespace = current_schema()::regnamespace";

/// A transaction. Dropped before its commit, it has done nothing.
pub(super) struct Target<'c> {
    transaction: Transaction<'c, Postgres>,
}

impl<'c> Target<'c> {
    pub(super) async fn begin(connection: &'c mut PgConnection) -> Result<Self, StoreError> {
        Ok(Self { transaction: connection.begin().await.map_err(SqlError::from)? })
    }

    /// The names of all tables, whosever they are.
    pub(super) async fn table_names(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(NAMES).fetch_all(&mut *self.transaction).await.map_err(SqlError::from)?)
    }

    /// Makes our tables, or brings them up to what this program knows.
    pub(super) async fn migrate(&mut self) -> Result<(), StoreError> {
        migrate_within(&mut self.transaction).await
    }

    /// All tables but some, each after those whose rows it names.
    pub(super) async fn tables(&mut self, but: &[&str]) -> Result<Vec<Table>, StoreError> {
        let columns: Vec<(String, String, String)> =
            sqlx::query_as(COLUMNS).fetch_all(&mut *self.transaction).await.map_err(SqlError::from)?;
        let references: Vec<(String, String)> =
            sqlx::query_as(REFERENCES).fetch_all(&mut *self.transaction).await.map_err(SqlError::from)?;
        let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
        for (table, name, kind) in columns {
            if !but.contains(&table.as_str()) {
                let kind = kind_of(&table, &name, &kind)?;
                tables.entry(table).or_default().push(Column { name, kind });
            }
        }
        let order = in_order(tables.keys().cloned().collect(), &references)?;
        let table = |name: String| Table { columns: tables.remove(&name).unwrap_or_default(), name };
        Ok(order.into_iter().map(table).collect())
    }

    /// Nobody else writes there from now on, to the end of the transaction.
    pub(super) async fn lock(&mut self, tables: &[String]) -> Result<(), StoreError> {
        if tables.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = tables.iter().map(|table| format!("\"{table}\"")).collect();
        let sql = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
        self.transaction.execute(AssertSqlSafe(sql)).await.map_err(SqlError::from)?;
        Ok(())
    }

    pub(super) async fn count(&mut self, table: &str) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(SqlError::from)?;
        Ok(count.unsigned_abs())
    }

    pub(super) async fn insert(&mut self, table: &Table, batch: Batch) -> Result<(), StoreError> {
        let lists: Vec<_> = table.columns.iter().zip(1..).map(|(column, at)| column.kind.list(at)).collect();
        let (name, columns) = (&table.name, table.column_list());
        let sql = format!("INSERT INTO \"{name}\" ({columns}) SELECT * FROM UNNEST({})", lists.join(", "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for values in batch.columns {
            query = match values {
                Values::Integer(values) => query.bind(values),
                Values::Text(values) => query.bind(values),
                Values::Bytes(values) => query.bind(values),
            };
        }
        query.execute(&mut *self.transaction).await.map_err(SqlError::from)?;
        Ok(())
    }

    /// What the table holds now.
    pub(super) async fn digest(&mut self, table: &Table) -> Result<Digest, StoreError> {
        let sql = format!("SELECT {} FROM \"{}\"", table.column_list(), table.name);
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *self.transaction);
        let mut digest = Digest::default();
        while let Some(row) = rows.try_next().await.map_err(SqlError::from)? {
            digest.take(&Batch::of_row(table, &row)?);
        }
        Ok(digest)
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await.map_err(SqlError::from)?)
    }
}

impl Batch {
    fn of_row(table: &Table, row: &PgRow) -> Result<Self, StoreError> {
        let mut batch = Self::of(table);
        let mut bytes = 0_usize;
        for (at, values) in batch.columns.iter_mut().enumerate() {
            push!(values, row, at, &mut bytes);
        }
        batch.rows = 1;
        Ok(batch)
    }
}

impl ColumnKind {
    /// A parameter that is a list of such values.
    fn list(self, at: usize) -> String {
        let name = match self {
            Self::Integer => "bigint",
            Self::Text => "text",
            Self::Bytes => "bytea",
        };
        format!("${at}::{name}[]")
    }
}

fn kind_of(table: &str, column: &str, kind: &str) -> Result<ColumnKind, StoreError> {
    match kind {
        "bigint" => Ok(ColumnKind::Integer),
        "text" => Ok(ColumnKind::Text),
        "bytea" => Ok(ColumnKind::Bytes),
        other => Err(StoreError::Broken(format!("column `{table}.{column}` is of type {other}"))),
    }
}

/// Each after those that it names, and otherwise by name.
fn in_order(mut left: BTreeSet<String>, references: &[(String, String)]) -> Result<Vec<String>, StoreError> {
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |name: &str| {
            references.iter().any(|(child, parent)| child == name && parent != name && left.contains(parent))
        };
        let Some(next) = left.iter().find(|name| !waits(name)).cloned() else {
            return Err(StoreError::Broken(format!("the tables {left:?} name one another in a circle")));
        };
        left.remove(&next);
        order.push(next);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_after_those_whose_rows_it_names() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let pairs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(child, parent)| ((*child).to_owned(), (*parent).to_owned()))
                .collect::<Vec<_>>()
        };
        let references = pairs(&[("a", "c"), ("c", "b"), ("b", "b"), ("d", "elsewhere")]);
        assert_eq!(in_order(set(&["a", "b", "c", "d"]), &references).unwrap(), ["b", "c", "a", "d"]);
        let circle = pairs(&[("a", "b"), ("b", "a")]);
        assert!(in_order(set(&["a", "b"]), &circle).is_err());
    }
}

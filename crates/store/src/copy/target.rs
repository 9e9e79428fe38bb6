//! The database that a hub is copied into.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use lanyard_kit::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, postgres::PgRow};

use super::rows::{Batch, Column, ColumnKind, Digest, Table, Values, push};
use crate::{
    error::StoreError,
    options::StoreUrl,
    sql::{SqlError, postgres_options},
};

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

/// A transaction on a connection of its own. Dropped before its commit, it has done nothing.
pub(super) struct Target {
    connection: PgConnection,
}

impl Target {
    pub(super) async fn begin(url: &StoreUrl) -> Result<Self, StoreError> {
        let StoreUrl::Postgres(text) = url else { return Err(StoreError::Broken("not a server".to_owned())) };
        let options = postgres_options(text.expose_secret())?;
        let mut connection = PgConnection::connect_with(&options).await.map_err(SqlError::from)?;
        connection.execute("BEGIN").await.map_err(SqlError::from)?;
        Ok(Self { connection })
    }

    /// All tables but some, each after those whose rows it names.
    pub(super) async fn tables(&mut self, but: &[&str]) -> Result<Vec<Table>, StoreError> {
        let columns: Vec<(String, String, String)> =
            sqlx::query_as(COLUMNS).fetch_all(&mut self.connection).await.map_err(SqlError::from)?;
        let references: Vec<(String, String)> =
            sqlx::query_as(REFERENCES).fetch_all(&mut self.connection).await.map_err(SqlError::from)?;
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
    pub(super) async fn lock(&mut self, tables: &[Table]) -> Result<(), StoreError> {
        let names: Vec<_> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
        let sql = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
        self.connection.execute(AssertSqlSafe(sql)).await.map_err(SqlError::from)?;
        Ok(())
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.name);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.connection)
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
        query.execute(&mut self.connection).await.map_err(SqlError::from)?;
        Ok(())
    }

    /// What the table holds now.
    pub(super) async fn digest(&mut self, table: &Table) -> Result<Digest, StoreError> {
        let sql = format!("SELECT {} FROM \"{}\"", table.column_list(), table.name);
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut self.connection);
        let mut digest = Digest::default();
        while let Some(row) = rows.try_next().await.map_err(SqlError::from)? {
            digest.take(&Batch::of_row(table, &row)?);
        }
        Ok(digest)
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.connection.execute("COMMIT").await.map_err(SqlError::from)?;
        self.connection.close().await.map_err(SqlError::from)?;
        Ok(())
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

//! One connection for both databases: a statement is written once, with `$1` placeholders that both understand.

mod connection;
mod database;
mod file;
mod value;

pub(crate) use connection::{Connection, Line, SqlError, Violation};
pub(crate) use database::{Access, Database, postgres_options, sqlite_options};
pub(crate) use value::{Value, millis, moment};

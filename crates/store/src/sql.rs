//! One connection for both databases: a statement is written once, with `$1` placeholders that both understand.

mod connection;
mod database;
mod file;
mod value;

pub(crate) use connection::{Connection, Line, SqlError, Violation};
#[cfg(any(test, feature = "test-support"))]
pub(crate) use database::POSTGRES;
pub(crate) use database::{Access, Database};
pub(crate) use value::{Value, millis, moment};

//! The pool of connections to either database.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    PgPool, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{Connection, SqlError};
use crate::{
    error::StoreError,
    options::{StoreOptions, StoreUrl},
};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Statements that a connection keeps prepared: above the number of different ones here.
const STATEMENTS_KEPT: usize = 256;
/// Times that SQLite's migrations are tried: two processes may make the file at once, and one of them has to look again.
const MIGRATION_TRIES: u32 = 5;

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// See one moment of the database.
    Read,
    /// Change it.
    Write,
}

/// The pool of connections to either database.
#[derive(Clone)]
pub(crate) enum Database {
    /// SQLite has one writer at a time. Those of this process queue for the permit, in order, rather than for the file's lock,
    /// which is polled.
    Sqlite {
        pool: SqlitePool,
        writer: Arc<Semaphore>,
    },
    Postgres {
        pool: PgPool,
    },
}

impl Database {
    /// Connects and migrates.
    pub(crate) async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let database = match &options.url {
            StoreUrl::Sqlite(path) => {
                let connect = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    // A commit that was answered outlives a power cut.
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(options.wait_max)
                    .statement_cache_capacity(STATEMENTS_KEPT);
                let pool = SqlitePoolOptions::new()
                    .max_connections(options.connections_max)
                    .acquire_timeout(options.wait_max)
                    .connect_with(connect)
                    .await
                    .map_err(SqlError::from)?;
                Self::Sqlite { pool, writer: Arc::new(Semaphore::new(1)) }
            }
            StoreUrl::Postgres(_) => {
                let text = options.url.expose().unwrap_or_default();
                let connect = PgConnectOptions::from_str(text)
                    // The driver's text may quote the URL and so its password.
                    .map_err(|_| StoreError::Unavailable("the URL of the store cannot be read".to_owned()))?
                    .statement_cache_capacity(STATEMENTS_KEPT)
                    .options([("lock_timeout", format!("{}ms", options.wait_max.as_millis()))]);
                let pool = PgPoolOptions::new()
                    .max_connections(options.connections_max)
                    .acquire_timeout(options.wait_max)
                    .connect_with(connect)
                    .await
                    .map_err(SqlError::from)?;
                Self::Postgres { pool }
            }
        };
        database.migrate().await?;
        Ok(database)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut tries = 1;
        loop {
            let done = match self {
                Self::Sqlite { pool, .. } => SQLITE.run(pool).await,
                // The migrator holds an advisory lock, so that one process migrates and the others wait.
                Self::Postgres { pool } => POSTGRES.run(pool).await,
            };
            match done {
                Ok(()) => return Ok(()),
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))
                    if tries < self.migration_tries() =>
                {
                    tries += 1;
                }
                Err(error @ (MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_))) => {
                    return Err(StoreError::Broken(format!(
                        "the store was made by another version of lanyard: {error}"
                    )));
                }
                Err(error) => {
                    return Err(StoreError::Broken(format!("the store cannot be migrated: {error}")));
                }
            }
        }
    }

    fn migration_tries(&self) -> u32 {
        match self {
            Self::Sqlite { .. } => MIGRATION_TRIES,
            Self::Postgres { .. } => 1,
        }
    }

    /// Begins a database transaction. The permit, if any, is held for as long as it lasts.
    pub(crate) async fn begin(
        &self,
        access: Access,
        wait_max: Duration,
    ) -> Result<(Connection, Option<OwnedSemaphorePermit>), StoreError> {
        match (self, access) {
            (Self::Sqlite { pool, .. }, Access::Read) => {
                Ok((Connection::Sqlite(pool.begin().await.map_err(SqlError::from)?), None))
            }
            (Self::Sqlite { pool, writer }, Access::Write) => {
                let permit = tokio::time::timeout(wait_max, Arc::clone(writer).acquire_owned()).await;
                let permit = permit.map_err(|_| StoreError::Conflict)?.map_err(|_| StoreError::Conflict)?;
                let begun = pool.begin_with("BEGIN IMMEDIATE").await.map_err(SqlError::from)?;
                Ok((Connection::Sqlite(begun), Some(permit)))
            }
            (Self::Postgres { pool }, Access::Read) => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await;
                Ok((Connection::Postgres(begun.map_err(SqlError::from)?), None))
            }
            (Self::Postgres { pool }, Access::Write) => {
                // Said in full: rows are read after their scope's lock is held, and have to be those of that moment.
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE").await;
                Ok((Connection::Postgres(begun.map_err(SqlError::from)?), None))
            }
        }
    }

    /// A connection of its own that hears other processes' commits; none where the database cannot tell.
    pub(crate) async fn listener(&self) -> Result<Option<PgListener>, StoreError> {
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { pool } => {
                Ok(Some(PgListener::connect_with(pool).await.map_err(SqlError::from)?))
            }
        }
    }
}

//! The pool of connections to either database.

use std::{
    path::Path,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use lanyard_kit::{ExposeSecret, SecretString};
use sqlx::{
    Connection as _, PgConnection, PgPool, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    connection::{Connection, SqlError},
    file::make_private,
};
use crate::{
    error::StoreError,
    options::{StoreOptions, StoreUrl},
};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
pub(crate) static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Statements that a connection keeps prepared: above the number of different ones here.
const STATEMENTS_KEPT: usize = 256;

/// How long to leave a busy file alone.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// Fewest connections: followers read while a writer waits.
const CONNECTIONS_MIN: u32 = 2;
/// Longest statement of Postgres: well above reading the largest scope.
const STATEMENT_MAX: Duration = Duration::from_secs(60);
/// How long Postgres lets a transaction hold its locks while its process does nothing: a suspended one must not stop the others.
const IDLE_MAX: Duration = Duration::from_secs(30);

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
            StoreUrl::Sqlite(path) => Self::open_sqlite(path, options).await?,
            StoreUrl::Postgres(url) => Self::open_postgres(url, options).await?,
        };
        Ok(database)
    }

    async fn open_sqlite(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        make_private(path)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was answered outlives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.wait_max)
            .statement_cache_capacity(STATEMENTS_KEPT);
        migrate_sqlite(&connect, options.wait_max).await?;
        let pool = SqlitePoolOptions::new()
            .max_connections(options.connections_max.max(CONNECTIONS_MIN))
            .acquire_timeout(options.wait_max)
            .connect_with(connect)
            .await
            .map_err(SqlError::from)?;
        Ok(Self::Sqlite { pool, writer: Arc::new(Semaphore::new(1)) })
    }

    async fn open_postgres(url: &SecretString, options: &StoreOptions) -> Result<Self, StoreError> {
        // The driver's text may quote the URL and so its password.
        let unreadable = |_| StoreError::Unavailable(String::from("the URL of the store cannot be read"));
        let connect = PgConnectOptions::from_str(url.expose_secret()).map_err(unreadable)?;
        // On a connection of its own without the limits below: the migrator holds an advisory lock, and who starts at the same
        // moment waits for it as long as that takes.
        let mut connection = PgConnection::connect_with(&connect).await.map_err(SqlError::from)?;
        POSTGRES.run(&mut connection).await.map_err(not_migrated)?;
        connection.close().await.map_err(SqlError::from)?;
        let connect = connect.statement_cache_capacity(STATEMENTS_KEPT).options([
            ("lock_timeout", format!("{}ms", options.wait_max.as_millis())),
            ("statement_timeout", format!("{}ms", STATEMENT_MAX.as_millis())),
            ("idle_in_transaction_session_timeout", format!("{}ms", IDLE_MAX.as_millis())),
        ]);
        let pool = PgPoolOptions::new()
            // And one that listens.
            .max_connections(options.connections_max.max(CONNECTIONS_MIN).saturating_add(1))
            .acquire_timeout(options.wait_max)
            .connect_with(connect)
            .await
            .map_err(SqlError::from)?;
        Ok(Self::Postgres { pool })
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

    /// Waits for those at work, and closes.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { pool, .. } => pool.close().await,
            Self::Postgres { pool } => pool.close().await,
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

/// Migrates, as soon as the file lets us: for the switch to its write-ahead log SQLite does not wait by itself.
async fn migrate_sqlite(connect: &SqliteConnectOptions, wait_max: Duration) -> Result<(), StoreError> {
    let started = Instant::now();
    loop {
        match try_to_migrate_sqlite(connect).await {
            Err(StoreError::Conflict) if started.elapsed() < wait_max => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
}

/// In one transaction of the file's one writer: who starts at the same moment waits, and finds it done.
async fn try_to_migrate_sqlite(connect: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection = SqliteConnection::connect_with(connect).await.map_err(SqlError::from)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(SqlError::from)?;
    SQLITE.run(&mut *transaction).await.map_err(not_migrated)?;
    transaction.commit().await.map_err(SqlError::from)?;
    connection.close().await.map_err(SqlError::from)?;
    Ok(())
}

fn not_migrated(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            StoreError::Broken(format!("the store was made by another version of lanyard: {error}"))
        }
        MigrateError::Execute(error) => SqlError::from(error).into(),
        other => StoreError::Broken(format!("the store cannot be migrated: {other}")),
    }
}

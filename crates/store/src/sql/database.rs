//! The pool of connections to either database.

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use lanyard_kit::{ExposeSecret, SecretString, telemetry::trace::span};
use sqlx::{
    PgPool, SqlitePool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    connection::{Connection, POSTGRESQL, SQLITE, SqlError, in_time, told},
    file::make_private,
};
use crate::{
    error::StoreError,
    migrations::migrate,
    options::{StoreOptions, StoreUrl},
    telemetry::{self, Begin},
};

/// Statements that a connection keeps prepared: above the number of different ones here.
const STATEMENTS_KEPT: usize = 256;

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
        answer_max: Duration,
    },
}

impl Database {
    /// Migrates and connects.
    pub(crate) async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        migrate(&options.url, options.wait_max).await?;
        match &options.url {
            StoreUrl::Sqlite(_) => Self::open_sqlite(options).await,
            StoreUrl::Postgres(url) => Self::open_postgres(url, options).await,
        }
    }

    async fn open_sqlite(options: &StoreOptions) -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(options.connections_max.max(CONNECTIONS_MIN))
            .acquire_timeout(options.wait_max)
            .connect_with(sqlite_options(&options.url, options.wait_max)?)
            .await
            .map_err(SqlError::from)?;
        Ok(Self::Sqlite { pool, writer: Arc::new(Semaphore::new(1)) })
    }

    async fn open_postgres(url: &SecretString, options: &StoreOptions) -> Result<Self, StoreError> {
        let connect = postgres_options(url.expose_secret())?;
        let connect = connect.statement_cache_capacity(STATEMENTS_KEPT).options([
            ("lock_timeout", format!("{}ms", options.wait_max.as_millis())),
            ("statement_timeout", format!("{}ms", STATEMENT_MAX.as_millis())),
            ("idle_in_transaction_session_timeout", format!("{}ms", IDLE_MAX.as_millis())),
        ]);
        let wait_max = options.wait_max;
        let pool = PgPoolOptions::new()
            // And one that listens.
            .max_connections(options.connections_max.max(CONNECTIONS_MIN).saturating_add(1))
            .acquire_timeout(wait_max)
            // The pool itself asks without a limit whether one is still good: of a server that is gone without a word each would keep its
            // place for a quarter of an hour, and nobody would get another.
            .after_release(move |connection, _| {
                Box::pin(async move {
                    match tokio::time::timeout(wait_max, sqlx::Connection::ping(connection)).await {
                        Ok(answered) => answered.map(|()| true),
                        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                    }
                })
            })
            .connect_with(connect)
            .await
            .map_err(SqlError::from)?;
        Ok(Self::Postgres { pool, answer_max: options.answer_max })
    }

    /// The file's pool.
    pub(crate) fn sqlite(&self) -> Result<&SqlitePool, StoreError> {
        match self {
            Self::Sqlite { pool, .. } => Ok(pool),
            Self::Postgres { .. } => Err(StoreError::Broken("not a file".to_owned())),
        }
    }

    /// Begins a database transaction. The permit, if any, is held for as long as it lasts.
    pub(crate) async fn begin(
        &self,
        access: Access,
        wait_max: Duration,
    ) -> Result<(Connection, Option<OwnedSemaphorePermit>), StoreError> {
        let started = Instant::now();
        let system = match self {
            Self::Sqlite { .. } => SQLITE,
            Self::Postgres { .. } => POSTGRESQL,
        };
        let span = span::statement(system, "BEGIN", None);
        let begun = told(&span, self.begin_untimed(access, wait_max).await);
        let outcome = match &begun {
            Ok(_) => Begin::Begun,
            // Who waits for the one writer of a file waits for a connection too.
            Err(StoreError::Conflict) => Begin::Timeout,
            Err(StoreError::Unavailable(_)) if started.elapsed() >= wait_max => Begin::Timeout,
            Err(_) => Begin::Fault,
        };
        telemetry::begun(outcome, started.elapsed());
        self.show();
        begun
    }

    /// Shows how many connections there are.
    pub(crate) fn show(&self) {
        match self {
            Self::Sqlite { pool, .. } => {
                telemetry::pool(pool.size(), pool.num_idle(), pool.options().get_max_connections());
            }
            Self::Postgres { pool, .. } => {
                telemetry::pool(pool.size(), pool.num_idle(), pool.options().get_max_connections());
            }
        }
    }

    async fn begin_untimed(
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
            (Self::Postgres { pool, answer_max }, access) => {
                // Said in full: rows are read after their scope's lock is held, and have to be those of that moment.
                let statement = match access {
                    Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                    Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
                };
                let begun = Box::pin(tokio::time::timeout(*answer_max, pool.begin_with(statement))).await;
                let begun = in_time(*answer_max, begun).map_err(SqlError::from)?;
                Ok((Connection::Postgres(begun, *answer_max), None))
            }
        }
    }

    /// Waits for those at work, and closes.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { pool, .. } => pool.close().await,
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// A connection of its own that hears other processes' commits; none where the database cannot tell.
    pub(crate) async fn listener(&self) -> Result<Option<PgListener>, StoreError> {
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { pool, .. } => {
                Ok(Some(PgListener::connect_with(pool).await.map_err(SqlError::from)?))
            }
        }
    }
}

/// How a file is opened; it is made, for its owner alone, if it is not there.
pub(crate) fn sqlite_options(url: &StoreUrl, wait_max: Duration) -> Result<SqliteConnectOptions, StoreError> {
    let StoreUrl::Sqlite(path) = url else { return Err(StoreError::Broken("not a file".to_owned())) };
    make_private(path)?;
    Ok(SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit that was answered outlives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(wait_max)
        .statement_cache_capacity(STATEMENTS_KEPT))
}

/// What a server's URL says. The driver's own text may quote the URL, and so its password.
pub(crate) fn postgres_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let unreadable = |_| StoreError::Unavailable(String::from("the URL of the store cannot be read"));
    PgConnectOptions::from_str(url).map_err(unreadable)
}

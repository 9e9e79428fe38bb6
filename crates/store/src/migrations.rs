//! Bringing the tables of a database up to what this program knows: forward only.
//!
//! Many processes may start at once on one database. The first takes Postgres' advisory lock, or SQLite's one writer; the
//! others wait for it and find everything done. What is up to date already is only read, so that a service whose database
//! user may make no tables starts where [`migrate`] was run before.

mod judge;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use lanyard_kit::ExposeSecret as _;
use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    migrate::{Migrate, MigrateError, Migrator},
    postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

use self::judge::{Applied, missing};
use crate::{
    error::StoreError,
    options::StoreUrl,
    sql::{SqlError, postgres_options, sqlite_options},
};

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
pub(crate) static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Where a database keeps what was applied to it.
const TABLE: &str = "_sqlx_migrations";
/// How long to wait for others who migrate the same database: theirs may rewrite a large table.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10 * 60);
/// How long to leave a busy file alone.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// One step in the making of the tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Migration {
    /// Its number, by which they are ordered.
    pub version: i64,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04} {}", self.version, self.name)
    }
}

/// The migrations that this program knows, in order.
#[must_use]
pub fn known_migrations() -> Vec<Migration> {
    POSTGRES.iter().map(judge::of).collect()
}

/// Makes or migrates the tables; answers what it applied, in order, which is nothing where others were faster. `wait_max` is
/// for a busy file.
///
/// # Errors
/// [`StoreError::Newer`] and [`StoreError::Altered`] for a database of another program, which is left as it is;
/// [`StoreError::Unavailable`] where it cannot be reached.
pub async fn migrate(url: &StoreUrl, wait_max: Duration) -> Result<Vec<Migration>, StoreError> {
    match url {
        StoreUrl::Sqlite(_) => migrate_sqlite(&sqlite_options(url, wait_max)?, wait_max).await,
        StoreUrl::Postgres(_) => migrate_postgres(url).await,
    }
}

/// What [`migrate`] would apply. Changes nothing; for a file that is not there, that is everything.
///
/// # Errors
/// As [`migrate`].
pub async fn missing_migrations(url: &StoreUrl, wait_max: Duration) -> Result<Vec<Migration>, StoreError> {
    let missing = match url {
        StoreUrl::Sqlite(path) if !path.exists() => return Ok(known_migrations()),
        StoreUrl::Sqlite(_) => {
            let options = sqlite_options(url, wait_max)?;
            let mut connection = SqliteConnection::connect_with(&options).await.map_err(SqlError::from)?;
            let applied = connection.applied().await?;
            connection.close().await.map_err(SqlError::from)?;
            missing(&applied, &SQLITE)?
        }
        StoreUrl::Postgres(_) => {
            let mut connection = connect(url).await?;
            let applied = connection.applied().await?;
            connection.close().await.map_err(SqlError::from)?;
            missing(&applied, &POSTGRES)?
        }
    };
    Ok(missing.into_iter().map(judge::of).collect())
}

/// Refuses a database that lacks a migration, for who may not or will not migrate it.
///
/// # Errors
/// [`StoreError::Outdated`] names what is missing; otherwise as [`migrate`].
pub async fn require_migrated(url: &StoreUrl, wait_max: Duration) -> Result<(), StoreError> {
    let missing = missing_migrations(url, wait_max).await?;
    if missing.is_empty() { Ok(()) } else { Err(StoreError::Outdated { missing }) }
}

/// The tables that the migrations make, with their own list, and those that a later one makes into others: read from a database in
/// memory that they are run on, so that none is forgotten.
pub(crate) async fn tables_made() -> Result<BTreeSet<String>, StoreError> {
    let options = SqliteConnectOptions::new().in_memory(true);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(SqlError::from)?;
    connection.ensure_migrations_table(TABLE).await.map_err(fault)?;
    let mut made = BTreeSet::new();
    for migration in SQLITE.iter() {
        connection.apply(TABLE, migration).await.map_err(fault)?;
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(&mut connection)
            .await
            .map_err(SqlError::from)?;
        made.extend(names);
    }
    connection.close().await.map_err(SqlError::from)?;
    Ok(made)
}

/// A connection to a server on which nobody else migrates while it is there.
pub(crate) async fn connect_alone(url: &StoreUrl) -> Result<PgConnection, StoreError> {
    let mut connection = connect(url).await?;
    connection.lock().await.map_err(fault)?;
    Ok(connection)
}

/// As [`migrate`], in a transaction that was begun on what [`connect_alone`] gave: it takes the tables back where it is not committed.
pub(crate) async fn migrate_within(connection: &mut PgConnection) -> Result<(), StoreError> {
    apply_missing(connection, &POSTGRES).await.map(drop)
}

/// On a connection of its own, without the limits that those of the pool have.
async fn connect(url: &StoreUrl) -> Result<PgConnection, StoreError> {
    let StoreUrl::Postgres(text) = url else { return Err(StoreError::Broken("not a server".to_owned())) };
    let limit = [("lock_timeout", format!("{}ms", LOCK_WAIT_MAX.as_millis()))];
    let options: PgConnectOptions = postgres_options(text.expose_secret())?.options(limit);
    Ok(PgConnection::connect_with(&options).await.map_err(SqlError::from)?)
}

async fn migrate_postgres(url: &StoreUrl) -> Result<Vec<Migration>, StoreError> {
    let mut connection = connect(url).await?;
    let applied = connection.applied().await?;
    let done = if missing(&applied, &POSTGRES)?.is_empty() {
        Vec::new()
    } else {
        // The lock goes with the connection, should anything fail.
        connection.lock().await.map_err(fault)?;
        let done = apply_missing(&mut connection, &POSTGRES).await?;
        connection.unlock().await.map_err(fault)?;
        done
    };
    connection.close().await.map_err(SqlError::from)?;
    Ok(done)
}

/// As soon as the file lets us: for the switch to its write-ahead log SQLite does not wait by itself.
async fn migrate_sqlite(
    options: &SqliteConnectOptions,
    wait_max: Duration,
) -> Result<Vec<Migration>, StoreError> {
    let started = Instant::now();
    loop {
        match try_to_migrate_sqlite(options).await {
            Err(StoreError::Conflict) if started.elapsed() < wait_max => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
}

/// In one transaction of the file's one writer: who starts at the same moment waits, and finds it done.
async fn try_to_migrate_sqlite(options: &SqliteConnectOptions) -> Result<Vec<Migration>, StoreError> {
    let mut connection = SqliteConnection::connect_with(options).await.map_err(SqlError::from)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(SqlError::from)?;
    let done = apply_missing(&mut *transaction, &SQLITE).await?;
    transaction.commit().await.map_err(SqlError::from)?;
    connection.close().await.map_err(SqlError::from)?;
    Ok(done)
}

async fn apply_missing<C: Migrated>(
    connection: &mut C,
    migrator: &'static Migrator,
) -> Result<Vec<Migration>, StoreError> {
    let applied = connection.applied().await?;
    let missing = missing(&applied, migrator)?;
    if !missing.is_empty() {
        connection.ensure_migrations_table(TABLE).await.map_err(fault)?;
    }
    let mut done = Vec::with_capacity(missing.len());
    for migration in missing {
        connection.apply(TABLE, migration).await.map_err(fault)?;
        let migration = judge::of(migration);
        tracing::info!(%migration, "migrated the store");
        done.push(migration);
    }
    Ok(done)
}

/// A connection that tells what was applied.
trait Migrated: Migrate {
    async fn applied(&mut self) -> Result<Vec<Applied>, StoreError>;
}

/// The same for both databases, but for how they tell whether the table is there.
macro_rules! migrated {
    ($connection:ty, $is_there:literal) => {
        impl Migrated for $connection {
            async fn applied(&mut self) -> Result<Vec<Applied>, StoreError> {
                let is_there: i64 =
                    sqlx::query_scalar($is_there).fetch_one(&mut *self).await.map_err(SqlError::from)?;
                if is_there == 0 {
                    return Ok(Vec::new());
                }
                let rows: Vec<(i64, String, Vec<u8>, bool)> = sqlx::query_as(
                    "SELECT version, description, checksum, success FROM _sqlx_migrations ORDER BY version",
                )
                .fetch_all(&mut *self)
                .await
                .map_err(SqlError::from)?;
                let applied = |(version, name, checksum, is_whole)| Applied {
                    migration: Migration { version, name },
                    checksum,
                    is_whole,
                };
                Ok(rows.into_iter().map(applied).collect())
            }
        }
    };
}

migrated!(PgConnection, "SELECT (to_regclass('_sqlx_migrations') IS NOT NULL)::int::bigint");
migrated!(
    SqliteConnection,
    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'"
);

fn fault(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => SqlError::from(error).into(),
        MigrateError::ExecuteMigration(error, version) => match StoreError::from(SqlError::from(error)) {
            StoreError::Broken(text) => StoreError::Broken(format!("migration {version:04} failed: {text}")),
            other => other,
        },
        other => StoreError::Broken(format!("the store cannot be migrated: {other}")),
    }
}

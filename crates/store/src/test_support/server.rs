//! Databases on a PostgreSQL server: migrated once, then cloned for each test, dropped with it.

use std::{
    str::FromStr,
    thread,
    time::{Duration, SystemTime},
};

use lanyard_kit::SecretString;
use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, postgres::PgConnectOptions,
};
use tokio::{runtime, sync::OnceCell};
use uuid::Uuid;

use crate::{EnvelopeKey, Keyring, StoreOptions, StoreUrl, migrations::POSTGRES, sql::Database};

/// Then come the second of its making and a random part.
const PREFIX: &str = "lanyard_test_";
/// Any number that nobody else locks.
const TEMPLATE_LOCK: i64 = 0x6c61_6e79_6172_6421;
/// A database that is older belongs to a run that has crashed.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// A database that is dropped with this value.
pub(super) struct ServerDatabase {
    server: PgConnectOptions,
    name: String,
}

impl ServerDatabase {
    pub(super) async fn create(server_url: &str) -> Self {
        Self::on(PgConnectOptions::from_str(server_url).expect("a PostgreSQL URL")).await
    }

    pub(super) async fn another(&self) -> Self {
        Self::on(self.server.clone()).await
    }

    async fn on(server: PgConnectOptions) -> Self {
        let template = template(&server).await;
        Self::like(template, server).await
    }

    /// One that nobody has migrated.
    pub(super) async fn bare(server_url: &str) -> Self {
        Self::like("template1", PgConnectOptions::from_str(server_url).expect("a PostgreSQL URL")).await
    }

    async fn like(template: &str, server: PgConnectOptions) -> Self {
        let name = new_name();
        let mut connection = connect(&server).await;
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        connection.close().await.expect("the connection closes");
        Self { server, name }
    }

    pub(super) fn url(&self) -> SecretString {
        SecretString::from(self.options().to_url_lossy().to_string())
    }

    fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    /// Whether some row of some table has it, as text or in bytes.
    pub(super) async fn holds(&self, wanted: &str) -> bool {
        let mut connection = connect(&self.options()).await;
        let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
        let tables = sqlx::query(tables).fetch_all(&mut connection).await.expect("the tables");
        let in_hex = hex::encode(wanted);
        for table in &tables {
            let rows = format!("SELECT t::text FROM \"{}\" t", table.get::<String, _>(0));
            let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut connection).await.expect("the rows");
            let holds = |text: String| text.contains(wanted) || text.contains(&in_hex);
            if rows.iter().any(|row| holds(row.get(0))) {
                return true;
            }
        }
        false
    }

    pub(super) async fn destroy(&self) {
        execute(&mut connect(&self.options()).await, "DROP SCHEMA public CASCADE".to_owned()).await;
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // Whoever drops this may be inside a runtime, which cannot be blocked on; the thread has one of its own. What fails is
        // swept by a later run.
        let dropping = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                execute(&mut connect(&server).await, format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _ = dropping.join();
    }
}

/// The migrated database that others are cloned from: one on the server for each set of migrations, kept for the next run.
async fn template(server: &PgConnectOptions) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            let mut connection = connect(server).await;
            // Of several processes one makes it. The lock goes with the connection.
            execute(&mut connection, format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
            sweep(&mut connection).await;
            let name = format!("lanyard_template_{}", migrations_id());
            if !names_of_databases(&mut connection).await.contains(&name) {
                execute(&mut connection, format!("CREATE DATABASE {name}")).await;
                let url = server.clone().database(&name).to_url_lossy().to_string();
                // Its keys are not opened, so any envelope key does.
                let keyring = Keyring::new(EnvelopeKey::from_bytes([0; 32]));
                let url = StoreUrl::Postgres(SecretString::from(url));
                let migrated = Database::open(&StoreOptions::new(url, keyring)).await;
                migrated.expect("a new database is migrated").close().await;
            }
            connection.close().await.expect("the connection closes");
            name
        })
        .await
}

/// Twelve hex digits that are others when a migration is.
fn migrations_id() -> String {
    let mut digest = Sha256::new();
    for migration in POSTGRES.iter() {
        digest.update(&migration.checksum);
    }
    hex::encode(digest.finalize()).chars().take(12).collect()
}

async fn names_of_databases(connection: &mut PgConnection) -> Vec<String> {
    let names = sqlx::query("SELECT datname::text FROM pg_database").fetch_all(connection).await;
    names.expect("the names of databases").iter().map(|row| row.get(0)).collect()
}

/// Drops what crashed runs have left behind.
async fn sweep(connection: &mut PgConnection) {
    for name in names_of_databases(connection).await {
        let made = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
        if made.is_some_and(|made: u64| made + LEFT_BEHIND_AFTER.as_secs() < now_seconds()) {
            execute(connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

fn new_name() -> String {
    format!("{PREFIX}{}_{}", now_seconds(), Uuid::new_v4().simple())
}

fn now_seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs()
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(options).await.expect("the test server answers")
}

async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.expect("the test server does as it is told");
}

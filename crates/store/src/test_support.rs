//! A database of a test's own: a SQLite file, or a database on the PostgreSQL server that [`POSTGRES_URL`] names.
//!
//! [`on_each_store!`](crate::on_each_store) runs one test on both.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "for tests: what fails here ends the test, and says why"
)]

mod server;

use std::{fs, sync::Arc, time::Duration};

use lanyard_kit::Clock;
use tempfile::TempDir;

use crate::{EnvelopeKey, Keyring, Store, StoreOptions, StoreUrl};
use server::ServerDatabase;

/// Where a PostgreSQL listens on which tests may make databases and drop them; the project's test command sets it.
pub const POSTGRES_URL: &str = "LANYARD_TEST_POSTGRES_URL";

/// Connections of one store: many tests share the server.
const CONNECTIONS: u32 = 4;
/// No test waits for a poll: each says `catch_up` when it is time, or waits to be woken.
const POLL_INTERVAL: Duration = Duration::from_secs(600);
/// On a loaded machine a slow answer is no fault.
const WAIT_MAX: Duration = Duration::from_secs(30);
const FILE: &str = "lanyard.db";

/// A database of a test's own, with its envelope key; gone with the last clone.
#[derive(Clone)]
pub struct TestDatabase {
    place: Arc<Place>,
    envelope: EnvelopeKey,
}

enum Place {
    Folder(TempDir),
    Server(Box<ServerDatabase>),
}

impl TestDatabase {
    /// A file in a temporary folder.
    pub fn sqlite() -> Self {
        Self::at(Place::Folder(tempfile::tempdir().expect("a temporary folder")))
    }

    /// A database on the server; none where no server is given, and a line that says so.
    pub async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var(POSTGRES_URL) else {
            println!("skipped: {POSTGRES_URL} is not set");
            return None;
        };
        Some(Self::at(Place::Server(Box::new(ServerDatabase::create(&url).await))))
    }

    /// A database on the server that nobody has migrated; none where no server is given.
    pub async fn bare_postgres() -> Option<Self> {
        let Ok(url) = std::env::var(POSTGRES_URL) else {
            println!("skipped: {POSTGRES_URL} is not set");
            return None;
        };
        Some(Self::at(Place::Server(Box::new(ServerDatabase::bare(&url).await))))
    }

    fn at(place: Place) -> Self {
        Self { place: Arc::new(place), envelope: EnvelopeKey::random().expect("random bytes") }
    }

    /// Another one of the same kind, empty.
    pub async fn another(&self) -> Self {
        match &*self.place {
            Place::Folder(_) => Self::sqlite(),
            Place::Server(server) => Self::at(Place::Server(Box::new(server.another().await))),
        }
    }

    /// Whether it is on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(*self.place, Place::Server(_))
    }

    /// The key that its keys are sealed under.
    pub fn envelope(&self) -> &EnvelopeKey {
        &self.envelope
    }

    /// The options of one process with a keyring of its own.
    pub fn options(&self, clock: Arc<dyn Clock>) -> StoreOptions {
        let url = match &*self.place {
            Place::Folder(folder) => StoreUrl::Sqlite(folder.path().join(FILE)),
            Place::Server(server) => StoreUrl::Postgres(server.url()),
        };
        let mut options = StoreOptions::new(url, Keyring::new(self.envelope.clone()));
        options.clock = clock;
        options.connections_max = CONNECTIONS;
        options.poll_interval = POLL_INTERVAL;
        options.wait_max = WAIT_MAX;
        options
    }

    /// One more process with the database.
    pub async fn open(&self, clock: Arc<dyn Clock>) -> Store {
        Store::open(&self.options(clock)).await.expect("the test's database opens")
    }

    /// Whether these bytes stand anywhere in it, in the clear.
    pub async fn holds(&self, wanted: &str) -> bool {
        match &*self.place {
            Place::Server(server) => server.holds(wanted).await,
            Place::Folder(folder) => fs::read_dir(folder.path()).expect("the folder").any(|file| {
                let bytes = fs::read(file.expect("a file").path()).expect("a readable file");
                bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
            }),
        }
    }

    /// Takes the tables away under whoever has it open, as a broken disk would.
    pub async fn destroy(&self) {
        match &*self.place {
            Place::Server(server) => server.destroy().await,
            Place::Folder(folder) => {
                for path in ["", "-wal"].map(|end| folder.path().join(format!("{FILE}{end}"))) {
                    if path.exists() {
                        fs::File::create(path).expect("a file that can be emptied");
                    }
                }
            }
        }
    }
}

/// Runs tests, each a function that takes a [`TestDatabase`], on SQLite and on PostgreSQL.
///
/// `on_each_store!(one, another)` names functions of the module; `on_each_store!(one: database => f(database).await)` says
/// how one is run, in a module named after it.
#[macro_export]
macro_rules! on_each_store {
    ($($test:ident),+ $(,)?) => {
        $($crate::on_each_store!($test: database => super::$test(database).await);)+
    };
    ($test:ident: $database:ident => $run:expr) => {
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                let $database = $crate::test_support::TestDatabase::sqlite();
                Box::pin(async move { $run }).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                if let Some($database) = $crate::test_support::TestDatabase::postgres().await {
                    Box::pin(async move { $run }).await;
                }
            }
        }
    };
}

//! Which database, and how it is used.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use lanyard_kit::{Clock, ExposeSecret as _, SecretString, SystemClock};

use crate::{keyring::Keyring, sql::postgres_options};

/// Connections that one process keeps, unless told otherwise.
pub const CONNECTIONS_MAX: u32 = 8;
/// How often a shared store is asked for other processes' commits, behind the wake-ups that Postgres sends.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer of the database is waited for: longer than any statement may take, so that whoever has said nothing by then is gone.
pub const ANSWER_MAX: Duration = Duration::from_secs(90);
/// How long a transaction waits for a connection, or for others' locks.
pub const WAIT_MAX: Duration = Duration::from_secs(5);
/// How many finished decisions of each sort are kept for `explain --id`: those that let somebody in, and the others.
pub const DECISIONS_MAX: u64 = 50_000;
/// How long they are kept.
pub const DECISIONS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where the database is.
#[derive(Clone)]
pub enum StoreUrl {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, which may hold a password.
    Postgres(SecretString),
}

/// A text that names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store's URL is not one: write `sqlite:<path>` or `postgres://<user>@<host>/<database>`")]
pub struct StoreUrlError;

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    /// Reads `sqlite:<path>`, `postgres://…` and `postgresql://…`. The error does not repeat the text: it may hold a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            postgres_options(text).map_err(|_| StoreUrlError)?;
            return Ok(Self::Postgres(SecretString::from(text)));
        }
        let path = text.strip_prefix("sqlite:").ok_or(StoreUrlError)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(['?', '\0']) {
            Err(StoreUrlError)
        } else {
            Ok(Self::Sqlite(path.into()))
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

impl fmt::Display for StoreUrl {
    /// Names the place for people: file, or host, port and database. Never the user's password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite file `{}`", path.display()),
            Self::Postgres(url) => {
                // What cannot be read was refused when it was parsed.
                let Ok(options) = postgres_options(url.expose_secret()) else {
                    return f.write_str("PostgreSQL");
                };
                let database = options.get_database().unwrap_or(options.get_username());
                let host = match options.get_socket() {
                    Some(folder) => folder.display().to_string(),
                    None => options.get_host().to_owned(),
                };
                write!(f, "PostgreSQL database `{database}` at `{host}:{}`", options.get_port())
            }
        }
    }
}

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Which database.
    pub url: StoreUrl,
    /// Opens the purposes' keys that lie in the database, and makes those that are missing.
    pub keyring: Keyring,
    /// Tells the time of change lines, ends and sweeps.
    pub clock: Arc<dyn Clock>,
    /// Most connections of this process.
    pub connections_max: u32,
    /// Other processes write to the database too, so their commits are tailed. Always so on Postgres.
    pub shared: bool,
    /// This process is the whole hub: what its followers have applied is in force. Else nobody here can say that.
    pub alone: bool,
    /// How often to look for others' commits.
    pub poll_interval: Duration,
    /// How long to wait for a connection, or for others' locks.
    pub wait_max: Duration,
    /// How long an answer of PostgreSQL is waited for, and by the feed, for which commits and followers wait, all answers on one connection.
    pub answer_max: Duration,
    /// How many finished decisions of each sort are kept: those that let somebody in, and the others.
    pub decisions_max: u64,
    /// How long they are kept.
    pub decisions_kept: Duration,
}

impl StoreOptions {
    /// The defaults: the system's clock, and for SQLite the one process that has the file.
    pub fn new(url: StoreUrl, keyring: Keyring) -> Self {
        let shared = matches!(url, StoreUrl::Postgres(_));
        Self {
            url,
            keyring,
            clock: Arc::new(SystemClock),
            connections_max: CONNECTIONS_MAX,
            shared,
            alone: true,
            poll_interval: POLL_INTERVAL,
            wait_max: WAIT_MAX,
            answer_max: ANSWER_MAX,
            decisions_max: DECISIONS_MAX,
            decisions_kept: DECISIONS_KEPT,
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("url", &self.url)
            .field("connections_max", &self.connections_max)
            .field("shared", &self.shared)
            .field("poll_interval", &self.poll_interval)
            .field("wait_max", &self.wait_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_a_server() {
        let cases = [
            ("sqlite:/data/lanyard.db", "Sqlite(/data/lanyard.db)"),
            ("sqlite:///data/lanyard.db", "Sqlite(/data/lanyard.db)"),
            ("sqlite:lanyard.db", "Sqlite(lanyard.db)"),
            ("postgres://lanyard:secret@db/lanyard", "Postgres"),
            ("postgresql://db/lanyard", "Postgres"),
        ];
        for (text, shown) in cases {
            assert_eq!(format!("{:?}", text.parse::<StoreUrl>().unwrap()), shown, "{text}");
        }
        let bad = ["", "sqlite:", "sqlite://", "mysql://db", "/data/lanyard.db", "sqlite:a?mode=ro"];
        for bad in bad.into_iter().chain(["postgres://u:secret@db:port/lanyard"]) {
            assert_eq!(bad.parse::<StoreUrl>().unwrap_err(), StoreUrlError, "{bad}");
        }
    }
    #[test]
    fn a_place_is_named_without_what_opens_it() {
        let cases = [
            ("sqlite:/data/lanyard.db", "SQLite file `/data/lanyard.db`"),
            ("postgres://hub:s3cret@db:6432/lanyard", "PostgreSQL database `lanyard` at `db:6432`"),
            ("postgres://hub:s3cret@db", "PostgreSQL database `hub` at `db:5432`"),
            ("postgres://hub:s3cret@%2Frun%2Fpg/lanyard", "PostgreSQL database `lanyard` at `/run/pg:5432`"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), shown, "{text}");
        }
    }
}

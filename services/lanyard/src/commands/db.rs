//! `lanyard db …`: the store's tables, and its move from SQLite to PostgreSQL. No hub has to run for it.

mod copy;
mod external_url;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lanyard_api::CallError;
use lanyard_kit::tls::secure_dir;
use lanyard_store::{
    CopyError, Migration, StoreError, StoreUrl, WAIT_MAX, known_migrations, migrate, missing_migrations,
};
use serde::Serialize;

use crate::{cli::Context, exit::Ending, failure::Failure, serve, show::Fields};

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Make the store's tables, or bring them up to what this program knows.
    Migrate(MigrateArgs),
    /// Move a hub from its SQLite file to an empty PostgreSQL database, with its whole history, and verify it there.
    Copy(copy::CopyArgs),
    /// The URL by which the hub is known, as it is stored: show it, or store another.
    ExternalUrl(external_url::ExternalUrlArgs),
}

impl DbCommand {
    /// Runs it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self {
            Self::Migrate(args) => args.run(context).await,
            Self::Copy(args) => args.run(context).await,
            Self::ExternalUrl(args) => args.run(context).await,
        }
    }
}

/// Which hub's store.
#[derive(Debug, Args)]
pub struct HubStore {
    /// The hub's configuration, a TOML file.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The hub's folder [default: ~/.local/share/lanyard].
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
}

/// The flags of `lanyard db migrate`.
#[derive(Debug, Args)]
#[command(
    after_help = "The store is the one of --config or LANYARD_STORE, else the file in the data folder. Migrations go forward \
                  only: a store that was migrated by a newer lanyard is refused, by the name of what is not known here. Any \
                  number may run at once; one migrates, the others wait and find it done.\n\n`lanyard serve` and the \
                  services migrate at their start too, unless `migrate = false` (of a service: `process.migrate = false`): then \
                  run this first, as a database user that may make tables.\n\nExit code 1: something is missing (--check), or \
                  the store is of another lanyard.\n\nExamples:\n  lanyard db migrate\n  \
                  LANYARD_STORE=postgres://owner@db/lanyard lanyard db migrate\n  lanyard db migrate --check --output json"
)]
pub struct MigrateArgs {
    /// Only says what is missing.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    hub: HubStore,
}

/// How the tables are.
#[derive(Debug, Serialize)]
struct Tables {
    store: String,
    /// What was applied by this run.
    applied: Vec<String>,
    /// What is missing still.
    missing: Vec<String>,
    /// How many this program knows.
    known: usize,
}

impl MigrateArgs {
    async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let config =
            serve::configuration(self.hub.config.as_deref(), self.hub.data_dir.as_deref()).map_err(wrong)?;
        let url = config.store_url().map_err(Failure::usage)?;
        let named = |error: StoreError| failed(&url, error);
        let names = |migrations: Vec<Migration>| migrations.iter().map(Migration::to_string).collect();
        let (applied, missing): (Vec<String>, Vec<String>) = if self.check {
            (Vec::new(), names(missing_migrations(&url, WAIT_MAX).await.map_err(named)?))
        } else {
            let _alone = match url {
                StoreUrl::Sqlite(_) => {
                    secure_dir(&config.data_dir).map_err(Failure::usage)?;
                    Some(serve::alone(&config.data_dir).map_err(wrong)?)
                }
                StoreUrl::Postgres(_) => None,
            };
            (names(migrate(&url, WAIT_MAX).await.map_err(named)?), Vec::new())
        };
        let is_whole = missing.is_empty();
        let known = known_migrations().len();
        context.show(&Fields(Tables { store: url.to_string(), applied, missing, known }))?;
        Ok(is_whole.into())
    }
}

pub(super) fn wrong(error: anyhow::Error) -> Failure {
    Failure::usage(format!("{error:#}"))
}

/// What a fault of a named store means for who asked.
pub(super) fn failed(url: &StoreUrl, error: StoreError) -> Failure {
    ended(&error, format!("{url}: {error}"))
}

fn ended(error: &StoreError, text: String) -> Failure {
    match error {
        StoreError::Unavailable(_) | StoreError::Conflict => {
            Failure::NoAnswer(format!("no answer: {text}; try again"))
        }
        StoreError::Newer { .. } | StoreError::Altered(_) | StoreError::Outdated { .. } => {
            Failure::Refused(CallError::precondition("migrations", text))
        }
        _ => Failure::Usage(text),
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let text = error.to_string();
        match error {
            CopyError::Source { source, .. } | CopyError::Target { source, .. } => ended(&source, text),
            CopyError::Direction => Self::Usage(text),
            CopyError::Foreign { .. }
            | CopyError::NotEmpty { .. }
            | CopyError::BrokenSource { .. }
            | CopyError::Differs { .. }
            | CopyError::BrokenCopy { .. } => Self::Refused(CallError::precondition("copy", text)),
        }
    }
}

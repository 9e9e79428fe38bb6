//! `lanyard db copy`.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use lanyard_kit::{Clock, SystemClock};
use lanyard_store::{Copied, CopyStep, StoreOptions, StoreUrl, copy};
use serde::Serialize;

use super::wrong;
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    output::Tabular,
    serve,
};

/// How often a long table says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// The flags of `lanyard db copy`.
#[derive(Debug, Args)]
#[command(
    after_help = "Stop the hub first. Everything goes over: records, the chain of their changes, sealed secrets, used \
                  signatures and decisions; leases do not, for nobody holds one. It is one transaction, the making of the tables \
                  included: what fails leaves the target as it was. The chains are verified before and after, and every table is compared.\n\nThe secrets stay \
                  sealed under the same envelope key, so keep the folder: it has that key, the hub's CA and the \
                  administrator's credentials. Then start on the new store, `LANYARD_STORE=postgres://… lanyard serve \
                  --data-dir DIR`, or make the services' folders with `lanyard pki issue`.\n\nExamples:\n  lanyard db copy --from \
                  /var/lib/lanyard --to postgres://lanyard@db/lanyard\n  LANYARD_STORE=postgres://lanyard:…@db/lanyard lanyard \
                  db copy --from /var/lib/lanyard     # keeps the password out of the list of processes"
)]
pub struct CopyArgs {
    /// The hub's folder, with its SQLite file and its envelope key.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// An empty PostgreSQL database, postgres://USER@HOST/DATABASE; its tables are made if they are not there. One that has rows, or
    /// somebody else's tables, is refused and left as it is.
    #[arg(long, value_name = "URL", env = "LANYARD_STORE", hide_env_values = true)]
    to: String,
    /// The hub's configuration, a TOML file: for where its envelope key is, if not in the folder.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    config: Option<PathBuf>,
}

/// One table.
#[derive(Debug, Serialize)]
struct Table {
    table: String,
    rows: u64,
}

/// What went where.
#[derive(Debug, Serialize)]
struct Moved {
    from: String,
    to: String,
    tables: Vec<Table>,
    /// Scopes whose chains were verified in the new place.
    scopes: usize,
    /// Lines of those chains.
    lines: u64,
}

impl CopyArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let to: StoreUrl = self.to.parse().map_err(|error| Failure::usage(format!("--to: {error}")))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut config = serve::configuration(self.config.as_deref(), Some(&self.from)).map_err(wrong)?;
        // What the environment says is where it goes.
        if let Ok(StoreUrl::Postgres(_)) = config.store_url() {
            config.store = None;
        }
        let from = config.store_url().map_err(Failure::usage)?;
        if let StoreUrl::Sqlite(path) = &from
            && !path.exists()
        {
            let path = path.display();
            return Err(Failure::usage(format!("--from: `{path}` is missing: give the folder of a hub")));
        }
        let _alone = serve::alone(&config.data_dir).map_err(wrong)?;
        let keyring = serve::keyring(&config, &from, &clock).await.map_err(wrong)?;
        let mut options = StoreOptions::new(from, keyring);
        options.clock = clock;
        let teller = Teller::default();
        let copied = copy(&options, &to, &|step| teller.tell(step)).await?;
        context.show(&Moved::of(copied, &options.url, &to))
    }
}

impl Moved {
    fn of(copied: Copied, from: &StoreUrl, to: &StoreUrl) -> Self {
        let tables = copied.tables.into_iter();
        Self {
            from: from.to_string(),
            to: to.to_string(),
            tables: tables.map(|copied| Table { table: copied.table, rows: copied.rows }).collect(),
            scopes: copied.scopes.len(),
            lines: copied.scopes.iter().map(|report| report.lines).sum(),
        }
    }
}

impl Tabular for Moved {
    fn columns(&self) -> Vec<&'static str> {
        vec!["TABLE", "ROWS"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.tables.iter().map(|copied| vec![copied.table.clone(), copied.rows.to_string()]).collect()
    }

    fn notes(&self) -> Vec<String> {
        vec![
            format!("from {} to {}", self.from, self.to),
            format!("the chains of {} scopes verified there, {} lines", self.scopes, self.lines),
            "next: start on the new store, with this folder still as data folder".to_owned(),
        ]
    }
}

/// Tells on standard error how far it is.
#[derive(Default)]
struct Teller {
    told: Mutex<Option<Instant>>,
}

impl Teller {
    fn tell(&self, step: CopyStep<'_>) {
        match step {
            CopyStep::Verifying => complain("verifying the chains of the source"),
            CopyStep::Copying { table, rows, of } => {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if rows >= of || told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                    complain(&format!("{table}: {rows} of {of} rows"));
                    *told = Some(Instant::now());
                }
            }
            CopyStep::Comparing => complain("comparing what arrived"),
            CopyStep::VerifyingCopy => complain("verifying the chains of the copy"),
        }
    }
}

//! `lanyard db external-url`.

use clap::Args;
use lanyard_api::Mutation;
use lanyard_oidc::{Issuer, IssuerOptions};
use serde::Serialize;

use super::{HubStore, failed};
use crate::{cli::Context, commands::keys::Opened, exit::Ending, failure::Failure, show::Fields};

/// The flags of `lanyard db external-url`.
#[derive(Debug, Args)]
#[command(
    after_help = "It is stored when a process is first told it: `lanyard serve` by external_url, a credentials of its own by \
                  credentials.external_url. Processes that are told none go by it, and those that are told another say so in their \
                  logs. Another one counts from the next start of each process on: issuers, webhook files and \
                  trust policies that name the one before have to be written anew.\n\nThe store is the one of --config or LANYARD_STORE, else \
                  the file in the data folder, which a running `lanyard serve` has for itself: stop it first.\n\nExamples:\n  \
                  lanyard db external-url\n  lanyard db external-url https://hub.example:8443 --reason 'it moved'\n  lanyard db \
                  external-url --forget"
)]
pub struct ExternalUrlArgs {
    /// The URL from now on, https; without one, the stored one is shown.
    #[arg(value_name = "URL", conflicts_with = "forget")]
    url: Option<String>,
    /// Forgets the stored one: the next that is told is stored.
    #[arg(long)]
    forget: bool,
    /// Why; it stands in the audit line.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    hub: HubStore,
}

/// What is stored.
#[derive(Debug, Serialize)]
struct Stored {
    store: String,
    external_url: Option<String>,
    /// What was stored before this run; left out where it only looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

impl ExternalUrlArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Ending, Failure> {
        if let Some(url) = &self.url {
            // As credentials takes it: the issuers of clusters begin with it.
            Issuer::new(IssuerOptions::new(url))
                .map_err(|error| Failure::usage(format!("`{url}`: {error}")))?;
        }
        let opened = Opened::open(&self.hub).await?;
        let named = |error| failed(&opened.url, error);
        let mut before = None;
        if self.forget || self.url.is_some() {
            let by = Mutation { reason: self.reason, ..Mutation::system("lanyard db external-url") };
            before = opened.store.put_external_url(&by, self.url.as_deref()).await.map_err(named)?;
        }
        let external_url = opened.store.external_url().await.map_err(named)?;
        opened.store.close().await;
        context.show(&Fields(Stored { store: opened.url.to_string(), external_url, before }))
    }
}

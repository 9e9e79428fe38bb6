//! `lanyard keys reseal` and `retire`: how a key's older versions come to an end.

use clap::Args;
use lanyard_api::Mutation;
use lanyard_store::{KeyVersion, Needed, Purpose, Resealed};
use serde::Serialize;

use super::{HubStore, KeyUse, Opened, WhichKeys};
use crate::{
    cli::Context,
    commands::db::failed,
    exit::Ending,
    failure::Failure,
    show::{Listing, Row},
};

/// The flags of `lanyard keys reseal`.
#[derive(Debug, Args)]
#[command(
    after_help = "Two kinds of keys seal what lies at rest: access-keys the secrets of local access keys, and kubeconfigs those of \
                  clusters. Of each, what an older version sealed is sealed anew in one transaction; what somebody writes meanwhile \
                  stays as they wrote it. Any number of services may go on beside it, and nobody is refused. `lanyard serve` has \
                  its file for itself: stop it first.\n\nExit code 1: something does not open, for it was moved or altered in the \
                  store. The log names it, and it lies as it lay: delete that access key, or give the cluster its kubeconfig \
                  again.\n\nExamples:\n  lanyard keys rotate access-keys kubeconfigs\n  lanyard keys reseal --reason 'a backup was \
                  lost'\n  lanyard keys retire access-keys kubeconfigs"
)]
pub struct ResealArgs {
    /// Why; it stands in the audit line.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    hub: HubStore,
}

/// The flags of `lanyard keys retire`.
#[derive(Debug, Args)]
#[command(
    after_help = "A version goes once a later one has sealed for longer than anything that the older one made can live, and ten \
                  minutes: sessions 36 hours, page tokens a day, proofs, vouchers and the token cache about an hour. One that \
                  sealed what lies at rest goes once nothing lies under it (`lanyard keys reseal`). What is still needed stays, \
                  so this can be run at any time; the keys of the chain of changes stay for good, since its lines are verified by \
                  them. Of separate services, their own copies go too. Nothing brings a version back: a backup of the store from \
                  before has its own.\n\nExamples:\n  lanyard keys retire --all\n  lanyard keys retire sessions --reason 'two days after \
                  the rotation'"
)]
pub struct RetireArgs {
    #[command(flatten)]
    which: WhichKeys,
    /// Why; it stands in the audit line.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    hub: HubStore,
}

/// What became of what one kind of keys seals.
#[derive(Debug, Serialize)]
struct Done {
    keys: KeyUse,
    /// Values that are sealed under the newest version now.
    resealed: u64,
    /// Values that do not open.
    unopened: u64,
}

impl Row for Done {
    const COLUMNS: &'static [&'static str] = &["KEYS", "RESEALED", "DO NOT OPEN"];

    fn cells(&self) -> Vec<String> {
        vec![self.keys.name(), self.resealed.to_string(), self.unopened.to_string()]
    }
}

/// A version that is gone.
#[derive(Debug, Serialize)]
struct Retired {
    keys: KeyUse,
    purpose: &'static str,
    version: u32,
}

impl From<KeyVersion> for Retired {
    fn from(gone: KeyVersion) -> Self {
        Self { keys: KeyUse::of(gone.purpose), purpose: gone.purpose.as_str(), version: gone.version }
    }
}

impl Row for Retired {
    const COLUMNS: &'static [&'static str] = &["KEYS", "PURPOSE", "RETIRED VERSION"];

    fn cells(&self) -> Vec<String> {
        vec![self.keys.name(), self.purpose.to_owned(), self.version.to_string()]
    }
}

impl ResealArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let opened = Opened::open(&self.hub).await?;
        let by = Mutation { reason: self.reason, ..Mutation::system("lanyard keys reseal") };
        let mut done = Vec::new();
        for purpose in Purpose::ALL {
            if !matches!(purpose.older_versions(), Needed::AtRest(_)) {
                continue;
            }
            let resealed = opened.store.reseal(&by, purpose).await;
            let Resealed { resealed, unopened } = resealed.map_err(|error| failed(&opened.url, error))?;
            done.push(Done { keys: KeyUse::of(purpose), resealed, unopened });
        }
        opened.store.close().await;
        let is_whole = done.iter().all(|one| one.unopened == 0);
        context.show(&Listing(done))?;
        Ok(is_whole.into())
    }
}

impl RetireArgs {
    pub(super) async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let opened = Opened::open(&self.hub).await?;
        let by = Mutation { reason: self.reason, ..Mutation::system("lanyard keys retire") };
        let retired = opened.store.retire(&by, &self.which.purposes()).await;
        let retired = retired.map_err(|error| failed(&opened.url, error))?;
        opened.store.close().await;
        context.show(&Listing(retired.into_iter().map(Retired::from).collect()))
    }
}

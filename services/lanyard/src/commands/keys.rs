//! `lanyard keys …`: the keys in the hub's store, each in versions. The command opens the store itself, beside the services.

mod old;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use lanyard_api::Mutation;
use lanyard_kit::{Clock, SystemClock};
use lanyard_store::{KeyVersion, Purpose, Store, StoreOptions, StoreUrl, WAIT_MAX, require_migrated};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    db::{HubStore, failed, wrong},
    pki::envelope,
};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    input::moment_text,
    serve,
    show::{Listing, Row},
};

/// Longest overlap: whoever wants to wait for longer than a day rotates then.
const OVERLAP_SECONDS_MAX: u32 = 86_400;

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Which versions of the keys there are, and which of them seals.
    List(ListArgs),
    /// Make a new version of keys: the old ones open what they sealed, the new one seals after a while.
    Rotate(RotateArgs),
    /// Seal anew, under the newest version, what lies at rest under older ones.
    Reseal(old::ResealArgs),
    /// Delete the older versions that nothing needs any more.
    Retire(old::RetireArgs),
}

/// The flags of `lanyard keys list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lanyard keys list\n  lanyard keys list --output json")]
pub struct ListArgs {
    #[command(flatten)]
    hub: HubStore,
}

/// The flags of `lanyard keys rotate`.
#[derive(Debug, Args)]
#[command(
    after_help = "A new version opens and verifies at once, and seals, signs and makes after the overlap, in which every process \
                  gets it: so no process meets what it cannot open, and nobody is refused. None has to be started anew. The older \
                  versions open what they sealed: sessions live to their end, and what is sealed at rest (access-keys, \
                  kubeconfigs) has the new key when it is next written, or after `lanyard keys reseal`. They stay until `lanyard \
                  keys retire`. Each rotation is a line of the hub's chain of changes.\n\nThe store is \
                  the one of --config or LANYARD_STORE, else the file in the data folder, which a running `lanyard serve` has for \
                  itself: stop it first. Of separate services, name the folders with --service-dir: those that have the key get \
                  the new one sealed under their envelope keys, and one that is left out is named.\n\nEnvelope keys are replaced \
                  otherwise: see [envelope] in deploy/lanyard.toml, and `lanyard pki issue` for a service's. Issuing keys of \
                  certificates: `lanyard pki renew`.\n\nExamples:\n  lanyard keys rotate sessions --reason 'yearly'\n  lanyard \
                  keys rotate --all --service-dir ./authn --service-dir ./mapping --service-dir ./authz --service-dir \
                  ./credentials"
)]
pub struct RotateArgs {
    #[command(flatten)]
    which: WhichKeys,
    /// After how long the new version seals, in seconds: longer than any process may be behind, and clocks apart.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=i64::from(OVERLAP_SECONDS_MAX)))]
    overlap_seconds: u32,
    /// The folder of a service, as `lanyard pki issue` wrote it; may be given again.
    #[arg(long, value_name = "DIR")]
    service_dir: Vec<PathBuf>,
    /// Why; it stands in the audit line.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    hub: HubStore,
}

/// Some keys, or all.
#[derive(Debug, Args)]
struct WhichKeys {
    /// Which keys.
    #[arg(value_enum, value_name = "KEYS", required_unless_present = "all", conflicts_with = "all")]
    keys: Vec<KeyUse>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

impl WhichKeys {
    fn include(&self, purpose: Purpose) -> bool {
        self.all || self.keys.contains(&KeyUse::of(purpose))
    }

    fn purposes(&self) -> Vec<Purpose> {
        Purpose::ALL.into_iter().filter(|purpose| self.include(*purpose)).collect()
    }
}

/// What keys are for, as far as people rotate them: those that make sense together only are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum KeyUse {
    /// What signs, seals and derives role sessions.
    Sessions,
    /// What the proof in `extra` is made with, which authz believes.
    Proofs,
    /// What authn vouches with to the services.
    Vouchers,
    /// What seals STS's answers in Redis.
    TokenCache,
    /// What seals the secrets of local access keys.
    AccessKeys,
    /// What seals the kubeconfigs of clusters.
    Kubeconfigs,
    /// What seals the hub's own keys of clusters' issuers.
    Issuers,
    /// What chains the lines of changes.
    Chain,
    /// What seals page tokens of the AWS wire.
    PageTokens,
}

impl KeyUse {
    fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::SessionSigning
            | Purpose::SessionVerifying
            | Purpose::SessionOpening
            | Purpose::SessionSecret => Self::Sessions,
            Purpose::Proof => Self::Proofs,
            Purpose::VouchAuthn | Purpose::VouchMapping | Purpose::VouchAuthz | Purpose::VouchCredentials => {
                Self::Vouchers
            }
            Purpose::TokenCache => Self::TokenCache,
            Purpose::AccessKeySecret => Self::AccessKeys,
            Purpose::SpokeKubeconfig => Self::Kubeconfigs,
            Purpose::IssuerSigning => Self::Issuers,
            Purpose::Chain => Self::Chain,
            Purpose::PageToken => Self::PageTokens,
        }
    }

    /// As it is given on the command line.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// A version of a key.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    keys: KeyUse,
    purpose: &'static str,
    version: u32,
    #[serde(with = "time::serde::rfc3339")]
    seals_from: OffsetDateTime,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It makes what is made now.
    Seals,
    /// It opens what it sealed once.
    Opens,
    /// It opens, and will seal.
    Waits,
}

impl Row for Shown {
    const COLUMNS: &'static [&'static str] = &["KEYS", "PURPOSE", "VERSION", "SEALS FROM", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = match self.state {
            State::Seals => "seals",
            State::Opens => "opens",
            State::Waits => "waits",
        };
        let is_first = self.seals_from == OffsetDateTime::UNIX_EPOCH;
        let from = if is_first { "-".to_owned() } else { moment_text(self.seals_from) };
        let version = self.version.to_string();
        vec![self.keys.name(), self.purpose.to_owned(), version, from, state.to_owned()]
    }
}

/// Those of some keys, in order of what they are for.
fn shown(versions: &[KeyVersion], now: OffsetDateTime) -> Vec<Shown> {
    let mut sealing: BTreeMap<Purpose, u32> = BTreeMap::new();
    for one in versions.iter().filter(|one| one.seals_from <= now) {
        let newest = sealing.entry(one.purpose).or_default();
        *newest = one.version.max(*newest);
    }
    let state = |one: &KeyVersion| match sealing.get(&one.purpose) {
        _ if one.seals_from > now => State::Waits,
        Some(newest) if *newest == one.version => State::Seals,
        _ => State::Opens,
    };
    let mut shown: Vec<Shown> = versions
        .iter()
        .map(|one| Shown {
            keys: KeyUse::of(one.purpose),
            purpose: one.purpose.as_str(),
            version: one.version,
            seals_from: one.seals_from,
            state: state(one),
        })
        .collect();
    shown.sort_by_key(|one| (one.keys, one.purpose, one.version));
    shown
}

impl KeysCommand {
    /// Runs it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self {
            Self::List(args) => args.run(context).await,
            Self::Rotate(args) => args.run(context).await,
            Self::Reseal(args) => args.run(context).await,
            Self::Retire(args) => args.run(context).await,
        }
    }
}

impl ListArgs {
    async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let opened = Opened::open(&self.hub).await?;
        let versions = opened.store.key_versions().await.map_err(|error| failed(&opened.url, error))?;
        opened.store.close().await;
        context.show(&Listing(shown(&versions, SystemClock.now())))
    }
}

impl RotateArgs {
    async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = serve::configuration(self.hub.config.as_deref(), self.hub.data_dir.as_deref());
        let config = config.map_err(wrong)?;
        let mut envelopes = Vec::new();
        for folder in &self.service_dir {
            let envelope = envelope::load(folder, || serve::kms_client(&config, &clock)).await;
            envelopes.push(envelope.map_err(wrong)?);
        }
        let opened = Opened::open(&self.hub).await?;
        let named = |error| failed(&opened.url, error);
        let by = Mutation { reason: self.reason, ..Mutation::system("lanyard keys rotate") };
        let overlap = Duration::from_secs(self.overlap_seconds.into());
        opened.store.rotate(&by, &self.which.purposes(), overlap, &envelopes).await.map_err(named)?;
        let mut versions = opened.store.key_versions().await.map_err(named)?;
        opened.store.close().await;
        versions.retain(|one| self.which.include(one.purpose));
        context.show(&Listing(shown(&versions, SystemClock.now())))
    }
}

/// A hub's store, opened past the hub.
pub(super) struct Opened {
    /// It.
    pub(super) store: Store,
    /// Where it is.
    pub(super) url: StoreUrl,
    /// A file is one process's alone.
    _alone: Option<std::fs::File>,
}

impl Opened {
    /// Opens it.
    ///
    /// # Errors
    /// [`Failure`] where there is none, another has it, or its keys do not open.
    pub(super) async fn open(hub: &HubStore) -> Result<Self, Failure> {
        let config = serve::configuration(hub.config.as_deref(), hub.data_dir.as_deref()).map_err(wrong)?;
        let url = config.store_url().map_err(Failure::usage)?;
        let alone = match &url {
            StoreUrl::Sqlite(path) if !path.exists() => {
                let path = path.display();
                return Err(Failure::usage(format!(
                    "`{path}` is missing: give the folder of a hub with --data-dir, or its store with LANYARD_STORE"
                )));
            }
            StoreUrl::Sqlite(_) => Some(serve::alone(&config.data_dir).map_err(wrong)?),
            StoreUrl::Postgres(_) => None,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keyring = serve::keyring(&config, &url, &clock).await.map_err(wrong)?;
        require_migrated(&url, WAIT_MAX).await.map_err(|error| failed(&url, error))?;
        let mut options = StoreOptions::new(url.clone(), keyring);
        options.alone = false;
        let store = Store::open(&options).await.map_err(|error| failed(&url, error))?;
        Ok(Self { store, url, _alone: alone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_of_some_keys_and_of_every_keys_there_is_one() {
        for keys in KeyUse::value_variants() {
            let of = Purpose::ALL.into_iter().filter(|purpose| KeyUse::of(*purpose) == *keys).count();
            assert!(of > 0, "{keys:?}");
        }
    }

    #[test]
    fn of_each_purpose_the_newest_that_has_begun_seals() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(1);
        let version = |purpose, version, seals_from| KeyVersion { purpose, version, seals_from };
        let (early, late) = (OffsetDateTime::UNIX_EPOCH, now + time::Duration::SECOND);
        let versions = [
            version(Purpose::Proof, 1, early),
            version(Purpose::Proof, 2, now),
            version(Purpose::Proof, 3, late),
            version(Purpose::Chain, 1, early),
        ];
        let told: Vec<_> =
            shown(&versions, now).iter().map(|one| (one.purpose, one.version, one.state)).collect();
        let expected = [
            ("proof", 1, State::Opens),
            ("proof", 2, State::Seals),
            ("proof", 3, State::Waits),
            ("chain", 1, State::Seals),
        ];
        assert_eq!(told, expected);
    }
}

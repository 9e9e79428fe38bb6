//! The list of this node's pods, kept: read through for whom it does not have, at a bounded rate, and read again beside the answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lanyard_kit::telemetry::{Counters, Label, names};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Directory, ListFault, Lister, Mismatch, Peer};
use crate::token::PodClaims;

/// How the list is kept.
#[derive(Debug, Clone, Copy)]
pub struct WatchOptions {
    /// How often it is read beside the answers: so late the agent may learn that a pod is gone.
    pub interval: Duration,
    /// Least time between two questions, whoever asks for a pod that is not there.
    pub pause: Duration,
    /// How old a list may be of which pods are still believed, while no new one comes: longer than a kubelet's restart.
    pub age_max: Duration,
    /// How long an answer waits for a pod that was just made to be listed with its address: the kubelet knows it up to a second
    /// after the containers run, and SDKs give two.
    pub wait_max: Duration,
    /// Whether the connection's address is compared too.
    pub compares_addresses: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            pause: Duration::from_millis(200),
            age_max: Duration::from_secs(5 * 60),
            wait_max: Duration::from_millis(1_500),
            compares_addresses: true,
        }
    }
}

/// What came of asking.
#[derive(Clone, Copy)]
enum Outcome {
    Listed,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Listed, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Why nobody can say whether a token is with its pod. No refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node's pods are not known at the moment; try again")]
pub struct Unlisted;

/// A list and when it was asked for.
#[derive(Debug)]
pub struct Listed {
    /// The pods.
    pub directory: Directory,
    /// What the list tells is not older than this.
    pub asked_at: Instant,
}

/// Asks for a list.
type Source = Box<dyn Fn() -> BoxFuture<'static, Result<Directory, ListFault>> + Send + Sync>;

/// The list, kept.
pub struct PodWatch {
    source: Source,
    options: WatchOptions,
    listed: ArcSwapOption<Listed>,
    /// When it was last asked; held while it is, so that one asks and the others wait for what comes.
    gate: Mutex<Option<Instant>>,
    outcomes: Counters<Outcome>,
}

impl PodWatch {
    /// Of what the lister is told. Nothing is listed yet.
    #[must_use]
    pub fn new(lister: Lister, options: WatchOptions) -> Self {
        let lister = Arc::new(lister);
        let list = move || {
            let lister = Arc::clone(&lister);
            async move { lister.list().await }
        };
        Self::of(list, options)
    }

    /// Of any source.
    #[must_use]
    pub fn of<F>(list: impl Fn() -> F + Send + Sync + 'static, options: WatchOptions) -> Self
    where
        F: Future<Output = Result<Directory, ListFault>> + Send + 'static,
    {
        Self {
            source: Box::new(move || list().boxed()),
            options,
            listed: ArcSwapOption::empty(),
            gate: Mutex::new(None),
            outcomes: Counters::new(names::AGENT_POD_LISTS_TOTAL),
        }
    }

    /// The list as it is, if it may still be believed.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Listed>> {
        self.listed.load_full().filter(|listed| listed.asked_at.elapsed() <= self.options.age_max)
    }

    /// Whether the kept list has the token's pod at that peer, without asking anybody.
    ///
    /// # Errors
    /// `None` where there is no list to be believed; else what does not fit.
    pub fn check_kept(&self, claims: &PodClaims, peer: Peer) -> Result<(), Option<Mismatch>> {
        let listed = self.listed.load();
        let listed = listed.as_ref().filter(|listed| listed.asked_at.elapsed() <= self.options.age_max);
        let listed = listed.ok_or(None)?;
        listed.directory.check(claims, self.compared(peer)).map(|_| ()).map_err(Some)
    }

    /// Whether the token's pod is at that peer; where the kept list does not say so, by a new one, and again while the pod may be
    /// about to appear.
    ///
    /// # Errors
    /// `Ok` with the mismatch is a refusal, [`Unlisted`] none.
    pub async fn check(&self, claims: &PodClaims, peer: Peer) -> Result<Result<(), Mismatch>, Unlisted> {
        let began = Instant::now();
        let mut found = match self.check_kept(claims, peer) {
            Ok(()) => return Ok(Ok(())),
            Err(found) => found,
        };
        loop {
            if found.is_some_and(|mismatch| !mismatch.may_change()) {
                break;
            }
            let asked_at = Instant::now();
            self.refresh(asked_at).await;
            found = match self.check_kept(claims, peer) {
                Ok(()) => return Ok(Ok(())),
                Err(found) => found,
            };
            // A list of before they knocked says of nobody that they are not there.
            let is_new = self.listed.load().as_ref().is_some_and(|listed| listed.asked_at >= began);
            if !is_new && found.is_some_and(|mismatch| mismatch.may_change()) {
                return Err(Unlisted);
            }
            // Only a pod that is there and has no address yet is worth another question: whoever else is not in a list that was
            // asked for after they knocked is not there.
            if found != Some(Mismatch::NoAddressYet) || began.elapsed() >= self.options.wait_max {
                break;
            }
        }
        found.map(Err).ok_or(Unlisted)
    }

    /// Sees to it that the list is not older than `since`, or that the kubelet was asked since. Whatever the number of callers, it is
    /// asked once in a pause.
    pub async fn refresh(&self, since: Instant) {
        let mut last = self.gate.lock().await;
        if let Some(asked_at) = *last {
            if asked_at > since {
                return;
            }
            tokio::time::sleep_until(asked_at + self.options.pause).await;
        }
        let asked_at = Instant::now();
        *last = Some(asked_at);
        match (self.source)().await {
            Ok(directory) => {
                self.outcomes.increment(Outcome::Listed);
                metrics::gauge!(names::AGENT_PODS).set(directory.len() as f64);
                self.listed.store(Some(Arc::new(Listed { directory, asked_at })));
            }
            Err(error) => {
                self.outcomes.increment(Outcome::Fault);
                warn!(%error, "the node's pods could not be listed");
            }
        }
    }

    /// Reads the list again and again, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let follow = async {
            loop {
                self.refresh(Instant::now()).await;
                tokio::time::sleep(self.options.interval).await;
            }
        };
        let _ = stop.run_until_cancelled(follow).await;
    }

    fn compared(&self, peer: Peer) -> Option<Peer> {
        self.options.compares_addresses.then_some(peer)
    }
}

impl std::fmt::Debug for PodWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PodWatch({:?})", self.options)
    }
}

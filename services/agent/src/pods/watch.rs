//! The list of this node's pods, kept: read through for whom it does not have.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Directory, Mismatch, Peer};
use crate::listed::{KeepOptions, Kept, ListFault, Listed, Lister, Unlisted};
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

impl WatchOptions {
    fn keep(&self) -> KeepOptions {
        KeepOptions { interval: self.interval, pause: self.pause, age_max: self.age_max }
    }
}

/// The list, and how a token is held against it.
pub struct PodWatch {
    kept: Kept<Directory>,
    options: WatchOptions,
}

impl PodWatch {
    /// Of what the lister is told. Nothing is listed yet.
    #[must_use]
    pub fn new(lister: Lister<Directory>, options: WatchOptions) -> Self {
        Self { kept: Kept::new(lister, options.keep()), options }
    }

    /// Of any source.
    #[must_use]
    pub fn of<F>(list: impl Fn() -> F + Send + Sync + 'static, options: WatchOptions) -> Self
    where
        F: Future<Output = Result<Directory, ListFault>> + Send + 'static,
    {
        Self { kept: Kept::of(list, options.keep()), options }
    }

    /// The list as it is, if it may still be believed.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Listed<Directory>>> {
        self.kept.current()
    }

    /// Whether the kept list has the token's pod at that peer, without asking anybody.
    ///
    /// # Errors
    /// `None` where there is no list to be believed; else what does not fit.
    pub fn check_kept(&self, claims: &PodClaims, peer: Peer) -> Result<(), Option<Mismatch>> {
        let check = |listed: &Listed<Directory>| listed.list.check(claims, self.compared(peer)).map(|_| ());
        self.kept.read(check).ok_or(None)?.map_err(Some)
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
            self.kept.refresh_unless(Instant::now(), || self.check_kept(claims, peer).is_ok()).await;
            found = match self.check_kept(claims, peer) {
                Ok(()) => return Ok(Ok(())),
                Err(found) => found,
            };
            // A list of before they knocked says of nobody that they are not there.
            let is_new = self.kept.read(|listed| listed.asked_at >= began).unwrap_or_default();
            if !is_new && found.is_some_and(|mismatch| mismatch.may_change()) {
                return Err(Unlisted::of::<Directory>());
            }
            // Only a pod that is there and has no address yet is worth another question: whoever else is not in a list that was
            // asked for after they knocked is not there.
            if found != Some(Mismatch::NoAddressYet) || began.elapsed() >= self.options.wait_max {
                break;
            }
        }
        found.map(Err).ok_or_else(Unlisted::of::<Directory>)
    }

    /// Sees to it that the list is not older than `since`, or that the kubelet was asked since.
    pub async fn refresh(&self, since: Instant) {
        self.kept.refresh(since).await;
    }

    /// Reads the list again and again, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        self.kept.run(stop).await;
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

//! A certificate in use, and the look at what it comes from.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::doubts::{Doubts, Reload};
use super::{Live, LiveText, Look, RELOAD_INTERVAL};
use crate::telemetry::{Counters, names};
use crate::tls::chain::ChainVerifier;

/// Where a certificate comes from.
pub(super) trait Source: Send + Sync + 'static {
    /// What was found there, and is compared with what is found next.
    type Found: Send + 'static;
    /// Why what is there does not do.
    type Error: std::fmt::Display;

    /// Whose certificate it is, in the log.
    fn service(&self) -> &str;

    /// What is there now, put to use; none where that in use does for it.
    fn look(&self, in_use: &Self::Found) -> Result<Option<Fresh<Self::Found>>, Self::Error>;

    /// Hears of what was taken.
    fn taken(&self, _: &Self::Found) {}
}

/// A certificate that was found to do.
pub(super) struct Fresh<F> {
    pub(super) found: F,
    pub(super) server: Arc<ServerConfig>,
    pub(super) chains: Arc<ChainVerifier>,
    pub(super) root_pem: Arc<str>,
    pub(super) not_after: OffsetDateTime,
}

/// A certificate as it is now, with what listeners and others need of it.
pub struct Following<S, F> {
    pub(super) source: S,
    server: watch::Sender<Arc<ServerConfig>>,
    chains: watch::Sender<Arc<ChainVerifier>>,
    root_pem: watch::Sender<Arc<str>>,
    seen: Mutex<Seen<F>>,
    reloads: Counters<Reload>,
}

/// What is in use, and what is wrong with what lies there.
struct Seen<F> {
    in_use: F,
    doubts: Doubts,
}

impl<S, F> Following<S, F> {
    pub(super) fn begin(source: S, first: Fresh<F>) -> Self {
        tell_end(first.not_after);
        Self {
            source,
            server: watch::Sender::new(first.server),
            chains: watch::Sender::new(first.chains),
            root_pem: watch::Sender::new(first.root_pem),
            seen: Mutex::new(Seen { in_use: first.found, doubts: Doubts::default() }),
            reloads: Counters::new(names::CERTIFICATE_RELOADS_TOTAL),
        }
    }

    /// For listeners.
    #[must_use]
    pub fn server(&self) -> Live<ServerConfig> {
        self.server.subscribe()
    }

    /// For certificates that come by another way than a connection of this process.
    #[must_use]
    pub fn chains(&self) -> Live<ChainVerifier> {
        self.chains.subscribe()
    }

    /// The hub's root in PEM, for those who are told what to trust.
    #[must_use]
    pub fn root_pem(&self) -> LiveText {
        self.root_pem.subscribe()
    }
}

#[expect(private_bounds, reason = "only what this module knows can be a source")]
impl<S: Source<Found = F>, F: Send + 'static> Following<S, F> {
    /// Looks at the files in the background, from now until `stop`. Needs a Tokio runtime.
    pub fn follow_until(self: &Arc<Self>, stop: CancellationToken) {
        tokio::spawn(stop.run_until_cancelled_owned(Arc::clone(self).follow()));
    }

    /// Looks at the files every [`RELOAD_INTERVAL`], for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let live = Arc::clone(&self);
            // Files may lie on a disk that is slow. An error says that the runtime is being taken down.
            let _ = tokio::task::spawn_blocking(move || live.look()).await;
        }
    }

    /// Looks at the files once.
    pub fn look(&self) -> Look {
        // Nothing panics while it holds the lock, and no state is half done.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let service = self.source.service();
        match self.source.look(&seen.in_use) {
            Ok(None) => {
                seen.doubts = Doubts::default();
                Look::Unchanged
            }
            Ok(Some(Fresh { found, server, chains, root_pem, not_after })) => {
                self.server.send_replace(server);
                self.chains.send_replace(chains);
                self.root_pem.send_replace(root_pem);
                self.source.taken(&found);
                self.reloads.increment(Reload::Taken);
                tell_end(not_after);
                tracing::info!(service, %not_after, "took a new certificate");
                *seen = Seen { in_use: found, doubts: Doubts::default() };
                Look::Taken
            }
            Err(error) => seen.doubts.weigh(service, error.to_string(), &self.reloads),
        }
    }
}

/// The moment up to which the certificate in use is good.
fn tell_end(not_after: OffsetDateTime) {
    // Unix seconds of a year with four digits are exact as a floating-point number.
    metrics::gauge!(names::CERTIFICATE_NOT_AFTER).set(not_after.unix_timestamp() as f64);
}

impl<S, F> std::fmt::Debug for Following<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}

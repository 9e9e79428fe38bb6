//! A service's certificate that follows its files: new connections use what lies there now, open ones go on.
//!
//! The files are read again and again rather than watched, for what changes may be a link far above them, as in a mounted
//! secret. What does not do is not taken: the certificate before it stays in use, and the log and a metric say so.

mod authority;
mod doubts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};
use time::OffsetDateTime;
use tokio::sync::watch;

pub use authority::LiveAuthority;
use doubts::{Doubts, Reload};

use super::chain::ChainVerifier;
use super::config::{ClientCertificates, TlsError, client_config, server_config};
use super::service::{ServiceFiles, ServiceIdentity, ServiceIdentityError};
use crate::clock::Clock;
use crate::telemetry::{Counters, names};

/// How often the files are read: far below what any lifetime or renewal needs, and next to nothing to do.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Configurations of one kind, the newest of them.
pub type Live<C> = watch::Receiver<Arc<C>>;

/// A text that may change, the newest of it.
pub type LiveText = watch::Receiver<Arc<str>>;

/// Whether a listener of the service asks its clients for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Clients without one may still speak, as nobody.
    Optional,
    /// Nobody speaks without one of the hub's.
    Required,
}

/// Why a certificate is not put to use.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The files are not those of the service.
    #[error(transparent)]
    Identity(#[from] ServiceIdentityError),
    /// They do not fit together.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// They are those of another hub, which would need another start.
    #[error(
        "the certificate is of hub `{found}`, and this process serves hub `{expected}`: restart it to change hubs"
    )]
    OtherHub {
        /// Whose it is.
        found: String,
        /// Whose it was at the start.
        expected: String,
    },
}

/// How a look at the files ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They are as they were.
    Unchanged,
    /// New connections use what is there now.
    Taken,
    /// What is there does not do, or not yet: it is read again before anybody is told.
    Doubtful,
    /// What is there does not do. The certificate before it stays in use.
    Refused,
}

/// The certificate of a service, as it is now.
pub struct LiveIdentity {
    files: ServiceFiles,
    clock: Arc<dyn Clock>,
    /// As it was at the start: hub and name never change.
    first: ServiceIdentity,
    clients: Clients,
    server: watch::Sender<Arc<ServerConfig>>,
    client: watch::Sender<Arc<ClientConfig>>,
    chains: watch::Sender<Arc<ChainVerifier>>,
    root_pem: watch::Sender<Arc<str>>,
    seen: Mutex<Seen>,
    reloads: Counters<Reload>,
}

/// What was found last.
#[derive(Default)]
struct Seen {
    /// In use; none for that of the start.
    taken: Option<ServiceIdentity>,
    doubts: Doubts,
}

impl LiveIdentity {
    /// Reads the files of a service, which have to do.
    ///
    /// # Errors
    /// [`LiveError`] names the file, the rule it breaks and the next step.
    pub fn load(
        files: &ServiceFiles,
        service: &str,
        clients: Clients,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LiveError> {
        let first = files.load(service, clock.now())?;
        let (server, client, chains) = configurations(&first, clients)?;
        tell_end(first.not_after);
        Ok(Self {
            files: files.clone(),
            clock,
            clients,
            server: watch::Sender::new(server),
            client: watch::Sender::new(client),
            chains: watch::Sender::new(chains),
            root_pem: watch::Sender::new(first.root_pem.as_str().into()),
            seen: Mutex::default(),
            reloads: Counters::new(names::CERTIFICATE_RELOADS_TOTAL),
            first,
        })
    }

    /// The certificate of the start, with hub and name, which stay.
    #[must_use]
    pub fn first(&self) -> &ServiceIdentity {
        &self.first
    }

    /// For listeners.
    #[must_use]
    pub fn server(&self) -> Live<ServerConfig> {
        self.server.subscribe()
    }

    /// For calls to other services.
    #[must_use]
    pub fn client(&self) -> Live<ClientConfig> {
        self.client.subscribe()
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

    /// Looks at the files every [`RELOAD_INTERVAL`], for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        look_again(self, Self::look).await;
    }

    /// Looks at the files once.
    pub fn look(&self) -> Look {
        // Nothing panics while it holds the lock, and no state is half done.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.files.load(&self.first.service, self.clock.now());
        match loaded.map_err(LiveError::from).and_then(|identity| self.fitting(identity, &seen)) {
            Ok(None) => {
                seen.doubts = Doubts::default();
                Look::Unchanged
            }
            Ok(Some((identity, (server, client, chains)))) => {
                self.server.send_replace(server);
                self.client.send_replace(client);
                self.chains.send_replace(chains);
                self.root_pem.send_replace(identity.root_pem.as_str().into());
                self.reloads.increment(Reload::Taken);
                tell_end(identity.not_after);
                tracing::info!(service = identity.service, not_after = %identity.not_after, "took a new certificate");
                *seen = Seen { taken: Some(identity), doubts: Doubts::default() };
                Look::Taken
            }
            Err(error) => seen.doubts.weigh(&self.first.service, error.to_string(), &self.reloads),
        }
    }

    /// The new certificate with its configurations; none where it is the one in use.
    fn fitting(&self, identity: ServiceIdentity, seen: &Seen) -> Result<Option<Fitting>, LiveError> {
        if identity.is_same_as(seen.taken.as_ref().unwrap_or(&self.first)) {
            return Ok(None);
        }
        if identity.hub != self.first.hub {
            return Err(LiveError::OtherHub { found: identity.hub, expected: self.first.hub.clone() });
        }
        let configurations = configurations(&identity, self.clients)?;
        Ok(Some((identity, configurations)))
    }
}

type Configurations = (Arc<ServerConfig>, Arc<ClientConfig>, Arc<ChainVerifier>);
type Fitting = (ServiceIdentity, Configurations);

/// What never changes, as what could.
#[must_use]
pub fn fixed<C>(value: C) -> Live<C> {
    // A receiver keeps the last value although its sender is gone.
    watch::channel(Arc::new(value)).1
}

fn configurations(identity: &ServiceIdentity, clients: Clients) -> Result<Configurations, TlsError> {
    let trusted = match clients {
        Clients::Optional => ClientCertificates::Optional(&identity.roots),
        Clients::Required => ClientCertificates::Required(&identity.roots),
    };
    let chains = Arc::new(ChainVerifier::new(&identity.roots)?);
    Ok((server_config(&identity.certificate, trusted)?, Arc::new(peer_config(identity)?), chains))
}

/// Services speak HTTP/2 with one another.
fn peer_config(identity: &ServiceIdentity) -> Result<ClientConfig, TlsError> {
    let mut client = client_config(&identity.roots, Some(&identity.certificate))?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(client)
}

impl ServiceIdentity {
    /// For calls to other services by who ends before any certificate is renewed.
    ///
    /// # Errors
    /// Where the certificate cannot be used.
    pub fn client(&self) -> Result<Live<ClientConfig>, TlsError> {
        Ok(fixed(peer_config(self)?))
    }
}

/// The moment up to which the certificate in use is good.
fn tell_end(not_after: OffsetDateTime) {
    // Unix seconds of a year with four digits are exact as a floating-point number.
    metrics::gauge!(names::CERTIFICATE_NOT_AFTER).set(not_after.unix_timestamp() as f64);
}

/// Looks every [`RELOAD_INTERVAL`], for as long as it is polled.
async fn look_again<L: Send + Sync + 'static>(live: Arc<L>, look: fn(&L) -> Look) {
    let mut ticks = tokio::time::interval(RELOAD_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let live = Arc::clone(&live);
        // Files may lie on a disk that is slow. An error says that the runtime is being taken down.
        let _ = tokio::task::spawn_blocking(move || look(&live)).await;
    }
}

impl std::fmt::Debug for LiveIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveIdentity").field("service", &self.first.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

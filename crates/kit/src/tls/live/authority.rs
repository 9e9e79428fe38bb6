//! The listeners of a process that has the hub's authority beside it, and makes its own certificate.
//!
//! It follows the authority's folder as a service follows its files: a renewed issuing key or another root counts for new
//! connections. And it makes its certificate anew long before that ends, so that no hub has to be started for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls_pki_types::ServerName;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::{Doubts, Live, LiveText, Look, Reload, look_again, tell_end};
use crate::clock::Clock;
use crate::telemetry::{Counters, names};
use crate::tls::authority::{Authority, AuthorityError};
use crate::tls::chain::{ChainVerifier, verify_server};
use crate::tls::config::{ClientCertificates, TlsError, server_config};
use crate::tls::leaf::Names;

/// What these certificates are called in the log.
const SERVICE: &str = "serve";
/// How long a listener's certificate is good.
const LIFETIME: Duration = Duration::days(365);
/// When the next one is made: early enough for months of trying.
const RENEWED_AFTER: Duration = Duration::days(243);

/// The certificate of the listeners, as the authority in its folder makes it now. Clients may show certificates of the same
/// authority; nobody has to.
pub struct LiveAuthority {
    hub: String,
    dir: PathBuf,
    names: Names,
    clock: Arc<dyn Clock>,
    server: watch::Sender<Arc<ServerConfig>>,
    chains: watch::Sender<Arc<ChainVerifier>>,
    root_pem: watch::Sender<Arc<str>>,
    seen: Mutex<Seen>,
    reloads: Counters<Reload>,
}

/// What is in use, and what was found last.
struct Seen {
    authority: Authority,
    renewed_at: OffsetDateTime,
    doubts: Doubts,
}

type Configurations = (Arc<ServerConfig>, Arc<ChainVerifier>);

impl LiveAuthority {
    /// Makes the first certificate, under these names.
    ///
    /// # Errors
    /// [`AuthorityError`] where the authority is not one, or a name cannot stand in a certificate.
    pub fn new(authority: Authority, names: Names, clock: Arc<dyn Clock>) -> Result<Self, AuthorityError> {
        let now = clock.now();
        let (server, chains) = configurations(&authority, &names, now)?;
        tell_end(now + LIFETIME);
        Ok(Self {
            hub: authority.hub().to_owned(),
            dir: authority.dir().to_owned(),
            names,
            clock,
            server: watch::Sender::new(server),
            chains: watch::Sender::new(chains),
            root_pem: watch::Sender::new(authority.root_pem().into()),
            seen: Mutex::new(Seen { authority, renewed_at: now + RENEWED_AFTER, doubts: Doubts::default() }),
            reloads: Counters::new(names::CERTIFICATE_RELOADS_TOTAL),
        })
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

    /// The root in PEM, for those who are told what to trust.
    #[must_use]
    pub fn root_pem(&self) -> LiveText {
        self.root_pem.subscribe()
    }

    /// Looks at the folder every [`RELOAD_INTERVAL`](super::RELOAD_INTERVAL), for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        look_again(self, Self::look).await;
    }

    /// Looks at the folder once.
    pub fn look(&self) -> Look {
        // Nothing panics while it holds the lock, and no state is half done.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let loaded = Authority::load(&self.dir, &self.hub);
        match loaded.and_then(|authority| self.fitting(authority, &seen, now)) {
            Ok(None) => {
                seen.doubts = Doubts::default();
                Look::Unchanged
            }
            Ok(Some((authority, (server, chains)))) => {
                self.server.send_replace(server);
                self.chains.send_replace(chains);
                self.root_pem.send_replace(authority.root_pem().into());
                self.reloads.increment(Reload::Taken);
                let not_after = now + LIFETIME;
                tell_end(not_after);
                tracing::info!(service = SERVICE, %not_after, "took a new certificate");
                *seen = Seen { authority, renewed_at: now + RENEWED_AFTER, doubts: Doubts::default() };
                Look::Taken
            }
            Err(error) => seen.doubts.weigh(SERVICE, error.to_string(), &self.reloads),
        }
    }

    /// The authority with a new certificate; none where that in use is good for long enough.
    fn fitting(
        &self,
        authority: Authority,
        seen: &Seen,
        now: OffsetDateTime,
    ) -> Result<Option<(Authority, Configurations)>, AuthorityError> {
        if authority.serves_as(&seen.authority) && now < seen.renewed_at {
            return Ok(None);
        }
        let configurations = configurations(&authority, &self.names, now)?;
        Ok(Some((authority, configurations)))
    }
}

/// A certificate of the authority, put to use: it has to come from the root that is given to clients.
fn configurations(
    authority: &Authority,
    names: &Names,
    now: OffsetDateTime,
) -> Result<Configurations, AuthorityError> {
    let certificate = authority.issue_server(names, LIFETIME, now)?;
    let roots = authority.roots()?;
    verify_server(&roots, &certificate.chain()?, &one_of(names)?, now)?;
    let chains = Arc::new(ChainVerifier::new(&roots)?);
    Ok((server_config(&certificate, ClientCertificates::Optional(&roots))?, chains))
}

fn one_of(names: &Names) -> Result<ServerName<'static>, TlsError> {
    let address = || names.ip.first().map(|address| ServerName::IpAddress((*address).into()));
    let name = names.dns.iter().find_map(|name| ServerName::try_from(name.clone()).ok());
    name.or_else(address).ok_or_else(|| TlsError::Certificate("it has no name".to_owned()))
}

impl std::fmt::Debug for LiveAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveAuthority").field("hub", &self.hub).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

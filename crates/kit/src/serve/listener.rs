//! Accepting connections, and stopping.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, warn};

use super::connection::{self, BoxError, Peer, Protocol};
use super::counted::{Counted, Failed};
use super::numbered::Numbered;
use super::shares::Shares;
use super::{Limits, Options, ServeError};
use crate::telemetry::{Counters, names};
use crate::tls::{PeerIdentity, fingerprint};

/// How long to leave `accept` alone when the process has no file descriptor left: long enough not to spin, short
/// enough that nobody notices once one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Server {
    /// Binds the address. Connections wait in the kernel's backlog until [`Self::run`].
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the system refuses.
    pub async fn bind(options: Options) -> Result<Self, ServeError> {
        let fault = |reason| ServeError::Bind { address: options.address, reason };
        let listener = TcpListener::bind(options.address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        if let Some(hops_max) = options.hops_max {
            bound_hops(&listener, address, hops_max).map_err(fault)?;
        }
        Ok(Self { listener, address, options })
    }

    /// Where it listens; with the port that was free where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where programs of this machine reach it: its address, or loopback of the same family where it listens at every address, for no
    /// certificate holds `0.0.0.0` or `[::]`.
    #[must_use]
    pub fn reached_at(&self) -> SocketAddr {
        reached_at(self.address)
    }

    /// Serves until `stop`, then takes no new connections or requests, lets the open ones finish up to the drain
    /// timeout, and cuts off the rest.
    pub async fn run<S, B>(mut self, service: S, stop: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let tls = self.options.tls.take();
        let serve = move |accepted: Accepted| {
            let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
            let service = service.clone();
            async move {
                match acceptor {
                    None => accepted.serve(service).await,
                    Some(acceptor) => accepted.serve_tls(acceptor, service).await,
                }
            }
        };
        self.each(serve, stop).await;
    }

    /// The same by what serves one connection.
    pub(super) async fn each<W, F>(self, serve: W, stop: CancellationToken)
    where
        W: Fn(Accepted) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let limits = self.options.limits;
        let numbered_by = self.options.numbered_by;
        let slots = Arc::new(Semaphore::new(limits.connections_max));
        let shares = Shares::new(limits.connections_per_address_max);
        // Of the machine itself: its probes are not to wait behind its other programs.
        let own_most = limits.connections_per_address_max.max(limits.connections_max / 2);
        let (own, own_shares) = (self.address.ip().to_canonical(), Shares::new(own_most));
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let mut ages = Ages::new(limits.connection_age_max);
        let open = metrics::gauge!(names::CONNECTIONS);
        let refused = metrics::counter!(names::CONNECTIONS_REFUSED_TOTAL);
        let failed = Arc::new(Counters::new(names::CONNECTIONS_FAILED_TOTAL));
        while let Some((stream, address, slot)) = next(&self.listener, &slots, &stop).await {
            let is_own = address.ip().to_canonical() == own;
            let Some(share) = (if is_own { &own_shares } else { &shares }).take(address.ip()) else {
                // An answer in words would have to wait until it is taken.
                refused.increment(1);
                debug!({ names::PEER_ADDRESS } = %address, "closed: its address has as many connections as one may have");
                continue;
            };
            let served = serve(Accepted {
                stream,
                address,
                limits,
                numbered_by: numbered_by.clone(),
                age_max: ages.next(),
                stop: stop.clone(),
                failed: Arc::clone(&failed),
            });
            let (cut, open) = (cut.clone(), open.clone());
            connections.spawn(async move {
                let open = Counted::new(open);
                let _ = cut.run_until_cancelled(served).await;
                drop((open, slot, share));
            });
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
            warn!(connections = connections.len(), "cutting off the connections that did not finish in time");
            cut.cancel();
            connections.wait().await;
        }
    }
}

fn reached_at(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Bounds how far answers go; the connections that are accepted have it from the listener.
fn bound_hops(listener: &TcpListener, address: SocketAddr, hops_max: u32) -> std::io::Result<()> {
    // Of an address of IPv6 too: `::` is asked by IPv4 as well, whose packets have a bound of their own.
    listener.set_ttl(hops_max)?;
    if address.is_ipv6() {
        SockRef::from(listener).set_unicast_hops_v6(hops_max)?;
    }
    Ok(())
}

/// The next connection and its slot; none once it is time to stop.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accept = async {
        // The semaphore is never closed, so an error cannot be; `None` then ends the listener rather than spin.
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, address)) => return Some((stream, address, slot)),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot accept connections for the moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accept).await.flatten()
}

/// Whether only the connection about to be accepted is at fault, so that the next may be taken at once.
fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A connection, and how it is to be served.
pub(super) struct Accepted {
    stream: TcpStream,
    address: SocketAddr,
    limits: Limits,
    numbered_by: Option<HeaderName>,
    age_max: Duration,
    stop: CancellationToken,
    failed: Arc<Counters<Failed>>,
}

impl Accepted {
    /// Serves it as it is.
    pub(super) async fn serve<S, B>(self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { stream, address, limits, numbered_by, age_max, stop, failed: _ } = self;
        if !is_there(&stream, address) {
            return;
        }
        let told = connection::told(&stream, limits.head_timeout);
        let Some(protocol) = stop.run_until_cancelled(told).await.flatten() else {
            return debug!({ names::PEER_ADDRESS } = %address, "the connection did not say what it speaks");
        };
        let peer = Peer { address, identity: None, certificate_sha256: None };
        let stream = Numbered::by(numbering(numbered_by, protocol), address, stream);
        tell(address, connection::serve(stream, protocol, peer, service, limits, age_max, stop).await);
    }

    /// Serves it as it is, whatever version of HTTP it speaks, as HTTP/1.
    pub(super) async fn serve_http1<S, B>(self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { stream, address, limits, numbered_by, age_max, stop, failed: _ } = self;
        if !is_there(&stream, address) {
            return;
        }
        let peer = Peer { address, identity: None, certificate_sha256: None };
        let stream = Numbered::by(numbered_by, address, stream);
        tell(address, connection::serve_http1(stream, peer, service, limits, age_max, stop).await);
    }

    /// Serves it over TLS.
    async fn serve_tls<S, B>(self, acceptor: TlsAcceptor, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { stream, address, limits, numbered_by, age_max, stop, failed } = self;
        if !is_there(&stream, address) {
            return;
        }
        let handshake = tokio::time::timeout(limits.handshake_timeout, acceptor.accept(stream));
        let stream = match stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => stream,
            Some(Ok(Err(error))) => {
                failed.increment(Failed::of(&error));
                return debug!({ names::PEER_ADDRESS } = %address, %error, "no TLS handshake");
            }
            Some(Err(_)) => {
                failed.increment(Failed::Timeout);
                return debug!({ names::PEER_ADDRESS } = %address, "the TLS handshake took too long");
            }
            None => return,
        };
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates();
        let certificate_sha256 = chain.and_then(|chain| chain.first()).map(|leaf| fingerprint(leaf));
        let identity = match chain.map(PeerIdentity::from_chain).transpose() {
            Ok(identity) => identity.map(Arc::new),
            Err(error) => {
                failed.increment(Failed::Identity);
                return warn!({ names::PEER_ADDRESS } = %address, %error, "refused a client certificate");
            }
        };
        let protocol = Protocol::from_alpn(session.alpn_protocol());
        let peer = Peer { address, identity, certificate_sha256 };
        let stream = Numbered::by(numbering(numbered_by, protocol), address, stream);
        tell(address, connection::serve(stream, protocol, peer, service, limits, age_max, stop).await);
    }
}

/// Whether it is still open. With Nagle's algorithm on, HTTP/2 over TLS would stall 40 ms for the peer's delayed acknowledgement.
fn is_there(stream: &TcpStream, address: SocketAddr) -> bool {
    let set = stream.set_nodelay(true);
    if let Err(error) = &set {
        debug!({ names::PEER_ADDRESS } = %address, %error, "the connection was gone before it was served");
    }
    set.is_ok()
}

/// Within the framing of HTTP/2 there is no place for it.
fn numbering(by: Option<HeaderName>, protocol: Protocol) -> Option<HeaderName> {
    by.filter(|_| protocol == Protocol::Http1)
}

/// How a connection ended.
fn tell(address: SocketAddr, ended: Result<(), BoxError>) {
    if let Err(error) = ended {
        debug!({ names::PEER_ADDRESS } = %address, error, "the connection broke off");
    }
}

/// The age limits of successive connections, spread by a tenth, so that those opened together do not end together.
struct Ages {
    middle: Duration,
    count: u32,
}

impl Ages {
    const STEPS: u32 = 21;

    fn new(middle: Duration) -> Self {
        // Replicas begin anywhere: a client opens a connection to each of them at once, and is not to lose all at once.
        let count = RandomState::new().hash_one(()) % u64::from(Self::STEPS);
        Self { middle, count: u32::try_from(count).unwrap_or_default() }
    }

    fn next(&mut self) -> Duration {
        self.count = (self.count + 1) % Self::STEPS;
        // 90 % to 110 %, in steps that visit every value once before any comes again (8 and 21 share no factor).
        let percent = 90 + self.count * 8 % Self::STEPS;
        self.middle * percent / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_at_every_address_is_reached_at_loopback() {
        for (address, expected) in [
            ("0.0.0.0:8443", "127.0.0.1:8443"),
            ("[::]:8443", "[::1]:8443"),
            ("10.0.0.7:8443", "10.0.0.7:8443"),
            ("127.0.0.1:8443", "127.0.0.1:8443"),
        ] {
            assert_eq!(reached_at(address.parse().unwrap()).to_string(), expected);
        }
    }

    #[tokio::test]
    async fn accepted_connections_have_the_bound_of_hops_by_ipv4_and_by_ipv6() {
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        for (at, asked_at) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")]
        {
            let (at, asked_at): (IpAddr, IpAddr) = (at.parse().unwrap(), asked_at.parse().unwrap());
            if at.is_ipv6() && !has_ipv6 {
                continue;
            }
            for hops_max in [None, Some(1), Some(7)] {
                let address = SocketAddr::new(at, 0);
                let server =
                    Server::bind(Options { address, hops_max, ..Options::loopback(0) }).await.unwrap();
                let asked = SocketAddr::new(asked_at, server.address().port());
                let (_asking, (accepted, _)) =
                    tokio::try_join!(TcpStream::connect(asked), server.listener.accept()).unwrap();
                let socket = SockRef::from(&accepted);
                let hops = if asked_at.is_ipv4() { socket.ttl_v4() } else { socket.unicast_hops_v6() };
                let hops = hops.unwrap();
                match hops_max {
                    Some(hops_max) => assert_eq!(hops, hops_max, "{asked} at {at}"),
                    None => assert!(hops > 7, "{asked} at {at}: the system's own, not {hops}"),
                }
            }
        }
    }

    #[test]
    fn connection_ages_are_spread_by_a_tenth_and_do_not_bunch() {
        let mut ages = Ages::new(Duration::from_secs(100));
        let mut seen: Vec<u64> = (0..21).map(|_| ages.next().as_secs()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (90..=110).collect::<Vec<_>>());
    }
}

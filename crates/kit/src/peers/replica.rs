//! One replica: its connection, made anew whenever it ends.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    Request, Response, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;
use http_body_util::Either;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{BoxError, sent::Sent};
use crate::tls::{Live, PeerIdentity};
use crate::together::{self, Carried, Carrier, Reading, Told, Unanswered};

/// How often an idle connection is asked whether the other end is still there.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a replica is in doubt: by then its pings have been answered, or its connection has been closed.
pub(super) const DOUBT_FOR: Duration = PING_INTERVAL.saturating_add(PING_TIMEOUT);
/// A port is always given; this stands in for one that is the scheme's own.
const HTTPS_PORT: u16 = 443;

/// What sends over one connection.
type Sender<B> = http2::SendRequest<Sent<B>>;
/// The body of an answer.
pub(super) type Got = Either<Incoming, Told>;

/// An address and what is connected to it.
pub(super) struct Replica<B> {
    host: String,
    port: u16,
    name: ServerName<'static>,
    authority: Authority,
    expected: PeerIdentity,
    sender: Mutex<Option<Sender<B>>>,
    /// What carries calls that travel together, once the other end has said that it takes them. It says itself when it ends.
    carrier: Mutex<Option<Arc<Carrier>>>,
    under_way: AtomicUsize,
    /// How long somebody has to have waited in vain.
    doubt_after: Duration,
    /// When somebody last has; none since it has answered anybody.
    doubted_at: Mutex<Option<Instant>>,
    /// Whether that is set, for those who only want to know that it is not.
    is_doubted: AtomicBool,
    /// Which of the name's addresses is next.
    turn: AtomicUsize,
}

impl<B> Replica<B> {
    /// None for a URL that is no plain `https://host:port`.
    pub(super) fn new(url: &Url, expected: PeerIdentity, doubt_after: Duration) -> Option<Self> {
        let is_plain = url.scheme() == "https"
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|_| is_plain)?;
        // An IPv6 address stands in brackets in URLs alone.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port().unwrap_or(HTTPS_PORT);
        Some(Self {
            name: ServerName::try_from(bare.to_owned()).ok()?,
            authority: format!("{host}:{port}").parse().ok()?,
            host: bare.to_owned(),
            port,
            expected,
            sender: Mutex::new(None),
            carrier: Mutex::new(None),
            under_way: AtomicUsize::new(0),
            doubt_after,
            doubted_at: Mutex::new(None),
            is_doubted: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        })
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(super) fn is_connected(&self) -> bool {
        self.sender().as_ref().is_some_and(|sender| !sender.is_closed())
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Whether somebody has waited for it in vain, and nothing has spoken for it since.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_doubted.load(Ordering::Relaxed)
            && self.doubted_at().is_some_and(|at| at.elapsed() < DOUBT_FOR)
    }

    /// Doubts it, as of so long ago.
    pub(super) fn doubt_since(&self, ago: Duration) {
        *self.doubted_at() = Instant::now().checked_sub(ago);
        self.is_doubted.store(true, Ordering::Relaxed);
    }

    pub(super) fn trust(&self) {
        if self.is_doubted.swap(false, Ordering::Relaxed) {
            *self.doubted_at() = None;
        }
    }

    fn doubted_at(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.doubted_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(&self) -> std::sync::MutexGuard<'_, Option<Sender<B>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carrier(&self) -> std::sync::MutexGuard<'_, Option<Arc<Carrier>>> {
        self.carrier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path stays, the host is this replica's.
    fn address(&self, request: &mut Request<Sent<B>>) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // Scheme, authority and path are all there: such parts make a URI.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }

    /// The request on its way with others, if it may go so and there is one.
    fn carried(&self, request: &Request<Sent<B>>) -> Option<Carried> {
        let Sent::Whole(Some(body)) = request.body() else { return None };
        let carrier = self.carrier().clone()?;
        carrier.take(request.uri().path(), request.headers(), body)
    }
}

/// A request that is under way, however it ends. One that is dropped before there is an answer was given up by whoever waited.
struct UnderWay<'a, B> {
    replica: &'a Replica<B>,
    since: Instant,
    has_ended: bool,
}

impl<'a, B> UnderWay<'a, B> {
    fn begin(replica: &'a Replica<B>) -> Self {
        replica.under_way.fetch_add(1, Ordering::Relaxed);
        Self { replica, since: Instant::now(), has_ended: false }
    }
}

impl<B> Drop for UnderWay<'_, B> {
    fn drop(&mut self) {
        self.replica.under_way.fetch_sub(1, Ordering::Relaxed);
        if !self.has_ended && self.since.elapsed() >= self.replica.doubt_after {
            self.replica.doubt_since(Duration::ZERO);
        }
    }
}

/// What came of sending: an answer, or an error that has the request again where it was never sent.
pub(super) enum Unsent<B> {
    /// Never sent.
    Whole(Box<Request<Sent<B>>>),
    /// Perhaps sent.
    Gone(BoxError),
}

/// What happened to a call that travelled with others.
#[derive(Debug, thiserror::Error)]
#[error("the stream that it went by ended before its answer")]
struct StreamBroke;

impl<B> Replica<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) async fn send(&self, mut request: Request<Sent<B>>) -> Result<Response<Got>, Unsent<B>> {
        if self.sender().is_none() {
            return Err(Unsent::Whole(Box::new(request)));
        }
        let mut under_way = UnderWay::begin(self);
        let carried = self.carried(&request);
        if let Some(carried) = carried {
            match carried.outcome().await {
                Ok(response) => {
                    under_way.has_ended = true;
                    self.trust();
                    return Ok(response.map(Either::Right));
                }
                Err(Unanswered::Broke) => {
                    under_way.has_ended = true;
                    return Err(Unsent::Gone(Box::new(StreamBroke)));
                }
                Err(Unanswered::NotTaken) => {}
            }
        }
        // Of the connection that is there now: the one that carried it may be gone by this time.
        let sender = self.sender().clone();
        let Some(mut sender) = sender else {
            under_way.has_ended = true;
            return Err(Unsent::Whole(Box::new(request)));
        };
        // One that travels is addressed by its stream.
        self.address(&mut request);
        let answered = sender.try_send_request(request).await;
        under_way.has_ended = true;
        if answered.is_ok() {
            self.trust();
        }
        let answered = answered.map(|response| response.map(Either::Left));
        answered.map_err(|error: TrySendError<Request<Sent<B>>>| {
            let mut error = error;
            match error.take_message() {
                Some(request) => Unsent::Whole(Box::new(request)),
                None => Unsent::Gone(error.into_error().into()),
            }
        })
    }
}

/// Keeps one replica connected.
pub(super) struct Keeper<B> {
    pub(super) replica: Arc<Replica<B>>,
    pub(super) tls: Live<ClientConfig>,
    pub(super) connected: Arc<watch::Sender<usize>>,
    pub(super) connect_timeout: Duration,
    pub(super) pause: Duration,
    pub(super) pause_max: Duration,
    /// Cancelled with the last of who may call, where calls may travel together; none where none may.
    pub(super) stop: Option<CancellationToken>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectFault {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("it does not speak HTTP/2: {0}")]
    Http(#[from] hyper::Error),
    #[error("it is `{found}` and should be `{expected}`")]
    OtherService { found: String, expected: String },
    #[error("it did not answer in time")]
    Timeout,
}

type Connection<B> =
    http2::Connection<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>, Sent<B>, TokioExecutor>;

impl<B> Keeper<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Until cancelled.
    pub(super) async fn keep(self) {
        let mut pause = self.pause;
        let mut is_told = false;
        let place = self.replica.authority().clone();
        loop {
            let connecting = tokio::time::timeout(self.connect_timeout, self.connect());
            match connecting.await.unwrap_or(Err(ConnectFault::Timeout)) {
                Ok((sender, connection)) => {
                    tracing::debug!(peer.address = %place, "connected");
                    self.replica.trust();
                    if let Some(stop) = &self.stop {
                        let carrying = carry(Arc::clone(&self.replica), sender.clone());
                        // It outlives the connection's time for new calls by those that it has.
                        tokio::spawn(stop.clone().run_until_cancelled_owned(carrying));
                    }
                    *self.replica.sender() = Some(sender);
                    self.connected.send_modify(|count| *count += 1);
                    let begun = Instant::now();
                    let ended = connection.await;
                    *self.replica.sender() = None;
                    // One that has not heard of its end yet would be in the way of the next connection's.
                    *self.replica.carrier() = None;
                    self.connected.send_modify(|count| *count = count.saturating_sub(1));
                    tracing::debug!(peer.address = %place, error = ?ended.err(), "a connection ended");
                    is_told = false;
                    // Servers end connections of a certain age: the next is made at once. One that takes connections and
                    // drops them is not asked at once again, and again.
                    if begun.elapsed() > self.pause_max {
                        pause = self.pause;
                        continue;
                    }
                }
                Err(fault) => {
                    // Once for each time that it goes away: a replica that is not there is tried for as long as it takes.
                    if !is_told {
                        tracing::warn!(peer.address = %place, peer.expected = %self.replica.expected, %fault, "cannot connect");
                        is_told = true;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.pause_max);
        }
    }

    fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.tls.borrow()))
    }

    async fn connect(&self) -> Result<(Sender<B>, Connection<B>), ConnectFault> {
        let replica = &self.replica;
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((replica.host.as_str(), replica.port)).await?.collect();
        let turn = replica.turn.fetch_add(1, Ordering::Relaxed);
        let address = turn.checked_rem(addresses.len()).and_then(|at| addresses.get(at));
        let stream = TcpStream::connect(address.ok_or(ConnectFault::NoAddress)?).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector().connect(replica.name.clone(), stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let found = PeerIdentity::from_chain(chain);
        if found.as_ref() != Ok(&replica.expected) {
            let found = found.map_or_else(|error| error.to_string(), |found| found.to_string());
            return Err(ConnectFault::OtherService { found, expected: replica.expected.to_string() });
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(builder.handshake(TokioIo::new(stream)).await?)
    }
}

/// Opens a stream for calls that travel together, and hands out answers until it ends. Where the other end has no such method, or
/// the stream broke, the calls of this connection go by themselves.
async fn carry<B>(replica: Arc<Replica<B>>, mut sender: Sender<B>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (carrier, outbox) = Carrier::new();
    let reading = Reading::of(Arc::clone(&carrier));
    let uri = Uri::builder().scheme("https").authority(replica.authority().clone());
    // All of its parts are there, and made before.
    let Ok(uri) = uri.path_and_query(together::PATH).build() else { return };
    let mut request = Request::new(Sent::Calls(outbox));
    *request.method_mut() = http::Method::POST;
    (*request.version_mut(), *request.uri_mut()) = (Version::HTTP_2, uri);
    let grpc = const { http::HeaderValue::from_static("application/grpc") };
    request.headers_mut().insert(header::CONTENT_TYPE, grpc);
    let opened = tokio::time::timeout(PING_TIMEOUT, sender.try_send_request(request)).await;
    // The connection is not held open by this, but by the stream.
    drop(sender);
    // Whoever knows no such method says so at once, unless it waits for the end of what never ends.
    let Ok(opened) = opened else { return };
    match opened {
        Ok(answer) if Carrier::is_welcome(&answer) => {
            carrier.open();
            {
                let mut slot = replica.carrier();
                // An older connection's word may come late.
                if slot.as_ref().is_none_or(|carrier| !carrier.is_open()) {
                    *slot = Some(carrier);
                }
            }
            reading.read(answer.into_body()).await;
        }
        Ok(_) => tracing::debug!(peer.address = %replica.authority(), "it takes calls by themselves alone"),
        Err(error) => {
            let error = error.into_error();
            tracing::debug!(peer.address = %replica.authority(), %error, "no stream for calls that travel together");
        }
    }
}

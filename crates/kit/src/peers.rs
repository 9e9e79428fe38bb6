//! Connections to the replicas of another service of the hub.
//!
//! Each replica is kept connected over mTLS in the background; what answers must show the certificate of the service that
//! it should be, whatever name it has in DNS. A request goes to the replica with the fewest under way. One that could not
//! be sent at all goes to another; one that may have arrived is never sent twice. A replica that hangs keeps its connection open:
//! where somebody has waited for it in vain, the others are asked until it answers, or until its pings have told.
//!
//! A call that says how long it may take ([`grpc_timeout`]) has its answer, or the beginning of one that is a stream, by then, or is
//! given up: pings tell of a process that hangs, and not of one whose work on a call does.

mod config;
mod replica;
mod sent;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body;
use http_body_util::Either;
use hyper::body::Incoming;
use rustls::ClientConfig;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::Service;
use tracing::Instrument as _;
use url::Url;

use self::{
    replica::{Replica, Unsent},
    sent::Sent,
};
use crate::grpc_timeout;
use crate::telemetry::{Answer, Calls, Code, request_id, trace};
use crate::tls::{Live, PeerError, PeerIdentity};
use crate::together::{self, Told};

pub use config::PeersConfig;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much longer a call is waited for than it says. Who counts that time as well has given up by then, and has said so in words of
/// their own.
const GRACE: Duration = Duration::from_millis(100);

/// The body of an answer, whether it came by itself or with others.
pub type Answered = Answer<Either<Incoming, Told>>;

/// Whom to call, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The hub that both are of.
    pub hub: String,
    /// The service that must answer, such as `authn`.
    pub service: String,
    /// `https://host:port` of each replica. A name of several addresses is one connection, to the next of them each time.
    pub urls: Vec<Url>,
    /// Who calls and whom it trusts, as it is when a connection is made.
    pub tls: Live<ClientConfig>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// The wait before a second try to connect; it doubles up to [`Self::pause_max`].
    pub pause: Duration,
    /// The longest wait between tries.
    pub pause_max: Duration,
    /// How long a request waits for a replica to be there, where none is.
    pub wait_max: Duration,
    /// How long somebody has to have waited for an answer before their giving up says anything of the replica.
    pub doubt_after: Duration,
    /// Where calls are counted.
    pub calls: Arc<Calls>,
    /// The paths whose requests may travel with others ([`together`]), where the other end takes them so and their body is small
    /// and known whole. Their answers are no streams. None by default.
    pub together: &'static [&'static str],
}

impl Options {
    /// The usual times.
    #[must_use]
    pub fn new(
        hub: &str,
        service: &str,
        urls: Vec<Url>,
        tls: Live<ClientConfig>,
        calls: &Arc<Calls>,
    ) -> Self {
        Self {
            hub: hub.to_owned(),
            service: service.to_owned(),
            urls,
            tls,
            connect_timeout: Duration::from_secs(2),
            pause: Duration::from_millis(50),
            pause_max: Duration::from_secs(5),
            wait_max: Duration::from_secs(1),
            doubt_after: Duration::from_secs(1),
            calls: Arc::clone(calls),
            together: &[],
        }
    }
}

/// Why nobody can be called.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// No address at all.
    #[error("no address of service {0} is given: name at least one `https://host:port`")]
    NoAddress(String),
    /// An address that is none.
    #[error(
        "`{url}` is no address of service {service}: write https://host:port, without user, path or query"
    )]
    Address {
        /// The service.
        service: String,
        /// What was given.
        url: String,
    },
    /// The hub or the service has no proper name.
    #[error(transparent)]
    Identity(#[from] PeerError),
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerFault {
    /// No replica is connected.
    #[error("no replica of {0} is there")]
    Away(String),
    /// The connection broke while the request was under way: it may have been served.
    #[error("the connection to {service} broke: {source}")]
    Broken {
        /// The service.
        service: String,
        /// What happened.
        source: BoxError,
    },
}

/// The replicas of one service. Clones share the connections, which end with the last clone.
pub struct Peers<B> {
    inner: Arc<Inner<B>>,
}

struct Inner<B> {
    service: String,
    replicas: Box<[Arc<Replica<B>>]>,
    /// Where the next search for the least busy one begins, so that equals take turns.
    turn: AtomicUsize,
    /// How many replicas are connected.
    connected: watch::Receiver<usize>,
    wait_max: Duration,
    calls: Arc<Calls>,
    together: &'static [&'static str],
    _stop: DropGuard,
}

impl<B> Clone for Peers<B> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<B> fmt::Debug for Peers<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("service", &self.inner.service).finish_non_exhaustive()
    }
}

impl<B> Peers<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Begins to connect, in the background. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`PeersError`] names what cannot be used; that nobody answers is none.
    pub fn connect(options: &Options) -> Result<Self, PeersError> {
        let service = options.service.clone();
        if options.urls.is_empty() {
            return Err(PeersError::NoAddress(service));
        }
        let expected = PeerIdentity::service(&options.hub, &service)?;
        let (stop, (connected, watch)) = (CancellationToken::new(), watch::channel(0));
        let connected = Arc::new(connected);
        let mut replicas = Vec::with_capacity(options.urls.len());
        for url in &options.urls {
            let replica = Replica::new(url, expected.clone(), options.doubt_after)
                .ok_or_else(|| PeersError::Address { service: service.clone(), url: url.to_string() })?;
            replicas.push(Arc::new(replica));
        }
        for replica in &replicas {
            let keeper = replica::Keeper {
                replica: Arc::clone(replica),
                tls: options.tls.clone(),
                connected: Arc::clone(&connected),
                connect_timeout: options.connect_timeout,
                pause: options.pause,
                pause_max: options.pause_max,
                stop: (!options.together.is_empty()).then(|| stop.clone()),
            };
            tokio::spawn(stop.clone().run_until_cancelled_owned(keeper.keep()));
        }
        let inner = Inner {
            service,
            replicas: replicas.into(),
            turn: AtomicUsize::new(0),
            connected: watch,
            wait_max: options.wait_max,
            calls: Arc::clone(&options.calls),
            together: options.together,
            _stop: stop.drop_guard(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many replicas are connected now, and from now on.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<usize> {
        self.inner.connected.clone()
    }

    async fn send(self, mut request: Request<B>) -> Result<Response<Answered>, PeerFault> {
        let call = self.inner.calls.send(request.uri().path());
        let limit = request.headers().get(grpc_timeout::HEADER).and_then(grpc_timeout::parse);
        let sent = async {
            trace::inject(request.headers_mut());
            request_id::inject(request.headers_mut());
            let request = self.inner.made_ready(request).await;
            self.inner.send_within(limit, request).await
        };
        match sent.instrument(call.span()).await {
            Ok(response) => Ok(call.answered(response)),
            Err(fault) => {
                call.end(Code::Unavailable);
                Err(fault)
            }
        }
    }
}

impl<B> Inner<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// With its body whole, where it may travel with others.
    async fn made_ready(&self, request: Request<B>) -> Request<Sent<B>> {
        let bytes = request.body().size_hint().exact();
        let is_small = bytes.is_some_and(|bytes| bytes <= together::BODY_BYTES_MAX as u64);
        if !is_small || !self.together.contains(&request.uri().path()) {
            return request.map(Sent::Own);
        }
        let (parts, body) = request.into_parts();
        let body = match together::whole(body).await {
            Ok((bytes, _)) => Sent::Whole(Some(bytes)),
            Err(error) => Sent::Failed(Some(error.into())),
        };
        Request::from_parts(parts, body)
    }

    /// Within its time, where it says one.
    async fn send_within(
        &self,
        limit: Option<Duration>,
        request: Request<Sent<B>>,
    ) -> Result<Response<replica::Got>, PeerFault> {
        let sent = self.send(request);
        let Some(limit) = limit else { return sent.await };
        // Let go, it is cancelled at the other end too.
        tokio::time::timeout(limit.saturating_add(GRACE), sent).await.unwrap_or_else(|_| Ok(late()))
    }

    async fn send(&self, mut request: Request<Sent<B>>) -> Result<Response<replica::Got>, PeerFault> {
        // Replicas may go as often as they like meanwhile: what was not sent at all may go to any of them, as long as it waits.
        let mut until = None;
        while let Some(replica) = self.one_that_is_there(&mut until).await {
            match replica.send(request).await {
                Ok(response) => return Ok(response),
                // The time is for waiting alone: whoever is there now is asked, however late it came back.
                Err(Unsent::Whole(unsent)) => {
                    request = *unsent;
                    // For the keeper, which may not know yet.
                    tokio::task::yield_now().await;
                }
                Err(Unsent::Gone(source)) => {
                    return Err(PeerFault::Broken { service: self.service.clone(), source });
                }
            }
        }
        Err(PeerFault::Away(self.service.clone()))
    }
}

/// What a server would say that ends a call whose time is over.
fn late() -> Response<replica::Got> {
    let mut response = Response::new(Either::Right(Told::nothing()));
    *response.version_mut() = Version::HTTP_2;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, const { HeaderValue::from_static("application/grpc") });
    headers.insert("grpc-status", HeaderValue::from(Code::DeadlineExceeded as usize));
    headers.insert(
        "grpc-message",
        const { HeaderValue::from_static("no answer in the time that the call has") },
    );
    response
}

impl<B> Inner<B> {
    /// Of those that are connected the one with the fewest requests under way; one that is in doubt only where no other is there.
    fn least_busy(&self) -> Option<&Replica<B>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.replicas.len();
        let in_turn = (0..count).filter_map(|step| self.replicas.get(first.wrapping_add(step) % count));
        let connected = in_turn.filter(|replica| replica.is_connected());
        connected.min_by_key(|replica| (replica.is_in_doubt(), replica.under_way())).map(AsRef::as_ref)
    }

    /// The one to ask; where none is connected, the first that is before `until`, which is set by the first wait.
    async fn one_that_is_there(&self, until: &mut Option<Instant>) -> Option<&Replica<B>> {
        // As a rule, with nothing to follow and no clock to look at.
        if let Some(replica) = self.least_busy() {
            return Some(replica);
        }
        let until = *until.get_or_insert_with(|| Instant::now() + self.wait_max);
        let mut connected = self.connected.clone();
        loop {
            // Their number is late where a connection has just ended: each change is only a reason to look.
            connected.mark_unchanged();
            if let Some(replica) = self.least_busy() {
                return Some(replica);
            }
            tokio::time::timeout_at(until, connected.changed()).await.ok()?.ok()?;
        }
    }
}

impl<B> Service<Request<B>> for Peers<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Answered>;
    type Error = PeerFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, PeerFault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PeerFault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

#[cfg(test)]
mod tests;

//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::Limits;
use crate::tls::PeerIdentity;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who is at the other end of the connection a request came by; in the request's extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address of the connection: the nearest hop, not what any header claims.
    pub address: SocketAddr,
    /// Whom its certificate names; nobody where none was shown.
    pub identity: Option<Arc<PeerIdentity>>,
    /// The SHA-256 of that certificate's DER: which of all that bear the name.
    pub certificate_sha256: Option<[u8; 32]>,
}

/// What the connection agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// Not settled by TLS: the first bytes tell.
    Either,
}

impl Protocol {
    pub(super) fn from_alpn(negotiated: Option<&[u8]>) -> Self {
        match negotiated {
            Some(b"h2") => Self::Http2,
            Some(b"http/1.1") => Self::Http1,
            _ => Self::Either,
        }
    }
}

/// Serves one connection until the peer is done, its age is reached, or `stop` is cancelled; in the last two cases open
/// requests have the drain timeout to finish.
pub(super) async fn serve<IO, S, B>(
    io: IO,
    protocol: Protocol,
    peer: Peer,
    service: S,
    limits: Limits,
    age_max: Duration,
    stop: CancellationToken,
) -> Result<(), BoxError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        service.clone().oneshot(request)
    });
    let builder = builder(protocol, limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    tokio::select! {
        result = connection.as_mut() => return result,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(age_max) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A stream that never ends would otherwise hold the connection past any age.
    tokio::time::timeout(limits.drain_timeout, connection).await.unwrap_or(Ok(()))
}

fn builder(protocol: Protocol, limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(
            usize::try_from(limits.head_bytes_max).unwrap_or(usize::MAX).max(HTTP1_BUFFER_BYTES_MIN),
        );
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.head_bytes_max)
        .max_concurrent_streams(limits.streams_max)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
        Protocol::Either => builder,
    }
}

/// hyper panics on an HTTP/1 buffer smaller than this.
const HTTP1_BUFFER_BYTES_MIN: usize = 8192;
/// How often an idle HTTP/2 peer is asked whether it is still there; below the minute at which NATs begin to forget.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

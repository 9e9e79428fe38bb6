//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::Limits;
use super::heads::Heads;
use super::panicked::Shape;
use super::stalled::Stalled;
use crate::telemetry::RequestId;
use crate::tls::PeerIdentity;
use crate::together::{self, OfConnection};

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
}

impl Protocol {
    /// By TLS: HTTP/2 is agreed on there, or not spoken (RFC 9113 section 3.2).
    pub(super) fn from_alpn(negotiated: Option<&[u8]>) -> Self {
        match negotiated {
            Some(b"h2") => Self::Http2,
            _ => Self::Http1,
        }
    }

    /// By the first bytes of a plain connection; none: more of them have to come.
    fn from_first_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.iter().zip(HTTP2_PREFACE).all(|(byte, expected)| byte == expected) {
            false => Some(Self::Http1),
            true if bytes.len() >= HTTP2_PREFACE.len() => Some(Self::Http2),
            true => None,
        }
    }
}

/// What a plain connection speaks, by its first bytes, which are left where they are; none where it has not said so within the
/// time, or has gone. hyper would wait for them without end.
pub(super) async fn told(stream: &TcpStream, within: Duration) -> Option<Protocol> {
    let look = async {
        let mut bytes = [0; HTTP2_PREFACE.len()];
        loop {
            let there = stream.peek(&mut bytes).await.ok().filter(|there| *there > 0)?;
            if let Some(protocol) = Protocol::from_first_bytes(bytes.get(..there)?) {
                return Some(protocol);
            }
            // What is there stays there, so that the system cannot tell when there is more.
            tokio::time::sleep(PREFACE_PAUSE).await;
        }
    };
    tokio::time::timeout(within, look).await.ok().flatten()
}

/// Serves one connection until the peer is done, its age is reached, or `stop` is cancelled; in the last two cases open
/// requests have the drain timeout to finish. A request whose handler panics is answered all the same, and the connection's other
/// requests go on.
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
    let ending = CancellationToken::new();
    let end = ending.clone().drop_guard();
    let of_connection = OfConnection::new(ending);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        if request.uri().path() == together::PATH {
            request.extensions_mut().insert(of_connection.clone());
        }
        answer(service.clone(), request, &peer)
    });
    let heads = (protocol == Protocol::Http1).then(|| Heads::within(limits.head_timeout));
    let builder = builder(limits, heads.as_ref());
    let io = TokioIo::new(Stalled::after(limits.write_timeout, io));
    let connection = pin!(builder.serve_connection(io, service));
    let end = |connection: Pin<&mut auto::Connection<'_, _, _, _>>| {
        // A stream of calls ends when its client hears of it.
        drop(end);
        connection.graceful_shutdown();
    };
    until(connection, end, heads.as_ref(), limits, age_max, stop).await
}

/// The same of HTTP/1 alone, for programs that are to hold nothing of HTTP/2.
pub(super) async fn serve_http1<IO, S, B>(
    io: IO,
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
    let service = hyper::service::service_fn(move |request| answer(service.clone(), request, &peer));
    let heads = Heads::within(limits.head_timeout);
    let mut builder = http1::Builder::new();
    builder
        // A client that has gone is noticed by what is written to it, not by a read beside each answer that is being made: that read
        // needs a buffer of its own, for the request still lies in the one that it came in.
        .half_close(true)
        .timer(heads.clone())
        .header_read_timeout(heads.limit())
        .max_headers(limits.headers_max)
        .max_buf_size(http1_buffer_bytes(limits));
    let io = TokioIo::new(Stalled::after(limits.write_timeout, io));
    let connection = pin!(builder.serve_connection(io, service));
    until(connection, http1::Connection::graceful_shutdown, Some(&heads), limits, age_max, stop).await
}

/// What one request of this peer comes to.
fn answer<S, B>(
    service: S,
    mut request: Request<Incoming>,
    peer: &Peer,
) -> impl Future<Output = Result<Response<Either<B, Full<Bytes>>>, S::Error>> + Send + use<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    let shape = Shape::of(request.headers());
    let id = RequestId::said(request.headers(), Some(peer));
    request.extensions_mut().insert(peer.clone());
    let answer = AssertUnwindSafe(service.oneshot(request)).catch_unwind();
    async move {
        match answer.await {
            Ok(answer) => answer.map(|response| response.map(Either::Left)),
            Err(panic) => Ok(shape.answer(id, &*panic).map(Either::Right)),
        }
    }
}

/// Until it ends by itself, for a head that does not come too, or was asked to by `end` and has had the time for it. Of HTTP/2 there are
/// no heads to wait for.
async fn until<C, E>(
    mut connection: Pin<&mut C>,
    end: impl FnOnce(Pin<&mut C>),
    heads: Option<&Heads>,
    limits: Limits,
    age_max: Duration,
    stop: CancellationToken,
) -> Result<(), BoxError>
where
    C: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    tokio::select! {
        result = ended(connection.as_mut(), heads) => return result.map_err(Into::into),
        () = stop.cancelled() => {}
        () = tokio::time::sleep(age_max) => {}
    }
    end(connection.as_mut());
    // A stream that never ends would otherwise hold the connection past any age.
    let drained = tokio::time::timeout(limits.drain_timeout, ended(connection, heads)).await;
    drained.unwrap_or(Ok(())).map_err(Into::into)
}

async fn ended<C: Future>(connection: Pin<&mut C>, heads: Option<&Heads>) -> C::Output {
    match heads {
        Some(heads) => heads.beside(connection).await,
        None => connection.await,
    }
}

/// Of HTTP/1, whose heads are waited for, or else of HTTP/2.
fn builder(limits: Limits, heads: Option<&Heads>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if let Some(heads) = heads {
        builder
            .http1()
            .timer(heads.clone())
            .header_read_timeout(heads.limit())
            .max_headers(limits.headers_max)
            .max_buf_size(http1_buffer_bytes(limits));
        return builder.http1_only();
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.head_bytes_max)
        .max_concurrent_streams(limits.streams_max)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder.http2_only()
}

fn http1_buffer_bytes(limits: Limits) -> usize {
    usize::try_from(limits.head_bytes_max).unwrap_or(usize::MAX).max(HTTP1_BUFFER_BYTES_MIN)
}

/// What a connection begins with that speaks HTTP/2 (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the rest of it is waited for before another look: it comes in one piece, or from somebody who is slow on purpose.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);
/// hyper panics on an HTTP/1 buffer smaller than this.
const HTTP1_BUFFER_BYTES_MIN: usize = 8192;
/// How often an idle HTTP/2 peer is asked whether it is still there; below the minute at which NATs begin to forget.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_plain_connection_speaks() {
        let cases: [(&[u8], Option<Protocol>); 8] = [
            (b"G", Some(Protocol::Http1)),
            (b"GET / HTTP/1.1\r\n", Some(Protocol::Http1)),
            (b"P", None),
            (b"PO", Some(Protocol::Http1)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (HTTP2_PREFACE, Some(Protocol::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", Some(Protocol::Http1)),
            (b"\x16\x03\x01", Some(Protocol::Http1)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Protocol::from_first_bytes(bytes), expected, "{bytes:?}");
        }
    }
}

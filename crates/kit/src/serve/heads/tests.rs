use std::net::SocketAddr;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

use super::super::Limits;
use super::super::connection::{Peer, Protocol, serve, serve_http1};
use super::*;

const LIMIT: Duration = Duration::from_secs(10);
/// Longer than any wait for a head, so that no end is by the drain.
const DRAIN: Duration = Duration::from_secs(1_000);

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
/// Its handler takes longer than a head may.
const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
const SLOW_FOR: Duration = Duration::from_secs(25);

/// Serves one connection.
type Serving = fn(DuplexStream, CancellationToken) -> BoxFuture<'static, ()>;

const BOTH: [Serving; 2] = [
    |io, stop| {
        let service = tower::service_fn(handle);
        serve(io, Protocol::Http1, peer(), service, limits(), Duration::MAX / 4, stop).map(drop).boxed()
    },
    |io, stop| {
        let service = tower::service_fn(handle);
        serve_http1(io, peer(), service, limits(), Duration::MAX / 4, stop).map(drop).boxed()
    },
];

fn limits() -> Limits {
    Limits { head_timeout: LIMIT, drain_timeout: DRAIN, ..Limits::default() }
}

fn peer() -> Peer {
    Peer { address: SocketAddr::from(([127, 0, 0, 1], 1)), identity: None, certificate_sha256: None }
}

async fn handle(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    if request.uri().path() == "/slow" {
        tokio::time::sleep(SLOW_FOR).await;
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Response::new(Full::new(body)))
}

/// How many answers somebody gets, and after how many seconds their connection ends, who sends these texts at these seconds; it is to stop
/// at one where that is said.
async fn served(by: Serving, sent: &[(u64, &str)], stop_at: Option<u64>) -> (usize, u64) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    let served = tokio::spawn(by(server, stop.clone()));
    let at = |seconds| tokio::time::sleep_until(begun + Duration::from_secs(seconds));
    let stopping = async {
        if let Some(seconds) = stop_at {
            at(seconds).await;
            stop.cancel();
        }
    };
    let mut answered = String::new();
    let asking = async {
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let write = async {
            for (seconds, text) in sent {
                at(*seconds).await;
                writer.write_all(text.as_bytes()).await.unwrap();
            }
        };
        tokio::join!(write, reader.read_to_string(&mut answered)).1.unwrap();
    };
    let all = async { tokio::join!(stopping, asking) };
    tokio::time::timeout(DRAIN / 2, all).await.expect("the connection has to end");
    let ended = begun.elapsed();
    served.await.unwrap();
    (answered.matches("HTTP/1.1 200 OK").count(), ended.as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time_and_nothing_else_counts_towards_it() {
    let half = "GET / HTTP/1.1\r\nho";
    let slow_body = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na";
    for by in BOTH {
        for (sent, expected) in [
            (&[][..], (0, 10)),
            (&[(0, half)], (0, 10)),
            (&[(9, half)], (0, 10)),
            (&[(0, half), (9, "st: x\r\n\r\n")], (1, 19)),
            (&[(0, GET)], (1, 10)),
            (&[(0, "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n")], (2, 10)),
            (&[(0, GET), (9, GET), (18, GET)], (3, 28)),
            (&[(0, GET), (5, half)], (1, 10)),
            (&[(0, slow_body), (25, "b"), (30, GET)], (2, 40)),
            (&[(0, SLOW), (30, GET)], (2, 40)),
            (&[(0, SLOW), (1, half)], (1, 35)),
        ] {
            assert_eq!(served(by, sent, None).await, expected, "{sent:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_does_not_outlast_its_time_where_all_is_to_stop() {
    for by in BOTH {
        for (sent, stop_at, expected) in [
            (&[(0, "GET / HTTP/1.1\r\nho")][..], 3, (0, 10)),
            (&[(0, SLOW)], 3, (1, 25)),
            (&[(0, GET)], 3, (1, 3)),
        ] {
            assert_eq!(served(by, sent, Some(stop_at)).await, expected, "{sent:?}");
        }
    }
}

/// A connection that makes of a missing head what the test says.
async fn beside(heads: &Heads, mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) -> Duration {
    let begun = Instant::now();
    let connection = std::pin::pin!(std::future::poll_fn(|context| poll(context)));
    // Longer than the tests wait that have no end.
    tokio::time::timeout(DRAIN * 2, heads.beside(connection)).await.expect("the connection has to end");
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_there_at_last_is_taken_and_the_next_has_its_own_time() {
    let heads = Heads::within(LIMIT);
    let mut head = Some(heads.sleep(LIMIT));
    let mut polls = 0;
    let ended = beside(&heads, |context| {
        polls += 1;
        if polls == 2 {
            // It lay there already: hyper looks for it before it looks at the time.
            drop(head.take());
            head = Some(heads.sleep(LIMIT));
        }
        head.as_mut().map_or(Poll::Pending, |head| head.as_mut().poll(context))
    });
    assert_eq!(ended.await.as_secs(), 20);
    assert_eq!(polls, 4, "twice each time that the timer is due");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_put_off_has_its_limit_still() {
    let heads = Heads::within(LIMIT);
    let mut head = heads.sleep(LIMIT);
    tokio::time::advance(LIMIT / 2).await;
    heads.reset(&mut head, heads.now() + LIMIT);
    let ended = beside(&heads, |context| head.as_mut().poll(context)).await;
    assert_eq!(ended.as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_makes_nothing_of_a_missing_head_is_told_once() {
    let heads = Heads::within(LIMIT);
    let head = heads.sleep(LIMIT);
    let mut polls = 0;
    let mut ignoring = |_: &mut Context<'_>| {
        polls += 1;
        Poll::Pending
    };
    let waited = tokio::time::timeout(LIMIT * 100, beside(&heads, &mut ignoring)).await;
    assert!(waited.is_err());
    assert_eq!(polls, 100 + 2, "each time that the timer is due, and once more for the head");
    drop(head);
}

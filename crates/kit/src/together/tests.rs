use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusBuilder;
use rustls::ClientConfig;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::Service as _;

use super::server::METADATA_BYTES_MAX;
use super::*;
use crate::peers::{Options, PeerFault, Peers};
use crate::serve::{self, Guard, Guarded, Limits, Peer, Refusal, Server};
use crate::telemetry::Calls;
use crate::tls::{Authority, ClientCertificates, Names, client_config, fixed, server_config};

mod streams;

/// Far above what anything here takes, so that a hang is a failure rather than a wait.
const PATIENCE: Duration = Duration::from_secs(20);
const ECHO: &str = "/test.v1.Test/Echo";
const HANGS: &str = "/test.v1.Test/Hangs";
const PANICS: &str = "/test.v1.Test/Panics";
const REFUSED: &str = "/test.v1.Test/Refused";
const WORDY: &str = "/test.v1.Test/Wordy";
const METHODS: &[&str] = &[ECHO, HANGS, PANICS, REFUSED, WORDY];

/// The body of an answer: its parts.
type Parts = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn parts(parts: Vec<Frame<Bytes>>) -> Parts {
    StreamBody::new(stream::iter(parts.into_iter().map(Ok).collect::<Vec<_>>()))
}

/// What a service of tests has to do with its calls.
#[derive(Clone)]
struct Heard {
    begun: Arc<AtomicUsize>,
    hanging: Arc<AtomicUsize>,
    /// Lets those that hang go on.
    gate: Arc<Semaphore>,
}

impl Heard {
    fn new() -> Self {
        Self { begun: Arc::default(), hanging: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
    }

    async fn until_hanging(&self, count: usize) {
        let there = async {
            while self.hanging.load(Ordering::SeqCst) != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("in time");
    }
}

/// A call that hangs.
struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Puts as many lines of metadata, each as long, where the question says: `head 3 100` or `trailers 3 100`.
fn put_words(question: &[u8], head: &mut HeaderMap, trailers: &mut HeaderMap) {
    let question = std::str::from_utf8(question).unwrap();
    let said: Vec<&str> = question.split(' ').collect();
    let [place, lines, bytes] = said[..] else { panic!("{question}") };
    let word = HeaderValue::from_str(&"x".repeat(bytes.parse().unwrap())).unwrap();
    let place = if place == "head" { head } else { trailers };
    for _ in 0..lines.parse::<usize>().unwrap() {
        place.append("x-word", word.clone());
    }
}

/// Answers with the body, how it came, from whom, over which connection, and what it bore.
async fn answer(heard: Heard, request: Request<Whole>) -> Result<Response<Parts>, Infallible> {
    let way = if matches!(request.body(), Either::Left(_)) { "alone" } else { "together" };
    let peer = request.extensions().get::<Peer>().unwrap().clone();
    let asked = request.headers().get("x-asked-bin").cloned();
    let path = request.uri().path().to_owned();
    heard.begun.fetch_add(1, Ordering::SeqCst);
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert_ne!(path, PANICS, "as a handler might");
    if path == HANGS {
        heard.hanging.fetch_add(1, Ordering::SeqCst);
        let _hanging = Hanging(Arc::clone(&heard.hanging));
        heard.gate.acquire().await.unwrap().forget();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.extend(asked.map(|asked| (http::HeaderName::from_static("x-told-bin"), asked)));
    let mut head = HeaderMap::new();
    head.insert("x-way", HeaderValue::from_static(way));
    head.insert("x-peer", HeaderValue::from_str(&peer.identity.unwrap().to_string()).unwrap());
    head.insert("x-connection", HeaderValue::from_str(&peer.address.to_string()).unwrap());
    if path == WORDY {
        put_words(&body, &mut head, &mut trailers);
    }
    let mut response = Response::new(parts(vec![Frame::data(body), Frame::trailers(trailers)]));
    *response.headers_mut() = head;
    Ok(response)
}

/// Refuses one method to everybody, and knows none by which one stream more than a connection may have could be opened.
#[derive(Clone)]
struct Refuses;

impl<B> Guard<B, Parts> for Refuses {
    fn refusal(&self, request: &mut Request<B>) -> Option<Refusal<Parts>> {
        let status = match request.uri().path() {
            REFUSED => "7",
            PATH => "12",
            _ => return None,
        };
        Some(Box::pin(async move {
            let mut response = Response::new(parts(Vec::new()));
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            response.headers_mut().insert("grpc-status", HeaderValue::from_static(status));
            response
        }))
    }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

struct House {
    authority: Authority,
    _dir: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority =
            Authority::create(&dir.path().join("hub"), "hub-1", OffsetDateTime::now_utc()).unwrap();
        Self { authority, _dir: dir }
    }

    async fn bind(&self, limits: Limits) -> Server {
        let now = OffsetDateTime::now_utc();
        let certificate =
            self.authority.issue_service("authn", &Names::loopback(), time::Duration::DAY, now).unwrap();
        let roots = self.authority.roots().unwrap();
        let tls = server_config(&certificate, ClientCertificates::Required(&roots)).unwrap();
        Server::bind(serve::Options { limits, ..serve::Options::loopback(0).with_tls(tls) }).await.unwrap()
    }

    /// A server that takes calls of these methods together.
    async fn serve(&self, limits: Limits, heard: &Heard, methods: &'static [&'static str]) -> Running {
        let (server, stop, heard) = (self.bind(limits).await, CancellationToken::new(), heard.clone());
        let service = tower::service_fn(move |request: Request<Whole>| answer(heard.clone(), request));
        let service = Together::new(Guarded::new(service, Refuses), methods);
        let address = server.address();
        Running { address, task: tokio::spawn(server.run(service, stop.clone())), stop }
    }

    /// One of a version that takes each call by itself alone.
    async fn serve_older(&self, heard: &Heard) -> Running {
        let (server, stop, heard) =
            (self.bind(Limits::default()).await, CancellationToken::new(), heard.clone());
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let heard = heard.clone();
            async move {
                if request.uri().path() == PATH {
                    let mut response = Response::new(parts(Vec::new()));
                    response
                        .headers_mut()
                        .insert("content-type", HeaderValue::from_static("application/grpc"));
                    response.headers_mut().insert("grpc-status", HeaderValue::from_static("12"));
                    return Ok(response);
                }
                answer(heard, request.map(Either::Left)).await
            }
        });
        let address = server.address();
        Running { address, task: tokio::spawn(server.run(service, stop.clone())), stop }
    }

    /// How another service of the hub connects.
    fn client_tls(&self) -> ClientConfig {
        let now = OffsetDateTime::now_utc();
        let certificate =
            self.authority.issue_service("gateway", &Names::loopback(), time::Duration::DAY, now).unwrap();
        let mut tls = client_config(&self.authority.roots().unwrap(), Some(&certificate)).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        tls
    }

    fn peers(&self, running: &Running) -> Peers<Full<Bytes>> {
        let urls = vec![format!("https://{}", running.address).parse().unwrap()];
        let options = Options::new("hub-1", "authn", urls, fixed(self.client_tls()), &Calls::sent([]));
        let pause_max = Duration::from_millis(50);
        Peers::connect(&Options { together: METHODS, wait_max: PATIENCE, pause_max, ..options }).unwrap()
    }
}

/// An answer, as its caller has it.
struct Got {
    /// `alone` or `together`.
    way: String,
    peer: String,
    /// The client's end of it.
    connection: String,
    status: String,
    told: Option<HeaderValue>,
    body: Bytes,
}

async fn ask(peers: &Peers<Full<Bytes>>, path: &str, body: impl Into<Bytes>) -> Result<Got, PeerFault> {
    let mut request = Request::post(path).header("content-type", "application/grpc");
    request = request.header("x-asked-bin", HeaderValue::from_bytes(b"AAEC\xff").unwrap());
    let response = peers.clone().call(request.body(Full::new(body.into())).unwrap()).await?;
    let (head, body) = response.into_parts();
    let [way, peer, connection, in_head] = ["x-way", "x-peer", "x-connection", "grpc-status"].map(|name| {
        head.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    });
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let in_trailers = trailers.get("grpc-status").map(|value| value.to_str().unwrap().to_owned());
    Ok(Got {
        way,
        peer,
        connection,
        status: in_trailers.unwrap_or(in_head),
        told: trailers.get("x-told-bin").cloned(),
        body: collected.to_bytes(),
    })
}

async fn until_together(peers: &Peers<Full<Bytes>>) {
    let there = async {
        while ask(peers, ECHO, "").await.unwrap().way != "together" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.expect("in time");
}

/// The value of a counter without labels.
fn counted(shown: &str, name: &str) -> u64 {
    let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{shown}")).parse().unwrap()
}

#[tokio::test]
async fn calls_that_wait_at_the_same_time_travel_together_and_each_comes_once_as_it_was_sent() {
    const AT_ONCE: usize = 200;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let before = heard.begun.load(Ordering::SeqCst);
    let calls = (0..AT_ONCE).map(|number| ask(&peers, ECHO, number.to_string()));
    for (number, got) in join_all(calls).await.into_iter().enumerate() {
        let got = got.unwrap();
        assert_eq!((got.way.as_str(), got.status.as_str()), ("together", "0"));
        assert_eq!(got.body, number.to_string());
        assert_eq!(got.peer, "lanyard://hub/hub-1/service/gateway");
        assert_eq!(got.told.unwrap().as_bytes(), b"AAEC\xff");
    }
    assert_eq!(heard.begun.load(Ordering::SeqCst), before + AT_ONCE);
    let shown = recorder.handle().render();
    let (carried, written) = (
        counted(&shown, "lanyard_grpc_together_calls_total"),
        counted(&shown, "lanyard_grpc_together_writes_total"),
    );
    assert!(carried > 200 && written < 20, "{carried} calls in {written} pieces");
}

#[tokio::test]
async fn one_call_that_is_refused_or_panics_costs_the_others_nothing() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let before = heard.begun.load(Ordering::SeqCst);
    let paths = [ECHO, REFUSED, ECHO, PANICS, ECHO];
    let statuses: Vec<String> = join_all(paths.map(|path| ask(&peers, path, "question")))
        .await
        .into_iter()
        .map(|got| got.unwrap().status)
        .collect();
    assert_eq!(statuses, ["0", "7", "0", "13", "0"]);
    assert_eq!(heard.begun.load(Ordering::SeqCst), before + 4, "what is refused has met no handler");
    assert_eq!(ask(&peers, ECHO, "").await.unwrap().way, "together", "the stream is still there");
}

#[tokio::test]
async fn an_answer_with_more_metadata_than_one_may_have_costs_the_others_nothing() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    // There are two trailers without these.
    let cases = [
        (format!("trailers {} 1", FIELDS_MAX - 2), "0"),
        (format!("trailers {} 1", FIELDS_MAX - 1), "8"),
        (format!("trailers 1 {METADATA_BYTES_MAX}"), "8"),
        (format!("head {FIELDS_MAX} 1"), "8"),
        (format!("head 1 {METADATA_BYTES_MAX}"), "8"),
    ];
    for (question, status) in cases {
        let asked = [(ECHO, ""), (WORDY, question.as_str()), (ECHO, "")];
        let statuses: Vec<String> =
            join_all(asked.map(|(path, question)| ask(&peers, path, question.to_owned())))
                .await
                .into_iter()
                .map(|got| got.unwrap().status)
                .collect();
        assert_eq!(statuses, ["0", status, "0"], "{question}");
        assert_eq!(
            ask(&peers, ECHO, "").await.unwrap().way,
            "together",
            "{question}: the stream is still there"
        );
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_let_go_at_the_other_end() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let asked = tokio::spawn({
        let peers = peers.clone();
        async move { ask(&peers, HANGS, "").await.map(|_| ()) }
    });
    heard.until_hanging(1).await;
    // One that hangs holds up no other.
    assert_eq!(ask(&peers, ECHO, "").await.unwrap().way, "together");
    asked.abort();
    heard.until_hanging(0).await;
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_has_and_ends_without_waiting_for_the_stream() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let asked = tokio::spawn({
        let peers = peers.clone();
        async move { ask(&peers, HANGS, "question").await.unwrap() }
    });
    heard.until_hanging(1).await;
    running.stop.cancel();
    tokio::task::yield_now().await;
    heard.gate.add_permits(1);
    let got = tokio::time::timeout(PATIENCE, asked).await.expect("in time").unwrap();
    assert_eq!((got.way.as_str(), &got.body[..]), ("together", &b"question"[..]));
    // Before those that do not end are cut off.
    let ended = tokio::time::timeout(Limits::default().drain_timeout / 2, running.task).await;
    ended.expect("in time").unwrap();
}

#[tokio::test]
async fn a_call_that_is_given_up_while_its_server_stops_holds_up_the_end_no_longer() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let asked = tokio::spawn({
        let peers = peers.clone();
        async move { ask(&peers, HANGS, "").await.map(|_| ()) }
    });
    heard.until_hanging(1).await;
    running.stop.cancel();
    // Until the client has heard of it: calls go by themselves then, and those alone meet the end of an idle connection.
    let calling = tokio::spawn({
        let peers = peers.clone();
        async move { while ask(&peers, ECHO, "").await.is_ok() {} }
    });
    let mut connected = peers.connected();
    tokio::time::timeout(PATIENCE / 4, connected.wait_for(|count| *count == 0))
        .await
        .expect("in time")
        .unwrap();
    calling.abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    asked.abort();
    // Before those that do not end are cut off, which lets it go as well.
    let ended = tokio::time::timeout(Limits::default().drain_timeout / 2, running.task).await;
    ended.expect("in time").unwrap();
    heard.until_hanging(0).await;
}

#[tokio::test]
async fn nobody_is_refused_while_connections_end_of_age_and_the_next_carries_calls_too() {
    let (house, heard) = (House::new(), Heard::new());
    let limits = Limits { connection_age_max: Duration::from_millis(100), ..Limits::default() };
    let running = house.serve(limits, &heard, METHODS).await;
    let peers = house.peers(&running);
    let begun = Instant::now();
    while begun.elapsed() < limits.connection_age_max * 5 {
        for got in join_all((0..8).map(|_| ask(&peers, ECHO, "question"))).await {
            assert_eq!(got.unwrap().body, "question");
        }
    }
    until_together(&peers).await;
}

#[tokio::test]
async fn a_call_that_was_written_when_the_stream_broke_may_have_been_served() {
    let (house, heard) = (House::new(), Heard::new());
    let limits = Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() };
    let running = house.serve(limits, &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let asked = tokio::spawn({
        let peers = peers.clone();
        async move { ask(&peers, HANGS, "").await.map(|_| ()) }
    });
    heard.until_hanging(1).await;
    running.stop.cancel();
    let fault = tokio::time::timeout(PATIENCE, asked).await.expect("in time").unwrap().unwrap_err();
    assert!(matches!(fault, PeerFault::Broken { .. }), "{fault}");
}

#[tokio::test]
async fn what_is_large_or_not_taken_there_goes_by_itself() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, &[ECHO]).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    for (bytes, way) in [(BODY_BYTES_MAX, "together"), (BODY_BYTES_MAX + 1, "alone")] {
        let got = ask(&peers, ECHO, vec![b'x'; bytes]).await.unwrap();
        assert_eq!((got.way.as_str(), got.body.len()), (way, bytes));
    }
    // A method that the client takes for one of these, and the server does not.
    let before = heard.begun.load(Ordering::SeqCst);
    heard.gate.add_permits(1);
    let got = ask(&peers, HANGS, "question").await.unwrap();
    assert_eq!((got.way.as_str(), &got.body[..]), ("alone", &b"question"[..]));
    assert_eq!(heard.begun.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn more_calls_than_a_stream_may_have_go_by_themselves() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let calls = (0..CALLS_MAX + 3).map(|_| ask(&peers, HANGS, ""));
    let letting_go = async {
        heard.until_hanging(CALLS_MAX + 3).await;
        heard.gate.add_permits(CALLS_MAX + 3);
    };
    let (answers, ()) = futures::join!(join_all(calls), letting_go);
    let alone = answers.into_iter().filter(|got| got.as_ref().is_ok_and(|got| got.way == "alone")).count();
    assert_eq!(alone, 3);
}

#[tokio::test]
async fn a_server_of_an_older_version_is_called_as_before() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve_older(&heard).await;
    let peers = house.peers(&running);
    for _ in 0..20 {
        let got = ask(&peers, ECHO, "question").await.unwrap();
        assert_eq!((got.way.as_str(), got.status.as_str()), ("alone", "0"));
    }
    drop(peers);
    running.stop.cancel();
    tokio::time::timeout(PATIENCE, running.task).await.expect("in time").unwrap();
}

#[tokio::test]
async fn the_last_clone_ends_the_stream_with_its_connection() {
    let (house, heard) = (House::new(), Heard::new());
    let running = house.serve(Limits::default(), &heard, METHODS).await;
    let peers = house.peers(&running);
    until_together(&peers).await;
    let mut connected = peers.connected();
    drop(peers);
    tokio::time::timeout(PATIENCE, async { while connected.changed().await.is_ok() {} }).await.unwrap();
    running.stop.cancel();
    let ended = tokio::time::timeout(Limits::default().drain_timeout / 2, running.task).await;
    ended.expect("in time").unwrap();
}

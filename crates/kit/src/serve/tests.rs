use super::*;
use crate::tls::{
    Authority, ClientCertificates, KeyedCertificate, Names, PeerIdentity, client_config, server_config,
};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far above what anything here takes, so that a hang is a failure rather than a wait.
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    authority: Authority,
    _dir: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority =
            Authority::create(&dir.path().join("pki"), "hub-1", OffsetDateTime::now_utc()).unwrap();
        Self { authority, _dir: dir }
    }

    fn options(&self) -> Options {
        let certificate =
            self.authority.issue_server(&Names::loopback(), time::Duration::DAY, now()).unwrap();
        let roots = self.authority.roots().unwrap();
        Options::loopback(0)
            .with_tls(server_config(&certificate, ClientCertificates::Optional(&roots)).unwrap())
    }

    async fn connect(
        &self,
        address: SocketAddr,
        alpn: &[u8],
        certificate: Option<&KeyedCertificate>,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut config = client_config(&self.authority.roots().unwrap(), certificate).unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await?;
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Serves `answer` until told to stop.
async fn start<F, R>(options: Options, answer: F) -> Running
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let server = Server::bind(options).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let service = tower::service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let task = tokio::spawn(server.run(service, stop.clone()));
    Running { address, stop, task }
}

/// Tells who asked, over which version.
async fn who(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let peer = request.extensions().get::<Peer>().unwrap();
    let name = peer.identity.as_ref().map_or("nobody".to_owned(), ToString::to_string);
    Response::new(Full::from(format!("{name} {} {:?}", peer.address.ip(), request.version())))
}

type H1 = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn http1<IO>(io: IO) -> H1
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get() -> Request<Full<Bytes>> {
    Request::get("/").header("host", "localhost").body(Full::default()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http1_and_http2_are_served_plain_and_over_tls_with_the_peer_known() {
    let house = House::new();
    let running = start(house.options(), who).await;
    let plain = start(Options::loopback(0), who).await;
    let spoke = house.authority.issue_spoke("9f0c", time::Duration::DAY, now()).unwrap();
    let spoke_name = PeerIdentity::spoke("hub-1", "9f0c").unwrap().to_string();
    for (certificate, name) in [(Some(&spoke), spoke_name.as_str()), (None, "nobody")] {
        let io = house.connect(running.address, b"http/1.1", certificate).await.unwrap();
        let answer = text(http1(io).await.send_request(get()).await.unwrap()).await;
        assert_eq!(answer, format!("{name} 127.0.0.1 HTTP/1.1"));

        let io = TokioIo::new(house.connect(running.address, b"h2", certificate).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("https://localhost/").body(Full::<Bytes>::default()).unwrap();
        assert_eq!(
            text(sender.send_request(request).await.unwrap()).await,
            format!("{name} 127.0.0.1 HTTP/2.0")
        );
    }
    let io = TcpStream::connect(plain.address).await.unwrap();
    assert_eq!(text(http1(io).await.send_request(get()).await.unwrap()).await, "nobody 127.0.0.1 HTTP/1.1");
    let io = TokioIo::new(TcpStream::connect(plain.address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://localhost/").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(text(sender.send_request(request).await.unwrap()).await, "nobody 127.0.0.1 HTTP/2.0");
}

#[tokio::test]
async fn a_plain_server_serves_http1_alone_and_stops() {
    let server = PlainServer::bind(Options::loopback(0).address, None, Limits::default()).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let served = tokio::spawn(server.run(Answerer::new(who), stop.clone()));
    let mut by_http1 = http1(TcpStream::connect(address).await.unwrap()).await;
    let answer = text(by_http1.send_request(get()).await.unwrap()).await;
    assert_eq!(answer, "nobody 127.0.0.1 HTTP/1.1");
    // The preface of HTTP/2 is a request of a version that it has not.
    let mut by_http2 = TcpStream::connect(address).await.unwrap();
    by_http2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut refused = String::new();
    let ended = tokio::time::timeout(PATIENCE, by_http2.read_to_string(&mut refused)).await;
    ended.expect("it is let go").unwrap();
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 "), "{refused}");
    stop.cancel();
    tokio::time::timeout(PATIENCE, served).await.expect("it must stop").unwrap();
}

#[tokio::test]
async fn a_plain_server_answers_who_has_nothing_more_to_say() {
    let server = PlainServer::bind(Options::loopback(0).address, None, Limits::default()).await.unwrap();
    let address = server.address();
    // Not at once, so that the end of what the client says is there first.
    let slowly = Answerer::new(async |request| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        who(request).await
    });
    tokio::spawn(server.run(slowly, CancellationToken::new()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answered = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answered))
        .await
        .expect("it is let go")
        .unwrap();
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered:?}");
}

#[tokio::test]
async fn an_axum_router_is_served_as_it_is() {
    let router = axum::Router::new().route("/livez", axum::routing::get(|| async { "live" }));
    let server = Server::bind(Options::loopback(0)).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(router, CancellationToken::new()));
    let mut sender = http1(TcpStream::connect(address).await.unwrap()).await;
    let request = Request::get("/livez").header("host", "x").body(Full::default()).unwrap();
    assert_eq!(text(sender.send_request(request).await.unwrap()).await, "live");
}

#[tokio::test]
async fn a_certificate_that_verifies_but_names_nobody_ends_the_connection() {
    let house = House::new();
    let asked = Arc::new(Notify::new());
    let running = start(house.options(), {
        let asked = Arc::clone(&asked);
        move |request| {
            asked.notify_one();
            who(request)
        }
    })
    .await;
    // A service's certificate signed by the right key, but with no URI: made by hand, as no function of ours does.
    let dir = house._dir.path().join("pki");
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(dir.join("spokes.key")).unwrap()).unwrap();
    let chain = std::fs::read_to_string(dir.join("spokes.crt")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&chain, key).unwrap();
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["somebody".to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    let nobody =
        KeyedCertificate { chain_pem: leaf.pem() + &chain, key_pem: leaf_key.serialize_pem().into() };
    let mut io = house.connect(running.address, b"http/1.1", Some(&nobody)).await.unwrap();
    let _ = io.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(PATIENCE, io.read_to_end(&mut answer)).await.expect("the connection must end");
    assert_eq!(answer, b"");
    assert!(futures::FutureExt::now_or_never(asked.notified()).is_none(), "a request was served");
}

#[tokio::test]
async fn an_ended_certificate_is_refused_and_who_gets_no_further_is_counted_by_why() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let house = House::new();
    let running = start(house.options(), who).await;
    let ended = house.authority.issue_spoke("9f0c", time::Duration::HOUR, now() - time::Duration::DAY);
    let mut answer = Vec::new();
    // Over TLS 1.3 a client may hear of it only where it waits for the answer to its first request.
    if let Ok(mut io) = house.connect(running.address, b"http/1.1", Some(&ended.unwrap())).await {
        let _ = io.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let read = tokio::time::timeout(PATIENCE, io.read_to_end(&mut answer)).await;
        let _ = read.expect("the connection must end");
    }
    assert_eq!(answer, b"");
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let _ = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it must end");
    let shown = recorder.handle().render();
    for (reason, count) in [("certificate", 1), ("handshake", 1), ("timeout", 0), ("identity", 0)] {
        let line = format!("lanyard_connections_failed_total{{reason=\"{reason}\"}} {count}\n");
        assert!(shown.contains(&line), "{line} is not in\n{shown}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_request_alone() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let running = start(Options::loopback(0), |request: Request<Incoming>| async move {
        tokio::task::yield_now().await;
        assert!(!request.headers().contains_key("panic"), "as a handler might");
        who(request).await
    })
    .await;
    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let mut request = get();
    request.headers_mut().insert("panic", "now".parse().unwrap());
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text(answer).await, "internal fault: the log of the hub has it");
    let answer = text(sender.send_request(get()).await.unwrap()).await;
    assert_eq!(answer, "nobody 127.0.0.1 HTTP/1.1", "by the same connection");

    let io = TokioIo::new(TcpStream::connect(running.address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://localhost/lanyard.v1.A/B").header("panic", "now");
    let request = request.header("content-type", "application/grpc+proto").body(Full::<Bytes>::default());
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["grpc-status"], "13");
    assert_eq!(text(answer).await, "");
    let shown = recorder.handle().render();
    assert!(shown.contains("lanyard_panics_total 2\n"), "{shown}");
}

#[tokio::test]
async fn stopping_lets_open_requests_finish_and_takes_no_new_ones() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let running = start(Options::loopback(0), {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        move |_| {
            let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
            async move {
                entered.notify_one();
                release.notified().await;
                Response::new(Full::from("finished"))
            }
        }
    })
    .await;
    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let open = tokio::spawn(async move { text(sender.send_request(get()).await.unwrap()).await });
    entered.notified().await;
    running.stop.cancel();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest))
        .await
        .expect("an idle connection is closed")
        .unwrap();
    assert!(!running.task.is_finished());
    release.notify_one();
    assert_eq!(open.await.unwrap(), "finished");
    tokio::time::timeout(PATIENCE, running.task).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut_off() {
    let entered = Arc::new(Notify::new());
    let mut options = Options::loopback(0);
    options.limits.drain_timeout = Duration::from_millis(50);
    let running = start(options, {
        let entered = Arc::clone(&entered);
        move |_| {
            entered.notify_one();
            std::future::pending()
        }
    })
    .await;
    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let open = tokio::spawn(async move { sender.send_request(get()).await });
    entered.notified().await;
    running.stop.cancel();
    tokio::time::timeout(PATIENCE, running.task).await.expect("the server ends").unwrap();
    assert!(open.await.unwrap().is_err());
}

#[tokio::test]
async fn immunity_28_what_a_stranger_can_make_grow_is_bounded() {
    let house = House::new();
    let mut options = house.options();
    options.limits.handshake_timeout = Duration::from_millis(100);
    let running = start(options, who).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a peer that never shakes hands is let go");

    let mut options = Options::loopback(0);
    options.limits.head_timeout = Duration::from_millis(100);
    options.limits.drain_timeout = PATIENCE * 2;
    options.limits.head_bytes_max = 8192;
    let running = start(options, who).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nslow: ").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a peer that never ends its head is let go");
    for (begins, who) in [("", "says nothing"), ("PRI * HTT", "never says what it speaks")] {
        let mut silent = TcpStream::connect(running.address).await.unwrap();
        silent.write_all(begins.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "a peer that {who} is let go");
    }
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answered = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, idle.read_to_end(&mut answered)).await;
    assert!(ended.is_ok() && answered.starts_with(b"HTTP/1.1 200"), "a peer that asks no more is let go");

    for (length, expected) in
        [(1_000, StatusCode::OK), (100_000, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)]
    {
        let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
        let mut request = get();
        request.headers_mut().insert("filler", "x".repeat(length).parse().unwrap());
        let answered = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.unwrap();
        match answered {
            Ok(response) => assert_eq!(response.status(), expected, "{length} bytes"),
            // The answer may be lost when the server closes with unread input.
            Err(error) => assert_ne!(expected, StatusCode::OK, "{length} bytes: {error}"),
        }
    }
}

#[tokio::test]
async fn what_a_stranger_can_make_grow_is_bounded_at_a_plain_server_too() {
    let limits = Limits {
        head_timeout: Duration::from_millis(100),
        drain_timeout: PATIENCE * 2,
        head_bytes_max: 8192,
        ..Limits::default()
    };
    let server = PlainServer::bind(Options::loopback(0).address, None, limits).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let served = tokio::spawn(server.run(Answerer::new(who), stop.clone()));
    for (sent, expected) in [
        ("", ""),
        ("PRI * HTT", ""),
        ("GET / HTTP/1.1\r\nhost: x\r\nslow: ", ""),
        ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 "),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answered = String::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answered)).await;
        assert!(ended.is_ok() && answered.starts_with(expected), "{sent:?} is let go: {answered:?}");
    }
    // More header lines than may be are refused by hyper itself.
    let mut many = TcpStream::connect(address).await.unwrap();
    many.write_all(format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101)).as_bytes()).await.unwrap();
    let mut answered = String::new();
    tokio::time::timeout(PATIENCE, many.read_to_string(&mut answered)).await.expect("it is let go").unwrap();
    assert!(answered.starts_with("HTTP/1.1 431 "), "{answered:?}");
    stop.cancel();
    tokio::time::timeout(PATIENCE, served).await.expect("it must stop").unwrap();
}

#[tokio::test]
async fn what_no_service_has_seen_is_answered_with_a_number_where_that_is_asked_for() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    let good = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let behind = format!("{good}\u{1} / HTTP/1.1\r\n\r\n");
    let behind_older = "GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n\u{1} / HTTP/1.1\r\n\r\n";
    let cases = [
        ("\u{1} / HTTP/1.1\r\n\r\n", " 400 ", 1),
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", " 400 ", 1),
        (&many, " 431 ", 1),
        (&long, " 414 ", 1),
        (&behind, " 400 ", 1),
        (behind_older, "HTTP/1.0 400 ", 1),
        ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", " 200 ", 0),
    ];
    for numbered_by in [None, Some(HeaderName::from_static("x-number"))] {
        let mut options = Options::loopback(0);
        options.limits.head_bytes_max = 128 * 1024;
        options.numbered_by = numbered_by.clone();
        let running = start(options, who).await;
        for (asked, status, numbers) in cases {
            let mut io = TcpStream::connect(running.address).await.unwrap();
            io.write_all(asked.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tokio::time::timeout(PATIENCE, io.read_to_string(&mut answer)).await.expect("closed").unwrap();
            assert!(answer.contains(status), "{answer}");
            assert!(answer.ends_with("\r\n\r\n") || numbers == 0, "{answer}");
            let expected = if numbered_by.is_some() { numbers } else { 0 };
            assert_eq!(answer.matches("\r\nx-number: ").count(), expected, "{answer}");
        }
    }
}

#[tokio::test]
async fn immunity_28_who_does_not_read_the_answer_is_hung_up_on() {
    // More than the buffers of both ends hold.
    let whole = 64 << 20;
    let body = Bytes::from(vec![b'x'; whole]);
    let mut options = Options::loopback(0);
    options.limits.write_timeout = Duration::from_secs(1);
    let running = start(options, move |_| {
        let body = body.clone();
        async move { Response::new(Full::new(body)) }
    })
    .await;
    for (pause, is_whole) in [(Duration::ZERO, true), (Duration::from_secs(4), false)] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        tokio::time::sleep(pause).await;
        let mut read = Vec::new();
        // Where it was cut off, the rest may be an end or a reset.
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut read)).await;
        assert!(ended.is_ok(), "after {pause:?}: neither served nor let go");
        assert_eq!(read.len() > whole, is_whole, "after {pause:?}: {} bytes", read.len());
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_is_free() {
    let mut options = Options::loopback(0);
    options.limits.connections_max = 1;
    let slots = Arc::new(Semaphore::new(0));
    let running = start(options, {
        let slots = Arc::clone(&slots);
        move |request| {
            let slots = Arc::clone(&slots);
            async move {
                slots.add_permits(1);
                who(request).await
            }
        }
    })
    .await;
    let mut first = http1(TcpStream::connect(running.address).await.unwrap()).await;
    text(first.send_request(get()).await.unwrap()).await;
    let mut second = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let waiting = tokio::spawn(async move { text(second.send_request(get()).await.unwrap()).await });
    text(first.send_request(get()).await.unwrap()).await;
    assert_eq!(slots.available_permits(), 2, "only the first connection is served");
    assert!(!waiting.is_finished());
    drop(first);
    let answer = tokio::time::timeout(PATIENCE, waiting).await.expect("the second is served now").unwrap();
    assert_eq!(answer, "nobody 127.0.0.1 HTTP/1.1");
}

#[tokio::test]
async fn immunity_28_one_address_holds_no_more_than_its_share_of_connections() {
    let mut options = Options::loopback(0);
    options.limits.connections_per_address_max = 2;
    let running = start(options, who).await;
    let from = async |last: u8| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.connect(running.address).await.unwrap()
    };
    let mut first = http1(from(2).await).await;
    text(first.send_request(get()).await.unwrap()).await;
    let second = from(2).await;
    let mut third = from(2).await;
    let mut rest = Vec::new();
    let ended =
        tokio::time::timeout(PATIENCE, third.read_to_end(&mut rest)).await.expect("it is closed at once");
    assert!(ended.is_err() || rest.is_empty(), "nothing is said to it");
    let mut other = http1(from(3).await).await;
    assert_eq!(text(other.send_request(get()).await.unwrap()).await, "nobody 127.0.0.3 HTTP/1.1");
    text(first.send_request(get()).await.unwrap()).await;
    drop(second);
    let again = async {
        loop {
            let mut sender = http1(from(2).await).await;
            if let Ok(response) = sender.send_request(get()).await {
                return text(response).await;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, again).await.expect("one that is given back is there again");
    assert_eq!(answer, "nobody 127.0.0.2 HTTP/1.1");
}

#[tokio::test]
async fn a_connection_past_its_age_is_closed_after_its_last_answer() {
    let mut options = Options::loopback(0);
    options.limits.connection_age_max = Duration::from_millis(50);
    let running = start(options, who).await;
    let mut io = TcpStream::connect(running.address).await.unwrap();
    io.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, io.read_to_string(&mut answer)).await.expect("closed at its age").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_a_connection_past_its_age() {
    let mut options = Options::loopback(0);
    options.limits.connection_age_max = Duration::from_millis(50);
    options.limits.drain_timeout = Duration::from_millis(50);
    let running = start(options, |_| std::future::pending()).await;
    let mut sender = http1(TcpStream::connect(running.address).await.unwrap()).await;
    let open = tokio::time::timeout(PATIENCE, sender.send_request(get())).await.expect("cut off");
    assert!(open.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = Server::bind(Options::loopback(0)).await.unwrap();
    let refused = Server::bind(Options::loopback(first.address().port())).await.unwrap_err();
    assert!(refused.to_string().contains(&first.address().to_string()), "{refused}");
}

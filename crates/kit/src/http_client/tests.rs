use super::*;
use crate::serve;
use crate::tls::{
    Authority, CertificateDer, ClientCertificates, KeyedCertificate, Names, PinnedRoots, server_config,
};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request as HttpRequest, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

const HOST: &str = "sts.eu-west-1.amazonaws.com";

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn stream(chunks: Vec<Result<&'static str, std::io::Error>>) -> Body {
    let frames = futures::stream::iter(chunks).map(|chunk| chunk.map(|text| Frame::data(Bytes::from(text))));
    StreamBody::new(frames).boxed_unsync()
}

/// Of the long answer: how many pieces it has, of how many bytes each, and how many of them were given to the connection.
const LONG_PIECES: usize = 64;
const PIECE_BYTES: usize = 16 * 1024;
static LONG_SENT: AtomicUsize = AtomicUsize::new(0);

/// A stand-in of many faces, chosen by the path.
async fn answer(request: HttpRequest<Incoming>) -> Result<Response<Body>, Infallible> {
    let response = Response::builder();
    let response = match request.uri().path() {
        "/hang" => std::future::pending().await,
        "/slow-body" => {
            let first = futures::stream::iter([Ok(Frame::data(Bytes::from("a")))]);
            response.body(StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync())
        }
        "/redirect" => response.status(302).header("location", "https://elsewhere.example/").body(full("")),
        "/exactly" => response.body(full(vec![b'x'; 64])),
        "/huge" => response.body(full(vec![b'x'; 65])),
        "/huge-stream" => response.body(stream((0..7).map(|_| Ok("0123456789")).collect())),
        "/long" => {
            let pieces = futures::stream::iter(0..LONG_PIECES).map(|_| {
                LONG_SENT.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; PIECE_BYTES])))
            });
            response.body(StreamBody::new(pieces).boxed_unsync())
        }
        "/broken" => response.body(stream(vec![Ok("abc"), Err(std::io::Error::other("gone"))])),
        "/denied" => response.status(403).body(full("no")),
        "/echo" => {
            let method = request.method().clone();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            response.header("x-method", method.as_str()).body(full(body))
        }
        _ => response.body(full("ok")),
    };
    Ok(response.unwrap())
}

/// Where the stand-in is served by whoever shows this.
async fn serve_with(certificate: &KeyedCertificate) -> SocketAddr {
    serve_until(certificate, CancellationToken::new()).await.0
}

/// The same until it is told to stop.
async fn serve_until(
    certificate: &KeyedCertificate,
    stop: CancellationToken,
) -> (SocketAddr, JoinHandle<()>) {
    let tls = server_config(certificate, ClientCertificates::NotAsked).unwrap();
    let server = serve::Server::bind(serve::Options::loopback(0).with_tls(tls)).await.unwrap();
    let address = server.address();
    (address, tokio::spawn(server.run(tower::service_fn(answer), stop)))
}

struct StandIn {
    address: SocketAddr,
    authority: Authority,
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    _dir: tempfile::TempDir,
}

impl StandIn {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let authority = Authority::create(&dir.path().join("pki"), "test", now).unwrap();
        let names = Names { dns: vec![HOST.to_owned()], ip: vec![[127, 0, 0, 1].into()] };
        let certificate = authority.issue_server(&names, time::Duration::DAY, now).unwrap();
        let address = serve_with(&certificate).await;
        let chain = certificate.chain().unwrap();
        Self { address, authority, chain, chain_pem: certificate.chain_pem, _dir: dir }
    }

    fn options(&self) -> Options {
        Options {
            body_bytes_max: 64,
            resolve: [(HOST.to_owned(), self.address)].into(),
            roots: self.authority.roots().unwrap(),
            ..Options::default()
        }
    }

    fn client(&self) -> HttpClient {
        HttpClient::new(self.options()).unwrap()
    }
}

fn get(url: &str) -> Request {
    Request::get(url.parse().unwrap())
}

fn at(path: &str) -> Request {
    get(&format!("https://{HOST}{path}"))
}

#[tokio::test]
async fn an_answer_of_any_status_but_a_redirect_is_an_answer() {
    let stand_in = StandIn::start().await;
    let client = stand_in.client();
    for (path, status, body) in [("/", 200, "ok"), ("/denied", 403, "no")] {
        let answer = client.send(at(path)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (status, body.as_bytes()), "{path}");
    }
    let request = Request { method: Method::POST, body: Bytes::from("hello"), ..at("/echo") };
    let answer = client.send(request).await.unwrap();
    assert_eq!((answer.headers["x-method"].to_str().unwrap(), answer.body.as_ref()), ("POST", &b"hello"[..]));
}

#[tokio::test]
async fn immunity_02_a_redirect_is_a_fault_and_nobody_follows_it() {
    let stand_in = StandIn::start().await;
    let fault = stand_in.client().send(at("/redirect")).await.unwrap_err();
    assert_eq!(fault, HttpFault::Redirect { host: HOST.to_owned(), status: 302 });
}

#[tokio::test]
async fn immunity_28_an_answer_beyond_the_limit_is_a_fault_declared_or_not() {
    let stand_in = StandIn::start().await;
    let client = stand_in.client();
    assert_eq!(client.send(at("/exactly")).await.unwrap().body.len(), 64);
    for path in ["/huge", "/huge-stream"] {
        let fault = client.send(at(path)).await.unwrap_err();
        assert_eq!(fault, HttpFault::TooLarge { host: HOST.to_owned(), bytes_max: 64 }, "{path}");
    }
}

#[tokio::test]
async fn no_more_of_an_answer_comes_than_may_be_unread() {
    let stand_in = StandIn::start().await;
    let options = Options { unread_bytes_max: 4 * PIECE_BYTES as u32, ..stand_in.options() };
    let client = HttpClient::new(options).unwrap();
    let mut streamed = client.stream(at("/long"), Duration::from_secs(20)).await.unwrap();
    // Nobody reads; all of it would be here by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sent = LONG_SENT.load(Ordering::SeqCst);
    assert!(sent <= LONG_PIECES / 4, "{sent} pieces");
    let mut length = 0;
    while let Some(chunk) = streamed.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, LONG_PIECES * PIECE_BYTES);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_comes_is_a_fault_of_its_own() {
    let stand_in = StandIn::start().await;
    let client = stand_in.client();
    let fault = client.send(at("/broken")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Broken { .. }), "{fault:?}");
    let limit = Duration::from_millis(200);
    let client = HttpClient::new(Options { timeout: limit, ..stand_in.options() }).unwrap();
    for path in ["/hang", "/slow-body"] {
        let fault = client.send(at(path)).await.unwrap_err();
        assert_eq!(fault, HttpFault::Timeout { host: HOST.to_owned(), limit }, "{path}");
    }
}

#[tokio::test]
async fn a_server_under_another_name_or_another_authority_is_a_tls_fault() {
    let (stand_in, stranger) = (StandIn::start().await, StandIn::start().await);
    let mut options = stand_in.options();
    options.resolve.insert("other.example".to_owned(), stand_in.address);
    let fault = HttpClient::new(options).unwrap().send(get("https://other.example/")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Tls { .. }), "{fault:?}");
    let options = Options { roots: stranger.authority.roots().unwrap(), ..stand_in.options() };
    let fault = HttpClient::new(options).unwrap().send(at("/")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Tls { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_host_with_roots_of_its_own_is_verified_by_these_alone_and_no_other_host_is() {
    let (stand_in, stranger) = (StandIn::start().await, StandIn::start().await);
    let port = stand_in.address.port();
    let with = |host: String, own: &StandIn, others: &StandIn| {
        let mut options = Options { roots: others.authority.roots().unwrap(), ..stand_in.options() };
        options.addresses = AddressRules::public_only().allow_private("127.0.0.1");
        options.roots_of_hosts = [(host, own.authority.roots().unwrap())].into();
        HttpClient::new(options).unwrap()
    };
    let named = format!("https://{HOST}/");
    let by_number = format!("https://127.0.0.1:{port}/");
    let cases = [
        (HOST.to_owned(), &named, &by_number),
        (HOST.to_uppercase(), &named, &by_number),
        (format!("127.0.0.1:{port}"), &by_number, &named),
    ];
    for (host, own, other) in cases {
        let client = with(host.clone(), &stand_in, &stranger);
        assert!(client.send(get(own)).await.is_ok(), "{host}");
        let fault = client.send(get(other)).await.unwrap_err();
        assert!(matches!(fault, HttpFault::Tls { .. }), "{host} and no other: {fault:?}");
        let client = with(host.clone(), &stranger, &stand_in);
        let fault = client.send(get(own)).await.unwrap_err();
        assert!(matches!(fault, HttpFault::Tls { .. }), "{host} by no other root: {fault:?}");
        assert!(client.send(get(other)).await.is_ok(), "{host}");
    }
    let elsewhere = with(format!("127.0.0.1:{}", port ^ 1), &stranger, &stand_in);
    assert!(elsewhere.send(get(&by_number)).await.is_ok(), "another port is another host");
    let none = Options { roots_of_hosts: [(HOST.to_owned(), Vec::new())].into(), ..stand_in.options() };
    let fault = HttpClient::new(none).unwrap().send(at("/")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Tls { .. }), "no root is no trust: {fault:?}");
    let no_host = Options { roots_of_hosts: [("a b".to_owned(), Vec::new())].into(), ..stand_in.options() };
    assert!(HttpClient::new(no_host).unwrap_err().to_string().contains("`a b`"));
}

fn ders(chain: &[CertificateDer<'static>]) -> Vec<Vec<u8>> {
    chain.iter().map(|certificate| certificate.to_vec()).collect()
}

const PEM_END: &str = "-----END CERTIFICATE-----";

fn first_pem(chain: &str) -> String {
    chain.split_inclusive(PEM_END).next().unwrap().to_owned()
}

fn last_pem(chain: &str) -> String {
    chain.split_inclusive(PEM_END).filter(|part| part.contains(PEM_END)).last().unwrap().to_owned()
}

#[tokio::test]
async fn a_host_may_bring_its_own_root_where_that_is_pinned() {
    let (stand_in, stranger) = (StandIn::start().await, StandIn::start().await);
    let pinning = |own: &'static str, pinned: &[Vec<u8>]| {
        let pinned = pinned.to_vec();
        let mut options = Options { roots: stranger.authority.roots().unwrap(), ..stand_in.options() };
        options.resolve.insert(own.to_owned(), stand_in.address);
        options.pinned_roots = Some(PinnedRoots::new(move |der| pinned.iter().any(|one| one == der)));
        HttpClient::new(options).unwrap()
    };
    let shown = ders(&stand_in.chain);
    let (leaf, top) = (&shown[..1], &shown[shown.len() - 1..]);
    let root = ders(&stand_in.authority.roots().unwrap());
    let other = ders(&stranger.chain);
    let none: [Vec<u8>; 0] = [];
    let cases = [
        ("the last one", HOST, top, true),
        ("another name", "other.example", top, false),
        ("the server's own, which is not the last", HOST, leaf, false),
        ("a root that is not shown", HOST, &root[..], false),
        ("another's", HOST, &other[..], false),
        ("none", HOST, &none[..], false),
    ];
    for (name, host, pinned, is_called) in cases {
        let answer = pinning(host, pinned).send(get(&format!("https://{host}/"))).await;
        match answer {
            Ok(answer) => assert!(is_called && answer.body.as_ref() == b"ok", "{name}"),
            Err(fault) => assert!(!is_called && matches!(fault, HttpFault::Tls { .. }), "{name}: {fault:?}"),
        }
    }
}

#[tokio::test]
async fn a_pinned_root_that_has_not_signed_the_chain_vouches_for_nobody() {
    // Whoever has no key of it shows it behind a certificate of their own: it is public.
    let honest = StandIn::start().await;
    let top = ders(&honest.chain).pop().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let eve = Authority::create(&dir.path().join("pki"), "eve", now).unwrap();
    let names = Names { dns: vec![HOST.to_owned()], ip: Vec::new() };
    let own = eve.issue_server(&names, time::Duration::DAY, now).unwrap();
    let (own_pem, top_pem) = (&own.chain_pem, last_pem(&honest.chain_pem));
    for chain_pem in [format!("{own_pem}\n{top_pem}"), format!("{}\n{top_pem}", first_pem(own_pem))] {
        let shown = KeyedCertificate { chain_pem, key_pem: own.key_pem.clone() };
        let address = serve_with(&shown).await;
        let pinned = top.clone();
        let options = Options {
            resolve: [(HOST.to_owned(), address)].into(),
            pinned_roots: Some(PinnedRoots::new(move |der| pinned == der)),
            ..honest.options()
        };
        let fault = HttpClient::new(options).unwrap().send(at("/")).await.unwrap_err();
        assert!(matches!(fault, HttpFault::Tls { .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_connect_fault_that_does_not_tell_the_url() {
    let stand_in = StandIn::start().await;
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = Options { resolve: [(HOST.to_owned(), vacant)].into(), ..stand_in.options() };
    let fault = HttpClient::new(options).unwrap().send(at("/?X-Amz-Signature=secret")).await.unwrap_err();
    assert!(matches!(fault, HttpFault::Connect { .. }), "{fault:?}");
    assert!(!format!("{fault} {fault:?}").contains("secret"), "{fault}");
}

#[tokio::test]
async fn only_https_urls_without_credentials_are_called() {
    let client = StandIn::start().await.client();
    for url in [
        &format!("http://{HOST}/"),
        &format!("https://user@{HOST}/"),
        &format!("https://user:password@{HOST}/"),
        "file:///etc/passwd",
        "data:text/plain,x",
    ] {
        let fault = client.send(get(url)).await.unwrap_err();
        assert!(matches!(fault, HttpFault::Refused { .. }), "{url}: {fault:?}");
    }
}

#[tokio::test]
async fn a_plain_client_speaks_http_alone_and_keeps_the_rules_of_addresses() {
    let server = serve::Server::bind(serve::Options::loopback(0)).await.unwrap();
    let address = server.address();
    tokio::spawn(server.run(tower::service_fn(answer), CancellationToken::new()));
    let ruled = Options { plain: true, ..Options::default() };
    let everywhere = Options { addresses: AddressRules::everywhere(), ..ruled.clone() };
    let client = HttpClient::new(everywhere).unwrap();
    let given = client.send(get(&format!("http://{address}/"))).await.unwrap();
    assert_eq!(given.body.as_ref(), b"ok");
    let by_https = client.send(get(&format!("https://{address}/"))).await.unwrap_err();
    assert!(matches!(by_https, HttpFault::Refused { .. }), "{by_https:?}");
    let refused = HttpClient::new(ruled).unwrap().send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(refused, HttpFault::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn immunity_02_private_addresses_are_not_called_unless_allowed_by_name() {
    let stand_in = StandIn::start().await;
    let client = stand_in.client();
    let port = stand_in.address.port();
    for url in [
        &format!("https://127.0.0.1:{port}/"),
        &format!("https://2130706433:{port}/"), // 127.0.0.1 as one number
        &format!("https://0x7f.1:{port}/"),
        &format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
    ] {
        let fault = client.send(get(url)).await.unwrap_err();
        assert!(matches!(fault, HttpFault::Refused { .. }), "{url}: {fault:?}");
    }
    let fault = client.send(get(&format!("https://localhost:{port}/"))).await.unwrap_err();
    assert!(matches!(fault, HttpFault::NotPublic { .. }), "by name: {fault:?}");

    let addresses = AddressRules::public_only().allow_private("127.0.0.1");
    let client = HttpClient::new(Options { addresses, ..stand_in.options() }).unwrap();
    let answer = client.send(get(&format!("https://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(answer.body.as_ref(), b"ok");
}

/// What one name has for addresses changes between two connections of one client (DNS rebinding).
#[tokio::test]
async fn immunity_26_a_name_that_turns_to_a_private_address_between_two_looks_is_not_called_there() {
    let (public, private) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([10, 0, 0, 7]));
    let stand_in = StandIn::start().await;
    // Both prove to be that host, so that nothing but the address keeps anybody from the inner one.
    let names = Names { dns: vec![HOST.to_owned()], ip: Vec::new() };
    let now = OffsetDateTime::now_utc();
    let certificate = stand_in.authority.issue_server(&names, time::Duration::DAY, now).unwrap();
    let stop = CancellationToken::new();
    let (outer, served) = serve_until(&certificate, stop.clone()).await;
    let internet = TestInternet::default();
    internet.place(public, outer);
    internet.place(private, serve_with(&certificate).await);
    internet.point(HOST, &[public]);
    let options =
        Options { resolve: BTreeMap::new(), internet: Some(internet.clone()), ..stand_in.options() };
    let addresses = AddressRules::public_only().allow_private(HOST);
    let trusting = HttpClient::new(Options { addresses, ..options.clone() }).unwrap();
    let ruled = HttpClient::new(options).unwrap();
    for client in [&ruled, &trusting] {
        assert_eq!(client.send(at("/")).await.unwrap().body.as_ref(), b"ok");
    }
    // Connections that are there end, and with the next one the name is looked up anew.
    stop.cancel();
    served.await.unwrap();
    let looks = internet.looks();
    for turned in [vec![private], vec![public, private], vec![private, public]] {
        internet.point(HOST, &turned);
        let fault = sent(&ruled).await.unwrap_err();
        assert!(matches!(fault, HttpFault::NotPublic { .. }), "{turned:?}: {fault:?}");
        assert!(fault.to_string().contains("10.0.0.7"), "{turned:?}: {fault}");
    }
    assert!(internet.looks() >= looks + 3, "an answer of before counts for no other connection");
    internet.point(HOST, &[private]);
    assert_eq!(sent(&trusting).await.unwrap().body.as_ref(), b"ok", "there is somebody");
}

/// Sends again what broke with a connection whose end had not been noticed.
async fn sent(client: &HttpClient) -> Result<Answer, HttpFault> {
    match client.send(at("/")).await {
        Err(HttpFault::Broken { .. }) => client.send(at("/")).await,
        answer => answer,
    }
}

#[test]
fn an_answer_is_not_printed_for_it_may_hold_credentials() {
    let url: Url = "https://example.com/".parse().unwrap();
    assert_eq!(Request::get(url).method, Method::GET);
    let answer = Answer {
        status: http::StatusCode::OK,
        headers: http::HeaderMap::new(),
        body: Bytes::from("correct-horse"),
    };
    assert!(!format!("{answer:?}").contains("correct-horse"));
}

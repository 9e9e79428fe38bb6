use std::{convert::Infallible, net::SocketAddr, path::Path};

use http_body_util::{BodyExt as _, Full};
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    serve::{self, Peer, Server},
    tls::{Authority, ClientCertificates, Names, client_config, server_config},
};

/// Far above what anything here takes, so that a hang is a failure rather than a wait.
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    authority: Authority,
    dir: tempfile::TempDir,
}

fn authority(dir: &Path, hub: &str) -> Authority {
    Authority::create(&dir.join(hub), hub, OffsetDateTime::now_utc()).unwrap()
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    fn url(&self) -> Url {
        format!("https://{}", self.address).parse().unwrap()
    }
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { authority: authority(dir.path(), "hub-1"), dir }
    }

    /// A replica of a service, which answers with its port and who asks.
    async fn serve(&self, authority: &Authority, service: &str, port: u16) -> Running {
        self.serve_within(serve::Limits::default(), authority, service, port).await
    }

    async fn serve_within(
        &self,
        limits: serve::Limits,
        authority: &Authority,
        service: &str,
        port: u16,
    ) -> Running {
        let now = OffsetDateTime::now_utc();
        let certificate =
            authority.issue_service(service, &Names::loopback(), time::Duration::DAY, now).unwrap();
        // Whom it trusts does not matter here: the test is of who calls.
        let roots = [authority.roots().unwrap(), self.authority.roots().unwrap()].concat();
        let tls = server_config(&certificate, ClientCertificates::Required(&roots)).unwrap();
        let options = serve::Options { limits, ..serve::Options::loopback(port).with_tls(tls) };
        let server = Server::bind(options).await.unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let answer = tower::service_fn(move |request: Request<Incoming>| async move {
            let peer = request.extensions().get::<Peer>().unwrap().identity.clone().unwrap();
            let text = format!("{} {peer} {}", address.port(), request.uri().path());
            let hangs_here = format!("/hangs-at-{}", address.port());
            let request_hangs = ["/hangs", hangs_here.as_str()].contains(&request.uri().path());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "question");
            if request_hangs {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(text)))
        });
        Running { address, task: tokio::spawn(server.run(answer, stop.clone())), stop }
    }

    fn options(&self, urls: Vec<Url>) -> Options {
        let now = OffsetDateTime::now_utc();
        let certificate =
            self.authority.issue_service("gateway", &Names::loopback(), time::Duration::DAY, now).unwrap();
        let mut tls = client_config(&self.authority.roots().unwrap(), Some(&certificate)).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tls = watch::channel(Arc::new(tls)).1;
        let calls = Calls::sent([]);
        Options { pause_max: Duration::from_millis(200), ..Options::new("hub-1", "authn", urls, tls, &calls) }
    }

    fn peers(&self, running: &[&Running]) -> Peers<Full<Bytes>> {
        let urls = running.iter().map(|running| running.url()).collect();
        let options = Options { wait_max: PATIENCE, ..self.options(urls) };
        Peers::connect(&options).unwrap()
    }
}

async fn ask(peers: &Peers<Full<Bytes>>) -> Result<String, PeerFault> {
    ask_for(peers, "/a/b").await
}

async fn ask_for(peers: &Peers<Full<Bytes>>, path: &str) -> Result<String, PeerFault> {
    let request = Request::post(path).body(Full::from("question")).unwrap();
    let response = peers.clone().call(request).await?;
    Ok(String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn until_connected(peers: &Peers<Full<Bytes>>, count: usize) {
    let mut connected = peers.connected();
    let there = connected.wait_for(|connected| *connected == count);
    tokio::time::timeout(PATIENCE, there).await.expect("in time").unwrap();
}

#[tokio::test]
async fn replicas_take_turns_and_know_who_calls() {
    let house = House::new();
    let one = house.serve(&house.authority, "authn", 0).await;
    let two = house.serve(&house.authority, "authn", 0).await;
    let peers = house.peers(&[&one, &two]);
    until_connected(&peers, 2).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(ask(&peers).await.unwrap());
    }
    for running in [&one, &two] {
        let expected = format!("{} lanyard://hub/hub-1/service/gateway /a/b", running.address.port());
        assert_eq!(answers.iter().filter(|answer| **answer == expected).count(), 5, "{answers:?}");
    }
}

#[tokio::test]
async fn a_replica_that_goes_is_done_without_and_used_again_when_it_is_back() {
    let house = House::new();
    let one = house.serve(&house.authority, "authn", 0).await;
    let two = house.serve(&house.authority, "authn", 0).await;
    let peers = house.peers(&[&one, &two]);
    until_connected(&peers, 2).await;
    let port = one.address.port();
    one.end().await;
    until_connected(&peers, 1).await;
    for _ in 0..4 {
        assert!(ask(&peers).await.unwrap().starts_with(&two.address.port().to_string()));
    }
    let back = house.serve(&house.authority, "authn", port).await;
    until_connected(&peers, 2).await;
    let answers = [ask(&peers).await.unwrap(), ask(&peers).await.unwrap()];
    assert!(answers.iter().any(|answer| answer.starts_with(&port.to_string())), "{answers:?}");
    // None left: those who ask wait for the next that comes.
    back.end().await;
    let port = two.address.port();
    two.end().await;
    until_connected(&peers, 0).await;
    let waiting = tokio::spawn({
        let peers = peers.clone();
        async move { ask(&peers).await }
    });
    let _again = house.serve(&house.authority, "authn", port).await;
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn nobody_is_refused_while_all_connections_end_of_age_at_once() {
    let house = House::new();
    let limits = serve::Limits { connection_age_max: Duration::from_millis(200), ..Default::default() };
    let one = house.serve_within(limits, &house.authority, "authn", 0).await;
    let two = house.serve_within(limits, &house.authority, "authn", 0).await;
    let peers = house.peers(&[&one, &two]);
    for _ in 0..3 {
        until_connected(&peers, 2).await;
        // What never ends holds a connection open that takes nothing new; the client hears of that when it sends.
        let held: Vec<_> = (0..2)
            .map(|_| {
                let peers = peers.clone();
                tokio::spawn(async move { ask_for(&peers, "/hangs").await })
            })
            .collect();
        tokio::time::sleep(limits.connection_age_max * 2).await;
        for _ in 0..4 {
            ask(&peers).await.unwrap();
        }
        held.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test]
async fn what_was_queued_and_never_sent_goes_to_another_replica_however_long_it_was_queued() {
    let house = House::new();
    let limits = serve::Limits {
        streams_max: 1,
        connection_age_max: Duration::from_secs(2),
        drain_timeout: Duration::from_millis(100),
        ..Default::default()
    };
    let one = house.serve_within(limits, &house.authority, "authn", 0).await;
    let two = house.serve(&house.authority, "authn", 0).await;
    let (url_of_two, port_of_two) = (two.url(), two.address.port());
    two.end().await;
    let wait_max = Duration::from_millis(50);
    let options = Options { wait_max, ..house.options(vec![one.url(), url_of_two]) };
    let peers = Peers::connect(&options).unwrap();
    until_connected(&peers, 1).await;
    // One is open, one waits in HTTP/2 to be, and one before it.
    let mut asked = Vec::new();
    for _ in 0..3 {
        let (peers, path) = (peers.clone(), format!("/hangs-at-{}", one.address.port()));
        asked.push(tokio::spawn(async move { ask_for(&peers, &path).await }));
        tokio::time::sleep(wait_max / 2).await;
    }
    let _two = house.serve(&house.authority, "authn", port_of_two).await;
    until_connected(&peers, 2).await;
    let last = asked.pop().unwrap();
    let answer = tokio::time::timeout(PATIENCE, last).await.expect("in time").unwrap().unwrap();
    assert!(answer.starts_with(&port_of_two.to_string()), "{answer}");
}

/// Gives up after a while; whoever waits less says nothing of the replica.
async fn in_vain(peers: &Peers<Full<Bytes>>, wait: Duration) {
    assert!(tokio::time::timeout(wait, ask_for(peers, "/hangs")).await.is_err());
}

#[tokio::test]
async fn a_replica_that_was_waited_for_in_vain_is_asked_last_until_it_answers() {
    let house = House::new();
    let one = house.serve(&house.authority, "authn", 0).await;
    let two = house.serve(&house.authority, "authn", 0).await;
    let urls = vec![one.url(), two.url()];
    let doubt_after = Duration::from_millis(200);
    let peers = Peers::connect(&Options { wait_max: PATIENCE, doubt_after, ..house.options(urls) }).unwrap();
    until_connected(&peers, 2).await;
    let ports_of = async |peers: &Peers<Full<Bytes>>| {
        let mut ports = std::collections::BTreeSet::new();
        for _ in 0..10 {
            ports.insert(ask(peers).await.unwrap().split(' ').next().unwrap().to_owned());
        }
        ports
    };
    in_vain(&peers, Duration::from_millis(1)).await;
    assert_eq!(ports_of(&peers).await.len(), 2, "impatience says nothing");
    in_vain(&peers, doubt_after + Duration::from_millis(50)).await;
    let trusted = ports_of(&peers).await;
    assert_eq!(trusted.len(), 1, "the other has all");
    // That one is waited for in vain too: where no other is better, one that is in doubt is asked, and trusted once it answers.
    in_vain(&peers, doubt_after + Duration::from_millis(50)).await;
    assert_eq!(ports_of(&peers).await.len(), 1);
}

#[tokio::test]
async fn a_call_is_given_up_after_the_time_that_it_says_and_the_replica_that_let_it_wait_is_asked_last() {
    let house = House::new();
    let one = house.serve(&house.authority, "authn", 0).await;
    let two = house.serve(&house.authority, "authn", 0).await;
    let (urls, doubt_after) = (vec![one.url(), two.url()], Duration::from_millis(50));
    let peers = Peers::connect(&Options { wait_max: PATIENCE, doubt_after, ..house.options(urls) }).unwrap();
    until_connected(&peers, 2).await;
    let request =
        Request::post("/hangs").header("grpc-timeout", "100m").body(Full::from("question")).unwrap();
    let answered = tokio::time::timeout(PATIENCE, peers.clone().call(request)).await;
    let given_up = answered.expect("in time").unwrap();
    assert_eq!(given_up.headers()["grpc-status"], "4");
    assert!(given_up.into_body().collect().await.unwrap().to_bytes().is_empty());
    let mut ports = std::collections::BTreeSet::new();
    for _ in 0..10 {
        ports.insert(ask(&peers).await.unwrap().split(' ').next().unwrap().to_owned());
    }
    assert_eq!(ports.len(), 1, "the other has all");
    // A call that says no time, or none that can be read, is waited for.
    let request =
        Request::post("/hangs").header("grpc-timeout", "soon").body(Full::from("question")).unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), peers.clone().call(request)).await;
    assert!(waited.is_err());
}

#[test]
fn a_doubt_ends_with_an_answer_and_once_pings_would_have_told() {
    let url = "https://127.0.0.1:1".parse().unwrap();
    let expected = PeerIdentity::service("hub-1", "authn").unwrap();
    let replica = Replica::<Full<Bytes>>::new(&url, expected, Duration::ZERO).unwrap();
    assert!(!replica.is_in_doubt());
    replica.doubt_since(Duration::ZERO);
    assert!(replica.is_in_doubt());
    replica.trust();
    assert!(!replica.is_in_doubt());
    replica.doubt_since(replica::DOUBT_FOR);
    assert!(!replica.is_in_doubt());
}

#[tokio::test]
async fn immunity_41_what_is_not_the_service_asked_for_is_not_called() {
    let house = House::new();
    let other_hub = authority(house.dir.path(), "hub-2");
    let other_service = house.serve(&house.authority, "authz", 0).await;
    let of_other_hub = house.serve(&other_hub, "authn", 0).await;
    for running in [&other_service, &of_other_hub] {
        let options = Options { wait_max: Duration::from_millis(300), ..house.options(vec![running.url()]) };
        let peers = Peers::connect(&options).unwrap();
        let fault = ask(&peers).await.unwrap_err();
        assert!(matches!(&fault, PeerFault::Away(service) if service == "authn"), "{fault}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    let house = House::new();
    for (urls, words) in [
        (vec![], "no address of service authn"),
        (vec!["http://127.0.0.1:1"], "https://host:port"),
        (vec!["https://ana@127.0.0.1:1"], "https://host:port"),
        (vec!["https://127.0.0.1:1/x"], "https://host:port"),
        (vec!["https://127.0.0.1:1/?x"], "https://host:port"),
    ] {
        let urls = urls.into_iter().map(|url| url.parse().unwrap()).collect();
        let error = Peers::<Full<Bytes>>::connect(&house.options(urls)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_last_clone_ends_the_connections() {
    let house = House::new();
    let one = house.serve(&house.authority, "authn", 0).await;
    let peers = house.peers(&[&one]);
    until_connected(&peers, 1).await;
    let mut connected = peers.connected();
    drop(peers);
    // The keeper is gone, and the other side of the watch with it.
    tokio::time::timeout(PATIENCE, async { while connected.changed().await.is_ok() {} }).await.unwrap();
    tokio::time::timeout(PATIENCE, one.end()).await.unwrap();
}

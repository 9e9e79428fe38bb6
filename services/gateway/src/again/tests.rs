use std::{convert::Infallible, net::SocketAddr, time::Duration};

use futures::future::join_all;
use hyper::body::Incoming;
use lanyard_kit::{
    peers::Options,
    serve::{self, Server},
    telemetry::Calls,
    tls::{self, Authority, ClientCertificates, Names, client_config, server_config},
};
use time::OffsetDateTime;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::*;

/// Far above what anything here takes, so that a hang is a failure rather than a wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// Calls at a time; each of the two replicas gets half.
const AT_ONCE: usize = 8;
const READ: &str = "/lanyard.mapping.v1.Clusters/ListClusters";
const CHANGE: &str = "/lanyard.mapping.v1.Clusters/CreateCluster";

/// A replica on threads of its own, with which it dies, and where each call that arrives at it is told.
struct Replica {
    address: SocketAddr,
    threads: Runtime,
    arrived: mpsc::UnboundedReceiver<Bytes>,
}

/// One that answers, or one that takes calls and does not.
fn replica(authority: &Authority, answers: bool) -> Replica {
    let now = OffsetDateTime::now_utc();
    let certificate =
        authority.issue_service("mapping", &Names::loopback(), time::Duration::DAY, now).unwrap();
    let tls = server_config(&certificate, ClientCertificates::Required(&authority.roots().unwrap())).unwrap();
    let threads = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ((listening, address), (tell, arrived)) = (std::sync::mpsc::channel(), mpsc::unbounded_channel());
    let answer = tower::service_fn(move |request: Request<Incoming>| {
        let tell = tell.clone();
        async move {
            tell.send(request.into_body().collect().await.unwrap().to_bytes()).unwrap();
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("answer")))
        }
    });
    threads.spawn(async move {
        let server = Server::bind(serve::Options::loopback(0).with_tls(tls)).await.unwrap();
        listening.send(server.address()).unwrap();
        server.run(answer, CancellationToken::new()).await;
    });
    Replica { address: address.recv().unwrap(), threads, arrived }
}

/// As many calls at once, of which one of two replicas answers none and dies with those that it has: how they end, and how many of
/// them the other one has met.
async fn calls_while_a_replica_dies(method: &str) -> (Vec<Result<Bytes, PeerFault>>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let authority = Authority::create(&folder.path().join("pki"), "hub-1", now).unwrap();
    let (mut dying, mut other) = (replica(&authority, false), replica(&authority, true));
    let certificate =
        authority.issue_service("gateway", &Names::loopback(), time::Duration::DAY, now).unwrap();
    let mut tls = client_config(&authority.roots().unwrap(), Some(&certificate)).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let urls = [&dying, &other].map(|replica| format!("https://{}", replica.address).parse().unwrap());
    let calls = Calls::sent([]);
    let options = Options::new("hub-1", "mapping", urls.to_vec(), tls::fixed(tls), &calls);
    let peers = Peers::connect(&options).unwrap();
    let mut connected = peers.connected();
    let both = connected.wait_for(|connected| *connected == 2);
    tokio::time::timeout(PATIENCE, both).await.expect("in time").unwrap();
    let asked = (0..AT_ONCE).map(|_| {
        let request = Request::post(method).body(Body::new(Full::from("question"))).unwrap();
        let sent = send(peers.clone(), request);
        async move { Ok(sent.await?.into_body().collect().await.unwrap().to_bytes()) }
    });
    let asked = tokio::spawn(join_all(asked.collect::<Vec<_>>()));
    // One that answers is soon the least busy again, so that the dying one keeps those that it got first.
    let first = tokio::time::timeout(PATIENCE, dying.arrived.recv()).await;
    assert_eq!(first.expect("in time").unwrap(), "question");
    dying.threads.shutdown_background();
    let ended = tokio::time::timeout(PATIENCE, asked).await.expect("in time").unwrap();
    other.threads.shutdown_background();
    (ended, std::iter::from_fn(|| other.arrived.try_recv().ok()).count())
}

#[tokio::test]
async fn no_read_fails_when_a_replica_dies_with_reads_under_way() {
    let (ended, met) = calls_while_a_replica_dies(READ).await;
    for answer in ended {
        assert_eq!(answer.unwrap(), "answer");
    }
    assert_eq!(met, AT_ONCE, "each was asked of the one that lives");
}

#[tokio::test]
async fn a_change_that_may_have_arrived_is_not_sent_again() {
    let (ended, met) = calls_while_a_replica_dies(CHANGE).await;
    let broken = ended.iter().filter(|answer| matches!(answer, Err(PeerFault::Broken { .. }))).count();
    assert!(broken > 0, "none was under way at the one that died");
    assert_eq!(met + broken, AT_ONCE, "each was sent once");
}

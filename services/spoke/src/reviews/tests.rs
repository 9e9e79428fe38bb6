use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    config::SpokeConfig,
    stand_in::{self, CREDENTIAL, serve},
};

/// An API server for faults alone: what it does is chosen by the token that it reviews.
async fn answer(request: Request) -> Response {
    let reply =
        |status: u16, body: String| Response::builder().status(status).body(Body::from(body)).unwrap();
    assert_eq!(request.headers()["authorization"], format!("Bearer {CREDENTIAL}"));
    assert_eq!(request.uri().path(), "/apis/authentication.k8s.io/v1/tokenreviews");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked["spec"]["audiences"], json!(["pods.eks.amazonaws.com"]));
    let no =
        |code: u16| reply(code, json!({ "kind": "Status", "message": "hush", "code": code }).to_string());
    match asked["spec"]["token"].as_str().unwrap() {
        "hang" => std::future::pending().await,
        "not-json" => reply(201, "<html>".to_owned()),
        "other-kind" => reply(200, json!({ "kind": "Pod", "status": {} }).to_string()),
        "other-audience" => {
            let status = json!({ "authenticated": true, "audiences": ["vault"] });
            reply(201, json!({ "kind": "TokenReview", "status": status }).to_string())
        }
        "huge" => reply(201, "x".repeat(1 << 20)),
        code => no(code.parse().unwrap()),
    }
}

async fn stand_in(folder: &std::path::Path) -> (SocketAddr, String) {
    serve(folder, Router::new().fallback(answer)).await
}

fn server_at(address: SocketAddr, authority: String) -> ApiServer {
    let config = SpokeConfig { review_milliseconds: 500, ..SpokeConfig::default() };
    stand_in::server_at(address, authority, &config)
}

/// A cluster that is watched by who holds the lease.
fn watched(server: ApiServer) -> (ApiServers, ClusterUid, Arc<State>) {
    let (servers, cluster) = (ApiServers::default(), ClusterUid::random());
    let state = Arc::new(State::new(&SpokeConfig::default()));
    state.leased((Instant::now(), SystemTime::now()), Duration::from_secs(60), 1);
    servers.put(cluster, server, Arc::clone(&state));
    (servers, cluster, state)
}

async fn review(servers: &ApiServers, cluster: ClusterUid, token: &str) -> Result<PodReview, Fault> {
    servers.review_pod(ReviewPod { cluster, token: token.into() }).await
}

#[tokio::test]
async fn immunity_48_an_api_server_that_does_not_tell_says_neither_yes_nor_no() {
    let folder = tempfile::tempdir().unwrap();
    let (address, authority) = stand_in(folder.path()).await;
    let (servers, cluster, _) = watched(server_at(address, authority));
    for (token, code, says) in [
        ("hang", "timed_out", "within 500ms"),
        ("401", "unavailable", "does not take the hub's credential"),
        ("403", "unavailable", "`create` `tokenreviews`"),
        ("404", "unavailable", "answered with an error"),
        ("429", "throttled", "over its limit"),
        ("500", "unavailable", "answered with an error"),
        ("503", "unavailable", "answered with an error"),
        ("not-json", "unavailable", "no review of the token"),
        ("other-kind", "unavailable", "no review of the token"),
        ("other-audience", "unavailable", "no review of the token"),
        ("huge", "unavailable", "cannot be reached"),
    ] {
        let fault = review(&servers, cluster, token).await.unwrap_err();
        let text = fault.to_string();
        assert_eq!(fault.code(), code, "{token}: {text}");
        assert!(text.contains(says) && text.starts_with("the cluster's API server"), "{token}: {text}");
        assert!(!text.contains("hush") && !text.contains("127.0.0.1"), "{token}: {text}");
    }
}

#[tokio::test]
async fn an_api_server_that_is_not_there_cannot_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (_, authority) = stand_in(folder.path()).await;
    let (servers, cluster, _) = watched(server_at(([127, 0, 0, 1], 1).into(), authority));
    let text = review(&servers, cluster, "500").await.unwrap_err().to_string();
    assert!(text.contains("cannot be reached"), "{text}");
}

#[tokio::test]
async fn a_replica_answers_for_what_it_watches_while_it_holds_the_lease() {
    let folder = tempfile::tempdir().unwrap();
    let (address, authority) = stand_in(folder.path()).await;
    let (servers, cluster, state) = watched(server_at(address, authority));
    assert!(review(&servers, cluster, "500").await.is_err(), "it was asked");
    assert_eq!(
        review(&servers, ClusterUid::random(), "500").await,
        Ok(PodReview::Unwatched),
        "another cluster"
    );
    state.lease_lost();
    assert_eq!(review(&servers, cluster, "500").await, Ok(PodReview::Unwatched), "another has the lease");
    state.leased((Instant::now(), SystemTime::now()), Duration::from_secs(60), 3);
    assert!(review(&servers, cluster, "500").await.is_err(), "it has it again");
    servers.remove(cluster);
    assert_eq!(review(&servers, cluster, "500").await, Ok(PodReview::Unwatched), "it is watched no more");
}

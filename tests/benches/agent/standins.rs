//! A kubelet with host-network pods, and an EKS Auth endpoint and a hub that vend to whoever asks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lanyard_kit::serve;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
use lanyard_proto::credentials::v1::vend_server::{Vend, VendServer};
use lanyard_proto::credentials::v1::{
    AssumeRoleForPodIdentityRequest, PodCredentials, SessionCredentials, VendedUser,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Bytes of a session token: what AWS's have.
const SESSION_TOKEN_BYTES: usize = 1_000;
/// Bytes of a signature: RS256.
const SIGNATURE_BYTES: usize = 256;
/// How long what is vended lasts.
const LIFE: std::time::Duration = std::time::Duration::from_secs(6 * 3_600);
/// Whose it is.
const ASSUMED: (&str, &str) =
    ("arn:aws:sts::111122223333:assumed-role/cart/eks-bench-cart", "AROA:eks-bench-cart");

/// Where they are, and for whom.
pub(crate) struct Standins {
    pub(crate) kubelet: String,
    pub(crate) endpoint: String,
    pub(crate) hub: String,
    pods: usize,
}

/// Starts them in this process, and writes what the agent needs for them.
pub(crate) async fn start(folder: &Path, pods: usize) -> Result<Standins> {
    let now = OffsetDateTime::now_utc();
    let authority = Authority::create(&folder.join("pki"), "bench", now)?;
    std::fs::write(folder.join("ca.pem"), authority.root_pem())?;
    std::fs::write(folder.join("token"), "the-agents-own")?;
    // What the load asks is beyond one pod's share, and is no attack here.
    let limits = "[limits]\npod_per_second = 1000000\npod_burst = 1000000\nnewcomer_per_second = 100000\nnewcomer_burst = 100000\npod_connections = 1000\n";
    std::fs::write(folder.join("agent.toml"), limits)?;
    let items: Vec<Value> = (0..pods).map(item).collect();
    let list = json!({ "kind": "PodList", "items": items }).to_string();
    let kubelet = Router::new().route("/pods", get(move || std::future::ready(list.clone())));
    let vend = post(|| async { Json(vended()) });
    let endpoint = Router::new().route("/clusters/{cluster}/assume-role-for-pod-identity", vend);
    let hub = Routes::new(VendServer::new(Hub)).prepare().into_axum_router();
    let (kubelet, endpoint) = (serve(&authority, kubelet).await?, serve(&authority, endpoint).await?);
    Ok(Standins { kubelet, endpoint, hub: serve(&authority, hub).await?, pods })
}

/// A hub's front door, of which there is the one method that agents call.
struct Hub;

#[tonic::async_trait]
impl Vend for Hub {
    async fn assume_role_for_pod_identity(
        &self,
        _: Request<AssumeRoleForPodIdentityRequest>,
    ) -> Result<Response<PodCredentials>, Status> {
        let (arn, id) = ASSUMED;
        let credentials = SessionCredentials {
            access_key_id: "LSIAEXAMPLEEXAMPLE01".to_owned(),
            secret_access_key: "0123456789012345678901234567890123456789".to_owned(),
            session_token: "x".repeat(SESSION_TOKEN_BYTES),
            expires_at: Some((SystemTime::now() + LIFE).into()),
        };
        Ok(Response::new(PodCredentials {
            user: Some(VendedUser { arn: arn.to_owned(), id: id.to_owned() }),
            credentials: Some(credentials),
            ..PodCredentials::default()
        }))
    }
}

async fn serve(authority: &Authority, router: Router) -> Result<String> {
    let certificate = authority.issue_server(&Names::loopback(), Duration::DAY, OffsetDateTime::now_utc())?;
    let tls = server_config(&certificate, ClientCertificates::NotAsked)?;
    let server = serve::Server::bind(serve::Options::loopback(0).with_tls(tls)).await?;
    let url = format!("https://{}", server.address());
    tokio::spawn(server.run(router, CancellationToken::new()));
    Ok(url)
}

impl Standins {
    /// A request of each pod.
    pub(crate) fn questions(&self, agent: SocketAddr) -> Vec<Vec<u8>> {
        (0..self.pods).map(|number| question(agent, number)).collect()
    }
}

/// The request of one of the pods.
pub(crate) fn question(agent: SocketAddr, number: usize) -> Vec<u8> {
    let token = token(number);
    format!("GET /v1/credentials HTTP/1.1\r\nHost: {agent}\r\nAuthorization: {token}\r\nAccept: */*\r\n\r\n")
        .into_bytes()
}

/// A pod of the size that the kubelet writes.
fn item(number: usize) -> Value {
    json!({
        "metadata": { "name": format!("cart-{number}"), "namespace": "shop", "uid": uid(number), "annotations": { "x": "y".repeat(3_000) } },
        "spec": { "nodeName": "node-a", "serviceAccountName": "cart", "hostNetwork": true },
        "status": { "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{ "ip": "127.0.0.1" }] },
    })
}

fn uid(number: usize) -> String {
    format!("0b4c7a1e-0000-4000-8000-{number:012}")
}

fn token(number: usize) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = json!({
        "aud": ["pods.eks.amazonaws.com"],
        "exp": OffsetDateTime::now_utc().unix_timestamp() + 86_400,
        "iss": "https://issuer.example",
        "sub": "system:serviceaccount:shop:cart",
        "kubernetes.io": {
            "namespace": "shop",
            "node": { "name": "node-a", "uid": uid(0) },
            "pod": { "name": format!("cart-{number}"), "uid": uid(number) },
            "serviceaccount": { "name": "cart", "uid": uid(1) },
        },
    });
    let signature = URL_SAFE_NO_PAD.encode([7; SIGNATURE_BYTES]);
    format!("{}.{}.{signature}", part(&json!({ "alg": "RS256", "kid": "key" })), part(&payload))
}

fn vended() -> Value {
    let (arn, id) = ASSUMED;
    json!({
        "assumedRoleUser": { "arn": arn, "assumeRoleId": id },
        "credentials": {
            "accessKeyId": "ASIAEXAMPLEEXAMPLE01",
            "secretAccessKey": "0123456789012345678901234567890123456789",
            "sessionToken": "x".repeat(SESSION_TOKEN_BYTES),
            "expiration": (OffsetDateTime::now_utc() + LIFE).unix_timestamp(),
        },
    })
}

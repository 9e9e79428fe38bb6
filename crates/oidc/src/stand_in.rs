//! An issuer for tests: real discovery over TLS on loopback, keys of its own, and every misbehaviour on command.

#![allow(
    clippy::expect_used,
    reason = "a stand-in for tests: what fails here has to end the test, and says why"
)]

mod key;
mod projected;
mod reply;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::response::Response;
use lanyard_kit::http_client;
use lanyard_kit::serve;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
use lanyard_kit::{Clock as _, SystemClock};
use serde_json::Value;
use time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::algorithm::Algorithm;
use crate::fault::Document;
use crate::issuer::{Issuer, IssuerOptions};
use crate::thumbprint::Thumbprint;

pub use key::{SigningKey, encode, signing_input};
pub use projected::Projected;

/// How one document is answered from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// As an issuer does.
    Honest,
    /// With this status.
    Status(u16),
    /// Takes the request and never answers.
    Hang,
    /// Begins to answer and never ends.
    SlowBody,
    /// Hangs up in the middle of the answer.
    BreaksOff,
    /// 200 with half a document.
    Truncated,
    /// 302 to there.
    Redirect(String),
    /// 200 with so many (empty) keys.
    ManyKeys(usize),
    /// 200, as if it were this issuer.
    OtherIssuer(String),
    /// 200 with this.
    Instead(String),
}

struct Shared {
    issuer: String,
    discovery_path: String,
    keys: Mutex<Vec<Arc<SigningKey>>>,
    jwks: Mutex<Vec<Value>>,
    keys_url: Mutex<String>,
    cache_control: Mutex<Option<String>>,
    behaviours: Mutex<HashMap<Document, Behaviour>>,
    calls: Mutex<HashMap<Option<Document>, u64>>,
}

/// The running issuer; dropped, it stops.
pub struct StandIn {
    address: SocketAddr,
    hosts: Vec<String>,
    authority: Authority,
    next_authority: Option<Authority>,
    shared: Arc<Shared>,
    dir: tempfile::TempDir,
    served: JoinHandle<()>,
    stop: DropGuard,
}

impl StandIn {
    /// Starts `https://127.0.0.1:<port><path>`, with one key for ES256. [`Self::options`] are all that it takes to trust it.
    pub async fn start(path: &str) -> Self {
        Self::start_with(Vec::new(), |address| format!("https://{address}{path}")).await
    }

    /// Starts as an issuer of the internet, with the hosts that it and its keys are at. It is reached by
    /// [`Self::http_options`] alone.
    pub async fn start_as(issuer_url: &str, hosts: &[&str]) -> Self {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Self::start_with(hosts, |_| issuer_url.to_owned()).await
    }

    async fn start_with(hosts: Vec<String>, issuer: impl FnOnce(SocketAddr) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let authority = new_authority(&dir);
        let server = listen(&authority, &hosts, 0).await;
        let address = server.address();
        let issuer = issuer(address);
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = Url::parse(&discovery).expect("an issuer that is a URL");
        let keys_url = discovery.join("/keys").expect("a URL");
        let shared = Arc::new(Shared {
            discovery_path: discovery.path().to_owned(),
            issuer,
            keys: Mutex::default(),
            jwks: Mutex::default(),
            keys_url: Mutex::new(keys_url.to_string()),
            cache_control: Mutex::default(),
            behaviours: Mutex::default(),
            calls: Mutex::default(),
        });
        let (served, stop) = serve(server, &shared);
        let stand_in = Self { address, hosts, authority, next_authority: None, shared, dir, served, stop };
        stand_in.add_key(Algorithm::Es256, "key-1");
        stand_in
    }

    /// Begins anew at the same place, with another certificate of the same authority.
    pub async fn renew_certificate(&mut self) {
        drop(std::mem::replace(&mut self.stop, CancellationToken::new().drop_guard()));
        (&mut self.served).await.expect("a server that ends well");
        let server = listen(&self.authority, &self.hosts, self.address.port()).await;
        (self.served, self.stop) = serve(server, &self.shared);
    }

    /// The same with a certificate of another authority: of the one that was prepared, if one was.
    pub async fn renew_authority(&mut self) {
        let next = self.next_authority.take();
        self.authority = next.unwrap_or_else(|| new_authority(&self.dir));
        self.renew_certificate().await;
    }

    /// Makes the authority that will be the next, and tells its certificate, in PEM.
    pub fn prepare_authority(&mut self) -> String {
        let next = self.next_authority.insert(new_authority(&self.dir));
        next.root_pem().to_owned()
    }

    /// The issuer as its tokens write it.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its CA, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.root_pem()
    }

    /// The thumbprint of the last certificate that it shows, in hex: its authority's own, below the root.
    pub fn thumbprint(&self) -> String {
        let now = SystemClock.now();
        let issued = self.authority.issue_server(&Names::loopback(), Duration::DAY, now);
        let shown = issued.expect("a certificate").chain().expect("a chain");
        Thumbprint::text_of(shown.last().expect("a certificate"))
    }

    /// A configuration that trusts its CA and lets it be on loopback.
    pub fn options(&self) -> IssuerOptions {
        IssuerOptions {
            ca_bundle_pem: Some(self.ca_pem().to_owned()),
            private_hosts: vec!["127.0.0.1".to_owned()],
            ..IssuerOptions::new(self.issuer())
        }
    }

    /// As a configured issuer is called, but finding its hosts here.
    pub fn http_options(&self, issuer: &Issuer) -> http_client::Options {
        let resolve = self.hosts.iter().map(|host| (host.clone(), self.address)).collect();
        http_client::Options { resolve, ..issuer.http_options() }
    }

    /// Publishes a new key, beside those that there are; from here on it signs.
    pub fn add_key(&self, algorithm: Algorithm, kid: &str) -> Arc<SigningKey> {
        let key = Arc::new(SigningKey::generate(algorithm, kid));
        self.add(&key);
        key
    }

    /// Publishes a key that was made elsewhere; from here on it signs.
    pub fn add(&self, key: &Arc<SigningKey>) {
        locked(&self.shared.keys).push(Arc::clone(key));
    }

    /// Publishes a key that is written out, in whatever form.
    pub fn add_jwk(&self, jwk: Value) {
        locked(&self.shared.jwks).push(jwk);
    }

    /// Publishes this key no more.
    pub fn remove_key(&self, kid: &str) {
        locked(&self.shared.keys).retain(|key| key.kid() != kid);
    }

    /// Says from here on that the keys are there.
    pub fn set_keys_url(&self, url: &str) {
        url.clone_into(&mut locked(&self.shared.keys_url));
    }

    /// Sends keys with this `Cache-Control`.
    pub fn set_cache_control(&self, text: &str) {
        *locked(&self.shared.cache_control) = Some(text.to_owned());
    }

    /// A token with these claims and `iss`, signed by the newest key.
    pub fn mint(&self, claims: &Value) -> String {
        let mut claims = claims.clone();
        if let Some(members) = claims.as_object_mut() {
            members.entry("iss").or_insert_with(|| self.issuer().into());
        }
        let key = locked(&self.shared.keys).last().cloned().expect("a key");
        key.mint(&claims)
    }

    /// Answers both documents so from here on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behave_at(Document::Discovery, behaviour.clone());
        self.behave_at(Document::Keys, behaviour);
    }

    /// Answers one document so from here on.
    pub fn behave_at(&self, document: Document, behaviour: Behaviour) {
        locked(&self.shared.behaviours).insert(document, behaviour);
    }

    /// How often a document was asked for.
    pub fn calls_of(&self, document: Document) -> u64 {
        locked(&self.shared.calls).get(&Some(document)).copied().unwrap_or_default()
    }

    /// How often anything else was asked for.
    pub fn stray_calls(&self) -> u64 {
        locked(&self.shared.calls).get(&None).copied().unwrap_or_default()
    }
}

/// An authority of its own, in a folder that no other one has.
fn new_authority(dir: &tempfile::TempDir) -> Authority {
    let folder = tempfile::tempdir_in(dir).expect("a temporary folder").keep();
    Authority::create(&folder.join("pki"), "stand-in", SystemClock.now()).expect("a CA")
}

async fn listen(authority: &Authority, hosts: &[String], port: u16) -> serve::Server {
    let names = Names::loopback().and(hosts.iter().cloned());
    let certificate =
        authority.issue_server(&names, Duration::DAY, SystemClock.now()).expect("a certificate");
    let tls = server_config(&certificate, ClientCertificates::NotAsked).expect("a TLS configuration");
    serve::Server::bind(serve::Options::loopback(port).with_tls(tls)).await.expect("the port")
}

fn serve(server: serve::Server, shared: &Arc<Shared>) -> (JoinHandle<()>, DropGuard) {
    let router = axum::Router::new().fallback(answer).with_state(Arc::clone(shared));
    let stop = CancellationToken::new();
    (tokio::spawn(server.run(router, stop.clone())), stop.drop_guard())
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let document = match request.uri().path() {
        path if path == shared.discovery_path => Some(Document::Discovery),
        "/keys" => Some(Document::Keys),
        _ => None,
    };
    *locked(&shared.calls).entry(document).or_default() += 1;
    let Some(document) = document else { return reply::respond(404, "text/plain", "nothing here".into()) };
    let behaviour = locked(&shared.behaviours).get(&document).cloned().unwrap_or(Behaviour::Honest);
    reply::reply(&shared, document, behaviour).await
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIn({}, {})", self.address, self.shared.issuer)
    }
}

//! An STS for tests: TLS on loopback under STS's own host names, signatures verified as AWS verifies them, and every
//! misbehaviour on command.

#![allow(
    clippy::expect_used,
    reason = "a stand-in for tests: what fails here has to end the test, and says why"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use lanyard_iam::sigv4::{Expected, HttpRequest, PayloadHash, SigV4Error, SignedRequest, SigningKey};
use lanyard_iam::{AccessKeyId, Credentials};
use lanyard_kit::http_client::Options;
use lanyard_kit::serve;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
use lanyard_kit::{Clock, SystemClock};
use serde_json::json;
use time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::limits::locked;

/// How the stand-in behaves from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As STS does.
    Honest,
    /// The first so many calls are throttled, then as STS does.
    ThrottledAtFirst(u64),
    /// 400 with the code `Throttling`.
    Throttled400,
    /// 403 with the code `Throttling`.
    Throttled403,
    /// 429 without a body.
    Throttled429,
    /// 403 whatever was signed.
    Denied,
    /// 403 with the code `ExpiredToken`.
    Expired,
    /// 403 with the code `RegionDisabledException`.
    RegionDisabled,
    /// 500.
    ServerError,
    /// Takes the request and never answers.
    Hang,
    /// Begins to answer and never ends.
    SlowBody,
    /// Promises more than it sends, and hangs up.
    Truncated,
    /// 302 to another host.
    Redirect,
    /// 1 MiB.
    HugeBody,
    /// 200 with half an object.
    BadJson,
    /// 200 with the same in XML.
    Xml,
    /// 200 with an identity whose account, ARN and user id do not agree.
    MixedIdentity,
    /// 200 with a role session, whoever asked.
    AnotherPrincipal,
    /// 200 with an identity of another partition.
    AnotherPartition,
}

/// Somebody whom the stand-in knows.
#[derive(Debug, Clone)]
struct Person {
    credentials: Credentials,
    account: String,
    arn: String,
    user_id: String,
}

struct Shared {
    people: Mutex<HashMap<AccessKeyId, Person>>,
    behaviour: Mutex<Behaviour>,
    calls: AtomicU64,
    clock: Arc<dyn Clock>,
}

/// The running stand-in; dropped, it stops.
pub struct StandIn {
    address: SocketAddr,
    hosts: Vec<String>,
    authority: Authority,
    shared: Arc<Shared>,
    _dir: tempfile::TempDir,
    _stop: DropGuard,
}

impl StandIn {
    /// Starts under these host names, by the machine's clock.
    pub async fn start(hosts: &[&str]) -> Self {
        Self::start_with_clock(hosts, Arc::new(SystemClock)).await
    }

    /// Starts under these host names, judging the dates of signatures by a clock of the test's.
    pub async fn start_with_clock(hosts: &[&str], clock: Arc<dyn Clock>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let now = SystemClock.now();
        let authority = Authority::create(&dir.path().join("pki"), "stand-in", now).expect("a CA");
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let names = Names { dns: hosts.clone(), ip: Vec::new() };
        let certificate = authority.issue_server(&names, Duration::DAY, now).expect("a certificate");
        let tls = server_config(&certificate, ClientCertificates::NotAsked).expect("a TLS configuration");
        let server =
            serve::Server::bind(serve::Options::loopback(0).with_tls(tls)).await.expect("a free port");
        let address = server.address();
        let shared = Arc::new(Shared {
            people: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Honest),
            calls: AtomicU64::new(0),
            clock,
        });
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        tokio::spawn(server.run(router, stop.clone()));
        Self { address, hosts, authority, shared, _dir: dir, _stop: stop.drop_guard() }
    }

    /// Options of an HTTP client that finds the stand-in under its host names and trusts its CA alone.
    pub fn http_options(&self) -> Options {
        Options {
            resolve: self.hosts.iter().map(|host| (host.clone(), self.address)).collect(),
            roots: self.authority.roots().expect("the CA's own certificate"),
            ..Options::default()
        }
    }

    /// The certificate of its CA, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.root_pem()
    }

    /// Makes somebody known.
    pub fn add(&self, credentials: &Credentials, account: &str, arn: &str, user_id: &str) {
        let person = Person {
            credentials: credentials.clone(),
            account: account.to_owned(),
            arn: arn.to_owned(),
            user_id: user_id.to_owned(),
        };
        locked(&self.shared.people).insert(credentials.access_key_id.clone(), person);
    }

    /// Forgets a key: deactivated.
    pub fn remove(&self, key: &AccessKeyId) {
        locked(&self.shared.people).remove(key);
    }

    /// Behaves so from here on.
    pub fn behave(&self, behaviour: Behaviour) {
        *locked(&self.shared.behaviour) = behaviour;
    }

    /// How many requests have arrived.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::SeqCst)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = shared.calls.fetch_add(1, Ordering::SeqCst);
    let behaviour = *locked(&shared.behaviour);
    let role = "arn:aws:sts::111122223333:assumed-role/Admin/mallory";
    match behaviour {
        Behaviour::Honest => judge(&shared, &request),
        Behaviour::ThrottledAtFirst(calls) if call >= calls => judge(&shared, &request),
        Behaviour::ThrottledAtFirst(_) | Behaviour::Throttled400 => error(400, "Throttling", "Rate exceeded"),
        Behaviour::Throttled403 => error(403, "Throttling", "Rate exceeded"),
        Behaviour::Throttled429 => respond(429, "application/json", Body::empty()),
        Behaviour::Denied => error(403, "AccessDenied", "no"),
        Behaviour::Expired => {
            error(403, "ExpiredToken", "The security token included in the request is expired")
        }
        Behaviour::RegionDisabled => {
            error(403, "RegionDisabledException", "STS is not activated in this region")
        }
        Behaviour::ServerError => error(500, "InternalFailure", "oops"),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::SlowBody => respond(200, "application/json", endless()),
        Behaviour::Truncated => respond(200, "application/json", broken()),
        Behaviour::Redirect => redirect(),
        Behaviour::HugeBody => respond(200, "application/json", Body::from(vec![b' '; 1 << 20])),
        Behaviour::BadJson => respond(200, "application/json", Body::from("{\"GetCallerIdentityResponse\":")),
        Behaviour::Xml => respond(200, "text/xml", Body::from("<GetCallerIdentityResponse/>")),
        Behaviour::MixedIdentity => identity("444455556666", role, "AROAMALLORY:mallory"),
        Behaviour::AnotherPrincipal => identity("111122223333", role, "AROAMALLORY:mallory"),
        Behaviour::AnotherPartition => {
            identity("111122223333", "arn:aws-cn:iam::111122223333:user/ana", "AIDAANA")
        }
    }
}

/// What STS does: every part of the signature, over the headers that arrived.
fn judge(shared: &Shared, request: &Request) -> Response {
    let uri = request.uri();
    let mut headers: Vec<(&str, &str)> = Vec::new();
    // Over HTTP/2 the authority is the host.
    let host = uri.authority().map(|authority| authority.as_str());
    headers.extend(host.map(|host| ("host", host)));
    headers.extend(
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
    );
    let signed_host = headers.iter().find(|(name, _)| *name == "host").map_or("", |(_, host)| *host);
    let region = match signed_host.split('.').collect::<Vec<_>>().as_slice() {
        [_, "amazonaws", "com"] => "us-east-1",
        [_, region, ..] => *region,
        _ => "",
    };
    let query = uri.query().unwrap_or_default();
    let as_signed =
        HttpRequest { method: request.method().as_str(), path: uri.path(), query, headers: &headers };
    let expected = Expected::new(region, "sts", shared.clock.now());
    let signed = match SignedRequest::parse(&as_signed, &expected) {
        Ok(signed) => signed,
        Err(SigV4Error::TooOld { .. }) => return error(403, "SignatureDoesNotMatch", "Signature expired: …"),
        Err(SigV4Error::Unsigned) => return error(403, "MissingAuthenticationToken", "unsigned"),
        Err(fault) => return error(400, "IncompleteSignature", &fault.to_string()),
    };
    let Some(person) = locked(&shared.people).get(signed.access_key_id()).cloned() else {
        return error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    };
    let Credentials { secret_access_key, session_token, .. } = &person.credentials;
    if session_token.as_ref().map(|token| token.expose()) != signed.session_token() {
        return error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    }
    let key = SigningKey::derive(secret_access_key, signed.date().day(), region, "sts");
    match signed.verify(&as_signed, &PayloadHash::of(b""), &key) {
        Ok(()) => identity(&person.account, &person.arn, &person.user_id),
        // As AWS does, the message quotes what the caller has signed.
        Err(_) => {
            error(403, "SignatureDoesNotMatch", &format!("The Canonical String should have been '{query}'"))
        }
    }
}

fn identity(account: &str, arn: &str, user_id: &str) -> Response {
    let body = json!({ "GetCallerIdentityResponse": {
        "GetCallerIdentityResult": { "Account": account, "Arn": arn, "UserId": user_id },
        "ResponseMetadata": { "RequestId": "00000000-0000-0000-0000-000000000000" },
    } });
    respond(200, "application/json", Body::from(body.to_string()))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({
        "Error": { "Code": code, "Message": message, "Type": "Sender" },
        "RequestId": "00000000-0000-0000-0000-000000000000",
    });
    respond(status, "application/json", Body::from(body.to_string()))
}

fn redirect() -> Response {
    let mut response = respond(302, "text/html", Body::empty());
    response.headers_mut().insert("location", http::HeaderValue::from_static("https://elsewhere.example/"));
    response
}

fn endless() -> Body {
    use futures::StreamExt as _;
    let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
    Body::from_stream(first.chain(futures::stream::pending()))
}

fn broken() -> Body {
    let parts =
        [Ok(Bytes::from_static(b"{\"GetCallerIdentityResponse\":")), Err(std::io::Error::other("gone"))];
    Body::from_stream(futures::stream::iter(parts))
}

fn respond(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIn({}, {:?})", self.address, self.hosts)
    }
}

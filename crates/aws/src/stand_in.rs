//! AWS for tests: TLS on loopback under AWS's own host names, signatures verified as AWS verifies them, and every
//! misbehaviour on command.
//!
//! It has STS, and of IAM, EC2 and KMS what the hub asks: each in its own wire, each seeing the caller's account alone.

#![allow(
    clippy::expect_used,
    reason = "a stand-in for tests: what fails here has to end the test, and says why"
)]

mod reply;
mod roles;
mod services;
mod web_identity;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use lanyard_iam::sigv4::{Expected, HttpRequest, PayloadHash, SigV4Error, SignedRequest, SigningKey};
use lanyard_iam::{AccessKeyId, Credentials, Partition, SecretAccessKey};
use lanyard_kit::http_client::Options;
use lanyard_kit::serve;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
use lanyard_kit::{Clock, SystemClock};
use time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::KmsKey;
use crate::limits::locked;

use reply::Wire;
pub use web_identity::{StandInKeys, StandInProvider, StandInSubject};
use world::World;
pub use world::{StandInRole, StandInTrust};

/// How the stand-in behaves from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As AWS does.
    Honest,
    /// The first so many calls of a service are throttled, then as AWS does.
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
    /// 200 with half an answer.
    BadJson,
    /// 200 in another language: XML for JSON, JSON for XML.
    Xml,
    /// 200 with an identity whose account, ARN and user id do not agree.
    MixedIdentity,
    /// 200 with somebody, or something, that was not asked about.
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
    world: Mutex<World>,
    behaviour: Mutex<Behaviour>,
    /// In place of the one for all.
    of_service: Mutex<HashMap<Wire, Behaviour>>,
    calls: Mutex<HashMap<Wire, u64>>,
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

    /// Starts as the KMS of a key's region, with that key, and a hub that may use it: these are its credentials.
    pub async fn start_kms(key: &str, alias: Option<&str>) -> (Self, Credentials) {
        let region = KmsKey::parse(key).expect("a key of KMS").region().clone();
        let kms = Self::start(&[&format!("kms.{region}.amazonaws.com")]).await;
        let credentials = Credentials {
            access_key_id: AccessKeyId::parse("AKIAHUBHUBHUBHUBHUBH").expect("an access key id"),
            secret_access_key: SecretAccessKey::new("secret".to_owned()),
            session_token: None,
        };
        kms.add(&credentials, "111122223333", "arn:aws:iam::111122223333:user/hub", "AIDAHUB");
        kms.add_kms_key(key, alias);
        (kms, credentials)
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
            world: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Honest),
            of_service: Mutex::default(),
            calls: Mutex::default(),
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

    /// Makes a user or role that IAM knows, in place of one of the same name.
    pub fn add_principal(&self, arn: &str, id: &str) {
        locked(&self.shared.world).principals.insert(world::key_of(arn), (arn.to_owned(), id.to_owned()));
    }

    /// Deletes a user or role.
    pub fn remove_principal(&self, arn: &str) {
        locked(&self.shared.world).principals.remove(&world::key_of(arn));
    }

    /// Makes an instance profile with a role.
    pub fn add_profile(&self, arn: &str, role: Option<&str>) {
        locked(&self.shared.world).profiles.insert(arn.to_owned(), role.map(str::to_owned));
    }

    /// Starts an instance, which is running and has a name.
    pub fn add_instance(&self, account: &str, region: &str, id: &str, name: &str, profile: Option<&str>) {
        let instance = world::StandInInstance {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
            profile: profile.map(str::to_owned),
            state: "running",
        };
        locked(&self.shared.world).instances.insert(id.to_owned(), instance);
    }

    /// Ends an instance, which is shown for a while longer.
    pub fn terminate_instance(&self, id: &str) {
        if let Some(instance) = locked(&self.shared.world).instances.get_mut(id) {
            instance.state = "terminated";
        }
    }

    /// Makes a key of KMS, and an alias for it.
    pub fn add_kms_key(&self, arn: &str, alias: Option<&str>) {
        let mut world = locked(&self.shared.world);
        world.kms_keys.insert(arn.to_owned(), arn.to_owned());
        if let Some(alias) = alias {
            world.kms_keys.insert(alias.to_owned(), arn.to_owned());
        }
    }

    /// Lets a role be assumed by whoever names this external id; its sessions have these credentials.
    pub fn add_assumable(&self, role_arn: &str, external_id: Option<&str>, session: &Credentials) {
        let trust = external_id.map_or(StandInTrust::Anyone, |id| StandInTrust::ExternalId(id.to_owned()));
        self.add_role(role_arn, StandInRole::new(session).trusting(trust));
    }

    /// Makes a role that can be assumed, in place of one of this ARN.
    pub fn add_role(&self, role_arn: &str, role: StandInRole) {
        locked(&self.shared.world).assumable.insert(role_arn.to_owned(), role);
    }

    /// Makes an OIDC provider of an account, in place of the one for the same issuer.
    pub fn add_provider(&self, provider: StandInProvider) {
        let mut world = locked(&self.shared.world);
        world
            .providers
            .retain(|of| (&of.account, &of.issuer_url) != (&provider.account, &provider.issuer_url));
        world.providers.push(provider);
    }

    /// What has been asked of roles so far, each with all parameters.
    pub fn assumed(&self) -> Vec<BTreeMap<String, String>> {
        locked(&self.shared.world).assumed.clone()
    }

    /// Lets nobody do this any more (`ec2:DescribeInstances`).
    pub fn deny(&self, action: &str) {
        locked(&self.shared.world).denied.insert(action.to_owned());
    }

    /// Lets everybody do it again.
    pub fn permit(&self, action: &str) {
        locked(&self.shared.world).denied.remove(action);
    }

    /// Behaves so from here on, whatever is asked.
    pub fn behave(&self, behaviour: Behaviour) {
        locked(&self.shared.of_service).clear();
        *locked(&self.shared.behaviour) = behaviour;
    }

    /// One service (`sts`, `iam`, `ec2`, `kms`) behaves so from here on.
    pub fn behave_at(&self, service: &str, behaviour: Behaviour) {
        locked(&self.shared.of_service).insert(Wire::of_service(service), behaviour);
    }

    /// How many requests have arrived.
    pub fn calls(&self) -> u64 {
        locked(&self.shared.calls).values().sum()
    }

    /// How many requests have arrived for one service.
    pub fn calls_of(&self, service: &str) -> u64 {
        locked(&self.shared.calls).get(&Wire::of_service(service)).copied().unwrap_or_default()
    }
}

/// A request, read whole.
struct Asked {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Asked {
    async fn read(request: Request) -> Self {
        const BODY_BYTES_MAX: usize = 1 << 20;
        let (parts, body) = request.into_parts();
        let mut headers: Vec<(String, String)> = Vec::new();
        // Over HTTP/2 the authority is the host.
        headers.extend(parts.uri.authority().map(|host| ("host".to_owned(), host.to_string())));
        let sent = parts.headers.iter();
        headers.extend(
            sent.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))),
        );
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers,
            body: axum::body::to_bytes(body, BODY_BYTES_MAX).await.expect("a whole body"),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value)
    }

    /// The service that the host is of, and the region that requests to it sign.
    fn place(&self) -> (Wire, String) {
        let host = self.header("host");
        let labels: Vec<&str> = host.split('.').collect();
        let wire = Wire::of_service(labels.first().copied().unwrap_or_default());
        let iam = Partition::ALL.into_iter().map(Partition::iam_endpoint).find(|(of, _)| *of == host);
        let region = match (iam, labels.as_slice()) {
            (Some((_, region)), _) => region,
            (None, [_, "amazonaws", "com"]) => "us-east-1",
            (None, [_, region, ..]) => region,
            (None, _) => "",
        };
        (wire, region.to_owned())
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = Asked::read(request).await;
    let (wire, region) = asked.place();
    let call = {
        let mut calls = locked(&shared.calls);
        let count = calls.entry(wire).or_default();
        *count += 1;
        *count - 1
    };
    let of_service = locked(&shared.of_service).get(&wire).copied();
    let behaviour = of_service.unwrap_or_else(|| *locked(&shared.behaviour));
    match behaviour {
        Behaviour::Honest => judge(&shared, &asked, wire, &region),
        Behaviour::ThrottledAtFirst(calls) if call >= calls => judge(&shared, &asked, wire, &region),
        Behaviour::Hang => std::future::pending().await,
        other => reply::misbehave(wire, other),
    }
}

/// What AWS does: every part of the signature, over the headers and the body that arrived.
fn judge(shared: &Shared, asked: &Asked, wire: Wire, region: &str) -> Response {
    if let Some(answer) = services::unsigned(shared, asked, wire) {
        return answer;
    }
    let headers: Vec<(&str, &str)> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let as_signed =
        HttpRequest { method: &asked.method, path: &asked.path, query: &asked.query, headers: &headers };
    let service = wire.service();
    // STS does not look at the lifetime that a presigned request gives itself.
    let expected = Expected {
        presign_age_max: Some(Duration::minutes(15)),
        ..Expected::new(region, service, shared.clock.now())
    };
    let error = |status, code, message: &str| reply::error(wire, status, code, message);
    let signed = match SignedRequest::parse(&as_signed, &expected) {
        Ok(signed) => signed,
        Err(SigV4Error::TooOld { .. }) => return error(403, "SignatureDoesNotMatch", "Signature expired: …"),
        Err(SigV4Error::Unsigned) => return error(403, "MissingAuthenticationToken", "unsigned"),
        Err(fault) => return error(400, "IncompleteSignature", &fault.to_string()),
    };
    let unknown = "The security token included in the request is invalid.";
    let Some(person) = locked(&shared.people).get(signed.access_key_id()).cloned() else {
        return error(403, "InvalidClientTokenId", unknown);
    };
    let Credentials { secret_access_key, session_token, .. } = &person.credentials;
    if session_token.as_ref().map(|token| token.expose()) != signed.session_token() {
        return error(403, "InvalidClientTokenId", unknown);
    }
    let key = SigningKey::derive(secret_access_key, signed.date().day(), region, service);
    match signed.verify(&as_signed, &PayloadHash::of(&asked.body), &key) {
        Ok(()) => services::answer(shared, asked, wire, region, &person),
        // As AWS does, the message quotes what the caller has signed.
        Err(_) => {
            let message = format!("The Canonical String should have been '{}'", asked.query);
            error(403, "SignatureDoesNotMatch", &message)
        }
    }
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIn({}, {:?})", self.address, self.hosts)
    }
}

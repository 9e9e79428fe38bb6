//! What vending reads: the body of EKS Auth's one operation, and what the token in it claims of a pod.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lanyard_api::aws_wire::{Caller, HttpCall, KnownCluster, Service, find};
use lanyard_api::credentials::POD_IDENTITY_AUDIENCE;
use lanyard_api::mapping::AuthenticationMode;
use lanyard_oidc::{IssuerKeyPair, Jwks, ServiceAccountRefusal, ServiceAccountToken};
use lanyard_proto::credentials::v1::AssumeRoleForPodIdentityRequest;
use prost::Message as _;
use serde_json::{Map, Value};

use super::{NOW, promise};

const ISSUER: &str = "https://issuer.example/dev";

/// The key of the cluster's issuer, made anew each time: no input is signed by it.
static KEY: LazyLock<Option<(IssuerKeyPair, Jwks)>> = LazyLock::new(|| {
    let pair = IssuerKeyPair::generate().ok()?;
    let jwks = Jwks::parse(format!("{{\"keys\":[{}]}}", pair.jwk()).as_bytes()).ok()?;
    Some((pair, jwks))
});

/// A request for the cluster `dev`. Its token is refused as it came, for nobody signed it; then its claims are signed by the cluster's
/// key and judged: what is accepted is one ServiceAccount's pod on one node, now.
pub fn vending(input: &[u8]) -> bool {
    let Some((pair, jwks)) = &*KEY else { panic!("there is no key") };
    let Some(AssumeRoleForPodIdentityRequest { cluster, token, .. }) = read(input) else { return false };
    assert_eq!(cluster, "dev-7", "another cluster than was named");
    let judged = |raw: &str| ServiceAccountToken::verify(raw, ISSUER, jwks, POD_IDENTITY_AUDIENCE, NOW);
    match judged(&token) {
        Err(refusal) => refused(&refusal, &token),
        Ok(pod) => panic!("a token that nobody signed proves {pod:?}"),
    }
    let Some(claims) = claims(&token) else { return false };
    let Ok(signed) = pair.sign(&claims) else { return false };
    let pod = match judged(&signed) {
        Ok(pod) => pod,
        Err(refusal) => {
            refused(&refusal, &signed);
            return false;
        }
    };
    assert!(pod.expires_at > NOW, "a token whose time is over");
    let subject = format!("system:serviceaccount:{}:{}", pod.namespace, pod.service_account.name);
    assert_eq!(claims.get("sub").and_then(Value::as_str), Some(&*subject), "the subject of another one");
    for text in [&pod.namespace, &pod.service_account.name, &pod.pod.name, &pod.node.name] {
        let is_of_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        assert!(!text.is_empty() && text.bytes().all(is_of_name), "no name of Kubernetes: {text:?}");
    }
    for uid in [&pod.service_account.uid, &pod.pod.uid, &pod.node.uid] {
        let is_of_uid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        assert!(
            !uid.is_empty() && uid.bytes().all(is_of_uid),
            "a uid that no session tag could hold: {uid:?}"
        );
    }
    true
}

/// The message that a body of the wire is.
fn read(body: &[u8]) -> Option<AssumeRoleForPodIdentityRequest> {
    let cluster = |name: &str| {
        let id = "dev-7".parse().ok().filter(|_| name == "dev")?;
        Some(KnownCluster { id, mode: AuthenticationMode::Api })
    };
    let caller = Caller {
        principal: "111122223333/AROAAAAAAAAAAAAAAAAAA:i-0123456789abcdef0",
        user_name: None,
        region: "us-east-1",
        cluster: &cluster,
        page_secrets: &[[7_u8; 32].into()],
    };
    let path = "/clusters/dev/assume-role-for-pod-identity";
    let call = HttpCall { method: "POST", path, query: "", body };
    match find(Service::EksAuth, &call).and_then(|found| found.read(&caller)) {
        Ok(asked) => match AssumeRoleForPodIdentityRequest::decode(asked.message) {
            Ok(message) => Some(message),
            Err(error) => panic!("a message that its method does not read: {error}"),
        },
        Err(error) => {
            assert!((400..500).contains(&error.status), "a request is the client's affair: {error}");
            promise::is_one_bounded_line(&error.message);
            None
        }
    }
}

fn claims(token: &str) -> Option<Map<String, Value>> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn refused(refusal: &ServiceAccountRefusal, raw: &str) {
    let message = refusal.to_string();
    promise::is_one_bounded_line(&message);
    promise::is_reason_code(refusal.code());
    promise::gives_nothing_away(&message, raw);
}

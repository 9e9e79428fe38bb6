use std::sync::Arc;

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::json;
use time::{Duration, macros::datetime};

use super::*;
use crate::CLOCK_LEEWAY;
use crate::stand_in::{SigningKey, encode, signing_input};
use crate::test_keys::key;

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const ISSUER: &str = "https://oidc.example/id/dev";
const AUDIENCE: &str = "pods.eks.amazonaws.com";

fn pod_key() -> Arc<SigningKey> {
    key(Algorithm::Es256, "k")
}

/// A token's claims as kube-apiserver 1.33 writes them for a projected volume.
fn claims() -> Value {
    let now = NOON.unix_timestamp();
    json!({
        "aud": [AUDIENCE], "exp": now + 86_400, "iat": now, "iss": ISSUER, "jti": "c3d7a6d2-0d3c-4f27-8f6b-3c1b8b9a8f51",
        "kubernetes.io": {
            "namespace": "team-a",
            "node": {"name": "ip-10-0-0-7.ec2.internal", "uid": "6f5f0d3a-6f0e-4a3b-9a55-0f3d3b0d6e2c"},
            "pod": {"name": "web-7d4b9c-x2x5p", "uid": "2c5b5a0e-5a49-4d9c-8f0c-c1f8a5d0c4b7"},
            "serviceaccount": {"name": "bot", "uid": "0b8e9c2d-1d1f-4a6e-8b3e-5f6a7b8c9d0e"},
        },
        "nbf": now, "sub": "system:serviceaccount:team-a:bot",
    })
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims();
    change(&mut claims);
    claims
}

fn jwks(keys: &[&SigningKey]) -> Jwks {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn answer(raw: &str, keys: &Jwks) -> Result<ServiceAccountToken, ServiceAccountRefusal> {
    ServiceAccountToken::verify(raw, ISSUER, keys, AUDIENCE, NOON)
}

fn code(raw: &str, keys: &Jwks) -> &'static str {
    answer(raw, keys).map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[test]
fn a_projected_token_proves_its_pod_and_node_by_each_algorithm_of_an_api_server() {
    for algorithm in ALGORITHMS {
        let own = key(algorithm, "k");
        let proven = answer(&own.mint(&claims()), &jwks(&[&own])).unwrap();
        let object = |name: &str, uid: &str| BoundObject { name: name.to_owned(), uid: uid.to_owned() };
        let expected = ServiceAccountToken {
            namespace: "team-a".to_owned(),
            service_account: object("bot", "0b8e9c2d-1d1f-4a6e-8b3e-5f6a7b8c9d0e"),
            pod: object("web-7d4b9c-x2x5p", "2c5b5a0e-5a49-4d9c-8f0c-c1f8a5d0c4b7"),
            node: object("ip-10-0-0-7.ec2.internal", "6f5f0d3a-6f0e-4a3b-9a55-0f3d3b0d6e2c"),
            expires_at: NOON + Duration::DAY,
        };
        assert_eq!(proven, expected, "{algorithm}");
    }
    // An audience alone may stand without a list.
    let own = pod_key();
    assert_eq!(code(&own.mint(&with(|claims| claims["aud"] = AUDIENCE.into())), &jwks(&[&own])), "ok");
}

#[test]
fn each_rule_that_a_token_breaks_has_its_own_refusal() {
    let now = NOON.unix_timestamp();
    let leeway = CLOCK_LEEWAY.whole_seconds();
    let own = pod_key();
    let keys = jwks(&[&own]);
    let set = |path: &'static str, value: Value| with(|claims| *claims.pointer_mut(path).unwrap() = value);
    let without = |path: &'static str, member: &'static str| {
        with(|claims| drop(claims.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(member)))
    };
    let cases = [
        ("another cluster's issuer", set("/iss", json!("https://oidc.example/id/prod")), "issuer"),
        ("a slash more", set("/iss", json!(format!("{ISSUER}/"))), "issuer"),
        ("another audience", set("/aud", json!(["sts.amazonaws.com"])), "audience"),
        ("an audience that begins alike", set("/aud", json!([format!("{AUDIENCE}.example")])), "audience"),
        ("another letter case", set("/aud", json!(["Pods.eks.amazonaws.com"])), "audience"),
        ("one audience more", set("/aud", json!([AUDIENCE, "vault"])), "several_audiences"),
        ("twice the same audience", set("/aud", json!([AUDIENCE, AUDIENCE])), "several_audiences"),
        ("expired", set("/exp", json!(now)), "token_expired"),
        ("no end", without("", "exp"), "claim_missing"),
        ("not yet", set("/nbf", json!(now + leeway + 1)), "token_not_yet_valid"),
        ("within the leeway", set("/nbf", json!(now + leeway)), "ok"),
        ("issued in time to come", set("/iat", json!(now + leeway + 1)), "token_from_future"),
        ("a user of another issuer", without("", "kubernetes.io"), "not_of_kubernetes"),
        ("a list", set("/kubernetes.io", json!([])), "not_of_kubernetes"),
        ("no ServiceAccount", without("/kubernetes.io", "serviceaccount"), "not_of_kubernetes"),
        ("a Secret's token, or one by TokenRequest", without("/kubernetes.io", "pod"), "token_unbound"),
        ("no node", without("/kubernetes.io", "node"), "token_unbound"),
        ("a node that is null", set("/kubernetes.io/node", Value::Null), "token_unbound"),
        ("a node without a uid", without("/kubernetes.io/node", "uid"), "kubernetes_claim"),
        ("a pod without a name", set("/kubernetes.io/pod/name", json!("")), "kubernetes_claim"),
        ("a pod that is text", set("/kubernetes.io/pod", json!("web")), "kubernetes_claim"),
        ("a name with a wildcard", set("/kubernetes.io/pod/name", json!("*")), "kubernetes_claim"),
        ("a uid with a blank", set("/kubernetes.io/pod/uid", json!("a b")), "kubernetes_claim"),
        ("a namespace with a dot", set("/kubernetes.io/namespace", json!("team.a")), "kubernetes_claim"),
        ("another namespace", set("/kubernetes.io/namespace", json!("team-b")), "subject_mismatch"),
        ("another name", set("/kubernetes.io/serviceaccount/name", json!("bot2")), "subject_mismatch"),
    ];
    for (what, claims, expected) in cases {
        assert_eq!(code(&own.mint(&claims), &keys), expected, "{what}");
    }
}

#[test]
fn immunity_10_no_subject_is_another_ones_by_its_beginning_or_its_colons() {
    let own = pod_key();
    let keys = jwks(&[&own]);
    let subjects = [
        "system:serviceaccount:team-a:bot2",
        "system:serviceaccount:team-a:bo",
        "system:serviceaccount:team-a:*",
        "system:serviceaccount:team-a:bot:x",
        "system:serviceaccount:team-a",
        "system:serviceaccounts:team-a:bot",
        "System:ServiceAccount:team-a:bot",
        " system:serviceaccount:team-a:bot",
        "system:node:team-a:bot",
        "bot",
    ];
    for subject in subjects {
        let raw = own.mint(&with(|claims| claims["sub"] = subject.into()));
        assert_eq!(code(&raw, &keys), "subject_mismatch", "{subject}");
    }
    // A colon in a name would make one subject of two ServiceAccounts.
    for (namespace, name) in [("team-a:bot", "x"), ("team-a", "bot:x")] {
        let raw = own.mint(&with(|claims| {
            claims["sub"] = "system:serviceaccount:team-a:bot:x".into();
            claims["kubernetes.io"]["namespace"] = namespace.into();
            claims["kubernetes.io"]["serviceaccount"]["name"] = name.into();
        }));
        assert_eq!(code(&raw, &keys), "kubernetes_claim", "{namespace} {name}");
    }
}

#[test]
fn immunity_10_a_pods_token_is_signed_by_a_key_of_its_cluster_and_in_no_other_way() {
    let (own, other) = (key(Algorithm::Rs256, "k"), key(Algorithm::Es256, "k"));
    let keys = jwks(&[&own]);
    assert_eq!(code(&own.mint(&claims()), &keys), "ok");
    assert_eq!(code(&other.mint(&claims()), &keys), "key_algorithm", "the key has the algorithm");
    let stranger = key(Algorithm::Es256, "of-another-cluster");
    assert_eq!(code(&stranger.mint(&claims()), &keys), "unknown_key");
    assert_eq!(code(&other.mint(&claims()), &jwks(&[&key(Algorithm::Es256, "k")])), "jwt_signature");
    let unsigned = signing_input(&json!({"alg": "none"}), &claims());
    assert_eq!(code(&format!("{unsigned}."), &keys), "jwt_unsigned");
    let input = signing_input(&json!({"alg": "HS256", "kid": "k"}), &claims());
    for secret in [own.jwk().to_string(), own.jwk()["n"].as_str().unwrap().to_owned()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
        assert_eq!(code(&format!("{input}.{}", encode(tag.as_ref())), &keys), "jwt_symmetric");
    }
    // Algorithms that no API server has, though the key set might.
    for algorithm in [Algorithm::Ps256, Algorithm::EdDsa] {
        let signer = key(algorithm, "k");
        assert_eq!(
            code(&signer.mint(&claims()), &jwks(&[&signer])),
            "jwt_algorithm_not_allowed",
            "{algorithm}"
        );
    }
}

#[test]
fn a_refusal_shows_no_more_of_a_token_than_the_beginning_of_a_value() {
    let own = pod_key();
    let long = format!("system:serviceaccount:{}", "x".repeat(200));
    let raw = own.mint(&with(|claims| claims["sub"] = long.as_str().into()));
    let text = answer(&raw, &jwks(&[&own])).unwrap_err().to_string();
    assert!(!text.contains(&long) && text.len() < 300, "{text}");
}

proptest! {
    #[test]
    fn whoever_a_token_names_is_whom_it_proves(
        namespace in "[a-z]([-a-z0-9]{0,20}[a-z0-9])?",
        name in "[a-z]([-a-z0-9]{0,10}[a-z0-9])?(\\.[a-z0-9]{1,5}){0,2}",
        pod in "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?",
        uid in "[0-9a-f]{8}-[0-9a-f]{12}",
    ) {
        let own = pod_key();
        let raw = own.mint(&with(|claims| {
            claims["sub"] = format!("system:serviceaccount:{namespace}:{name}").into();
            claims["kubernetes.io"]["namespace"] = namespace.as_str().into();
            claims["kubernetes.io"]["serviceaccount"]["name"] = name.as_str().into();
            claims["kubernetes.io"]["pod"] = json!({"name": pod, "uid": uid});
        }));
        let proven = answer(&raw, &jwks(&[&own])).unwrap();
        prop_assert_eq!((proven.namespace, proven.service_account.name), (namespace, name));
        prop_assert_eq!((proven.pod.name, proven.pod.uid), (pod, uid));
    }

    #[test]
    fn names_that_no_object_has_prove_nothing(text in "\\PC{0,40}", part in 0_usize..5) {
        let path = [
            "/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name", "/kubernetes.io/pod/name",
            "/kubernetes.io/pod/uid", "/kubernetes.io/node/name",
        ][part];
        let own = pod_key();
        let raw = own.mint(&with(|claims| *claims.pointer_mut(path).unwrap() = text.as_str().into()));
        let is_good = if path.ends_with("uid") { is_uid(&text) } else { is_name(&text) };
        // Namespace and name stand in the subject too, which says another here.
        let names_another = part < 2;
        prop_assert_eq!(answer(&raw, &jwks(&[&own])).is_ok(), is_good && !names_another);
    }

    #[test]
    fn any_text_is_proven_or_refused(raw in "\\PC{0,200}") {
        prop_assert!(answer(&raw, &jwks(&[&pod_key()])).is_err());
    }
}

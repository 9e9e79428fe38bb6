//! Attacks on a token's way in, each named after its row in the list of attacks; others lie beside the code that they attack.

use std::sync::Arc;

use aws_lc_rs::hmac;
use lanyard_kit::TestClock;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::fault::Document;
use crate::stand_in::{Behaviour, SigningKey, StandIn, encode, signing_input};
use crate::test_keys::key;
use crate::{Algorithm, Algorithms, Expected, Issuer, IssuerOptions, Jwks, Jwt, JwtAnswer, Provider, verify};

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const ISSUER: &str = "https://issuer.example";

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "ana", "aud": "kubernetes", "exp": NOON.unix_timestamp() + 600})
}

fn code(raw: &str, keys: &[Value]) -> &'static str {
    let keys = Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let expected = Expected { issuer: ISSUER, audiences: &["kubernetes"], algorithms: Algorithms::all() };
    let verified = Jwt::parse(raw).and_then(|jwt| verify(jwt, &keys, &expected, NOON));
    verified.map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[test]
fn immunity_10_a_public_key_is_nobodys_hmac_secret() {
    let rsa = key(Algorithm::Rs256, "r");
    let jwk = rsa.jwk();
    let header = json!({"alg": "HS256", "kid": "r", "typ": "JWT"});
    let input = signing_input(&header, &claims());
    // Each form in which a library might have taken the public key for the secret.
    let secrets = [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned(), String::new()];
    for secret in secrets {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
        let raw = format!("{input}.{}", encode(tag.as_ref()));
        assert_eq!(code(&raw, std::slice::from_ref(&jwk)), "jwt_symmetric");
        // Even if the issuer were to publish the secret as a key.
        let shared = json!({"kty": "oct", "kid": "r", "k": encode(secret.as_bytes()), "alg": "HS256"});
        assert_eq!(code(&raw, &[shared]), "jwt_symmetric");
    }
}

#[test]
fn immunity_10_a_token_does_not_choose_its_algorithm() {
    let keys = [key(Algorithm::Es256, "k"), key(Algorithm::Rs256, "k"), key(Algorithm::EdDsa, "k")];
    for own in &keys {
        for claimed in Algorithm::ALL {
            let header = json!({"alg": claimed.as_str(), "kid": "k"});
            let raw = own.mint_with(&header, &claims());
            let expected = if claimed == own.algorithm() { "ok" } else { "key_algorithm" };
            assert_eq!(code(&raw, &[own.jwk()]), expected, "{own:?} as {claimed}");
        }
    }
    // With keys for several algorithms under one id, the header decides only which of them is tried.
    let all: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    for own in &keys {
        for claimed in &keys {
            let header = json!({"alg": claimed.algorithm().as_str(), "kid": "k"});
            let raw = own.mint_with(&header, &claims());
            let expected = if own.algorithm() == claimed.algorithm() { "ok" } else { "jwt_signature" };
            assert_eq!(code(&raw, &all), expected, "{own:?} as {claimed:?}");
        }
    }
}

#[test]
fn immunity_10_an_unsigned_token_is_refused_in_every_dress() {
    let rsa = key(Algorithm::Rs256, "r");
    for (alg, expected) in [("none", "jwt_unsigned"), ("nOnE", "jwt_unsigned"), ("RS256", "jwt_signature")] {
        let input = signing_input(&json!({"alg": alg, "kid": "r"}), &claims());
        assert_eq!(code(&format!("{input}."), &[rsa.jwk()]), expected, "{alg}");
    }
}

#[test]
fn immunity_10_a_changed_token_is_refused_wherever_it_is_changed() {
    let ec = key(Algorithm::Es256, "e");
    let raw = ec.mint(&claims());
    assert_eq!(code(&raw, &[ec.jwk()]), "ok");
    for at in 0..raw.len() {
        let mut changed = raw.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_ne!(code(&changed, &[ec.jwk()]), "ok", "at {at}");
    }
}

#[test]
fn immunity_26_keys_that_a_token_brings_along_are_not_looked_at() {
    let (own, forger) = (key(Algorithm::Es256, "own"), SigningKey::generate(Algorithm::Es256, "forged"));
    let along = json!({
        "alg": "ES256", "jwk": forger.jwk(), "jku": "https://evil.example/keys", "x5u": "https://evil.example/x5u",
        "x5c": ["MIIB"],
    });
    let with = |kid: Option<&str>| {
        let mut header = along.clone();
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        forger.mint_with(&header, &claims())
    };
    for (kid, expected) in
        [(Some("own"), "jwt_signature"), (Some("forged"), "unknown_key"), (None, "jwt_signature")]
    {
        assert_eq!(code(&with(kid), &[own.jwk()]), expected, "{kid:?}");
    }
}

fn provider(options: IssuerOptions) -> Provider {
    Provider::new(Issuer::new(options).unwrap(), Arc::new(TestClock::new(NOON))).unwrap()
}

#[tokio::test]
async fn immunity_26_nothing_is_fetched_from_where_a_token_says() {
    let (stand_in, evil) = (StandIn::start("").await, StandIn::start("").await);
    let (evil_keys, ours) = (format!("{}/keys", evil.issuer()), provider(stand_in.options()));
    let header = json!({
        "alg": "ES256", "kid": "forged", "jku": evil_keys, "x5u": evil_keys, "iss": evil.issuer(),
    });
    let forger = evil.add_key(Algorithm::Es256, "forged");
    let mut claims = claims();
    claims["iss"] = stand_in.issuer().into();
    let raw = forger.mint_with(&header, &claims);
    let refused = ours.verify(Jwt::parse(&raw).unwrap(), &["kubernetes"]).await.unwrap();
    assert!(
        matches!(&refused, JwtAnswer::Refused(refusal) if refusal.code() == "unknown_key"),
        "{refused:?}"
    );
    claims["iss"] = evil.issuer().into();
    let of_other = forger.mint(&claims);
    let refused = ours.verify(Jwt::parse(&of_other).unwrap(), &["kubernetes"]).await.unwrap();
    assert!(matches!(&refused, JwtAnswer::Refused(refusal) if refusal.code() == "issuer"), "{refused:?}");
    let calls = [Document::Discovery, Document::Keys].map(|document| evil.calls_of(document));
    assert_eq!((calls, evil.stray_calls()), ([0, 0], 0));
}

#[tokio::test]
async fn immunity_26_a_redirect_of_an_issuer_is_not_followed() {
    let stand_in = StandIn::start("").await;
    let elsewhere = StandIn::start("").await;
    let to = [
        format!("{}/keys", elsewhere.issuer()),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/".to_owned(),
        format!("{}/keys", stand_in.issuer()),
    ];
    for to in to {
        for document in [Document::Discovery, Document::Keys] {
            stand_in.behave(Behaviour::Honest);
            stand_in.behave_at(document, Behaviour::Redirect(to.clone()));
            let fault = provider(stand_in.options()).refresh().await.unwrap_err();
            assert!(fault.to_string().contains("redirect"), "{to}: {fault}");
            assert_eq!(fault.code(), "issuer_redirects", "{to}");
        }
    }
    assert_eq!(elsewhere.calls_of(Document::Keys) + elsewhere.stray_calls(), 0);
}

#[tokio::test]
async fn immunity_26_keys_at_a_private_address_are_not_fetched_unless_the_host_is_allowed() {
    let stand_in = StandIn::start("").await;
    let port = stand_in.address().port();
    let loopback = format!("https://localhost:{port}/keys");
    let refused = [
        loopback.as_str(),
        "https://10.0.0.1/keys",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://2130706434/", // 127.0.0.2 as one number
        "https://[::ffff:127.0.0.2]/",
    ];
    for url in refused {
        stand_in.set_keys_url(url);
        let fault = provider(stand_in.options()).refresh().await.unwrap_err();
        assert!(fault.to_string().contains("no public address"), "{url}: {fault}");
        assert_eq!(fault.code(), "issuer_address_refused", "{url}");
    }
    for url in ["http://127.0.0.1/keys", "file:///etc/passwd", "https://user@127.0.0.1/keys"] {
        stand_in.set_keys_url(url);
        assert_eq!(
            provider(stand_in.options()).refresh().await.unwrap_err().code(),
            "issuer_keys_url",
            "{url}"
        );
    }
    assert_eq!(stand_in.calls_of(Document::Keys), 0);
    stand_in.set_keys_url(&loopback);
    let mut allowed = stand_in.options();
    allowed.private_hosts.push("LocalHost".to_owned());
    assert_eq!(provider(allowed).refresh().await, Ok(()));
    assert_eq!(stand_in.calls_of(Document::Keys), 1);
}

#[tokio::test]
async fn immunity_26_an_issuer_at_a_private_address_is_not_called_unless_it_is_allowed() {
    let stand_in = StandIn::start("").await;
    let mut options = stand_in.options();
    options.private_hosts.clear();
    let fault = provider(options).refresh().await.unwrap_err();
    assert!(fault.to_string().contains("no public address"), "{fault}");
    assert_eq!(fault.code(), "issuer_address_refused");
    assert_eq!(stand_in.calls_of(Document::Discovery), 0);
}

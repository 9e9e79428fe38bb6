//! Tokens in the shapes of the issuers that people have, each made by the stand-in under that issuer's own name and found by
//! real discovery; and tokens made by a signer of another make.

use std::sync::Arc;

use lanyard_kit::TestClock;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::claims::Claims;
use crate::refusal::JwtRefusal;
use crate::stand_in::{SigningKey, StandIn};
use crate::test_keys::key;
use crate::{
    Algorithm, Algorithms, EmailVerified, Expected, Issuer, IssuerOptions, Jwks, Jwt, JwtAnswer, Provider,
    verify,
};

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

/// An issuer by its own name, with RS256 as all of these have it.
struct Vector {
    stand_in: StandIn,
    provider: Provider,
    key: Arc<SigningKey>,
}

impl Vector {
    async fn new(issuer: &str, hosts: &[&str], keys_url: &str) -> Self {
        let stand_in = StandIn::start_as(issuer, hosts).await;
        let key = key(Algorithm::Rs256, "f5d2c3");
        stand_in.add(&key);
        stand_in.set_keys_url(keys_url);
        let pem = Some(stand_in.ca_pem().to_owned());
        let options = IssuerOptions { ca_bundle_pem: pem, ..IssuerOptions::new(issuer) };
        let configured = Issuer::new(options).unwrap();
        let http = stand_in.http_options(&configured);
        let provider = Provider::with_http(configured, http, Arc::new(TestClock::new(NOON))).unwrap();
        Self { stand_in, provider, key }
    }

    /// With the header as the issuer writes it, and its own claims beside the times that all have.
    async fn answer(&self, header: Value, claims: Value, audience: &str) -> JwtAnswer {
        let now = NOON.unix_timestamp();
        let mut all = json!({"iss": self.stand_in.issuer(), "iat": now - 5, "exp": now + 3600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut whole = json!({"alg": "RS256", "kid": self.key.kid()});
        whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        let raw = self.key.mint_with(&whole, &all);
        self.provider.verify(Jwt::parse(&raw).unwrap(), &[audience]).await.unwrap()
    }

    async fn claims(&self, header: Value, claims: Value, audience: &str) -> Claims {
        match self.answer(header, claims, audience).await {
            JwtAnswer::Verified(claims) => *claims,
            JwtAnswer::Refused(refusal) => panic!("{refusal}"),
        }
    }
}

#[tokio::test]
async fn okta() {
    let issuer = "https://dev-1.okta.example/oauth2/default";
    let vector = Vector::new(issuer, &["dev-1.okta.example"], "https://dev-1.okta.example/keys").await;
    let of_ana = json!({
        "ver": 1, "jti": "ID.4eAWJOCMB3SX8XewDfVR", "sub": "00uid4BxXw6I6TV4m0g3", "aud": "0oa1client",
        "amr": ["pwd"], "idp": "00o1", "name": "Ana", "email": "ana@example.com", "email_verified": true,
        "preferred_username": "ana@example.com", "auth_time": NOON.unix_timestamp() - 60, "at_hash": "cpqKfdQA5eH891Ff5oJr_Q",
        "groups": ["Everyone", "platform-admins"],
    });
    let claims = vector.claims(json!({}), of_ana, "0oa1client").await;
    assert_eq!(claims.subject(), "00uid4BxXw6I6TV4m0g3");
    assert_eq!(claims.texts("groups"), Ok(Some(vec!["Everyone", "platform-admins"])));
    assert_eq!(claims.email(EmailVerified::Required), Ok("ana@example.com"));
}

#[tokio::test]
async fn entra_id() {
    let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let issuer = format!("https://login.microsoftonline.example/{tenant}/v2.0");
    let host = "login.microsoftonline.example";
    let vector = Vector::new(&issuer, &[host], &format!("https://{host}/keys")).await;
    let of_ana = json!({
        "aud": "6cb04018-a3f5-46a7-b995-940c78f5aef3", "nbf": NOON.unix_timestamp() - 5, "tid": tenant, "ver": "2.0",
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
        "preferred_username": "ana@example.com", "email": "ana@example.com", "name": "Ana", "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "groups": ["7b8e23f5-8a1e-4d73-ae2f-8a3f0c9dd3e1"], "rh": "0.AX0", "aio": "Df2U",
    });
    let header = json!({"typ": "JWT", "x5t": "f5d2c3"});
    let audience = "6cb04018-a3f5-46a7-b995-940c78f5aef3";
    let claims = vector.claims(header.clone(), of_ana.clone(), audience).await;
    assert_eq!(claims.text("oid"), Ok(Some("00000000-0000-0000-66f3-3332eca7ea81")));
    assert_eq!(claims.texts("groups"), Ok(Some(vec!["7b8e23f5-8a1e-4d73-ae2f-8a3f0c9dd3e1"])));
    assert_eq!(claims.email(EmailVerified::Required), Err(JwtRefusal::EmailVerifiedMissing));
    assert_eq!(claims.email(EmailVerified::MayBeAbsent), Ok("ana@example.com"));
    assert_eq!(claims.require("tid", tenant), Ok(()));
    // Who is in more groups than a token has room for.
    let mut overage = of_ana.clone();
    overage["groups"] = Value::Null;
    overage["_claim_names"] = json!({"groups": "src1"});
    overage["_claim_sources"] = json!({"src1": {"endpoint": "https://graph.example/ana/getMemberObjects"}});
    let claims = vector.claims(header.clone(), overage, audience).await;
    assert_eq!(claims.texts("groups"), Ok(None));
    assert!(claims.has_member("_claim_names", "groups") && !claims.has_member("_claim_names", "wids"));
    assert!(!claims.has_member("tid", "groups") && !claims.has_member("groups", "groups"));
    let mut of_other = of_ana;
    of_other["iss"] =
        "https://login.microsoftonline.example/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0".into();
    let refused = vector.answer(header, of_other, audience).await;
    assert!(
        matches!(&refused, JwtAnswer::Refused(JwtRefusal::Issuer { .. })),
        "another tenant is another issuer, though it has the same keys: {refused:?}"
    );
}

#[tokio::test]
async fn google() {
    let hosts = ["accounts.google.example", "www.googleapis.example"];
    let vector =
        Vector::new("https://accounts.google.example", &hosts, "https://www.googleapis.example/keys").await;
    vector.stand_in.set_cache_control("public, max-age=19845, must-revalidate, no-transform");
    let of_ana = json!({
        "azp": "android.apps.example", "aud": "web.apps.example", "sub": "110169484474386276334", "hd": "example.com",
        "email": "ana@example.com", "email_verified": true, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
    });
    let claims = vector.claims(json!({"typ": "JWT"}), of_ana, "web.apps.example").await;
    assert_eq!(claims.require("hd", "example.com"), Ok(()));
    assert_eq!(claims.email(EmailVerified::Required), Ok("ana@example.com"));
    let status = vector.provider.status();
    assert_eq!(status.fresh_until, Some(NOON + time::Duration::seconds(19_845)));
}

#[tokio::test]
async fn keycloak() {
    let issuer = "https://keycloak.example/realms/main";
    let vector = Vector::new(issuer, &["keycloak.example"], "https://keycloak.example/keys").await;
    // A key for encryption stands beside those for signatures.
    let mut encryption = key(Algorithm::Rs256, "enc").jwk();
    encryption["use"] = "enc".into();
    encryption["alg"] = "RSA-OAEP".into();
    vector.stand_in.add_jwk(encryption);
    let of_ana = json!({
        "auth_time": 0, "jti": "a1", "aud": ["kubernetes", "account"], "sub": "f2a7b1c0-1d7e-4a7c-9d0f-3d7f0a5a9c11",
        "typ": "ID", "azp": "kubernetes", "sid": "s1", "email_verified": false, "email": "ana@example.com",
        "preferred_username": "ana", "realm_access": {"roles": ["admin", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account"]}}, "groups": ["/platform/admins"],
    });
    let claims = vector.claims(json!({"typ": "JWT"}), of_ana, "kubernetes").await;
    assert_eq!(claims.texts("groups"), Ok(Some(vec!["/platform/admins"])));
    assert!(claims.texts("realm_access").is_err(), "what is nested is no list of groups");
    assert_eq!(claims.email(EmailVerified::Required), Err(JwtRefusal::EmailNotVerified));
    assert_eq!(vector.provider.status().skipped.len(), 1);
}

#[tokio::test]
async fn dex() {
    let issuer = "https://dex.example/dex";
    let vector = Vector::new(issuer, &["dex.example"], "https://dex.example/keys").await;
    let of_ana = json!({
        "sub": "CgNhbmESBGxkYXA", "aud": "kubernetes", "at_hash": "x", "c_hash": "y", "email": "ana@example.com",
        "email_verified": true, "groups": ["admins"], "name": "Ana",
        "federated_claims": {"connector_id": "ldap", "user_id": "ana"},
    });
    let claims = vector.claims(json!({}), of_ana, "kubernetes").await;
    assert_eq!(claims.subject(), "CgNhbmESBGxkYXA");
    assert_eq!(claims.texts("groups"), Ok(Some(vec!["admins"])));
}

#[tokio::test]
async fn github_actions() {
    let issuer = "https://token.actions.githubusercontent.example";
    let host = "token.actions.githubusercontent.example";
    let vector = Vector::new(issuer, &[host], &format!("https://{host}/keys")).await;
    let of_job = json!({
        "jti": "a", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "aud": "https://github.example/octo-org",
        "ref": "refs/heads/main", "repository": "octo-org/octo-repo", "repository_id": "74", "run_attempt": "1",
        "environment": "prod", "runner_environment": "github-hosted", "nbf": NOON.unix_timestamp() - 600,
    });
    let header = json!({"typ": "JWT", "x5t": "f5d2c3"});
    let claims = vector.claims(header.clone(), of_job.clone(), "https://github.example/octo-org").await;
    assert_eq!(claims.subject(), "repo:octo-org/octo-repo:ref:refs/heads/main");
    assert_eq!(claims.require("repository", "octo-org/octo-repo"), Ok(()));
    let refused = vector.answer(header, of_job, "kubernetes").await;
    assert!(matches!(&refused, JwtAnswer::Refused(JwtRefusal::Audience(_))), "{refused:?}");
}

#[tokio::test]
async fn gitlab_ci() {
    let vector =
        Vector::new("https://gitlab.example", &["gitlab.example"], "https://gitlab.example/keys").await;
    let of_job = json!({
        "namespace_id": "72", "project_path": "my-group/my-project", "user_email": "ana@example.com", "pipeline_id": "574",
        "ref": "feature-branch-1", "ref_type": "branch", "ref_protected": "false", "jti": "235b3a54",
        "nbf": NOON.unix_timestamp() - 10, "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
        "aud": "https://vault.example",
    });
    let claims = vector.claims(json!({"typ": "JWT"}), of_job, "https://vault.example").await;
    assert_eq!(claims.subject(), "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1");
    assert!(claims.flag("ref_protected").is_err(), "text is not true or false");
}

#[test]
fn tokens_of_a_signer_of_another_make_are_verified() {
    use jsonwebtoken::{Algorithm as Other, EncodingKey, Header, encode};
    /// Where the RSA key begins in PKCS #8 for 2048 bits, which is all that the other signer wants.
    const RSA_IN_PKCS8: usize = 26;
    let pairs = [
        (Algorithm::Rs256, Other::RS256),
        (Algorithm::Rs384, Other::RS384),
        (Algorithm::Rs512, Other::RS512),
        (Algorithm::Ps256, Other::PS256),
        (Algorithm::Ps384, Other::PS384),
        (Algorithm::Ps512, Other::PS512),
        (Algorithm::Es256, Other::ES256),
        (Algorithm::Es384, Other::ES384),
        (Algorithm::EdDsa, Other::EdDSA),
    ];
    let issuer = "https://issuer.example";
    let claims =
        json!({"iss": issuer, "sub": "ana", "aud": ["kubernetes"], "exp": NOON.unix_timestamp() + 60});
    for (algorithm, other) in pairs {
        let own = key(algorithm, "k");
        let der = own.pkcs8();
        let encoding = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_der(&der),
            Algorithm::EdDsa => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_rsa_der(&der[RSA_IN_PKCS8..]),
        };
        let header = Header { kid: Some("k".to_owned()), ..Header::new(other) };
        let raw = encode(&header, &claims, &encoding).unwrap();
        let keys = Jwks::parse(json!({"keys": [own.jwk()]}).to_string().as_bytes()).unwrap();
        let expected = Expected { issuer, audiences: &["kubernetes"], algorithms: Algorithms::all() };
        let verified = verify(Jwt::parse(&raw).unwrap(), &keys, &expected, NOON).unwrap();
        assert_eq!(verified.subject(), "ana", "{algorithm}");
        let forged = [raw.as_str(), "AA"].concat();
        let answer = Jwt::parse(&forged).and_then(|jwt| verify(jwt, &keys, &expected, NOON));
        assert!(answer.is_err(), "{algorithm}");
    }
}

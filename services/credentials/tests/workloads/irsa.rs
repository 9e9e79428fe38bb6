//! IRSA where the hub serves the cluster's issuer: a role that trusts it, and a pod's token.

use lanyard_api::{
    CallError, Fault, Mutation, OidcProviderId, Scope,
    authn::{accounts::IamRole, oidc_providers::OidcProvider},
    credentials::{
        AssumeRoleWithWebIdentity, Issuers as _, PublishIssuerKey, SessionCredentials, Sessions as _,
        WebIdentityRefusal, WebIdentitySession,
    },
};
use lanyard_iam::Ancestor;
use lanyard_oidc::{Algorithm, stand_in::SigningKey};
use lanyard_store::test_support::TestDatabase;
use serde_json::json;
use time::Duration;

use crate::bench::*;

pub(crate) const SUBJECT: &str = "system:serviceaccount:team-a:bot";

lanyard_store::on_each_store!(
    immunity_37_a_session_of_a_token_by_the_issuer_at_the_hub_descends_from_the_cluster,
    immunity_20_no_session_is_given_that_a_revocation_of_this_second_has_ended,
    a_token_by_a_key_that_the_hub_has_not_seen_yet_has_no_answer,
);

/// A hub that serves the issuer of `dev`, with the role `web` that trusts it.
pub(crate) struct Irsa {
    pub(crate) bench: Bench,
    key: SigningKey,
}

impl Irsa {
    pub(crate) async fn new(database: &TestDatabase) -> Self {
        let bench = Bench::new(database).await;
        let key = SigningKey::generate(Algorithm::Es256, "published");
        let asked = PublishIssuerKey { jwk: key.jwk().to_string(), issuer_url: None };
        bench.engine.publish_issuer_key(Mutation::by(actor_of(HOME)), dev(), asked).await.unwrap();
        let name = format!("hub.example/id/{}", bench.cluster.uid);
        let provider = OidcProvider {
            id: OidcProviderId::random(),
            account: account(HOME),
            issuer_url: format!("https://{name}"),
            client_ids: vec!["sts.amazonaws.com".to_owned()],
            thumbprints: Vec::new(),
            ca_bundle_pem: None,
            tags: Default::default(),
            created_at: NOON,
        };
        put(&bench.store, &provider).await;
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": { "Federated": format!("arn:aws:iam::{HOME}:oidc-provider/{name}") },
            "Condition": { "StringEquals": { (format!("{name}:sub")): SUBJECT } },
        }] });
        bench.role("web", &trust.to_string()).await;
        Self { bench, key }
    }

    pub(crate) async fn ask(&self) -> Result<WebIdentitySession, CallError> {
        self.ask_by(&self.key).await
    }

    /// With a token of noon that this key has signed.
    async fn ask_by(&self, key: &SigningKey) -> Result<WebIdentitySession, CallError> {
        let (uid, now) = (self.bench.cluster.uid, NOON.unix_timestamp());
        let token = key.mint(&json!({
            "iss": format!("https://hub.example/id/{uid}"), "sub": SUBJECT, "aud": ["sts.amazonaws.com"],
            "iat": now, "nbf": now, "exp": now + 300,
        }));
        let query = AssumeRoleWithWebIdentity {
            role_arn: format!("arn:aws:iam::{HOME}:role/web"),
            session_name: "run".to_owned(),
            web_identity_token: token.into(),
            ..AssumeRoleWithWebIdentity::default()
        };
        self.bench.engine.assume_role_with_web_identity(Some("10.0.0.1".parse().unwrap()), query).await
    }
}

async fn immunity_37_a_session_of_a_token_by_the_issuer_at_the_hub_descends_from_the_cluster(
    database: TestDatabase,
) {
    let irsa = Irsa::new(&database).await;
    let made = irsa.ask().await.unwrap().session;
    let credentials = SessionCredentials {
        access_key_id: made.access_key_id,
        secret_access_key: made.secret_access_key,
        session_token: made.session_token,
        expires_at: made.expires_at,
    };
    let ancestors = irsa.bench.opened(&credentials).ancestors;
    let [Ancestor::Provider { subject, .. }, Ancestor::Cluster(uid)] = ancestors.as_slice() else {
        panic!("{ancestors:?}")
    };
    assert_eq!((subject.as_str(), uid), (SUBJECT, &irsa.bench.cluster.uid.to_string()));
    // The token is good for minutes yet, and the provider and the role are still there.
    irsa.bench.delete(&irsa.bench.cluster).await;
    let Err(CallError::Denied(denial)) = irsa.ask().await else { panic!("its cluster is gone") };
    assert_eq!(denial.code, WebIdentityRefusal::InvalidToken.code());
}

async fn immunity_20_no_session_is_given_that_a_revocation_of_this_second_has_ended(database: TestDatabase) {
    let irsa = Irsa::new(&database).await;
    let bench = &irsa.bench;
    bench.clock.advance(Duration::milliseconds(300));
    let stored: IamRole = bench.stored(Scope::Account(account(HOME)), "web").await;
    put(&bench.store, &IamRole { revoked_before: Some(bench.clock_now()), ..stored }).await;
    let answer = irsa.ask().await;
    let has_to_wait = matches!(&answer, Err(CallError::Fault(Fault::Throttled { retry_after: Some(_), .. })));
    assert!(has_to_wait, "an SDK would keep it: {answer:?}");
    bench.clock.advance(Duration::milliseconds(700));
    irsa.ask().await.unwrap();
}

async fn a_token_by_a_key_that_the_hub_has_not_seen_yet_has_no_answer(database: TestDatabase) {
    let irsa = Irsa::new(&database).await;
    let next = SigningKey::generate(Algorithm::Es256, "next");
    let early = irsa.ask_by(&next).await;
    assert!(matches!(&early, Err(CallError::Fault(Fault::Unavailable { .. }))), "SDKs ask again: {early:?}");
    irsa.bench.clock.advance(Duration::minutes(4));
    let Err(CallError::Denied(denial)) = irsa.ask_by(&next).await else { panic!("it would be known by now") };
    assert_eq!(denial.code, WebIdentityRefusal::InvalidToken.code());
    let asked = PublishIssuerKey { jwk: next.jwk().to_string(), issuer_url: None };
    irsa.bench.engine.publish_issuer_key(Mutation::by(actor_of(HOME)), dev(), asked).await.unwrap();
    irsa.ask_by(&next).await.unwrap();
}

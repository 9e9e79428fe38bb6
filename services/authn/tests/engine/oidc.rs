//! People who log in by OIDC: a cluster's issuers are asked, and nobody else's tokens are ours.

use std::collections::BTreeMap;
use std::time::Duration as Wait;

use lanyard_api::authn::Authentication;
use lanyard_api::mapping::{BlockTarget, Cluster, IdentityProviderConfig, IdentityProviderSettings};
use lanyard_api::{ClaimValue, Fault, Identity, IdentityProviderConfigId, Scope};
use lanyard_oidc::stand_in::{Behaviour, StandIn};
use lanyard_oidc::{Algorithm, Document};
use lanyard_store::{on_each_store, test_support::TestDatabase};
use serde_json::{Value, json};
use time::Duration;

use crate::promises::in_each_form;
use crate::world::form::Start;
use crate::world::{World, cluster_of, code, refused, verified, world};

in_each_form! {
    a_token_of_a_clusters_issuer_is_verified_and_its_named_claims_go_on,
    a_token_of_any_other_issuer_is_not_ours,
    immunity_10_each_way_to_prove_nothing_is_refused_with_its_own_code,
    immunity_52_one_clusters_token_is_no_token_of_another,
    immunity_26_a_storm_of_unknown_keys_asks_the_issuer_once,
    immunity_39_a_configuration_that_is_gone_counts_for_no_token,
    a_block_stops_a_subject_and_a_whole_issuer,
    immunity_14_an_issuer_that_does_not_answer_is_a_fault_and_no_refusal,
}

// Of the engine's configuration, and of what it does by itself.
on_each_store!(
    keys_are_fetched_as_soon_as_a_cluster_is_in_memory,
    an_issuer_in_the_hubs_own_network_is_not_called_unless_the_operator_says_so,
);

/// The one client id that the tests' clusters take.
const CLIENT: &str = "kubernetes";

fn config(issuer: &StandIn, cluster: &Cluster, client_id: &str) -> IdentityProviderConfig {
    let settings = IdentityProviderSettings {
        name: "corp".to_owned(),
        issuer_url: issuer.issuer().to_owned(),
        client_id: client_id.to_owned(),
        username_claim: Some("email".to_owned()),
        username_prefix: None,
        groups_claim: Some("groups".to_owned()),
        groups_prefix: None,
        required_claims: BTreeMap::from([("tid".to_owned(), "t".to_owned())]),
        shared_audience: false,
        ca_bundle_pem: Some(issuer.ca_pem().to_owned()),
        email_verified_may_be_absent: false,
        tags: BTreeMap::new(),
    };
    let id = IdentityProviderConfigId::random();
    IdentityProviderConfig { id, cluster: cluster.uid, settings, created_at: cluster.created_at }
}

/// A cluster that takes the tokens of an issuer on loopback.
async fn associated(world: &World) -> (StandIn, IdentityProviderConfig) {
    let issuer = StandIn::start("/realm").await;
    let config = config(&issuer, &world.cluster, CLIENT);
    world.put(&config).await;
    (issuer, config)
}

fn token(world: &World, issuer: &StandIn, more: Value) -> String {
    let now = world.now().unix_timestamp();
    let mut claims = json!({"sub": "ana", "aud": CLIENT, "iat": now, "exp": now + 600});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    issuer.mint(&claims)
}

async fn a_token_of_a_clusters_issuer_is_verified_and_its_named_claims_go_on(start: Start) {
    let world = world(start).await;
    let (issuer, config) = associated(&world).await;
    let raw = token(
        &world,
        &issuer,
        json!({
            "email": "ana@example.com", "email_verified": true, "groups": ["a", "b"], "tid": 7, "name": "Ana",
        }),
    );
    for _ in 0..2 {
        let answer = verified(world.ask(&raw, &world.cluster).await);
        let Identity::Oidc(identity) = &*answer.identity.value else { panic!("{answer:?}") };
        assert_eq!(
            (identity.config, identity.issuer.as_str(), identity.subject.as_str()),
            (config.id, issuer.issuer(), "ana")
        );
        let texts = ClaimValue::Texts(vec!["a".to_owned(), "b".to_owned()]);
        let expected = [
            ("email", ClaimValue::Text("ana@example.com".to_owned())),
            ("email_verified", ClaimValue::Flag(true)),
            ("groups", texts),
            ("tid", ClaimValue::Other),
        ];
        assert_eq!(identity.claims, expected.map(|(name, value)| (name.to_owned(), value)).into());
        assert_eq!(*answer.verifier, *format!("OIDC issuer {}", issuer.issuer()));
        assert_eq!((answer.not_after, answer.cached), (world.now() + Duration::minutes(10), false));
    }
    assert_eq!((issuer.calls_of(Document::Keys), issuer.stray_calls()), (1, 0), "keys are kept");
    // As Entra ID sends it for who is in more groups than a token has room for.
    let source = json!({"endpoint": "https://graph.example/ana/getMemberObjects"});
    let overage = json!({
        "_claim_names": {"groups": "src1", "wids": "src1"}, "_claim_sources": {"src1": source}, "hasgroups": true,
    });
    let answer = verified(world.ask(&token(&world, &issuer, overage), &world.cluster).await);
    let Identity::Oidc(identity) = &*answer.identity.value else { panic!("{answer:?}") };
    let elsewhere = [
        ("_claim_names", ClaimValue::Texts(vec!["groups".to_owned()])),
        ("hasgroups", ClaimValue::Flag(true)),
    ];
    assert_eq!(identity.claims, elsewhere.map(|(name, value)| (name.to_owned(), value)).into());
}

async fn a_token_of_any_other_issuer_is_not_ours(start: Start) {
    let world = world(start).await;
    let issuer = StandIn::start("").await;
    let raw = token(&world, &issuer, json!({}));
    assert_eq!(world.ask(&raw, &world.cluster).await, Ok(Authentication::NotOurs), "no configuration at all");
    world.put(&config(&issuer, &world.cluster, CLIENT)).await;
    verified(world.ask(&raw, &world.cluster).await);
    let elsewhere = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&elsewhere).await;
    for (raw, cluster) in [
        (token(&world, &issuer, json!({"iss": "https://kubernetes.default.svc"})), &world.cluster),
        (token(&world, &issuer, json!({"iss": format!("{}/", issuer.issuer())})), &world.cluster),
        (token(&world, &issuer, json!({"iss": 7})), &world.cluster),
        ("eyJ.a.b".to_owned(), &world.cluster),
        (raw, &elsewhere),
    ] {
        assert_eq!(world.ask(&raw, cluster).await, Ok(Authentication::NotOurs), "{raw}");
    }
}

async fn immunity_10_each_way_to_prove_nothing_is_refused_with_its_own_code(start: Start) {
    let world = world(start).await;
    let (issuer, _) = associated(&world).await;
    let now = world.now().unix_timestamp();
    let good = token(&world, &issuer, json!({}));
    let (input, signature) = good.rsplit_once('.').unwrap();
    let header = |header: Value| {
        let payload = input.split_once('.').unwrap().1;
        format!("{}.{payload}.{signature}", lanyard_oidc::stand_in::encode(header.to_string().as_bytes()))
    };
    let cases = [
        (token(&world, &issuer, json!({"aud": "other"})), "audience", "aud"),
        (token(&world, &issuer, json!({"aud": null})), "claim_missing", "aud"),
        (
            token(&world, &issuer, json!({"aud": [CLIENT, "other"], "azp": "other"})),
            "authorized_party",
            "azp",
        ),
        (token(&world, &issuer, json!({"exp": now})), "token_expired", "exp"),
        (token(&world, &issuer, json!({"exp": null})), "claim_missing", "exp"),
        (token(&world, &issuer, json!({"nbf": now + 3600})), "token_not_yet_valid", "nbf"),
        (token(&world, &issuer, json!({"iat": now + 3600})), "token_from_future", "iat"),
        (token(&world, &issuer, json!({"sub": ""})), "subject", "sub"),
        (token(&world, &issuer, json!({"email": "x".repeat(2000)})), "claim_too_long", "email"),
        (header(json!({"alg": "none"})), "jwt_unsigned", "alg"),
        (header(json!({"alg": "HS256", "kid": "key-1"})), "jwt_symmetric", "alg"),
        (header(json!({"alg": "RS256", "kid": "key-1"})), "key_algorithm", "alg"),
        (header(json!({"alg": "ES256", "kid": "key-1", "x": 1})), "jwt_signature", "signature"),
        (header(json!({"alg": "ES256", "kid": "made-up"})), "unknown_key", "kid"),
    ];
    for (raw, expected, part) in cases {
        let refusal = refused(world.ask(&raw, &world.cluster).await);
        assert_eq!((&*refusal.denial.code, refusal.part.as_str()), (expected, part), "{refusal:?}");
        assert!(refusal.hints[0].contains(issuer.issuer()), "{refusal:?}");
    }
    verified(world.ask(&good, &world.cluster).await);
}

async fn immunity_52_one_clusters_token_is_no_token_of_another(start: Start) {
    let world = world(start).await;
    let (issuer, _) = associated(&world).await;
    let other = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    world.put(&config(&issuer, &other, "kubernetes-other")).await;
    let raw = token(&world, &issuer, json!({}));
    verified(world.ask(&raw, &world.cluster).await);
    assert_eq!(code(world.ask(&raw, &other).await), "audience");
    verified(world.ask(&token(&world, &issuer, json!({"aud": "kubernetes-other"})), &other).await);
    assert_eq!(issuer.calls_of(Document::Keys), 1, "both share the issuer's keys");
}

async fn immunity_26_a_storm_of_unknown_keys_asks_the_issuer_once(start: Start) {
    let world = world(start).await;
    let (issuer, _) = associated(&world).await;
    verified(world.ask(&token(&world, &issuer, json!({})), &world.cluster).await);
    world.clock.advance(Duration::minutes(1));
    let before = issuer.calls_of(Document::Keys);
    for number in 0..50 {
        let key =
            lanyard_oidc::stand_in::SigningKey::generate(Algorithm::Es256, &format!("made-up-{number}"));
        let now = world.now().unix_timestamp();
        let claims = json!({"iss": issuer.issuer(), "sub": "ana", "aud": CLIENT, "exp": now + 60});
        assert_eq!(code(world.ask(&key.mint(&claims), &world.cluster).await), "unknown_key");
    }
    assert_eq!(issuer.calls_of(Document::Keys) - before, 1);
}

async fn immunity_39_a_configuration_that_is_gone_counts_for_no_token(start: Start) {
    let world = world(start).await;
    let (issuer, config) = associated(&world).await;
    let raw = token(&world, &issuer, json!({}));
    verified(world.ask(&raw, &world.cluster).await);
    world.remove(&config).await;
    assert_eq!(world.ask(&raw, &world.cluster).await, Ok(Authentication::NotOurs));
}

async fn a_block_stops_a_subject_and_a_whole_issuer(start: Start) {
    let world = world(start).await;
    let (issuer, _) = associated(&world).await;
    let (ana, bob) = (token(&world, &issuer, json!({})), token(&world, &issuer, json!({"sub": "bob"})));
    let subject = BlockTarget::OidcSubject { issuer: issuer.issuer().to_owned(), subject: "ana".to_owned() };
    let everyone = BlockTarget::OidcIssuer { issuer: issuer.issuer().to_owned() };
    for scope in [Scope::Hub, Scope::Account(world.hub.account), Scope::Cluster(world.cluster.uid)] {
        for (target, stops_bob) in [(subject.clone(), false), (everyone.clone(), true)] {
            let block = world.block(scope, target).await;
            assert_eq!(code(world.ask(&ana, &world.cluster).await), "blocked", "{scope}");
            let answer = world.ask(&bob, &world.cluster).await;
            assert_eq!(matches!(answer, Ok(Authentication::Refused(_))), stops_bob, "{scope}");
            world.remove(&block).await;
            verified(world.ask(&ana, &world.cluster).await);
        }
    }
}

async fn immunity_14_an_issuer_that_does_not_answer_is_a_fault_and_no_refusal(start: Start) {
    let world = world(start).await;
    let issuer = StandIn::start("").await;
    issuer.behave(Behaviour::Status(503));
    world.put(&config(&issuer, &world.cluster, CLIENT)).await;
    let raw = token(&world, &issuer, json!({}));
    for _ in 0..2 {
        let fault = world.ask(&raw, &world.cluster).await.unwrap_err();
        let Fault::Unavailable { part, detail } = &fault else { panic!("{fault:?}") };
        assert!(part.contains(issuer.issuer()) && detail.contains("issuer_status"), "{fault}");
    }
    // What is wrong with a token in itself needs no keys to be told.
    assert_eq!(
        code(world.ask(&token(&world, &issuer, json!({"aud": "x"})), &world.cluster).await),
        "audience"
    );
    issuer.behave(Behaviour::Honest);
    world.clock.advance(Duration::seconds(11));
    verified(world.ask(&raw, &world.cluster).await);
}

async fn keys_are_fetched_as_soon_as_a_cluster_is_in_memory(database: TestDatabase) {
    let world = world(database).await;
    // Whatever comes first brings the cluster into memory.
    let first = world.ask("eyJ.a.b", &world.cluster).await;
    assert_eq!(first, Ok(Authentication::NotOurs));
    let (issuer, _) = associated(&world).await;
    let fetched = async {
        while issuer.calls_of(Document::Keys) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Wait::from_secs(20), fetched).await.unwrap();
}

async fn an_issuer_in_the_hubs_own_network_is_not_called_unless_the_operator_says_so(database: TestDatabase) {
    let world = world(database).await;
    let engine = world.calling_with(json!({ "oidc": {} })).await;
    let (issuer, _) = associated(&world).await;
    let raw = token(&world, &issuer, json!({}));
    let fault =
        lanyard_api::authn::Authenticate::authenticate(&*engine, world.query(&raw, &world.cluster)).await;
    assert!(matches!(&fault, Err(Fault::Unavailable { .. })), "{fault:?}");
    verified(world.ask(&raw, &world.cluster).await);
}

//! IRSA: tokens of a cluster's own issuer, exchanged for sessions. The issuer's certificate and keys change and nobody is cut off; what it
//! serves, and where it says that its keys are, leads the hub nowhere.

use std::{net::IpAddr, time::Instant};

use lanyard_api::{Fault, authn::oidc_providers::OidcProvider, credentials::WebIdentitySession};
use lanyard_kit::http_client::TestInternet;
use lanyard_oidc::{
    Algorithm, Document, JWKS_BYTES_MAX, OidcConfig,
    stand_in::{Behaviour, Projected, SigningKey, StandIn},
};
use serde_json::{Value, json};
use time::Duration;

use super::{issuer_world::*, *};

const SUBJECT: &str = "system:serviceaccount:team-a:bot";
/// Longer than an issuer's keys are good for without being asked for again.
const PAST_THEIR_TIME: Duration = Duration::hours(2);
/// Longer than an issuer is left alone after it was asked.
const A_WHILE: Duration = Duration::minutes(2);

on_each_store!(
    a_pods_token_of_its_clusters_issuer_becomes_a_session,
    an_issuers_certificate_changes_and_nobody_is_cut_off,
    an_issuers_authority_changes_and_nobody_is_cut_off,
    an_issuer_without_a_bundle_is_known_by_a_thumbprint,
    keys_rotate_with_overlap_and_nobody_is_cut_off,
    immunity_10_a_subject_is_one_service_accounts,
    immunity_26_a_provider_at_a_private_address_is_never_called,
    immunity_26_an_issuers_name_that_turns_to_a_private_address_is_not_called_there,
    immunity_26_an_issuers_redirect_or_keys_elsewhere_are_not_followed,
    immunity_26_a_storm_of_unknown_keys_asks_the_issuer_once,
    immunity_28_a_key_set_without_end_is_no_key_set_and_cuts_nobody_off,
);

/// What a token says of its pod beside the issuer and its time.
fn pod(subject: &str) -> Value {
    let projected = Projected {
        issuer: "",
        audience: CLIENT_ID,
        namespace: "team-a",
        service_account: "bot",
        pod: "web-1",
        node: "ip-10-0-0-7.ec2.internal",
        issued_at: OffsetDateTime::UNIX_EPOCH,
        lifetime: Duration::HOUR,
    };
    let claims = projected.claims();
    json!({ "sub": subject, "aud": claims["aud"], "kubernetes.io": claims["kubernetes.io"] })
}

impl World {
    async fn of_pods(database: &TestDatabase) -> Self {
        let world = Self::start(database).await;
        world.role(r#""sts:AssumeRoleWithWebIdentity""#, &for_bot()).await;
        world
    }

    async fn by(&self, key: &SigningKey) -> Result<WebIdentitySession, CallError> {
        let mut claims = self.claims(pod(SUBJECT));
        claims["iss"] = self.issuer.issuer().into();
        self.knock(by_token(&key.mint(&claims))).await
    }

    async fn ask_for_pod(&self) -> Result<WebIdentitySession, CallError> {
        self.ask(pod(SUBJECT)).await
    }

    async fn stored_provider(&self) -> OidcProvider {
        let scope = Scope::Account(ACCOUNT.parse().unwrap());
        self.store.load::<OidcProvider>(scope).await.unwrap().1.remove(0)
    }

    fn key_calls(&self) -> u64 {
        self.issuer.calls_of(Document::Keys)
    }
}

fn for_bot() -> String {
    format!(r#"{{"StringEquals":{{"ISSUER:sub":"{SUBJECT}","ISSUER:aud":"{CLIENT_ID}"}}}}"#)
}

/// There is no answer, in words that tell nothing of what lies there.
fn unheard(answer: &Result<WebIdentitySession, CallError>, what: &str) {
    let Err(CallError::Fault(Fault::Unavailable { detail, .. })) = answer else {
        panic!("{what}: {answer:?}")
    };
    assert!(detail.len() < 300 && !detail.contains("169.254"), "{what}: {detail}");
}

async fn a_pods_token_of_its_clusters_issuer_becomes_a_session(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let made = world.ask_for_pod().await.unwrap();
    assert_eq!((made.subject.as_str(), made.audience.as_str()), (SUBJECT, CLIENT_ID));
    assert_eq!(made.provider, world.issuer.issuer());
    let claims = world.opened(&made);
    assert_eq!((claims.chain_depth, claims.tags.len()), (0, 0), "the claim of Kubernetes is no session tag");
}

async fn an_issuers_certificate_changes_and_nobody_is_cut_off(database: TestDatabase) {
    let mut world = World::of_pods(&database).await;
    // The thumbprint of no certificate: beside a bundle it says nothing.
    let provider = world.stored_provider().await;
    world.put(&OidcProvider { thumbprints: vec!["0".repeat(40)], ..provider.clone() }).await;
    let before = world.ask_for_pod().await.unwrap();
    for _ in 0..2 {
        world.issuer.renew_certificate().await;
        world.clock.advance(PAST_THEIR_TIME);
        let calls = world.key_calls();
        assert_eq!(code(&world.ask_for_pod().await), "ok");
        // A key that nobody has seen: it was fetched under the certificate that is there now.
        world.issuer.add_key(Algorithm::Es256, &format!("key-of-{calls}"));
        world.clock.advance(A_WHILE);
        assert_eq!(code(&world.ask_for_pod().await), "ok");
        assert!(world.key_calls() > calls);
    }
    let after = world.ask_for_pod().await.unwrap();
    let [before, after] = [before, after].map(|made| made.provider);
    assert_eq!(before, after);
    assert_eq!(
        world.stored_provider().await.id,
        provider.id,
        "the provider stays, and with it every session"
    );
}

async fn an_issuers_authority_changes_and_nobody_is_cut_off(database: TestDatabase) {
    let mut world = World::of_pods(&database).await;
    assert_eq!(code(&world.ask_for_pod().await), "ok");
    let provider = world.stored_provider().await;
    // Whoever verifies by the old authority alone hears nothing of the issuer any more, and keeps to the keys that it has.
    world.issuer.renew_authority().await;
    world.clock.advance(PAST_THEIR_TIME);
    assert_eq!(code(&world.ask_for_pod().await), "ok", "old keys count for a day");
    let next = world.issuer.add_key(Algorithm::Es256, "next");
    world.clock.advance(A_WHILE);
    unheard(&world.by(&next).await, "a key that cannot be looked for is no refusal");
    // The bundle is put into the same provider, with the old one beside it.
    let both = [provider.ca_bundle_pem.clone().unwrap(), world.issuer.ca_pem().to_owned()].join("\n");
    world.put(&OidcProvider { ca_bundle_pem: Some(both), ..provider.clone() }).await;
    assert_eq!(code(&world.by(&next).await), "ok");
    assert_eq!(world.stored_provider().await.id, provider.id);
    // Where the next authority is in the bundle beforehand, its coming is no event at all.
    let prepared = world.issuer.prepare_authority();
    let both = [world.issuer.ca_pem().to_owned(), prepared].join("\n");
    world.put(&OidcProvider { ca_bundle_pem: Some(both), ..provider }).await;
    assert_eq!(code(&world.by(&next).await), "ok");
    world.issuer.renew_authority().await;
    world.clock.advance(PAST_THEIR_TIME);
    let last = world.issuer.add_key(Algorithm::Es256, "last");
    assert_eq!(code(&world.by(&last).await), "ok", "it was fetched under the new one");
}

async fn an_issuer_without_a_bundle_is_known_by_a_thumbprint(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let provider = OidcProvider { ca_bundle_pem: None, ..world.stored_provider().await };
    let with = |thumbprints: Vec<String>| OidcProvider { thumbprints, ..provider.clone() };
    for (thumbprints, is_known) in [
        (Vec::new(), false),
        (vec!["0".repeat(40)], false),
        (vec!["0".repeat(40), world.issuer.thumbprint()], true),
        (vec!["0".repeat(40)], false),
    ] {
        world.put(&with(thumbprints)).await;
        let answer = world.ask_for_pod().await;
        assert_eq!(code(&answer), if is_known { "ok" } else { "fault" }, "{answer:?}");
    }
}

async fn keys_rotate_with_overlap_and_nobody_is_cut_off(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let old = world.issuer.add_key(Algorithm::Es256, "old");
    assert_eq!(code(&world.by(&old).await), "ok");
    world.clock.advance(A_WHILE);
    let new = world.issuer.add_key(Algorithm::Es256, "new");
    // The first token by the new key has it looked for; those by the old one are good beside it.
    for key in [&new, &old, &new] {
        assert_eq!(code(&world.by(key).await), "ok", "{}", key.kid());
    }
    world.issuer.remove_key("old");
    assert_eq!(code(&world.by(&old).await), "ok", "until the keys are past their time");
    world.clock.advance(PAST_THEIR_TIME);
    assert_eq!(code(&world.by(&new).await), "ok");
    assert_eq!(code(&world.by(&old).await), INVALID, "withdrawn");
}

async fn immunity_10_a_subject_is_one_service_accounts(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let strangers = [
        "system:serviceaccount:team-a:bot2",
        "system:serviceaccount:team-a:bo",
        "system:serviceaccount:team-b:bot",
        "system:serviceaccount:team-a:*",
        "System:serviceaccount:team-a:bot",
    ];
    for subject in strangers {
        assert_eq!(code(&world.ask(pod(subject)).await), DENIED, "{subject}");
    }
    // A condition with `?` and `*` is a pattern by StringLike alone.
    let pattern = for_bot().replace(":bot\"", ":*\"");
    world.role(r#""sts:AssumeRoleWithWebIdentity""#, &pattern).await;
    assert_eq!(code(&world.ask_for_pod().await), DENIED);
    world.role(r#""sts:AssumeRoleWithWebIdentity""#, &pattern.replace("StringEquals", "StringLike")).await;
    assert_eq!(code(&world.ask_for_pod().await), "ok");
    assert_eq!(code(&world.ask(pod("system:serviceaccount:team-a2:bot")).await), DENIED);
}

async fn immunity_26_a_provider_at_a_private_address_is_never_called(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let lurking = StandIn::start("/ci").await;
    // A name of the public form whose address, when it is looked up for the connection, is a private one (DNS rebinding), and
    // addresses in all their spellings.
    let by_name = format!("https://localhost:{}/ci", lurking.address().port());
    let urls = [
        by_name.as_str(),
        "https://10.0.0.1/id/7",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/id/7",
        "https://2130706434/id/7",
        "https://0x7f.2/id/7",
        "https://[::ffff:127.0.0.2]/id/7",
        "https://100.64.0.1/id/7",
    ];
    let key = SigningKey::generate(Algorithm::Es256, "any");
    for url in urls {
        let provider = OidcProvider {
            issuer_url: url.to_owned(),
            ca_bundle_pem: Some(lurking.ca_pem().to_owned()),
            ..world.provider()
        };
        world.put(&provider).await;
        let mut claims = world.claims(pod(SUBJECT));
        claims["iss"] = url.into();
        unheard(&world.knock(by_token(&key.mint(&claims))).await, url);
    }
    let calls = [Document::Discovery, Document::Keys].map(|document| lurking.calls_of(document));
    assert_eq!((calls, lurking.stray_calls()), ([0, 0], 0));
    // An issuer that is only in a token is none.
    let mut claims = world.claims(pod(SUBJECT));
    claims["iss"] = lurking.issuer().into();
    assert_eq!(code(&world.knock(by_token(&key.mint(&claims))).await), INVALID);
    assert_eq!(lurking.calls_of(Document::Discovery), 0);
}

/// DNS rebinding: whoever has the issuer's name lets it have a public address at the first look, and one inside of the hub's network at the
/// next.
async fn immunity_26_an_issuers_name_that_turns_to_a_private_address_is_not_called_there(
    database: TestDatabase,
) {
    const ISSUER: &str = "https://issuer.example/id/7";
    const HOSTS: [&str; 2] = ["issuer.example", "keys.example"];
    let (public, private) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([10, 0, 0, 7]));
    let internet = TestInternet::default();
    let config = CredentialsConfig {
        oidc: OidcConfig { internet: Some(internet.clone()), ..OidcConfig::default() },
        ..CredentialsConfig::default()
    };
    let mut world = World::configured(&database, config).await;
    world.issuer = StandIn::start_as(ISSUER, &HOSTS).await;
    // It would prove itself as well as the other one, and has a key that nobody should count on.
    let inside = StandIn::start_as(ISSUER, &HOSTS).await;
    inside.add_key(Algorithm::Es256, "of-the-inside");
    internet.place(public, world.issuer.address());
    internet.place(private, inside.address());
    for host in HOSTS {
        internet.point(host, &[public]);
    }
    let both = format!("{}\n{}", world.issuer.ca_pem(), inside.ca_pem());
    world.put(&OidcProvider { ca_bundle_pem: Some(both), ..world.provider() }).await;
    world.role(r#""sts:AssumeRoleWithWebIdentity""#, &for_bot()).await;
    assert_eq!(code(&world.ask_for_pod().await), "ok");

    // No connection is left, so that the next call looks the name up; a key that nobody has heard of makes for one.
    world.issuer.renew_certificate().await;
    let forged = |world: &World| by_token(&inside.mint(&world.claims(pod(SUBJECT))));
    let looks = internet.looks();
    for turned in [vec![private], vec![private], vec![public, private], vec![private, public]] {
        internet.point(HOSTS[0], &turned);
        world.clock.advance(A_WHILE);
        unheard(&world.knock(forged(&world)).await, &format!("{turned:?}"));
        assert_eq!(code(&world.ask_for_pod().await), "ok", "what was heard counts on");
    }
    assert!(internet.looks() >= looks + 3, "what it had before counts for no other call");
    // Nor where the issuer stays and its keys' host turns.
    internet.point(HOSTS[0], &[public]);
    internet.point(HOSTS[1], &[private]);
    world.issuer.set_keys_url("https://keys.example/keys");
    world.clock.advance(A_WHILE);
    unheard(&world.knock(forged(&world)).await, "the keys' host");
    let calls = [Document::Discovery, Document::Keys].map(|document| inside.calls_of(document));
    assert_eq!((calls, inside.stray_calls()), ([0, 0], 0));

    internet.point(HOSTS[1], &[public]);
    world.clock.advance(A_WHILE);
    assert_eq!(
        code(&world.knock(forged(&world)).await),
        INVALID,
        "the issuer is heard again, and has no such key"
    );
    assert_eq!(code(&world.ask_for_pod().await), "ok");
}

async fn immunity_26_an_issuers_redirect_or_keys_elsewhere_are_not_followed(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let elsewhere = StandIn::start("/ci").await;
    let port = elsewhere.address().port();
    let to = [
        format!("{}/keys", elsewhere.issuer()),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/keys".to_owned(),
    ];
    // One of the two documents is always elsewhere, so that no attempt finds both.
    world.issuer.behave(Behaviour::Redirect(to[0].clone()));
    for to in &to {
        for (moved, there) in [(Document::Discovery, Document::Keys), (Document::Keys, Document::Discovery)] {
            world.clock.advance(A_WHILE);
            world.issuer.behave_at(moved, Behaviour::Redirect(to.clone()));
            world.issuer.behave_at(there, Behaviour::Honest);
            unheard(&world.ask_for_pod().await, to);
        }
    }
    // `localhost` is no host that the operator named, though 127.0.0.1 is.
    let keys = [
        format!("https://localhost:{port}/keys"),
        "https://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned(),
        "http://127.0.0.1/keys".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    for url in &keys {
        world.clock.advance(A_WHILE);
        world.issuer.set_keys_url(url);
        world.issuer.behave(Behaviour::Honest);
        unheard(&world.ask_for_pod().await, url);
    }
    assert_eq!(elsewhere.calls_of(Document::Keys) + elsewhere.stray_calls(), 0);
}

async fn immunity_26_a_storm_of_unknown_keys_asks_the_issuer_once(database: TestDatabase) {
    const STORM: usize = 60;
    let world = World::of_pods(&database).await;
    assert_eq!(code(&world.ask_for_pod().await), "ok");
    world.clock.advance(A_WHILE);
    let calls = world.key_calls();
    for number in 0..STORM {
        let key = SigningKey::generate(Algorithm::Es256, &format!("made-up-{number}"));
        assert_eq!(code(&world.by(&key).await), INVALID);
    }
    assert_eq!(world.key_calls() - calls, 1);
    assert_eq!(code(&world.ask_for_pod().await), "ok");
}

async fn immunity_28_a_key_set_without_end_is_no_key_set_and_cuts_nobody_off(database: TestDatabase) {
    let world = World::of_pods(&database).await;
    let huge = "x".repeat(JWKS_BYTES_MAX + 1);
    let deep = format!("{{\"keys\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bombs = [
        Behaviour::ManyKeys(100_000),
        Behaviour::Instead(huge.clone()),
        Behaviour::Instead(format!("{{\"keys\":[],\"more\":\"{huge}\"}}")),
        Behaviour::Instead(deep),
    ];
    // As the first thing that is heard of the issuer there is no answer; after that the keys that were heard count on.
    for is_known in [false, true] {
        for bomb in &bombs {
            world.issuer.behave_at(Document::Keys, bomb.clone());
            world.clock.advance(if is_known { PAST_THEIR_TIME } else { A_WHILE });
            let begun = Instant::now();
            let answer = world.ask_for_pod().await;
            match is_known {
                true => assert_eq!(code(&answer), "ok", "{bomb:?}"),
                false => unheard(&answer, &format!("{bomb:?}")),
            }
            assert!(begun.elapsed().as_secs() < 20, "{bomb:?}");
        }
        world.issuer.behave(Behaviour::Honest);
        world.clock.advance(A_WHILE);
        assert_eq!(code(&world.ask_for_pod().await), "ok");
    }
}

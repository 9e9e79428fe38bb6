//! What `OidcProviders` promises: a function for each, run on the engine and on the engine behind gRPC.

use crate::accounts::{actor_of, by, operator, rule};
use crate::promises::promises;
use crate::world::{World, account, system, verified};
use lanyard_api::authn::oidc_providers::{
    CreateOidcProvider, OidcProviderRef, OidcProviders, UpdateOidcProvider as Update,
};
use lanyard_api::mapping::{BlockTarget, IdentityProviderConfig, IdentityProviderSettings};
use lanyard_api::{Authority, CallError, IdentityProviderConfigId, Mutation, PageQuery, Scope};
use lanyard_iam::{Ancestor, Credentials};
use lanyard_store::{on_each_store, test_support::TestDatabase};

const GITHUB: &str = "https://token.actions.githubusercontent.com";

promises! {
    oidc_providers:
    what_was_made_is_found_and_listed_in_pages,
    an_account_has_one_provider_for_an_issuer_byte_for_byte,
    what_breaks_a_rule_of_iam_is_refused_and_nothing_is_written,
    client_ids_are_added_and_removed_however_often_that_is_said,
    thumbprints_authorities_and_tags_are_replaced,
    immunity_33_providers_are_of_the_actors_own_account,
    immunity_52_a_client_id_by_which_people_log_in_is_no_providers_unless_it_is_shared,
}

on_each_store!(immunity_36_a_session_ends_with_the_provider_or_the_block_on_its_subject);

fn asked(issuer_url: &str) -> CreateOidcProvider {
    CreateOidcProvider {
        issuer_url: issuer_url.to_owned(),
        client_ids: vec!["sts.amazonaws.com".to_owned()],
        ..CreateOidcProvider::default()
    }
}

fn of(issuer_url: &str) -> OidcProviderRef {
    OidcProviderRef { account: None, issuer_url: issuer_url.to_owned() }
}

async fn what_was_made_is_found_and_listed_in_pages(world: &World, providers: &impl OidcProviders) {
    let actor = || actor_of(world.hub.account);
    let mut made = Vec::new();
    for number in 0..3 {
        let url = format!("https://issuer-{number}.example/realms/a");
        let answer = providers.create_oidc_provider(by(world), asked(&url)).await.unwrap();
        assert!(answer.confirmed && answer.pending.is_empty());
        let found = providers.get_oidc_provider(actor(), of(&url)).await.unwrap();
        assert_eq!(found, answer.value);
        let arn =
            format!("arn:aws:iam::{}:oidc-provider/issuer-{number}.example/realms/a", world.hub.account);
        assert_eq!(found.arn(world.hub.partition), arn);
        made.push(found);
    }
    let first = PageQuery { items_max: 2, token: String::new() };
    let first = providers.list_oidc_providers(actor(), None, first).await.unwrap();
    let second = PageQuery { items_max: 2, token: first.next_token.unwrap() };
    let second = providers.list_oidc_providers(actor(), None, second).await.unwrap();
    assert_eq!([first.items, second.items].concat(), made);
    assert_eq!(second.next_token, None);
    let deleted = providers.delete_oidc_provider(by(world), of(&made[0].issuer_url)).await.unwrap();
    assert_eq!(deleted.value, made[0]);
    for gone in [
        providers.get_oidc_provider(actor(), of(&made[0].issuer_url)).await.map(drop),
        providers.delete_oidc_provider(by(world), of(&made[0].issuer_url)).await.map(drop),
        providers.update_oidc_provider(by(world), of("nothing"), Update::CaBundle(None)).await.map(drop),
    ] {
        assert_eq!(rule(gone), "not_found");
    }
}

async fn an_account_has_one_provider_for_an_issuer_byte_for_byte(
    world: &World,
    providers: &impl OidcProviders,
) {
    let first = providers.create_oidc_provider(by(world), asked(GITHUB)).await.unwrap().value;
    assert_eq!(rule(providers.create_oidc_provider(by(world), asked(GITHUB)).await), "exists");
    let other = format!("{GITHUB}/");
    assert_eq!(rule(providers.get_oidc_provider(actor_of(world.hub.account), of(&other)).await), "not_found");
    assert_eq!(rule(providers.create_oidc_provider(by(world), asked(&other)).await), "exists");
    providers.delete_oidc_provider(by(world), of(GITHUB)).await.unwrap();
    let anew = providers.create_oidc_provider(by(world), asked(GITHUB)).await.unwrap().value;
    assert_ne!(anew.id, first.id, "made anew it is another");
}

async fn what_breaks_a_rule_of_iam_is_refused_and_nothing_is_written(
    world: &World,
    providers: &impl OidcProviders,
) {
    let plain = || asked("https://issuer.example");
    let cases = [
        (asked("http://issuer.example"), "issuer_url"),
        (asked("https://issuer.example:8443"), "issuer_url"),
        (asked("https://issuer.example?a=b"), "issuer_url"),
        (asked("https://Issuer.example/A"), "issuer_url"),
        (asked("HTTPS://issuer.example"), "issuer_url"),
        (asked("https://10.0.0.1/a"), "issuer_url"),
        (asked("https://[fd00::1]/a"), "issuer_url"),
        (CreateOidcProvider { client_ids: vec![String::new()], ..plain() }, "client_id"),
        (CreateOidcProvider { client_ids: (0..101).map(|n| n.to_string()).collect(), ..plain() }, "limit"),
        (CreateOidcProvider { thumbprints: vec!["0f".to_owned()], ..plain() }, "thumbprint"),
        (CreateOidcProvider { thumbprints: vec!["0f".repeat(20); 6], ..plain() }, "limit"),
        (CreateOidcProvider { ca_bundle_pem: Some("none".to_owned()), ..plain() }, "ca_bundle"),
        (
            CreateOidcProvider { tags: [("aws:x".to_owned(), String::new())].into(), ..plain() },
            "reserved_tag",
        ),
    ];
    for (bad, expected) in cases {
        let what = format!("{bad:?}");
        assert_eq!(rule(providers.create_oidc_provider(by(world), bad).await), expected, "{what}");
    }
    let page = providers.list_oidc_providers(actor_of(world.hub.account), None, PageQuery::default()).await;
    assert_eq!(page.unwrap().items, []);
    // A slash at its end makes no other issuer of it; the letter case of a path does.
    for (url, again) in [
        ("https://issuer.example/A", "https://issuer.example/A/"),
        ("https://b.example/", "https://b.example"),
    ] {
        let made = providers.create_oidc_provider(by(world), asked(url)).await.unwrap().value;
        let answer = providers.create_oidc_provider(by(world), asked(again)).await;
        assert!(matches!(answer, Err(CallError::AlreadyExists { .. })), "{again}: {answer:?}");
        providers.delete_oidc_provider(by(world), of(&made.issuer_url)).await.unwrap();
    }
    // What the operator's configuration names may have a port.
    providers.create_oidc_provider(by(world), asked("https://127.0.0.1:8443")).await.unwrap();
}

async fn client_ids_are_added_and_removed_however_often_that_is_said(
    world: &World,
    providers: &impl OidcProviders,
) {
    let twice = CreateOidcProvider { client_ids: vec!["a".to_owned(), "a".to_owned()], ..asked(GITHUB) };
    assert_eq!(providers.create_oidc_provider(by(world), twice).await.unwrap().value.client_ids, ["a"]);
    let change = |update| providers.update_oidc_provider(by(world), of(GITHUB), update);
    for _ in 0..2 {
        let changed = change(Update::AddClientId("b".to_owned())).await.unwrap();
        assert_eq!(changed.value.client_ids, ["a", "b"]);
    }
    assert_eq!(rule(change(Update::AddClientId(String::new())).await), "client_id");
    for _ in 0..2 {
        let changed = change(Update::RemoveClientId("a".to_owned())).await.unwrap();
        assert_eq!(changed.value.client_ids, ["b"]);
    }
    for number in 1..100 {
        change(Update::AddClientId(format!("c{number}"))).await.unwrap();
    }
    assert_eq!(rule(change(Update::AddClientId("one more".to_owned())).await), "limit");
}

async fn thumbprints_authorities_and_tags_are_replaced(world: &World, providers: &impl OidcProviders) {
    providers.create_oidc_provider(by(world), asked(GITHUB)).await.unwrap();
    let change = |update| providers.update_oidc_provider(by(world), of(GITHUB), update);
    let tag = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let print = "0F".repeat(20);
    let changed = change(Update::Thumbprints(vec![print.clone()])).await.unwrap();
    assert_eq!(changed.value.thumbprints, [print]);
    assert_eq!(rule(change(Update::Thumbprints(vec!["x".to_owned()])).await), "thumbprint");
    let pem = world.sts.ca_pem().to_owned();
    let changed = change(Update::CaBundle(Some(pem.clone()))).await.unwrap();
    assert_eq!(changed.value.ca_bundle_pem, Some(pem));
    assert_eq!(rule(change(Update::CaBundle(Some("x".to_owned()))).await), "ca_bundle");
    assert_eq!(change(Update::CaBundle(None)).await.unwrap().value.ca_bundle_pem, None);
    change(Update::Tag(tag("Team", "a"))).await.unwrap();
    let changed = change(Update::Tag(tag("team", "b"))).await.unwrap();
    assert_eq!(changed.value.tags, tag("team", "b"), "a key whatever its letter case");
    assert_eq!(rule(change(Update::Tag(tag("aws:x", ""))).await), "reserved_tag");
    let changed = change(Update::Untag(vec!["TEAM".to_owned(), "none".to_owned()])).await.unwrap();
    assert_eq!(changed.value.tags, Default::default());
}

async fn immunity_33_providers_are_of_the_actors_own_account(world: &World, providers: &impl OidcProviders) {
    let other = account("222233334444");
    world.register(other.as_str(), Authority::Local).await;
    providers.create_oidc_provider(by(world), asked(GITHUB)).await.unwrap();
    let theirs = || Mutation::by(actor_of(other));
    let named = || OidcProviderRef { account: Some(world.hub.account), ..of(GITHUB) };
    for foreign in [
        providers.get_oidc_provider(actor_of(other), named()).await.map(drop),
        providers.get_oidc_provider(actor_of(other), of(GITHUB)).await.map(drop),
        providers
            .list_oidc_providers(actor_of(other), Some(world.hub.account), PageQuery::default())
            .await
            .map(drop),
        providers.delete_oidc_provider(theirs(), named()).await.map(drop),
        providers
            .update_oidc_provider(theirs(), named(), Update::AddClientId("x".to_owned()))
            .await
            .map(drop),
        providers
            .create_oidc_provider(
                theirs(),
                CreateOidcProvider { account: Some(world.hub.account), ..asked(GITHUB) },
            )
            .await
            .map(drop),
    ] {
        assert_eq!(rule(foreign), "not_found");
    }
    let own = providers.list_oidc_providers(actor_of(other), None, PageQuery::default()).await.unwrap();
    assert_eq!(own.items, []);
    let by_operator = CreateOidcProvider { account: Some(other), ..asked(GITHUB) };
    providers.create_oidc_provider(operator(world), by_operator).await.unwrap();
}

/// A cluster to which people of an issuer log in by a client id.
fn login(world: &World, client_id: &str, shared_audience: bool) -> IdentityProviderConfig {
    let settings = IdentityProviderSettings {
        name: "okta".to_owned(),
        issuer_url: "https://okta.example".to_owned(),
        client_id: client_id.to_owned(),
        username_claim: None,
        username_prefix: None,
        groups_claim: None,
        groups_prefix: None,
        required_claims: Default::default(),
        shared_audience,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: Default::default(),
    };
    let id = IdentityProviderConfigId::random();
    IdentityProviderConfig { id, cluster: world.cluster.uid, settings, created_at: world.now() }
}

async fn immunity_52_a_client_id_by_which_people_log_in_is_no_providers_unless_it_is_shared(
    world: &World,
    providers: &impl OidcProviders,
) {
    const OKTA: &str = "https://okta.example";
    let config = login(world, "0oa1", false);
    world.put(&config).await;
    let asked = |ids: &[&str]| CreateOidcProvider {
        client_ids: ids.iter().map(ToString::to_string).collect(),
        ..asked(OKTA)
    };
    let refused = providers.create_oidc_provider(by(world), asked(&["own", "0oa1"])).await;
    let Err(CallError::Precondition { rule: "audience_taken", message }) = refused else {
        panic!("{refused:?}")
    };
    assert!(message.contains("`0oa1`") && message.contains("lanyard:shared-audience=true"), "{message}");
    assert!(!message.contains(world.cluster.id.as_str()), "it names no other's cluster: {message}");
    let found = providers.get_oidc_provider(actor_of(world.hub.account), of(OKTA)).await;
    assert_eq!(rule(found), "not_found");
    // The account's number is no excuse, nor is it the issuer that is taken.
    let other = world.register("222233334444", Authority::Local).await;
    let theirs = providers.create_oidc_provider(Mutation::by(actor_of(other)), asked(&["0oa1"])).await;
    assert_eq!(rule(theirs), "audience_taken");
    let made = providers.create_oidc_provider(by(world), asked(&["sts.amazonaws.com", "own"])).await.unwrap();
    assert_eq!(made.notices, [""; 0]);
    let change = |update| providers.update_oidc_provider(by(world), of(OKTA), update);
    assert_eq!(rule(change(Update::AddClientId("0oa1".to_owned())).await), "audience_taken");
    let elsewhere = CreateOidcProvider { issuer_url: format!("{OKTA}/b"), ..asked(&["0oa1"]) };
    assert!(providers.create_oidc_provider(by(world), elsewhere).await.unwrap().notices.is_empty());

    // Where the cluster says that it is shared, whoever takes it is warned once.
    world.remove(&config).await;
    world.put(&login(world, "0oa1", true)).await;
    let added = change(Update::AddClientId("0oa1".to_owned())).await.unwrap();
    assert!(added.value.client_ids.contains(&"0oa1".to_owned()));
    assert_eq!(added.notices.len(), 1, "{:?}", added.notices);
    assert!(
        added.notices[0].contains("`0oa1`") && added.notices[0].contains("(1 by now)"),
        "{:?}",
        added.notices
    );
    let again = change(Update::AddClientId("0oa1".to_owned())).await.unwrap();
    assert!(again.notices.is_empty(), "{:?}", again.notices);
    providers.delete_oidc_provider(by(world), of(OKTA)).await.unwrap();
    let made = providers.create_oidc_provider(by(world), asked(&["0oa1"])).await.unwrap();
    assert_eq!(
        (made.notices.len(), made.revision),
        (1, world.store.revision(Scope::Account(world.hub.account)).await.unwrap())
    );
}

async fn immunity_36_a_session_ends_with_the_provider_or_the_block_on_its_subject(database: TestDatabase) {
    let world = crate::world::world(database).await;
    let home = world.hub.account;
    let engine = &world.engine;
    let role = world.role(home, "/", "ci", &format!("arn:aws:iam::{home}:root")).await;
    let create =
        || engine.create_oidc_provider(system(), CreateOidcProvider { account: Some(home), ..asked(GITHUB) });
    let made = create().await.unwrap().value;
    let ancestor = Ancestor::Provider {
        account: home,
        id: made.id.to_string(),
        issuer: GITHUB.to_owned(),
        subject: "repo:octo/a b".to_owned(),
    };
    let (session, _) = world.session_of(&role, vec![ancestor], 0).await;
    let session: Credentials = session.credentials;
    let identity = verified(world.knock(&session, &world.cluster).await).identity.value.clone();
    let ancestors = &identity.aws().unwrap().ancestors;
    assert_eq!(*ancestors, [format!("provider/{home}/{} {GITHUB} repo:octo/a b", made.id)]);

    let subject =
        |subject: &str| BlockTarget::OidcSubject { issuer: GITHUB.to_owned(), subject: subject.to_owned() };
    let issuer = |issuer: &str| BlockTarget::OidcIssuer { issuer: issuer.to_owned() };
    let cases = [
        (subject("repo:octo/a b"), true),
        (issuer(GITHUB), true),
        (subject("repo:octo/a"), false),
        (issuer("https://issuer.example"), false),
    ];
    for (target, stops) in cases {
        for scope in [Scope::Hub, Scope::Account(home), Scope::Cluster(world.cluster.uid)] {
            let block = world.block(scope, target.clone()).await;
            let answer = world.knock(&session, &world.cluster).await;
            match stops {
                true => assert_eq!(crate::world::code(answer), "blocked", "{scope} {target:?}"),
                false => drop(verified(answer)),
            }
            world.remove(&block).await;
        }
    }

    let gone = OidcProviderRef { account: Some(home), ..of(GITHUB) };
    engine.delete_oidc_provider(system(), gone).await.unwrap();
    assert_eq!(crate::world::code(world.knock(&session, &world.cluster).await), "session_ancestor_gone");
    create().await.unwrap();
    let anew = world.knock(&session, &world.cluster).await;
    assert_eq!(crate::world::code(anew), "session_ancestor_gone", "one made anew is another");
}

//! Lists of what an account has: read from where the page begins, and no further than the page needs.

use crate::accounts::{operator, rule};
use crate::world::{AWS_ACCOUNT, World, world};
use lanyard_api::authn::accounts::{Accounts, CreateUser, Named, OfAccount, PolicyOwner};
use lanyard_api::{Mutation, PageQuery};
use lanyard_store::{on_each_store, test_support::TestDatabase};

on_each_store!(
    a_page_of_users_under_a_path_is_found_among_many_others,
    any_token_begins_somewhere_and_breaks_nothing,
    the_policies_of_a_principal_are_its_own_among_those_whose_names_begin_alike,
    the_keys_of_a_user_are_its_own,
);

fn user(path: &str, name: &str) -> CreateUser {
    CreateUser { account: None, path: path.to_owned(), name: name.to_owned(), tags: Default::default() }
}

fn by(world: &World) -> Mutation {
    Mutation { allow_lockout: true, ..operator(world) }
}

async fn names(world: &World, path_prefix: &str, page: PageQuery) -> (Vec<String>, Option<String>) {
    let of = OfAccount { account: None, path_prefix: path_prefix.to_owned() };
    let page = world.engine.list_users(operator(world).actor, of, page).await.unwrap();
    (page.items.into_iter().map(|user| user.name).collect(), page.next_token)
}

async fn a_page_of_users_under_a_path_is_found_among_many_others(database: TestDatabase) {
    let world = world(database).await;
    let mut expected = Vec::new();
    for number in 0..23 {
        let (name, is_meant) = (format!("user-{number:02}"), number % 9 == 4);
        let path = if is_meant { "/rare/" } else { "/" };
        world.engine.create_user(by(&world), user(path, &name)).await.unwrap();
        expected.extend(is_meant.then_some(name));
    }
    assert_eq!(expected, ["user-04", "user-13", "user-22"]);
    for items_max in 1..=4 {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let (page, next) = names(&world, "/rare/", PageQuery { items_max, token }).await;
            assert!(page.len() <= items_max as usize, "{page:?}");
            found.extend(page);
            let Some(next) = next else { break };
            // Who is made before where the next page begins moves nothing.
            token = next;
            let _ = world.engine.create_user(by(&world), user("/rare/", "a-late-one")).await;
        }
        found.retain(|name| name != "a-late-one");
        assert_eq!(found, expected, "pages of {items_max}");
        let late = Named { account: None, name: "a-late-one".to_owned() };
        let _ = world.engine.delete_user(by(&world), late, false).await;
    }
    let (all, next) = names(&world, "/", PageQuery::default()).await;
    assert_eq!((all.len(), next), (24, None), "and the administrator");
}

async fn any_token_begins_somewhere_and_breaks_nothing(database: TestDatabase) {
    let world = world(database).await;
    for name in ["ana", "bob", "cid"] {
        world.engine.create_user(by(&world), user("/", name)).await.unwrap();
    }
    for (token, first) in [("ana", "bob"), ("an", "ana"), ("bob\0x", "cid"), ("b\u{fffd}", "cid")] {
        let page = PageQuery { items_max: 1, token: token.to_owned() };
        let (found, _) = names(&world, "/", page).await;
        assert_eq!(
            found.first().filter(|name| *name != "administrator").map(String::as_str),
            Some(first),
            "{token:?}"
        );
    }
    let page = PageQuery { items_max: 0, token: "zzz".to_owned() };
    assert_eq!(names(&world, "/", page).await, (Vec::new(), None));
}

async fn the_policies_of_a_principal_are_its_own_among_those_whose_names_begin_alike(database: TestDatabase) {
    let world = world(database).await;
    let owner = |path: &str| {
        PolicyOwner::Principal(format!("arn:aws:iam::{AWS_ACCOUNT}:user/{path}").parse().unwrap())
    };
    let document =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"}]}"#;
    for (path, name) in [("team", "z"), ("team/ana", "p"), ("team", "a"), ("team/bob", "p"), ("tea", "p")] {
        let put =
            world.engine.put_policy(by(&world), None, owner(path), name.to_owned(), document.to_owned());
        put.await.unwrap();
    }
    let list = async |path: &str| {
        let policies = world.engine.list_policies(operator(&world).actor, None, owner(path)).await.unwrap();
        policies.into_iter().map(|policy| policy.name).collect::<Vec<_>>()
    };
    assert_eq!(list("team").await, ["a", "z"]);
    assert_eq!(list("team/ana").await, ["p"]);
    assert_eq!(list("te").await, Vec::<String>::new());
}

async fn the_keys_of_a_user_are_its_own(database: TestDatabase) {
    let world = world(database).await;
    let (ana, first) = world.user(world.hub.account, "/", "ana").await;
    let second = world.key(world.hub.account, "ana").await;
    world.user(world.hub.account, "/", "anabel").await;
    let named = |name: &str| Named { account: None, name: name.to_owned() };
    let keys = world.engine.list_access_keys(operator(&world).actor, named("ana")).await.unwrap();
    let mut expected = [first.access_key_id, second.access_key_id];
    expected.sort();
    assert_eq!(keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>(), expected);
    assert!(keys.iter().all(|key| key.user == ana.name));
    let third = world.engine.create_access_key(by(&world), named("ana")).await;
    assert_eq!(rule(third.map(|_| ())), "limit");
}

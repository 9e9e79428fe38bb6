//! What `InstanceProfiles` promises: a function for each, run on the engine and on the engine behind gRPC.

use crate::accounts::{actor_of, by, operator, rule};
use crate::promises::promises;
use crate::world::call::{admitted, forbidden};
use crate::world::{World, account, world};
use lanyard_api::authn::accounts::{Accounts, Named, OfAccount};
use lanyard_api::authn::instance_profiles::{
    CreateInstanceProfile, InstanceProfiles, UpdateInstanceProfile as Update,
};
use lanyard_api::{Authority, Mutation, PageQuery};
use lanyard_proto::authn::v1 as pb;
use lanyard_store::{on_each_store, test_support::TestDatabase};

promises! {
    instance_profiles:
    a_profile_is_found_and_listed_by_path_and_in_pages,
    a_profile_has_one_role_at_most_and_neither_goes_while_it_has,
    the_profiles_of_a_role_are_listed_in_pages_without_those_of_others,
    a_role_is_shown_in_its_profile_as_it_is_by_itself,
    what_breaks_a_rule_of_iam_is_refused,
    immunity_33_profiles_are_of_the_actors_own_account,
}

on_each_store!(a_role_is_put_into_a_profile_by_who_may_pass_it,);

fn asked(name: &str) -> CreateInstanceProfile {
    CreateInstanceProfile { name: name.to_owned(), ..CreateInstanceProfile::default() }
}

fn named(name: &str) -> Named {
    Named { account: None, name: name.to_owned() }
}

async fn a_profile_is_found_and_listed_by_path_and_in_pages(world: &World, profiles: &impl InstanceProfiles) {
    let actor = || actor_of(world.hub.account);
    let mut made = Vec::new();
    for (name, path) in [("a", "/team/"), ("b", ""), ("c", "/team/x/")] {
        let asked = CreateInstanceProfile { path: path.to_owned(), ..asked(name) };
        let answer = profiles.create_instance_profile(by(world), asked).await.unwrap().value;
        assert_eq!(profiles.get_instance_profile(actor(), named(name)).await.unwrap(), answer);
        assert!(answer.profile.profile_id.starts_with("AIPA") && answer.iam_role.is_none());
        made.push(answer);
    }
    let arn = format!("arn:aws:iam::{}:instance-profile/team/a", world.hub.account);
    assert_eq!(made[0].profile.arn(world.hub.partition), arn);
    let all = OfAccount::default();
    let first = PageQuery { items_max: 2, token: String::new() };
    let first = profiles.list_instance_profiles(actor(), all.clone(), first).await.unwrap();
    let second = PageQuery { items_max: 2, token: first.next_token.unwrap() };
    let second = profiles.list_instance_profiles(actor(), all, second).await.unwrap();
    assert_eq!([first.items, second.items].concat(), made);
    assert_eq!(second.next_token, None);
    let team = OfAccount { account: None, path_prefix: "/team/".to_owned() };
    let team = profiles.list_instance_profiles(actor(), team, PageQuery::default()).await.unwrap();
    assert_eq!(team.items, [made[0].clone(), made[2].clone()]);
    let tags = || [("team".to_owned(), "a".to_owned())].into();
    let tagged = profiles.update_instance_profile(by(world), named("a"), Update::Tag(tags())).await.unwrap();
    assert_eq!(tagged.value.profile.tags, tags());
    let keys = vec!["team".to_owned(), "none".to_owned()];
    let bare = profiles.update_instance_profile(by(world), named("a"), Update::Untag(keys)).await.unwrap();
    assert_eq!(bare.value, made[0]);
    let deleted = profiles.delete_instance_profile(by(world), named("a")).await.unwrap();
    assert_eq!(deleted.value, made[0]);
    for gone in [
        profiles.get_instance_profile(actor(), named("a")).await.map(drop),
        profiles.delete_instance_profile(by(world), named("a")).await.map(drop),
        profiles.update_instance_profile(by(world), named("a"), Update::Untag(Vec::new())).await.map(drop),
    ] {
        assert_eq!(rule(gone), "not_found");
    }
    let anew = profiles.create_instance_profile(by(world), asked("a")).await.unwrap().value;
    assert_ne!(anew.profile.profile_id, made[0].profile.profile_id, "made anew it is another");
}

async fn a_profile_has_one_role_at_most_and_neither_goes_while_it_has(
    world: &World,
    profiles: &impl InstanceProfiles,
) {
    let actor = || actor_of(world.hub.account);
    let home = world.hub.account;
    let node = world.role(home, "/team/", "node", home.as_str()).await;
    world.role(home, "/", "other", home.as_str()).await;
    profiles.create_instance_profile(by(world), asked("p")).await.unwrap();
    let add = |role: &str| Update::AddRole(role.to_owned());
    let remove = |role: &str| Update::RemoveRole(role.to_owned());
    let change = |update: Update| profiles.update_instance_profile(by(world), named("p"), update);
    assert_eq!(rule(change(add("nobody")).await), "not_found");
    let with_role = change(add("node")).await.unwrap().value;
    assert_eq!((with_role.profile.role.as_deref(), with_role.iam_role.as_ref()), (Some("node"), Some(&node)));
    let listed =
        profiles.list_instance_profiles_for_role(actor(), named("node"), PageQuery::default()).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&with_role));
    let none = profiles.list_instance_profiles_for_role(actor(), named("other"), PageQuery::default()).await;
    assert_eq!(none.unwrap().items, []);
    let nobody =
        profiles.list_instance_profiles_for_role(actor(), named("nobody"), PageQuery::default()).await;
    assert_eq!(rule(nobody), "not_found");
    assert_eq!(rule(change(add("other")).await), "limit");
    assert_eq!(rule(change(remove("other")).await), "not_found");
    assert_eq!(rule(profiles.delete_instance_profile(by(world), named("p")).await), "has_role");
    let in_use = world.engine.delete_role(by(world), named("node"), false).await;
    assert_eq!(rule(in_use), "in_instance_profile");
    assert_eq!(change(remove("node")).await.unwrap().value.profile.role, None);
    world.engine.delete_role(by(world), named("node"), false).await.unwrap();
    profiles.delete_instance_profile(by(world), named("p")).await.unwrap();
}

async fn the_profiles_of_a_role_are_listed_in_pages_without_those_of_others(
    world: &World,
    profiles: &impl InstanceProfiles,
) {
    let home = world.hub.account;
    for role in ["node", "other"] {
        world.role(home, "/", role, home.as_str()).await;
    }
    let mut expected = Vec::new();
    for (name, role) in [("a", "node"), ("b", "other"), ("c", "node"), ("d", "node"), ("e", "other")] {
        profiles.create_instance_profile(by(world), asked(name)).await.unwrap();
        let add = Update::AddRole(role.to_owned());
        let with_role = profiles.update_instance_profile(by(world), named(name), add).await.unwrap().value;
        if role == "node" {
            expected.push(with_role);
        }
    }
    profiles.create_instance_profile(by(world), asked("f")).await.unwrap();
    let page = async |items_max, token: Option<String>| {
        let page = PageQuery { items_max, token: token.unwrap_or_default() };
        profiles.list_instance_profiles_for_role(actor_of(home), named("node"), page).await.unwrap()
    };
    let first = page(2, None).await;
    assert_eq!(first.items, expected[..2]);
    let second = page(2, first.next_token).await;
    assert_eq!((second.items.as_slice(), second.next_token), (&expected[2..], None));
    assert_eq!(page(3, None).await.next_token, None, "none follows on a full page");
}

async fn a_role_is_shown_in_its_profile_as_it_is_by_itself(world: &World, profiles: &impl InstanceProfiles) {
    let actor = || actor_of(world.hub.account);
    let home = world.hub.account;
    let (vic, _) = world.user(home, "/", "vic").await;
    let trusted = format!("arn:{}:iam::{home}:user/vic", world.hub.partition);
    world.role(home, "/", "node", &trusted).await;
    profiles.create_instance_profile(by(world), asked("p")).await.unwrap();
    let change = |update: Update| profiles.update_instance_profile(by(world), named("p"), update);
    change(Update::AddRole("node".to_owned())).await.unwrap();
    world.engine.delete_user(by(world), named("vic"), false).await.unwrap();
    let role = world.engine.get_role(actor(), named("node")).await.unwrap();
    assert!(role.trust_policy.contains(&vic.principal_id), "{role:?}");
    let got = profiles.get_instance_profile(actor(), named("p")).await.unwrap();
    assert_eq!(got.iam_role, Some(role));
    let (all, page) = (OfAccount::default(), PageQuery::default());
    let listed = profiles.list_instance_profiles(actor(), all, page.clone()).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&got));
    let listed = profiles.list_instance_profiles_for_role(actor(), named("node"), page).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&got));
    let untagged = change(Update::Untag(vec!["none".to_owned()])).await.unwrap();
    assert_eq!(untagged.value, got);
}

async fn what_breaks_a_rule_of_iam_is_refused(world: &World, profiles: &impl InstanceProfiles) {
    let cases = [
        (asked(""), "name"),
        (asked("a/b"), "name"),
        (asked(&"a".repeat(129)), "name"),
        (CreateInstanceProfile { path: "team".to_owned(), ..asked("a") }, "path"),
        (
            CreateInstanceProfile { tags: [("aws:x".to_owned(), String::new())].into(), ..asked("a") },
            "reserved_tag",
        ),
    ];
    for (bad, expected) in cases {
        let what = format!("{bad:?}");
        assert_eq!(rule(profiles.create_instance_profile(by(world), bad).await), expected, "{what}");
    }
    profiles.create_instance_profile(by(world), asked(&"a".repeat(128))).await.unwrap();
    profiles.create_instance_profile(by(world), asked("node")).await.unwrap();
    assert_eq!(rule(profiles.create_instance_profile(by(world), asked("Node")).await), "exists");
}

async fn immunity_33_profiles_are_of_the_actors_own_account(world: &World, profiles: &impl InstanceProfiles) {
    let other = account("222233334444");
    world.register(other.as_str(), Authority::Local).await;
    profiles.create_instance_profile(by(world), asked("p")).await.unwrap();
    let theirs = || Mutation::by(actor_of(other));
    let there = || Named { account: Some(world.hub.account), ..named("p") };
    let all = OfAccount::from(Some(world.hub.account));
    for foreign in [
        profiles.get_instance_profile(actor_of(other), there()).await.map(drop),
        profiles.get_instance_profile(actor_of(other), named("p")).await.map(drop),
        profiles.list_instance_profiles(actor_of(other), all, PageQuery::default()).await.map(drop),
        profiles
            .list_instance_profiles_for_role(actor_of(other), there(), PageQuery::default())
            .await
            .map(drop),
        profiles.delete_instance_profile(theirs(), there()).await.map(drop),
        profiles.update_instance_profile(theirs(), there(), Update::Untag(Vec::new())).await.map(drop),
        profiles
            .create_instance_profile(
                theirs(),
                CreateInstanceProfile { account: Some(world.hub.account), ..asked("q") },
            )
            .await
            .map(drop),
    ] {
        assert_eq!(rule(foreign), "not_found");
    }
    let own =
        profiles.list_instance_profiles(actor_of(other), OfAccount::default(), PageQuery::default()).await;
    assert_eq!(own.unwrap().items, []);
    let by_operator = CreateInstanceProfile { account: Some(other), ..asked("p") };
    profiles.create_instance_profile(operator(world), by_operator).await.unwrap();
}

async fn a_role_is_put_into_a_profile_by_who_may_pass_it(database: TestDatabase) {
    const ADD: &str = "/lanyard.authn.v1.InstanceProfiles/AddRoleToInstanceProfile";
    let world = world(database).await;
    let home = world.hub.account;
    world.role(home, "/team/", "node", home.as_str()).await;
    let asked = CreateInstanceProfile { path: "/nodes/".to_owned(), ..asked("p") };
    world.engine.create_instance_profile(by(&world), asked).await.unwrap();
    let document = |pass: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":"iam:AddRoleToInstanceProfile","Resource":"arn:aws:iam::{home}:instance-profile/nodes/p"}}{pass}]}}"#
        )
    };
    let pass = format!(
        r#",{{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::{home}:role/team/*",
        "Condition":{{"StringEquals":{{"iam:PassedToService":"ec2.amazonaws.com"}}}}}}"#
    );
    let request = |role: &str| pb::AddRoleToInstanceProfileRequest {
        name: "p".to_owned(),
        role: role.to_owned(),
        ..Default::default()
    };
    let without = world.policed("without", &document("")).await;
    let denial = forbidden(world.call(&without, ADD, &request("node")).await);
    assert!(denial.message.contains("iam:PassRole"), "{denial}");
    let with = world.policed("with", &document(&pass)).await;
    admitted(world.call(&with, ADD, &request("node")).await);
    forbidden(world.call(&with, ADD, &request("nobody")).await);
    // A hub operator does it in another account, by both permissions on the hub.
    let other = world.register("222233334444", Authority::Local).await;
    let there = pb::AddRoleToInstanceProfileRequest { account: Some(other.to_string()), ..request("node") };
    let may = |actions: &str| {
        let hub = world.hub.arn();
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":[{actions}],"Resource":"{hub}"}}}}"#
        )
    };
    let adds = world.policed("adds", &may(r#""iam:AddRoleToInstanceProfile""#)).await;
    let denial = forbidden(world.call(&adds, ADD, &there).await);
    assert!(denial.message.contains("iam:PassRole"), "{denial}");
    let passes = may(r#""iam:AddRoleToInstanceProfile","iam:PassRole""#);
    let passes = world.policed("passes", &passes).await;
    assert_eq!(admitted(world.call(&passes, ADD, &there).await).resource, world.hub.arn());
}

//! What a call's circumstances give policies to compare with.

use lanyard_api::authn::Admission;
use lanyard_api::authn::accounts::{Accounts as _, CreateUser, PolicyOwner};
use lanyard_api::authn::oidc_providers::OidcProvider;
use lanyard_api::mapping::AccessEntry;
use lanyard_api::{Authority, OidcProviderId};
use lanyard_iam::{Ancestor, PrincipalId};
use lanyard_proto::{authn::v1 as authn, mapping::v1 as mapping};
use lanyard_store::{on_each_store, test_support::TestDatabase};

use crate::policies::entry_of;
use crate::world::call::{DELETE_ENTRY, DESCRIBE, GET_USER, admitted, allow, describe, forbidden};
use crate::world::{World, system, world};

const UPDATE_ENTRY: &str = "/lanyard.mapping.v1.Entries/UpdateAccessEntry";

/// May act on what the blue team has.
const BLUE: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"eks:*","Resource":"*",
    "Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}}"#;

on_each_store!(
    every_call_says_how_and_where_it_is_made,
    a_session_of_an_issuers_token_says_which_provider_made_it,
    immunity_19_the_tags_of_a_user_are_known_by_iams_own_key_too,
    an_entry_is_weighed_by_what_it_is_and_what_it_would_become,
    immunity_19_a_deny_on_an_entry_is_not_walked_around_by_spelling,
    immunity_19_a_condition_on_a_tag_is_not_walked_around_by_its_letter_case,
    immunity_19_a_pattern_is_weighed_as_the_one_of_its_own_letter_case,
    immunity_19_of_entries_for_the_same_the_one_that_counts_is_weighed,
    immunity_19_of_entries_in_two_spellings_the_one_that_is_acted_on_is_weighed,
);

fn role_arn(world: &World, name: &str) -> String {
    format!("arn:aws:iam::{}:role/{name}", world.hub.account)
}

/// The deletion of the entry of a role of the hub's account.
fn deletion(world: &World, name: &str) -> mapping::DeleteAccessEntryRequest {
    mapping::DeleteAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: role_arn(world, name),
        ..Default::default()
    }
}

async fn every_call_says_how_and_where_it_is_made(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    let cases = [
        (r#"{"Bool":{"aws:SecureTransport":"true","aws:ViaAWSService":"false"}}"#.to_owned(), true),
        (r#"{"Bool":{"aws:SecureTransport":"false"}}"#.to_owned(), false),
        (r#"{"Bool":{"aws:PrincipalIsAWSService":"true"}}"#.to_owned(), false),
        (
            format!(
                r#"{{"StringEquals":{{"aws:ResourceAccount":"{account}","aws:PrincipalAccount":"{account}"}}}}"#
            ),
            true,
        ),
        (r#"{"StringEquals":{"eks:clusterName":"dev"}}"#.to_owned(), true),
        (
            r#"{"StringEquals":{"aws:username":"${aws:username}","eks:clusterName":"${aws:none, 'dev'}"}}"#
                .to_owned(),
            true,
        ),
        // A key says nothing of MFA, so that who demands it by `Null` or `Bool` is not led astray.
        (r#"{"Null":{"aws:MultiFactorAuthPresent":"true"}}"#.to_owned(), true),
        (
            r#"{"DateGreaterThan":{"aws:CurrentTime":"2020-01"},"NumericGreaterThan":{"aws:EpochTime":"0"}}"#
                .to_owned(),
            true,
        ),
    ];
    for (at, (condition, good)) in cases.into_iter().enumerate() {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"eks:*","Resource":"*","Condition":{condition}}}}}"#
        );
        let key = world.policed(&format!("u{at}"), &document).await;
        let answer = world.call(&key, DESCRIBE, &describe("dev")).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{condition}: {answer:?}");
    }
}

async fn a_session_of_an_issuers_token_says_which_provider_made_it(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    let provider = OidcProvider {
        id: OidcProviderId::random(),
        account,
        issuer_url: "https://ci.example/a".to_owned(),
        client_ids: Vec::new(),
        thumbprints: Vec::new(),
        ca_bundle_pem: None,
        tags: Default::default(),
        created_at: world.now(),
    };
    world.put(&provider).await;
    let role = world.role(account, "/", "Ci", "*").await;
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"eks:*","Resource":"*","Condition":{{
            "ArnEquals":{{"aws:FederatedProvider":"arn:aws:iam::{account}:oidc-provider/ci.example/a"}}}}}}}}"#
    );
    world.policy(account, PolicyOwner::Role(role.name.clone()), "p", &document).await;
    let vouched = Ancestor::Provider {
        account,
        id: provider.id.to_string(),
        issuer: provider.issuer_url.clone(),
        subject: "repo:a/b:pull_request".to_owned(),
    };
    let of_cluster = Ancestor::Cluster(world.cluster.uid.to_string());
    for ancestors in [vec![vouched.clone()], vec![vouched.clone(), of_cluster]] {
        let (by_token, _) = world.session_of(&role, ancestors, 0).await;
        admitted(world.call(&by_token.credentials, DESCRIBE, &describe("dev")).await);
    }
    // One that was assumed from it was made by no token.
    let before = Ancestor::Role(PrincipalId::parse(&role.principal_id).unwrap());
    let (chained, _) = world.session_of(&role, vec![before, vouched], 1).await;
    let denial = forbidden(world.call(&chained.credentials, DESCRIBE, &describe("dev")).await);
    assert_eq!(denial.code, "implicit_deny");
    assert!(denial.message.contains("aws:FederatedProvider"), "{denial}");
}

async fn immunity_19_the_tags_of_a_user_are_known_by_iams_own_key_too(database: TestDatabase) {
    let world = world(database).await;
    let kept = CreateUser {
        account: Some(world.hub.account),
        path: "/".to_owned(),
        name: "boss".to_owned(),
        tags: [("kept".to_owned(), "yes".to_owned())].into(),
    };
    world.engine.create_user(system(), kept).await.unwrap();
    let get = |name: &str| authn::GetUserRequest { account: None, name: name.to_owned() };
    for prefix in ["iam", "aws"] {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:*","Resource":"*"}},
            {{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"StringEquals":{{"{prefix}:ResourceTag/kept":"yes"}}}}}}]}}"#
        );
        let key = world.policed(prefix, &document).await;
        let denial = forbidden(world.call(&key, GET_USER, &get("boss")).await);
        assert_eq!(denial.code, "explicit_deny", "{prefix}");
        admitted(world.call(&key, GET_USER, &get(prefix)).await);
    }
}

async fn an_entry_is_weighed_by_what_it_is_and_what_it_would_become(database: TestDatabase) {
    let world = world(database).await;
    let entry = |name: &str, groups: &[&str]| AccessEntry {
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..entry_of(&world, name)
    };
    world.put(&entry("one", &["viewers"])).await;
    world.put(&entry("two", &["viewers", "admins"])).await;
    let document = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"eks:*","Resource":"*","Condition":{
            "StringEquals":{"eks:accessEntryType":"STANDARD","eks:username":["one","two","uno"],"eks:clusterName":"dev"}}},
        {"Sid":"NoAdmins","Effect":"Deny","Action":"eks:*","Resource":"*",
         "Condition":{"ForAnyValue:StringEquals":{"eks:kubernetesGroups":"admins"}}}]}"#;
    let key = world.policed("ana", document).await;
    let delete = |name: &str| deletion(&world, name);
    let update = |name: &str, username: &str, groups: Option<&[&str]>| mapping::UpdateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: role_arn(&world, name),
        username: Some(username.to_owned()),
        groups: groups.map(|groups| lanyard_proto::call::v1::Strings {
            values: groups.iter().map(|group| (*group).to_owned()).collect(),
        }),
        ..Default::default()
    };
    let answers = [
        (world.call(&key, DELETE_ENTRY, &delete("one")).await, true),
        (world.call(&key, DELETE_ENTRY, &delete("two")).await, false),
        // Of one that is not there nothing is known.
        (world.call(&key, DELETE_ENTRY, &delete("three")).await, false),
        (world.call(&key, UPDATE_ENTRY, &update("one", "uno", None)).await, true),
        (world.call(&key, UPDATE_ENTRY, &update("one", "dos", None)).await, false),
        (world.call(&key, UPDATE_ENTRY, &update("one", "uno", Some(&["admins"]))).await, false),
        (world.call(&key, UPDATE_ENTRY, &update("two", "uno", Some(&["viewers"]))).await, true),
    ];
    for (at, (answer, good)) in answers.into_iter().enumerate() {
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{at}: {answer:?}");
    }
}

async fn immunity_19_a_pattern_is_weighed_as_the_one_of_its_own_letter_case(database: TestDatabase) {
    let world = world(database).await;
    let tagged = |name: &str, team: &str| AccessEntry {
        tags: [("team".to_owned(), team.to_owned())].into(),
        ..entry_of(&world, name)
    };
    // Of patterns letter case counts, so these are two, and both are there.
    world.put(&tagged("dev-*", "red")).await;
    world.put(&tagged("DEV-*", "blue")).await;
    let key = world.policed("ana", BLUE).await;
    for (name, good) in [("dev-*", false), ("DEV-*", true), ("Dev-*", false)] {
        let answer = world.call(&key, DELETE_ENTRY, &deletion(&world, name)).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{name}: {answer:?}");
    }
}

async fn immunity_19_of_entries_for_the_same_the_one_that_counts_is_weighed(database: TestDatabase) {
    let world = world(database).await;
    let key = world.policed("ana", BLUE).await;
    let tagged = |name: &str, authority: Authority, team: &str| AccessEntry {
        authority,
        tags: [("team".to_owned(), team.to_owned())].into(),
        ..entry_of(&world, name)
    };
    // The cluster trusts the hub for its account; before, somebody else vouched for it.
    for (name, counts, good) in [("one", "blue", true), ("other", "red", false), ("few-*", "blue", true)] {
        let left = if good { "red" } else { "blue" };
        for (authority, team) in
            [(Authority::Aws, left), (Authority::Local, counts), (Authority::Sts("lab".to_owned()), left)]
        {
            world.put(&tagged(name, authority, team)).await;
        }
        let answer = world.call(&key, DELETE_ENTRY, &deletion(&world, name)).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{name}: {answer:?}");
    }
}

async fn immunity_19_of_entries_in_two_spellings_the_one_that_is_acted_on_is_weighed(database: TestDatabase) {
    let world = world(database).await;
    let key = world.policed("ana", BLUE).await;
    // Of before a principal had one entry alone; the last ones are of an account that somebody else vouched for.
    for (name, authority, team) in [
        ("One", Authority::Local, "blue"),
        ("ONE", Authority::Local, "red"),
        ("Two", Authority::Local, "red"),
        ("TWO", Authority::Local, "blue"),
        ("Few", Authority::Local, "red"),
        ("few", Authority::Aws, "blue"),
    ] {
        let tags = [("team".to_owned(), team.to_owned())].into();
        world.put(&AccessEntry { authority, tags, ..entry_of(&world, name) }).await;
    }
    // As the call writes it, else what the cluster trusts, else the last one in the order of lists.
    for (name, good) in [
        ("One", true),
        ("ONE", false),
        ("one", true),
        ("Two", false),
        ("TWO", true),
        ("two", false),
        ("Few", false),
        ("few", true),
        ("FEW", false),
    ] {
        let answer = world.call(&key, DELETE_ENTRY, &deletion(&world, name)).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{name}: {answer:?}");
    }
}

async fn immunity_19_a_condition_on_a_tag_is_not_walked_around_by_its_letter_case(database: TestDatabase) {
    const CREATE: &str = "/lanyard.mapping.v1.Clusters/CreateCluster";
    let world = world(database).await;
    let only = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"eks:*","Resource":"*",
        "Condition":{"StringEquals":{"aws:RequestTag/env":"test"}}}}"#;
    let never = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"},
        {"Effect":"Deny","Action":"eks:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/env":"live"}}}]}"#;
    let (only, never) = (world.policed("only", only).await, world.policed("never", never).await);
    let create = |tags: &[(&str, &str)]| mapping::CreateClusterRequest {
        name: "new".to_owned(),
        region: "eu-west-1".to_owned(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Default::default()
    };
    // EKS tells tags apart by letter case, conditions do not: of two spellings neither hides the other.
    let cases: [(&[(&str, &str)], bool); 5] = [
        (&[("env", "test")], true),
        (&[("Env", "test")], true),
        (&[("env", "live")], false),
        (&[("Env", "live"), ("env", "test")], false),
        (&[("env", "live"), ("Env", "test")], false),
    ];
    for (tags, good) in cases {
        for key in [&only, &never] {
            let answer = world.call(key, CREATE, &create(tags)).await;
            assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{tags:?}: {answer:?}");
        }
    }
    // The same of tags that the cluster has.
    let on_cluster = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"eks:*","Resource":"*",
        "Condition":{"StringEquals":{"aws:ResourceTag/env":"test"}}}}"#;
    let key = world.policed("reader", on_cluster).await;
    for (tags, good) in cases {
        let mut cluster = world.cluster.clone();
        cluster.tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        world.put(&cluster).await;
        let answer = world.call(&key, DESCRIBE, &describe("dev")).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{tags:?}: {answer:?}");
    }
}

async fn immunity_19_a_deny_on_an_entry_is_not_walked_around_by_spelling(database: TestDatabase) {
    let world = world(database).await;
    world.put(&entry_of(&world, "Boss")).await;
    let account = world.hub.account;
    let by_key = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"*","Resource":"*"}},
        {{"Effect":"Deny","Action":"*","Resource":"*",
          "Condition":{{"ArnEquals":{{"eks:principalArn":"arn:aws:iam::{account}:role/Boss"}}}}}}]}}"#
    );
    let by_arn = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","Action":"*","Resource":"arn:aws:eks:*:*:access-entry/dev/role/*/Boss/*"}]}"#;
    for (name, document) in [("key", &*by_key), ("arn", by_arn)] {
        let key = world.policed(name, document).await;
        for spelled in ["Boss", "boss", "BOSS"] {
            forbidden(world.call(&key, DELETE_ENTRY, &deletion(&world, spelled)).await);
        }
    }
    let key = world.policed("all", &allow("eks:*", "*")).await;
    let actor = admitted(world.call(&key, DELETE_ENTRY, &deletion(&world, "boss")).await);
    assert!(actor.resource.contains("/Boss/"), "{}", actor.resource);
}

//! What a call may do: real policy documents, in the caller's own account.

use crate::world::call::{
    ASSUME_ROLE, CREATE_ACCOUNT, CREATE_ENTRY, CREATE_USER, DELETE_ENTRY, DESCRIBE, GET_USER, LIST_ACCOUNTS,
    admitted, allow, assume, describe, forbidden, sign,
};
use crate::world::{REGION, World, cluster_of, system, world};
use lanyard_api::authn::accounts::{Accounts, IamRole, Named, PolicyOwner};
use lanyard_api::authn::{Admission, Admit};
use lanyard_api::credentials::PodIdentityAssociation;
use lanyard_api::mapping::{AccessEntry, EntryType};
use lanyard_api::methods::{self, MANAGED};
use lanyard_api::{ActorKind, Authority, CallError, EntryId};
use lanyard_iam::{Credentials, EntryPrincipal, PolicyDocument};
use lanyard_proto::{
    authn::v1 as authn, authz::v1 as authz, credentials::v1 as credentials, mapping::v1 as mapping,
};
use lanyard_store::{on_each_store, test_support::TestDatabase};
use prost::Message as _;
use std::collections::BTreeSet;

on_each_store!(
    policies_decide_and_the_refusal_names_the_statement_or_its_lack,
    a_calls_own_words_are_condition_keys_and_an_entry_is_named_by_its_arn,
    a_role_is_passed_on_by_those_alone_who_may_pass_it,
    an_association_is_known_to_policies_by_its_arn_and_tags,
    a_tag_call_is_weighed_by_the_arn_and_the_tags_of_what_it_names,
    what_is_made_with_tags_needs_the_action_of_tags_beside,
    tags_of_a_new_part_are_weighed_on_the_part,
    an_entry_for_several_needs_a_permission_of_its_own_beside_awss,
    immunity_33_star_on_star_reaches_no_other_account_and_what_is_there_looks_like_nothing,
    immunity_33_a_uid_opens_no_cluster_of_another_account,
    a_deny_on_a_user_is_not_walked_around_by_spelling,
    assuming_a_role_weighs_both_sides_as_iam_does,
    tags_and_a_source_identity_need_permissions_of_their_own,
    a_session_acts_with_its_roles_policies_and_its_own_policy_narrows_them,
    immunity_58_a_foreign_and_an_absent_cluster_are_refused_in_the_same_words,
);

async fn policies_decide_and_the_refusal_names_the_statement_or_its_lack(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    let cluster = format!("arn:aws:eks:{REGION}:{account}:cluster/dev");
    let statement = |effect: &str, rest: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ok","Effect":"Allow","Action":"eks:*","Resource":"*"}},{{"Sid":"Second","Effect":"{effect}",{rest}}}]}}"#
        )
    };
    let conditioned = |condition: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Ok","Effect":"Allow","Action":"eks:DescribeCluster","Resource":"*","Condition":{condition}}}]}}"#
        )
    };
    type Refusal = Option<(&'static str, &'static str)>;
    let cases: Vec<(&str, String, Refusal)> = vec![
        ("no-policy", allow("iam:*", "*"), Some(("implicit_deny", "no statement"))),
        ("exact", allow("eks:DescribeCluster", &cluster), None),
        (
            "other-resource",
            allow("eks:DescribeCluster", &format!("{cluster}2")),
            Some(("implicit_deny", "other resources")),
        ),
        (
            "deny",
            statement("Deny", r#""Action":"eks:Describe*","Resource":"*""#),
            Some(("explicit_deny", "`Second` of policy `p`")),
        ),
        ("not-action", statement("Deny", r#""NotAction":"eks:DescribeCluster","Resource":"*""#), None),
        ("ip", conditioned(r#"{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}}"#), None),
        (
            "other-ip",
            conditioned(r#"{"IpAddress":{"aws:SourceIp":"10.2.0.0/16"}}"#),
            Some(("implicit_deny", "`aws:SourceIp`")),
        ),
        ("date", conditioned(r#"{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#), None),
        (
            "late",
            conditioned(r#"{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#),
            Some(("implicit_deny", "`aws:CurrentTime`")),
        ),
        ("arn", conditioned(r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}}"#), None),
        ("tag", conditioned(r#"{"StringEquals":{"aws:ResourceTag/env":"test"}}"#), None),
        (
            "other-tag",
            conditioned(r#"{"StringEquals":{"aws:ResourceTag/env":"live"}}"#),
            Some(("implicit_deny", "aws:ResourceTag/env")),
        ),
    ];
    let mut cluster = world.cluster.clone();
    cluster.tags.insert("env".to_owned(), "test".to_owned());
    world.put(&cluster).await;
    for (name, document, refusal) in cases {
        let key = world.policed(&format!("a-{name}"), &document).await;
        let answer = world.call(&key, DESCRIBE, &describe("dev")).await;
        match refusal {
            None => drop(admitted(answer)),
            Some((code, words)) => {
                let denial = forbidden(answer);
                assert_eq!(denial.code, code, "{name}: {denial}");
                assert!(denial.message.contains(words), "{name}: {denial}");
            }
        }
    }
}

const CREATE_ASSOCIATION: &str = "/lanyard.credentials.v1.Associations/CreatePodIdentityAssociation";
const DELETE_ASSOCIATION: &str = "/lanyard.credentials.v1.Associations/DeletePodIdentityAssociation";

async fn a_role_is_passed_on_by_those_alone_who_may_pass_it(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    world.role(account, "/team/", "app", &format!("arn:aws:iam::{account}:root")).await;
    let app = format!("arn:aws:iam::{account}:role/team/app");
    let may = |pass: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"eks:*","Resource":"*"}}{pass}]}}"#
        )
    };
    let pass = |resource: &str, condition: &str| {
        may(&format!(r#",{{"Effect":"Allow","Action":"iam:PassRole","Resource":"{resource}"{condition}}}"#))
    };
    let to = |key: &str, value: &str| format!(r#","Condition":{{"StringEquals":{{"{key}":"{value}"}}}}"#);
    let for_dev = format!("arn:aws:eks:{REGION}:{account}:cluster/dev");
    let cases = [
        ("none", may(""), app.clone(), false),
        ("any", pass("*", ""), app.clone(), true),
        ("this", pass(&app, ""), app.clone(), true),
        ("other", pass(&format!("{app}2"), ""), app.clone(), false),
        ("to-pods", pass("*", &to("iam:PassedToService", "pods.eks.amazonaws.com")), app.clone(), true),
        ("to-ec2", pass("*", &to("iam:PassedToService", "ec2.amazonaws.com")), app.clone(), false),
        ("for-dev", pass("*", &to("iam:AssociatedResourceArn", &for_dev)), app.clone(), true),
        (
            "denied",
            may(&format!(
                r#",{{"Effect":"Allow","Action":"iam:PassRole","Resource":"*"}},{{"Effect":"Deny","Action":"iam:PassRole","Resource":"{app}"}}"#
            )),
            // The same role under a path that it has not: what is stored is what is weighed.
            format!("arn:aws:iam::{account}:role/elsewhere/app"),
            false,
        ),
    ];
    for (name, document, role_arn, good) in cases {
        let key = world.policed(&format!("p-{name}"), &document).await;
        let create = credentials::CreatePodIdentityAssociationRequest {
            cluster: "dev".to_owned(),
            role_arn,
            ..Default::default()
        };
        let answer = world.call(&key, CREATE_ASSOCIATION, &create).await;
        if good {
            assert_eq!(admitted(answer).action, "eks:CreatePodIdentityAssociation", "{name}");
        } else {
            let denial = forbidden(answer);
            assert!(denial.message.contains("iam:PassRole"), "{name}: {denial}");
        }
    }
    let key = world.policed("p-nodes", &may("")).await;
    let node = |entry_type: mapping::EntryType| mapping::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: app.clone(),
        entry_type: entry_type.into(),
        ..Default::default()
    };
    admitted(world.call(&key, CREATE_ENTRY, &node(mapping::EntryType::Standard)).await);
    let denial = forbidden(world.call(&key, CREATE_ENTRY, &node(mapping::EntryType::Ec2Linux)).await);
    assert!(denial.message.contains("iam:PassRole"), "{denial}");
}

async fn an_association_is_known_to_policies_by_its_arn_and_tags(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    let association = |number: u8, team: &str| PodIdentityAssociation {
        id: format!("a-{number:0>17}").parse().unwrap(),
        cluster: world.cluster.uid,
        namespace: "team-a".to_owned(),
        service_account: format!("bot-{number}"),
        role_arn: format!("arn:aws:iam::{account}:role/app").parse().unwrap(),
        target_role_arn: None,
        disable_session_tags: false,
        policy: None,
        aws_road: None,
        unprobed: false,
        tags: [("team".to_owned(), team.to_owned())].into(),
        created_at: world.now(),
        modified_at: world.now(),
    };
    for (number, team) in [(1, "a"), (2, "b"), (3, "a")] {
        world.put(&association(number, team)).await;
    }
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":"eks:DeletePodIdentityAssociation","Resource":"*",
              "Condition":{{"StringEquals":{{"aws:ResourceTag/team":"a"}}}}}},
            {{"Effect":"Deny","Action":"*","Resource":"arn:aws:eks:{REGION}:{account}:podidentityassociation/dev/a-00000000000000003"}}]}}"#
    );
    let key = world.policed("ana", &document).await;
    for (number, good) in [(1, true), (2, false), (3, false), (4, false)] {
        let request = credentials::DeletePodIdentityAssociationRequest {
            cluster: "dev".to_owned(),
            association_id: format!("a-{number:0>17}"),
            ..Default::default()
        };
        let answer = world.call(&key, DELETE_ASSOCIATION, &request).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{number}: {answer:?}");
    }
}

async fn a_tag_call_is_weighed_by_the_arn_and_the_tags_of_what_it_names(database: TestDatabase) {
    const TAG: &str = "/lanyard.mapping.v1.Tags/TagResource";
    let world = world(database).await;
    let account = world.hub.account;
    let mut cluster = world.cluster.clone();
    cluster.tags.insert("team".to_owned(), "a".to_owned());
    world.put(&cluster).await;
    let entry = |number: u128, name: &str, team: &str| AccessEntry {
        id: EntryId(uuid::Uuid::from_u128(number)),
        tags: [("team".to_owned(), team.to_owned())].into(),
        ..entry_of(&world, name)
    };
    world.put(&entry(1, "one", "a")).await;
    world.put(&entry(2, "two", "b")).await;
    let document = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"eks:TagResource","Resource":"*",
         "Condition":{"StringEquals":{"aws:ResourceTag/team":"a"},"ForAllValues:StringEquals":{"aws:TagKeys":["stage"]}}}]}"#;
    let key = world.policed("ana", document).await;
    let arn = |resource: &str| format!("arn:aws:eks:{}:{account}:{resource}", cluster.region);
    let entry_arn = |number: u128, name: &str| {
        arn(&format!("access-entry/dev/role/{account}/{name}/{}", uuid::Uuid::from_u128(number)))
    };
    let cases = [
        (arn("cluster/dev"), "stage", true),
        (arn("cluster/dev"), "team", false),
        (arn("cluster/none"), "stage", false),
        (entry_arn(1, "one"), "stage", true),
        (entry_arn(2, "two"), "stage", false),
        // What is not there has no tags, rather than its cluster's.
        (entry_arn(3, "three"), "stage", false),
    ];
    for (resource_arn, tag, good) in cases {
        let request = mapping::TagResourceRequest {
            resource_arn: resource_arn.clone(),
            tags: [(tag.to_owned(), "x".to_owned())].into(),
            ..Default::default()
        };
        let answer = world.call(&key, TAG, &request).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), good, "{resource_arn} {tag}: {answer:?}");
    }
}

async fn what_is_made_with_tags_needs_the_action_of_tags_beside(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    let user = |tags: &[(String, String)]| authn::CreateUserRequest {
        name: "bo".to_owned(),
        tags: tags.iter().cloned().collect(),
        ..Default::default()
    };
    let entry = |tags: &[(String, String)]| mapping::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: format!("arn:aws:iam::{account}:role/one"),
        tags: tags.iter().cloned().collect(),
        ..Default::default()
    };
    let making = r#"{"Effect":"Allow","Action":["iam:CreateUser","eks:CreateAccessEntry"],"Resource":"*"}"#;
    let tagging = |effect: &str| {
        format!(r#",{{"Effect":"{effect}","Action":["iam:TagUser","eks:TagResource"],"Resource":"*"}}"#)
    };
    let cases = [
        ("bare", String::new(), Some("implicit_deny")),
        ("tagging", tagging("Allow"), None),
        ("denied", tagging("Deny"), Some("explicit_deny")),
    ];
    let tags = [("stage".to_owned(), "live".to_owned())];
    for (name, more, refusal) in cases {
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{making}{more}]}}"#);
        let key = world.policed(name, &document).await;
        admitted(world.call(&key, CREATE_USER, &user(&[])).await);
        admitted(world.call(&key, CREATE_ENTRY, &entry(&[])).await);
        let answers = [
            ("iam:TagUser", world.call(&key, CREATE_USER, &user(&tags)).await),
            ("eks:TagResource", world.call(&key, CREATE_ENTRY, &entry(&tags)).await),
        ];
        for (action, answer) in answers {
            let Some(code) = refusal else {
                admitted(answer);
                continue;
            };
            let denial = forbidden(answer);
            assert_eq!(denial.code, code, "{name}: {denial}");
            assert!(denial.message.contains(action), "{name}: {denial}");
        }
    }
}

async fn tags_of_a_new_part_are_weighed_on_the_part(database: TestDatabase) {
    let world = world(database).await;
    let account = world.hub.account;
    let mut cluster = world.cluster.clone();
    cluster.tags.insert("team".to_owned(), "a".to_owned());
    world.put(&cluster).await;
    let entry = |name: &str| mapping::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: format!("arn:aws:iam::{account}:role/{name}"),
        tags: [("stage".to_owned(), "live".to_owned())].into(),
        ..Default::default()
    };
    let of_one = format!("arn:aws:eks:{}:{account}:access-entry/dev/role/{account}/one/*", cluster.region);
    let tagging = |effect: &str, resource: &str, condition: &str| {
        format!(r#"{{"Effect":"{effect}","Action":"eks:TagResource","Resource":"{resource}"{condition}}}"#)
    };
    let on_cluster = format!("arn:aws:eks:{}:{account}:cluster/dev", cluster.region);
    let of_team = r#","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}"#;
    let denied = format!("{},{}", tagging("Allow", "*", ""), tagging("Deny", &of_one, ""));
    let cases = [
        ("part", tagging("Allow", &of_one, ""), None, Some("implicit_deny")),
        ("denied", denied, Some("explicit_deny"), None),
        ("cluster", tagging("Allow", &on_cluster, ""), Some("implicit_deny"), Some("implicit_deny")),
        // What is not made yet has no tags, rather than its cluster's.
        ("team", tagging("Allow", "*", of_team), Some("implicit_deny"), Some("implicit_deny")),
    ];
    for (name, statements, one, two) in cases {
        let making = r#"{"Effect":"Allow","Action":"eks:CreateAccessEntry","Resource":"*"}"#;
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{making},{statements}]}}"#);
        let key = world.policed(name, &document).await;
        for (principal, refusal) in [("one", one), ("two", two)] {
            let answer = world.call(&key, CREATE_ENTRY, &entry(principal)).await;
            match refusal {
                None => drop(admitted(answer)),
                Some(code) => assert_eq!(forbidden(answer).code, code, "{name} {principal}"),
            }
        }
    }
}

pub(crate) fn entry_of(world: &World, name: &str) -> AccessEntry {
    AccessEntry {
        id: EntryId::random(),
        cluster: world.cluster.uid,
        authority: Authority::Local,
        principal_arn: EntryPrincipal::parse(&format!("arn:aws:iam::{}:role/{name}", world.hub.account))
            .unwrap(),
        principal_id: None,
        entry_type: EntryType::Standard,
        username: name.to_owned(),
        groups: Vec::new(),
        tags: Default::default(),
        ends_at: None,
        pin_until: None,
        created_at: world.now(),
        modified_at: world.now(),
    }
}

async fn a_calls_own_words_are_condition_keys_and_an_entry_is_named_by_its_arn(database: TestDatabase) {
    let world = world(database).await;
    let document = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"eks:*","Resource":"*"},
        {"Sid":"NoMasters","Effect":"Deny","Action":"eks:CreateAccessEntry","Resource":"*",
         "Condition":{"ForAnyValue:StringLike":{"eks:kubernetesGroups":"admin*"}}},
        {"Sid":"KeepBo","Effect":"Deny","Action":"eks:DeleteAccessEntry","Resource":"arn:aws:eks:*:*:access-entry/*/bo/*"}]}"#;
    let key = world.policed("ana", document).await;
    let create = |groups: &[&str]| mapping::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: "arn:aws:iam::111122223333:role/Dev".to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Default::default()
    };
    admitted(world.call(&key, CREATE_ENTRY, &create(&["viewers"])).await);
    let denial = forbidden(world.call(&key, CREATE_ENTRY, &create(&["viewers", "admins"])).await);
    assert!(denial.message.contains("`NoMasters`"), "{denial}");
    let entry = AccessEntry {
        id: EntryId::random(),
        cluster: world.cluster.uid,
        authority: Authority::Aws,
        principal_arn: EntryPrincipal::parse("arn:aws:iam::111122223333:user/team/bo").unwrap(),
        principal_id: None,
        entry_type: EntryType::Standard,
        username: "bo".to_owned(),
        groups: Vec::new(),
        tags: Default::default(),
        ends_at: None,
        pin_until: None,
        created_at: world.now(),
        modified_at: world.now(),
    };
    world.put(&entry).await;
    let delete = |arn: &str| mapping::DeleteAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: arn.to_owned(),
        ..Default::default()
    };
    let denial =
        forbidden(world.call(&key, DELETE_ENTRY, &delete("arn:aws:iam::111122223333:user/team/bo")).await);
    assert!(
        denial.message.contains("`KeepBo`") && denial.message.contains(&entry.id.to_string()),
        "{denial}"
    );
    admitted(world.call(&key, DELETE_ENTRY, &delete("arn:aws:iam::111122223333:user/cy")).await);
}

async fn an_entry_for_several_needs_a_permission_of_its_own_beside_awss(database: TestDatabase) {
    let world = world(database).await;
    let document = |allow: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{allow}],"Resource":"*"}},
            {{"Sid":"NoMasters","Effect":"Deny","Action":"eks:CreateAccessEntry","Resource":"*",
             "Condition":{{"ForAnyValue:StringLike":{{"eks:kubernetesGroups":"admin*"}}}}}}]}}"#
        )
    };
    let create = |principal: &str, groups: &[&str]| mapping::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: principal.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..Default::default()
    };
    let (one, several) = ("arn:aws:iam::111122223333:role/dev", "arn:aws:iam::111122223333:role/*");
    let set = "arn:aws:sso::444455556666:permission-set/Dev";
    let eks = world.policed("ana", &document(r#""eks:*""#)).await;
    admitted(world.call(&eks, CREATE_ENTRY, &create(one, &[])).await);
    for principal in [several, set] {
        let denial = forbidden(world.call(&eks, CREATE_ENTRY, &create(principal, &[])).await);
        assert!(denial.message.contains("lanyard:CreateAccessEntryForSeveral"), "{denial}");
    }
    let both = world.policed("bo", &document(r#""eks:*","lanyard:CreateAccessEntryForSeveral""#)).await;
    admitted(world.call(&both, CREATE_ENTRY, &create(several, &[])).await);
    let denial = forbidden(world.call(&both, CREATE_ENTRY, &create(several, &["admins"])).await);
    assert!(denial.message.contains("`NoMasters`"), "{denial}");
    // A condition on the ARN of one principal is never met by a rule that picks several.
    let on_arn = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ArnLike":{"eks:principalArn":"arn:aws:iam::111122223333:role/?"}}}]}"#;
    let narrow = world.policed("cy", on_arn).await;
    admitted(world.call(&narrow, CREATE_ENTRY, &create("arn:aws:iam::111122223333:role/d", &[])).await);
    forbidden(world.call(&narrow, CREATE_ENTRY, &create(several, &[])).await);
}

async fn immunity_33_star_on_star_reaches_no_other_account_and_what_is_there_looks_like_nothing(
    database: TestDatabase,
) {
    let world = world(database).await;
    let tenant = world.register("222233334444", Authority::Local).await;
    let (user, key) = world.user(tenant, "/", "mallory").await;
    world.policy(tenant, PolicyOwner::User(user.name), "all", &allow("*", "*")).await;
    let foreign = admitted(world.call(&key, DESCRIBE, &describe("dev")).await);
    let absent = admitted(world.call(&key, DESCRIBE, &describe("nothing")).await);
    assert_eq!(
        foreign.resource.replace("/dev", ""),
        absent.resource.replace("/nothing", ""),
        "alike, and in their own account"
    );
    assert!(foreign.resource.contains(&tenant.to_string()));
    let create = |account: Option<String>| authn::CreateUserRequest {
        account,
        name: "x".to_owned(),
        ..Default::default()
    };
    admitted(world.call(&key, CREATE_USER, &create(None)).await);
    for account in [world.hub.account.to_string(), "999988887777".to_owned()] {
        let denial = forbidden(world.call(&key, CREATE_USER, &create(Some(account))).await);
        assert_eq!(denial.code, "other_account", "there or not: {denial}");
    }
    let register = authn::CreateAccountRequest { id: "999988887777".to_owned(), ..Default::default() };
    assert_eq!(forbidden(world.call(&key, CREATE_ACCOUNT, &register).await).code, "other_account");
    let list = authn::ListAccountsRequest::default();
    let own = admitted(world.call(&key, LIST_ACCOUNTS, &list).await);
    let seen =
        world.engine.list_accounts(lanyard_api::Vouched::in_process(own), Default::default()).await.unwrap();
    assert_eq!(seen.items.iter().map(|account| account.id).collect::<Vec<_>>(), [tenant]);
    let own = admitted(world.call(&world.administrator, LIST_ACCOUNTS, &list).await);
    let seen =
        world.engine.list_accounts(lanyard_api::Vouched::in_process(own), Default::default()).await.unwrap();
    assert_eq!(seen.items.len(), 4);
    // A hub operator makes the first user of another account; a lesser principal of the hub's account does not.
    let operator =
        admitted(world.call(&world.administrator, CREATE_USER, &create(Some(tenant.to_string()))).await);
    assert_eq!(operator.resource, world.hub.arn());
    let lesser =
        world.policed("lesser", &allow("*", &format!("arn:aws:*:*:{}:user/*", world.hub.account))).await;
    assert_eq!(
        forbidden(world.call(&lesser, CREATE_USER, &create(Some(tenant.to_string()))).await).code,
        "implicit_deny"
    );
    admitted(world.call(&lesser, CREATE_USER, &create(None)).await);
}

/// How a method is asked about the cluster of a uid.
type ByUid = fn(String) -> Vec<u8>;

/// The methods that name a cluster by its uid. Services take it as it is, and most of them ask for no actor: so Admit is who looks.
const BY_UID: [(&str, ByUid); 4] = [
    ("/lanyard.mapping.v1.Preview/Preview", |cluster_uid| {
        let arn = "arn:aws:iam::111122223333:user/ana".to_owned();
        mapping::PreviewRequest { cluster_uid, arn, ..Default::default() }.encode_to_vec()
    }),
    ("/lanyard.authz.v1.Authorize/AuthorizeBatch", |cluster_uid| {
        let review = authz::Review { cluster_uid, ..Default::default() };
        authz::AuthorizeBatchRequest { reviews: [review].into_iter().collect(), user: None }.encode_to_vec()
    }),
    ("/lanyard.authz.v1.Authorize/RulesFor", |cluster_uid| {
        authz::RulesForRequest { cluster_uid, ..Default::default() }.encode_to_vec()
    }),
    ("/lanyard.authz.v1.Authorize/WhoCan", |cluster_uid| {
        let attributes = Some(authz::Attributes::default());
        authz::WhoCanRequest { cluster_uid, attributes }.encode_to_vec()
    }),
];

#[test]
fn immunity_33_every_method_that_takes_a_uid_is_looked_at() {
    // A request that says nothing at all is refused by the field that says what it is about.
    let by_uid = MANAGED.iter().map(|method| method.path).filter(|path| {
        let missing = methods::unreadable(path, &[]);
        matches!(missing, Some(CallError::Invalid { field, .. }) if ["cluster_uid", "reviews"].contains(&&*field))
    });
    let known: BTreeSet<&str> = BY_UID.iter().map(|(path, _)| *path).collect();
    assert_eq!(by_uid.collect::<BTreeSet<_>>(), known);
}

async fn immunity_33_a_uid_opens_no_cluster_of_another_account(database: TestDatabase) {
    let world = world(database).await;
    let tenant = world.register("222233334444", Authority::Local).await;
    let (user, key) = world.user(tenant, "/", "mallory").await;
    world.policy(tenant, PolicyOwner::User(user.name), "all", &allow("*", "*")).await;
    let there = world.cluster.uid.to_string();
    let ask = async |by: &Credentials, path: &str, uid: &str, asked: ByUid| {
        let query = sign(by, path, &asked(uid.to_owned()), &world.signing());
        world.engine.admit(query).await.unwrap()
    };
    for (path, asked) in BY_UID {
        for uid in [there.as_str(), lanyard_api::ClusterUid::random().to_string().as_str()] {
            let denial = forbidden(ask(&key, path, uid, asked).await);
            assert_eq!(denial.code, "unknown_cluster", "{path} {uid}: there or not, it looks alike");
        }
        admitted(ask(&world.administrator, path, &there, asked).await);
    }
}

async fn a_deny_on_a_user_is_not_walked_around_by_spelling(database: TestDatabase) {
    let world = world(database).await;
    world.user(world.hub.account, "/team/", "Boss").await;
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:*","Resource":"*"}},
            {{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::{}:user/team/Boss"}}]}}"#,
        world.hub.account
    );
    let key = world.policed("ana", &document).await;
    let get = |name: &str| authn::GetUserRequest { account: None, name: name.to_owned() };
    assert_eq!(forbidden(world.call(&key, GET_USER, &get("Boss")).await).code, "explicit_deny");
    let other = admitted(world.call(&key, GET_USER, &get("boss")).await);
    let named = Named { account: None, name: "boss".to_owned() };
    let missing = world.engine.get_user(lanyard_api::Vouched::in_process(other), named).await;
    assert!(missing.is_err(), "another spelling names nobody");
}

async fn assuming_a_role_weighs_both_sides_as_iam_does(database: TestDatabase) {
    let world = world(database).await;
    let home = world.hub.account;
    let away = world.register("222233334444", Authority::Local).await;
    let ana = world.policed("ana", &allow("iam:GetUser", "*")).await;
    let bo = world.policed("bo", &allow("sts:AssumeRole", "*")).await;
    let itself = world.role(home, "/team/", "Itself", &format!("arn:aws:iam::{home}:user/ana")).await;
    let by_account = world.role(home, "/", "ByAccount", &home.to_string()).await;
    let cross = world.role(away, "/", "Cross", &home.to_string()).await;
    let cross_named = world.role(away, "/", "CrossNamed", &format!("arn:aws:iam::{home}:user/ana")).await;
    let nobody = world.role(home, "/", "Nobody", "arn:aws:iam::999988887777:root").await;
    let gone = IamRole { name: "Gone".to_owned(), ..nobody.clone() };
    let other_path = IamRole { path: "/".to_owned(), ..itself.clone() };
    let cases = [
        ("named itself, same account", &ana, &itself, true),
        ("named by its account, without identity policy", &ana, &by_account, false),
        ("named by its account, with identity policy", &bo, &by_account, true),
        ("not named", &bo, &itself, false),
        ("across accounts, with identity policy", &bo, &cross, true),
        ("across accounts, named but without identity policy", &ana, &cross_named, false),
        ("trusts somebody else", &bo, &nobody, false),
        ("is not there", &bo, &gone, false),
        ("another path", &ana, &other_path, false),
    ];
    let mut texts = BTreeSet::new();
    for (what, by, role, expected) in cases {
        match world.call(by, ASSUME_ROLE, &assume(&world, role)).await {
            Admission::Admitted(actor) => {
                assert!(expected, "{what}");
                assert_eq!(actor.value.resource, assume(&world, role).role_arn, "{what}");
            }
            Admission::Forbidden(denial) => {
                assert!(!expected, "{what}: {denial}");
                let who = denial
                    .message
                    .replace(&assume(&world, role).role_arn, "R")
                    .replace("user/ana", "user/bo");
                texts.insert((denial.code.into_owned(), who));
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(
        texts.len(),
        1,
        "immunity_58: a role that is not there is refused as one that does not let: {texts:?}"
    );
}

async fn tags_and_a_source_identity_need_permissions_of_their_own(database: TestDatabase) {
    let world = world(database).await;
    let home = world.hub.account;
    let ana = world.policed("ana", &allow("iam:GetUser", "*")).await;
    let role = world.role(home, "/", "Dev", &format!("arn:aws:iam::{home}:user/ana")).await;
    let plain = assume(&world, &role);
    let tagged =
        credentials::AssumeRoleRequest { tags: [("a".to_owned(), "b".to_owned())].into(), ..plain.clone() };
    let named = credentials::AssumeRoleRequest { source_identity: Some("ana".to_owned()), ..plain.clone() };
    admitted(world.call(&ana, ASSUME_ROLE, &plain).await);
    for request in [&tagged, &named] {
        assert_eq!(forbidden(world.call(&ana, ASSUME_ROLE, request).await).code, "access_denied");
    }
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{home}:user/ana"}},
            "Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],
            "Condition":{{"StringEquals":{{"sts:ExternalId":"x1"}}}}}}]}}"#
    );
    let of_role = Named { account: Some(home), name: "Dev".to_owned() };
    world.engine.update_trust_policy(system(), of_role, trust, false).await.unwrap();
    assert_eq!(
        forbidden(world.call(&ana, ASSUME_ROLE, &tagged).await).code,
        "access_denied",
        "without the external id"
    );
    for request in [&tagged, &named] {
        let with_id =
            credentials::AssumeRoleRequest { external_id: Some("x1".to_owned()), ..request.clone() };
        admitted(world.call(&ana, ASSUME_ROLE, &with_id).await);
    }
}

async fn a_session_acts_with_its_roles_policies_and_its_own_policy_narrows_them(database: TestDatabase) {
    let world = world(database).await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let role = world.role(home, "/team/", "Dev", "*").await;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "eks", &allow("eks:*", "*")).await;
    let (plain, mut claims) = world.session(&role, &user, &key.access_key_id).await;
    let actor = admitted(world.call(&plain.credentials, DESCRIBE, &describe("dev")).await);
    assert_eq!(actor.name(), format!("arn:aws:sts::{home}:assumed-role/Dev/ana@example.com"));
    let ActorKind::Principal { lineage, principal_id, .. } = actor.kind else { panic!() };
    assert_eq!((lineage.chain_depth, principal_id), (1, role.principal_id.clone()));
    assert_eq!(
        lineage.ancestors,
        [format!("user/{}", user.principal_id), format!("key/{}", key.access_key_id)]
    );
    claims.session_policy = Some(PolicyDocument::parse_session(&allow("eks:ListClusters", "*")).unwrap());
    let random = aws_lc_rs::rand::SystemRandom::new();
    let narrowed = world.minter.mint(&claims, &random).unwrap().credentials;
    let denial = forbidden(world.call(&narrowed, DESCRIBE, &describe("dev")).await);
    assert!(denial.message.contains("session policy"), "{denial}");
    admitted(
        world
            .call(
                &narrowed,
                "/lanyard.mapping.v1.Clusters/ListClusters",
                &mapping::ListClustersRequest::default(),
            )
            .await,
    );
    // Its tags are the principal's, in place of the role's own.
    claims.session_policy = None;
    claims.tags.insert("team".to_owned(), "blue".to_owned());
    claims.transitive_keys.insert("team".to_owned());
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"blue"}}}]}"#;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "team", document).await;
    let tagged = world.minter.mint(&claims, &random).unwrap().credentials;
    let actor = admitted(world.call(&tagged, DESCRIBE, &describe("dev")).await);
    let ActorKind::Principal { lineage, .. } = actor.kind else { panic!() };
    assert_eq!(lineage.transitive_tags.get("team").map(String::as_str), Some("blue"));
    assert_eq!(
        forbidden(world.call(&plain.credentials, DESCRIBE, &describe("dev")).await).code,
        "explicit_deny"
    );
}

async fn immunity_58_a_foreign_and_an_absent_cluster_are_refused_in_the_same_words(database: TestDatabase) {
    let world = world(database).await;
    let tenant = world.register("222233334444", Authority::Local).await;
    world.put(&cluster_of(&world.hub, "theirs", tenant, world.now())).await;
    let key = world.policed("ana", &allow("eks:DescribeCluster", "arn:aws:eks:*:*:cluster/dev")).await;
    let text = async |cluster: &str| {
        forbidden(world.call(&key, DESCRIBE, &describe(cluster)).await).to_string().replace(cluster, "X")
    };
    assert_eq!(text("theirs").await, text("absent").await);
}

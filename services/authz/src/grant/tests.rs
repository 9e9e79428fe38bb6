use lanyard_api::{
    Authority, ClusterUid,
    mapping::{AccessScope, EntryType},
};
use lanyard_rbac::ResourceAttributes;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const POLICY_ARN: &str = "arn:aws:eks::aws:cluster-access-policy/";

fn entry(entry_type: EntryType, username: &str, groups: &[&str]) -> AccessEntry {
    AccessEntry {
        id: EntryId::random(),
        cluster: ClusterUid::random(),
        authority: Authority::Aws,
        principal_arn: "arn:aws:iam::111122223333:role/dev".parse().unwrap(),
        principal_id: None,
        entry_type,
        username: username.to_owned(),
        groups: texts(groups),
        tags: Default::default(),
        ends_at: None,
        pin_until: None,
        created_at: NOW,
        modified_at: NOW,
    }
}

fn association(policy: &str, scope: AccessScope, ends_at: Option<OffsetDateTime>) -> PolicyAssociation {
    PolicyAssociation {
        cluster: ClusterUid::random(),
        entry: EntryId::random(),
        policy_arn: format!("{POLICY_ARN}{policy}"),
        scope,
        ends_at,
        associated_at: NOW,
        modified_at: NOW,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn user(username: &str, groups: &[&str]) -> UserInfo {
    UserInfo { username: username.to_owned(), groups: texts(groups), ..UserInfo::default() }
}

fn ask<'a>(verb: &'a str, resource: &'a str, namespace: &'a str) -> Attributes<'a> {
    Attributes::resource(verb, ResourceAttributes { resource, namespace, ..Default::default() })
}

fn nobody(_: &str, _: bool) -> bool {
    false
}

#[test]
fn immunity_60_an_entry_gives_a_badge_of_its_name_and_of_groups_it_has() {
    let standard =
        |name: &str, groups: &[&str]| Grant::of_entry(&entry(EntryType::Standard, name, groups), []);
    let cases = [
        (standard("ana", &["a", "b"]), user("ana", &["a", "b"]), Ok(())),
        (standard("ana", &["a", "b", "new"]), user("ana", &["b", "a"]), Ok(())),
        (standard("ana", &["a"]), user("ana", &["a", "system:authenticated"]), Ok(())),
        (standard("ana", &["a"]), user("ana", &[]), Ok(())),
        (standard("ana", &["a"]), user("ana", &["a", "b"]), Err(Loss::Group("b"))),
        (standard("ana", &["a"]), user("Ana", &["a"]), Err(Loss::Username("Ana"))),
        (standard("ana", &["a"]), user("ana", &["system:masters"]), Err(Loss::Group("system:masters"))),
        (standard("ops:{{SessionName}}", &[]), user("ops:ana", &[]), Ok(())),
        (standard("ops:{{SessionName}}", &[]), user("dev:ana", &[]), Err(Loss::Username("dev:ana"))),
        (standard("ops:{{SessionName}}", &[]), user("ops:ana:x", &[]), Err(Loss::Username("ops:ana:x"))),
        (standard("{{broken", &["a"]), user("{{broken", &["a"]), Err(Loss::Username("{{broken"))),
        (standard("ana", &["system:nodes"]), user("ana", &["system:nodes"]), Ok(())),
        (standard("ana", &[]), user("ana", &["system:nodes"]), Err(Loss::Group("system:nodes"))),
    ];
    for (grant, user, expected) in &cases {
        assert_eq!(grant.gives(user, nobody), *expected, "{grant:?} {user:?}");
    }
}

#[test]
fn a_node_is_named_as_an_instance_is_bound() {
    let long = format!("{}.example", "n".repeat(80));
    let bound = |name: &str, _: bool| name == "ip-10-0-0-1.ec2.internal" || name == long;
    for placeholder in ["{{EC2PrivateDNSName}}", "{{SessionName}}"] {
        let entry = entry(EntryType::Ec2Linux, &format!("system:node:{placeholder}"), &["system:nodes"]);
        let grant = Grant::of_entry(&entry, []);
        let cases = [
            ("system:node:ip-10-0-0-1.ec2.internal", true),
            (&format!("system:node:{long}"), true),
            ("system:node:ip-10-0-0-2.ec2.internal", false),
            ("system:node:", false),
            ("ip-10-0-0-1.ec2.internal", false),
        ];
        for (name, given) in cases {
            assert_eq!(grant.gives(&user(name, &["system:nodes"]), bound).is_ok(), given, "{name}");
        }
        let raised = user("system:node:ip-10-0-0-1.ec2.internal", &["system:masters"]);
        assert_eq!(grant.gives(&raised, bound), Err(Loss::Group("system:masters")));
    }
}

#[test]
fn ec2_may_say_what_a_template_asks_it_for_and_nothing_of_another_form() {
    let by_ec2 = |_: &str, may_be_ec2s: bool| may_be_ec2s;
    let cases = [
        ("system:node:{{EC2PrivateDNSName}}", "system:node:ip-10-0-0-1.ec2.internal", true),
        ("system:node:{{EC2PrivateDNSName}}", "system:node:", false),
        ("system:node:{{EC2PrivateDNSName}}", "system:node:UPPER", false),
        ("system:node:{{EC2PrivateDNSName}}", "ip-10-0-0-1.ec2.internal", false),
        ("system:node:{{SessionName}}", "system:node:ip-10-0-0-1.ec2.internal", false),
    ];
    for (template, name, given) in cases {
        let grant = Grant::of_entry(&entry(EntryType::Ec2Linux, template, &[]), []);
        assert_eq!(grant.gives(&user(name, &[]), by_ec2).is_ok(), given, "{template} {name}");
    }
}

#[test]
fn an_account_gives_its_principals_their_arn_and_no_group() {
    let account = "111122223333".parse().unwrap();
    let grant = Grant::new(EntryId::random(), GrantKind::AwsAuth, Badge::PrincipalOf(account), None, []);
    let theirs = "arn:aws:iam::111122223333:user/ana";
    let others = "arn:aws:iam::444455556666:user/ana";
    assert_eq!(grant.gives(&user(theirs, &["system:authenticated"]), nobody), Ok(()));
    assert_eq!(grant.gives(&user(theirs, &["devs"]), nobody), Err(Loss::Group("devs")));
    assert_eq!(grant.gives(&user(others, &[]), nobody), Err(Loss::Username(others)));
    assert_eq!(grant.gives(&user("ana", &[]), nobody), Err(Loss::Username("ana")));
}

#[test]
fn a_break_glass_identity_has_one_kind_of_name_and_one_group() {
    let grant = Grant::new(EntryId::random(), GrantKind::BreakGlass, Badge::BreakGlass, None, []);
    assert_eq!(grant.gives(&user("lanyard:break-glass:main", &["lanyard:break-glass"]), nobody), Ok(()));
    assert_eq!(grant.gives(&user("ana", &["lanyard:break-glass"]), nobody), Err(Loss::Username("ana")));
    let more = user("lanyard:break-glass:main", &["lanyard:break-glass", "system:masters"]);
    assert_eq!(grant.gives(&more, nobody), Err(Loss::Group("system:masters")));
}

#[test]
fn an_access_policy_holds_where_its_scope_says_until_it_ends() {
    let in_namespaces = |names: &[&str]| AccessScope::Namespace(texts(names));
    let view = "AmazonEKSViewPolicy";
    let an_hour = Some(NOW + Duration::hours(1));
    let cases = [
        (association(view, AccessScope::Cluster, None), ask("get", "pods", "dev-1"), Some("cluster")),
        (association(view, AccessScope::Cluster, None), ask("list", "pods", ""), Some("cluster")),
        (association(view, AccessScope::Cluster, None), ask("delete", "pods", "dev-1"), None),
        (association(view, in_namespaces(&["dev-*"]), None), ask("get", "pods", "dev-1"), Some("dev-*")),
        (association(view, in_namespaces(&["a", "dev-*"]), None), ask("get", "pods", "a"), Some("a")),
        (association(view, in_namespaces(&["dev-*"]), None), ask("get", "pods", "prod"), None),
        (association(view, in_namespaces(&["*"]), None), ask("list", "pods", ""), None),
        (association(view, in_namespaces(&[]), None), ask("get", "pods", "a"), None),
        (association(view, AccessScope::Cluster, an_hour), ask("get", "pods", "a"), Some("cluster")),
        (association(view, AccessScope::Cluster, Some(NOW)), ask("get", "pods", "a"), None),
        (association("AmazonEKSNoSuchPolicy", AccessScope::Cluster, None), ask("get", "pods", "a"), None),
        (association("AmazonEKSHybridPolicy", AccessScope::Cluster, None), ask("get", "pods", "a"), None),
    ];
    for (association, asked, expected) in &cases {
        let grant = Grant::of_entry(&entry(EntryType::Standard, "ana", &[]), [association]);
        let found = grant.allows(asked, NOW);
        assert_eq!(found.map(|found| found.scope), *expected, "{association:?} {asked:?}");
    }
}

#[test]
fn a_namespaced_policy_gives_no_paths_and_nothing_cluster_scoped() {
    let admin = association("AmazonEKSClusterAdminPolicy", AccessScope::Namespace(texts(&["*"])), None);
    let grant = Grant::of_entry(&entry(EntryType::Standard, "ana", &[]), [&admin]);
    let cases = [
        (ask("delete", "secrets", "kube-system"), true),
        (ask("delete", "nodes", ""), false),
        (Attributes::non_resource("get", "/metrics"), false),
    ];
    for (asked, allowed) in cases {
        assert_eq!(grant.allows(&asked, NOW).is_some(), allowed, "{asked:?}");
    }
}

proptest! {
    #[test]
    fn immunity_60_fewer_claims_are_never_more_than_is_given(
        given in prop::collection::vec("[ab]{1,2}", 0..5),
        claimed in prop::collection::vec("[ab]{1,2}", 0..5),
    ) {
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let claimed: Vec<&str> = claimed.iter().map(String::as_str).collect();
        let grant = Grant::of_entry(&entry(EntryType::Standard, "ana", &given), []);
        let is_subset = claimed.iter().all(|group| given.contains(group));
        prop_assert_eq!(grant.gives(&user("ana", &claimed), nobody).is_ok(), is_subset);
    }
}

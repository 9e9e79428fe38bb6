use lanyard_rbac::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, Subject};

use super::*;

fn role(name: &str, verb: &str) -> Object {
    let rule = PolicyRule {
        verbs: vec![verb.to_owned()],
        api_groups: vec![String::new()],
        resources: vec!["pods".to_owned()],
        ..PolicyRule::default()
    };
    Object::ClusterRole(ClusterRole { name: name.to_owned(), rules: vec![rule], ..ClusterRole::default() })
}

fn binding(name: &str, role: &str, subject: &str) -> Object {
    let subjects = vec![Subject::User(subject.to_owned())];
    Object::ClusterRoleBinding(ClusterRoleBinding {
        name: name.to_owned(),
        subjects,
        cluster_role: role.to_owned(),
    })
}

fn in_namespace(name: &str, role: RoleRef) -> Object {
    Object::RoleBinding(RoleBinding {
        namespace: "a".to_owned(),
        name: name.to_owned(),
        subjects: vec![],
        role,
    })
}

fn make(stored: &[Object], given: &[Object], replace: bool) -> Result<Plan, CallError> {
    Plan::make(stored.to_vec(), given.to_vec(), &[], replace, 10)
}

fn rule_of(error: CallError) -> &'static str {
    match error {
        CallError::Invalid { rule, .. } => rule,
        CallError::LimitExceeded { .. } => "limit",
        other => panic!("{other}"),
    }
}

#[test]
fn an_apply_writes_what_differs_and_removes_only_when_it_replaces() {
    let stored = [role("same", "get"), role("changed", "get"), role("other", "get")];
    let given = [role("same", "get"), role("changed", "list"), role("new", "get")];
    let applied = make(&stored, &given, false).unwrap();
    assert_eq!(applied.put, [role("changed", "list"), role("new", "get")]);
    assert_eq!(applied.remove, []);
    let summary = ApplySummary { created: 1, changed: 1, unchanged: 1, ..ApplySummary::default() };
    assert_eq!(applied.summary, summary);
    let replaced = make(&stored, &given, true).unwrap();
    assert_eq!(replaced.put, applied.put);
    assert_eq!(replaced.remove, [ObjectKey::cluster_role("other")]);
    assert_eq!(replaced.summary, ApplySummary { removed: 1, ..summary });
}

#[test]
fn the_same_again_writes_nothing() {
    let objects = [role("view", "get"), binding("b", "view", "ana")];
    let plan = make(&objects, &objects, true).unwrap();
    assert!(plan.put.is_empty() && plan.remove.is_empty() && plan.problems.is_empty(), "{plan:?}");
    assert_eq!(plan.summary.unchanged, 2);
}

#[test]
fn the_role_of_a_binding_changes_only_where_everything_is_replaced() {
    let cases = [
        (binding("b", "view", "ana"), binding("b", "edit", "ana"), true),
        (binding("b", "view", "ana"), binding("b", "view", "bob"), false),
        (
            in_namespace("b", RoleRef::Role("x".into())),
            in_namespace("b", RoleRef::ClusterRole("x".into())),
            true,
        ),
        (in_namespace("b", RoleRef::Role("x".into())), in_namespace("b", RoleRef::Role("y".into())), true),
        (role("b", "get"), role("b", "list"), false),
    ];
    for (stored, given, refused) in cases {
        let applied =
            make(std::slice::from_ref(&stored), std::slice::from_ref(&given), false).map_err(rule_of);
        assert_eq!(
            applied.map(|_| ()),
            if refused { Err("role_ref_immutable") } else { Ok(()) },
            "{given:?}"
        );
        let replaced = make(&[stored], std::slice::from_ref(&given), true).unwrap();
        assert_eq!((replaced.put, replaced.summary.changed), (vec![given], 1));
    }
}

#[test]
fn an_input_that_says_two_things_or_nothing_is_refused() {
    let twice = make(&[], &[role("a", "get"), role("a", "list")], false);
    assert_eq!(rule_of(twice.unwrap_err()), "duplicate_object");
    assert_eq!(rule_of(make(&[role("a", "get")], &[], true).unwrap_err()), "replace_with_nothing");
    assert_eq!(make(&[role("a", "get")], &[], false).unwrap(), Plan::default());
}

#[test]
fn a_cluster_has_no_more_objects_than_the_limit() {
    let many: Vec<Object> = (0..10).map(|n| role(&n.to_string(), "get")).collect();
    assert!(make(&[], &many, false).is_ok());
    assert_eq!(rule_of(make(&[role("x", "get")], &many, false).unwrap_err()), "limit");
    assert!(make(&[role("x", "get")], &many, true).is_ok(), "what goes makes room");
}

#[test]
fn a_binding_of_a_missing_role_is_told() {
    let plan = make(&[], &[binding("b", "view", "ana")], false).unwrap();
    let told = "`ClusterRoleBinding/b` names `ClusterRole/view`, which does not exist: create it or delete the binding";
    assert_eq!(plan.problems, [told]);
}

#[test]
fn what_was_left_out_is_gone_and_makes_an_input_that_is_not_nothing() {
    let there = [role("a", "get"), role("b", "get")];
    let bad = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"a"},"rules":7}"#;
    let parsed = lanyard_rbac::parse_partially(bad.as_bytes(), lanyard_rbac::Limits::DEFAULT).unwrap();
    let left_out: Vec<LeftOut> = parsed.refused.into_iter().map(LeftOut::from).collect();
    for (given, replace, gone) in [
        (vec![], false, 1),
        (vec![], true, 2),
        (vec![role("b", "get")], true, 1),
        (vec![role("a", "list")], false, 0),
    ] {
        let plan = Plan::make(there.to_vec(), given.clone(), &left_out, replace, 10).unwrap();
        assert_eq!(plan.remove.len(), gone, "{given:?} {replace}");
        assert_eq!(plan.summary.removed as usize, gone);
    }
}

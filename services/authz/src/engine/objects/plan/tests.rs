use std::sync::Arc;

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
    Plan::make(stored.to_vec(), given.to_vec(), replace, 10)
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
    let summary = ApplySummary { created: 1, changed: 1, unchanged: 1, removed: 0, skipped: vec![] };
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
fn pages_put_together_are_all_objects_in_the_order_of_their_keys() {
    let objects: Vec<Object> =
        (0..25).map(|n| role(&format!("r{n:02}"), "get")).chain([binding("b", "r00", "ana")]).collect();
    let table: RbacObjects =
        objects.iter().map(|object| (object.key().to_string(), Arc::new(object.clone()))).collect();
    let mut query = PageQuery { items_max: 7, token: String::new() };
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = page(&table, &query, 10);
        assert!(page.items.len() <= 7);
        (seen, pages) = ([seen, page.items].concat(), pages + 1);
        match page.next_token {
            Some(token) => query.token = token,
            None => break,
        }
    }
    assert_eq!((seen, pages), (objects, 4));
    let whole = page(&table, &PageQuery::default(), 10);
    assert_eq!((whole.items.len(), whole.next_token.as_deref()), (10, Some("ClusterRole/r09")));
    let last = PageQuery { items_max: 0, token: "ClusterRoleBinding/b".to_owned() };
    assert_eq!(page(&table, &last, 10), Page { items: vec![], next_token: None });
}

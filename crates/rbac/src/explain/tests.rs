use super::*;
use crate::attributes::ResourceAttributes;
use crate::parse::parse;

const OBJECTS: &str = "
apiVersion: v1
kind: List
items:
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: admin}
  rules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*']}, {verbs: ['*'], nonResourceURLs: ['*']}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: view}
  rules: [{verbs: [get, list], apiGroups: [''], resources: [pods, configmaps]}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: probe}
  rules: [{verbs: [get], nonResourceURLs: [/healthz]}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: one, namespace: team-a}
  rules:
  - {verbs: [get, delete], apiGroups: [''], resources: [configmaps], resourceNames: [a, b, c, d, e, f, g]}
  - {verbs: [get], apiGroups: [extensions], resources: [deployments]}
  - {verbs: [get], apiGroups: [''], resources: [services/proxy]}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: one, namespace: team-a}
  roleRef: {kind: Role, name: one}
  subjects: [{kind: User, name: ana}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: viewers, namespace: team-b}
  roleRef: {kind: ClusterRole, name: view}
  subjects: [{kind: Group, name: devs}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: broken, namespace: team-a}
  roleRef: {kind: Role, name: gone}
  subjects: [{kind: User, name: ben}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata: {name: probes}
  roleRef: {kind: ClusterRole, name: probe}
  subjects: [{kind: Group, name: devs}]
";

fn ask<'a>(
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
) -> Attributes<'a> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes =
        ResourceAttributes { api_group: group, resource, subresource, namespace, name, ..Default::default() };
    Attributes::resource(verb, attributes)
}

#[test]
fn a_refusal_says_what_comes_nearest_to_allowing_it() {
    let index = Index::compile(&parse(OBJECTS.as_bytes()).unwrap().objects);
    let one = "of `Role/team-a/one`, bound to user `ana` by `RoleBinding/team-a/one`, allows";
    let view = "rule 1 of `ClusterRole/view`, bound to group `devs` by `RoleBinding/team-b/viewers`, allows";
    let unbound =
        |role: &str| format!("`ClusterRole/{role}` would allow it and is not bound to the user here");
    let cases = [
        ("ana", ask("delete", "", "configmaps", "team-a", "z"), vec![
            format!("rule 1 {one} it for objects named `a`, `b`, `c`, `d`, `e` and 2 more only"),
            unbound("admin"),
        ]),
        ("ana", ask("patch", "", "configmaps", "team-a", "a"), vec![
            format!("rule 1 {one} `get`, `delete` only"),
            unbound("admin"),
        ]),
        ("ana", ask("get", "apps", "deployments", "team-a", "web"), vec![
            format!("rule 2 {one} it in API group `extensions` only"),
            unbound("admin"),
        ]),
        ("ana", ask("get", "", "services", "team-a", "web"), vec![
            format!("rule 3 {one} it for `services/proxy` only"),
            unbound("admin"),
        ]),
        ("ana", ask("get", "", "pods", "team-a", "web"), vec![
            format!("{view} it in namespace `team-b` only"),
            unbound("view"),
            unbound("admin"),
        ]),
        ("ana", ask("list", "", "pods", "", ""), vec![
            format!("{view} it in namespace `team-b` only"),
            unbound("view"),
            unbound("admin"),
        ]),
        ("ana", ask("get", "", "configmaps", "elsewhere", "a"), vec![
            format!("rule 1 {one} it in namespace `team-a` only"),
            format!("{view} it in namespace `team-b` only"),
            unbound("view"),
            unbound("admin"),
        ]),
        ("ben", ask("get", "", "pods", "team-a", "web"), vec![
            "`RoleBinding/team-a/broken` gives user `ben` the role `Role/team-a/gone`, which does not exist".to_owned(),
            format!("{view} it in namespace `team-b` only"),
            unbound("view"),
            unbound("admin"),
        ]),
        ("ana", Attributes::non_resource("post", "/healthz"), vec![
            "rule 1 of `ClusterRole/probe`, bound to group `devs` by `ClusterRoleBinding/probes`, allows `get` only"
                .to_owned(),
            unbound("admin"),
        ]),
        ("ana", Attributes::non_resource("get", "/metrics"), vec![unbound("admin")]),
    ];
    for (name, asked, expected) in cases {
        let user = User { name, groups: &["devs"] };
        assert_eq!(index.authorize(user, &asked), None, "{name} {asked:?}");
        let explanation = index.explain(user, &asked);
        let said: Vec<String> = explanation.near_misses.iter().map(ToString::to_string).collect();
        assert_eq!(said, expected, "{name} {asked:?}");
        assert!(!explanation.truncated, "{name} {asked:?}");
    }
}

#[test]
fn a_stranger_is_told_of_roles_only() {
    let index = Index::compile(&parse(OBJECTS.as_bytes()).unwrap().objects);
    let asked = ask("get", "", "services/proxy", "team-a", "web");
    let explanation = index.explain(User { name: "eve", groups: &[] as &[&str] }, &asked);
    let roles = [ObjectKey::role("team-a", "one"), ObjectKey::cluster_role("admin")];
    let expected: Vec<_> = roles.iter().map(|role| NearMiss::UnboundRole { role }).collect();
    assert_eq!(explanation.near_misses, expected);
    let elsewhere = ask("get", "", "services/proxy", "team-b", "web");
    let explanation = index.explain(User { name: "eve", groups: &[] as &[&str] }, &elsewhere);
    assert_eq!(explanation.near_misses, expected[1..], "a Role of another namespace cannot be bound here");
}

#[test]
fn of_roles_and_bindings_in_many_namespaces_only_those_that_matter_are_walked_over() {
    let in_namespace = |name: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: r, namespace: {name}}}\n\
             rules: [{{verbs: [get], apiGroups: [''], resources: [secrets]}}]\n\
             ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: b, namespace: {name}}}\n\
             roleRef: {{kind: ClusterRole, name: view}}\nsubjects: [{{kind: User, name: ana}}]\n"
        )
    };
    let everywhere = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: c}\n\
                      roleRef: {kind: ClusterRole, name: probe}\nsubjects: [{kind: User, name: ana}]\n";
    let names = ["a", "b", "m", "y", "z"];
    let objects = format!("{OBJECTS}{everywhere}{}", names.map(in_namespace).concat());
    let index = Index::compile(&parse(objects.as_bytes()).unwrap().objects);
    let no_groups: &[&str] = &[];
    let subject = index.subjects_of(User { name: "ana", groups: no_groups }).next().unwrap();
    let places = |asked: Option<u32>| {
        let mut found: Vec<_> = subject
            .bounds_elsewhere(asked)
            .filter_map(|bound| index.namespace_name(bound.namespace))
            .collect();
        found.sort_unstable();
        found
    };
    // `team-a` is where ana has something in the objects of all these tests.
    let all = ["a", "b", "m", "team-a", "y", "z"];
    assert_eq!(places(None), all);
    for asked in all {
        let others: Vec<_> = all.into_iter().filter(|name| *name != asked).collect();
        assert_eq!(places(index.namespace_number(asked)), others, "{asked}");
    }
    let roles = |namespace: &str| {
        let found: Vec<_> = index.roles_for(namespace).collect();
        assert!(found.iter().all(|(number, role)| index.roles[*number].key == role.key), "{namespace}");
        found.into_iter().map(|(_, role)| role.key.to_string()).collect::<Vec<_>>()
    };
    let of_cluster = ["ClusterRole/admin", "ClusterRole/probe", "ClusterRole/view"];
    assert_eq!(roles(""), of_cluster);
    assert_eq!(roles("nothing-here"), of_cluster);
    for (namespace, own) in
        [("a", "Role/a/r"), ("m", "Role/m/r"), ("z", "Role/z/r"), ("team-a", "Role/team-a/one")]
    {
        assert_eq!(roles(namespace), [of_cluster.as_slice(), &[own]].concat(), "{namespace}");
    }
}

#[test]
fn who_has_little_time_is_told_what_was_found_in_it_and_that_there_was_more() {
    let index = Index::compile(&parse(OBJECTS.as_bytes()).unwrap().objects);
    let ana = User { name: "ana", groups: &["devs"] };
    let asked = ask("get", "", "configmaps", "elsewhere", "a");
    let whole = index.explain(ana, &asked);
    assert_eq!(index.explain_within(ana, &asked, EXPLAINED_RULES_MAX), whole);
    let none = index.explain_within(ana, &asked, 0);
    assert!(none.near_misses.is_empty() && none.truncated && none.rules == 0, "{none:?}");
    assert!(!whole.near_misses.is_empty() && !whole.truncated, "{whole:?}");
    let just = index.explain_within(ana, &asked, whole.rules);
    assert_eq!(just, whole, "so many rules it took");
    assert!(index.explain_within(ana, &asked, whole.rules - 1).truncated);
}

#[test]
fn an_explanation_is_short_and_says_that_it_was_cut() {
    let binding = |number: usize| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
             metadata: {{name: b, namespace: n{number}}}\nroleRef: {{kind: ClusterRole, name: view}}\n\
             subjects: [{{kind: User, name: ana}}]\n"
        )
    };
    let objects = format!("{OBJECTS}{}", (0..9).map(binding).collect::<String>());
    let index = Index::compile(&parse(objects.as_bytes()).unwrap().objects);
    let explanation =
        index.explain(User { name: "ana", groups: &[] as &[&str] }, &ask("get", "", "pods", "team-a", "web"));
    let elsewhere =
        explanation.near_misses.iter().filter(|miss| matches!(miss, NearMiss::OtherNamespace { .. }));
    assert_eq!(elsewhere.count(), NEAR_MISSES_PER_SORT_MAX);
    assert!(explanation.truncated);
}

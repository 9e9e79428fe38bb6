use crate::parse::parse;
use crate::{
    Attributes, ClusterRole, Grant, Index, Object, ObjectKey, PolicyRule, Problem, ResourceAttributes,
    RoleBinding, RoleRef, Subject, SubjectName, User,
};

const RBAC: &str = "apiVersion: rbac.authorization.k8s.io/v1\n";

fn objects(documents: &[String]) -> Vec<Object> {
    parse(documents.join("---\n").as_bytes()).unwrap().objects
}

fn cluster_role(name: &str, rest: &str) -> String {
    format!("{RBAC}kind: ClusterRole\nmetadata: {{name: {name}}}\n{rest}\n")
}

fn allows(verb: &str, resource: &str) -> String {
    format!("rules: [{{verbs: [{verb}], apiGroups: [''], resources: [{resource}]}}]")
}

fn bind(namespace: &str, name: &str, role: &str, subject: &str) -> String {
    let (kind, namespace) = match namespace {
        "" => ("ClusterRoleBinding", String::new()),
        namespace => ("RoleBinding", format!(", namespace: {namespace}")),
    };
    format!(
        "{RBAC}kind: {kind}\nmetadata: {{name: {name}{namespace}}}\n\
         roleRef: {{kind: ClusterRole, name: {role}}}\nsubjects: [{{{subject}}}]\n"
    )
}

fn pods<'a>(verb: &'a str, namespace: &'a str) -> Attributes<'a> {
    Attributes::resource(verb, ResourceAttributes { resource: "pods", namespace, ..Default::default() })
}

fn said(index: &Index, name: &str, groups: &[&str], asked: &Attributes<'_>) -> Option<String> {
    index.authorize(User { name, groups }, asked).map(|grant| grant.to_string())
}

#[test]
fn a_binding_reaches_whom_it_names_where_it_is() {
    let index = Index::compile(&objects(&[
        cluster_role("reader", &allows("get", "pods")),
        bind("", "everywhere", "reader", "kind: User, name: ana"),
        bind("team-a", "devs", "reader", "kind: Group, name: devs"),
        bind("team-a", "own-bot", "reader", "kind: ServiceAccount, name: bot"),
        bind("team-a", "other-bot", "reader", "kind: ServiceAccount, name: bot, namespace: team-b"),
    ]));
    let bot = "system:serviceaccount:team-a:bot";
    let cases: [(&str, &[&str], &str, Option<&str>); 15] = [
        ("ana", &[], "team-a", Some("ClusterRoleBinding/everywhere")),
        ("ana", &[], "", Some("ClusterRoleBinding/everywhere")),
        ("Ana", &[], "team-a", None),
        ("ana ", &[], "team-a", None),
        ("", &[], "team-a", None),
        ("devs", &[], "team-a", None),
        ("eve", &["ana"], "team-a", None),
        ("eve", &["ops", "devs"], "team-a", Some("RoleBinding/team-a/devs")),
        ("eve", &["devs"], "team-b", None),
        ("eve", &["devs"], "", None),
        (bot, &[], "team-a", Some("RoleBinding/team-a/own-bot")),
        (bot, &[], "team-b", None),
        ("system:serviceaccount:team-b:bot", &[], "team-a", Some("RoleBinding/team-a/other-bot")),
        ("system:serviceaccount:team-b:bot", &[], "team-b", None),
        ("bot", &[], "team-a", None),
    ];
    for (name, groups, namespace, expected) in cases {
        let grant = index.authorize(User { name, groups }, &pods("get", namespace));
        let binding = grant.map(|grant| match grant {
            Grant::Rule(grant) => grant.binding().to_string(),
            Grant::SystemMasters => "system:masters".to_owned(),
        });
        assert_eq!(binding.as_deref(), expected, "{name} {groups:?} {namespace}");
    }
}

#[test]
fn a_role_binding_gives_no_path_even_of_a_cluster_role() {
    let index = Index::compile(&objects(&[
        cluster_role("probe", "rules: [{verbs: [get], nonResourceURLs: ['*']}]"),
        bind("team-a", "probe", "probe", "kind: User, name: ana"),
        bind("", "probe", "probe", "kind: User, name: ben"),
    ]));
    let asked = Attributes::non_resource("get", "/healthz");
    assert_eq!(said(&index, "ana", &[], &asked), None);
    assert!(said(&index, "ben", &[], &asked).is_some());
    assert!(index.rules_for(User { name: "ana", groups: &[] as &[&str] }, "team-a").non_resource.is_empty());
}

#[test]
fn a_role_binding_without_a_namespace_gives_nothing() {
    let rule = PolicyRule {
        verbs: vec!["*".to_owned()],
        api_groups: vec!["*".to_owned()],
        resources: vec!["*".to_owned()],
        ..PolicyRule::default()
    };
    let role = ClusterRole { name: "admin".to_owned(), rules: vec![rule], ..ClusterRole::default() };
    let binding = RoleBinding {
        namespace: String::new(),
        name: "b".to_owned(),
        subjects: vec![
            Subject::User("ana".to_owned()),
            Subject::ServiceAccount { namespace: None, name: "x".to_owned() },
        ],
        role: RoleRef::ClusterRole("admin".to_owned()),
    };
    let index = Index::compile(&[Object::ClusterRole(role), Object::RoleBinding(binding)]);
    for name in ["ana", "system:serviceaccount::x"] {
        for namespace in ["", "team-a"] {
            assert_eq!(said(&index, name, &[], &pods("get", namespace)), None, "{name} {namespace}");
        }
    }
}

#[test]
fn system_masters_pass_without_any_binding_and_by_that_name_alone() {
    let index = Index::default();
    let nowhere = Attributes::non_resource("get", "/anything");
    assert_eq!(
        index.authorize(User { name: "x", groups: &["system:masters"] }, &nowhere),
        Some(Grant::SystemMasters)
    );
    for (name, group) in [("x", "System:masters"), ("system:masters", "x"), ("x", "system:masters ")] {
        assert_eq!(index.authorize(User { name, groups: &[group] }, &nowhere), None, "{name} {group}");
    }
    let holders = index.who_can(&nowhere);
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].subject, SubjectName::Group("system:masters"));
    let rules = index.rules_for(User { name: "x", groups: &["system:masters"] }, "a");
    assert_eq!(
        (rules.resource[0].verbs[0].as_str(), rules.non_resource[0].non_resource_urls[0].as_str()),
        ("*", "*")
    );
}

#[test]
fn a_grant_reads_as_one_line_with_the_role_that_the_rule_is_from() {
    let gather = "aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: view}}]}";
    let index = Index::compile(&objects(&[
        format!(
            "{RBAC}kind: ClusterRole\nmetadata: {{name: pods, labels: {{to: view}}}}\n{}\n",
            allows("get", "pods")
        ),
        cluster_role("view", gather),
        bind("team-a", "viewers", "view", "kind: Group, name: devs"),
    ]));
    let expected = "rule 1 of `ClusterRole/view`, from `ClusterRole/pods`, bound to group `devs` by `RoleBinding/team-a/viewers`";
    assert_eq!(said(&index, "x", &["devs"], &pods("get", "team-a")).as_deref(), Some(expected));
    assert_eq!(
        index
            .authorize(User { name: "x", groups: &["system:masters"] }, &pods("get", ""))
            .unwrap()
            .to_string(),
        "group `system:masters` may do everything"
    );
}

#[test]
fn many_roles_of_one_subject_in_one_place_are_asked_as_one() {
    let mut documents = Vec::new();
    for number in 0..200 {
        documents.push(cluster_role(&format!("r{number:03}"), &allows(&format!("verb{number}"), "pods")));
        documents.push(bind(
            "team-a",
            &format!("b{number:03}"),
            &format!("r{number:03}"),
            "kind: User, name: ana",
        ));
        documents.push(bind(
            "team-a",
            &format!("c{number:03}"),
            &format!("r{number:03}"),
            "kind: User, name: ben",
        ));
    }
    documents.push(bind("team-a", "gone", "gone", "kind: User, name: ana"));
    let index = Index::compile(&objects(&documents));
    assert_eq!(index.matchers.len(), 201, "one for each role, and one for all of them, shared by both users");
    for number in [0, 1, 77, 199] {
        let verb = format!("verb{number}");
        for (name, binding) in [("ana", "b"), ("ben", "c")] {
            let expected = format!(
                "rule 1 of `ClusterRole/r{number:03}`, bound to user `{name}` by `RoleBinding/team-a/{binding}{number:03}`"
            );
            assert_eq!(said(&index, name, &[], &pods(&verb, "team-a")), Some(expected));
            assert_eq!(said(&index, name, &[], &pods(&verb, "team-b")), None);
        }
    }
    assert_eq!(said(&index, "ana", &[], &pods("verb200", "team-a")), None);
    assert!(index.rules_for(User { name: "ana", groups: &[] as &[&str] }, "team-a").incomplete);
    assert!(!index.rules_for(User { name: "ben", groups: &[] as &[&str] }, "team-a").incomplete);
}

#[test]
fn a_role_that_does_not_exist_gives_nothing_and_is_a_problem() {
    let index = Index::compile(&objects(&[bind("team-a", "b", "gone", "kind: User, name: ana")]));
    assert_eq!(said(&index, "ana", &[], &pods("get", "team-a")), None);
    let problem = Problem::MissingRole {
        binding: ObjectKey::role_binding("team-a", "b"),
        role: ObjectKey::cluster_role("gone"),
    };
    assert_eq!(index.problems(), std::slice::from_ref(&problem));
    let text = "`RoleBinding/team-a/b` names `ClusterRole/gone`, which does not exist: create it or delete the binding";
    assert_eq!(problem.to_string(), text);
}

#[test]
fn a_service_account_of_a_namespace_that_cannot_be_is_a_problem_and_costs_the_others_nothing() {
    let subjects = "kind: Group, name: ops}, {kind: ServiceAccount, name: bot, namespace: Team_A}, \
                    {kind: ServiceAccount, name: bot, namespace: '*'";
    let index = Index::compile(&objects(&[
        cluster_role("reader", &allows("get", "pods")),
        bind("", "b", "reader", subjects),
        bind("team-a", "c", "reader", "kind: ServiceAccount, name: bot"),
    ]));
    assert!(said(&index, "ana", &["ops"], &pods("get", "team-b")).is_some());
    assert_eq!(said(&index, "system:serviceaccount:team-a:bot", &[], &pods("get", "team-b")), None);
    let problems: Vec<String> = index.problems().iter().map(ToString::to_string).collect();
    let told = |account: &str| {
        format!(
            "`ClusterRoleBinding/b` names `ServiceAccount {account}`, and no namespace has such a name: correct it or take \
             the subject out"
        )
    };
    assert_eq!(problems, [told("Team_A/bot"), told("*/bot")]);
}

#[test]
fn of_two_objects_with_one_key_the_later_counts() {
    let first = cluster_role("r", &allows("get", "pods"));
    let second = cluster_role("r", &allows("list", "pods"));
    let binding = bind("", "b", "r", "kind: User, name: ana");
    let index = Index::compile(&objects(&[first, binding, second]));
    assert_eq!(said(&index, "ana", &[], &pods("get", "")), None);
    assert!(said(&index, "ana", &[], &pods("list", "")).is_some());
    assert_eq!((index.roles(), index.bindings()), (1, 1));
}

#[test]
fn immunity_13_no_part_of_a_question_is_ignored() {
    let rules = "rules: [{verbs: [get], apiGroups: [apps], resources: [deployments/scale], resourceNames: [web]}, \
                 {verbs: [get], nonResourceURLs: [/a/b]}]";
    let index = Index::compile(&objects(&[
        cluster_role("r", rules),
        bind("team-a", "b", "r", "kind: Group, name: devs"),
        bind("", "c", "r", "kind: User, name: ana"),
    ]));
    let right = ResourceAttributes {
        api_group: "apps",
        resource: "deployments",
        subresource: "scale",
        namespace: "team-a",
        name: "web",
        ..Default::default()
    };
    let ask = |name: &str, group: &str, verb: &str, asked| {
        said(&index, name, &[group], &Attributes::resource(verb, asked)).is_some()
    };
    assert!(ask("eve", "devs", "get", right));
    let wrong = [
        ("group", ask("eve", "dev", "get", right)),
        ("verb", ask("eve", "devs", "list", right)),
        ("API group", ask("eve", "devs", "get", ResourceAttributes { api_group: "", ..right })),
        ("resource", ask("eve", "devs", "get", ResourceAttributes { resource: "daemonsets", ..right })),
        ("subresource", ask("eve", "devs", "get", ResourceAttributes { subresource: "", ..right })),
        (
            "other subresource",
            ask("eve", "devs", "get", ResourceAttributes { subresource: "status", ..right }),
        ),
        ("namespace", ask("eve", "devs", "get", ResourceAttributes { namespace: "team-b", ..right })),
        ("no namespace", ask("eve", "devs", "get", ResourceAttributes { namespace: "", ..right })),
        ("name", ask("eve", "devs", "get", ResourceAttributes { name: "db", ..right })),
        ("no name", ask("eve", "devs", "get", ResourceAttributes { name: "", ..right })),
        ("letter case", ask("eve", "devs", "get", ResourceAttributes { name: "Web", ..right })),
    ];
    for (part, allowed) in wrong {
        assert!(!allowed, "the {part} is ignored");
    }
    let path =
        |name: &str, path: &str| said(&index, name, &[], &Attributes::non_resource("get", path)).is_some();
    assert!(path("ana", "/a/b"));
    assert!(!path("ben", "/a/b"), "the user is ignored");
    for uncleaned in ["/a//b", "/a/./b", "/a/b/", "/a/c/../b", "/a/%62", "/A/b", "a/b", "/a/b?x", " /a/b"] {
        assert!(!path("ana", uncleaned), "{uncleaned} is taken for /a/b");
    }
}

#[test]
fn immunity_30_selectors_never_widen_what_is_allowed() {
    use crate::{Requirement, SelectorKind, Selectors};
    let index = Index::compile(&objects(&[
        cluster_role("r", &allows("list", "pods")),
        bind("team-a", "b", "r", "kind: User, name: ana"),
    ]));
    let parse = |operator: &str| {
        let raw = [("app", operator, &["web"][..])];
        Requirement::parse_all(SelectorKind::Label, raw).unwrap_or_default()
    };
    let (narrow, unreadable) = (parse("In"), parse("nonsense"));
    assert_eq!((narrow.len(), unreadable.len()), (1, 0), "what cannot be read is the unscoped request");
    for label in [&narrow, &unreadable, &Vec::new()] {
        for (namespace, expected) in [("team-a", true), ("team-b", false), ("", false)] {
            let selectors = Selectors { label, field: &[] };
            let asked = ResourceAttributes { resource: "pods", namespace, selectors, ..Default::default() };
            assert_eq!(said(&index, "ana", &[], &Attributes::resource("list", asked)).is_some(), expected);
        }
    }
}

#[test]
fn memory_grows_with_what_is_kept() {
    let binding =
        |number| bind("team-a", &format!("b{number}"), "r", &format!("kind: User, name: user-{number}"));
    let of = |count: usize| {
        let mut documents = vec![cluster_role("r", &allows("get", "pods"))];
        documents.extend((0..count).map(binding));
        Index::compile(&objects(&documents)).memory_bytes()
    };
    let (few, many) = (of(10), of(1_000));
    let each = (many - few) / 990;
    assert!((60..400).contains(&each), "{each} bytes for each binding");
}

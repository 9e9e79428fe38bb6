use super::*;
use crate::object::{
    AggregationRule, ClusterRole, ClusterRoleBinding, LabelRequirement, LabelSelector, PolicyRule,
    RoleBinding, RoleRef, Subject,
};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn keys(parsed: &Parsed) -> String {
    parsed.objects.iter().map(|object| object.key().to_string()).collect::<Vec<_>>().join(" ")
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// A document of the RBAC group, in YAML.
fn rbac(kind: &str, rest: &str) -> String {
    format!("apiVersion: {RBAC}\nkind: {kind}\n{rest}")
}

/// That each input is refused with its message; all that are not are shown.
fn assert_refused(cases: impl IntoIterator<Item = (String, String)>) {
    let refused = |(input, expected): (String, String)| {
        let error =
            parse(input.as_bytes()).map_or_else(|error| error.to_string(), |parsed| format!("{parsed:?}"));
        (error != expected).then(|| format!("{input}\n  is:     {error}\n  not as: {expected}\n"))
    };
    let wrong: Vec<String> = cases.into_iter().filter_map(refused).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whatever_kubectl_prints_is_read() {
    let role = |name: &str| {
        format!(
            r#"{{"apiVersion":"{RBAC}","kind":"ClusterRole","metadata":{{"name":"{name}"}},"rules":null}}"#
        )
    };
    let yaml = |name: &str| rbac("ClusterRole", &format!("metadata:\n  name: {name}\nrules: []\n"));
    let item =
        |name: &str| format!("- apiVersion: {RBAC}\n  kind: ClusterRole\n  metadata: {{name: {name}}}\n");
    let cases = [
        ("nothing", String::new(), ""),
        ("comments", "# nothing\n---\n---\n".to_owned(), ""),
        ("one YAML object", yaml("a"), "ClusterRole/a"),
        (
            "several documents",
            format!("---\n{}---\n# empty\n---\n{}...\n", yaml("a"), yaml("b")),
            "ClusterRole/a ClusterRole/b",
        ),
        ("a byte order mark", format!("\u{feff}{}", yaml("a")), "ClusterRole/a"),
        ("Windows line ends", yaml("a").replace('\n', "\r\n"), "ClusterRole/a"),
        (
            "a YAML List",
            format!(
                "apiVersion: v1\nitems:\n{}{}kind: List\nmetadata:\n  resourceVersion: \"\"\n",
                item("a"),
                item("b")
            ),
            "ClusterRole/a ClusterRole/b",
        ),
        ("an empty List", "apiVersion: v1\nitems: []\nkind: List\n".to_owned(), ""),
        (
            "a list of one kind",
            rbac("ClusterRoleList", "items:\n- metadata: {name: a}\n- metadata: {name: b}\n"),
            "ClusterRole/a ClusterRole/b",
        ),
        (
            "a list in a list",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: {RBAC}\n  kind: RoleList\n  items:\n  - metadata: {{name: a, namespace: n}}\n"
            ),
            "Role/n/a",
        ),
        ("one JSON object", role("a"), "ClusterRole/a"),
        (
            "a JSON List",
            format!(r#"{{"apiVersion":"v1","items":[{},{}],"kind":"List"}}"#, role("a"), role("b")),
            "ClusterRole/a ClusterRole/b",
        ),
        ("JSON lines", format!("{}\n{}\n", role("a"), role("b")), "ClusterRole/a ClusterRole/b"),
        (
            "JSON without any space between",
            format!("{}{}", role("a"), role("b")),
            "ClusterRole/a ClusterRole/b",
        ),
        (
            "JSON documents in YAML",
            format!("{}\n---\n{}\n", role("a"), role("b")),
            "ClusterRole/a ClusterRole/b",
        ),
        (
            "aliases",
            rbac(
                "RoleList",
                "items:\n- metadata: &meta {name: a, namespace: n}\n  rules:\n  - &rule {verbs: [get], apiGroups: [''], resources: [pods]}\n  - *rule\n",
            ),
            "Role/n/a",
        ),
    ];
    for (what, input, expected) in cases {
        let parsed = parse(input.as_bytes()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((keys(&parsed).as_str(), parsed.skipped.as_slice()), (expected, &[][..]), "{what}");
    }
}

#[test]
fn every_member_that_decides_is_read_and_the_others_are_passed_over() {
    let input = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
aggregationRule:
  clusterRoleSelectors:
  - matchLabels: {to: view, 'yes': ''}
    matchExpressions:
    - {key: tier, operator: In, values: [a, b]}
    - {key: tier, operator: NotIn, values: [c]}
    - {key: x, operator: Exists}
    - {key: y, operator: DoesNotExist, values: []}
metadata:
  name: system:aggregate
  annotations: {rbac.authorization.kubernetes.io/autoupdate: 'true', n: 3}
  creationTimestamp: 2026-01-01T00:00:00Z
  labels: {kubernetes.io/bootstrapping: rbac-defaults, spec: free}
  managedFields: [{fieldsV1: {'f:rules': {}}}]
rules:
- apiGroups: ['', apps]
  resources: [pods, pods/log]
  resourceNames: [web]
  verbs: [get, list]
  attributeRestrictions: null
- nonResourceURLs: [/healthz, /api/*]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: devs, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:aggregate}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: ana}
- {kind: Group, name: 'system:serviceaccounts:team-a'}
- {kind: ServiceAccount, name: bot.v1}
- {kind: ServiceAccount, name: bot, namespace: team-b, apiGroup: ''}
- {kind: ServiceAccount, name: bot, namespace: Team_A}
- {kind: ServiceAccount, name: bot, namespace: '*'}
- {kind: ServiceAccount, name: bot, namespace: ''}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: admins, namespace: ignored}
roleRef: {kind: ClusterRole, name: admin}
subjects: null
";
    let requirement = |key: &str| key.to_owned();
    let selector = LabelSelector {
        match_labels: [("to".to_owned(), "view".to_owned()), ("yes".to_owned(), String::new())].into(),
        match_expressions: vec![
            LabelRequirement::In { key: requirement("tier"), values: texts(&["a", "b"]) },
            LabelRequirement::NotIn { key: requirement("tier"), values: texts(&["c"]) },
            LabelRequirement::Exists { key: requirement("x") },
            LabelRequirement::DoesNotExist { key: requirement("y") },
        ],
    };
    let labels = [("kubernetes.io/bootstrapping", "rbac-defaults"), ("spec", "free")];
    let role = ClusterRole {
        name: "system:aggregate".to_owned(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        rules: vec![
            PolicyRule {
                verbs: texts(&["get", "list"]),
                api_groups: texts(&["", "apps"]),
                resources: texts(&["pods", "pods/log"]),
                resource_names: texts(&["web"]),
                non_resource_urls: vec![],
            },
            PolicyRule {
                verbs: texts(&["get"]),
                non_resource_urls: texts(&["/healthz", "/api/*"]),
                ..PolicyRule::default()
            },
        ],
        aggregation: Some(AggregationRule { selectors: vec![selector] }),
    };
    let account = |namespace: Option<&str>, name: &str| Subject::ServiceAccount {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    let binding = RoleBinding {
        namespace: "team-a".to_owned(),
        name: "devs".to_owned(),
        subjects: vec![
            Subject::User("ana".to_owned()),
            Subject::Group("system:serviceaccounts:team-a".to_owned()),
            account(None, "bot.v1"),
            account(Some("team-b"), "bot"),
            account(Some("Team_A"), "bot"),
            account(Some("*"), "bot"),
            account(None, "bot"),
        ],
        role: RoleRef::ClusterRole("system:aggregate".to_owned()),
    };
    let cluster_binding =
        ClusterRoleBinding { name: "admins".to_owned(), subjects: vec![], cluster_role: "admin".to_owned() };
    let expected = vec![
        Object::ClusterRole(role),
        Object::RoleBinding(binding),
        Object::ClusterRoleBinding(cluster_binding),
    ];
    assert_eq!(parse(input.as_bytes()), Ok(Parsed { objects: expected, ..Parsed::default() }));
}

#[test]
fn objects_of_other_kinds_are_reported_and_left_out() {
    let input = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: cm}}\ndata: {{rules: 3}}\nrules: 3\n---\n\
         apiVersion: v1\nkind: List\nitems:\n\
         - {{apiVersion: {RBAC}, kind: Role, metadata: {{name: r, namespace: n}}}}\n\
         - {{apiVersion: authorization.openshift.io/v1, kind: Role, metadata: [odd]}}\n---\n\
         apiVersion: v1\nkind: PodList\nitems: [{{metadata: {{name: p}}}}]\n"
    );
    let parsed = parse(input.as_bytes()).unwrap();
    assert_eq!(keys(&parsed), "Role/n/r");
    let skipped = |document, item, api_version: &str, kind: &str, name: Option<&str>| Skipped {
        document,
        item,
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.map(str::to_owned),
    };
    let expected = [
        skipped(1, None, "v1", "ConfigMap", Some("cm")),
        skipped(2, Some(1), "authorization.openshift.io/v1", "Role", None),
        skipped(3, None, "v1", "PodList", None),
    ];
    assert_eq!(parsed.skipped, expected);
}

#[test]
fn an_object_that_kubernetes_would_refuse_is_refused_with_its_place_and_what_to_write() {
    let role = |rules: &str| rbac("Role", &format!("metadata: {{name: r, namespace: n}}\nrules:\n{rules}"));
    let cluster_role = |rest: &str| rbac("ClusterRole", &format!("metadata: {{name: r}}\n{rest}"));
    let binding = |rest: &str| rbac("RoleBinding", &format!("metadata: {{name: b, namespace: n}}\n{rest}"));
    let cluster_binding = |rest: &str| rbac("ClusterRoleBinding", &format!("metadata: {{name: b}}\n{rest}"));
    let given = "roleRef: {kind: ClusterRole, name: r}\n";
    let cases = [
        (
            "a: 1\n".to_owned(),
            "line 1, column 1: `kind` is missing: write the object's kind, as `ClusterRole`",
        ),
        (
            "kind: Role\n".to_owned(),
            "line 1, column 1: `apiVersion` is missing: write the object's version, as `rbac.authorization.k8s.io/v1`",
        ),
        ("- a\n".to_owned(), "line 1, column 1: `.` has to be a map, not a list"),
        ("text\n".to_owned(), "line 1, column 1: `.` has to be a map, not text"),
        (
            "apiVersion: rbac.authorization.k8s.io/v1beta1\nkind: Role\n".to_owned(),
            "line 1, column 13: `apiVersion` is `rbac.authorization.k8s.io/v1beta1`: write `rbac.authorization.k8s.io/v1`, the version that Kubernetes has had since 1.22",
        ),
        (
            rbac("Rolle", ""),
            "line 2, column 7: `kind` is `Rolle`: use Role, ClusterRole, RoleBinding, ClusterRoleBinding, or a list of one of them",
        ),
        (
            rbac("Role", ""),
            "line 1, column 1: `metadata` is missing: write `metadata` with the object's `name`",
        ),
        (
            rbac("Role", "metadata: {namespace: n}\n"),
            "line 3, column 11: `metadata.name` is missing: write the object's name",
        ),
        (
            rbac("Role", "metadata: {name: '', namespace: n}\n"),
            "line 3, column 18: `metadata.name` is missing: write the object's name",
        ),
        (
            rbac("Role", "metadata: {name: 7, namespace: n}\n"),
            "line 3, column 18: `metadata.name` has to be text, not a number (in quotes it is text)",
        ),
        (
            rbac("Role", "metadata: {name: true, namespace: n}\n"),
            "line 3, column 18: `metadata.name` has to be text, not true or false (in quotes it is text)",
        ),
        (
            rbac("Role", "metadata: {name: a/b, namespace: n}\n"),
            "line 3, column 18: `metadata.name` is `a/b`: a name is neither `.` nor `..` and has no `/` and no `%`",
        ),
        (
            rbac("Role", "metadata: {name: ..}\n"),
            "line 3, column 18: `metadata.name` is `..`: a name is neither `.` nor `..` and has no `/` and no `%`",
        ),
        (
            rbac("Role", "metadata: {name: r}\n"),
            "line 3, column 11: `metadata.namespace` is missing: write the object's namespace; without it, kubectl would use the one of the moment",
        ),
        (
            rbac("Role", "metadata: {name: r, namespace: N_1}\n"),
            "line 3, column 32: `metadata.namespace` is `N_1`: a namespace has at most 63 lower-case letters, digits and inner hyphens",
        ),
        (
            rbac("ClusterRole", "metadata: {name: r, labels: {a: 1}}\n"),
            "line 3, column 33: `metadata.labels.a` has to be text, not a number (in quotes it is text)",
        ),
        (
            rbac("Role", "metadata: {name: r, namespace: n}\nrules: all\n"),
            "line 4, column 8: `rules` has to be a list, not text",
        ),
        (role("- all\n"), "line 5, column 3: `rules[0]` has to be a map, not text"),
        (
            role("- {apiGroups: [''], resources: [pods]}\n"),
            "line 5, column 3: `rules[0].verbs` is missing: write at least one verb",
        ),
        (
            role("- {verbs: [], apiGroups: [''], resources: [pods]}\n"),
            "line 5, column 11: `rules[0].verbs` is missing: write at least one verb",
        ),
        (
            role("- {verbs: get, apiGroups: [''], resources: [pods]}\n"),
            "line 5, column 11: `rules[0].verbs` has to be a list, not text",
        ),
        (
            role("- {verbs: [get], resources: [pods]}\n"),
            "line 5, column 3: `rules[0].apiGroups` is missing: write at least one API group; the core group is `\"\"`",
        ),
        (
            role("- {verbs: [get], apiGroups: [~], resources: [pods]}\n"),
            "line 5, column 30: `rules[0].apiGroups[0]` has to be text, not nothing",
        ),
        (
            role("- {verbs: [get], apiGroups: ['']}\n"),
            "line 5, column 3: `rules[0].resources` is missing: write at least one resource",
        ),
        (
            role("- {verbs: [get], nonResourceURLs: [/x]}\n"),
            "line 5, column 35: `rules[0].nonResourceURLs` must not be there: a Role has no paths outside the resource API, put the rule into a ClusterRole",
        ),
        (
            cluster_role("rules:\n- {verbs: [get], nonResourceURLs: [/x], resources: [pods]}\n"),
            "line 5, column 52: `rules[0].resources` must not be there: a rule is for resources or for `nonResourceURLs`, make two rules of it",
        ),
        (
            cluster_role("aggregationRule: {}\n"),
            "line 4, column 18: `aggregationRule.clusterRoleSelectors` is missing: write at least one selector",
        ),
        (
            cluster_role("aggregationRule: {clusterRoleSelectors: [{matchLabels: [a]}]}\n"),
            "line 4, column 56: `aggregationRule.clusterRoleSelectors[0].matchLabels` has to be a map, not a list",
        ),
        (
            cluster_role(
                "aggregationRule: {clusterRoleSelectors: [{matchExpressions: [{key: a, operator: in, values: [b]}]}]}\n",
            ),
            "line 4, column 81: `aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator` is `in`: use In, NotIn, Exists or DoesNotExist",
        ),
        (
            cluster_role(
                "aggregationRule: {clusterRoleSelectors: [{matchExpressions: [{key: a, operator: In}]}]}\n",
            ),
            "line 4, column 62: `aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values` is missing: write at least one value",
        ),
        (
            cluster_role(
                "aggregationRule: {clusterRoleSelectors: [{matchExpressions: [{key: a, operator: Exists, values: [b]}]}]}\n",
            ),
            "line 4, column 97: `aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values` must not be there: `Exists` and `DoesNotExist` compare with nothing, take the values out",
        ),
        (
            binding(""),
            "line 1, column 1: `roleRef` is missing: write the role that is given, with `apiGroup`, `kind` and `name`",
        ),
        (
            binding("roleRef: {kind: Pod, name: r}\n"),
            "line 4, column 17: `roleRef.kind` is `Pod`: use Role or ClusterRole",
        ),
        (
            binding("roleRef: {kind: Role, name: r, apiGroup: apps}\n"),
            "line 4, column 42: `roleRef.apiGroup` is `apps`: write `rbac.authorization.k8s.io`",
        ),
        (
            binding("roleRef: {kind: Role}\n"),
            "line 4, column 10: `roleRef.name` is missing: write the role's name",
        ),
        (
            cluster_binding("roleRef: {kind: Role, name: r}\n"),
            "line 4, column 17: `roleRef.kind` is `Role`: use ClusterRole, a ClusterRoleBinding gives nothing else",
        ),
        (
            binding(&format!("{given}subjects: [{{kind: user, name: a}}]\n")),
            "line 5, column 19: `subjects[0].kind` is `user`: use User, Group or ServiceAccount",
        ),
        (
            binding(&format!("{given}subjects: [{{name: a}}]\n")),
            "line 5, column 12: `subjects[0].kind` is missing: write `User`, `Group` or `ServiceAccount`",
        ),
        (
            binding(&format!("{given}subjects: [{{kind: User}}]\n")),
            "line 5, column 12: `subjects[0].name` is missing: write who is meant",
        ),
        (
            binding(&format!("{given}subjects: [{{kind: User, name: a, apiGroup: v1}}]\n")),
            "line 5, column 44: `subjects[0].apiGroup` is `v1`: write `rbac.authorization.k8s.io`, or leave it out",
        ),
        (
            binding(&format!(
                "{given}subjects: [{{kind: ServiceAccount, name: a, apiGroup: rbac.authorization.k8s.io}}]\n"
            )),
            "line 5, column 54: `subjects[0].apiGroup` is `rbac.authorization.k8s.io`: leave it out, service accounts are of the core group",
        ),
        (
            binding(&format!("{given}subjects: [{{kind: ServiceAccount, name: 'a:b'}}]\n")),
            "line 5, column 41: `subjects[0].name` is `a:b`: a service account has at most 253 lower-case letters, digits, and inner hyphens and dots",
        ),
        (
            cluster_binding(&format!("{given}subjects: [{{kind: ServiceAccount, name: a}}]\n")),
            "line 5, column 12: `subjects[0].namespace` is missing: write the service account's namespace",
        ),
        (
            cluster_binding(&format!(
                "{given}subjects: [{{kind: ServiceAccount, name: a, namespace: ''}}]\n"
            )),
            "line 5, column 55: `subjects[0].namespace` is missing: write the service account's namespace",
        ),
    ];
    let all = cases.map(|(input, expected)| (input, format!("document 1, {expected}")));
    assert_refused(all);
}

#[test]
fn a_flaw_in_json_has_its_place_too() {
    let list = |item: &str| {
        format!("{{\"apiVersion\": \"{RBAC}\",\n \"kind\": \"RoleList\",\n \"items\": [\n{item}\n]}}")
    };
    let cases = [
        (
            list("{\"metadata\": {\"name\": \"é\", \"namespace\": 3}}"),
            "document 1, line 4, column 41: `items[0].metadata.namespace` has to be text, not a number (in quotes it is text)",
        ),
        (
            list("{\"metadata\": {\"name\": \"a\"}}"),
            "document 1, line 4, column 14: `items[0].metadata.namespace` is missing: write the object's namespace; without it, kubectl would use the one of the moment",
        ),
        (
            list(
                "{\"metadata\": {\"name\": \"a\", \"namespace\": \"b\"}, \"rul\\u0065s\": [{\"verbs\": [1]}]}",
            ),
            "document 1, line 4, column 73: `items[0].rules[0].verbs[0]` has to be text, not a number (in quotes it is text)",
        ),
        (
            format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}}\n\n  {}", list("7")),
            "document 2, line 6, column 1: `items[0]` has to be a map, not a number (in quotes it is text)",
        ),
        ("[{}]".to_owned(), "document 1, line 1, column 1: `.` has to be a map, not a list"),
        (
            "{\"kind\": \"Role\",".to_owned(),
            "document 1, line 1, column 16: not valid JSON: EOF while parsing a value",
        ),
        ("{\"é\": 1,}".to_owned(), "document 1, line 1, column 9: not valid JSON: trailing comma"),
        (
            "{\"kind\": \"a\", \"kind\": \"b\"}".to_owned(),
            "document 1, line 1, column 26: not valid JSON: `kind` is written twice: keep one",
        ),
        (
            "{\"a\": 1}}".to_owned(),
            "document 1, line 1, column 1: `kind` is missing: write the object's kind, as `ClusterRole`",
        ),
    ];
    assert_refused(cases.map(|(input, expected)| (input, expected.to_owned())));
}

#[test]
fn text_that_is_no_yaml_is_refused_with_its_place() {
    let other = "apiVersion: v1\nkind: Pod\n";
    let cases = [
        ("a: [1, 2".to_owned(), "document 1, line 1, column 4: not valid YAML: unclosed bracket '['"),
        (
            "a: b: c".to_owned(),
            "document 1, line 1, column 5: not valid YAML: mapping values are not allowed in this context",
        ),
        (
            format!("{other}---\nkind: *nobody\n"),
            "document 2, line 4, column 7: not valid YAML: alias references unknown anchor",
        ),
        (
            format!("{other}name: a\nname: b\n"),
            "document 1, line 4, column 1: not valid YAML: `name` is written twice: keep one",
        ),
        (
            format!("{other}data: {{a: 1, a: 2}}\n"),
            "document 1, line 3, column 14: not valid YAML: `a` is written twice: keep one",
        ),
        ("a: 1\u{0}".to_owned(), "document 1, line 1, column 5: not valid YAML"),
    ];
    for (input, expected) in cases {
        let error = parse(input.as_bytes()).expect_err(&input).to_string();
        assert!(error.starts_with(expected), "{input}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let error = parse(b"a: 1\nb: \xff\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2 is not UTF-8: save the input as UTF-8");
}

#[test]
fn every_limit_is_kept_and_named() {
    let limits = Limits { bytes_max: 2_000, documents_max: 3, objects_max: 3, aliases_max: 4 };
    let pod = "apiVersion: v1\nkind: Pod\n";
    let line = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}\n";
    let list = |items: usize| {
        format!("apiVersion: v1\nkind: List\nitems:\n{}", "- {apiVersion: v1, kind: Pod}\n".repeat(items))
    };
    let aliases = |count: usize| format!("{pod}metadata:\n- &a x\n{}", "- *a\n".repeat(count));
    let within = [format!("---\n{pod}").repeat(3), line.repeat(3), list(3), aliases(4), " ".repeat(2_000)];
    for input in within {
        assert!(parse_within(input.as_bytes(), limits).is_ok(), "{input}");
    }
    let documents = "the input has more than 3 documents: apply it in parts, none of which replaces all";
    let objects = "document 1, line 7, column 3: the input has more than 3 objects: apply it in parts, none of which replaces all";
    let beyond = [
        (
            " ".repeat(2_001),
            "the input has 2001 bytes, at most 2000 are read: apply it in parts, none of which replaces all",
        ),
        (format!("---\n{pod}").repeat(4), documents),
        (line.repeat(4), documents),
        (list(4), objects),
        (
            aliases(5),
            "document 1, line 9, column 3: too many aliases, or aliases of aliases: write the repeated parts out",
        ),
    ];
    for (input, expected) in beyond {
        assert_eq!(parse_within(input.as_bytes(), limits).expect_err(&input).to_string(), expected);
    }
}

#[test]
fn what_grows_without_bound_or_nests_without_end_is_refused() {
    let mut laughs = "metadata:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        laughs.push_str(&format!("- &a{level} [{inner}]\n"));
    }
    assert!(matches!(parse(laughs.as_bytes()), Err(ParseError::TooComplex { .. })));
    for (open, count) in
        [("[", 100_000), ("- ", 10_000), ("{\"metadata\":", 10_000), ("- [", 100), ("{\"a\":", 100_000)]
    {
        let deep = open.repeat(count);
        assert!(parse(deep.as_bytes()).is_err(), "{open}");
    }
    assert!(parse(b"metadata: &a {name: *a}\n").is_err());
}

#[test]
fn a_value_in_a_message_is_short_and_on_one_line() {
    let kind = format!("a\\nb\\u001b{}", "x".repeat(1_000));
    let input = format!("{{\"apiVersion\":\"{RBAC}\",\"kind\":\"{kind}\"}}");
    let error = parse(input.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(r"`a\nb\u{1b}xxx") && error.contains("x…`"), "{error}");
    assert!(error.len() < 400, "{error}");
}

#[test]
fn in_part_what_kubernetes_would_refuse_is_left_out_with_its_key_as_far_as_that_is_told() {
    let list = |items: &str| format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}]}}"#);
    let object = |kind: &str, metadata: &str, rest: &str| {
        format!(
            r#"{{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"{kind}","metadata":{metadata}{rest}}}"#
        )
    };
    let good = object("ClusterRole", r#"{"name":"good"}"#, "");
    let cases = [
        (object("Role", r#"{"name":"a","namespace":"n"}"#, r#","rules":3"#), Some("Role/n/a"), "rules"),
        (object("ClusterRoleBinding", r#"{"name":"b"}"#, ""), Some("ClusterRoleBinding/b"), "roleRef"),
        (object("Role", r#"{"name":"a"}"#, ""), None, "metadata.namespace"),
        (object("Roll", r#"{"name":"a"}"#, ""), None, "kind"),
        ("7".to_owned(), None, "."),
    ];
    for (bad, key, path) in cases {
        let input = list(&format!("{bad},{good}"));
        let read = parse_partially(input.as_bytes(), Limits::DEFAULT).unwrap();
        assert_eq!(read.objects.len(), 1, "{bad}");
        let refused = &read.refused[0];
        assert_eq!(refused.key.as_ref().map(ToString::to_string).as_deref(), key, "{bad}");
        assert_eq!(
            (refused.document, refused.item, refused.error.path.as_str()),
            (1, Some(0), path),
            "{bad}"
        );
        assert!(parse(input.as_bytes()).is_err(), "{bad}");
    }
    let few = Limits { objects_max: 1, ..Limits::DEFAULT };
    let many = list("7,7");
    assert!(matches!(parse_partially(many.as_bytes(), few), Err(ParseError::TooManyObjects { .. })));
    assert!(parse_partially(b"{", Limits::DEFAULT).is_err());
}

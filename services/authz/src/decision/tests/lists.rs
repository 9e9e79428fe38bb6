//! The listing questions, and that they agree with the decision.

use lanyard_api::{
    Scope,
    authz::{Attributes, Holder, Review, RulesQuery, Verdict, WhoCan, WhoCanQuery},
    mapping::{AccessScope, AuthenticationMode, AuthorizerMode, BlockTarget},
};
use lanyard_rbac::{ClusterRoleBinding, Object, Subject};
use proptest::prelude::*;

use super::stage::{HOME, NOW, Person, Stage, account, bare, get_pods, resource, texts};
use crate::decision::{list::HOLDERS_BYTES_MAX, rules_for, who_can};

const POLICIES: [&str; 4] =
    ["AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy"];

fn who(stage: &Stage, attributes: Attributes) -> WhoCan {
    who_can(&stage.compile(), &WhoCanQuery { cluster: stage.cluster.uid, attributes }, NOW).unwrap()
}

/// Whether the answer names this user, by name or group.
fn names(answer: &WhoCan, username: &str, groups: &[String]) -> bool {
    let named = |holder: &Holder| {
        holder.subject == format!("User {username}")
            || groups.iter().any(|group| holder.subject == format!("Group {group}"))
    };
    answer.holders.iter().any(named)
}

fn role(name: &str, verb: &str, resource: &str) -> String {
    format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {name}}}, rules: [{{verbs: ['{verb}'], apiGroups: [''], resources: ['{resource}']}}]}}\n---\n"
    )
}

fn binding(name: &str, role: &str, namespace: Option<&str>, kind: &str, subject: &str) -> String {
    let (kind_of, at) = match namespace {
        Some(namespace) => ("RoleBinding", format!(", namespace: {namespace}")),
        None => ("ClusterRoleBinding", String::new()),
    };
    format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: {kind_of}, metadata: {{name: {name}{at}}}, roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}, subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: '{subject}'}}]}}\n---\n"
    )
}

#[derive(Debug, Clone)]
struct PersonPlan {
    policy: usize,
    scope: Option<&'static str>,
    association_ended: bool,
    entry_ended: bool,
    blocked: bool,
    deleted: bool,
}

fn person_plan() -> impl Strategy<Value = PersonPlan> {
    let scope = prop_oneof![Just(None), Just(Some("a")), Just(Some("a*")), Just(Some("b"))];
    let rarely = || prop::bool::weighted(0.15);
    (0..POLICIES.len(), scope, rarely(), rarely(), rarely(), rarely()).prop_map(
        |(policy, scope, association_ended, entry_ended, blocked, deleted)| PersonPlan {
            policy,
            scope,
            association_ended,
            entry_ended,
            blocked,
            deleted,
        },
    )
}

fn question() -> impl Strategy<Value = Attributes> {
    let asked = (
        prop_oneof![Just("get"), Just("delete"), Just("list")],
        prop_oneof![Just("pods"), Just("secrets"), Just("pods/exec"), Just("nodes")],
        prop_oneof![Just("a"), Just("b"), Just("ab"), Just("")],
    )
        .prop_map(|(verb, what, namespace)| resource(verb, "", what, namespace));
    let path = Just(Attributes::NonResource { path: "/metrics".into(), verb: "get".into() });
    prop_oneof![9 => asked, 1 => path]
}

fn rbac() -> impl Strategy<Value = String> {
    let verb = prop_oneof![Just("get"), Just("*"), Just("list")];
    let what = prop_oneof![Just("pods"), Just("*"), Just("pods/exec")];
    let roles = prop::collection::vec((verb, what), 2..3);
    let place = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    let subject =
        prop_oneof![Just(("User", "u0")), Just(("User", "x")), Just(("Group", "g0")), Just(("Group", "g1"))];
    let bindings = prop::collection::vec((0..2usize, place, subject), 0..5);
    (roles, bindings).prop_map(|(roles, bindings)| {
        let roles = roles.iter().enumerate().map(|(n, (verb, what))| role(&format!("r{n}"), verb, what));
        let bindings = bindings.iter().enumerate().map(|(n, (of, place, (kind, name)))| {
            binding(&format!("b{n}"), &format!("r{of}"), *place, kind, name)
        });
        roles.chain(bindings).collect()
    })
}

fn people(stage: &mut Stage, plans: &[PersonPlan]) -> Vec<Person> {
    let mut people = Vec::new();
    for (n, plan) in plans.iter().enumerate() {
        let mut person = stage.person(&format!("u{n}"), &format!("u{n}"), &[&format!("g{n}")]);
        let scope =
            plan.scope.map_or(AccessScope::Cluster, |pattern| AccessScope::Namespace(texts(&[pattern])));
        stage.associate(&person, POLICIES[plan.policy], scope, plan.association_ended.then_some(NOW));
        person.entry.ends_at = plan.entry_ended.then_some(NOW);
        stage.put_entry(&person.entry);
        stage.user(HOME, &format!("u{n}"), !plan.deleted);
        if plan.blocked {
            let canonical_arn = person.entry.principal_arn.one().unwrap().canonical();
            let target = BlockTarget::Principal { authority: person.entry.authority.clone(), canonical_arn };
            stage.block(Scope::Cluster(stage.cluster.uid), target);
        }
        people.push(person);
    }
    people
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn immunity_18_who_can_names_exactly_those_whom_the_decision_allows(
        plans in prop::collection::vec(person_plan(), 0..4),
        rbac in rbac(),
        asked in question(),
        mode in prop_oneof![Just(AuthenticationMode::Api), Just(AuthenticationMode::ApiAndConfigMap), Just(AuthenticationMode::ConfigMap)],
    ) {
        let mut stage = Stage::new(AuthorizerMode::Full);
        let mut cluster = stage.cluster.clone();
        cluster.authentication_mode = mode;
        stage.put_cluster(cluster);
        stage.rbac(&rbac);
        let people = people(&mut stage, &plans);
        let answer = who(&stage, asked.clone());

        for person in &people {
            let by_entry = answer.holders.iter().any(|holder| holder.entry == Some(person.entry.id));
            let username = person.entry.username.clone();
            let bearing = stage.review(stage.log_in(person), asked.clone());
            let assumed = Review { grant: Some(person.entry.id), ..stage.review(bare(&username, &[]), asked.clone()) };
            let decided = stage.decide(&bearing);
            let may_by_policy = |code: &str| code == "access_policy";
            prop_assert_eq!(by_entry, may_by_policy(decided.reason.code()), "{:?} {:?}", person.entry.id, decided);
            prop_assert_eq!(by_entry, may_by_policy(stage.decide(&assumed).reason.code()), "assumed");
            if decided.verdict != Verdict::Deny {
                let named = by_entry || names(&answer, &username, &person.entry.groups);
                prop_assert_eq!(named, decided.verdict == Verdict::Allow, "{:?}", decided);
            }
        }
        for (username, groups) in [("x", &["g0"][..]), ("u0", &[]), ("x", &["g1", "g2"]), ("x", &["system:masters"]), ("y", &[])] {
            let decided = stage.decide(&stage.review(bare(username, groups), asked.clone()));
            let named = names(&answer, username, &texts(groups));
            prop_assert_eq!(named, decided.verdict == Verdict::Allow, "{} {:?} {:?}", username, groups, answer);
        }
    }

    #[test]
    fn a_users_rules_are_what_the_decision_allows(
        plans in prop::collection::vec(person_plan(), 1..2),
        rbac in rbac(),
        asked in question(),
        namespace in prop_oneof![Just("a"), Just("b"), Just("ab")],
    ) {
        let mut stage = Stage::new(AuthorizerMode::Full);
        stage.rbac(&rbac);
        let people = people(&mut stage, &plans);
        let user = stage.log_in(&people[0]);
        let mut asked = asked;
        if let Attributes::Resource(asked) = &mut asked {
            asked.namespace = namespace.into();
        }
        let query = RulesQuery { cluster: stage.cluster.uid, user: user.clone(), namespace: namespace.to_owned(), grant: None };
        let rules = rules_for(&stage.compile(), &query, NOW).unwrap();
        let decided = stage.decide(&stage.review(user, asked.clone()));
        let listed = lanyard_rbac::RuleSet::compile(rules.resource.into_iter().chain(rules.non_resource));
        let selected = crate::decision::Selected::default();
        let found = listed.first_match(&crate::decision::Asked::of(&asked, &selected).0);
        prop_assert_eq!(found.is_some(), decided.verdict == Verdict::Allow, "{:?} {:?}", asked, decided);
    }
}

#[test]
fn holders_are_named_with_what_gives_it() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    let ana = stage.person("ana", "ana", &[]);
    stage.associate(&ana, "AmazonEKSViewPolicy", AccessScope::Namespace(texts(&["a*"])), None);
    let pods = role("pods", "get", "pods");
    let to_group = binding("devs", "pods", Some("a"), "Group", "devs");
    let to_account = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: bots}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pods}, subjects: [{kind: ServiceAccount, name: bot, namespace: ci}]}";
    stage.rbac(&format!("{pods}{to_group}{to_account}"));
    let answer = who(&stage, get_pods("a"));
    let mut texts: Vec<String> =
        answer.holders.iter().map(|holder| format!("{}: {}", holder.subject, holder.via)).collect();
    let by_entry = texts.pop().unwrap();
    assert_eq!(
        texts,
        [
            "Group devs: RoleBinding/a/devs → ClusterRole/pods rule 1",
            "Group system:masters: system:masters, which passes every check",
            "ServiceAccount ci/bot: ClusterRoleBinding/bots → ClusterRole/pods rule 1",
        ]
    );
    assert!(
        by_entry
            .starts_with(&format!("access entry {}: access policy AmazonEKSViewPolicy rule ", ana.entry.id)),
        "{by_entry}"
    );
    assert!(by_entry.ends_with(", scope a*"), "{by_entry}");
    assert!(answer.incomplete, "who is in a group is not known");
}

#[test]
fn nobody_can_impersonate_the_proof() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    let ana = stage.person("ana", "ana", &[]);
    stage.associate(&ana, "AmazonEKSClusterAdminPolicy", AccessScope::Cluster, None);
    let mut asked = resource("impersonate", "authentication.k8s.io", "userextras", "");
    assert_eq!(who(&stage, asked.clone()).holders.len(), 2, "other keys may be impersonated");
    let Attributes::Resource(attributes) = &mut asked else { panic!() };
    attributes.subresource = "lanyard.dev/proof".into();
    assert_eq!(who(&stage, asked), WhoCan::default());
}

#[test]
fn of_more_holders_than_an_answer_has_room_for_some_are_left_out_and_counted() {
    const SUBJECTS: usize = 80_000;
    let mut stage = Stage::new(AuthorizerMode::Full);
    let ana = stage.person("ana", "ana", &[]);
    stage.associate(&ana, "AmazonEKSViewPolicy", AccessScope::Cluster, None);
    stage.rbac(&role("reader", "get", "pods"));
    let binding = ClusterRoleBinding {
        name: "many".to_owned(),
        subjects: (0..SUBJECTS).map(|n| Subject::User(format!("user-{n:05}"))).collect(),
        cluster_role: "reader".to_owned(),
    };
    let binding = Object::ClusterRoleBinding(binding);
    stage.rows.set_object(&binding.key().to_string(), Some(binding));
    let answer = who(&stage, get_pods("a"));
    // Besides them the masters' group, and the entry.
    assert_eq!(answer.holders.len() + answer.left_out as usize, SUBJECTS + 2);
    assert!(
        answer.incomplete && answer.left_out > 0 && answer.holders.len() > SUBJECTS / 2,
        "{}",
        answer.left_out
    );
    let last = answer.holders.last().unwrap();
    assert_eq!(last.entry, Some(ana.entry.id), "entries are there, however many others may");
    let bytes: usize = answer.holders.iter().map(|holder| holder.subject.len() + holder.via.len()).sum();
    assert!(bytes < HOLDERS_BYTES_MAX, "{bytes}");
}

#[test]
fn a_list_says_what_it_cannot_know() {
    let mut stage = Stage::new(AuthorizerMode::WebhookFirst);
    let ana = stage.person("ana", "ana", &["devs"]);
    stage.associate(&ana, "AmazonEKSViewPolicy", AccessScope::Cluster, None);
    let ask = |stage: &Stage, user| {
        let query = RulesQuery { cluster: stage.cluster.uid, user, namespace: "a".to_owned(), grant: None };
        rules_for(&stage.compile(), &query, NOW).unwrap()
    };
    let elsewhere = ask(&stage, stage.log_in(&ana));
    assert!(elsewhere.incomplete && !elsewhere.resource.is_empty(), "{elsewhere:?}");
    assert!(elsewhere.evaluation_error.unwrap().contains("the cluster evaluates RBAC itself"));
    let mut cluster = stage.cluster.clone();
    cluster.authorizer_mode = AuthorizerMode::Full;
    stage.put_cluster(cluster);
    let whole = ask(&stage, stage.log_in(&ana));
    assert_eq!((whole.incomplete, whole.evaluation_error), (false, None));
    stage.rbac(&binding("lost", "missing", None, "Group", "devs"));
    let dangling = ask(&stage, stage.log_in(&ana));
    assert!(dangling.incomplete && dangling.evaluation_error.is_some());
    stage.block(
        Scope::Account(account(HOME)),
        BlockTarget::AccessKey { access_key_id: ana.access_key.parse().unwrap() },
    );
    let blocked = ask(&stage, stage.log_in(&ana));
    assert!(blocked.resource.is_empty() && !blocked.incomplete);
    assert!(blocked.evaluation_error.unwrap().starts_with("denied: a block holds"));
}

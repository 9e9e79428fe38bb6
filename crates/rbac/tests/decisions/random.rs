//! Random worlds, askers and questions, of so few words that everything meets everything.

use std::collections::BTreeMap;

use lanyard_rbac::{
    AggregationRule, Attributes, ClusterRole, ClusterRoleBinding, LabelRequirement, LabelSelector, Object,
    PolicyRule, ResourceAttributes, Role, RoleBinding, RoleRef, Subject, User,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::Asker;

/// A question that owns its words.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Resource {
        verb: String,
        group: String,
        resource: String,
        subresource: String,
        namespace: String,
        name: String,
    },
    Path {
        verb: String,
        path: String,
    },
}

impl Question {
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        match self {
            Self::Path { verb, path } => Attributes::non_resource(verb, path),
            Self::Resource { verb, group, resource, subresource, namespace, name } => Attributes::resource(
                verb,
                ResourceAttributes {
                    api_group: group,
                    resource,
                    subresource,
                    namespace,
                    name,
                    ..ResourceAttributes::default()
                },
            ),
        }
    }
}

fn word(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn words(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![12 => vec(word(of), 1..4), 1 => Just(Vec::new())]
}

const NAMESPACES: &[&str] = &["a", "b"];
const ROLES: &[&str] = &["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"];
const VERBS: &[&str] = &["get", "get", "get", "list", "list", "create", "*", "Get", ""];
const GROUPS: &[&str] = &["", "", "apps", "*"];
const RULE_RESOURCES: &[&str] =
    &["pods", "pods", "pods/log", "*", "*/log", "deployments", "*/*", "pods/", "/log", "pods/*", ""];
const RESOURCES: &[&str] = &["pods", "pods", "deployments", "*", "pods/log", ""];
const SUBRESOURCES: &[&str] = &["", "", "log", "scale", "*"];
const NAMES: &[&str] = &["web", "db", "", "*"];
const URLS: &[&str] = &["/healthz", "/api/*", "*", "/a*b", "/healthz/*", "/**", ""];
const PATHS: &[&str] = &["/healthz", "/api/v1", "/api", "/a*b", "/healthz/", "/", "", "/x/../healthz"];
const USERS: &[&str] = &["ana", "ben", "system:serviceaccount:a:bot", "system:serviceaccount:b:bot", ""];
const MEMBERSHIPS: &[&str] = &["dev", "ops", "ana", "system:masters"];

pub(crate) fn rule() -> impl Strategy<Value = PolicyRule> {
    let names = prop_oneof![3 => Just(Vec::new()), 1 => words(NAMES)];
    let resource = (words(VERBS), words(GROUPS), words(RULE_RESOURCES), names).prop_map(
        |(verbs, api_groups, resources, resource_names)| PolicyRule {
            verbs,
            api_groups,
            resources,
            resource_names,
            non_resource_urls: vec![],
        },
    );
    let url = (words(VERBS), words(URLS)).prop_map(|(verbs, non_resource_urls)| PolicyRule {
        verbs,
        non_resource_urls,
        ..PolicyRule::default()
    });
    prop_oneof![4 => resource, 1 => url]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(word(&["x", "y"]), word(&["1", "2"]), 0..3)
}

fn requirement() -> impl Strategy<Value = LabelRequirement> {
    (word(&["x", "y"]), vec(word(&["1", "2"]), 1..3), 0..4).prop_map(|(key, values, operator)| match operator
    {
        0 => LabelRequirement::In { key, values },
        1 => LabelRequirement::NotIn { key, values },
        2 => LabelRequirement::Exists { key },
        _ => LabelRequirement::DoesNotExist { key },
    })
}

fn aggregation() -> impl Strategy<Value = AggregationRule> {
    let selector = (labels(), vec(requirement(), 0..2))
        .prop_map(|(match_labels, match_expressions)| LabelSelector { match_labels, match_expressions });
    vec(selector, 0..3).prop_map(|selectors| AggregationRule { selectors })
}

fn subject() -> impl Strategy<Value = Subject> {
    let namespace = prop_oneof![Just(None), word(NAMESPACES).prop_map(Some)];
    prop_oneof![
        word(USERS).prop_map(Subject::User),
        word(&["dev", "ops", "ana"]).prop_map(Subject::Group),
        namespace.prop_map(|namespace| Subject::ServiceAccount { namespace, name: "bot".to_owned() }),
    ]
}

fn binding_name() -> impl Strategy<Value = String> {
    (0..40).prop_map(|number| format!("b{number}"))
}

fn object() -> impl Strategy<Value = Object> {
    // Long enough rule lists are searched by resource, short ones one by one; both have to be met.
    let rules = || prop_oneof![5 => vec(rule(), 0..4), 1 => vec(rule(), 15..25)];
    let role = (word(NAMESPACES), word(ROLES), rules())
        .prop_map(|(namespace, name, rules)| Object::Role(Role { namespace, name, rules }));
    let aggregation = prop_oneof![2 => Just(None), 1 => aggregation().prop_map(Some)];
    let cluster_role =
        (word(ROLES), labels(), rules(), aggregation).prop_map(|(name, labels, rules, aggregation)| {
            Object::ClusterRole(ClusterRole { name, labels, rules, aggregation })
        });
    let role_ref = (any::<bool>(), word(ROLES))
        .prop_map(|(cluster, name)| if cluster { RoleRef::ClusterRole(name) } else { RoleRef::Role(name) });
    let binding = (word(NAMESPACES), binding_name(), vec(subject(), 0..4), role_ref).prop_map(
        |(namespace, name, subjects, role)| {
            Object::RoleBinding(RoleBinding { namespace, name, subjects, role })
        },
    );
    let cluster_binding =
        (binding_name(), vec(subject(), 0..3), word(ROLES)).prop_map(|(name, subjects, cluster_role)| {
            Object::ClusterRoleBinding(ClusterRoleBinding { name, subjects, cluster_role })
        });
    prop_oneof![2 => role, 2 => cluster_role, 4 => binding, 1 => cluster_binding]
}

pub(crate) fn question() -> impl Strategy<Value = Question> {
    let namespace = word(&["a", "b", "", "c"]);
    let resource = (word(VERBS), word(GROUPS), word(RESOURCES), word(SUBRESOURCES), namespace, word(NAMES))
        .prop_map(|(verb, group, resource, subresource, namespace, name)| Question::Resource {
            verb,
            group,
            resource,
            subresource,
            namespace,
            name,
        });
    let path = (word(VERBS), word(PATHS)).prop_map(|(verb, path)| Question::Path { verb, path });
    prop_oneof![4 => resource, 1 => path]
}

pub(crate) fn asker() -> impl Strategy<Value = Asker> {
    let membership = prop_oneof![12 => word(&["dev", "ops", "ana", "none"]), 1 => word(MEMBERSHIPS)];
    (word(USERS), vec(membership, 0..3)).prop_map(|(name, groups)| Asker { name, groups })
}

pub(crate) fn world() -> impl Strategy<Value = Vec<Object>> {
    vec(object(), 0..120)
}

pub(crate) fn user(asker: &Asker) -> User<'_> {
    User { name: &asker.name, groups: &asker.groups }
}

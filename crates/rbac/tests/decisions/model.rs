//! RBAC written as slowly and plainly as its documentation, to compare the index with.

use std::collections::BTreeMap;

use lanyard_rbac::{
    Attributes, ClusterRole, Object, ObjectKey, PolicyRule, ResourceAttributes, RoleRef, Subject, Target,
};

/// The objects of a cluster; of two with the same key the later counts.
pub(crate) struct Model {
    objects: BTreeMap<ObjectKey, Object>,
    /// The rules of each cluster role, once the aggregation controller has nothing left to do.
    cluster_rules: BTreeMap<String, Vec<PolicyRule>>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

impl Model {
    pub(crate) fn of(objects: &[Object]) -> Self {
        let objects: BTreeMap<_, _> = objects.iter().map(|object| (object.key(), object.clone())).collect();
        let roles: Vec<&ClusterRole> = objects.values().filter_map(cluster_role).collect();
        Self { cluster_rules: aggregated(&roles), objects }
    }

    /// Whether a user may do something.
    pub(crate) fn allows(&self, user: &Asker, asked: &Attributes<'_>) -> bool {
        user.groups.iter().any(|group| group == "system:masters")
            || self.objects.values().any(|object| self.binding_allows(object, user, asked))
    }

    /// Whether one binding lets a user do something.
    pub(crate) fn binding_allows(&self, object: &Object, user: &Asker, asked: &Attributes<'_>) -> bool {
        match object {
            Object::Role(_) | Object::ClusterRole(_) => false,
            // A ClusterRoleBinding grants everywhere.
            Object::ClusterRoleBinding(binding) => {
                let names_user = binding.subjects.iter().any(|subject| is(subject, user, ""));
                let rules = self.cluster_rules.get(&binding.cluster_role);
                names_user && rules.into_iter().flatten().any(|rule| rule_allows(rule, asked))
            }
            // A RoleBinding grants in its namespace, and so nothing that is in none.
            Object::RoleBinding(binding) => {
                let namespace = binding.namespace.as_str();
                let names_user = binding.subjects.iter().any(|subject| is(subject, user, namespace));
                let is_here = !namespace.is_empty() && asked.namespace() == namespace;
                let rules = match &binding.role {
                    RoleRef::ClusterRole(name) => self.cluster_rules.get(name),
                    RoleRef::Role(name) => match self.objects.get(&ObjectKey::role(namespace, name)) {
                        Some(Object::Role(role)) => Some(&role.rules),
                        _ => None,
                    },
                };
                names_user && is_here && rules.into_iter().flatten().any(|rule| rule_allows(rule, asked))
            }
        }
    }

    /// The object of a key.
    pub(crate) fn object(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    /// The rules of a role, those of cluster roles after aggregation.
    pub(crate) fn rules(&self, role: &ObjectKey) -> &[PolicyRule] {
        match self.objects.get(role) {
            Some(Object::Role(role)) => &role.rules,
            _ => self.cluster_rules.get(role.name()).map_or(&[], Vec::as_slice),
        }
    }

    /// Whether a binding of the user that would count there names a role that does not exist.
    pub(crate) fn lacks_role(&self, user: &Asker, asked_namespace: &str) -> bool {
        self.objects.values().any(|object| match object {
            Object::Role(_) | Object::ClusterRole(_) => false,
            Object::ClusterRoleBinding(binding) => {
                binding.subjects.iter().any(|subject| is(subject, user, ""))
                    && !self.objects.contains_key(&ObjectKey::cluster_role(&binding.cluster_role))
            }
            Object::RoleBinding(binding) => {
                binding.namespace == asked_namespace
                    && binding.subjects.iter().any(|subject| is(subject, user, &binding.namespace))
                    && !self.objects.contains_key(&binding.role.key(&binding.namespace))
            }
        })
    }
}

/// Whether a subject of a binding in this namespace is the user, or a group of theirs.
fn is(subject: &Subject, user: &Asker, binding_namespace: &str) -> bool {
    match subject {
        Subject::User(name) => *name == user.name,
        Subject::Group(name) => user.groups.contains(name),
        Subject::ServiceAccount { namespace, name } => {
            let namespace = namespace.as_deref().unwrap_or(binding_namespace);
            !namespace.is_empty() && user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
    }
}

/// Whether a rule allows something, wherever it holds.
pub(crate) fn rule_allows(rule: &PolicyRule, asked: &Attributes<'_>) -> bool {
    let has = |list: &[String], word: &str| list.iter().any(|listed| listed == word);
    let has_or_all = |list: &[String], word: &str| has(list, word) || has(list, "*");
    has_or_all(&rule.verbs, asked.verb)
        && match asked.target {
            Target::Resource(resource) => {
                has_or_all(&rule.api_groups, resource.api_group)
                    && resource_words(resource).iter().any(|word| has(&rule.resources, word))
                    && (rule.resource_names.is_empty() || has(&rule.resource_names, resource.name))
            }
            Target::NonResource(asked) => rule.non_resource_urls.iter().any(|url| {
                *url == asked.path
                    || (url.ends_with('*') && asked.path.starts_with(url.trim_end_matches('*')))
            }),
        }
}

/// The words of a rule that name what is asked about.
fn resource_words(asked: ResourceAttributes<'_>) -> Vec<String> {
    let (resource, subresource) = (asked.resource, asked.subresource);
    if subresource.is_empty() {
        vec!["*".to_owned(), resource.to_owned()]
    } else {
        vec!["*".to_owned(), format!("{resource}/{subresource}"), format!("*/{subresource}")]
    }
}

/// What the aggregation controller makes of the roles: it runs until nothing changes.
fn aggregated(roles: &[&ClusterRole]) -> BTreeMap<String, Vec<PolicyRule>> {
    let mut rules: BTreeMap<String, Vec<PolicyRule>> = BTreeMap::new();
    for role in roles {
        let own = if role.aggregation.is_some() { Vec::new() } else { role.rules.clone() };
        rules.insert(role.name.clone(), own);
    }
    loop {
        let before = rules.clone();
        for role in roles {
            for selector in role.aggregation.iter().flat_map(|aggregation| &aggregation.selectors) {
                for other in
                    roles.iter().filter(|other| other.name != role.name && selector.matches(&other.labels))
                {
                    let gained = rules[&other.name].clone();
                    let mine = rules.get_mut(&role.name).unwrap();
                    let new: Vec<_> = gained.into_iter().filter(|rule| !mine.contains(rule)).collect();
                    mine.extend(new);
                }
            }
        }
        if rules == before {
            return rules;
        }
    }
}

fn cluster_role(object: &Object) -> Option<&ClusterRole> {
    match object {
        Object::ClusterRole(role) => Some(role),
        _ => None,
    }
}

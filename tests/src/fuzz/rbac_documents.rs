use lanyard_rbac::{
    Attributes, Grant, Index, Limits, Object, PolicyRule, ResourceAttributes, Subject, SubjectName, User,
    parse, parse_within,
};

use super::promise;

/// So many aliases are plenty for inputs of this size.
const LIMITS: Limits = Limits { aliases_max: 200, ..Limits::DEFAULT };
/// Questions asked of one input, and users that they are asked for.
const QUESTIONS_MAX: usize = 12;
const USERS_MAX: usize = 12;

/// RBAC objects as `kubectl get` prints them.
pub fn rbac_documents(input: &[u8]) -> bool {
    let parsed = match parse_within(input, LIMITS) {
        Ok(parsed) => parsed,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            return false;
        }
    };
    for skipped in &parsed.skipped {
        for text in
            [Some(&skipped.api_version), Some(&skipped.kind), skipped.name.as_ref()].into_iter().flatten()
        {
            assert!(text.chars().count() <= 80, "`{text}` is not shortened");
        }
    }
    let again = parse(written(&parsed.objects).as_bytes()).map(|parsed| parsed.objects);
    assert_eq!(again.as_ref(), Ok(&parsed.objects), "objects read otherwise when they are written");
    let index = Index::compile(&parsed.objects);
    index.problems().iter().for_each(|problem| promise::is_one_bounded_line(&problem.to_string()));
    let users: Vec<&str> =
        parsed.objects.iter().flat_map(subjects).filter_map(user).take(USERS_MAX).collect();
    for asked in parsed.objects.iter().flat_map(questions).take(QUESTIONS_MAX) {
        agrees(&index, &users, &asked);
    }
    true
}

/// As JSON lines.
fn written(objects: &[Object]) -> String {
    let lines: Vec<String> = objects.iter().filter_map(|object| serde_json::to_string(object).ok()).collect();
    assert_eq!(lines.len(), objects.len(), "an object that cannot be written");
    lines.join("\n")
}

/// The check, the list of those who may, and the explanation answer alike.
fn agrees(index: &Index, users: &[&str], asked: &Attributes<'_>) {
    let nobody: &[&str] = &[];
    let holders = index.who_can(asked);
    for holder in holders.iter().take(USERS_MAX) {
        let (name, group) = match holder.subject {
            SubjectName::User(name) => (name, None),
            SubjectName::Group(group) => ("", Some(group)),
        };
        let grant = index.authorize(User { name, groups: group.as_slice() }, asked);
        assert_eq!(
            grant,
            Some(holder.via),
            "{:?} may by the list, not by the check: {asked:?}",
            holder.subject
        );
        promise::is_one_bounded_line(&holder.via.to_string());
    }
    for &name in users {
        let user = User { name, groups: nobody };
        let listed = holders.iter().any(|holder| holder.subject == SubjectName::User(name));
        let grant = index.authorize(user, asked);
        assert_eq!(grant.is_some(), listed, "`{name}` by the check and by the list: {asked:?}");
        match grant {
            Some(Grant::Rule(grant)) => assert_eq!(grant.subject(), SubjectName::User(name)),
            Some(Grant::SystemMasters) => panic!("`{name}` without groups passes as system:masters"),
            None => {
                let _ = index.explain(user, asked);
            }
        }
        let _ = index.rules_for(user, asked.namespace());
    }
    assert_eq!(
        index.authorize(User { name: "", groups: &["system:masters"] }, asked),
        Some(Grant::SystemMasters)
    );
}

fn subjects(object: &Object) -> &[Subject] {
    match object {
        Object::RoleBinding(binding) => &binding.subjects,
        Object::ClusterRoleBinding(binding) => &binding.subjects,
        Object::Role(_) | Object::ClusterRole(_) => &[],
    }
}

fn user(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::User(name) => Some(name),
        Subject::Group(_) | Subject::ServiceAccount { .. } => None,
    }
}

/// What each rule is there to allow, and something beside it.
fn questions(object: &Object) -> Vec<Attributes<'_>> {
    let (rules, namespace) = match object {
        Object::Role(role) => (role.rules.as_slice(), role.namespace.as_str()),
        Object::ClusterRole(role) => (role.rules.as_slice(), ""),
        Object::RoleBinding(binding) => (&[][..], binding.namespace.as_str()),
        Object::ClusterRoleBinding(_) => (&[][..], ""),
    };
    let mut questions = vec![Attributes::resource("get", pods(namespace))];
    questions.extend(rules.iter().flat_map(|rule| of_rule(rule, namespace)));
    questions
}

fn pods(namespace: &str) -> ResourceAttributes<'_> {
    ResourceAttributes { resource: "pods", namespace, name: "web-0", ..Default::default() }
}

fn of_rule<'a>(rule: &'a PolicyRule, namespace: &'a str) -> Vec<Attributes<'a>> {
    let first = |words: &'a [String]| words.first().map_or("", String::as_str);
    let verb = first(&rule.verbs);
    let written = first(&rule.resources);
    let (resource, subresource) = written.split_once('/').unwrap_or((written, ""));
    let (api_group, name) = (first(&rule.api_groups), first(&rule.resource_names));
    let asked =
        ResourceAttributes { api_group, resource, subresource, namespace, name, ..Default::default() };
    vec![Attributes::resource(verb, asked), Attributes::non_resource(verb, first(&rule.non_resource_urls))]
}

//! Clusters of any size, each with all its bindings where the question looks.

use lanyard_rbac::{
    Attributes, ClusterRole, ClusterRoleBinding, Object, PolicyRule, ResourceAttributes, RoleBinding,
    RoleRef, Subject,
};

/// How many bindings a world has.
pub(crate) const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

/// Distinct cluster roles; every binding gives one of them.
pub(crate) const ROLES: usize = 20;

/// Where all bindings of a world are.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Cluster,
    Namespace,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

pub(crate) fn role(number: usize) -> Object {
    let rule = |verbs: &str, groups: &[&str], resources: &str| PolicyRule {
        verbs: words(verbs),
        api_groups: groups.iter().map(|&group| group.to_owned()).collect(),
        resources: words(resources),
        ..PolicyRule::default()
    };
    Object::ClusterRole(ClusterRole {
        name: format!("role-{number}"),
        rules: vec![
            rule("get list watch", &[""], "configmaps endpoints services services/status"),
            rule(
                "get list watch create update patch delete",
                &["apps"],
                "deployments deployments/scale statefulsets",
            ),
            rule("get list watch", &["batch"], "jobs cronjobs jobs/status"),
            rule("get list watch", &[""], "pods pods/log pods/status"),
        ],
        ..ClusterRole::default()
    })
}

/// A world whose bindings each give a role to one user, as long a name as IAM roles have.
pub(crate) fn world(shape: Shape, size: usize) -> Vec<Object> {
    let mut objects: Vec<Object> = (0..ROLES).map(role).collect();
    objects.extend((0..size).map(|number| {
        let (name, subjects, role) = (
            format!("binding-{number}"),
            vec![Subject::User(user(number))],
            format!("role-{}", number % ROLES),
        );
        match shape {
            Shape::Cluster => {
                Object::ClusterRoleBinding(ClusterRoleBinding { name, subjects, cluster_role: role })
            }
            Shape::Namespace => Object::RoleBinding(RoleBinding {
                namespace: "team-a".to_owned(),
                name,
                subjects,
                role: RoleRef::ClusterRole(role),
            }),
        }
    }));
    objects
}

pub(crate) fn user(number: usize) -> String {
    format!("arn:aws:iam::111122223333:role/person-{number}")
}

pub(crate) fn ask(verb: &str) -> Attributes<'_> {
    let asked =
        ResourceAttributes { resource: "pods", namespace: "team-a", name: "web-0", ..Default::default() };
    Attributes::resource(verb, asked)
}

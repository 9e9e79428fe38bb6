//! Documents: what they are, and the four kinds of object in them.

use super::fault::{Fault, Flaw};
use super::member::{self, Members};
use super::name;
use super::rule;
use super::tree::Node;
use crate::key::{ObjectKey, ObjectKind};
use crate::object::{
    API_GROUP, API_VERSION, ClusterRole, ClusterRoleBinding, Object, Role, RoleBinding, RoleRef, Subject,
};

/// What one document, or one item of a list, is.
#[derive(Debug)]
pub(crate) enum Document<'n> {
    /// An RBAC object.
    Object(Object),
    /// A list; where it says of what, its items need not.
    List { items: &'n [Node], of: Option<ObjectKind> },
    /// Something that is no RBAC.
    Other { api_version: &'n str, kind: &'n str, name: Option<&'n str> },
}

/// Reads a document, or an item of a list of the given kind.
pub(crate) fn document(node: &Node, item_of: Option<ObjectKind>) -> Result<Document<'_>, Flaw> {
    let object = Members::of(node)?;
    let api_version = object.optional("apiVersion", member::text)?.filter(|version| !version.is_empty());
    let kind = object.optional("kind", member::text)?.filter(|kind| !kind.is_empty());
    let inherited = item_of.filter(|_| api_version.is_none() && kind.is_none());
    if let Some(kind) = inherited {
        return read(kind, object).map(Document::Object);
    }
    let Some(kind) = kind else {
        return Err(object.missing("kind", "write the object's kind, as `ClusterRole`"));
    };
    let Some(api_version) = api_version else {
        return Err(
            object.missing("apiVersion", "write the object's version, as `rbac.authorization.k8s.io/v1`")
        );
    };
    let of_rbac = api_version.split_once('/').filter(|&(group, _)| group == API_GROUP);
    if of_rbac.is_some() {
        return rbac(api_version, kind, object);
    }
    if (api_version, kind) == ("v1", "List") {
        return Ok(Document::List {
            items: object.optional("items", member::list)?.unwrap_or_default(),
            of: None,
        });
    }
    Ok(Document::Other { api_version, kind, name: lenient_name(&object) })
}

fn rbac<'n>(api_version: &'n str, kind: &'n str, object: Members<'n>) -> Result<Document<'n>, Flaw> {
    if api_version != API_VERSION {
        let allowed = "write `rbac.authorization.k8s.io/v1`, the version that Kubernetes has had since 1.22";
        return Err(object.fault_in("apiVersion", Fault::value(api_version, allowed)));
    }
    let list_of = kind.strip_suffix("List").and_then(|kind| kind.parse().ok());
    match (kind.parse(), list_of) {
        (Ok(kind), _) => read(kind, object).map(Document::Object),
        (Err(_), Some(of)) => Ok(Document::List {
            items: object.optional("items", member::list)?.unwrap_or_default(),
            of: Some(of),
        }),
        (Err(_), None) => {
            let allowed = "use Role, ClusterRole, RoleBinding, ClusterRoleBinding, or a list of one of them";
            Err(object.fault_in("kind", Fault::value(kind, allowed)))
        }
    }
}

/// The name of something that is no RBAC, for the report; whatever it is, it is no reason to refuse.
fn lenient_name<'n>(object: &Members<'n>) -> Option<&'n str> {
    let metadata = object.optional("metadata", Members::of).ok().flatten()?;
    metadata.optional("name", member::text).ok().flatten()
}

/// Which RBAC object something is that cannot be read as one, as far as it says so.
pub(crate) fn key_of(node: &Node, item_of: Option<ObjectKind>) -> Option<ObjectKey> {
    let object = Members::of(node).ok()?;
    let kind = object.optional("kind", member::text).ok().flatten().and_then(|kind| kind.parse().ok());
    let kind: ObjectKind = kind.or(item_of)?;
    let metadata = object.optional("metadata", Members::of).ok().flatten()?;
    let name = metadata.optional("name", name::object).ok().flatten()?;
    let namespace = || metadata.optional("namespace", name::namespace).ok().flatten();
    Some(match kind {
        ObjectKind::ClusterRole => ObjectKey::cluster_role(name),
        ObjectKind::ClusterRoleBinding => ObjectKey::cluster_role_binding(name),
        ObjectKind::Role => ObjectKey::role(namespace()?, name),
        ObjectKind::RoleBinding => ObjectKey::role_binding(namespace()?, name),
    })
}

fn read(kind: ObjectKind, object: Members<'_>) -> Result<Object, Flaw> {
    let write = "write `metadata` with the object's `name`";
    let (name, namespace) = object.required("metadata", write, |node| {
        let metadata = Members::of(node)?;
        let name = metadata.required("name", "write the object's name", name::object)?.to_owned();
        // Kubernetes drops the namespace of an object whose kind has none.
        let namespace = if kind.is_namespaced() {
            let write = "write the object's namespace; without it, kubectl would use the one of the moment";
            metadata.required("namespace", write, name::namespace)?.to_owned()
        } else {
            String::new()
        };
        Ok((name, namespace))
    })?;
    Ok(match kind {
        ObjectKind::Role => {
            let rules = object.list("rules", |node| rule::read(node, true))?;
            Object::Role(Role { namespace, name, rules })
        }
        ObjectKind::ClusterRole => Object::ClusterRole(cluster_role(name, &object)?),
        ObjectKind::RoleBinding => {
            let subjects = object.list("subjects", |node| subject(node, true))?;
            let role = object.required("roleRef", ROLE_REF, role_ref)?;
            Object::RoleBinding(RoleBinding { namespace, name, subjects, role })
        }
        ObjectKind::ClusterRoleBinding => {
            let subjects = object.list("subjects", |node| subject(node, false))?;
            let cluster_role = object.required("roleRef", ROLE_REF, cluster_role_ref)?;
            Object::ClusterRoleBinding(ClusterRoleBinding { name, subjects, cluster_role })
        }
    })
}

fn cluster_role(name: String, object: &Members<'_>) -> Result<ClusterRole, Flaw> {
    let labels =
        object.optional("metadata", |node| Members::of(node)?.optional("labels", member::texts_by_name))?;
    Ok(ClusterRole {
        name,
        labels: labels.flatten().unwrap_or_default(),
        rules: object.list("rules", |node| rule::read(node, false))?,
        aggregation: object.optional("aggregationRule", rule::aggregation)?,
    })
}

const ROLE_REF: &str = "write the role that is given, with `apiGroup`, `kind` and `name`";

/// Reads who a binding names; in a RoleBinding a service account may go without a namespace.
pub(super) fn subject(node: &Node, namespaced: bool) -> Result<Subject, Flaw> {
    let subject = Members::of(node)?;
    let kind = subject.required("kind", "write `User`, `Group` or `ServiceAccount`", member::text)?;
    let group = subject.optional("apiGroup", member::text)?.unwrap_or_default();
    let expected = if kind == "ServiceAccount" { "" } else { API_GROUP };
    match kind {
        "User" | "Group" | "ServiceAccount" if group.is_empty() || group == expected => {}
        "User" | "Group" => {
            let allowed = "write `rbac.authorization.k8s.io`, or leave it out";
            return Err(subject.fault_in("apiGroup", Fault::value(group, allowed)));
        }
        "ServiceAccount" => {
            let allowed = "leave it out, service accounts are of the core group";
            return Err(subject.fault_in("apiGroup", Fault::value(group, allowed)));
        }
        _ => return Err(subject.fault_in("kind", Fault::value(kind, "use User, Group or ServiceAccount"))),
    }
    let write = "write who is meant";
    Ok(match kind {
        "User" => Subject::User(subject.required("name", write, member::text)?.to_owned()),
        "Group" => Subject::Group(subject.required("name", write, member::text)?.to_owned()),
        _ => {
            let name = subject.required("name", write, name::service_account)?.to_owned();
            // Any text, as Kubernetes takes it (`ValidateRoleBindingSubject`): of a namespace that cannot be, nobody is meant.
            let namespace = subject.optional("namespace", member::text)?.filter(|text| !text.is_empty());
            if namespace.is_none() && !namespaced {
                return Err(subject.missing("namespace", "write the service account's namespace"));
            }
            Subject::ServiceAccount { namespace: namespace.map(str::to_owned), name }
        }
    })
}

/// Reads which role a RoleBinding gives.
pub(super) fn role_ref(node: &Node) -> Result<RoleRef, Flaw> {
    let role = Members::of(node)?;
    let group = role.optional("apiGroup", member::text)?.unwrap_or_default();
    if !group.is_empty() && group != API_GROUP {
        let allowed = "write `rbac.authorization.k8s.io`";
        return Err(role.fault_in("apiGroup", Fault::value(group, allowed)));
    }
    let kind = role.required("kind", "write `Role` or `ClusterRole`", member::text)?;
    let name = role.required("name", "write the role's name", name::object)?.to_owned();
    match kind {
        "Role" => Ok(RoleRef::Role(name)),
        "ClusterRole" => Ok(RoleRef::ClusterRole(name)),
        _ => Err(role.fault_in("kind", Fault::value(kind, "use Role or ClusterRole"))),
    }
}

fn cluster_role_ref(node: &Node) -> Result<String, Flaw> {
    match role_ref(node)? {
        RoleRef::ClusterRole(name) => Ok(name),
        RoleRef::Role(_) => {
            let allowed = "use ClusterRole, a ClusterRoleBinding gives nothing else";
            Err(Members::of(node)?.fault_in("kind", Fault::value("Role", allowed)))
        }
    }
}

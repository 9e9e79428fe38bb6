//! How an RBAC object is named: `ClusterRole/view`, `RoleBinding/team-a/devs`.

use std::fmt;
use std::str::FromStr;

/// Which of the four kinds an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Rules for the cluster.
    ClusterRole,
    /// Gives a cluster role everywhere.
    ClusterRoleBinding,
    /// Rules for one namespace.
    Role,
    /// Gives a role in one namespace.
    RoleBinding,
}

/// The key of an RBAC object in its cluster: kind, namespace where the kind has one, name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    kind: ObjectKind,
    namespace: Box<str>,
    name: Box<str>,
}

/// An [`ObjectKey`], borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKeyRef<'a> {
    kind: ObjectKind,
    namespace: &'a str,
    name: &'a str,
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectKeyError {
    /// A kind that is not one of the four.
    #[error("`{0}` is not an RBAC kind: use Role, ClusterRole, RoleBinding or ClusterRoleBinding")]
    Kind(String),
    /// Too few or too many parts, or an empty one.
    #[error("`{text}` is not a key: write `{expected}`")]
    Parts {
        /// The text as it came.
        text: String,
        /// What it has to look like.
        expected: &'static str,
    },
}

impl ObjectKind {
    /// All four, in order.
    pub const ALL: [Self; 4] = [Self::ClusterRole, Self::ClusterRoleBinding, Self::Role, Self::RoleBinding];

    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterRole => "ClusterRole",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
        }
    }

    /// Whether objects of this kind live in a namespace.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        matches!(self, Self::Role | Self::RoleBinding)
    }

    const fn key_shape(self) -> &'static str {
        match self {
            Self::ClusterRole => "ClusterRole/<name>",
            Self::ClusterRoleBinding => "ClusterRoleBinding/<name>",
            Self::Role => "Role/<namespace>/<name>",
            Self::RoleBinding => "RoleBinding/<namespace>/<name>",
        }
    }
}

impl ObjectKey {
    /// The key of a Role.
    #[must_use]
    pub fn role(namespace: &str, name: &str) -> Self {
        ObjectKeyRef::role(namespace, name).to_key()
    }

    /// The key of a ClusterRole.
    #[must_use]
    pub fn cluster_role(name: &str) -> Self {
        ObjectKeyRef::cluster_role(name).to_key()
    }

    /// The key of a RoleBinding.
    #[must_use]
    pub fn role_binding(namespace: &str, name: &str) -> Self {
        ObjectKeyRef::role_binding(namespace, name).to_key()
    }

    /// The key of a ClusterRoleBinding.
    #[must_use]
    pub fn cluster_role_binding(name: &str) -> Self {
        ObjectKeyRef::cluster_role_binding(name).to_key()
    }

    /// The same key, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ObjectKeyRef<'_> {
        ObjectKeyRef { kind: self.kind, namespace: &self.namespace, name: &self.name }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// The namespace; none for cluster-scoped kinds.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.kind.is_namespaced().then_some(&*self.namespace)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<'a> ObjectKeyRef<'a> {
    pub(crate) const fn role(namespace: &'a str, name: &'a str) -> Self {
        Self { kind: ObjectKind::Role, namespace, name }
    }

    pub(crate) const fn cluster_role(name: &'a str) -> Self {
        Self { kind: ObjectKind::ClusterRole, namespace: "", name }
    }

    pub(crate) const fn role_binding(namespace: &'a str, name: &'a str) -> Self {
        Self { kind: ObjectKind::RoleBinding, namespace, name }
    }

    pub(crate) const fn cluster_role_binding(name: &'a str) -> Self {
        Self { kind: ObjectKind::ClusterRoleBinding, namespace: "", name }
    }

    /// What `Display` writes, in one piece: for wires, which carry it with each decision.
    #[must_use]
    pub fn text(self) -> String {
        let kind = self.kind.as_str();
        match self.namespace() {
            Some(namespace) => [kind, "/", namespace, "/", self.name].concat(),
            None => [kind, "/", self.name].concat(),
        }
    }

    /// The same key, owned.
    #[must_use]
    pub fn to_key(self) -> ObjectKey {
        ObjectKey { kind: self.kind, namespace: self.namespace.into(), name: self.name.into() }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(self) -> ObjectKind {
        self.kind
    }

    /// The namespace; none for cluster-scoped kinds.
    #[must_use]
    pub fn namespace(self) -> Option<&'a str> {
        self.kind.is_namespaced().then_some(self.namespace)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'a str {
        self.name
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ObjectKeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace() {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.borrowed(), f)
    }
}

impl fmt::Debug for ObjectKeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectKind {
    type Err = ObjectKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| ObjectKeyError::Kind(text.to_owned()))
    }
}

impl FromStr for ObjectKey {
    type Err = ObjectKeyError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
        let kind: ObjectKind = kind.parse()?;
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) if kind.is_namespaced() && !namespace.is_empty() => (namespace, name),
            None if !kind.is_namespaced() => ("", rest),
            _ => return Err(ObjectKeyError::Parts { text: text.to_owned(), expected: kind.key_shape() }),
        };
        if name.is_empty() || name.contains('/') {
            return Err(ObjectKeyError::Parts { text: text.to_owned(), expected: kind.key_shape() });
        }
        Ok(Self { kind, namespace: namespace.into(), name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_is_written() {
        let cases = [
            (ObjectKey::cluster_role("view"), "ClusterRole/view"),
            (ObjectKey::cluster_role("system:node"), "ClusterRole/system:node"),
            (ObjectKey::cluster_role_binding("admins"), "ClusterRoleBinding/admins"),
            (ObjectKey::role("team-a", "dev"), "Role/team-a/dev"),
            (ObjectKey::role_binding("team-a", "devs"), "RoleBinding/team-a/devs"),
        ];
        for (key, text) in cases {
            assert_eq!(key.to_string(), text);
            assert_eq!(key.borrowed().text(), text);
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_with_what_to_write() {
        let cases = [
            ("", "`` is not an RBAC kind: use Role, ClusterRole, RoleBinding or ClusterRoleBinding"),
            (
                "Pod/a/b",
                "`Pod` is not an RBAC kind: use Role, ClusterRole, RoleBinding or ClusterRoleBinding",
            ),
            (
                "role/a/b",
                "`role` is not an RBAC kind: use Role, ClusterRole, RoleBinding or ClusterRoleBinding",
            ),
            ("ClusterRole", "`ClusterRole` is not a key: write `ClusterRole/<name>`"),
            ("ClusterRole/a/b", "`ClusterRole/a/b` is not a key: write `ClusterRole/<name>`"),
            ("Role/a", "`Role/a` is not a key: write `Role/<namespace>/<name>`"),
            ("Role//b", "`Role//b` is not a key: write `Role/<namespace>/<name>`"),
            ("RoleBinding/a/", "`RoleBinding/a/` is not a key: write `RoleBinding/<namespace>/<name>`"),
            ("RoleBinding/a/b/c", "`RoleBinding/a/b/c` is not a key: write `RoleBinding/<namespace>/<name>`"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<ObjectKey>().unwrap_err().to_string(), message, "{text}");
        }
    }
}

//! The four kinds of RBAC object, as far as they decide anything.

use std::collections::BTreeMap;
use std::fmt;

use crate::key::{ObjectKey, ObjectKeyRef};
use crate::wire::one_line;

/// The API group of all four kinds.
pub const API_GROUP: &str = "rbac.authorization.k8s.io";

/// The only version of it that is read and written.
pub const API_VERSION: &str = "rbac.authorization.k8s.io/v1";

/// How the username of a service account begins; `<namespace>:<name>` follows.
pub(crate) const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Any RBAC object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Rules for one namespace.
    Role(Role),
    /// Rules for the cluster, or to be bound in a namespace.
    ClusterRole(ClusterRole),
    /// Gives a role to subjects in one namespace.
    RoleBinding(RoleBinding),
    /// Gives a cluster role to subjects everywhere.
    ClusterRoleBinding(ClusterRoleBinding),
}

/// Rules for one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The namespace it is in.
    pub namespace: String,
    /// Its name, unique in the namespace.
    pub name: String,
    /// What it allows; anything that one rule allows is allowed.
    pub rules: Vec<PolicyRule>,
}

/// Rules for the cluster, or to be bound in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterRole {
    /// Its name.
    pub name: String,
    /// Labels, by which other cluster roles may gather this one's rules.
    pub labels: BTreeMap<String, String>,
    /// What it allows. Not read where there is an aggregation rule: Kubernetes overwrites it from that.
    pub rules: Vec<PolicyRule>,
    /// Gathers the rules of other cluster roles.
    pub aggregation: Option<AggregationRule>,
}

/// Gives a role to subjects in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleBinding {
    /// The namespace it is in and grants in.
    pub namespace: String,
    /// Its name, unique in the namespace.
    pub name: String,
    /// Who is given the role.
    pub subjects: Vec<Subject>,
    /// The role, of the same namespace, or a cluster role.
    pub role: RoleRef,
}

/// Gives a cluster role to subjects everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRoleBinding {
    /// Its name.
    pub name: String,
    /// Who is given the role.
    pub subjects: Vec<Subject>,
    /// The name of the cluster role; Kubernetes lets nothing else be bound cluster-wide.
    pub cluster_role: String,
}

/// Who a binding names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The user of this exact name.
    User(String),
    /// Every member of this group.
    Group(String),
    /// A service account, which is the user `system:serviceaccount:<namespace>:<name>`.
    ServiceAccount {
        /// Its namespace; without one it is the RoleBinding's own, and nobody in a ClusterRoleBinding.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
}

/// Which role a RoleBinding gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleRef {
    /// The Role of this name in the binding's namespace.
    Role(String),
    /// The ClusterRole of this name.
    ClusterRole(String),
}

/// One rule: verbs on resources, or on paths outside the resource API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyRule {
    /// Verbs; `*` is any.
    pub verbs: Vec<String>,
    /// API groups; `*` is any, the empty string the core group.
    pub api_groups: Vec<String>,
    /// Resources: `pods`, `pods/log`, `*/scale`; `*` is any, subresources included.
    pub resources: Vec<String>,
    /// Object names; empty is any.
    pub resource_names: Vec<String>,
    /// Paths, exact or with a trailing `*`.
    pub non_resource_urls: Vec<String>,
}

/// Gathers the rules of all other cluster roles that match one of the selectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AggregationRule {
    /// The selectors, of which one must match.
    pub selectors: Vec<LabelSelector>,
}

/// Selects by labels; everything in it must hold, so an empty one selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Labels that must be there with exactly these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelRequirement {
    /// The label has one of these values.
    In {
        /// The label.
        key: String,
        /// The values, at least one.
        values: Vec<String>,
    },
    /// The label has none of these values, or is not there.
    NotIn {
        /// The label.
        key: String,
        /// The values, at least one.
        values: Vec<String>,
    },
    /// The label is there.
    Exists {
        /// The label.
        key: String,
    },
    /// The label is not there.
    DoesNotExist {
        /// The label.
        key: String,
    },
}

impl Object {
    /// The key it is stored and named by.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.key_ref().to_key()
    }

    pub(crate) fn key_ref(&self) -> ObjectKeyRef<'_> {
        match self {
            Self::Role(role) => ObjectKeyRef::role(&role.namespace, &role.name),
            Self::ClusterRole(role) => ObjectKeyRef::cluster_role(&role.name),
            Self::RoleBinding(binding) => ObjectKeyRef::role_binding(&binding.namespace, &binding.name),
            Self::ClusterRoleBinding(binding) => ObjectKeyRef::cluster_role_binding(&binding.name),
        }
    }
}

impl fmt::Display for Subject {
    /// `User ana`, `Group devs`, `ServiceAccount team-a/bot`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "User {}", one_line(name)),
            Self::Group(name) => write!(f, "Group {}", one_line(name)),
            Self::ServiceAccount { namespace: Some(namespace), name } => {
                write!(f, "ServiceAccount {}/{}", one_line(namespace), one_line(name))
            }
            Self::ServiceAccount { namespace: None, name } => write!(f, "ServiceAccount {}", one_line(name)),
        }
    }
}

impl RoleRef {
    /// The key of the role that a binding in this namespace means.
    #[must_use]
    pub fn key(&self, namespace: &str) -> ObjectKey {
        self.key_ref(namespace).to_key()
    }

    pub(crate) fn key_ref<'a>(&'a self, namespace: &'a str) -> ObjectKeyRef<'a> {
        match self {
            Self::Role(name) => ObjectKeyRef::role(namespace, name),
            Self::ClusterRole(name) => ObjectKeyRef::cluster_role(name),
        }
    }
}

impl LabelSelector {
    /// Whether these labels are selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }
}

impl LabelRequirement {
    /// Whether these labels meet it.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In { key, values } => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn { key, values } => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists { key } => labels.contains_key(key),
            Self::DoesNotExist { key } => !labels.contains_key(key),
        }
    }
}

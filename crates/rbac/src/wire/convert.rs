//! `Deserialize` and `Serialize` of the public types.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::fault::{Flaw, ObjectError};
use super::read::{self, Document};
use super::rule;
use super::tree::{Node, Plain};
use crate::object::{
    API_GROUP, API_VERSION, AggregationRule, ClusterRole, ClusterRoleBinding, LabelRequirement,
    LabelSelector, Object, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

fn deserialize<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&Node) -> Result<T, Flaw>,
) -> Result<T, D::Error> {
    let node = Plain::deserialize(deserializer)?.0;
    read(&node).map_err(|flaw| D::Error::custom(ObjectError::from(flaw)))
}

impl<'de> Deserialize<'de> for Object {
    /// Reads one object with its `apiVersion` and `kind`. Members that decide nothing are passed over.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Plain::deserialize(deserializer)?.0;
        match read::document(&node, None) {
            Ok(Document::Object(object)) => Ok(object),
            Ok(Document::List { .. }) => Err(D::Error::custom("a list is no object: read its items")),
            Ok(Document::Other { kind, .. }) => {
                Err(D::Error::custom(format_args!("`{}` is no RBAC object", super::fault::shown(kind))))
            }
            Err(flaw) => Err(D::Error::custom(ObjectError::from(flaw))),
        }
    }
}

macro_rules! deserialize_kind {
    ($($kind:ident),*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            /// Reads an object with its `apiVersion` and `kind`, which has to be this one.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Object::deserialize(deserializer)? {
                    Object::$kind(object) => Ok(object),
                    other => Err(D::Error::custom(format_args!(
                        "`{}` is no {}", other.key(), stringify!($kind)
                    ))),
                }
            }
        }
    )*};
}

deserialize_kind!(Role, ClusterRole, RoleBinding, ClusterRoleBinding);

impl<'de> Deserialize<'de> for PolicyRule {
    /// Reads a rule as a ClusterRole may have it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, |node| rule::read(node, false))
    }
}

impl<'de> Deserialize<'de> for Subject {
    /// Reads a subject as a RoleBinding may have it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, |node| read::subject(node, true))
    }
}

impl<'de> Deserialize<'de> for RoleRef {
    /// Reads a role reference as a RoleBinding may have it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, read::role_ref)
    }
}

/// All members that any of the objects has.
#[derive(Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregation_rule: Option<&'a AggregationRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'a [PolicyRule]>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    subjects: &'a [Subject],
    #[serde(skip_serializing_if = "Option::is_none")]
    role_ref: Option<WireRoleRef<'a>>,
}

#[derive(Default, serde::Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a BTreeMap<String, String>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRoleRef<'a> {
    api_group: &'static str,
    kind: &'static str,
    name: &'a str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WireSubject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_group: Option<&'static str>,
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WireRule<'a> {
    verbs: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    api_groups: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    resources: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    resource_names: &'a [String],
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "<[_]>::is_empty")]
    non_resource_urls: &'a [String],
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAggregation<'a> {
    cluster_role_selectors: &'a [LabelSelector],
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WireSelector<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    match_labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    match_expressions: &'a [LabelRequirement],
}

#[derive(serde::Serialize)]
struct WireRequirement<'a> {
    key: &'a str,
    operator: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    values: &'a [String],
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Role(role) => role.serialize(serializer),
            Self::ClusterRole(role) => role.serialize(serializer),
            Self::RoleBinding(binding) => binding.serialize(serializer),
            Self::ClusterRoleBinding(binding) => binding.serialize(serializer),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metadata = Metadata { name: &self.name, namespace: Some(&self.namespace), labels: None };
        let rules = Some(self.rules.as_slice());
        Wire { api_version: API_VERSION, kind: "Role", metadata, rules, ..Wire::default() }
            .serialize(serializer)
    }
}

impl Serialize for ClusterRole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = (!self.labels.is_empty()).then_some(&self.labels);
        Wire {
            api_version: API_VERSION,
            kind: "ClusterRole",
            metadata: Metadata { name: &self.name, namespace: None, labels },
            aggregation_rule: self.aggregation.as_ref(),
            rules: Some(&self.rules),
            ..Wire::default()
        }
        .serialize(serializer)
    }
}

impl Serialize for RoleBinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            api_version: API_VERSION,
            kind: "RoleBinding",
            metadata: Metadata { name: &self.name, namespace: Some(&self.namespace), labels: None },
            subjects: &self.subjects,
            role_ref: Some(WireRoleRef::of(&self.role)),
            ..Wire::default()
        }
        .serialize(serializer)
    }
}

impl Serialize for ClusterRoleBinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            api_version: API_VERSION,
            kind: "ClusterRoleBinding",
            metadata: Metadata { name: &self.name, ..Metadata::default() },
            subjects: &self.subjects,
            role_ref: Some(WireRoleRef {
                api_group: API_GROUP,
                kind: "ClusterRole",
                name: &self.cluster_role,
            }),
            ..Wire::default()
        }
        .serialize(serializer)
    }
}

impl<'a> WireRoleRef<'a> {
    fn of(role: &'a RoleRef) -> Self {
        let (kind, name) = match role {
            RoleRef::Role(name) => ("Role", name),
            RoleRef::ClusterRole(name) => ("ClusterRole", name),
        };
        Self { api_group: API_GROUP, kind, name }
    }
}

impl Serialize for RoleRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireRoleRef::of(self).serialize(serializer)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (api_group, kind, name, namespace) = match self {
            Self::User(name) => (Some(API_GROUP), "User", name, None),
            Self::Group(name) => (Some(API_GROUP), "Group", name, None),
            Self::ServiceAccount { namespace, name } => (None, "ServiceAccount", name, namespace.as_deref()),
        };
        WireSubject { api_group, kind, name, namespace }.serialize(serializer)
    }
}

impl Serialize for PolicyRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireRule {
            verbs: &self.verbs,
            api_groups: &self.api_groups,
            resources: &self.resources,
            resource_names: &self.resource_names,
            non_resource_urls: &self.non_resource_urls,
        }
        .serialize(serializer)
    }
}

impl Serialize for AggregationRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireAggregation { cluster_role_selectors: &self.selectors }.serialize(serializer)
    }
}

impl Serialize for LabelSelector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { match_labels, match_expressions } = self;
        WireSelector { match_labels, match_expressions }.serialize(serializer)
    }
}

impl Serialize for LabelRequirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, operator, values) = match self {
            Self::In { key, values } => (key, "In", values.as_slice()),
            Self::NotIn { key, values } => (key, "NotIn", values.as_slice()),
            Self::Exists { key } => (key, "Exists", &[][..]),
            Self::DoesNotExist { key } => (key, "DoesNotExist", &[][..]),
        };
        WireRequirement { key, operator, values }.serialize(serializer)
    }
}

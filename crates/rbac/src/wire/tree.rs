//! YAML or JSON as a tree that knows where each part stands, without the parts that no RBAC object needs.

use std::collections::HashSet;
use std::fmt;

use foldhash::fast::RandomState;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::fault::{Position, shown};

/// The members that are read; values of others are passed over without being kept.
const READ: [&str; 21] = [
    "aggregationRule",
    "apiGroup",
    "apiGroups",
    "apiVersion",
    "clusterRoleSelectors",
    "items",
    "key",
    "kind",
    "matchExpressions",
    "metadata",
    "name",
    "namespace",
    "nonResourceURLs",
    "operator",
    "resourceNames",
    "resources",
    "roleRef",
    "rules",
    "subjects",
    "values",
    "verbs",
];

/// The members whose own members are data, so that all of those are read.
const FREE: [&str; 2] = ["labels", "matchLabels"];

/// One value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Known for YAML only.
    pub(crate) at: Option<Position>,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool,
    Number,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A node of any format.
#[derive(Debug)]
pub(crate) struct Plain(pub(crate) Node);

/// A node of YAML, with its place.
#[derive(Debug)]
pub(crate) struct Placed(pub(crate) Node);

impl Value {
    /// What it is, in the words of a message.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "true or false (in quotes it is text)",
            Self::Number => "a number (in quotes it is text)",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Branch::<false, false>::deserialize(deserializer).map(|branch| Self(branch.0))
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Branch::<true, false>::deserialize(deserializer).map(|branch| Self(branch.0))
    }
}

/// A node: with its place, or in any format; with all members, or those of [`READ`] and [`FREE`].
struct Branch<const PLACED: bool, const ALL: bool>(Node);

/// What is at a node.
struct Leaf<const PLACED: bool, const ALL: bool>(Value);

impl<'de, const PLACED: bool, const ALL: bool> Deserialize<'de> for Branch<PLACED, ALL> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !PLACED {
            let leaf = Leaf::<PLACED, ALL>::deserialize(deserializer)?;
            return Ok(Self(Node { value: leaf.0, at: None }));
        }
        let placed = Spanned::<Leaf<PLACED, ALL>>::deserialize(deserializer)?;
        Ok(Self(Node { value: placed.value.0, at: position(&placed.referenced) }))
    }
}

impl<'de, const PLACED: bool, const ALL: bool> Deserialize<'de> for Leaf<PLACED, ALL> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor::<PLACED, ALL>).map(Self)
    }
}

struct LeafVisitor<const PLACED: bool, const ALL: bool>;

impl<'de, const PLACED: bool, const ALL: bool> Visitor<'de> for LeafVisitor<PLACED, ALL> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Branch<PLACED, false>>()? {
            list.push(item.0);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        let mut seen = HashSet::<String, RandomState>::default();
        while let Some(name) = members.next_key::<String>()? {
            let node = if ALL || READ.contains(&name.as_str()) {
                members.next_value::<Branch<PLACED, false>>()?.0
            } else if FREE.contains(&name.as_str()) {
                members.next_value::<Branch<PLACED, true>>()?.0
            } else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("`{}` is written twice: keep one", shown(&name))));
            }
            map.push((name, node));
        }
        Ok(Value::Map(map))
    }
}

pub(crate) fn position(location: &Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some(Position { line, column })
}

//! Reading the members of a node, each with its type, so that a flaw knows its path.

use std::collections::BTreeMap;

use super::fault::{Fault, Flaw, Position};
use super::tree::{Node, Value};

/// The members of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'n> {
    members: &'n [(String, Node)],
    at: Option<Position>,
}

impl<'n> Members<'n> {
    pub(super) fn of(node: &'n Node) -> Result<Self, Flaw> {
        match &node.value {
            Value::Map(members) => Ok(Self { members, at: node.at }),
            other => Err(mistyped(node, "a map", other)),
        }
    }

    /// Reads a member, if it is there; `null` is as good as not there.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'n Node) -> Result<T, Flaw>,
    ) -> Result<Option<T>, Flaw> {
        let node = self.get(name).filter(|node| !matches!(node.value, Value::Null));
        node.map(read).transpose().map_err(|flaw| flaw.in_member(name))
    }

    /// Reads a member that has to be there; `write` says what it should hold.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        write: &'static str,
        read: impl FnOnce(&'n Node) -> Result<T, Flaw>,
    ) -> Result<T, Flaw> {
        let is_empty = |node: &Node| matches!(&node.value, Value::Text(text) if text.is_empty());
        if self.get(name).is_some_and(is_empty) {
            return Err(self.missing(name, write));
        }
        self.optional(name, read)?.ok_or_else(|| self.missing(name, write))
    }

    /// Reads all items of a list; where there is no list, there are none.
    pub(super) fn list<T>(
        &self,
        name: &'static str,
        mut read: impl FnMut(&'n Node) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        let items = self.optional(name, list)?.unwrap_or_default();
        let read = items.iter().enumerate().map(|(at, node)| read(node).map_err(|flaw| flaw.in_item(at)));
        read.collect::<Result<_, _>>().map_err(|flaw| flaw.in_member(name))
    }

    /// Reads a list of texts.
    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<String>, Flaw> {
        self.list(name, |node| text(node).map(str::to_owned))
    }

    pub(super) fn missing(&self, name: &'static str, write: &'static str) -> Flaw {
        self.fault_in(name, Fault::Missing { write })
    }

    /// A fault of a member, or of the map where the member is not there.
    pub(super) fn fault_in(&self, name: &'static str, fault: Fault) -> Flaw {
        let at = self.get(name).map_or(self.at, |node| node.at);
        Flaw::new(at, fault).in_member(name)
    }

    fn get(&self, name: &str) -> Option<&'n Node> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }
}

/// Reads text.
pub(super) fn text(node: &Node) -> Result<&str, Flaw> {
    match &node.value {
        Value::Text(text) => Ok(text),
        other => Err(mistyped(node, "text", other)),
    }
}

/// Reads a list.
pub(super) fn list(node: &Node) -> Result<&[Node], Flaw> {
    match &node.value {
        Value::List(items) => Ok(items),
        other => Err(mistyped(node, "a list", other)),
    }
}

/// Reads a map from name to text.
pub(super) fn texts_by_name(node: &Node) -> Result<BTreeMap<String, String>, Flaw> {
    let members = Members::of(node)?.members.iter();
    members
        .map(|(name, node)| match text(node) {
            Ok(text) => Ok((name.clone(), text.to_owned())),
            Err(flaw) => Err(flaw.in_member(name)),
        })
        .collect()
}

fn mistyped(node: &Node, expected: &'static str, found: &Value) -> Flaw {
    Flaw::new(node.at, Fault::Type { expected, found: found.kind() })
}

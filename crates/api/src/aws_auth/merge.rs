//! `<<` in an entry: the members that it takes from other mappings, as YAML 1.1 has it and the readers of Kubernetes do.

use std::rc::Rc;

use super::tree::{Node, Position, Value};

/// The key that merges, where it is not in quotes.
const KEY: &str = "<<";

/// Most mappings that are merged into one entry, one inside another or beside it.
const MAPPINGS_MAX: usize = 16;

/// Most members that an entry has, and most that these have together: an entry has five. A mapping that many entries name by an alias
/// is looked at for each of them.
const MEMBERS_MAX: usize = 64;

/// No key that is read is longer, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 16;

/// A member of an entry.
pub(super) struct Member<'n> {
    pub(super) key: &'n Node,
    pub(super) value: &'n Node,
    /// Whether it stands in the entry itself, which counts before what is merged.
    pub(super) is_own: bool,
}

/// Why an entry's members cannot be told, and where.
#[derive(Debug)]
pub(super) struct Unmergeable {
    pub(super) at: Position,
    pub(super) message: String,
}

/// Whether it is the key that merges.
pub(super) fn is_key(key: &Node) -> bool {
    key.is_plain() && key.text() == Some(KEY)
}

/// All members of an entry, those that count before others first.
pub(super) fn members(pairs: &[(Rc<Node>, Rc<Node>)]) -> Result<Vec<Member<'_>>, Unmergeable> {
    if let Some((key, _)) = pairs.get(MEMBERS_MAX) {
        let message = format!("the entry has more than {MEMBERS_MAX} keys");
        return Err(Unmergeable { at: key.at, message });
    }
    let mut merger = Merger { members: Vec::with_capacity(pairs.len()), mappings: 0, merged: 0 };
    merger.add(pairs, true)?;
    Ok(merger.members)
}

struct Merger<'n> {
    members: Vec<Member<'n>>,
    mappings: usize,
    merged: usize,
}

impl<'n> Merger<'n> {
    fn add(&mut self, pairs: &'n [(Rc<Node>, Rc<Node>)], is_own: bool) -> Result<(), Unmergeable> {
        for (key, value) in pairs.iter().filter(|(key, _)| !is_key(key)) {
            self.members.push(Member { key, value, is_own });
        }
        for (key, value) in pairs.iter().filter(|(key, _)| is_key(key)) {
            match &value.value {
                Value::Map(_) => self.merge(key, value)?,
                Value::List(items) => items.iter().try_for_each(|item| self.merge(key, item))?,
                Value::Scalar(_) => return Err(not_a_mapping(key)),
            }
        }
        Ok(())
    }

    /// A mapping cannot hold itself, and each one counts: so this comes to an end, not far down.
    fn merge(&mut self, key: &Node, mapping: &'n Node) -> Result<(), Unmergeable> {
        let Value::Map(pairs) = &mapping.value else { return Err(not_a_mapping(key)) };
        self.mappings += 1;
        self.merged = self.merged.saturating_add(pairs.len());
        if self.mappings > MAPPINGS_MAX || self.merged > MEMBERS_MAX {
            let message = format!(
                "`<<` merges more than {MAPPINGS_MAX} mappings or {MEMBERS_MAX} keys: write the entry out"
            );
            return Err(Unmergeable { at: key.at, message });
        }
        let name = |key: &'n Node| key.text().filter(|name| name.len() <= NAME_BYTES_MAX);
        let names = || pairs.iter().enumerate().filter_map(|(nth, (key, _))| Some((nth, name(key)?)));
        let twice = names()
            .find(|(nth, name)| names().any(|(other, same)| other < *nth && same.eq_ignore_ascii_case(name)));
        if let Some((_, name)) = twice {
            let name = super::shown(name);
            let message = format!("what `<<` merges has the key `{name}` twice, in other letter case");
            return Err(Unmergeable { at: key.at, message });
        }
        self.add(pairs, false)
    }
}

fn not_a_mapping(key: &Node) -> Unmergeable {
    let message = String::from("`<<` merges a mapping, or a list of mappings, and this is none");
    Unmergeable { at: key.at, message }
}

//! What is wrong with an object, and where.

use std::fmt::{self, Write};

/// Characters of a wrong value that an error repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// Characters of a user's or group's name that are shown; the longest ARN of a role session has some 700.
const NAME_CHARS_MAX: usize = 1_024;

/// A place in the input, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

/// Why an object is refused: the first thing in it that Kubernetes would not store, or could not mean.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {fault}")]
pub struct ObjectError {
    /// The member, as `rules[0].verbs`; `.` is the whole object.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with one member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is of another type.
    Type {
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// It is not there, or empty, and has to be there.
    Missing {
        /// What to write.
        write: &'static str,
    },
    /// It is there, and must not be.
    Unexpected {
        /// Why, and what to do.
        because: &'static str,
    },
    /// It has a value that it cannot have.
    Value {
        /// The value, shortened.
        value: String,
        /// What it can be.
        allowed: &'static str,
    },
}

/// A fault on its way up: the path grows by a segment at each level that it leaves.
#[derive(Debug)]
pub(crate) struct Flaw {
    /// Innermost first.
    path: Vec<Segment>,
    pub(crate) position: Option<Position>,
    fault: Fault,
}

/// One step into a tree.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    Member(String),
    Item(usize),
}

impl Flaw {
    pub(super) const fn new(position: Option<Position>, fault: Fault) -> Self {
        Self { path: Vec::new(), position, fault }
    }

    pub(crate) fn in_member(mut self, name: &str) -> Self {
        self.path.push(Segment::Member(name.to_owned()));
        self
    }

    pub(crate) fn in_item(mut self, at: usize) -> Self {
        self.path.push(Segment::Item(at));
        self
    }

    /// The steps from the whole object to the member.
    pub(crate) fn path(&self) -> impl Iterator<Item = &Segment> {
        self.path.iter().rev()
    }
}

impl From<Flaw> for ObjectError {
    fn from(flaw: Flaw) -> Self {
        let mut path = String::new();
        for segment in flaw.path() {
            // Writing to a String does not fail.
            let _ = match segment {
                Segment::Member(name) if path.is_empty() => write!(path, "{}", shown(name)),
                Segment::Member(name) => write!(path, ".{}", shown(name)),
                Segment::Item(at) => write!(path, "[{at}]"),
            };
        }
        if path.is_empty() {
            path.push('.');
        }
        Self { path, fault: flaw.fault }
    }
}

impl Fault {
    pub(super) fn value(value: &str, allowed: &'static str) -> Self {
        Self::Value { value: shown(value), allowed }
    }
}

/// A value fit to stand in a message: one line, no control characters, not too long.
pub(crate) fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if value.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A name to be read whole: as it is, but on one line and bounded. Kubernetes lets users and groups have any.
pub(crate) fn one_line(name: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        for c in name.chars().take(NAME_CHARS_MAX) {
            if breaks(c) { write!(f, "{}", c.escape_unicode())? } else { f.write_char(c)? }
        }
        if name.chars().nth(NAME_CHARS_MAX).is_some() { f.write_char('…') } else { Ok(()) }
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { expected, found } => write!(f, "has to be {expected}, not {found}"),
            Self::Missing { write } => write!(f, "is missing: {write}"),
            Self::Unexpected { because } => write!(f, "must not be there: {because}"),
            Self::Value { value, allowed } => write!(f, "is `{value}`: {allowed}"),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

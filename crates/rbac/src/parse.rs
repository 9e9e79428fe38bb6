//! Reads whatever `kubectl get -o yaml` or `-o json` prints, and files as people keep them.

mod json;
mod yaml;

use std::fmt;

use crate::key::{ObjectKey, ObjectKind};
use crate::object::Object;
use crate::wire::{Document, Flaw, Node, ObjectError, Position, document, key_of, shown};

/// How much is read. Past a limit the input is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of input.
    pub bytes_max: usize,
    /// YAML documents, or JSON values.
    pub documents_max: usize,
    /// Objects, the items of lists counted singly and those of other kinds too.
    pub objects_max: usize,
    /// Aliases (`*name`) in one YAML document.
    pub aliases_max: usize,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The RBAC objects, in order.
    pub objects: Vec<Object>,
    /// Objects of other kinds, which are left out.
    pub skipped: Vec<Skipped>,
    /// RBAC objects that Kubernetes would refuse: those that [`parse_partially`] left out.
    pub refused: Vec<Refused>,
}

/// An RBAC object that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which one, where that can be read.
    pub key: Option<ObjectKey>,
    /// Its document; those that hold something are counted, from 1.
    pub document: usize,
    /// Its place in a list, counted from 0; none where it is the document.
    pub item: Option<usize>,
    /// What is wrong with it.
    pub error: ObjectError,
}

/// An object that is none of the four kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its document; those that hold something are counted, from 1.
    pub document: usize,
    /// Its place in a list, counted from 0; none where it is the document.
    pub item: Option<usize>,
    /// Its API version, shortened if it is very long.
    pub api_version: String,
    /// Its kind, likewise.
    pub kind: String,
    /// Its name, likewise, if it has one.
    pub name: Option<String>,
}

/// Where in the input something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The document; those that hold something are counted, from 1.
    pub document: usize,
    /// The line and column in the whole input, where they are known.
    pub position: Option<Position>,
}

/// Why input is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// More bytes than are read.
    #[error(
        "the input has {found} bytes, at most {limit} are read: apply it in parts, none of which replaces all"
    )]
    TooManyBytes {
        /// How many there are.
        found: usize,
        /// How many are read.
        limit: usize,
    },
    /// More documents than are read.
    #[error("the input has more than {limit} documents: apply it in parts, none of which replaces all")]
    TooManyDocuments {
        /// How many are read.
        limit: usize,
    },
    /// More objects than are read.
    #[error(
        "{place}: the input has more than {limit} objects: apply it in parts, none of which replaces all"
    )]
    TooManyObjects {
        /// Where the first that is too many is.
        place: Place,
        /// How many are read.
        limit: usize,
    },
    /// YAML that grows too large or too deep when it is read.
    #[error("{place}: {what}")]
    TooComplex {
        /// Where that was noticed.
        place: Place,
        /// What there is too much of, and what to do.
        what: &'static str,
    },
    /// Bytes that are no text.
    #[error("line {line} is not UTF-8: save the input as UTF-8")]
    NotUtf8 {
        /// The first line that is not.
        line: usize,
    },
    /// Text that is no YAML, or no JSON.
    #[error("{place}: not valid {format}: {detail}")]
    Syntax {
        /// Where.
        place: Place,
        /// What it was read as.
        format: Format,
        /// What the parser said, in one line.
        detail: String,
    },
    /// An object that Kubernetes would not store, or could not mean.
    #[error("{place}: {error}")]
    Object {
        /// Where.
        place: Place,
        /// What is wrong with it.
        error: ObjectError,
    },
}

/// What the input is read as: JSON if it begins with a brace or bracket and no line is `---`, otherwise YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One or more JSON values, with or without line breaks between them.
    Json,
    /// One or more YAML documents.
    Yaml,
}

impl Limits {
    /// Far more than a cluster has: its whole RBAC is some megabytes, and a hundred thousand bindings are forty.
    pub const DEFAULT: Self =
        Self { bytes_max: 64 << 20, documents_max: 200_000, objects_max: 400_000, aliases_max: 10_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Reads RBAC objects within [`Limits::DEFAULT`].
///
/// # Errors
/// See [`parse_within`].
pub fn parse(input: &[u8]) -> Result<Parsed, ParseError> {
    parse_within(input, Limits::DEFAULT)
}

/// Reads RBAC objects: single ones, lists of any kind, several YAML documents, several JSON values or JSON lines.
///
/// Objects of other kinds are reported as skipped. Members that decide nothing (annotations, managed fields, …) are
/// passed over.
///
/// # Errors
/// When the input is past a limit, neither YAML nor JSON, or holds an RBAC object that Kubernetes would refuse: then
/// with document, line and column and the member in question. Nothing is read in part.
pub fn parse_within(input: &[u8], limits: Limits) -> Result<Parsed, ParseError> {
    read(input, limits, false)
}

/// Reads what can be read: an object that [`parse_within`] would refuse all for is left out and told of.
///
/// # Errors
/// When the input is past a limit, or neither YAML nor JSON.
pub fn parse_partially(input: &[u8], limits: Limits) -> Result<Parsed, ParseError> {
    read(input, limits, true)
}

fn read(input: &[u8], limits: Limits, is_partial: bool) -> Result<Parsed, ParseError> {
    if input.len() > limits.bytes_max {
        return Err(ParseError::TooManyBytes { found: input.len(), limit: limits.bytes_max });
    }
    let text = std::str::from_utf8(input).map_err(|error| {
        let good = input.get(..error.valid_up_to()).unwrap_or_default();
        ParseError::NotUtf8 { line: good.iter().filter(|&&byte| byte == b'\n').count().saturating_add(1) }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parsed: Parsed::default(), limits, documents: 0, is_partial };
    match Format::of(text) {
        Format::Json => json::read(text, &mut reader)?,
        Format::Yaml => yaml::read(text, &mut reader)?,
    }
    Ok(reader.parsed)
}

/// Gathers what is read, and counts.
struct Reader {
    parsed: Parsed,
    limits: Limits,
    documents: usize,
    is_partial: bool,
}

impl Reader {
    /// Counts a document before it is read.
    fn begin(&mut self) -> Result<(), ParseError> {
        self.documents = self.documents.saturating_add(1);
        if self.documents > self.limits.documents_max {
            return Err(ParseError::TooManyDocuments { limit: self.limits.documents_max });
        }
        Ok(())
    }

    /// Takes in a document; `locate` finds the position of a flaw where the tree does not know it.
    fn add(&mut self, node: &Node, locate: impl Fn(&Flaw) -> Option<Position>) -> Result<(), ParseError> {
        self.collect(node, None, None)?.map_err(|flaw| {
            let place = self.place(flaw.position.or_else(|| locate(&flaw)));
            ParseError::Object { place, error: flaw.into() }
        })
    }

    /// The outer error is a limit; the inner one a flaw, whose path has yet to grow.
    fn collect(
        &mut self,
        node: &Node,
        item: Option<usize>,
        item_of: Option<ObjectKind>,
    ) -> Result<Result<(), Flaw>, ParseError> {
        let read = match document(node, item_of) {
            Ok(read) => read,
            Err(flaw) if self.is_partial => {
                self.count(node)?;
                let (key, document) = (key_of(node, item_of), self.documents);
                self.parsed.refused.push(Refused { key, document, item, error: flaw.into() });
                return Ok(Ok(()));
            }
            Err(flaw) => return Ok(Err(flaw)),
        };
        if let Document::List { items, of } = read {
            for (at, node) in items.iter().enumerate() {
                if let Err(flaw) = self.collect(node, Some(at), of)? {
                    return Ok(Err(flaw.in_item(at).in_member("items")));
                }
            }
            return Ok(Ok(()));
        }
        self.count(node)?;
        match read {
            Document::Object(object) => self.parsed.objects.push(object),
            Document::Other { api_version, kind, name } => self.parsed.skipped.push(Skipped {
                document: self.documents,
                item,
                api_version: shown(api_version),
                kind: shown(kind),
                name: name.map(shown),
            }),
            Document::List { .. } => {}
        }
        Ok(Ok(()))
    }

    /// Whether there is room for one more.
    fn count(&self, node: &Node) -> Result<(), ParseError> {
        let Parsed { objects, skipped, refused } = &self.parsed;
        let limit = self.limits.objects_max;
        if objects.len().saturating_add(skipped.len()).saturating_add(refused.len()) < limit {
            return Ok(());
        }
        Err(ParseError::TooManyObjects { place: self.place(node.at), limit })
    }

    const fn place(&self, position: Option<Position>) -> Place {
        Place { document: self.documents, position }
    }

    fn syntax(&self, position: Option<Position>, format: Format, detail: &str) -> ParseError {
        ParseError::Syntax { place: self.place(position), format, detail: one_line(detail) }
    }
}

/// Characters of what a parser says that an error repeats.
const DETAIL_CHARS_MAX: usize = 300;

fn one_line(detail: &str) -> String {
    let line = detail.lines().next().unwrap_or_default();
    line.chars().filter(|char| !char.is_control()).take(DETAIL_CHARS_MAX).collect()
}

impl Format {
    fn of(text: &str) -> Self {
        let is_json =
            text.trim_start().starts_with(['{', '[']) && !text.lines().any(|line| line.trim_end() == "---");
        if is_json { Self::Json } else { Self::Yaml }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        })
    }
}

impl fmt::Display for Skipped {
    /// `document 4: v1 ConfigMap c`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, api_version, kind, name, .. } = self;
        write!(f, "document {document}: {api_version} {kind}")?;
        name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {}", self.document)?;
        self.position.map_or(Ok(()), |position| write!(f, ", {position}"))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

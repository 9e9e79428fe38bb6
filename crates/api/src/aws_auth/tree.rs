//! YAML (and so JSON) as a tree in which each node knows where it stands.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, options};

use super::shown;

/// Deepest nesting of lists and mappings: a List of ConfigMaps with native lists in them needs seven.
const DEPTH_MAX: usize = 24;

/// Most nodes of one tree, counted once where an alias repeats them.
const NODES_MAX: usize = 200_000;

/// Where something stands: both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// What a text is not, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TreeError {
    pub(super) at: Position,
    pub(super) message: String,
}

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) style: ScalarStyle,
    pub(super) span: Span,
}

impl Node {
    /// The text of a scalar; none for lists, mappings and null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(_) if self.is_null() => None,
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether nothing is written there.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => {
                scalar.style == ScalarStyle::Plain
                    && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// Whether it is a scalar without quotes.
    pub(super) fn is_plain(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.style == ScalarStyle::Plain)
    }

    /// A member of a mapping by its exact key.
    pub(super) fn member(&self, key: &str) -> Option<&Rc<Node>> {
        match &self.value {
            Value::Map(pairs) => {
                pairs.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, node)| node)
            }
            Value::Scalar(_) | Value::List(_) => None,
        }
    }
}

/// Reads one document; none where the text holds nothing but blanks and comments.
pub(super) fn read(text: &str) -> Result<Option<Rc<Node>>, TreeError> {
    let options =
        options! { block_nesting_limit: DEPTH_MAX, flow_nesting_limit: DEPTH_MAX, emit_comments: false };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        builder.take(event, span)?;
    }
    Ok(builder.root.filter(|root| !root.is_null()))
}

fn scan_error(error: &ScanError) -> TreeError {
    let marker = error.marker();
    TreeError {
        at: position(marker.line(), marker.col()),
        message: format!("this is not YAML: {}", error.info()),
    }
}

fn position(line: usize, column: usize) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column.saturating_add(1)) }
}

#[derive(Default)]
struct Builder {
    root: Option<Rc<Node>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

/// A list or mapping that has not ended.
struct Open {
    at: Position,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<Node>>),
    Map { pairs: Vec<(Rc<Node>, Rc<Node>)>, key: Option<Rc<Node>> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), TreeError> {
        let at = position(span.start.line(), span.start.col());
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(TreeError { at, message: format!("the document has more than {NODES_MAX} nodes") });
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let scalar = Scalar { text: Cow::into_owned(text), style, span };
                self.put(Rc::new(Node { at, value: Value::Scalar(scalar) }), anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { at, anchor, kind: OpenKind::List(Vec::new()) });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { at, anchor, kind: OpenKind::Map { pairs: Vec::new(), key: None } });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { at, anchor, kind }) => {
                    let value = match kind {
                        OpenKind::List(items) => Value::List(items),
                        OpenKind::Map { pairs, .. } => Value::Map(pairs),
                    };
                    self.put(Rc::new(Node { at, value }), anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => self.put(Rc::clone(node), 0),
                None => {
                    Err(TreeError { at, message: String::from("this alias stands inside what it repeats") })
                }
            },
            Event::DocumentStart(..) if self.root.is_some() => Err(TreeError {
                at,
                message: String::from("a second YAML document begins here: push one ConfigMap, or its data"),
            }),
            _ => Ok(()),
        }
    }

    fn put(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), TreeError> {
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { pairs, key }) => match key.take() {
                None => *key = Some(node),
                Some(name) => {
                    // Small mappings only: an aws-auth line has five keys. Large ones are bounded by the nodes' limit.
                    let twice = name.text().is_some_and(|text| {
                        pairs.len() < DUPLICATES_LOOKED_AT
                            && pairs.iter().any(|(other, _)| other.text() == Some(text))
                    });
                    if twice {
                        let text = name.text().unwrap_or_default();
                        return Err(TreeError {
                            at: name.at,
                            message: format!("the key `{}` stands here twice", shown(text)),
                        });
                    }
                    pairs.push((name, node));
                }
            },
        }
        Ok(())
    }
}

/// Keys of one mapping that are compared with each other.
const DUPLICATES_LOOKED_AT: usize = 256;

/// Maps positions in a value that is a document of its own (`mapRoles: |`) to positions in the document around it.
pub(super) struct Places {
    /// For each line of the value, where its first character stands outside.
    lines: Vec<Position>,
    start: Position,
}

impl Places {
    /// Positions that are the document's own.
    pub(super) fn same() -> Self {
        Self { lines: Vec::new(), start: Position { line: 0, column: 0 } }
    }

    /// Of a scalar in a document.
    pub(super) fn of(node: &Node, scalar: &Scalar, document: &str) -> Self {
        let lines = match scalar.style {
            ScalarStyle::Literal => literal_lines(scalar, document),
            ScalarStyle::DoubleQuoted => quoted_lines(scalar, document),
            ScalarStyle::SingleQuoted => {
                vec![Position { line: node.at.line, column: node.at.column.saturating_add(1) }]
            }
            ScalarStyle::Plain | ScalarStyle::Folded => vec![node.at],
        };
        Self { lines, start: node.at }
    }

    /// Where an inner position stands outside. Where that cannot be told, the value's own beginning.
    pub(super) fn outside(&self, inner: Position) -> Position {
        if self.start.line == 0 {
            return inner;
        }
        let line = usize::try_from(inner.line.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.lines.get(line) {
            Some(first) => Position {
                line: first.line,
                column: first.column.saturating_add(inner.column.saturating_sub(1)),
            },
            None => self.start,
        }
    }
}

/// A literal block's lines stand as they are, each further in by the block's indentation. Its span begins with its first
/// character that is no blank.
fn literal_lines(scalar: &Scalar, document: &str) -> Vec<Position> {
    let blank = scalar.text.lines().take_while(|line| line.trim_start().is_empty()).count();
    let first = scalar.span.start.line().saturating_sub(blank);
    let outer = document.lines().skip(first.saturating_sub(1));
    scalar
        .text
        .lines()
        .zip(outer)
        .zip(first..)
        .map(|((inner, outer), line)| {
            let indent = outer.strip_suffix(inner).map_or(0, |indent| indent.chars().count());
            position(line, indent)
        })
        .collect()
}

/// Double quotes hold line ends as `\n`, and fold the line ends that are there.
fn quoted_lines(scalar: &Scalar, document: &str) -> Vec<Position> {
    let (mut line, mut column) = (scalar.span.start.line(), scalar.span.start.col() + 1);
    let mut lines = vec![position(line, column)];
    let rest = document.lines().skip(line.saturating_sub(1)).enumerate();
    let wanted = scalar.text.lines().count();
    // Nothing of the value's present line has been seen: it begins further down, after `\` at the end of a line.
    let mut fresh = false;
    for (nth, raw) in rest {
        if nth > 0 {
            line += 1;
            column = raw.chars().take_while(|c| c.is_ascii_whitespace()).count();
            let blank = column == raw.chars().count();
            if blank {
                lines.push(position(line + 1, 0));
            } else if fresh && let Some(last) = lines.last_mut() {
                *last = position(line, column);
            }
        }
        let mut characters = raw.chars().skip(column).peekable();
        while let Some(character) = characters.next() {
            column += 1;
            match character {
                '"' => return lines,
                '\\' => {
                    column += 1;
                    match characters.next() {
                        Some('n') => {
                            lines.push(position(line, column));
                            fresh = true;
                        }
                        Some(_) => fresh = false,
                        None => {}
                    }
                }
                _ => fresh = false,
            }
        }
        if lines.len() > wanted {
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    /// Where the word `HERE` of the value `v` stands, by the value's own reckoning and by the document's.
    fn found(document: &str) -> (Position, Position) {
        let root = read(document).unwrap().unwrap();
        let node = root.member("v").unwrap();
        let Value::Scalar(scalar) = &node.value else { panic!("not a scalar: {document}") };
        let place = |text: &str| {
            let (nth, line) = text.lines().enumerate().find(|(_, line)| line.contains("HERE")).unwrap();
            position(nth + 1, line[..line.find("HERE").unwrap()].chars().count())
        };
        (Places::of(node, scalar, document).outside(place(&scalar.text)), place(document))
    }

    #[test]
    fn a_position_inside_a_value_is_found_in_the_document() {
        for document in [
            "v: |\n  a\n  bHERE\n",
            "x: 1\nv: |-\n\n      a\n\n      é HERE\n",
            "v: |2\n    a\n    HERE\n",
            "v: \"a\\nb HERE\"",
            "v: \"HERE\"",
            "{\"x\": {},\n  \"v\": \"- a: b\\n- c: HERE\\n\"}",
            "v: 'a HERE'",
            "v: HERE",
            "v: \"- a\\n\\\n  - b HERE\"",
        ] {
            let (mapped, real) = found(document);
            assert_eq!(mapped, real, "{document}");
        }
    }

    #[test]
    fn an_alias_stands_for_what_it_repeats_but_not_inside_it() {
        let root = read("a: &x [1, 2]\nb: *x\n").unwrap().unwrap();
        assert!(matches!(&root.member("b").unwrap().value, Value::List(items) if items.len() == 2));
        assert!(read("a: &x [*x]").is_err());
        assert!(read("a: *nowhere").is_err());
    }

    #[test]
    fn what_is_not_one_document_is_refused_where_it_goes_wrong() {
        assert_eq!(read("a: 1\n---\nb: 2\n").unwrap_err().at.line, 2);
        assert_eq!(read("a: 1\na: 2\n").unwrap_err().at, at(2, 1));
        assert_eq!(read("a:\n  - b\n c: d\n").unwrap_err().at.line, 3);
        assert!(read(&"[".repeat(1000)).is_err());
        assert!(read("# nothing\n").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[-:|>\"'{}\\[\\]&*\\\\ \na-cé\t#%@,?!~]{0,120}") {
            if let Ok(Some(root)) = read(&text) {
                walk(&root, &text, 0);
            }
        }
    }

    fn walk(node: &Node, document: &str, depth: usize) {
        match &node.value {
            _ if depth > 40 => {}
            Value::Scalar(scalar) => {
                let places = Places::of(node, scalar, document);
                for line in 0..6 {
                    places.outside(at(line, 1));
                }
            }
            Value::List(items) => items.iter().for_each(|item| walk(item, document, depth + 1)),
            Value::Map(pairs) => pairs.iter().for_each(|(_, value)| walk(value, document, depth + 1)),
        }
    }
}

//! Reading XML from AWS: the plain part of it, bounded, and nothing beside.
//!
//! AWS's Query services answer with elements and text alone. So there are no document types, no entities but the five that
//! XML has itself and characters by number, no processing instructions, and no names with a prefix; attributes are passed
//! over (`xmlns` is one). What breaks a rule is refused whole: an answer that is read in part is another answer.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Deepest nesting. `DescribeInstances` needs 9 levels.
const DEPTH_MAX: usize = 24;
/// Most elements. An instance has some 150, and 50 are asked about at once.
const ELEMENTS_MAX: usize = 40_000;

/// An element: its name, its text, its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

/// Why something is not the XML that it should be. Nothing of its content is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    /// It breaks off, or its tags do not fit.
    #[error("it is not well-formed XML")]
    Malformed,
    /// XML that AWS does not send.
    #[error("it has {0}, which no answer of AWS has")]
    Foreign(&'static str),
    /// Deeper or longer than any answer.
    #[error("it has more {0} than any answer of AWS")]
    TooMuch(&'static str),
    /// An element is not there.
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// An element stands twice where one belongs.
    #[error("it has `{0}` twice")]
    Twice(&'static str),
    /// An element has text and children.
    #[error("its `{0}` is no text")]
    NotText(&'static str),
    /// An element of another name.
    #[error("it is not a `{0}`")]
    Other(&'static str),
}

impl Element {
    /// Reads one document, whose root has to have this name.
    pub(crate) fn parse(bytes: &[u8], root: &'static str) -> Result<Self, XmlError> {
        let element = Self::parse_any(bytes)?;
        if element.name == root { Ok(element) } else { Err(XmlError::Other(root)) }
    }

    /// Reads one document.
    pub(crate) fn parse_any(bytes: &[u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Malformed)?;
        let mut reader = Reader::from_str(text);
        let mut tree = Tree::default();
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(start) => tree.open(start.name().into_inner())?,
                Event::Empty(start) => {
                    tree.open(start.name().into_inner())?;
                    tree.close()?;
                }
                Event::End(_) => tree.close()?,
                Event::Text(text) => tree.text(&text.xml10_content())?,
                Event::CData(text) => tree.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    match reference.resolve_char_ref().map_err(|_| XmlError::Malformed)? {
                        Some(character) => tree.text(character.encode_utf8(&mut [0; 4]))?,
                        None => {
                            let text = resolve_predefined_entity(&reference);
                            tree.text(text.ok_or(XmlError::Foreign("entities"))?)?;
                        }
                    }
                }
                Event::Comment(_) => {}
                Event::Decl(_) if tree.is_fresh() => {}
                Event::Decl(_) => return Err(XmlError::Malformed),
                Event::PI(_) => return Err(XmlError::Foreign("processing instructions")),
                Event::DocType(_) => return Err(XmlError::Foreign("a document type")),
                Event::Eof => return tree.finish(),
            }
        }
    }

    /// The element's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its children of a name, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Its one child of a name, if there is any.
    pub(crate) fn maybe(&self, name: &'static str) -> Result<Option<&Self>, XmlError> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (child, None) => Ok(child),
            _ => Err(XmlError::Twice(name)),
        }
    }

    /// Its one child of a name.
    pub(crate) fn one(&self, name: &'static str) -> Result<&Self, XmlError> {
        self.maybe(name)?.ok_or(XmlError::Missing(name))
    }

    /// The text of its one child of a name.
    pub(crate) fn text_of(&self, name: &'static str) -> Result<&str, XmlError> {
        let child = self.one(name)?;
        if child.children.is_empty() { Ok(child.text.trim()) } else { Err(XmlError::NotText(name)) }
    }

    /// The text of its one child of a name, if that is there and not empty.
    pub(crate) fn maybe_text_of(&self, name: &'static str) -> Result<Option<&str>, XmlError> {
        match self.maybe(name)? {
            None => Ok(None),
            Some(_) => self.text_of(name).map(|text| Some(text).filter(|text| !text.is_empty())),
        }
    }
}

/// The elements that are open, and the root once it is closed.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn is_fresh(&self) -> bool {
        self.elements == 0
    }

    fn open(&mut self, name: &str) -> Result<(), XmlError> {
        if name.is_empty() || self.root.is_some() {
            return Err(XmlError::Malformed);
        }
        if name.contains(':') {
            return Err(XmlError::Foreign("names with a prefix"));
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(XmlError::TooMuch("elements"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(XmlError::TooMuch("levels"));
        }
        self.open.push(Element { name: name.to_owned(), ..Element::default() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let closed = self.open.pop().ok_or(XmlError::Malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => self.root = Some(closed),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Malformed),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, XmlError> {
        if self.open.is_empty() { self.root.ok_or(XmlError::Malformed) } else { Err(XmlError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_text_are_read_and_attributes_passed_over() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a --><a xmlns=\"https://x/\">\n <b>1 &lt; 2&#33;</b><c/>\
                    <d><![CDATA[<e>]]></d><d>2</d></a>\n";
        let root = Element::parse(text.as_bytes(), "a").unwrap();
        assert_eq!(root.text_of("b"), Ok("1 < 2!"));
        assert_eq!((root.text_of("c"), root.maybe_text_of("c")), (Ok(""), Ok(None)));
        assert_eq!(root.maybe_text_of("x"), Ok(None));
        assert_eq!(root.all("d").count(), 2);
        assert_eq!(root.text_of("d"), Err(XmlError::Twice("d")));
        assert_eq!(root.one("x"), Err(XmlError::Missing("x")));
        assert_eq!(Element::parse(text.as_bytes(), "b"), Err(XmlError::Other("b")));
        let nested = Element::parse(b"<a><b>t<c/></b></a>", "a").unwrap();
        assert_eq!(nested.text_of("b"), Err(XmlError::NotText("b")));
    }

    #[test]
    fn what_aws_does_not_send_is_refused_whole() {
        let deep = format!("{}{}", "<a>".repeat(DEPTH_MAX + 1), "</a>".repeat(DEPTH_MAX + 1));
        let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX));
        let cases: [(&[u8], XmlError); 17] = [
            (b"", XmlError::Malformed),
            (b"text", XmlError::Malformed),
            (b"<a>", XmlError::Malformed),
            (b"<a></b>", XmlError::Malformed),
            (b"</a>", XmlError::Malformed),
            (b"<a/><b/>", XmlError::Malformed),
            (b"<a/>text", XmlError::Malformed),
            (b"<a>\xff</a>", XmlError::Malformed),
            (b"<a><?xml version=\"1.0\"?></a>", XmlError::Malformed),
            (b"<a>&#x110000;</a>", XmlError::Malformed),
            (b"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", XmlError::Foreign("a document type")),
            (b"<a>&b;</a>", XmlError::Foreign("entities")),
            (b"<?b c?><a/>", XmlError::Foreign("processing instructions")),
            (b"<x:a/>", XmlError::Foreign("names with a prefix")),
            (b"<a><b x:c=\"d\"><x:e/></b></a>", XmlError::Foreign("names with a prefix")),
            (deep.as_bytes(), XmlError::TooMuch("levels")),
            (wide.as_bytes(), XmlError::TooMuch("elements")),
        ];
        for (bytes, expected) in cases {
            let shown = String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes)).into_owned();
            assert_eq!(Element::parse_any(bytes), Err(expected), "{shown}");
        }
    }
}

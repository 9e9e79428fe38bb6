//! Field and label selectors of a review: parsed for the record, or the unscoped request where they cannot be.

use std::fmt;

use crate::wire::shown;

/// Requirements in one selector at the most; a selector with more is not read, so the request counts as unscoped.
pub const REQUIREMENTS_MAX: usize = 64;

/// Values in one requirement at the most; beyond, the request counts as unscoped.
pub const REQUIREMENT_VALUES_MAX: usize = 256;

/// Characters of a label's value, or of its name without the prefix, at the most.
const LABEL_CHARS_MAX: usize = 63;

/// Characters of a label's prefix at the most, as of any DNS name.
const PREFIX_CHARS_MAX: usize = 253;

/// What a request narrows itself to. Empty lists are the unscoped request, which asks for everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selectors<'a> {
    /// Requirements on fields, all of which hold.
    pub field: &'a [Requirement],
    /// Requirements on labels, all of which hold.
    pub label: &'a [Requirement],
}

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
    values: Box<[Box<str>]>,
}

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The value is one of those listed.
    In,
    /// The value is none of those listed, or there is no such key.
    NotIn,
    /// There is such a key.
    Exists,
    /// There is no such key.
    DoesNotExist,
}

/// Which of the two selectors is read; they allow different operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorKind {
    /// A field selector: `In` and `NotIn`, one value each.
    Field,
    /// A label selector: all four operators.
    Label,
}

/// Why a selector counts as the unscoped request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// More requirements than are read.
    #[error("a selector has more than {REQUIREMENTS_MAX} requirements: the request counts as unscoped")]
    TooManyRequirements,
    /// A key that no field or label has.
    #[error("`{key}` is not a key of a {kind}: the request counts as unscoped")]
    Key {
        /// Which selector.
        kind: SelectorKind,
        /// The key as it came, shortened.
        key: String,
    },
    /// An operator that the selector does not have.
    #[error("`{operator}` is not an operator of a {kind}: the request counts as unscoped")]
    Operator {
        /// Which selector.
        kind: SelectorKind,
        /// The operator as it came, shortened.
        operator: String,
    },
    /// A number of values that the operator does not take.
    #[error("`{operator}` on `{key}` takes {takes}, not {found}: the request counts as unscoped")]
    Values {
        /// The requirement's key, shortened.
        key: String,
        /// Its operator.
        operator: Operator,
        /// What it takes, in words.
        takes: &'static str,
        /// How many values came.
        found: usize,
    },
    /// A value that no label can have.
    #[error("`{value}` is not a value for `{key}` in a {kind}: the request counts as unscoped")]
    Value {
        /// The requirement's key, shortened.
        key: String,
        /// Which selector.
        kind: SelectorKind,
        /// The value as it came, shortened.
        value: String,
    },
}

impl Requirement {
    /// Reads all requirements of one selector as (key, operator, values).
    ///
    /// # Errors
    /// When any part cannot be read. The caller then goes on with no requirements at all: leaving a
    /// requirement out asks for more, never for less, so nothing is allowed that would not be otherwise.
    pub fn parse_all<'r, V: AsRef<str> + 'r>(
        kind: SelectorKind,
        requirements: impl IntoIterator<Item = (&'r str, &'r str, &'r [V])>,
    ) -> Result<Vec<Self>, SelectorError> {
        let mut parsed = Vec::new();
        for (key, operator, values) in requirements {
            if parsed.len() == REQUIREMENTS_MAX {
                return Err(SelectorError::TooManyRequirements);
            }
            parsed.push(Self::parse(kind, key, operator, values)?);
        }
        Ok(parsed)
    }

    fn parse<V: AsRef<str>>(
        kind: SelectorKind,
        key: &str,
        operator: &str,
        values: &[V],
    ) -> Result<Self, SelectorError> {
        if !kind.has_key(key) {
            return Err(SelectorError::Key { kind, key: shown(key) });
        }
        let parsed = Operator::parse(operator).filter(|&operator| kind.has_operator(operator));
        let operator = parsed.ok_or_else(|| SelectorError::Operator { kind, operator: shown(operator) })?;
        let (takes, is_taken) = kind.takes(operator);
        if !is_taken(values.len()) {
            return Err(SelectorError::Values { key: shown(key), operator, takes, found: values.len() });
        }
        if let Some(value) = values.iter().map(AsRef::as_ref).find(|value| !kind.has_value(value)) {
            return Err(SelectorError::Value { key: shown(key), kind, value: shown(value) });
        }
        let values = values.iter().map(|value| value.as_ref().into()).collect();
        Ok(Self { key: key.into(), operator, values })
    }

    /// The key: a field path or a label.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it compares.
    #[must_use]
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with.
    #[must_use]
    pub fn values(&self) -> &[Box<str>] {
        &self.values
    }
}

impl Operator {
    /// Reads the operator as it is spelled on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            _ => return None,
        })
    }

    /// As it is spelled on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// What an operator takes, in words, and whether a number of values is that.
type Taken = (&'static str, fn(usize) -> bool);

impl SelectorKind {
    /// Field selectors have no operators for presence, as the API server's own.
    const fn has_operator(self, operator: Operator) -> bool {
        matches!((self, operator), (Self::Label, _) | (Self::Field, Operator::In | Operator::NotIn))
    }

    const fn takes(self, operator: Operator) -> Taken {
        match (self, operator) {
            (Self::Field, _) => ("one value", |values| values == 1),
            (Self::Label, Operator::In | Operator::NotIn) => {
                ("at least one value and at most 256", |values| {
                    values > 0 && values <= REQUIREMENT_VALUES_MAX
                })
            }
            (Self::Label, Operator::Exists | Operator::DoesNotExist) => ("no value", |values| values == 0),
        }
    }

    fn has_key(self, key: &str) -> bool {
        match self {
            Self::Field => !key.is_empty(),
            Self::Label => match key.split_once('/') {
                None => is_label_text(key) && !key.is_empty(),
                Some((prefix, name)) => is_dns_name(prefix) && is_label_text(name) && !name.is_empty(),
            },
        }
    }

    fn has_value(self, value: &str) -> bool {
        match self {
            Self::Field => true,
            Self::Label => is_label_text(value),
        }
    }
}

/// Whether text can be a label's value, or its name without the prefix.
fn is_label_text(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut bytes = text.bytes();
    text.len() <= LABEL_CHARS_MAX
        && bytes.all(is_inner)
        && is_end(text.bytes().next())
        && is_end(text.bytes().last())
}

fn is_dns_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(is_inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= PREFIX_CHARS_MAX && text.split('.').all(is_part)
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SelectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Field => "field selector",
            Self::Label => "label selector",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        kind: SelectorKind,
        key: &str,
        operator: &str,
        values: &[&str],
    ) -> Result<Vec<Requirement>, SelectorError> {
        Requirement::parse_all(kind, [(key, operator, values)])
    }

    #[test]
    fn requirements_are_read_as_they_come() {
        let cases = [
            (SelectorKind::Label, "app", "In", &["a", "b"][..], Operator::In),
            (SelectorKind::Label, "example.com/tier", "NotIn", &[""], Operator::NotIn),
            (SelectorKind::Label, "app.kubernetes.io/name", "Exists", &[], Operator::Exists),
            (SelectorKind::Label, "a_b", "DoesNotExist", &[], Operator::DoesNotExist),
            (SelectorKind::Field, "spec.nodeName", "In", &["n1"], Operator::In),
            (SelectorKind::Field, "metadata.name", "NotIn", &["any/thing"], Operator::NotIn),
        ];
        for (kind, key, operator, values, expected) in cases {
            let parsed = parse(kind, key, operator, values).unwrap();
            assert_eq!(parsed[0].key(), key);
            assert_eq!(parsed[0].operator(), expected);
            assert_eq!(parsed[0].operator().as_str(), operator);
            assert!(parsed[0].values().iter().map(|value| &**value).eq(values.iter().copied()), "{key}");
        }
    }

    #[test]
    fn immunity_30_selectors_that_cannot_be_read_are_refused_so_that_the_request_is_unscoped() {
        let long = "x".repeat(64);
        let many: Vec<&str> = vec!["v"; REQUIREMENT_VALUES_MAX + 1];
        let cases = [
            (SelectorKind::Label, "", "In", &["a"][..], "`` is not a key of a label selector"),
            (SelectorKind::Label, "a b", "Exists", &[], "`a b` is not a key of a label selector"),
            (SelectorKind::Label, "-a", "Exists", &[], "`-a` is not a key of a label selector"),
            (SelectorKind::Label, "Example/a", "Exists", &[], "`Example/a` is not a key of a label selector"),
            (SelectorKind::Label, "a/", "Exists", &[], "`a/` is not a key of a label selector"),
            (SelectorKind::Label, "a/b/c", "Exists", &[], "`a/b/c` is not a key of a label selector"),
            (SelectorKind::Label, "a", "in", &["a"], "`in` is not an operator of a label selector"),
            (SelectorKind::Label, "a", "Gt", &["1"], "`Gt` is not an operator of a label selector"),
            (
                SelectorKind::Label,
                "a",
                "In",
                &[],
                "`In` on `a` takes at least one value and at most 256, not 0",
            ),
            (
                SelectorKind::Label,
                "a",
                "In",
                &many,
                "`In` on `a` takes at least one value and at most 256, not 257",
            ),
            (SelectorKind::Label, "a", "Exists", &["a"], "`Exists` on `a` takes no value, not 1"),
            (SelectorKind::Label, "a", "In", &["a b"], "`a b` is not a value for `a` in a label selector"),
            (SelectorKind::Field, "a", "Exists", &[], "`Exists` is not an operator of a field selector"),
            (SelectorKind::Field, "a", "In", &["a", "b"], "`In` on `a` takes one value, not 2"),
            (SelectorKind::Field, "", "In", &["a"], "`` is not a key of a field selector"),
        ];
        for (kind, key, operator, values, message) in cases {
            let error = parse(kind, key, operator, values).unwrap_err().to_string();
            assert_eq!(error, format!("{message}: the request counts as unscoped"));
        }
        assert!(parse(SelectorKind::Label, &long, "Exists", &[]).is_err());
        let all = vec![("a", "Exists", &[][..] as &[&str]); REQUIREMENTS_MAX + 1];
        let error = Requirement::parse_all(SelectorKind::Label, all).unwrap_err();
        assert_eq!(error, SelectorError::TooManyRequirements);
    }

    #[test]
    fn one_bad_requirement_makes_the_whole_selector_unscoped() {
        let all = [("a", "Exists", &[][..] as &[&str]), ("b", "Maybe", &[])];
        assert!(Requirement::parse_all(SelectorKind::Label, all).is_err());
    }
}

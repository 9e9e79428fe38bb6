//! Patterns over ARNs, as IAM's `ArnLike` and `Resource` read them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ARN_BYTES_MAX;
use super::wildcard::wildcard_matches;
use crate::shown::shown;

/// A pattern over ARNs: six sections, each with `*` (any run of characters) and `?` (exactly one character). A wildcard
/// never reaches into the next section; the sixth runs to the end and may hold colons.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArnPattern(Box<str>);

/// Why a text is not an ARN pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnPatternError {
    /// Longer than an ARN may be.
    #[error("the ARN pattern has {0} bytes, at most {max} are allowed", max = ARN_BYTES_MAX)]
    TooLong(usize),
    /// Not six sections.
    #[error(
        "`{}` is not an ARN pattern: it needs six sections, arn:partition:service:region:account:resource", shown(.0)
    )]
    Sections(String),
}

impl ArnPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is too long or does not have six sections.
    pub fn parse(text: &str) -> Result<Self, ArnPatternError> {
        if text.len() > ARN_BYTES_MAX {
            return Err(ArnPatternError::TooLong(text.len()));
        }
        if Sections::of(text).is_none() {
            return Err(ArnPatternError::Sections(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the ARN fits, letter case included. A text without six sections never does.
    #[must_use]
    pub fn matches(&self, arn: &str) -> bool {
        match (Sections::of(&self.0), Sections::of(arn)) {
            (Some(pattern), Some(arn)) => pattern.matches(&arn),
            _ => false,
        }
    }
}

/// The six sections of an ARN or a pattern.
struct Sections<'a>([&'a str; 6]);

impl<'a> Sections<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut sections = [""; 6];
        for section in &mut sections {
            *section = parts.next()?;
        }
        Some(Self(sections))
    }

    /// Reading `self` as the pattern, section by section.
    fn matches(&self, arn: &Sections<'_>) -> bool {
        self.0.iter().zip(&arn.0).all(|(pattern, text)| wildcard_matches(pattern, text))
    }
}

impl fmt::Display for ArnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ArnPattern {
    type Err = ArnPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ArnPattern {
    type Error = ArnPatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ArnPattern> for String {
    fn from(pattern: ArnPattern) -> Self {
        pattern.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/Admin";

    #[test]
    fn a_pattern_matches_section_by_section() {
        let cases = [
            (ROLE, true),
            ("arn:aws:iam::111122223333:role/*", true),
            ("arn:*:iam::*:role/Admin", true),
            ("arn:aws:iam:*:111122223333:role/Admin", true),
            ("*:*:*:*:*:*", true),
            ("arn:aws:iam::111122223333:*", true),
            ("arn:aws:iam::111122223333:role/admin", false),
            ("arn:aws:iam::111122223333:role/", false),
            ("arn:aws:iam::44*:role/Admin", false),
            ("arn:aws-cn:iam::111122223333:role/Admin", false),
        ];
        for (pattern, fits) in cases {
            assert_eq!(ArnPattern::parse(pattern).unwrap().matches(ROLE), fits, "{pattern}");
        }
        assert!(!ArnPattern::parse("*:*:*:*:*:*").unwrap().matches("not-an-arn"));
        for text in ["*", "arn:aws:iam::*", "arn:*", ""] {
            assert_eq!(ArnPattern::parse(text), Err(ArnPatternError::Sections(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn immunity_08_a_question_mark_is_exactly_one_and_a_star_stays_in_its_section() {
        let cases = [
            ("arn:aws:iam::111122223333:role/Admin?", "arn:aws:iam::111122223333:role/Admin", false),
            ("arn:aws:iam::111122223333:role/Admin?", "arn:aws:iam::111122223333:role/Admin1", true),
            ("arn:aws:iam::111122223333:role/Admin?", "arn:aws:iam::111122223333:role/Admin12", false),
            ("arn:aws:iam::11112222333?:root", "arn:aws:iam::11112222333:root", false),
            ("arn:aws:iam::111122223333:role/?dmin", ROLE, true),
            // `*` in the service must not swallow the account.
            ("arn:aws:*:role/Admin:x:y", "arn:aws:iam::111122223333:role/Admin", false),
            ("arn:aws:iam*::111122223333:role/A*n", ROLE, true),
            ("arn:aws:i*3:::role/Admin", "arn:aws:iam::111122223333:role/Admin", false),
            // The last section is the rest, colons and all.
            ("arn:aws:x:r:a:one:*", "arn:aws:x:r:a:one:two:three", true),
        ];
        for (pattern, arn, fits) in cases {
            assert_eq!(ArnPattern::parse(pattern).unwrap().matches(arn), fits, "{pattern} on {arn}");
        }
    }
}

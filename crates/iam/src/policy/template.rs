//! Values with wildcards and variables: `arn:…:home/${aws:username}/*`.

use super::context::ConditionKeys;
use super::err::PolicyFault;
use crate::arn::{Token, tokens_match, wildcard_matches};

/// A value as written in a policy, with its variables found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Text, in which wildcards are wildcards (where the operator has any).
    Text(Box<str>),
    /// `${*}`, `${?}`, `${$}`: the character itself.
    Escaped(char),
    /// A variable: the condition key in lower case, and what to take when it is absent.
    Variable { key: Box<str>, default: Option<Box<str>> },
}

/// A variable has no single value, and no default: the comparison has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unresolved;

impl Template {
    /// Finds the variables. `allowed` is whether there may be any; where not, `${` is refused, for the author meant one.
    pub(super) fn parse(text: &str, allowed: bool) -> Result<Self, PolicyFault> {
        let fault = || PolicyFault::Variable(text.to_owned());
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (inside, tail) = after.split_once('}').ok_or_else(fault)?;
            if !allowed {
                return Err(fault());
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(variable(inside).ok_or_else(fault)?);
            rest = tail;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self { pieces })
    }

    /// The text, where there is no variable in it.
    fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before the first variable, or the first wildcard where there are any, and whether that is all of it.
    pub(super) fn fixed_beginning(&self, wildcards: bool) -> (String, bool) {
        let mut fixed = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Escaped(character) => fixed.push(*character),
                Piece::Variable { .. } => return (fixed, false),
                Piece::Text(text) => {
                    let end = text.find(['*', '?']).filter(|_| wildcards);
                    fixed.push_str(end.and_then(|end| text.get(..end)).unwrap_or(text));
                    if end.is_some() {
                        return (fixed, false);
                    }
                }
            }
        }
        (fixed, true)
    }

    /// Whether the text is this value; wildcards are ordinary characters.
    pub(super) fn equals(
        &self,
        text: &str,
        ignore_case: bool,
        keys: &ConditionKeys,
    ) -> Result<bool, Unresolved> {
        let same = |a: &str, b: &str| if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b };
        if let Some(plain) = self.plain() {
            return Ok(same(plain, text));
        }
        let mut value = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Escaped(character) => value.push(*character),
                Piece::Variable { key, default } => value.push_str(resolve(key, default.as_deref(), keys)?),
            }
        }
        Ok(same(&value, text))
    }

    /// Whether the text fits this pattern. What a variable stands for is taken literally, wildcards and all.
    pub(super) fn matches(&self, text: &str, keys: &ConditionKeys) -> Result<bool, Unresolved> {
        if let Some(plain) = self.plain() {
            return Ok(wildcard_matches(plain, text));
        }
        let mut tokens = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => tokens.extend(text.chars().map(Token::of)),
                Piece::Escaped(character) => tokens.push(Token::Char(*character)),
                Piece::Variable { key, default } => {
                    tokens.extend(resolve(key, default.as_deref(), keys)?.chars().map(Token::Char));
                }
            }
        }
        Ok(tokens_match(tokens.iter().copied(), text.chars()))
    }
}

fn variable(inside: &str) -> Option<Piece> {
    match inside {
        "*" => return Some(Piece::Escaped('*')),
        "?" => return Some(Piece::Escaped('?')),
        "$" => return Some(Piece::Escaped('$')),
        _ => {}
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => (key, Some(default.trim().strip_prefix('\'')?.strip_suffix('\'')?)),
        None => (inside, None),
    };
    let key = key.trim();
    let is_key =
        key.contains(':') && key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'$' && byte != b'{');
    is_key.then(|| Piece::Variable { key: key.to_ascii_lowercase().into(), default: default.map(Into::into) })
}

fn resolve<'a>(key: &str, default: Option<&'a str>, keys: &'a ConditionKeys) -> Result<&'a str, Unresolved> {
    match keys.get_folded(key) {
        Some([value]) => Ok(value),
        Some(_) => Err(Unresolved),
        None => default.ok_or(Unresolved),
    }
}

/// A pattern over ARNs with variables in its sections. The sections are told apart before variables are filled in, so
/// that no value can reach into the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArnTemplate {
    /// `*` alone: everything.
    Any,
    /// Six sections.
    Sections(Box<[Template; 6]>),
}

impl ArnTemplate {
    /// Reads `*` or six sections; `None` when it is neither.
    pub(super) fn parse(text: &str, variables: bool) -> Result<Option<Self>, PolicyFault> {
        if text == "*" {
            return Ok(Some(Self::Any));
        }
        let sections = split_sections(text);
        let mut templates = Vec::with_capacity(sections.len());
        for section in sections {
            templates.push(Template::parse(section, variables)?);
        }
        Ok(<[Template; 6]>::try_from(templates).ok().map(|sections| Self::Sections(Box::new(sections))))
    }

    /// Whether the text is an ARN that fits.
    pub(super) fn matches(&self, arn: &str, keys: &ConditionKeys) -> Result<bool, Unresolved> {
        let Self::Sections(sections) = self else { return Ok(true) };
        let mut parts = arn.splitn(6, ':');
        for template in sections.iter() {
            let Some(part) = parts.next() else { return Ok(false) };
            if !template.matches(part, keys)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Splits at the first five colons outside of `${…}`.
fn split_sections(text: &str) -> Vec<&str> {
    let mut sections = Vec::with_capacity(6);
    let (mut rest, mut from) = (text, 0);
    while sections.len() < 5 {
        let tail = rest.get(from..).unwrap_or_default();
        let Some(colon) = tail.find(':') else { break };
        match tail.find("${") {
            Some(open) if open < colon => {
                let Some(close) = tail.get(open..).and_then(|inside| inside.find('}')) else { break };
                from += open + close + 1;
            }
            _ => {
                let (section, after) = rest.split_at_checked(from + colon).unwrap_or((rest, ""));
                sections.push(section);
                rest = after.strip_prefix(':').unwrap_or(after);
                from = 0;
            }
        }
    }
    sections.push(rest);
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> ConditionKeys {
        let mut keys = ConditionKeys::new();
        keys.set("aws:username", "ana")
            .set("aws:PrincipalTag/Glob", "a*:?")
            .set_all("aws:TagKeys", ["a".into(), "b".into()]);
        keys
    }

    fn matches(pattern: &str, text: &str) -> Result<bool, Unresolved> {
        Template::parse(pattern, true).unwrap().matches(text, &keys())
    }

    #[test]
    fn a_variable_stands_for_its_value_taken_literally() {
        let cases = [
            ("home/${aws:username}/*", "home/ana/x", Ok(true)),
            ("home/${AWS:UserName}/*", "home/bob/x", Ok(false)),
            ("${aws:PrincipalTag/Glob}", "a*:?", Ok(true)),
            ("${aws:PrincipalTag/Glob}", "abc:d", Ok(false)),
            ("${aws:nobody, 'guest'}-?", "guest-1", Ok(true)),
            ("${aws:username, 'guest'}", "guest", Ok(false)),
            ("${aws:nobody}", "", Err(Unresolved)),
            ("${aws:TagKeys}", "a", Err(Unresolved)),
            ("a${*}b", "a*b", Ok(true)),
            ("a${*}b", "axb", Ok(false)),
            ("a${?}${$}", "a?$", Ok(true)),
            ("", "", Ok(true)),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(matches(pattern, text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_malformed_variable_is_refused() {
        for text in
            ["${", "${aws:username", "${}", "${username}", "${aws:a, b}", "${aws:a, 'b}", "${${aws:a}}"]
        {
            assert_eq!(Template::parse(text, true), Err(PolicyFault::Variable(text.to_owned())), "{text}");
        }
        assert!(Template::parse("${aws:username}", false).is_err());
        assert!(Template::parse("$aws", false).is_ok());
    }

    #[test]
    fn a_value_cannot_reach_into_the_next_section() {
        let arn = |text: &str| ArnTemplate::parse(text, true).unwrap();
        let pattern = arn("arn:aws:s3:::${aws:PrincipalTag/Glob}").unwrap();
        assert_eq!(pattern.matches("arn:aws:s3:::a*:?", &keys()), Ok(true));
        let pattern = arn("arn:aws:${aws:PrincipalTag/Glob}::1:x").unwrap();
        assert_eq!(pattern.matches("arn:aws:a*:?::1:x", &keys()), Ok(false));
        assert_eq!(arn("*").unwrap().matches("anything", &keys()), Ok(true));
        for text in ["arn:aws:s3", "${aws:username}", "s3*", ""] {
            assert_eq!(arn(text), None, "{text}");
        }
    }
}

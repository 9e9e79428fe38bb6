//! The query of a token: the allow-list of its parameters.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::err::{TokenError, shown};
use super::parse::cut;
use crate::sigv4::{decode_into, has_valid_escapes};

/// The parameters that a token may have, in the order of a canonical query (the signature, which is not part of one,
/// last).
const NAMES: [&str; COUNT] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

const COUNT: usize = 9;

/// The values of a token's parameters, decoded.
#[derive(Default)]
pub(super) struct TokenQuery<'a> {
    pub(super) action: Option<Cow<'a, str>>,
    pub(super) version: Option<Cow<'a, str>>,
    pub(super) algorithm: Option<Cow<'a, str>>,
    pub(super) credential: Option<Cow<'a, str>>,
    pub(super) date: Option<Cow<'a, str>>,
    pub(super) expires: Option<Cow<'a, str>>,
    pub(super) security_token: Option<Cow<'a, str>>,
    pub(super) signed_headers: Option<Cow<'a, str>>,
    pub(super) signature: Option<Cow<'a, str>>,
}

impl<'a> TokenQuery<'a> {
    /// Reads a query: well formed as a whole, then no name in two spellings, then none outside the list, then none
    /// twice. Names are compared ignoring letter case and never decoded, so an escaped name is one outside the list.
    pub(super) fn parse(query: &'a str) -> Result<Self, TokenError> {
        if memchr(b';', query.as_bytes()).is_some() || !has_valid_escapes(query) {
            return Err(TokenError::Query);
        }
        let mut spelled: [Option<&str>; COUNT] = [None; COUNT];
        let mut parsed = Self::default();
        let (mut duplicate, mut not_allowed, mut repeated) = (None, None, None);
        // No query has no parameters; otherwise an empty one is a parameter outside the list.
        let mut rest = Some(query).filter(|query| !query.is_empty());
        while let Some(parameters) = rest {
            let (parameter, others) = cut(parameters, b'&');
            rest = others;
            let (name, value) = cut(parameter, b'=');
            let value = value.unwrap_or_default();
            let slots = NAMES.iter().zip(&mut spelled).zip(parsed.slots());
            let known = slots.into_iter().find(|((known, _), _)| known.eq_ignore_ascii_case(name));
            let Some(((known, spelling), slot)) = known else {
                not_allowed = not_allowed.or(Some(name));
                continue;
            };
            match spelling.replace(name) {
                None => *slot = Some(decode(value)?),
                Some(before) if before == name => repeated = repeated.or(Some(*known)),
                Some(_) => duplicate = duplicate.or(Some(*known)),
            }
        }
        match (duplicate, not_allowed, repeated) {
            (Some(name), _, _) => Err(TokenError::DuplicateParameter(name)),
            (None, Some(name), _) => Err(TokenError::ParameterNotAllowed(shown(name))),
            (None, None, Some(name)) => Err(TokenError::RepeatedParameter(name)),
            (None, None, None) => Ok(parsed),
        }
    }

    /// The fields in the order of [`NAMES`].
    fn slots(&mut self) -> [&mut Option<Cow<'a, str>>; COUNT] {
        [
            &mut self.action,
            &mut self.version,
            &mut self.algorithm,
            &mut self.credential,
            &mut self.date,
            &mut self.expires,
            &mut self.security_token,
            &mut self.signed_headers,
            &mut self.signature,
        ]
    }
}

/// A decoded value; borrowed when there is nothing to decode.
fn decode(value: &str) -> Result<Cow<'_, str>, TokenError> {
    let escapes = memchr_iter(b'%', value.as_bytes()).count();
    if escapes == 0 && memchr(b'+', value.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(value));
    }
    // As long as it comes to be: a secret that grows or shrinks leaves copies behind.
    let mut bytes = Vec::with_capacity(value.len().saturating_sub(2 * escapes));
    decode_into(value, &mut bytes);
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| TokenError::Query)
}

//! A JWT taken apart (RFC 7519, as a JWS in compact form, RFC 7515 section 7.1). Nothing is verified here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lanyard_kit::json::{Bounds, JsonFault, read_object};
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::refusal::{JwtPart, JwtRefusal};
use crate::shown::shown;

/// Longest token, in bytes: as long as AWS STS takes a web identity's. One with 200 groups of Entra ID, which gives no more, has
/// 10 KiB.
pub const TOKEN_BYTES_MAX: usize = 20_000;
/// Longest header, in bytes of base64: some have a chain of certificates in it, which is not read.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;
/// Longest key id, in bytes; those in use are digests or UUIDs.
pub const KID_BYTES_MAX: usize = 256;
/// The header is flat but for a key or a list of certificates.
const HEADER_BOUNDS: Bounds = Bounds { depth_max: 4, items_max: 64 };
/// Claims nest to Keycloak's `resource_access.<client>.roles`, and a little more; the longest lists are of groups.
const CLAIMS_BOUNDS: Bounds = Bounds { depth_max: 8, items_max: 1_000 };

/// A token's header, as far as it is used. Where a token says its key lies (`jku`, `x5u`), or brings one along (`jwk`,
/// `x5c`), is never read: keys are the issuer's own, found by its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtHeader {
    /// What the token says it is signed with. The key decides whether that is so.
    pub algorithm: Algorithm,
    /// Which key of the issuer, if it says so.
    pub kid: Option<String>,
}

/// A token whose parts have been read, and nothing verified.
pub struct Jwt<'t> {
    pub(crate) signed: Signed<'t>,
    pub(crate) members: Map<String, Value>,
}

/// What a signature is over, and the signature.
pub(crate) struct Signed<'t> {
    pub(crate) header: JwtHeader,
    pub(crate) input: &'t str,
    pub(crate) signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`JwtRefusal`] when it has another form, is too long, is not signed, or not by a key that only its issuer has.
    pub fn parse(raw: &'t str) -> Result<Self, JwtRefusal> {
        if raw.len() > TOKEN_BYTES_MAX {
            return Err(JwtRefusal::TooLong(raw.len()));
        }
        let (input, signature) = raw.rsplit_once('.').ok_or(JwtRefusal::Parts)?;
        let (header, payload) = input.split_once('.').ok_or(JwtRefusal::Parts)?;
        // Five parts are an encrypted token (RFC 7516), which no issuer sends to whom it gave no key.
        if payload.contains('.') {
            return Err(JwtRefusal::Parts);
        }
        if header.len() > HEADER_BYTES_MAX {
            return Err(JwtRefusal::HeaderTooLong(header.len()));
        }
        let header = judge_header(&object(header, JwtPart::Header, HEADER_BOUNDS)?)?;
        let members = object(payload, JwtPart::Payload, CLAIMS_BOUNDS)?;
        let signature = decode(signature, JwtPart::Signature)?;
        Ok(Self { signed: Signed { header, input, signature }, members })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &JwtHeader {
        &self.signed.header
    }

    /// Who the token says has issued it, to find out who is to verify that. Good for nothing else.
    #[must_use]
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.members.get("iss")?.as_str()
    }
}

impl fmt::Debug for Jwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has the token is its bearer, so it does not print.
        f.debug_struct("Jwt").field("header", &self.signed.header).finish_non_exhaustive()
    }
}

/// Whether the text could be a JWT at all: three parts, the first of which begins as a JSON object does in base64.
#[must_use]
pub fn looks_like_jwt(raw: &str) -> bool {
    // `{` and then a quote or a blank, or a line break or a tab.
    (raw.starts_with("ey") || raw.starts_with("ew")) && raw.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Longest token of which the issuer is looked for, in bytes: so much longer than a token may be that one which is too long is
/// refused by name.
const PEEKED_BYTES_MAX: usize = 4 * TOKEN_BYTES_MAX;

/// Who a token says has issued it, be it in order or not: to find out whether a refusal of it is anybody's here to tell. Good
/// for nothing else.
#[must_use]
pub fn unverified_issuer(raw: &str) -> Option<String> {
    if raw.len() > PEEKED_BYTES_MAX {
        return None;
    }
    let (input, _) = raw.rsplit_once('.')?;
    let (_, payload) = input.split_once('.')?;
    let members = object(payload, JwtPart::Payload, CLAIMS_BOUNDS).ok()?;
    members.get("iss")?.as_str().map(str::to_owned)
}

/// RFC 7515 section 4.1.
fn judge_header(members: &Map<String, Value>) -> Result<JwtHeader, JwtRefusal> {
    let algorithm = match members.get("alg").and_then(Value::as_str) {
        None => return Err(JwtRefusal::AlgorithmMissing),
        // Any letter case: there have been libraries that refused `none` and took `None`.
        Some(name) if name.eq_ignore_ascii_case("none") => return Err(JwtRefusal::Unsigned),
        Some(name @ ("HS256" | "HS384" | "HS512")) => return Err(JwtRefusal::Symmetric(name.to_owned())),
        Some(name) => Algorithm::parse(name).ok_or_else(|| JwtRefusal::AlgorithmUnknown(shown(name)))?,
    };
    // Whatever it lists would have to be understood (section 4.1.11); nothing that could be listed is.
    if members.contains_key("crit") {
        return Err(JwtRefusal::Critical);
    }
    judge_type(members.get("typ"))?;
    let kid = match members.get("kid") {
        None => None,
        Some(Value::String(kid)) if (1..=KID_BYTES_MAX).contains(&kid.len()) => Some(kid.clone()),
        Some(_) => return Err(JwtRefusal::KeyId),
    };
    Ok(JwtHeader { algorithm, kid })
}

/// `JWT`, or nothing, as an ID token has it (RFC 7519 section 5.1; media types have no letter case, and `application/` may
/// be left out). An issuer signs other things with the same keys, for the same audience: access tokens (`at+jwt`, RFC 9068)
/// and logout tokens (`logout+jwt`) are no proof that somebody is logging in, and their types are there to tell them apart.
fn judge_type(typ: Option<&Value>) -> Result<(), JwtRefusal> {
    match typ {
        None => Ok(()),
        Some(Value::String(typ)) if typ.eq_ignore_ascii_case("jwt") => Ok(()),
        Some(Value::String(typ)) if typ.eq_ignore_ascii_case("application/jwt") => Ok(()),
        Some(Value::String(typ)) => Err(JwtRefusal::Type(shown(typ))),
        Some(_) => Err(JwtRefusal::Type(String::new())),
    }
}

fn decode(text: &str, part: JwtPart) -> Result<Vec<u8>, JwtRefusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtRefusal::Encoding(part))
}

fn object(text: &str, part: JwtPart, bounds: Bounds) -> Result<Map<String, Value>, JwtRefusal> {
    read_object(&decode(text, part)?, bounds).map_err(|fault| match fault {
        JsonFault::Syntax | JsonFault::NotAnObject => JwtRefusal::Json(part),
        JsonFault::Duplicate(name) => JwtRefusal::DuplicateMember { part, name: shown(&name) },
        JsonFault::TooDeep(_) | JsonFault::TooMany(_) => JwtRefusal::TooMuch(part),
    })
}

#[cfg(test)]
mod tests;

//! What an issuer says about somebody: whether it may be believed here and now, and how it is read.

mod access;

use std::fmt;

use serde_json::{Map, Number, Value};
use time::{Duration, OffsetDateTime};

use crate::refusal::{JwtPart, JwtRefusal};
use crate::shown::shown;

pub use access::{CLAIM_BYTES_MAX, EmailVerified};

/// How far an issuer's clock may be ahead of ours, for `nbf` and `iat` (RFC 7519 section 4.1.5 speaks of "a few minutes" at
/// most). `exp` has none: a token that is past its time by one clock of two is not worth a doubt.
pub const CLOCK_LEEWAY: Duration = Duration::minutes(1);
/// Longest subject, in bytes (OpenID Connect Core section 2: at most 255 ASCII characters).
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Most audiences of one token. Keycloak lists every client for which somebody has a role.
pub const AUDIENCES_MAX: usize = 64;

/// The claims of a verified token. There is no way to have them but from one ([`crate::verify()`], [`crate::Provider`]).
#[derive(Clone, PartialEq)]
pub struct Claims {
    members: Map<String, Value>,
    issuer: String,
    subject: String,
    audiences: Vec<String>,
    expires_at: OffsetDateTime,
    not_before: Option<OffsetDateTime>,
    issued_at: Option<OffsetDateTime>,
}

impl Claims {
    /// Judges what has to hold for any ID token (OpenID Connect Core section 3.1.3.7, RFC 7519 section 4.1), at a time.
    pub(crate) fn judge<A: AsRef<str>>(
        members: Map<String, Value>,
        issuer: &str,
        audiences: &[A],
        now: OffsetDateTime,
    ) -> Result<Self, JwtRefusal> {
        let found = required_text(&members, "iss")?;
        // Byte for byte: issuers that differ in letter case, a slash or an escape are different issuers.
        if found != issuer {
            return Err(JwtRefusal::Issuer { found: shown(found), expected: shown(issuer) });
        }
        let is_expected = |audience: &str| audiences.iter().any(|expected| expected.as_ref() == audience);
        let of_token = audiences_of(&members)?;
        judge_audiences(&members, &of_token, is_expected)?;
        let date = |part: JwtPart| date_of(&members, part);
        let expires_at = date(JwtPart::Exp)?.ok_or_else(|| JwtRefusal::ClaimMissing("exp".to_owned()))?;
        if now >= expires_at {
            return Err(JwtRefusal::Expired(expires_at));
        }
        let latest = now.saturating_add(CLOCK_LEEWAY);
        let not_before = date(JwtPart::Nbf)?;
        if let Some(not_before) = not_before.filter(|date| *date > latest) {
            return Err(JwtRefusal::NotYetValid(not_before));
        }
        let issued_at = date(JwtPart::Iat)?;
        if let Some(issued_at) = issued_at.filter(|date| *date > latest) {
            return Err(JwtRefusal::IssuedInFuture(issued_at));
        }
        let subject = required_text(&members, "sub")?;
        let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if !(1..=SUBJECT_BYTES_MAX).contains(&subject.len()) || !subject.bytes().all(printable) {
            return Err(JwtRefusal::Subject);
        }
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        Ok(Self { members, issuer, subject, audiences: of_token, expires_at, not_before, issued_at })
    }

    /// The same for whatever issuer and audiences the token names.
    pub(crate) fn judge_as_it_says(
        members: Map<String, Value>,
        now: OffsetDateTime,
    ) -> Result<Self, JwtRefusal> {
        let issuer = required_text(&members, "iss")?.to_owned();
        let mut audiences = audiences_of(&members)?;
        audiences.extend(present(&members, "azp").and_then(Value::as_str).map(str::to_owned));
        Self::judge(members, &issuer, &audiences, now)
    }

    /// `iss`, which is the configured issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: who it is, for as long as the issuer lives. Printable ASCII.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `aud`: for whom the token is; at least one of them was expected.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `exp`: from when on the token is not good any more.
    #[must_use]
    pub fn expires_at(&self) -> OffsetDateTime {
        self.expires_at
    }

    /// `nbf`: from when on it is good.
    #[must_use]
    pub fn not_before(&self) -> Option<OffsetDateTime> {
        self.not_before
    }

    /// `iat`: when it was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<OffsetDateTime> {
        self.issued_at
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest is about a person.
        let names: Vec<&String> = self.members.keys().collect();
        let mut shown = f.debug_struct("Claims");
        shown.field("issuer", &self.issuer).field("subject", &self.subject).field("names", &names);
        shown.field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A claim; `null` is none.
fn present<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn required_text<'m>(members: &'m Map<String, Value>, name: &str) -> Result<&'m str, JwtRefusal> {
    let value = present(members, name).ok_or_else(|| JwtRefusal::ClaimMissing(name.to_owned()))?;
    value.as_str().ok_or_else(|| wrong_type(name, "text"))
}

fn wrong_type(name: &str, expected: &'static str) -> JwtRefusal {
    JwtRefusal::ClaimType { name: shown(name), expected }
}

/// One audience as text, or a list of them (RFC 7519 section 4.1.3).
fn audiences_of(members: &Map<String, Value>) -> Result<Vec<String>, JwtRefusal> {
    let wrong = || wrong_type("aud", "text or a list of texts");
    match present(members, "aud") {
        None => Err(JwtRefusal::ClaimMissing("aud".to_owned())),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(list)) if list.len() > AUDIENCES_MAX => {
            Err(JwtRefusal::TooManyAudiences(list.len()))
        }
        Some(Value::Array(list)) => {
            list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// One audience has to be expected. Where there are several, the token may have been got by another of them, which `azp`
/// tells: then it has to be one of ours too (OpenID Connect Core section 3.1.3.7, points 3 to 5). With one audience `azp`
/// may be another party, such as an Android client that Google lets ask for a token for its server.
fn judge_audiences(
    members: &Map<String, Value>,
    of_token: &[String],
    is_expected: impl Fn(&str) -> bool,
) -> Result<(), JwtRefusal> {
    if !of_token.iter().any(|audience| !audience.is_empty() && is_expected(audience)) {
        return Err(JwtRefusal::Audience(of_token.first().map(|first| shown(first)).unwrap_or_default()));
    }
    let party = match present(members, "azp") {
        None => return Ok(()),
        Some(party) => party.as_str().ok_or_else(|| wrong_type("azp", "text"))?,
    };
    if of_token.len() > 1 && !is_expected(party) {
        return Err(JwtRefusal::AuthorizedParty(shown(party)));
    }
    Ok(())
}

/// A NumericDate (RFC 7519 section 2): seconds since 1970, which need not be whole; a part of a second is left away.
fn date_of(members: &Map<String, Value>, part: JwtPart) -> Result<Option<OffsetDateTime>, JwtRefusal> {
    let refused = || JwtRefusal::Date(part);
    let Some(value) = present(members, part.as_str()) else { return Ok(None) };
    let Value::Number(number) = value else { return Err(refused()) };
    let seconds = whole_seconds(number).ok_or_else(refused)?;
    OffsetDateTime::from_unix_timestamp(seconds).map(Some).map_err(|_| refused())
}

fn whole_seconds(number: &Number) -> Option<i64> {
    /// The first second of the year 10000: no date here is later, and each whole number below it is exact in a float.
    const SECONDS_END: f64 = 253_402_300_800.0;
    if let Some(whole) = number.as_i64() {
        return Some(whole).filter(|seconds| *seconds >= 0);
    }
    number.as_f64().filter(|seconds| (0.0..SECONDS_END).contains(seconds)).map(|seconds| seconds as i64)
}

#[cfg(test)]
mod tests;

//! Judging a token, part by part.

use std::borrow::Cow;

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};
use memchr::memchr;
use secrecy::{ExposeSecretMut as _, SecretSlice};
use time::OffsetDateTime;

use super::err::{TokenError, shown};
use super::parsed::ParsedToken;
use super::query::TokenQuery;
use super::rules::{AcceptedHost, TokenRules};
use super::{CLUSTER_ID_HEADER, TOKEN_AGE_MAX, TOKEN_BYTES_MAX, TOKEN_PREFIX, TOKEN_SERVICE, TokenLife};
use crate::id::{AccessKeyId, Region, SessionToken};
use crate::sigv4::{ALGORITHM, AmzDate, SCOPE_END, Signature};

/// Longest API version; a date has ten characters.
const VERSION_BYTES_MAX: usize = 32;

impl ParsedToken {
    /// Judges a token by the whole allow-list, in this order: length, prefix, encoding, URL (scheme, user, host, path,
    /// fragment), query, parameter names, and each parameter. What is left to verify is the signature.
    ///
    /// # Errors
    /// The first part that is refused.
    pub fn parse(raw: &str, rules: &TokenRules, now: OffsetDateTime) -> Result<Self, TokenError> {
        if raw.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong(raw.len()));
        }
        let encoded = raw.strip_prefix(TOKEN_PREFIX).ok_or(TokenError::Prefix)?;
        // A slice is wiped at once, and a vector byte by byte.
        let mut buffer = SecretSlice::from(vec![0u8; encoded.len().div_ceil(4) * 3]);
        let decoded = URL_SAFE_NO_PAD
            .decode(encoded.as_bytes(), buffer.expose_secret_mut().as_out())
            .map_err(|_| TokenError::Encoding)?;
        if !is_graphic(decoded) {
            return Err(TokenError::Url);
        }
        judge_url(
            std::str::from_utf8(decoded).map_err(|_| TokenError::Url)?,
            rules,
            now,
            judge_signed_headers,
        )
    }
}

/// Judges a presigned URL of visible ASCII characters by the allow-list; what it may sign beside, `signed_headers` says of the list.
pub(super) fn judge_url<E: From<TokenError>>(
    text: &str,
    rules: &TokenRules,
    now: OffsetDateTime,
    signed_headers: impl FnOnce(&str) -> Result<(), E>,
) -> Result<ParsedToken, E> {
    let url = Url::split(text)?;
    let accepted = url.judge(rules)?;
    judge_parameters(TokenQuery::parse(url.query)?, url.host, (rules, &accepted), now, signed_headers)
}

/// A URL cut at its delimiters.
struct Url<'a> {
    scheme: &'a str,
    has_user: bool,
    host: &'a str,
    path: &'a str,
    query: &'a str,
    has_fragment: bool,
}

impl<'a> Url<'a> {
    fn split(text: &'a str) -> Result<Self, TokenError> {
        let (scheme, rest) = cut(text, b':');
        let rest = rest.and_then(|rest| rest.strip_prefix("//")).ok_or(TokenError::Url)?;
        let is_scheme = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        if !is_scheme(scheme) {
            return Err(TokenError::Url);
        }
        let (rest, fragment) = cut(rest, b'#');
        let (rest, query) = cut(rest, b'?');
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        Ok(Self {
            scheme,
            has_user: user.is_some(),
            host,
            path,
            query: query.unwrap_or_default(),
            has_fragment: fragment.is_some(),
        })
    }

    fn judge<'r>(&self, rules: &'r TokenRules) -> Result<AcceptedHost<'r>, TokenError>
    where
        'a: 'r,
    {
        // Letter case counts in hosts, but not in schemes: URL parsers fold these.
        if !self.scheme.eq_ignore_ascii_case("https") {
            return Err(TokenError::Scheme);
        }
        if self.has_user {
            return Err(TokenError::UserInfo);
        }
        let accepted = rules.judge_host(self.host)?;
        if self.path != "/" {
            return Err(TokenError::Path);
        }
        if self.has_fragment { Err(TokenError::Fragment) } else { Ok(accepted) }
    }
}

/// What stands before the first of these bytes, and after it.
pub(super) fn cut(text: &str, byte: u8) -> (&str, Option<&str>) {
    let at = memchr(byte, text.as_bytes());
    let halves = at.and_then(|at| text.get(..at).zip(text.get(at + 1..)));
    halves.map_or((text, None), |(before, after)| (before, Some(after)))
}

fn judge_parameters<E: From<TokenError>>(
    query: TokenQuery<'_>,
    host: &str,
    (rules, accepted): (&TokenRules, &AcceptedHost<'_>),
    now: OffsetDateTime,
    judge_signed: impl FnOnce(&str) -> Result<(), E>,
) -> Result<ParsedToken, E> {
    if query.action.as_deref() != Some("GetCallerIdentity") {
        return Err(TokenError::Action.into());
    }
    if !query.version.as_deref().is_none_or(is_version) {
        return Err(TokenError::Version.into());
    }
    let signed_headers = query.signed_headers.ok_or(TokenError::SignedHeadersMissing)?;
    judge_signed(&signed_headers)?;
    let expires =
        seconds(query.expires.as_deref().ok_or(TokenError::ExpiresMissing)?).ok_or(TokenError::Expires)?;
    let date = query.date.as_deref().ok_or(TokenError::DateMissing)?;
    let date = AmzDate::parse(date).ok_or(TokenError::DateMalformed)?;
    let life = TokenLife::of(date.at());
    life.judge(now)?;
    if query.algorithm.as_deref() != Some(ALGORITHM) {
        return Err(TokenError::Algorithm.into());
    }
    let credential = query.credential.ok_or(TokenError::CredentialMissing)?;
    let (access_key_id, region) = judge_credential(&credential, rules, accepted, &date)?;
    if *accepted == AcceptedHost::Own && !access_key_id.is_local() {
        return Err(TokenError::KeyOfOthers { host: shown(host) }.into());
    }
    if !query.security_token.as_deref().is_none_or(is_security_token) {
        return Err(TokenError::SecurityToken.into());
    }
    let signature = query.signature.as_deref().ok_or(TokenError::SignatureMissing)?;
    let signature = Signature::parse(signature).ok_or(TokenError::SignatureMalformed)?;
    Ok(ParsedToken {
        host: host.into(),
        region: region.into(),
        self_hosted: match accepted {
            AcceptedHost::SelfHosted(authority) => Some(authority.name().into()),
            AcceptedHost::Aws(_) | AcceptedHost::Own => None,
        },
        access_key_id,
        date,
        life,
        expires,
        version: query.version.map(owned),
        credential: owned(credential),
        signed_headers: owned(signed_headers),
        session_token: query.security_token.map(|token| SessionToken::new(token.into_owned())),
        signature,
    })
}

/// What was decoded is taken over, not copied.
fn owned(text: Cow<'_, str>) -> Box<str> {
    text.into_owned().into_boxed_str()
}

/// Whether all is ASCII that can be seen. It does not stop early, which lets the machine look at many bytes at once.
pub(super) fn is_graphic(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_graphic())
}

fn is_version(text: &str) -> bool {
    text.len() <= VERSION_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

fn is_security_token(text: &str) -> bool {
    !text.is_empty() && is_graphic(text.as_bytes())
}

/// Exactly `host` and the cluster's header: another one's value would not be known here, so nobody could verify it.
fn judge_signed_headers(list: &str) -> Result<(), TokenError> {
    let (mut host, mut cluster_id) = (0, 0);
    let mut unknown = None;
    for name in list.split(';') {
        if name.eq_ignore_ascii_case("host") {
            host += 1;
        } else if name.eq_ignore_ascii_case(CLUSTER_ID_HEADER) {
            cluster_id += 1;
        } else {
            unknown = unknown.or(Some(name));
        }
    }
    match (cluster_id, host, unknown) {
        (0, _, _) => Err(TokenError::ClusterIdNotSigned),
        (_, 0, _) => Err(TokenError::HostNotSigned),
        (_, _, Some(name)) => Err(TokenError::UnknownSignedHeader(shown(name))),
        (1, 1, None) => Ok(()),
        (_, _, None) => Err(TokenError::UnknownSignedHeader(shown(list))),
    }
}

/// Digits alone, in the one spelling, up to 15 minutes.
fn seconds(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let seconds: u16 = is_plain.then(|| text.parse().ok()).flatten()?;
    (i64::from(seconds) <= TOKEN_AGE_MAX.whole_seconds()).then_some(seconds)
}

/// Key and region of `KEY/YYYYMMDD/REGION/sts/aws4_request`, which are of the host's region and the date's day.
fn judge_credential<'t>(
    text: &'t str,
    rules: &TokenRules,
    accepted: &AcceptedHost<'_>,
    date: &AmzDate,
) -> Result<(AccessKeyId, &'t str), TokenError> {
    let mut parts = text.split('/');
    let (Some(key), Some(day), Some(region), Some(service), Some(SCOPE_END), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Credential);
    };
    let key = AccessKeyId::parse(key).map_err(|_| TokenError::Credential)?;
    let (is_accepted, expected) = match accepted {
        AcceptedHost::Aws(of_host) => (region == *of_host, *of_host),
        AcceptedHost::SelfHosted(authority) => {
            (region == authority.region().as_str(), authority.region().as_str())
        }
        AcceptedHost::Own => {
            (Region::parse(region).is_ok() && rules.accepts_region(region), rules.region.as_str())
        }
    };
    if !is_accepted {
        return Err(TokenError::ScopeRegion { found: shown(region), expected: expected.to_owned() });
    }
    if service != TOKEN_SERVICE {
        return Err(TokenError::ScopeService(shown(service)));
    }
    if day != date.day() { Err(TokenError::ScopeDay) } else { Ok((key, region)) }
}

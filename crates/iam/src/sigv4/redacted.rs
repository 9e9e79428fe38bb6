//! A canonical request as people may see it: without the secrets that a request bears.

use sha2::{Digest as _, Sha256};

use super::HttpRequest;

/// Longest text: more than any client of AWS signs but for one that sends a session token, which is not shown.
const BYTES_MAX: usize = 8 * 1024;

/// Headers whose value lets somebody in.
const SECRET_HEADERS: [&str; 4] = ["x-amz-security-token", "authorization", "proxy-authorization", "cookie"];

/// The same of parameters: a session's, and that of a web identity (STS).
const SECRET_PARAMETERS: [&str; 2] = ["X-Amz-Security-Token", "WebIdentityToken"];

/// What `write` makes of a request and its canonical query, once their secrets are out of both.
pub(super) fn canonical(
    request: &HttpRequest<'_>,
    query: &str,
    write: impl FnOnce(&HttpRequest<'_>, &str) -> String,
) -> String {
    let is_one_of = |names: &[&str], name: &str| names.iter().any(|secret| secret.eq_ignore_ascii_case(name));
    let values: Vec<(&str, String)> = request
        .headers
        .iter()
        .map(|(name, value)| match is_one_of(&SECRET_HEADERS, name) {
            true => (*name, hidden(value)),
            false => (*name, (*value).to_owned()),
        })
        .collect();
    let headers: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let parameters: Vec<String> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, value)) if is_one_of(&SECRET_PARAMETERS, name) => format!("{name}={}", hidden(value)),
            _ => parameter.to_owned(),
        })
        .collect();
    let mut text = write(&HttpRequest { headers: &headers, ..*request }, &parameters.join("&"));
    if text.len() > BYTES_MAX {
        let end = (0..=BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A secret's name: the first 12 hex digits of its SHA-256.
fn hidden(secret: &str) -> String {
    let digits = hex::encode(Sha256::digest(secret.as_bytes()));
    format!("<sha256:{}>", digits.get(..12).unwrap_or_default())
}

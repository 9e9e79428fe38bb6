//! Passwords that stand in URLs, where none should: neither errors nor what is printed repeat them.

use std::borrow::Cow;

/// What stands in place of one.
const REDACTED: &str = "[redacted]";

/// A text in which the passwords of URLs (RFC 3986, userinfo behind its first colon) are redacted; users stay.
///
/// What has to be hidden is often no URL, for which it is refused: a password that is written as it is has any of `/`, `?`, `#`, quotes
/// and blanks. So each one reaches to the last `@`, whatever stands between, and hides a host or a path rather than show a piece of
/// it. As a host's port counts what could be one and has a `/`, `?`, `#` or blank behind it: a password that begins so stays.
#[must_use]
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        rest = match userinfo(after) {
            Some((user, password)) => {
                shown.extend([user, ":", REDACTED]);
                after.get(user.len() + 1 + password.len()..).unwrap_or_default()
            }
            None => after,
        };
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The user and the password that a text begins with, which is what follows the scheme of a URL. Errors quote in backticks.
fn userinfo(after: &str) -> Option<(&str, &str)> {
    let quoted = after.split('`').next().unwrap_or_default();
    let (userinfo, _) = quoted.rsplit_once('@')?;
    let (user, password) = userinfo.split_once(':')?;
    let ends_authority = |sign: char| matches!(sign, '/' | '?' | '#') || sign.is_whitespace();
    match password.split_once(ends_authority) {
        Some((port, _)) if is_port(port) => None,
        _ => Some((user, password)),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_redacted_and_nothing_else() {
        for (text, expected) in [
            ("redis://:sekret@h", "redis://:[redacted]@h"),
            ("https://u:sekret@h:99999", "https://u:[redacted]@h:99999"),
            // Nobody can tell which `@` is meant, and the last one hides enough.
            ("https://u:se@cret@h/a@b", "https://u:[redacted]@b"),
            ("https://otel:ab/cd@collector:4317", "https://otel:[redacted]@collector:4317"),
            ("postgres://lanyard:/ab+cd==@db/lanyard", "postgres://lanyard:[redacted]@db/lanyard"),
            ("https://u:12ab/cd@h", "https://u:[redacted]@h"),
            ("https://u:123456/cd@h", "https://u:[redacted]@h"),
            ("https://u:ab#cd@h/p", "https://u:[redacted]@h/p"),
            ("https://u:ab?cd@h/p", "https://u:[redacted]@h/p"),
            ("https://otel:it's@h", "https://otel:[redacted]@h"),
            ("https://otel:a \"b\"\tc@h", "https://otel:[redacted]@h"),
            ("https://u:1234@h/p", "https://u:[redacted]@h/p"),
            ("postgres://lanyard@h/db", "postgres://lanyard@h/db"),
            ("https://h:8443/a:b@c", "https://h:8443/a:b@c"),
            ("https://h:8443?a:b@c", "https://h:8443?a:b@c"),
            ("`a://b:c@d`, `e://f:g@h`: no", "`a://b:[redacted]@d`, `e://f:[redacted]@h`: no"),
            ("https://h:80 https://u:p@h", "https://h:80 https://u:[redacted]@h"),
            ("https://u@h:8443/a@b", "https://u@h:8443/a@b"),
            // A user may have a blank as well.
            ("a://b, c:d@e", "a://b, c:[redacted]@e"),
            ("a://b, c: d", "a://b, c: d"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("://:@", "://:[redacted]@"),
            ("", ""),
        ] {
            assert_eq!(without_passwords(text), expected, "{text}");
        }
    }
}

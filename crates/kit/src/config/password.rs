//! Passwords that stand in URLs, where none should: neither errors nor what is printed repeat them.

use std::borrow::Cow;

/// What stands in place of one.
const REDACTED: &str = "[redacted]";

/// A text in which the passwords of URLs (RFC 3986, userinfo behind its first colon) are redacted; users stay.
#[must_use]
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let authority = after.split(['/', '?', '#', '`', '"', '\'']).next().unwrap_or_default();
        let authority = authority.split_whitespace().next().unwrap_or_default();
        let password = authority.rsplit_once('@').and_then(|(userinfo, _)| userinfo.split_once(':'));
        shown.push_str(before);
        shown.push_str("://");
        rest = match password {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_redacted_and_nothing_else() {
        for (text, expected) in [
            ("redis://:sekret@h", "redis://:[redacted]@h"),
            ("https://u:sekret@h:99999", "https://u:[redacted]@h:99999"),
            ("https://u:se@cret@h/a@b", "https://u:[redacted]@h/a@b"),
            ("postgres://lanyard@h/db", "postgres://lanyard@h/db"),
            ("https://h:8443/a:b@c", "https://h:8443/a:b@c"),
            ("https://h:8443?a:b@c", "https://h:8443?a:b@c"),
            ("`a://b:c@d`, `e://f:g@h`: no", "`a://b:[redacted]@d`, `e://f:[redacted]@h`: no"),
            ("a://b, c:d@e", "a://b, c:d@e"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("://:@", "://:[redacted]@"),
            ("", ""),
        ] {
            assert_eq!(without_passwords(text), expected, "{text}");
        }
    }
}

//! The canonical request: the one text of a request that both sides hash.

use sha2::{Digest as _, Sha256};

use super::encode::{encode_path_into, recode_path_into, recode_query_into};
use super::{HttpRequest, SigningStyle};

/// Where the canonical request goes: into a hash on the request path, into text in tests.
pub(crate) trait Sink {
    fn push(&mut self, text: &str);
}

impl Sink for Sha256 {
    fn push(&mut self, text: &str) {
        self.update(text.as_bytes());
    }
}

impl Sink for String {
    fn push(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// What of a request is signed, beside the request itself.
pub(crate) struct Canonical<'a> {
    pub(crate) request: &'a HttpRequest<'a>,
    /// The canonical query, from [`canonical_query`].
    pub(crate) query: &'a str,
    /// The signed headers' names: lower case, sorted.
    pub(crate) signed_headers: &'a [&'a str],
    pub(crate) payload_sha256: &'a str,
    pub(crate) style: SigningStyle,
}

impl Canonical<'_> {
    pub(crate) fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.write(&mut hash);
        hash.finalize().into()
    }

    pub(crate) fn write(&self, out: &mut impl Sink) {
        out.push(self.request.method);
        out.push("\n");
        write_path(self.request.path, self.style, out);
        out.push("\n");
        out.push(self.query);
        out.push("\n");
        for name in self.signed_headers {
            out.push(name);
            out.push(":");
            for (index, value) in self.request.header_values(name).enumerate() {
                if index > 0 {
                    out.push(",");
                }
                write_header_value(value, out);
            }
            out.push("\n");
        }
        out.push("\n");
        for (index, name) in self.signed_headers.iter().enumerate() {
            if index > 0 {
                out.push(";");
            }
            out.push(name);
        }
        out.push("\n");
        out.push(self.payload_sha256);
    }
}

/// Without blanks at the ends, and each run of them inside as one.
fn write_header_value(value: &str, out: &mut impl Sink) {
    for (index, word) in value.split_ascii_whitespace().enumerate() {
        if index > 0 {
            out.push(" ");
        }
        out.push(word);
    }
}

fn write_path(path: &str, style: SigningStyle, out: &mut impl Sink) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'/');
    // The common case, without a copy: no dots, no escapes, no empty segments.
    if path.starts_with('/') && path.bytes().all(is_plain) && !path.contains("//") {
        return out.push(path);
    }
    let normalized = if style.normalize_path { normalize(path) } else { path.to_owned() };
    let mut encoded = String::with_capacity(normalized.len() * 3 / 2);
    if style.encode_path_twice {
        encode_path_into(&normalized, &mut encoded);
    } else {
        recode_path_into(&normalized, &mut encoded);
    }
    out.push(if encoded.is_empty() { "/" } else { &encoded });
}

/// Takes `.`, `..` and empty segments out; a slash at the end stays.
fn normalize(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = true;
    for segment in path.split('/') {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut normalized = String::with_capacity(path.len() + 1);
    for segment in &kept {
        normalized.push('/');
        normalized.push_str(segment);
    }
    if ends_open {
        normalized.push('/');
    }
    normalized
}

/// The query in canonical form: names and values encoded, sorted by both. Parameters that `skip` names (raw) are left
/// out.
pub(crate) fn canonical_query(query: &str, skip: impl Fn(&str) -> bool) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if skip(name) {
            continue;
        }
        let (mut encoded_name, mut encoded_value) =
            (String::with_capacity(name.len()), String::with_capacity(value.len()));
        recode_query_into(name, &mut encoded_name);
        recode_query_into(value, &mut encoded_value);
        pairs.push((encoded_name, encoded_value));
    }
    pairs.sort_unstable();
    let mut out = String::with_capacity(query.len() + pairs.len());
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str, normalize_path: bool, encode_path_twice: bool) -> String {
        let mut out = String::new();
        let style = SigningStyle { normalize_path, encode_path_twice, ..SigningStyle::default() };
        write_path(text, style, &mut out);
        out
    }

    #[test]
    fn paths_are_normalized_and_encoded_as_the_style_says() {
        let cases = [
            ("", true, true, "/"),
            ("/", true, true, "/"),
            ("//", true, true, "/"),
            ("//", false, true, "//"),
            ("/a/../b/./c", true, true, "/b/c"),
            ("/a/..", true, true, "/"),
            ("/a/b/..", true, true, "/a/"),
            ("/../../a", true, true, "/a"),
            ("/a//b/", true, true, "/a/b/"),
            ("/a%3Ab", true, true, "/a%253Ab"),
            ("/a%3ab", true, false, "/a%3Ab"),
            ("/lanyard.mapping.v1.Clusters/Get", true, true, "/lanyard.mapping.v1.Clusters/Get"),
        ];
        for (text, normalize, twice, canonical) in cases {
            assert_eq!(path(text, normalize, twice), canonical, "{text}");
        }
    }

    #[test]
    fn a_query_is_sorted_by_name_and_then_by_value() {
        let cases = [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&a=10", "a=1&a=10&a=2"),
            ("a-b=1&a=2", "a=2&a-b=1"),
            ("a", "a="),
            ("a=b=c", "a=b%3Dc"),
            ("&&a=1&", "a=1"),
            ("q=x+y", "q=x%20y"),
        ];
        for (query, canonical) in cases {
            assert_eq!(canonical_query(query, |_| false), canonical, "{query}");
        }
        assert_eq!(canonical_query("a=1&sig=2", |name| name == "sig"), "a=1");
    }
}

//! Percent-encoding as signatures want it: everything but letters, digits and `-._~`, in upper-case hex.

use std::borrow::Cow;

/// Which bytes stay as they are.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

fn push_encoded(byte: u8, out: &mut String) {
    if is_unreserved(byte) {
        out.push(char::from(byte));
        return;
    }
    out.push('%');
    for nibble in [byte >> 4, byte & 15] {
        out.push(UPPER_HEX.get(usize::from(nibble)).copied().map_or('0', char::from));
    }
}

/// Appends the encoded text. Runs that stay as they are are copied whole: a session token is a thousand bytes of them.
pub(crate) fn encode_into(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_unreserved(byte)) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut tail = tail.chars();
        let mut utf8 = [0; 4];
        for byte in tail.next().map(|c| &*c.encode_utf8(&mut utf8)).unwrap_or_default().bytes() {
            push_encoded(byte, out);
        }
        rest = tail.as_str();
    }
    out.push_str(rest);
}

/// A text percent-encoded as RFC 3986 has it: what IAM writes policy documents as.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(text, &mut out);
    out
}

/// Appends the encoded path: slashes stay.
pub(super) fn encode_path_into(path: &str, out: &mut String) {
    for byte in path.bytes() {
        if byte == b'/' { out.push('/') } else { push_encoded(byte, out) }
    }
}

/// Appends a part of a path as it is on the wire, with its escapes in the one canonical form.
pub(super) fn recode_path_into(path: &str, out: &mut String) {
    for byte in DecodedBytes::new(path, false) {
        // An escaped slash is data, not structure: it stays escaped.
        match byte {
            Decoded::Plain(b'/') => out.push('/'),
            Decoded::Plain(byte) | Decoded::Escaped(byte) => push_encoded(byte, out),
        }
    }
}

/// Appends a query name or value as it is on the wire, with its escapes in the one canonical form (`+` is a blank).
pub(super) fn recode_query_into(text: &str, out: &mut String) {
    for byte in DecodedBytes::new(text, true) {
        let (Decoded::Plain(byte) | Decoded::Escaped(byte)) = byte;
        push_encoded(byte, out);
    }
}

/// Appends the decoded bytes of a query name or value. Runs without escapes are copied whole.
pub(crate) fn decode_into(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr2(b'%', b'+', rest) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(plain);
        let mut tail = DecodedBytes { rest: tail, plus_is_blank: true };
        if let Some(Decoded::Plain(byte) | Decoded::Escaped(byte)) = tail.next() {
            out.push(byte);
        }
        rest = tail.rest;
    }
    out.extend_from_slice(rest);
}

/// A name or value of a query as whoever signed it meant it (`+` is a blank); none where an escape is broken or the whole is not
/// UTF-8. What verifies and what reads a request thus agree about it.
#[must_use]
pub fn decode_query(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    decode_into(text, &mut bytes);
    utf8(text, bytes)
}

/// One segment of a path, decoded (`+` is itself); none where an escape is broken or the whole is not UTF-8.
#[must_use]
pub fn decode_segment(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = DecodedBytes::new(text, false).map(|(Decoded::Plain(byte) | Decoded::Escaped(byte))| byte);
    utf8(text, bytes.collect())
}

fn utf8(text: &str, decoded: Vec<u8>) -> Option<Cow<'static, str>> {
    let decoded = String::from_utf8(decoded).ok()?;
    has_valid_escapes(text).then_some(Cow::Owned(decoded))
}

/// Whether each `%` has its two hex digits.
pub(crate) fn has_valid_escapes(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let Some([_, high, low, tail @ ..]) = rest.get(at..) else { return false };
        if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() {
            return false;
        }
        rest = tail;
    }
    true
}

enum Decoded {
    Plain(u8),
    Escaped(u8),
}

struct DecodedBytes<'a> {
    rest: &'a [u8],
    plus_is_blank: bool,
}

impl<'a> DecodedBytes<'a> {
    fn new(text: &'a str, plus_is_blank: bool) -> Self {
        Self { rest: text.as_bytes(), plus_is_blank }
    }
}

impl Iterator for DecodedBytes<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        if let [b'%', high, low, tail @ ..] = self.rest
            && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
        {
            self.rest = tail;
            return Some(Decoded::Escaped(high << 4 | low));
        }
        let (&byte, tail) = self.rest.split_first()?;
        self.rest = tail;
        Some(Decoded::Plain(if byte == b'+' && self.plus_is_blank { b' ' } else { byte }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rest.len() / 3, Some(self.rest.len()))
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(f: impl Fn(&str, &mut String), text: &str) -> String {
        let mut out = String::new();
        f(text, &mut out);
        out
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(with(encode_into, "aZ09-._~"), "aZ09-._~");
        assert_eq!(with(encode_into, "a b/c+d%ሴ"), "a%20b%2Fc%2Bd%25%E1%88%B4");
        assert_eq!(with(encode_path_into, "/a b/%3A"), "/a%20b/%253A");
        assert_eq!(with(recode_path_into, "/a b/%3a%2f"), "/a%20b/%3A%2F");
        assert_eq!(with(recode_query_into, "a+b%2B/%e1%88%b4"), "a%20b%2B%2F%E1%88%B4");
    }

    #[test]
    fn an_escape_has_two_hex_digits() {
        for (text, valid) in
            [("", true), ("a%2Fb%aa", true), ("%", false), ("%2", false), ("%zz", false), ("%%41", false)]
        {
            assert_eq!(has_valid_escapes(text), valid, "{text}");
        }
    }

    #[test]
    fn what_is_decoded_is_whole_or_nothing() {
        let query = |text| decode_query(text).map(Cow::into_owned);
        let segment = |text| decode_segment(text).map(Cow::into_owned);
        let owned = |text: &str| Some(text.to_owned());
        assert_eq!((query("a+b%2B"), segment("a+b%2B")), (owned("a b+"), owned("a+b+")));
        assert_eq!(segment("arn%3Aaws%3aiam%2Fx"), owned("arn:aws:iam/x"));
        assert_eq!(segment("%E1%88%B4"), owned("ሴ"));
        for broken in ["%", "a%2", "%zz", "%ff", "%E1%88"] {
            assert_eq!((query(broken), segment(broken)), (None, None), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "\\PC{0,30}") {
            let mut bytes = Vec::new();
            decode_into(&with(encode_into, &text), &mut bytes);
            prop_assert_eq!(bytes, text.as_bytes());
        }

        #[test]
        fn recoding_what_is_canonical_changes_nothing(text in "\\PC{0,30}") {
            let encoded = with(encode_into, &text);
            prop_assert_eq!(with(recode_query_into, &encoded), encoded);
        }
    }
}

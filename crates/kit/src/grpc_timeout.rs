//! How long the caller of a gRPC call waits, as the call says it (gRPC over HTTP/2, `Timeout`).

use std::time::Duration;

use http::HeaderValue;

/// The header that says it.
pub const HEADER: &str = "grpc-timeout";

/// Most digits of a timeout (the gRPC protocol's rule).
const DIGITS_MAX: usize = 8;

/// Digits and a unit, as gRPC writes timeouts; none where it is no such text.
#[must_use]
pub fn parse(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 60 * 60),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let cases = [
            ("5S", Some(Duration::from_secs(5))),
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("+5S", None),
            ("5 S", None),
            ("100000000S", None),
            ("5\u{e9}", None),
        ];
        for (text, expected) in cases {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            assert_eq!(parse(&value), expected, "{text:?}");
        }
    }
}

//! Input and moments as a message shows them.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Most characters of somebody's input that a message repeats: an ARN with a long path.
const SHOWN_CHARS_MAX: usize = 160;

/// Input cut short and on one line: what does not print, or turns the direction of text, is escaped, so that it can
/// neither begin a line of a log nor speak to a terminal. At most 160 characters are shown of it.
pub fn shown(text: &str) -> String {
    shown_within(text, SHOWN_CHARS_MAX)
}

/// The same of text that may be longer, such as the words of another service: at most so many characters are shown of it.
pub fn shown_within(text: &str, chars_max: usize) -> String {
    let mut short = String::with_capacity(text.len().min(chars_max));
    for (count, c) in text.chars().enumerate() {
        if count == chars_max {
            short.push('…');
            break;
        }
        match c {
            '\'' | '"' | '\\' => short.push(c),
            c => short.extend(c.escape_debug()),
        }
    }
    short
}

/// A moment as RFC 3339 writes it, in UTC and to the second: as `lanyard_kit::clock::moment_text`, for the rooms that do not know that
/// one.
#[must_use]
pub fn moment_text(at: &OffsetDateTime) -> String {
    let at = at.checked_to_offset(UtcOffset::UTC).unwrap_or(*at);
    // Only years before 0 and after 9999 have no such form.
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::{SessionError, SigV4Error, TokenError};

    #[test]
    fn refusals_show_moments_as_rfc_3339_has_them() {
        let (date, now) = (datetime!(2026-11-24 12:00 UTC), datetime!(2026-11-24 15:00:00.5 +2));
        let not_after = datetime!(2026-11-24 12:14 UTC);
        let too_old = SigV4Error::TooOld { date, not_after, now };
        assert_eq!(
            too_old.to_string(),
            "the signature of 2026-11-24T12:00:00Z was good until 2026-11-24T12:14:00Z, and here it is 2026-11-24T13:00:00Z: sign \
             anew, and set the clock"
        );
        let future = SigV4Error::Future { date, now, skew_seconds: 300 }.to_string();
        assert!(future.contains("2026-11-24T13:00:00Z: clocks may differ by 300 s"), "{future}");
        for text in [
            TokenError::TooOld { date, not_after }.to_string(),
            TokenError::Future { date }.to_string(),
            SessionError::Expired(date).to_string(),
            SessionError::Future(date).to_string(),
        ] {
            assert!(text.contains(" 2026-11-24T12:00:00Z"), "{text}");
        }
    }

    #[test]
    fn input_is_shown_short_and_on_one_line() {
        assert_eq!(shown_within("a\nb\u{202e}c", 3), "a\\nb…", "escaped, and cut by what came");
        let long = "a".repeat(SHOWN_CHARS_MAX + 1);
        let cases = [
            ("", ""),
            ("arn:aws:iam::111122223333:user/José", "arn:aws:iam::111122223333:user/José"),
            (r#"it's "C:\""#, r#"it's "C:\""#),
            ("a\nb\u{1b}[31m\u{2028}\u{202e}", r"a\nb\u{1b}[31m\u{2028}\u{202e}"),
            (&long, &format!("{}…", "a".repeat(SHOWN_CHARS_MAX))),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }
}

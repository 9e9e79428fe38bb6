//! Input as a message shows it.

/// Most characters of somebody's input that a message repeats: an ARN with a long path.
const SHOWN_CHARS_MAX: usize = 160;

/// Input cut short and on one line: what does not print, or turns the direction of text, is escaped, so that it can
/// neither begin a line of a log nor speak to a terminal. At most 160 characters are shown of it.
pub fn shown(text: &str) -> String {
    let mut short = String::with_capacity(text.len().min(SHOWN_CHARS_MAX));
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_shown_short_and_on_one_line() {
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

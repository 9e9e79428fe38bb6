//! The words of a line, as a shell splits it and AWS's tools do (Python's `shlex.split`).

/// Splits at blanks outside quotes. A `\` takes the next character as it is, within `"…"` only `"` and `\` themselves, within `'…'`
/// none. None where a quote stays open, or nothing comes after a `\`.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some('"'), '\\') => {
                let next = characters.next()?;
                let word = word.get_or_insert_default();
                if !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what `shlex.split` answers.
    #[test]
    fn a_line_is_split_as_a_shell_splits_it() {
        let cases: [(&str, Option<&[&str]>); 13] = [
            ("", Some(&[])),
            (r#"a "b c" 'd"e' """#, Some(&["a", "b c", "d\"e", ""])),
            ("a\n  b\tc", Some(&["a", "b", "c"])),
            ("a#b #c", Some(&["a#b", "#c"])),
            (r"/opt/my\ tools/x --a", Some(&["/opt/my tools/x", "--a"])),
            (r#""a\"b\c\\d" e"#, Some(&[r#"a"b\c\d"#, "e"])),
            (r"'a\b'", Some(&[r"a\b"])),
            (r"a\'b", Some(&["a'b"])),
            (r"x\\y", Some(&[r"x\y"])),
            ("'open", None),
            ("a 'b", None),
            (r"a\", None),
            (r#""a\ "#, None),
        ];
        for (text, expected) in cases {
            let expected: Option<Vec<String>> =
                expected.map(|words| words.iter().map(|&word| word.to_owned()).collect());
            assert_eq!(words(text), expected, "{text}");
        }
    }
}

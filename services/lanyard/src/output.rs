//! How answers are shown: a table for people, JSON and YAML for scripts.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How many characters apart the stops of tabs in documents are.
const TAB_CHARS: usize = 4;

/// The form of an answer on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One YAML document.
    Yaml,
}

/// Something that can be shown as a table.
pub trait Tabular {
    /// The columns' names.
    fn columns(&self) -> Vec<&'static str>;
    /// The lines. What breaks a line in a cell is written out, but where [`Self::last_has_lines`].
    fn rows(&self) -> Vec<Vec<String>>;
    /// Whether the cells of the last column have lines of their own, as [`one_a_line`] and [`document`] make them. The text of a cell
    /// cannot say it: all of it may be others'.
    fn last_has_lines(&self) -> bool {
        false
    }
    /// Shown below the table, a line each: notices, the next step.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Output {
    /// Shows one answer.
    ///
    /// # Errors
    /// When standard output is gone or the value cannot be written in that form.
    pub fn show(self, value: &(impl Serialize + Tabular)) -> anyhow::Result<()> {
        let text = match self {
            Self::Json => serde_json::to_string_pretty(value)?,
            Self::Yaml => serde_saphyr::to_string(value)?.trim_end().to_owned(),
            Self::Table => table(value),
        };
        line(&text)?;
        Ok(())
    }
}

/// One line on standard output. A reader that went away (`| head`) is no fault.
///
/// # Errors
/// When standard output cannot be written for another reason.
pub fn line(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// As a table, with notes below it.
pub fn table(value: &impl Tabular) -> String {
    let mut table = comfy_table::Table::new();
    // As wide as the terminal; where there is none, as wide as it takes.
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_header(value.columns());
    let of_lines = value.last_has_lines().then(|| value.columns().len().saturating_sub(1));
    let row = |cells: Vec<String>| -> Vec<String> {
        cells.iter().enumerate().map(|(column, cell)| written_out(cell, Some(column) == of_lines)).collect()
    };
    let rows: Vec<Vec<String>> = value.rows().into_iter().map(row).collect();
    let mut text = if rows.is_empty() {
        "nothing to show".to_owned()
    } else {
        table.add_rows(rows);
        table.trim_fmt()
    };
    for note in value.notes() {
        text.push('\n');
        text.push_str(&on_one_line(&note));
    }
    text
}

/// Text, which others may have written, as a terminal may have it, on one line: what is no sign to be read but steers the terminal, or
/// the direction in which text is read, is written out (`\u{1b}`). It could make one answer look like another (CVE-2021-25743).
pub fn on_one_line(text: &str) -> String {
    written_out(text, false)
}

/// A cell of several lines: each of these texts, which others may have written, has one.
pub fn one_a_line(texts: impl IntoIterator<Item: AsRef<str>>) -> String {
    texts.into_iter().map(|text| on_one_line(text.as_ref())).collect::<Vec<_>>().join("\n")
}

/// A document in a cell, to be read and pasted as it is: ends of lines may be those of Windows, and tabs, which steer the terminal, are
/// the blanks that they stand for.
pub fn document(text: &str) -> String {
    one_a_line(text.lines().map(without_tabs))
}

fn without_tabs(line: &str) -> String {
    let up_to_stop = |part: &str| {
        // Not by a width of its own, which may not be as long as a line.
        let blanks = TAB_CHARS - part.chars().count() % TAB_CHARS;
        format!("{part}{}", " ".repeat(blanks))
    };
    match line.rsplit_once('\t') {
        Some((before, last)) => before.split('\t').map(up_to_stop).chain([last.to_owned()]).collect(),
        None => line.to_owned(),
    }
}

fn written_out(text: &str, may_have_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if may_have_lines => shown.push(c),
            c if steers(c) => shown.extend(c.escape_debug()),
            c => shown.push(c),
        }
    }
    shown
}

/// Control characters, the separators of lines and paragraphs, and what embeds, overrides, isolates or marks a direction.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Planted;

    impl Tabular for Planted {
        fn columns(&self) -> Vec<&'static str> {
            vec!["NAME", "BECAUSE", "SEEN"]
        }

        fn rows(&self) -> Vec<Vec<String>> {
            let (name, because) = ("b\u{1b}[31m\nroot  verified".to_owned(), "x\nallow: y".to_owned());
            vec![vec![name, because, one_a_line(["one\nthree", "two\u{7}\t\r\u{7f}\u{9b}"])]]
        }

        fn last_has_lines(&self) -> bool {
            true
        }

        fn notes(&self) -> Vec<String> {
            vec!["müde \u{202e}\u{2028}\u{2029}\u{2066}\u{200f}\u{61c}\nallowed".to_owned()]
        }
    }

    #[test]
    fn what_others_wrote_steers_no_terminal_and_begins_no_line_of_a_table() {
        let text = table(&Planted);
        let lines: Vec<&str> = text.lines().collect();
        let [_, first, second, note] = lines.as_slice() else { panic!("{text}") };
        assert!(
            first.contains(r"b\u{1b}[31m\nroot  verified") && first.contains(r" x\nallow: y "),
            "{first}"
        );
        assert!(first.ends_with(r" one\nthree"), "{first}");
        assert!(second.starts_with("    ") && second.ends_with(r" two\u{7}\t\r\u{7f}\u{9b}"), "{second}");
        assert_eq!(*note, r"müde \u{202e}\u{2028}\u{2029}\u{2066}\u{200f}\u{61c}\nallowed");
    }

    #[test]
    fn a_document_keeps_its_lines_and_has_blanks_for_tabs() {
        for (text, shown) in [
            ("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1\n}"),
            ("{\r\n\t\"abc\":\t1,\r\n\t\t\"d\": 2\r\n}", "{\n    \"abc\":  1,\n        \"d\": 2\n}"),
            ("abcd\te\tf", "abcd    e   f"),
            ("a\t", "a   "),
            ("a\rb\u{1b}c\u{202e}", r"a\rb\u{1b}c\u{202e}"),
            ("", ""),
        ] {
            assert_eq!(document(text), shown, "{text:?}");
        }
        // As long as a policy may be, blanks counted.
        let long = format!("{}\t}}", " ".repeat(65_533));
        assert_eq!(document(&long).len(), 65_537);
    }
}

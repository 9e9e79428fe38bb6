//! How answers are shown: a table for people, JSON and YAML for scripts.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

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
    /// Whether the cells of the last column have lines of their own, as [`one_a_line`] makes them. The text of a cell cannot say it:
    /// all of it may be others'.
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
}

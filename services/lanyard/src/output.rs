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
    /// The lines.
    fn rows(&self) -> Vec<Vec<String>>;
    /// Shown below the table: notices, the next step.
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
    let rows = value.rows();
    let mut text = if rows.is_empty() {
        "nothing to show".to_owned()
    } else {
        table.add_rows(rows);
        table.trim_fmt()
    };
    for note in value.notes() {
        text.push('\n');
        text.push_str(&note);
    }
    text
}

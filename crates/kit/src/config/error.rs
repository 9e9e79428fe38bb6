//! Why there is no configuration.

use std::path::PathBuf;

/// Why there is no configuration. Each message names the place that has to be changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file `{}`: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{place} is not valid TOML: {reason}")]
    Syntax {
        /// Which file.
        place: String,
        /// Line, column and what is wrong there.
        reason: String,
    },
    /// A variable that begins as ours do, and goes on with no key.
    #[error(
        "the environment variable `{variable}` names no key: write LANYARD_KEY, for a key of a table LANYARD_TABLE__KEY; or unset it"
    )]
    NoKey {
        /// The variable.
        variable: String,
    },
    /// Nothing is called that.
    #[error("{place} has the unknown key `{key}`; {}", hint(nearest.as_deref(), known))]
    UnknownKey {
        /// Where it stands.
        place: String,
        /// The key, with dots.
        key: String,
        /// The known key that it is nearest to, with dots.
        nearest: Option<String>,
        /// The keys known at that place.
        known: Vec<String>,
    },
    /// A value is not of the right kind.
    #[error("{place} has a wrong value for `{key}`: {reason}")]
    Value {
        /// Where it stands.
        place: String,
        /// The key, with dots.
        key: String,
        /// What was expected, and what is there.
        reason: String,
    },
    /// The configuration cannot be printed: its type is not a table.
    #[error("the configuration cannot be printed: {0}")]
    Print(String),
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "no key is known there".to_owned(),
        None => format!(
            "known there: {}",
            known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

//! The log, on standard error: standard output belongs to answers.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::TelemetryError;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Levels by module, such as `info,lanyard_authn=debug`.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::default() }
    }
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line of text, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets up the log of the process, once.
///
/// # Errors
/// [`TelemetryError::Filter`] or [`TelemetryError::LogTwice`].
pub fn init_log(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = filter(&config.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    result.map_err(|_| TelemetryError::LogTwice)
}

/// Libraries that say each time what ours says now and then. Whoever names one in the filter hears it.
const QUIET: &str = "redis=off";

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let builder = EnvFilter::builder().with_regex(false);
    builder
        .parse(format!("{QUIET},{text}"))
        .map_err(|error| TelemetryError::Filter { filter: text.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_parsed_whole_or_refused() {
        let cases = [
            ("info", true),
            ("info,lanyard_authn=debug", true),
            ("off", true),
            ("lanyard_kit::serve=trace", true),
            ("info,lanyard=loud", false),
            ("=====", false),
        ];
        for (text, valid) in cases {
            assert_eq!(filter(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn what_repeats_itself_is_heard_by_those_who_name_it() {
        for (text, shown) in
            [("", "redis=off"), ("info", "redis=off,info"), ("info,redis=warn", "redis=warn,info")]
        {
            assert_eq!(filter(text).unwrap().to_string(), shown, "{text}");
        }
    }
}

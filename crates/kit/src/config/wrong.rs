//! What is wrong with a value, with what would be right. A secret is not in it, nor what may be one.

use figment::error::Kind;
use figment::value::Value;

use super::nearest::nearest;
use super::password::without_passwords;
use super::source::{ENVIRONMENT_PREFIX, SEPARATOR};
use crate::secret;

/// What would be right for a listener.
const ADDRESS: &str = "write IP:PORT, such as 127.0.0.1:0";
/// What would be right for a machine.
const IP_ADDRESS: &str = "write an IP address, such as 127.0.0.1";

/// Most characters of a value that an error repeats.
const REPEATED_CHARS_MAX: usize = 64;

/// What is wrong with the value of a key, as far as the value is known.
pub(super) fn reason(kind: &Kind, key: &str, value: Option<&Value>) -> String {
    match kind {
        Kind::InvalidType(_, expected) if expected == secret::EXPECTED => {
            "it is a secret, which is written as a string, in quotes".to_owned()
        }
        // Whoever writes a table's name alone may mean the secret in it.
        Kind::InvalidType(_, expected) if expected.starts_with("struct ") || expected == "a map" => {
            table(key)
        }
        Kind::InvalidType(actual, expected) if expected == "socket address" => {
            format!("found {actual}: {ADDRESS}")
        }
        Kind::InvalidType(actual, expected) if expected == "IP address" => {
            format!("found {actual}: {IP_ADDRESS}")
        }
        Kind::UnknownVariant(actual, known) => {
            let hint = match nearest(actual, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known are {}", known.join(", ")),
            };
            format!("`{actual}` is not known; {hint}")
        }
        Kind::Message(reason) => refused(&one_line(reason), value),
        kind => one_line(&kind.to_string()),
    }
}

/// A text on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the keys of a table are written.
fn table(key: &str) -> String {
    if key.split('.').any(|part| part.parse::<usize>().is_ok()) {
        return "it is a table: write { KEY = VALUE }".to_owned();
    }
    let variable = key.to_ascii_uppercase().replace('.', SEPARATOR);
    format!(
        "it is a table: write its keys below `[{key}]` in a file, or {ENVIRONMENT_PREFIX}{variable}{SEPARATOR}KEY in the environment"
    )
}

/// What a type says of a text that it cannot be made from; the types of others say it without the text.
fn refused(reason: &str, value: Option<&Value>) -> String {
    let Some(Value::String(_, text)) = value else { return reason.to_owned() };
    let (text, reason) = (without_passwords(text), without_passwords(reason));
    let shown: String = text.chars().take(REPEATED_CHARS_MAX).flat_map(char::escape_debug).collect();
    match &*reason {
        "invalid socket address syntax" => format!("`{shown}` is no address: {ADDRESS}"),
        "invalid IP address syntax" => format!("`{shown}` is none: {IP_ADDRESS}"),
        _ if reason.contains(&*text) => reason.into_owned(),
        _ => format!("`{shown}`: {reason}"),
    }
}

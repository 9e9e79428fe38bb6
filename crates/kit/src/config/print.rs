//! A configuration as TOML, so that what is printed can be put into a file.

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ConfigError;
use super::password::without_passwords;

/// The whole configuration as TOML, defaults included. Secrets ([`ConfigSecret`](crate::ConfigSecret)) are redacted, and
/// have to be put back before it is loaded again; so are passwords in URLs, where none is taken.
///
/// # Errors
/// [`ConfigError::Print`] when the type is not a table, which is a mistake in the program.
pub fn print_config<T: Serialize>(config: &T) -> Result<String, ConfigError> {
    let value = serde_json::to_value(config).map_err(|error| ConfigError::Print(error.to_string()))?;
    let Value::Object(members) = value else {
        return Err(ConfigError::Print("it is not a table".to_owned()));
    };
    let mut text = String::new();
    table(&mut text, &mut Vec::new(), &members);
    Ok(text)
}

fn table(text: &mut String, path: &mut Vec<String>, members: &Map<String, Value>) {
    let is_table = |value: &Value| value.is_object();
    // A table's own keys come before the tables in it: after a header, keys belong to that header.
    let (tables, keys): (Vec<_>, Vec<_>) = members.iter().partition(|(_, value)| is_table(value));
    if !path.is_empty() && (!keys.is_empty() || tables.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[{}]\n", path.join(".")));
    }
    for (name, value) in keys {
        if let Some(value) = inline(value) {
            text.push_str(&format!("{} = {value}\n", key(name)));
        }
    }
    for (name, value) in tables {
        if let Value::Object(members) = value {
            path.push(key(name));
            table(text, path, members);
            path.pop();
        }
    }
}

/// A value on one line; nothing for `null`, which TOML does not have: a key without a value is not there.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(quoted(&without_passwords(value))),
        Value::Array(values) => {
            Some(format!("[{}]", values.iter().filter_map(inline).collect::<Vec<_>>().join(", ")))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| Some(format!("{} = {}", key(name), inline(value)?));
            Some(format!("{{ {} }}", members.iter().filter_map(member).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A basic string. TOML escapes as JSON does, but for the delete character, which JSON lets stand.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

//! The three shapes that answers have: a list, one thing at length, and what a change did.

use lanyard_api::Mutated;
use serde::Serialize;
use serde_json::Value;

use crate::output::{Tabular, document, on_one_line};

/// Something that is one line of a table.
pub trait Row {
    /// The columns' names.
    const COLUMNS: &'static [&'static str];
    /// Whether the last cell has lines of its own ([`Tabular::last_has_lines`]).
    const LAST_HAS_LINES: bool = false;
    /// The cells, one for each column.
    fn cells(&self) -> Vec<String>;
}

/// Several of a kind; in JSON an array.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Listing<T>(pub Vec<T>);

impl<T: Row> Tabular for Listing<T> {
    fn columns(&self) -> Vec<&'static str> {
        T::COLUMNS.to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.iter().map(Row::cells).collect()
    }

    fn last_has_lines(&self) -> bool {
        T::LAST_HAS_LINES
    }
}

/// One thing, a field a line; in JSON the object.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Fields<T>(pub T);

impl<T: Serialize> Tabular for Fields<T> {
    fn columns(&self) -> Vec<&'static str> {
        vec!["FIELD", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        match serde_json::to_value(&self.0) {
            Ok(value) => fields("", &value, &mut rows),
            Err(error) => rows.push(vec!["fault".to_owned(), error.to_string()]),
        }
        rows
    }

    /// A document's, which has the cell for itself.
    fn last_has_lines(&self) -> bool {
        true
    }
}

/// Objects in objects become `outer.inner`; lists of plain values stay on one line.
fn fields(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let below = |inner: &str| if name.is_empty() { inner.to_owned() } else { format!("{name}.{inner}") };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| fields(&below(key), value, rows)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().zip(1..).for_each(|(item, at)| fields(&below(&at.to_string()), item, rows));
        }
        Value::Array(items) => {
            rows.push(vec![name.to_owned(), items.iter().map(item).collect::<Vec<_>>().join(", ")]);
        }
        value => rows.push(vec![name.to_owned(), document(&plain(value))]),
    }
}

fn item(value: &Value) -> String {
    on_one_line(&plain(value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a change made, with how far it has got; in JSON with `value`, `revision`, `confirmed`, `pending`, `notices`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Changed<T>(pub Mutated<T>);

impl<T: Row> Tabular for Changed<T> {
    fn columns(&self) -> Vec<&'static str> {
        T::COLUMNS.to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        vec![self.0.value.cells()]
    }

    fn last_has_lines(&self) -> bool {
        T::LAST_HAS_LINES
    }

    fn notes(&self) -> Vec<String> {
        standing(&self.0)
    }
}

/// How far a change has got, and what its caller should know.
pub fn standing<T>(changed: &Mutated<T>) -> Vec<String> {
    let revision = changed.revision;
    let mut notes = vec![match changed.confirmed {
        true => format!("revision {revision}, in force on every replica"),
        false if changed.pending.is_empty() => {
            format!("revision {revision}, not confirmed: replicas in other processes have it in a moment")
        }
        false => format!("revision {revision}, not confirmed yet: {}", changed.pending.join(", ")),
    }];
    notes.extend(changed.notices.iter().map(|notice| format!("notice: {notice}")));
    notes
}

/// The same change with another view of what it made.
pub fn changed<T, U>(from: Mutated<T>, view: impl FnOnce(T) -> U) -> Changed<U> {
    Changed(Mutated {
        value: view(from.value),
        revision: from.revision,
        confirmed: from.confirmed,
        pending: from.pending,
        notices: from.notices,
        update: from.update,
    })
}

/// A cell that may be empty.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The name that a value has on the wire.
pub fn wire_name(value: &impl Serialize) -> String {
    serde_json::to_value(value).map(|value| plain(&value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use lanyard_api::Revision;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_a_field_a_line_whatever_is_in_it() {
        let value = json!({
            "a": null, "b": ["x", 1], "c": { "d": true }, "e": [{ "f": "g" }], "h": [], "i": ["j\nk"], "l": "m\r\n\tn",
        });
        let rows = Fields(value).rows();
        let expected = [
            ["a", "-"],
            ["b", "x, 1"],
            ["c.d", "true"],
            ["e.1.f", "g"],
            ["h", ""],
            ["i", r"j\nk"],
            ["l", "m\n    n"],
        ];
        assert_eq!(rows, expected.map(|row| row.map(str::to_owned).to_vec()));
    }

    #[test]
    fn an_unconfirmed_change_says_whom_it_waits_for() {
        let mut changed = Mutated {
            value: (),
            revision: Revision(7),
            confirmed: true,
            pending: Vec::new(),
            notices: vec!["it still resolves by aws-auth".to_owned()],
            update: None,
        };
        assert_eq!(
            standing(&changed),
            ["revision 7, in force on every replica", "notice: it still resolves by aws-auth"]
        );
        changed.confirmed = false;
        changed.pending = vec!["replica a until 12:00".to_owned()];
        assert_eq!(standing(&changed)[0], "revision 7, not confirmed yet: replica a until 12:00");
    }
}

//! What a policy document says: a short line for each statement.
//!
//! It is read as it is written. The spelling is its author's, and what another version of the hub takes is shown all the same; whether it
//! allows something the hub alone says.

use std::collections::BTreeSet;

use lanyard_iam::shown;
use serde::Serialize;
use serde_json::Value;

/// Most actions, resources or condition keys of a statement that its line names; the others are counted.
const NAMED_MAX: usize = 4;

/// A statement, with all that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Statement {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// `Allow` or `Deny`.
    effect: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<String>,
    /// All but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_actions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    /// All but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_resources: Vec<String>,
    /// What its conditions look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    condition_keys: Vec<String>,
}

/// The statements of a document; none where it is no document as this program knows them.
pub(super) fn statements(document: &str) -> Option<Vec<Statement>> {
    let document: Value = serde_json::from_str(document).ok()?;
    several(document.get("Statement")?).iter().map(Statement::read).collect()
}

fn several(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

impl Statement {
    fn read(statement: &Value) -> Option<Self> {
        let text = |element: &str| statement.get(element)?.as_str().map(str::to_owned);
        let texts = |element: &str| -> Vec<String> {
            let values = statement.get(element).into_iter().flat_map(several);
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let conditions = statement.get("Condition").and_then(Value::as_object);
        let of_operators = conditions.into_iter().flat_map(|conditions| conditions.values());
        let keys: BTreeSet<&String> =
            of_operators.filter_map(Value::as_object).flat_map(|keys| keys.keys()).collect();
        Some(Self {
            sid: text("Sid"),
            effect: text("Effect")?,
            actions: texts("Action"),
            not_actions: texts("NotAction"),
            resources: texts("Resource"),
            not_resources: texts("NotResource"),
            condition_keys: keys.into_iter().cloned().collect(),
        })
    }

    /// For people: of whatever length the statement is, one short line.
    pub(super) fn line(&self, policy: &str) -> String {
        let sid = self.sid.as_ref().map(|sid| format!(" (`{}`)", shown(sid))).unwrap_or_default();
        let does = match self.effect.as_str() {
            "Allow" => "allows".to_owned(),
            "Deny" => "denies".to_owned(),
            other => shown(other),
        };
        let actions = all_but(&self.actions, &self.not_actions);
        let resources = all_but(&self.resources, &self.not_resources);
        let condition = match self.condition_keys.as_slice() {
            [] => String::new(),
            keys => format!(", depending on {}", few(keys)),
        };
        format!("{policy}{sid} {does} {actions} on {resources}{condition}")
    }
}

fn all_but(named: &[String], excepted: &[String]) -> String {
    match (named, excepted) {
        ([], []) => "nothing".to_owned(),
        (named, []) => few(named),
        (_, excepted) => format!("all but {}", few(excepted)),
    }
}

/// The first few, and how many more.
fn few(items: &[String]) -> String {
    let first: Vec<String> = items.iter().take(NAMED_MAX).map(|item| shown(item)).collect();
    let first = first.join(", ");
    match items.len().saturating_sub(NAMED_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(statement: &Value) -> Vec<Statement> {
        statements(&json!({ "Version": "2012-10-17", "Statement": statement }).to_string()).unwrap()
    }

    fn line(statement: &Value) -> String {
        let read = of(statement);
        let [statement] = read.as_slice() else { panic!("{read:?}") };
        statement.line("`p`")
    }

    #[test]
    fn a_statement_is_one_line_of_effect_actions_resources_and_what_it_depends_on() {
        let cases = [
            (
                json!({ "Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*" }),
                "`p` allows eks:ListClusters on *",
            ),
            (
                json!([{ "Sid": "No", "Effect": "Deny", "NotAction": ["eks:*", "sts:*"], "NotResource": "arn:x" }]),
                "`p` (`No`) denies all but eks:*, sts:* on all but arn:x",
            ),
            (
                json!({ "Effect": "Allow", "Action": ["a:A", "a:B", "a:C", "a:D", "a:E", "a:F"], "Resource": "*" }),
                "`p` allows a:A, a:B, a:C, a:D and 2 more on *",
            ),
            (
                json!({
                    "Effect": "Allow", "Action": "a:A", "Resource": "*",
                    "Condition": {
                        "StringEquals": { "aws:username": "x", "aws:SourceIp": ["y"] },
                        "Null": { "aws:username": "false" },
                    },
                }),
                "`p` allows a:A on *, depending on aws:SourceIp, aws:username",
            ),
            (json!({ "Effect": "Later" }), "`p` Later nothing on nothing"),
        ];
        for (statement, expected) in cases {
            assert_eq!(line(&statement), expected);
        }
    }

    #[test]
    fn however_long_a_statement_is_its_line_is_short_and_its_data_whole() {
        let actions: Vec<String> = (0..500).map(|at| format!("eks:{}{at}", "X".repeat(1_000))).collect();
        let statement =
            json!({ "Sid": "S".repeat(5_000), "Effect": "Allow", "Action": actions, "Resource": actions });
        let read = of(&statement);
        assert_eq!((read[0].actions.len(), read[0].resources.len()), (500, 500));
        let line = line(&statement);
        assert!(line.len() < 4_000 && line.contains(" and 496 more on "), "{} {line}", line.len());
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_escaped() {
        let escape = "\u{1b}[2J";
        let statement = json!({ "Sid": escape, "Effect": escape, "Action": escape, "Resource": escape });
        assert!(!line(&statement).contains('\u{1b}'));
    }

    #[test]
    fn what_is_no_document_has_no_statements() {
        for text in
            ["", "[]", "{}", "{\"Statement\":[1]}", "{\"Statement\":{}}", "{\"Statement\":[{\"Effect\":1}]}"]
        {
            assert_eq!(statements(text), None, "{text}");
        }
    }
}

//! A second evaluator, as slow and plain as the rules it follows, compared with the real one on random worlds.
//! It reads the document's JSON directly and shares no code with the other.

mod compare;
mod trusting;
mod worlds;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A request of the model.
#[derive(Clone, Debug)]
struct World {
    documents: Vec<Value>,
    session: Option<Value>,
    action: String,
    resource: String,
    keys: Vec<(String, Vec<String>)>,
}

/// One or many, of which conditions may have numbers and booleans too.
fn strings(value: &Value) -> Vec<String> {
    let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        other => vec![text(other)],
    }
}

fn statements(document: &Value) -> Vec<&Value> {
    match &document["Statement"] {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

/// `*` is any run, `?` one character.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|skip| glob(&pattern[1..], &text[skip..])),
        Some('?') => !text.is_empty() && glob(&pattern[1..], &text[1..]),
        Some(wanted) => {
            text.starts_with(wanted) && glob(&pattern[wanted.len_utf8()..], &text[wanted.len_utf8()..])
        }
    }
}

impl World {
    fn fits(&self, statement: &Value) -> bool {
        let action = self.action.to_lowercase();
        let names_action = |value: &Value| strings(value).iter().any(|p| glob(&p.to_lowercase(), &action));
        let action_fits = match statement.get("Action") {
            Some(value) => names_action(value),
            None => !names_action(&statement["NotAction"]),
        };
        let denies = statement["Effect"] == "Deny";
        action_fits
            && self.resource_fits(statement, denies)
            && self.conditions_hold(&statement["Condition"], denies)
    }

    /// A trust policy has neither element: it is about its own role.
    fn resource_fits(&self, statement: &Value, denies: bool) -> bool {
        let answers = |value: &Value| {
            let patterns = strings(value);
            patterns.iter().map(|p| compare::fits_arn(p, &self.resource, &self.keys)).collect::<Vec<_>>()
        };
        match (statement.get("Resource"), statement.get("NotResource")) {
            (None, None) => true,
            (Some(value), _) => answers(value).contains(&Some(true)),
            (None, Some(value)) => {
                let answers = answers(value);
                // An exception that is not known is none that an allow counts on.
                !answers.contains(&Some(true)) && (denies || !answers.contains(&None))
            }
        }
    }

    fn conditions_hold(&self, conditions: &Value, denies: bool) -> bool {
        let Some(conditions) = conditions.as_object() else { return true };
        conditions.iter().all(|(operator, keys)| {
            keys.as_object()
                .unwrap()
                .iter()
                .all(|(key, wanted)| compare::holds(&self.keys, operator, key, &strings(wanted), denies))
        })
    }

    fn layer(&self, documents: &[&Value]) -> Decision {
        self.layer_of(documents, |_| true)
    }

    fn layer_of(&self, documents: &[&Value], is_about_caller: impl Fn(&Value) -> bool) -> Decision {
        let statements: Vec<&Value> = documents.iter().flat_map(|document| statements(document)).collect();
        let with = |effect: &str| {
            statements.iter().any(|s| s["Effect"] == effect && is_about_caller(s) && self.fits(s))
        };
        match (with("Deny"), with("Allow")) {
            (true, _) => Decision::ExplicitDeny,
            (false, true) => Decision::Allow,
            (false, false) => Decision::ImplicitDeny,
        }
    }

    fn decide(&self) -> Decision {
        let identity = self.layer(&self.documents.iter().collect::<Vec<_>>());
        let session = self.session.as_ref().map_or(Decision::Allow, |session| self.layer(&[session]));
        match (identity, session) {
            (Decision::ExplicitDeny, _) | (_, Decision::ExplicitDeny) => Decision::ExplicitDeny,
            (Decision::Allow, Decision::Allow) => Decision::Allow,
            _ => Decision::ImplicitDeny,
        }
    }

    fn condition_keys(&self) -> ConditionKeys {
        let mut keys = ConditionKeys::new();
        for (name, values) in &self.keys {
            keys.set_all(name, values.iter().cloned());
        }
        keys
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn immunity_19_the_evaluator_decides_as_the_plain_model_does(world in worlds::world()) {
        let parse = |value: &Value| PolicyDocument::parse(&value.to_string()).unwrap();
        let documents: Vec<PolicyDocument> = world.documents.iter().map(parse).collect();
        let session = world.session.as_ref().map(parse);
        let identity: Vec<NamedDocument<'_>> =
            documents.iter().map(|document| NamedDocument { name: "p", document }).collect();
        let keys = world.condition_keys();
        let request = RequestContext { action: &world.action, resource: &world.resource, keys: &keys };
        let evaluation = evaluate(&identity, session.as_ref(), &request);
        prop_assert_eq!(evaluation.decision, world.decide());
        prop_assert_eq!(evaluation.deciding.is_none(), evaluation.decision == Decision::ImplicitDeny);
        prop_assert_eq!(evaluation.near.is_some(), evaluation.decision == Decision::ImplicitDeny);
    }
}

#[test]
fn the_model_itself_reads_wildcards_as_iam_does() {
    for (pattern, text, fits) in
        [("a*c", "abc", true), ("a?c", "ac", false), ("*", "", true), ("?", "", false)]
    {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
    let fits_arn = |pattern, text| compare::fits_arn(pattern, text, &[]);
    assert_eq!((fits_arn("*", "x"), fits_arn("arn:*:*:*:*:*", "x")), (Some(true), Some(false)));
}

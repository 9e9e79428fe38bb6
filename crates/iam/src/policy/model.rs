//! A second evaluator, as slow and plain as the rules it follows, compared with the real one on random worlds.
//! It reads the document's JSON directly and shares no code with the other.

use proptest::prelude::*;
use serde_json::{Value, json};

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

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        other => vec![other.as_str().unwrap().to_owned()],
    }
}

/// `*` is any run, `?` one character.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|skip| glob(&pattern[1..], &text[skip..])),
        Some('?') => !text.is_empty() && glob(&pattern[1..], &text[1..]),
        Some(wanted) => text.starts_with(wanted) && glob(&pattern[1..], &text[1..]),
    }
}

fn glob_arn(pattern: &str, text: &str) -> bool {
    let cut = |arn: &str| arn.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
    let (pattern_parts, parts) = (cut(pattern), cut(text));
    pattern == "*" || parts.len() == 6 && pattern_parts.iter().zip(&parts).all(|(p, t)| glob(p, t))
}

impl World {
    fn values(&self, key: &str) -> Option<&Vec<String>> {
        let mut found = self.keys.iter().filter(|(name, _)| name.eq_ignore_ascii_case(key));
        found.next_back().map(|(_, values)| values)
    }

    fn fits(&self, statement: &Value) -> bool {
        let action = self.action.to_lowercase();
        let names_action = |value: &Value| strings(value).iter().any(|p| glob(&p.to_lowercase(), &action));
        let names_resource = |value: &Value| strings(value).iter().any(|p| glob_arn(p, &self.resource));
        let action_fits = match statement.get("Action") {
            Some(value) => names_action(value),
            None => !names_action(&statement["NotAction"]),
        };
        let resource_fits = match statement.get("Resource") {
            Some(value) => names_resource(value),
            None => !names_resource(&statement["NotResource"]),
        };
        let denies = statement["Effect"] == "Deny";
        action_fits && resource_fits && self.conditions_hold(&statement["Condition"], denies)
    }

    fn conditions_hold(&self, conditions: &Value, denies: bool) -> bool {
        let Some(conditions) = conditions.as_object() else { return true };
        conditions.iter().all(|(operator, keys)| {
            keys.as_object()
                .unwrap()
                .iter()
                .all(|(key, wanted)| self.holds(operator, key, &strings(wanted), denies))
        })
    }

    fn holds(&self, operator: &str, key: &str, wanted: &[String], denies: bool) -> bool {
        let found = self.values(key);
        if operator == "Null" {
            return wanted.contains(&found.is_none().to_string());
        }
        let any = operator.starts_with("ForAnyValue:");
        let all = operator.starts_with("ForAllValues:");
        let optional = operator.ends_with("IfExists");
        let base = operator.rsplit(':').next().unwrap().trim_end_matches("IfExists");
        let negative = base.contains("Not");
        let Some(found) = found else { return optional || all || (negative && !any) };
        let compare = |value: &String, wanted: &String| match base {
            "StringEquals" | "StringNotEquals" => value == wanted,
            "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" => {
                value.to_lowercase() == wanted.to_lowercase()
            }
            "StringLike" | "StringNotLike" => glob(wanted, value),
            other => unreachable!("{other}"),
        };
        let one = |value: &String| {
            if negative {
                !wanted.iter().any(|wanted| compare(value, wanted))
            } else {
                wanted.iter().any(|wanted| compare(value, wanted))
            }
        };
        // Many values and no quantifier: an allow needs all of them, a deny any.
        if any || (!all && denies) { found.iter().any(one) } else { found.iter().all(one) }
    }

    fn layer(&self, documents: &[&Value]) -> Decision {
        let statements: Vec<&Value> =
            documents.iter().flat_map(|d| d["Statement"].as_array().unwrap()).collect();
        let with = |effect: &str| statements.iter().any(|s| s["Effect"] == effect && self.fits(s));
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
}

fn actions() -> impl Strategy<Value = Value> {
    let one =
        prop::sample::select(vec!["*", "a:*", "a:Get?", "a:GetX", "A:getx", "a:Put*", "b:GetX", "b:*X"]);
    prop::collection::vec(one, 1..3).prop_map(|list| json!(list))
}

fn resources() -> impl Strategy<Value = Value> {
    let one = prop::sample::select(vec![
        "*",
        "arn:aws:a:r:1:x",
        "arn:aws:a:*:*:*",
        "arn:aws:a:r:?:x/*",
        "arn:*:*:*:*:y",
        "arn:aws:a:r:1:x/?",
    ]);
    prop::collection::vec(one, 1..3).prop_map(|list| json!(list))
}

fn conditions() -> impl Strategy<Value = Value> {
    let operator = (
        prop::sample::select(vec!["", "ForAnyValue:", "ForAllValues:"]),
        prop::sample::select(vec![
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ]),
        prop::sample::select(vec!["", "IfExists"]),
    );
    let operator = operator.prop_map(|(quantifier, base, suffix)| format!("{quantifier}{base}{suffix}"));
    let values = prop::collection::vec(prop::sample::select(vec!["u", "U", "v", "w", "?", "*", "u*"]), 1..3);
    let compared = (operator, prop::sample::select(vec!["k:One", "K:one", "k:Many", "k:None"]), values)
        .prop_map(|(operator, key, values)| json!({operator: {key: values}}));
    let null = (prop::sample::select(vec!["k:One", "k:None"]), any::<bool>())
        .prop_map(|(key, value)| json!({"Null": {key: [value.to_string()]}}));
    prop_oneof![3 => Just(Value::Null), 4 => compared, 1 => null]
}

fn statement() -> impl Strategy<Value = Value> {
    (any::<bool>(), any::<bool>(), any::<bool>(), actions(), resources(), conditions()).prop_map(
        |(deny, not_action, not_resource, actions, resources, conditions)| {
            let mut statement = json!({
                "Effect": if deny { "Deny" } else { "Allow" },
                (if not_action { "NotAction" } else { "Action" }): actions,
                (if not_resource { "NotResource" } else { "Resource" }): resources,
            });
            if !conditions.is_null() {
                statement["Condition"] = conditions;
            }
            statement
        },
    )
}

fn document() -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(), 1..4)
        .prop_map(|list| json!({"Version": "2012-10-17", "Statement": list}))
}

fn world() -> impl Strategy<Value = World> {
    let value = prop::sample::select(vec!["u", "U", "v", "uu", ""]);
    (
        prop::collection::vec(document(), 0..3),
        prop::option::weighted(0.3, document()),
        prop::sample::select(vec!["a:GetX", "a:GetXY", "A:PUTX", "b:GetX", "c:Any"]),
        prop::sample::select(vec![
            "*",
            "arn:aws:a:r:1:x",
            "arn:aws:a:r:1:x/y",
            "arn:aws:b:r:22:y",
            "arn:aws:a:r:1:x/y:z",
        ]),
        prop::option::of(value.clone()),
        prop::collection::vec(value, 0..3),
    )
        .prop_map(|(documents, session, action, resource, one, many)| {
            let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<String>>();
            let mut keys = Vec::new();
            keys.extend(one.map(|value| ("k:one".to_owned(), owned(vec![value]))));
            keys.extend((!many.is_empty()).then(|| ("k:Many".to_owned(), owned(many))));
            World { documents, session, action: action.to_owned(), resource: resource.to_owned(), keys }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn immunity_19_the_evaluator_decides_as_the_plain_model_does(world in world()) {
        let parse = |value: &Value| PolicyDocument::parse(&value.to_string()).unwrap();
        let documents: Vec<PolicyDocument> = world.documents.iter().map(parse).collect();
        let session = world.session.as_ref().map(parse);
        let identity: Vec<NamedDocument<'_>> =
            documents.iter().map(|document| NamedDocument { name: "p", document }).collect();
        let mut keys = ConditionKeys::new();
        for (name, values) in &world.keys {
            keys.set_all(name, values.iter().cloned());
        }
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
    assert!(glob_arn("*", "x") && !glob_arn("arn:*:*:*:*:*", "x"));
}

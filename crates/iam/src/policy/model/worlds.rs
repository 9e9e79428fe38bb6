//! Random worlds for the model.

use std::{collections::BTreeMap, ops::Range};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::World;

/// A list, or where there is one item, maybe that without a list.
fn lists(all: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (prop::collection::vec(prop::sample::select(all), 1..3), any::<bool>()).prop_map(|(list, is_bare)| {
        match list.as_slice() {
            [one] if is_bare => json!(one),
            list => json!(list),
        }
    })
}

/// The same for conditions, in which numbers and booleans may be written without quotation marks.
fn values(all: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (lists(all), any::<bool>()).prop_map(|(texts, is_unquoted)| match texts {
        Value::Array(list) => Value::Array(list.into_iter().map(|text| written(text, is_unquoted)).collect()),
        text => written(text, is_unquoted),
    })
}

fn written(text: Value, is_unquoted: bool) -> Value {
    let read = text.as_str().filter(|_| is_unquoted).and_then(|text| serde_json::from_str(text).ok());
    read.filter(|read: &Value| read.is_number() || read.is_boolean()).unwrap_or(text)
}

fn actions() -> impl Strategy<Value = Value> {
    lists(&["*", "a:*", "a:Get?", "a:GetX", "A:getx", "a:Put*", "b:GetX", "b:*X"])
}

fn resources() -> impl Strategy<Value = Value> {
    lists(&[
        "*",
        "arn:aws:a:r:1:x",
        "arn:aws:a:*:*:*",
        "arn:aws:a:r:?:x/*",
        "arn:*:*:*:*:y",
        "arn:aws:a:r:1:x/?",
        "arn:aws:a:r:1:x/${k:One}",
        "arn:aws:a:r:1:x/${k:None, 'y'}*",
        "arn:aws:a:r:1:x/${k:None}",
        "arn:aws:a:r:1:x/${*}",
    ])
}

/// Keys, operators and values that can be compared with one another.
const FAMILIES: &[(&[&str], &[&str], &[&str])] = &[
    (
        &["k:One", "K:one", "k:Many", "k:None"],
        &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ],
        &[
            "u",
            "U",
            "v",
            "w",
            "?",
            "*",
            "u*",
            "${k:One}",
            "${k:one}*",
            "${k:None}",
            "${k:None, 'v'}",
            "${k:Many}",
            "${*}",
            "${?}u",
        ],
    ),
    (
        &["k:Arn", "k:One", "k:None"],
        &["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"],
        &[
            "arn:aws:iam::1:role/*",
            "arn:*:iam::?:role/u",
            "arn:aws:iam::1:role/${k:One}",
            "arn:aws:iam::2:*",
            "*",
        ],
    ),
    (
        &["k:Number", "k:None"],
        &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        &["7", "7.0", "-3", "8.250", "0"],
    ),
    (
        &["k:Date", "k:None"],
        &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        &["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "1772366399", "2030-01-01T00:00:00Z"],
    ),
    (&["k:Flag", "k:None"], &["Bool"], &["true", "False"]),
    (&["k:One", "k:Many", "k:None"], &["BinaryEquals"], &["dQ==", "dnY="]),
    (
        &["k:Ip", "k:None"],
        &["IpAddress", "NotIpAddress"],
        &[
            "10.0.0.0/8",
            "10.0.0.0/7",
            "10.1.2.0/23",
            "10.1.2.3",
            "0.0.0.0/0",
            "2001:db8::/32",
            "2001:db8:8000::/33",
            "::/0",
        ],
    ),
];

/// Keys whose presence can be asked for.
const KEYS: &[&str] =
    &["k:One", "K:one", "k:Many", "k:None", "k:Arn", "k:Number", "k:Date", "k:Flag", "k:Ip"];

/// Conditions with one operator, by their keys.
type OfOperator = (String, BTreeMap<&'static str, Value>);

fn of_one_operator() -> impl Strategy<Value = OfOperator> {
    let compared = prop::sample::select(FAMILIES).prop_flat_map(|(keys, operators, wanted)| {
        (
            prop::sample::select(vec!["", "ForAnyValue:", "ForAllValues:"]),
            prop::sample::select(operators),
            prop::sample::select(vec!["", "IfExists"]),
            prop::collection::btree_map(prop::sample::select(keys), values(wanted), 1..3),
        )
    });
    let compared =
        compared.prop_map(|(quantifier, base, suffix, keys)| (format!("{quantifier}{base}{suffix}"), keys));
    let null = prop::collection::btree_map(prop::sample::select(KEYS), values(&["true", "false"]), 1..4)
        .prop_map(|keys| ("Null".to_owned(), keys));
    prop_oneof![5 => compared, 1 => null]
}

/// None, some with one operator, or with several, all of which have to hold.
fn conditions() -> impl Strategy<Value = Value> {
    let all =
        |operators: Range<usize>| prop::collection::vec(of_one_operator(), operators).prop_map(together);
    prop_oneof![2 => Just(Value::Null), 3 => all(1..2), 3 => all(2..4)]
}

fn together(conditions: Vec<OfOperator>) -> Value {
    let mut whole = json!({});
    for (operator, keys) in conditions {
        for (key, wanted) in keys {
            whole[operator.as_str()][key] = wanted;
        }
    }
    whole
}

/// A statement without what says who or on what.
fn bare() -> impl Strategy<Value = Value> {
    (any::<bool>(), any::<bool>(), actions(), conditions()).prop_map(
        |(deny, not_action, actions, conditions)| {
            let mut statement = json!({
                "Effect": if deny { "Deny" } else { "Allow" },
                (if not_action { "NotAction" } else { "Action" }): actions,
            });
            if !conditions.is_null() {
                statement["Condition"] = conditions;
            }
            statement
        },
    )
}

fn document(statements: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (prop::collection::vec(statements, 1..4), any::<bool>()).prop_map(|(list, is_bare)| {
        let statements = match list.as_slice() {
            [one] if is_bare => one.clone(),
            list => json!(list),
        };
        json!({"Version": "2012-10-17", "Statement": statements})
    })
}

fn identity() -> impl Strategy<Value = Value> {
    document((bare(), any::<bool>(), resources()).prop_map(|(mut statement, not_resource, resources)| {
        statement[if not_resource { "NotResource" } else { "Resource" }] = resources;
        statement
    }))
}

/// A trust policy over the callers of the model.
pub(super) fn trust() -> impl Strategy<Value = Value> {
    trust_naming(prop_oneof![
        Just(json!("*")),
        lists(&[
            "*",
            "111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::444455556666:root",
            "arn:aws:iam::111122223333:user/ana",
            "AIDAANA",
            "arn:aws:iam::111122223333:role/team/Dev",
            "arn:aws:sts::111122223333:assumed-role/Dev/one",
            "arn:aws:sts::111122223333:assumed-role/Dev/two",
        ])
        .prop_map(|list| json!({"AWS": list})),
    ])
}

/// A trust policy over identity providers, services and everybody.
pub(super) fn trust_of_others() -> impl Strategy<Value = Value> {
    let providers = || {
        lists(&[
            "arn:aws:iam::111122223333:oidc-provider/ci.example",
            "arn:aws:iam::111122223333:oidc-provider/ci.example/other",
        ])
    };
    let services = || lists(&["pods.eks.amazonaws.com", "ec2.amazonaws.com"]);
    trust_naming(prop_oneof![
        Just(json!("*")),
        lists(&["111122223333", "*"]).prop_map(|named| json!({"AWS": named})),
        providers().prop_map(|named| json!({"Federated": named})),
        services().prop_map(|named| json!({"Service": named})),
        (providers(), services())
            .prop_map(|(providers, services)| json!({"Federated": providers, "Service": services})),
    ])
}

fn trust_naming(named: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    document((bare(), any::<bool>(), named).prop_map(|(mut statement, negate, named)| {
        let negate = negate && statement["Effect"] == "Deny";
        statement[if negate { "NotPrincipal" } else { "Principal" }] = named;
        statement
    }))
}

/// What is asked, under which circumstances.
pub(super) fn world() -> impl Strategy<Value = World> {
    let value = || prop::sample::select(vec!["u", "U", "v", "vv", "uu", "*", ""]);
    // Of each kind none, one or two: what an operator compares may have many values, whatever they are.
    let several = |all: &'static [&'static str]| prop::collection::vec(prop::sample::select(all), 0..3);
    let typed = (
        several(&["arn:aws:iam::1:role/u", "arn:aws:iam::2:role/*", "u"]),
        several(&["7", "-3.0", "8.25", "x"]),
        several(&["2026-03-01T12:00:00Z", "1772366399", "x"]),
        several(&["true", "FALSE", "x"]),
        several(&["10.1.2.3", "11.1.3.4", "::ffff:10.9.9.9", "2001:db8::1", "2001:db8:8000::1", "x"]),
    );
    (
        prop::collection::vec(identity(), 0..3),
        prop::option::weighted(0.3, identity()),
        prop::sample::select(vec!["a:GetX", "a:GetXY", "A:PUTX", "b:GetX", "c:Any"]),
        prop::sample::select(vec![
            "*",
            "arn:aws:a:r:1:x",
            "arn:aws:a:r:1:x/y",
            "arn:aws:a:r:1:x/u",
            "arn:aws:a:r:1:x/*",
            "arn:aws:b:r:22:y",
            "arn:aws:a:r:1:x/y:z",
        ]),
        prop::option::of(value()),
        prop::collection::vec(value(), 0..3),
        typed,
    )
        .prop_map(|(documents, session, action, resource, one, many, typed)| {
            let (arns, numbers, dates, flags, addresses) = typed;
            let all: [(&str, Vec<&str>); 7] = [
                ("k:Many", many),
                ("k:one", one.into_iter().collect()),
                ("k:Arn", arns),
                ("k:Number", numbers),
                ("k:Date", dates),
                ("k:Flag", flags),
                ("k:Ip", addresses),
            ];
            let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<String>>();
            let mut keys: Vec<(String, Vec<String>)> =
                all.into_iter().map(|(name, values)| (name.to_owned(), owned(values))).collect();
            keys.retain(|(_, values)| !values.is_empty());
            World { documents, session, action: action.to_owned(), resource: resource.to_owned(), keys }
        })
}

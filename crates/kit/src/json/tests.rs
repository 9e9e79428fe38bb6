use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOUNDS: Bounds = Bounds { depth_max: 4, items_max: 8 };

#[test]
fn a_document_is_read_within_its_bounds_or_refused_with_the_reason() {
    let duplicate = |name: &str| Some(JsonFault::Duplicate(name.to_owned()));
    let cases = [
        ("{}", None),
        (r#" {"a":[1,-2,2.5,null,true,"b",{"c":[]}]} "#, None),
        (r#"{"a":1,"b":{"a":1}}"#, None),
        ("", Some(JsonFault::Syntax)),
        ("{", Some(JsonFault::Syntax)),
        ("{}{}", Some(JsonFault::Syntax)),
        (r#"{"a":1e999}"#, Some(JsonFault::Syntax)),
        (r#"{"a":NaN}"#, Some(JsonFault::Syntax)),
        (r#"{"a":"\ud800"}"#, Some(JsonFault::Syntax)),
        ("[]", Some(JsonFault::NotAnObject)),
        ("null", Some(JsonFault::NotAnObject)),
        (r#"{"a":1,"a":1}"#, duplicate("a")),
        (r#"{"a":1,"\u0061":2}"#, duplicate("a")),
        (r#"{"a":{"b":1,"b":2}}"#, duplicate("b")),
        (r#"{"a":[[[]]]}"#, None),
        (r#"{"a":[[[[]]]]}"#, Some(JsonFault::TooDeep(4))),
        (r#"{"a":[[[{}]]]}"#, Some(JsonFault::TooDeep(4))),
        ("{\"a\":[1,2,3,4,5,6,7,8]}", None),
        ("{\"a\":[1,2,3,4,5,6,7,8,9]}", Some(JsonFault::TooMany(8))),
        (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}"#, Some(JsonFault::TooMany(8))),
    ];
    for (text, expected) in cases {
        let read = read_object(text.as_bytes(), BOUNDS);
        assert_eq!(read.as_ref().err(), expected.as_ref(), "{text}");
        if let Ok(members) = read {
            let plain: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Value::Object(members), plain, "{text}");
        }
    }
    assert_eq!(read_object(b"{\"a\":\"\xff\"}", BOUNDS), Err(JsonFault::Syntax));
    let raw = JsonFault::Duplicate("a\n".to_owned());
    assert_eq!(read_object(br#"{"a\n":1,"a\n":1}"#, BOUNDS), Err(raw), "shown by whoever shows it");
}

#[test]
fn values_in_a_stream_have_members_of_their_own() {
    let read = |text: &str| -> Result<Vec<Value>, String> {
        let values = serde_json::Deserializer::from_str(text).into_iter::<Unique>();
        values.map(|value| value.map(|Unique(value)| value).map_err(|error| error.to_string())).collect()
    };
    let long = json!({"a": vec![0; BOUNDS.items_max + 1], "b": [[[[[]]]]]});
    assert_eq!(read(&format!("{long}{long}\n[1.5,null]")), Ok(vec![long.clone(), long, json!([1.5, null])]));
    for (text, error) in [
        ("{\"a\":1}\n{\"b\":1,\"b\":1}", "`b` at line 2 column 10"),
        (r#"[{"a":{"b":1,"\u0062":1}}]"#, "`b` at line 1 column 21"),
        (
            r#"{"a at line 7 column 7":1,"a at line 7 column 7":1}"#,
            "`a at line 7 column 7` at line 1 column 48",
        ),
    ] {
        assert_eq!(read(text), Err(error.to_owned()), "{text}");
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..10).prop_map(Value::Array),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn widest(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(widest).max().unwrap_or(0).max(items.len()),
        Value::Object(members) => members.values().map(widest).max().unwrap_or(0).max(members.len()),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn what_is_within_bounds_reads_as_serde_json_reads_it(value in documents()) {
        let text = value.to_string();
        let fits = value.is_object() && depth(&value) <= BOUNDS.depth_max && widest(&value) <= BOUNDS.items_max;
        let read = read_object(text.as_bytes(), BOUNDS);
        prop_assert_eq!(read.is_ok(), fits, "{}", text);
        if let Ok(members) = read {
            prop_assert_eq!(Value::Object(members), value);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let plain = serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| value.is_object());
        prop_assert!(plain || read_object(&bytes, BOUNDS).is_err());
    }
}

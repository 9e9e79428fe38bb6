//! JSON as signed things need it read: no member twice (a reader that keeps the first and one that keeps the last would
//! see two tokens in one), no depth and no list without bound.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::shown::shown;

/// Bounds of one document, below those that serde_json has of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Objects and lists in one another, the outermost counted.
    pub(crate) depth_max: usize,
    /// Items of a list, and members of an object.
    pub(crate) items_max: usize,
}

/// Why a document is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// Not JSON, not UTF-8, or more than one value.
    Syntax,
    /// Not an object.
    NotAnObject,
    /// A member stands twice; its name as shown.
    Duplicate(String),
    /// Deeper than allowed.
    TooDeep(usize),
    /// A list or object has more than so many items.
    TooMany(usize),
}

/// Reads one object.
pub(crate) fn read_object(text: &[u8], bounds: Bounds) -> Result<Map<String, Value>, JsonFault> {
    let fault = Cell::new(None);
    let reader = Reader { depth_left: bounds.depth_max, bounds, fault: &fault };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = reader.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match read {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(JsonFault::NotAnObject),
        Err(_) => Err(fault.take().unwrap_or(JsonFault::Syntax)),
    }
}

/// Reads a value; what it finds wrong beyond syntax is told in `fault`, for serde's own errors are texts.
#[derive(Clone, Copy)]
struct Reader<'f> {
    depth_left: usize,
    bounds: Bounds,
    fault: &'f Cell<Option<JsonFault>>,
}

impl Reader<'_> {
    fn fail<T, E: serde::de::Error>(self, fault: JsonFault) -> Result<T, E> {
        self.fault.set(Some(fault));
        Err(E::custom("out of bounds"))
    }

    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => self.fail(JsonFault::TooDeep(self.bounds.depth_max)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            if list.len() == self.bounds.items_max {
                return self.fail(JsonFault::TooMany(self.bounds.items_max));
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return self.fail(JsonFault::Duplicate(shown(&name)));
            }
            if object.len() == self.bounds.items_max {
                return self.fail(JsonFault::TooMany(self.bounds.items_max));
            }
            let value = members.next_value_seed(below)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    }

    fn json() -> impl Strategy<Value = Value> {
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
        fn what_is_within_bounds_reads_as_serde_json_reads_it(value in json()) {
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
}

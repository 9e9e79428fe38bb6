//! JSON in which no member stands twice: of two readers one would keep the first and one the last, and see two things in
//! one text. [`read_object`] bounds depth and length as well, for what others send; [`Unique`] is for values in a stream.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Bounds of one document, below those that serde_json has of its own.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Objects and lists in one another, the outermost counted.
    pub depth_max: usize,
    /// Items of a list, and members of an object.
    pub items_max: usize,
}

/// Why a document is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Not JSON, not UTF-8, or more than one value.
    Syntax,
    /// Not an object.
    NotAnObject,
    /// A member stands twice; its name as it was sent, which is not fit to be shown.
    Duplicate(String),
    /// Deeper than allowed.
    TooDeep(usize),
    /// A list or object has more than so many items.
    TooMany(usize),
}

/// Reads one object.
///
/// # Errors
/// [`JsonFault`], the first that is met.
pub fn read_object(text: &[u8], bounds: Bounds) -> Result<Map<String, Value>, JsonFault> {
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

/// A value of which only serde_json bounds the depth, and nothing the length. Where a member stands twice, the error's
/// text is its name as it was sent, in backticks, before the place that serde_json adds.
#[derive(Debug)]
pub struct Unique(pub Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bounds = Bounds { depth_max: usize::MAX, items_max: usize::MAX };
        let reader = Reader { depth_left: bounds.depth_max, bounds, fault: &Cell::new(None) };
        reader.deserialize(deserializer).map(Self)
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
    fn fail<T, E: Error>(self, fault: JsonFault) -> Result<T, E> {
        let error = match &fault {
            JsonFault::Duplicate(name) => E::custom(format_args!("`{name}`")),
            _ => E::custom("out of bounds"),
        };
        self.fault.set(Some(fault));
        Err(error)
    }

    fn below<E: Error>(self) -> Result<Self, E> {
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

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
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
                return self.fail(JsonFault::Duplicate(name));
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
mod tests;

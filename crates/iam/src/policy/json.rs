//! JSON as policies need it read: no member twice, no depth without bound, every value with its path.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::err::{PolicyError, PolicyFault};
use super::{POLICY_DEPTH_MAX, POLICY_TEXT_BYTES_MAX};
use crate::shown::shown;

/// A JSON value with its members in order, doubled ones included, so that they can be refused.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// What the reader says when it is too deep; told from faults of syntax by it.
const TOO_DEEP: &str = "nested too deep";

/// How large a document may be, and what of it counts.
#[derive(Clone, Copy)]
pub(super) enum Size {
    /// So many bytes, blanks left out: as IAM counts what it keeps.
    BytesWithoutBlanks(usize),
    /// So many characters, blanks included: as STS counts what narrows a session.
    Characters(usize),
}

impl Size {
    fn check(self, text: &str) -> Result<(), PolicyFault> {
        match self {
            Self::BytesWithoutBlanks(max) => {
                let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
                if bytes > max { Err(PolicyFault::TooLarge { bytes, max }) } else { Ok(()) }
            }
            Self::Characters(max) => {
                let chars = text.chars().count();
                if chars > max { Err(PolicyFault::TooLong { chars, max }) } else { Ok(()) }
            }
        }
    }
}

/// Reads a document that is at most so large.
pub(super) fn read(text: &str, size: Size) -> Result<Json, PolicyError> {
    let at_root = |fault| PolicyError { path: "$".to_owned(), fault };
    if text.len() > POLICY_TEXT_BYTES_MAX {
        return Err(at_root(PolicyFault::TooLarge { bytes: text.len(), max: POLICY_TEXT_BYTES_MAX }));
    }
    size.check(text).map_err(at_root)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Depth(POLICY_DEPTH_MAX).deserialize(&mut reader).and_then(|json| reader.end().map(|()| json));
    read.map_err(|error| {
        at_root(if error.to_string().starts_with(TOO_DEEP) {
            PolicyFault::TooDeep
        } else {
            PolicyFault::Json { line: error.line(), column: error.column() }
        })
    })
}

/// How much deeper a value may go.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(TOO_DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let below = self.below().map_err(A::Error::custom::<A::Error>)?;
        let mut object = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            object.push((name, members.next_value_seed(below)?));
        }
        Ok(Json::Object(object))
    }
}

/// A value and where it lies.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub(super) path: String,
    pub(super) json: &'a Json,
}

impl<'a> At<'a> {
    pub(super) fn root(json: &'a Json) -> Self {
        Self { path: "$".to_owned(), json }
    }

    pub(super) fn fail(&self, fault: PolicyFault) -> PolicyError {
        PolicyError { path: self.path.clone(), fault }
    }

    /// The members of an object, none twice.
    pub(super) fn members(&self) -> Result<Vec<(&'a str, At<'a>)>, PolicyError> {
        let Json::Object(object) = self.json else {
            return Err(self.fail(PolicyFault::Expected("an object")));
        };
        let mut members: Vec<(&str, At<'_>)> = Vec::with_capacity(object.len());
        for (name, json) in object {
            if members.iter().any(|(seen, _)| seen == name) {
                return Err(self.fail(PolicyFault::Duplicate(name.clone())));
            }
            members.push((name, At { path: format!("{}.{}", self.path, shown(name)), json }));
        }
        Ok(members)
    }

    /// The items of a list; anything else is a list of itself.
    pub(super) fn items(&self) -> Result<Vec<At<'a>>, PolicyError> {
        let Json::List(list) = self.json else { return Ok(vec![self.clone()]) };
        if list.is_empty() {
            return Err(self.fail(PolicyFault::Empty));
        }
        Ok(list
            .iter()
            .enumerate()
            .map(|(n, json)| At { path: format!("{}[{n}]", self.path), json })
            .collect())
    }

    pub(super) fn text(&self) -> Result<&'a str, PolicyError> {
        match self.json {
            Json::Text(text) => Ok(text),
            _ => Err(self.fail(PolicyFault::Expected("a string"))),
        }
    }

    /// A string, number or boolean, as text: IAM takes the values of conditions either way.
    pub(super) fn scalar(&self) -> Result<&'a str, PolicyError> {
        match self.json {
            Json::Text(text) | Json::Number(text) => Ok(text),
            Json::Bool(true) => Ok("true"),
            Json::Bool(false) => Ok("false"),
            Json::Null | Json::List(_) | Json::Object(_) => {
                Err(self.fail(PolicyFault::Expected("a string, a number or a boolean")))
            }
        }
    }
}

//! Bodies of JSON: members that are not known are passed over, as AWS does; those that are stand once and are of their type.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{AwsError, operation::Protocol};

/// Reads a body. None at all is an object without members.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    // A list would be read as the members of a struct in their order.
    let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_object {
        return Err(AwsError::malformed(Protocol::RestJson, "the body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        // It repeats a text that stands where something else should, however long that is.
        let error = lanyard_iam::shown(&error.to_string());
        AwsError::malformed(Protocol::RestJson, format!("the body cannot be read: {error}"))
    })
}

/// A structure within one: an object and no list, which would be read as its members in their order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Whole<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Whole<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        from.deserialize_map(Whole(PhantomData))
    }
}

/// A map of texts in which every key stands once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Texts(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if texts.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "the key `{}` stands twice",
                            lanyard_iam::shown(&key)
                        )));
                    }
                    texts.insert(key, value);
                }
                Ok(Texts(texts))
            }
        }

        from.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Body {
        name: Option<String>,
        tags: Option<Texts>,
        count: Option<u32>,
        inner: Option<Object<Inner>>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        name: Option<String>,
    }

    #[test]
    fn members_are_read_by_name_and_unknown_ones_passed_over() {
        let read = |text: &str| read::<Body>(text.as_bytes());
        assert_eq!(read(""), Ok(Body::default()));
        assert_eq!(read(r#" {"name":null,"other":{"x":[1]},"other":1}"#), Ok(Body::default()));
        let tags = Texts([("a".to_owned(), "1".to_owned())].into());
        assert_eq!(read(r#"{"tags":{"a":"1"}}"#), Ok(Body { tags: Some(tags), ..Body::default() }));
        let bad = [
            "{",
            "null",
            "[]",
            r#"["x"]"#,
            "1",
            r#"{"name":1}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"tags":{"a":"1","a":"2"}}"#,
            r#"{"tags":{"a":1}}"#,
            r#"{"tags":[]}"#,
            r#"{"count":-1}"#,
            r#"{"inner":["x"]}"#,
            r#"{"inner":[]}"#,
            r#"{"inner":{"name":1}}"#,
            r#"{"name":"a"} x"#,
            "\u{feff}{}",
            "<a/>",
        ];
        for text in bad {
            assert_eq!(read(text).unwrap_err().code, "SerializationException", "{text}");
        }
        let long = format!("{{\"tags\":\"\u{202e}{}\"}}", "a".repeat(500_000));
        let said = read(&long).unwrap_err().message;
        assert!(said.contains("invalid type: string \"") && said.len() < 300, "{}", said.len());
        assert!(!said.contains('\u{202e}'), "{said}");
        assert!(super::read::<Body>(b"{\"name\":\"\xff\"}").is_err());
        assert!(super::read::<Body>("[".repeat(100_000).as_bytes()).is_err());
        let deep = format!("{{\"other\":{}", "[".repeat(100_000));
        assert!(super::read::<Body>(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Body>(&body);
        }
    }
}

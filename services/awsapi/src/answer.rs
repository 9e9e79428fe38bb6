//! What an operation answers, before it is written in its protocol.

use bytes::Bytes;
use lanyard_api::{CallError, Fault};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// An answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Of a service that speaks REST-JSON: the body.
    Rest(serde_json::Value),
    /// The same, written already: by [`Answer::written`].
    Written(Bytes),
    /// Of a service that speaks Query: the members of its result.
    Query(Members),
    /// The same, of an operation whose result the model has and which holds nothing.
    EmptyResult,
}

impl Answer {
    /// A body that is asked for often or has many members, straight from what it is made of: no tree of values is put together first.
    /// `bytes` is about how many it has.
    pub(crate) fn written(body: &impl Serialize, bytes: usize) -> Result<Self, CallError> {
        let mut written = Vec::with_capacity(bytes);
        serde_json::to_writer(&mut written, body).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Fault::Internal
        })?;
        Ok(Self::Written(written.into()))
    }
}

/// Members of a structure, in the order in which the model has them.
pub(crate) type Members = Vec<(&'static str, Node)>;

/// A part of an answer of the Query protocol, which is written as XML or as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// A moment.
    Moment(OffsetDateTime),
    /// A list, of `member`s in XML.
    List(Vec<Node>),
    /// A structure.
    Members(Members),
}

impl Node {
    /// As text in XML; nothing for what has parts.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Moment(at) => Some(written(*at)),
            Self::List(_) | Self::Members(_) => None,
        }
    }
}

/// As the Query protocol writes moments: RFC 3339 in UTC, in whole seconds.
fn written(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    // A moment within four digits of years can always be written.
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// As REST-JSON writes moments: seconds since 1970, with a fraction of milliseconds.
pub(crate) fn epoch_seconds(at: OffsetDateTime) -> f64 {
    (at.unix_timestamp_nanos() / 1_000_000) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_each_protocol_has_them() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap();
        assert_eq!(epoch_seconds(at), 1_700_000_000.123);
        assert_eq!(written(at), "2023-11-14T22:13:20Z");
        assert_eq!(serde_json::json!(epoch_seconds(at)).to_string(), "1700000000.123");
    }
}

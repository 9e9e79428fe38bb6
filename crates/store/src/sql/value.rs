//! What goes into and comes out of columns.

use time::OffsetDateTime;

/// A value of a column or parameter; what is absent keeps its type, which Postgres asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, a time in Unix milliseconds, or 0 and 1.
    Integer(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

impl Value {
    /// A moment, to the millisecond.
    pub(crate) fn moment(at: OffsetDateTime) -> Self {
        Self::Integer(Some(millis(at)))
    }

    /// A moment that may be absent: an end that is not set.
    pub(crate) fn moment_or_none(at: Option<OffsetDateTime>) -> Self {
        Self::Integer(at.map(millis))
    }

    /// A count or number. Beyond what a column holds it is the most that one does.
    pub(crate) fn number(number: u64) -> Self {
        Self::Integer(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// A text that may be absent.
    pub(crate) fn text_or_none(text: Option<impl Into<String>>) -> Self {
        Self::Text(text.map(Into::into))
    }
}

/// Unix milliseconds. Years are four digits in this library, so that they always fit.
pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// The moment of so many Unix milliseconds; none beyond the years that the calendar here knows.
pub(crate) fn moment(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Integer(Some(i64::from(yes)))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_moment_reads_back_to_the_millisecond() {
        for at in [
            datetime!(1969-12-31 23:59:59.999 UTC),
            datetime!(1970-01-01 00:00 UTC),
            datetime!(2026-11-24 12:00:00.123 UTC),
            datetime!(9999-12-31 23:59:59.999 UTC),
        ] {
            assert_eq!(moment(millis(at)), Some(at), "{at}");
        }
        assert_eq!(moment(i64::MAX), None);
    }
}

//! Reading fields: from what the wire can hold to what the domain allows, naming the field that does not fit.

use std::{fmt::Display, str::FromStr};

use prost_types::Timestamp;
use time::OffsetDateTime;

use crate::fault::CallError;

/// An enumeration that stands on the wire; there 0 means that it was left out.
pub(crate) trait WireEnum: Copy {
    /// Its generated form.
    type Wire: TryFrom<i32> + Into<i32>;

    /// What the generated value means; nothing where it was left out.
    fn from_wire(wire: Self::Wire) -> Option<Self>;

    /// The generated value.
    fn to_wire(self) -> Self::Wire;
}

/// Ties an enumeration to its generated form, name by name.
macro_rules! wire_enum {
    ($domain:ty = $wire:ty { $($name:ident),+ $(,)? }) => {
        impl $crate::grpc::field::WireEnum for $domain {
            type Wire = $wire;

            fn from_wire(wire: $wire) -> Option<Self> {
                match wire {
                    <$wire>::Unspecified => None,
                    $(<$wire>::$name => Some(Self::$name),)+
                }
            }

            fn to_wire(self) -> $wire {
                match self {
                    $(Self::$name => <$wire>::$name,)+
                }
            }
        }
    };
}
pub(crate) use wire_enum;

/// The number on the wire.
pub(crate) fn enum_number<D: WireEnum>(value: D) -> i32 {
    value.to_wire().into()
}

/// The number on the wire, 0 where it is left out.
pub(crate) fn optional_enum_number<D: WireEnum>(value: Option<D>) -> i32 {
    value.map_or(0, enum_number)
}

/// An enumeration that may be left out.
pub(crate) fn optional_enum<D: WireEnum>(field: &'static str, number: i32) -> Result<Option<D>, CallError> {
    match D::Wire::try_from(number) {
        Ok(wire) => Ok(D::from_wire(wire)),
        Err(_) => Err(CallError::invalid(
            field,
            "unknown_value",
            format!("`{number}` is not a value of this enumeration"),
        )),
    }
}

/// An enumeration that has to be there.
pub(crate) fn one_of<D: WireEnum>(field: &'static str, number: i32) -> Result<D, CallError> {
    required(field, optional_enum(field, number)?)
}

/// A part that has to be there.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, CallError> {
    value.ok_or_else(|| CallError::invalid(field, "required", "it is missing and has to be given"))
}

/// A text with a rule of its own.
pub(crate) fn parse<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, CallError> {
    text.parse().map_err(|error: T::Err| CallError::invalid(field, "malformed", error.to_string()))
}

/// A text with a rule of its own, which may be left out.
pub(crate) fn optional<T: FromStr<Err: Display>>(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, CallError> {
    text.map(|text| parse(field, text)).transpose()
}

/// A moment that has to be there.
pub(crate) fn moment(field: &'static str, wire: Option<Timestamp>) -> Result<OffsetDateTime, CallError> {
    required(field, optional_moment(field, wire)?)
}

/// A moment that may be left out.
pub(crate) fn optional_moment(
    field: &'static str,
    wire: Option<Timestamp>,
) -> Result<Option<OffsetDateTime>, CallError> {
    let Some(Timestamp { seconds, nanos }) = wire else { return Ok(None) };
    let read = OffsetDateTime::from_unix_timestamp(seconds).ok().zip(u32::try_from(nanos).ok());
    match read.and_then(|(second, nanos)| second.replace_nanosecond(nanos).ok()) {
        Some(moment) => Ok(Some(moment)),
        None => {
            let message = format!("{seconds} s {nanos} ns is not a moment of the years 1 to 9999");
            Err(CallError::invalid(field, "malformed", message))
        }
    }
}

/// A moment for the wire.
pub(crate) fn timestamp(moment: OffsetDateTime) -> Timestamp {
    // Below a thousand million, always.
    Timestamp { seconds: moment.unix_timestamp(), nanos: moment.nanosecond().cast_signed() }
}

/// A SHA-256.
pub(crate) fn digest(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], CallError> {
    bytes.try_into().map_err(|_| {
        CallError::invalid(field, "malformed", format!("a SHA-256 has 32 bytes, this has {}", bytes.len()))
    })
}

/// A part that is read when it is looked at.
pub(crate) fn readable<T>(field: &'static str, read: Result<T, impl Display>) -> Result<T, CallError> {
    read.map_err(|error| CallError::invalid(field, "malformed", error.to_string()))
}

/// Every item of a list of an answer, whose place in it is nothing to whoever asked.
pub(crate) fn each<W, D>(items: Vec<W>) -> Result<Vec<D>, CallError>
where
    D: TryFrom<W, Error = CallError>,
{
    items.into_iter().map(D::try_from).collect()
}

/// Every item of a field that repeats; errors name the item by its place.
pub(crate) fn each_in<W, D>(field: &'static str, items: Vec<W>) -> Result<Vec<D>, CallError>
where
    D: TryFrom<W, Error = CallError>,
{
    let read = |(at, item)| D::try_from(item).map_err(|error: CallError| error.in_item(field, at));
    items.into_iter().enumerate().map(read).collect()
}

/// Every item of a list, for the wire.
pub(crate) fn all<D, W: From<D>>(items: Vec<D>) -> Vec<W> {
    items.into_iter().map(W::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_survives_the_wire(seconds in -62_135_596_800_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap().replace_nanosecond(nanos).unwrap();
            prop_assert_eq!(moment("at", Some(timestamp(at))), Ok(at));
        }

        #[test]
        fn any_timestamp_is_read_or_refused(seconds: i64, nanos: i32) {
            let _ = moment("at", Some(Timestamp { seconds, nanos }));
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let wrong = [
            required::<()>("user", None).unwrap_err(),
            parse::<u8>("count", "x").unwrap_err(),
            moment("ends_at", Some(Timestamp { seconds: i64::MAX, nanos: 0 })).unwrap_err(),
            moment("ends_at", Some(Timestamp { seconds: 0, nanos: -1 })).unwrap_err(),
            moment("ends_at", None).unwrap_err(),
            digest("digest", &[0; 31]).unwrap_err(),
        ];
        let fields: Vec<_> = wrong
            .iter()
            .map(|error| match error {
                CallError::Invalid { field, rule, .. } => (&**field, *rule),
                other => panic!("{other}"),
            })
            .collect();
        let expected = [
            ("user", "required"),
            ("count", "malformed"),
            ("ends_at", "malformed"),
            ("ends_at", "malformed"),
            ("ends_at", "required"),
            ("digest", "malformed"),
        ];
        assert_eq!(fields, expected);
    }
}

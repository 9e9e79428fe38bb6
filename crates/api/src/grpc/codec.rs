//! How a field of a message becomes a field of a domain type and back: one small module for each sort of field, and
//! [`convert`], which makes both conversions of a whole message from one list.

/// Makes `From<domain> for message` and `TryFrom<message> for domain` from a list of fields, each with its sort. Fields that
/// the two name differently stand after the semicolon as `domain = message`.
macro_rules! convert {
    ($domain:ty = $wire:ty {
        $($field:ident: $sort:ident),* $(,)? $(; $($inside:ident = $outside:ident: $other:ident),+ $(,)?)?
    }) => {
        impl From<$domain> for $wire {
            fn from(value: $domain) -> Self {
                Self {
                    $($field: $crate::grpc::codec::$sort::write(value.$field),)*
                    $($($outside: $crate::grpc::codec::$other::write(value.$inside),)+)?
                }
            }
        }

        impl TryFrom<$wire> for $domain {
            type Error = $crate::fault::CallError;

            fn try_from(message: $wire) -> Result<Self, Self::Error> {
                Ok(Self {
                    $($field: $crate::grpc::codec::$sort::read(stringify!($field), message.$field)?,)*
                    $($($inside: $crate::grpc::codec::$other::read(stringify!($outside), message.$outside)?,)+)?
                })
            }
        }
    };
}
pub(crate) use convert;

/// A sort of field: its two directions.
macro_rules! sort {
    ($(#[$doc:meta])* $name:ident $(<$($generic:ident: $bound:path),+>)?: $domain:ty = $wire:ty,
        |$field:ident, $read:ident| $from:expr, |$write:ident| $to:expr) => {
        $(#[$doc])*
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "not every sort needs all of them")]
            use super::*;

            pub(crate) fn read$(<$($generic: $bound),+>)?($field: &'static str, $read: $wire) -> Result<$domain, CallError> {
                $from
            }

            pub(crate) fn write$(<$($generic: $bound),+>)?($write: $domain) -> $wire {
                $to
            }
        }
    };
}

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use prost_types::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;

use super::field::{self, WireEnum};
use crate::{fault::CallError, ids::Revision};

/// A text with a rule of its own.
pub(crate) trait Text: std::str::FromStr<Err: std::fmt::Display> + std::fmt::Display {}
impl<T: std::str::FromStr<Err: std::fmt::Display> + std::fmt::Display> Text for T {}

sort!(
    /// The same on both sides.
    plain<T: Sized>: T = T, |_field, wire| Ok(wire), |value| value
);
sort!(
    /// A text with a rule of its own.
    text<T: Text>: T = String, |field, wire| field::parse(field, &wire), |value| value.to_string()
);
sort!(
    /// A stable code: one of ours as a rule, so that it need not be copied.
    code: Cow<'static, str> = String, |_field, wire| Ok(wire.into()), |value| value.into_owned()
);
sort!(
    /// A text that many share.
    shared: Arc<str> = String, |_field, wire| Ok(wire.into()), |value| (*value).to_owned()
);
sort!(
    /// The same, if it is there.
    optional_text<T: Text>: Option<T> = Option<String>,
    |field, wire| field::optional(field, wire.as_deref()), |value| value.map(|value| value.to_string())
);
sort!(
    /// A text that is empty where there is none.
    text_or_none<T: Text>: Option<T> = String,
    |field, wire| field::optional(field, Some(wire.as_str()).filter(|text| !text.is_empty())),
    |value| value.map(|value| value.to_string()).unwrap_or_default()
);
sort!(
    /// A text that must not be printed.
    secret: SecretString = String, |_field, wire| Ok(wire.into()), |value| value.expose_secret().to_owned()
);
sort!(
    /// A moment.
    moment: OffsetDateTime = Option<Timestamp>,
    |field, wire| field::moment(field, wire), |value| Some(field::timestamp(value))
);
sort!(
    /// A moment, if it is there.
    optional_moment: Option<OffsetDateTime> = Option<Timestamp>,
    |field, wire| field::optional_moment(field, wire), |value| value.map(field::timestamp)
);
sort!(
    /// One of an enumeration.
    choice<T: WireEnum>: T = i32, |field, wire| field::one_of(field, wire), |value| field::enum_number(value)
);
sort!(
    /// One of an enumeration, if it is there.
    optional_choice<T: WireEnum>: Option<T> = i32,
    |field, wire| field::optional_enum(field, wire), |value| field::optional_enum_number(value)
);
sort!(
    /// A SHA-256.
    digest: [u8; 32] = Bytes,
    |field, wire| field::digest(field, &wire), |value| Bytes::copy_from_slice(&value)
);
sort!(
    /// A number of at most 255.
    small: u8 = u32,
    |field, wire| wire.try_into().map_err(|_| CallError::invalid(field, "malformed", format!("`{wire}` is over 255"))),
    |value| value.into()
);
sort!(
    /// A revision.
    revision: Revision = u64, |_field, wire| Ok(Revision(wire)), |value| value.0
);

/// A list of messages.
pub(crate) mod items {
    pub(crate) use super::field::{all as write, each_in as read};
}

/// A message that has to be there.
pub(crate) mod message {
    use super::{CallError, field};

    pub(crate) fn read<D, W>(name: &'static str, wire: Option<W>) -> Result<D, CallError>
    where
        D: TryFrom<W, Error = CallError>,
    {
        field::required(name, wire)?.try_into()
    }

    pub(crate) fn write<D, W: From<D>>(value: D) -> Option<W> {
        Some(value.into())
    }
}

/// A message that has to be there, and that many share.
pub(crate) mod shared_message {
    use super::{Arc, CallError, message};

    pub(crate) fn read<D, W>(name: &'static str, wire: Option<W>) -> Result<Arc<D>, CallError>
    where
        D: TryFrom<W, Error = CallError>,
    {
        message::read(name, wire).map(Arc::new)
    }

    pub(crate) fn write<D: Clone, W: From<D>>(value: Arc<D>) -> Option<W> {
        message::write(Arc::unwrap_or_clone(value))
    }
}

/// A message that may be left out.
pub(crate) mod optional_message {
    use super::CallError;

    pub(crate) fn write<D, W: From<D>>(value: Option<D>) -> Option<W> {
        value.map(W::from)
    }

    pub(crate) fn read<D, W>(_: &'static str, wire: Option<W>) -> Result<Option<D>, CallError>
    where
        D: TryFrom<W, Error = CallError>,
    {
        wire.map(D::try_from).transpose()
    }
}

/// A message that may be left out, and is kept out of line where it is not.
pub(crate) mod boxed_message {
    use super::CallError;

    pub(crate) fn write<D, W: From<D>>(value: Option<Box<D>>) -> Option<W> {
        value.map(|value| W::from(*value))
    }

    pub(crate) fn read<D, W>(_: &'static str, wire: Option<W>) -> Result<Option<Box<D>>, CallError>
    where
        D: TryFrom<W, Error = CallError>,
    {
        wire.map(|wire| D::try_from(wire).map(Box::new)).transpose()
    }
}

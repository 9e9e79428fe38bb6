//! Update masks: which fields of a request an update writes (AIP-134, AIP-161).
//!
//! A mask is taken out of its request before anything else looks at it: what it does not name is as if it were not given, and
//! what it names and the request leaves empty is given as the value that empties the field. So policies, services and stores see
//! one kind of update, the one by presence, and know no masks.

use std::collections::BTreeSet;

use lanyard_iam::shown;
use prost::Message;
use prost_types::FieldMask;

use crate::fault::CallError;

/// The field that a mask stands in, and that errors about it name.
pub(crate) const UPDATE_MASK: &str = "update_mask";

/// Most paths of one mask: more than any request has fields.
const PATHS_MAX: usize = 64;

/// The path that means every field (AIP-134): full replacement.
const EVERY: &str = "*";

/// A request of an update, with the fields that a mask may name. What says which object it is about, and what permits
/// something, is none of them and counts whatever the mask says.
pub(crate) trait Masked: Message + Default + 'static {
    /// What an update writes.
    const FIELDS: &'static [Field<Self>];

    /// The mask, taken out.
    fn take_mask(&mut self) -> Option<FieldMask>;
}

/// A field that an update writes.
pub(crate) struct Field<M> {
    /// What it is called in a mask: one name, or those of a `oneof` together.
    pub(crate) names: &'static [&'static str],
    /// Whether the request leaves it out.
    pub(crate) is_absent: fn(&M) -> bool,
    /// Makes it left out.
    pub(crate) leave: fn(&mut M),
    /// What it means that a mask names it where the request leaves it out.
    pub(crate) empty: Empty<M>,
}

/// What a field is when it is named and left out.
pub(crate) enum Empty<M> {
    /// Emptied, or as in a new object: this puts the value there that says so.
    Is(fn(&mut M)),
    /// It is never empty, and has to be given.
    Refused,
    /// It is never empty either; a full replacement leaves it as it is, for there it is not asked for by its name.
    Stays,
}

/// A mask that was read: of which fields it speaks, by their places in [`Masked::FIELDS`].
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mask {
    /// `*`.
    Every,
    /// These.
    These(BTreeSet<usize>),
}

impl Mask {
    /// Reads one, for an update that writes fields of these names.
    fn parse(mask: &FieldMask, fields: &[&[&str]]) -> Result<Self, CallError> {
        let wrong = |rule, message: String| Err(CallError::invalid(UPDATE_MASK, rule, message));
        let next = || {
            let names: Vec<String> = fields.concat().iter().map(|name| format!("`{name}`")).collect();
            format!("name some of {}, or `{EVERY}` alone for all of them", names.join(", "))
        };
        match mask.paths.as_slice() {
            [] => {
                return wrong("empty_mask", format!("it names no field: {}, or leave the mask out", next()));
            }
            [path] if path == EVERY => return Ok(Self::Every),
            paths if paths.len() > PATHS_MAX => {
                return wrong("long_mask", format!("it has over {PATHS_MAX} paths: {}", next()));
            }
            _ => {}
        }
        let mut these = BTreeSet::new();
        for path in &mask.paths {
            let Some(at) = fields.iter().position(|names| names.contains(&path.as_str())) else {
                let path = shown(path);
                return wrong("unknown_path", format!("`{path}` is no field that this writes: {}", next()));
            };
            these.insert(at);
        }
        Ok(Self::These(these))
    }
}

/// A request as its mask has it, without the mask; one that has none as it is.
///
/// # Errors
/// [`CallError::Invalid`] for [`UPDATE_MASK`], with the path, where that names what cannot be written; and for the field where
/// one is named and left out that is never empty.
pub(crate) fn applied<M: Masked>(mut message: M) -> Result<M, CallError> {
    let Some(mask) = message.take_mask() else { return Ok(message) };
    let names: Vec<&[&str]> = M::FIELDS.iter().map(|field| field.names).collect();
    let mask = Mask::parse(&mask, &names)?;
    for (at, field) in M::FIELDS.iter().enumerate() {
        let by_name = match &mask {
            Mask::Every => false,
            Mask::These(these) if these.contains(&at) => true,
            Mask::These(_) => {
                (field.leave)(&mut message);
                continue;
            }
        };
        match &field.empty {
            _ if !(field.is_absent)(&message) => {}
            Empty::Is(empty) => empty(&mut message),
            Empty::Stays if !by_name => {}
            Empty::Refused | Empty::Stays => {
                let name = field.names.first().copied().unwrap_or(UPDATE_MASK);
                let message =
                    format!("`{UPDATE_MASK}` names it, and it is never empty: give it, or do not name it");
                return Err(CallError::invalid(name, "required", message));
            }
        }
    }
    Ok(message)
}

/// Whether a field holds what it holds where nothing was given.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Says of update requests what their masks may name:
///
/// `<field> [("<name>" …)]: is(<value that empties it>) | stated | refused | stays`. `stated` is a field whose empty value is
/// itself what is written.
macro_rules! masked {
    ($($request:ty { $($field:ident $(($($name:literal)+))?: $sort:ident $(($value:expr))?),+ $(,)? })+) => {$(
        impl $crate::grpc::mask::Masked for $request {
            const FIELDS: &'static [$crate::grpc::mask::Field<Self>] = &[$($crate::grpc::mask::Field {
                names: $crate::grpc::mask::masked!(@names $field $(($($name)+))?),
                is_absent: |message| $crate::grpc::mask::is_default(&message.$field),
                leave: |message| message.$field = Default::default(),
                empty: $crate::grpc::mask::masked!(@$sort $field $(($value))?),
            }),+];

            fn take_mask(&mut self) -> Option<prost_types::FieldMask> {
                self.update_mask.take()
            }
        }
    )+};
    (@names $field:ident) => { &[stringify!($field)] };
    (@names $field:ident ($($name:literal)+)) => { &[$($name),+] };
    (@is $field:ident ($value:expr)) => { $crate::grpc::mask::Empty::Is(|message| message.$field = $value) };
    (@stated $field:ident) => { $crate::grpc::mask::Empty::Is(|_| {}) };
    (@refused $field:ident) => { $crate::grpc::mask::Empty::Refused };
    (@stays $field:ident) => { $crate::grpc::mask::Empty::Stays };
}
pub(crate) use masked;

//! What every change and every list bears on the wire.

use lanyard_proto::call::v1 as pb;

use crate::{
    fault::CallError,
    grpc::field,
    ids::Revision,
    methods::Managed,
    mutation::{Mutated, Mutation, PageQuery},
};

/// A request that changes something.
pub trait Mutating: Managed {
    /// Reason, lockout permit and lease, if given.
    fn mutation(&self) -> Option<&pb::Mutation>;

    /// Puts them in.
    fn set_mutation(&mut self, mutation: pb::Mutation);
}

impl From<&Mutation> for pb::Mutation {
    fn from(by: &Mutation) -> Self {
        Self {
            reason: by.reason.clone().unwrap_or_default(),
            allow_lockout: by.allow_lockout,
            lease_term: by.lease_term,
            client_request_token: by
                .client_request_token
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}

/// The message's part of an answer, and its value's.
pub(crate) fn split<T>(answer: Mutated<T>) -> (T, Option<pb::Mutated>) {
    let Mutated { value, revision, confirmed, pending, notices, update } = answer;
    let update = update.map(Into::into);
    (value, Some(pb::Mutated { revision: revision.0, confirmed, pending, notices, update }))
}

/// The two parts together again.
pub(crate) fn join<T>(value: T, wire: Option<pb::Mutated>) -> Result<Mutated<T>, CallError> {
    let pb::Mutated { revision, confirmed, pending, notices, update } = field::required("mutated", wire)?;
    let update = update.map(TryInto::try_into).transpose()?;
    Ok(Mutated { value, revision: Revision(revision), confirmed, pending, notices, update })
}

/// The answers of mutations whose message has the value in one field.
macro_rules! mutated {
    ($($domain:ty = $wire:ty { $field:ident: $sort:ident })+) => {$(
        impl From<$crate::mutation::Mutated<$domain>> for $wire {
            fn from(answer: $crate::mutation::Mutated<$domain>) -> Self {
                let (value, mutated) = $crate::grpc::mutation::split(answer);
                Self { $field: $crate::grpc::codec::$sort::write(value), mutated }
            }
        }

        impl TryFrom<$wire> for $crate::mutation::Mutated<$domain> {
            type Error = $crate::fault::CallError;

            fn try_from(answer: $wire) -> Result<Self, Self::Error> {
                let value = $crate::grpc::codec::$sort::read(stringify!($field), answer.$field)?;
                $crate::grpc::mutation::join(value, answer.mutated)
            }
        }
    )+};
}
pub(crate) use mutated;

/// Pages of messages.
macro_rules! pages {
    ($($domain:ty = $wire:ty),+ $(,)?) => {$(
        impl From<$crate::mutation::Page<$domain>> for $wire {
            fn from(page: $crate::mutation::Page<$domain>) -> Self {
                let items = $crate::grpc::field::all(page.items);
                // Pages that have a view have a field more.
                #[allow(clippy::needless_update, reason = "most pages have these two fields alone")]
                Self { items, next_token: page.next_token, ..Default::default() }
            }
        }

        impl TryFrom<$wire> for $crate::mutation::Page<$domain> {
            type Error = $crate::fault::CallError;

            fn try_from(page: $wire) -> Result<Self, Self::Error> {
                Ok(Self { items: $crate::grpc::field::each(page.items)?, next_token: page.next_token })
            }
        }
    )+};
}
pub(crate) use pages;

/// What makes something: the request without its `mutation`, which the call fills in.
macro_rules! asked {
    ($($domain:ty = $wire:ty { $($field:ident: $sort:ident),+ $(,)? })+) => {$(
        impl From<$domain> for $wire {
            fn from(asked: $domain) -> Self {
                Self { mutation: None, $($field: $crate::grpc::codec::$sort::write(asked.$field),)+ }
            }
        }

        impl TryFrom<$wire> for $domain {
            type Error = $crate::fault::CallError;

            fn try_from(message: $wire) -> Result<Self, Self::Error> {
                Ok(Self { $($field: $crate::grpc::codec::$sort::read(stringify!($field), message.$field)?,)+ })
            }
        }
    )+};
}
pub(crate) use asked;

impl From<PageQuery> for pb::PageQuery {
    fn from(query: PageQuery) -> Self {
        Self { items_max: query.items_max, token: query.token }
    }
}

/// The first page, where none is asked for.
pub(crate) fn page_query(wire: Option<pb::PageQuery>) -> PageQuery {
    let pb::PageQuery { items_max, token } = wire.unwrap_or_default();
    PageQuery { items_max, token }
}

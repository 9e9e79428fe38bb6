//! What the gRPC adapters of all services share.
//!
//! A service's `convert`, `server` and `client` modules are beside its traits; here is what they are made of. On the server
//! side [`Served`] wraps any implementation of a trait, and a [`Door`] says whom its actors are taken from. On the client
//! side [`Remote`] implements the same traits over anything that sends HTTP/2 requests. Between them go statuses, from which
//! a client reads back the very error that the service gave.

mod about;
mod client;
pub(crate) mod codec;
mod door;
pub(crate) mod field;
pub(crate) mod frame;
mod layer;
pub(crate) mod mask;
pub(crate) mod mutation;
mod paging;
mod pass;
mod server;
mod status;
mod watch;

pub use about::{ReflectionError, with_health_and_reflection};
pub use client::{CALL_TIMEOUT, Remote, Wire, admitted_at_the_door};
pub use door::{ACTOR_METADATA, CallingService, Door, SOURCE_IP_METADATA, SourceIp, VouchKeys};
pub use layer::{Prepare, Prepared};
pub use mutation::Mutating;
pub use pass::pass;
pub use server::{MESSAGE_BYTES_MAX, Served};
pub use status::{ERROR_DOMAIN, forbidden, unauthenticated, unsupported};

pub(crate) use client::{call, received};
pub(crate) use paging::{Listing, NoListing};
pub(crate) use server::{passed, serve, taken};
pub(crate) use watch::{Watched, events, heard, watched};

#[cfg(test)]
mod tests;

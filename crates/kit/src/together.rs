//! Calls that wait at the same time travel together.
//!
//! A call of its own costs HTTP/2 a stream: two or three frames each way, a TLS record and a write for each of them, and the wake-ups
//! of four tasks. Between two processes of the hub one stream of gRPC (`/lanyard.kit.v1.Together/Call`) is kept open on each
//! connection instead. Whatever calls are queued when it is written to go as one piece, and so do the answers that are ready when
//! those are written. Nothing waits for company: a lone call goes at once.
//!
//! What travels is a request as it is, with its headers and its body, and comes out as one: [`Together`] sends it through the very
//! service, and all its layers, that a call of its own would go through, as a call of the stream's peer. It is refused, counted, traced
//! and caught alone. Who calls is [`Peer`](crate::serve::Peer) of the connection, and nothing that a message says.
//!
//! Only small calls of the methods that both sides name go this way, and what is not taken there has met no
//! service: its caller sends it by itself, as if there were no such stream. That is so as well for a process of a version that does
//! not have it. A call whose caller gives up is cancelled at the other end; one that was written when the stream broke may have
//! been served, as with a connection that broke.
//!
//! A connection that ends, by its age or because its server stops, has that said on the stream: the client sends no more, hears the
//! answers to what it has sent, and then both end it.

mod body;
mod carrier;
mod server;
pub mod wire;

pub(crate) use body::whole;
pub use carrier::Told;
pub(crate) use carrier::{Carried, Carrier, Outbox, Reading, Unanswered};
pub use server::{Carrying, Together, Whole};

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The method that opens such a stream.
pub(crate) const PATH: &str = "/lanyard.kit.v1.Together/Call";

/// Most bytes of a call's body. A longer one is read, and worked on, for longer than a stream of its own costs, and would hold up the others.
pub(crate) const BODY_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of a call with its headers. What a service takes of one by itself is HTTP/2's to say.
const CALL_BYTES_MAX: usize = BODY_BYTES_MAX + 16 * 1024;
/// Most bytes of an answer's body: a little more than the services make a message.
const ANSWER_BODY_BYTES_MAX: usize = 17 * 1024 * 1024;
/// Most bytes of an answer with its headers and trailers.
const ANSWER_BYTES_MAX: usize = ANSWER_BODY_BYTES_MAX + 1024 * 1024;
/// Most header lines of a call or an answer, as of HTTP/1 requests ([`Limits`](crate::serve::Limits)).
const FIELDS_MAX: usize = 100;
/// Most calls of one stream at a time, as many as a connection has streams by default.
const CALLS_MAX: usize = 256;
/// Bytes that may wait to be written before more go another way, or wait themselves.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// Most such streams of a connection: each may have as many calls as a connection without them.
const STREAMS_MAX: usize = 1;

/// In the extensions of a request that opens such a stream: what it shares with others of its connection.
#[derive(Debug, Clone)]
pub(crate) struct OfConnection {
    /// Cancelled when the connection is about to end.
    ending: CancellationToken,
    /// Streams that may be opened yet.
    slots: Arc<Semaphore>,
}

impl OfConnection {
    /// Of a connection that ends then.
    pub(crate) fn new(ending: CancellationToken) -> Self {
        Self { ending, slots: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

#[cfg(test)]
mod tests;

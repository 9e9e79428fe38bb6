//! One listener: TLS or not, HTTP/1.1 and HTTP/2, any `tower` service behind it. [`PlainServer`] is one without TLS for programs that are
//! to be small.
//!
//! Everything that a stranger can make grow is bounded by [`Limits`]: connections, of all and of one address, the time for a
//! handshake, for a request's head and for answers that are not read, header bytes and count, streams, and the age of a connection (so that clients balance anew over the
//! replicas). The size of a body is the service's own affair, since some must answer an overlong one in their own
//! words: [`read_body`] reads one up to a limit, and [`Bodies`] those of strangers and of whoever may have become one, which have a time
//! and one limit together.
//!
//! A handler that panics costs its own request alone: that is answered 500, or `INTERNAL` where it is gRPC's, and told in the log.
//!
//! Each request carries a [`Peer`] in its extensions. A client certificate that verifies but names nobody of this hub
//! ends the connection before any request is read.

mod bodies;
mod body;
mod connection;
mod counted;
mod guarded;
mod heads;
mod listener;
mod numbered;
mod panicked;
mod plain;
mod shares;
mod stalled;

pub use bodies::{Bodies, BodyLimits, Counted, Held, Sender, UNCOUNTED_BYTES};
pub use body::{BodyError, read_body};
pub use connection::Peer;
pub use guarded::{Guard, Guarded, Refusal};
pub use listener::Server;
pub(crate) use panicked::Shape;
pub use plain::{Answerer, PlainServer};
pub use shares::{Share, Shares};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use tokio::sync::watch;

use crate::tls::Live;

/// How to listen.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS as it is when a connection comes, or none for a loopback listener in tests and behind a terminating proxy.
    pub tls: Option<Live<rustls::ServerConfig>>,
    /// Over how many routers answers go at most (IPv4's time to live, IPv6's hop limit); the system's default where it is not said.
    pub hops_max: Option<u32>,
    /// The header in which answers to HTTP/1 heads that are none, or too long, bear a number, for services that number all of
    /// theirs; none: they bear none. Over HTTP/2 such heads are refused within the framing, where there is no place for it.
    pub numbered_by: Option<HeaderName>,
    /// The bounds.
    pub limits: Limits,
}

impl Options {
    /// Plain HTTP on 127.0.0.1.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Plain HTTP there.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, tls: None, hops_max: None, numbered_by: None, limits: Limits::default() }
    }

    /// The same listener with TLS.
    #[must_use]
    pub fn with_tls(self, tls: Arc<rustls::ServerConfig>) -> Self {
        // A receiver keeps the last value although its sender is gone.
        self.with_live_tls(watch::channel(tls).1)
    }

    /// The same with TLS that may change: new connections have what is there when they come.
    #[must_use]
    pub fn with_live_tls(mut self, tls: Live<rustls::ServerConfig>) -> Self {
        self.tls = Some(tls);
        self
    }
}

/// What a stranger may make a listener hold or wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; beyond it, new ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// Open connections of one address; beyond it, new ones are closed at once. By default all of them: behind a load balancer
    /// one address speaks for many. The listener's own address, which is the machine's, has half of all at least.
    pub connections_per_address_max: usize,
    /// The whole TLS handshake. Slow clients on bad networks need two round trips.
    pub handshake_timeout: Duration,
    /// From when an HTTP/1 connection waits for a request, at its beginning or after an answer, to the last byte of that one's head: so
    /// long may it be idle, too. Also how long a new connection may not say what it speaks.
    pub head_timeout: Duration,
    /// How long a peer may take nothing of what is written to it, before the connection breaks off.
    pub write_timeout: Duration,
    /// Bytes of a request's head. HTTP/1 counts its read buffer, so the body's first bytes may be among them.
    pub head_bytes_max: u32,
    /// Header lines of an HTTP/1 request.
    pub headers_max: usize,
    /// Concurrent requests on one HTTP/2 connection.
    pub streams_max: u32,
    /// After this, give or take a tenth, a connection takes no new requests, finishes those it has and is closed.
    pub connection_age_max: Duration,
    /// On a graceful stop, and at a connection's age, how long open requests may take before they are cut off.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 10_000,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            streams_max: 256,
            connection_age_max: Duration::from_secs(10 * 60),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// Why a listener does not exist.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("cannot listen on `{address}`: {reason}; choose a free address or port 0")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's own words.
        reason: std::io::Error,
    },
}

#[cfg(test)]
mod tests;

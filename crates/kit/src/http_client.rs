//! The one way out to other people's servers.
//!
//! HTTPS only, no proxies from the environment, no redirects, bodies up to a limit, a deadline for everything, and no
//! connection to a private, loopback or link-local address unless the host was allowed by name: what a remote party
//! can put into a URL or into DNS does not reach the machines beside us. What only the machine's own configuration names, AWS's places
//! of credentials, is called by a client whose options say so: there are plain addresses among them, and proxies on the way.

mod address;
mod client;
mod internet;

pub use address::{AddressRules, is_public};
pub use client::{Answer, HttpClient, Options, Request, Streamed};
pub use internet::TestInternet;

use std::time::Duration;

/// Why there is no answer. Never to be read as a refusal by the other side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// The URL may not be called at all.
    #[error("`{host}` may not be called: {rule}")]
    Refused {
        /// The host of the URL.
        host: String,
        /// Which rule, and what to do about it.
        rule: &'static str,
    },
    /// The host has no address.
    #[error("no usable address for `{host}`: {reason}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// The host has an address that may not be called.
    #[error("no usable address for `{host}`: {reason}")]
    NotPublic {
        /// The host.
        host: String,
        /// What the address rules said.
        reason: String,
    },
    /// No answer in time.
    #[error("`{host}` did not answer within {limit:?}; try again later, or raise the limit")]
    Timeout {
        /// The host.
        host: String,
        /// The deadline.
        limit: Duration,
    },
    /// No connection.
    #[error("cannot connect to `{host}`: {reason}")]
    Connect {
        /// The host.
        host: String,
        /// The system's or the peer's words.
        reason: String,
    },
    /// The other side is not who it should be.
    #[error(
        "`{host}` did not prove who it is: {reason}; see whether its authority is among the trusted ones"
    )]
    Tls {
        /// The host.
        host: String,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// The answer is longer than allowed.
    #[error("the answer of `{host}` is longer than {bytes_max} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        bytes_max: usize,
    },
    /// The answer sends us elsewhere.
    #[error(
        "`{host}` answered with a redirect (status {status}), which is not followed; use the final address"
    )]
    Redirect {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// The answer broke off, or is no HTTP.
    #[error("the answer of `{host}` broke off: {reason}")]
    Broken {
        /// The host.
        host: String,
        /// What happened.
        reason: String,
    },
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up outgoing HTTPS: {0}")]
pub struct HttpClientError(String);

#[cfg(test)]
mod tests;

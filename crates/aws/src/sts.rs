//! `GetCallerIdentity`: the question, the answers, the faults.

mod answer;
mod client;
mod self_hosted;

use std::time::Duration;

use lanyard_iam::token::{CLUSTER_ID_HEADER, HUB_ID_HEADER};
use lanyard_iam::{AccessKeyId, CallerIdentity, Partition};
use lanyard_kit::SecretString;
use lanyard_kit::config::{OutOfRange, SECONDS_MAX, in_range};
use lanyard_kit::limits::Quota;
use serde::{Deserialize, Serialize};

use crate::breaker::BreakerOptions;

pub use client::StsClient;
pub use self_hosted::{SelfHostedSts, SelfHostedStsError};

/// A presigned `GetCallerIdentity`, taken apart and rebuilt by the caller: nothing here is as it came off the wire.
#[derive(Debug, Clone, Copy)]
pub struct GetCallerIdentity<'a> {
    /// The rebuilt URL. A bearer value.
    pub url: &'a SecretString,
    /// Its host, with its port if it has one.
    pub host: &'a str,
    /// The region that the host serves.
    pub region: &'a str,
    /// The partition that an answer has to be of.
    pub partition: Partition,
    /// Whether the host is a self-hosted STS: its answers are not held to AWS's own rules about keys.
    pub self_hosted: bool,
    /// The key that signed.
    pub access_key_id: &'a AccessKeyId,
    /// Whom the signature has to be for.
    pub bound_to: BoundTo<'a>,
    /// The asking spoke, for its limit; of an exchange the hub.
    pub spoke: &'a str,
}

/// Whom a signature is for: the asker's own id, which is sent in a header that the signature has to cover with this very value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundTo<'a> {
    /// A cluster, by its id.
    Cluster(&'a str),
    /// A hub, by its id.
    Hub(&'a str),
}

impl<'a> BoundTo<'a> {
    /// The header with its value.
    fn header(self) -> (&'static str, &'a str) {
        match self {
            Self::Cluster(id) => (CLUSTER_ID_HEADER, id),
            Self::Hub(id) => (HUB_ID_HEADER, id),
        }
    }
}

/// STS has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StsAnswer {
    /// Somebody, with parts that agree.
    Verified(CallerIdentity),
    /// A definite no.
    Refused(StsRefusal),
}

/// A definite no from STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StsRefusal {
    /// What it means.
    pub reason: StsRefusalReason,
    /// The HTTP status.
    pub status: u16,
}

/// What a refusal by STS means. STS's own message is never passed on: it quotes the signed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StsRefusalReason {
    /// The signature does not fit: a wrong secret, a tampered token, or a token for another cluster. STS cannot tell these
    /// apart, for the cluster's id is nothing but a signed header to it.
    SignatureOrCluster,
    /// The signature or the session token is past its time.
    Expired,
    /// The access key does not exist, or is not active; or the session token is not its own.
    InvalidKey,
    /// Parts of the signature are missing or malformed.
    Incomplete,
    /// The region is not enabled for the account.
    RegionDisabled,
    /// Refused with a code that has no meaning of its own here.
    Other,
}

impl StsRefusalReason {
    /// Stable, snake case.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SignatureOrCluster => "signature_or_cluster",
            Self::Expired => "sts_expired",
            Self::InvalidKey => "invalid_key",
            Self::Incomplete => "incomplete_signature",
            Self::RegionDisabled => "region_disabled",
            Self::Other => "sts_refused",
        }
    }

    /// What it means and what to do, for people.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::SignatureOrCluster => {
                "the signature does not fit: the secret is wrong, or the token was made for another cluster (STS \
                 cannot tell which); make a token for this cluster's id"
            }
            Self::Expired => "the token or the session behind it has expired; make a new one",
            Self::InvalidKey => "the access key does not exist or is not active; use another",
            Self::Incomplete => "parts of the signature are missing; make the token with a stock client",
            Self::RegionDisabled => {
                "the region is not enabled for this account; make the token for another region"
            }
            Self::Other => {
                "STS refuses the token; see what `aws sts get-caller-identity` says with these credentials"
            }
        }
    }
}

/// Whose limit was met, on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limited {
    /// The asking spoke's.
    Spoke,
    /// The access key's.
    AccessKey,
    /// The region's.
    Region,
}

impl Limited {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spoke => "this cluster's share of STS calls",
            Self::AccessKey => "this access key's share of STS calls",
            Self::Region => "this region's share of STS calls",
        }
    }
}

/// Why STS has not answered. Never a refusal, never to be remembered as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StsFault {
    /// Held back on our side.
    #[error("{} is used up: try again in {retry_after:?}", whose.name())]
    Limited {
        /// Whose limit.
        whose: Limited,
        /// When there is room again.
        retry_after: Duration,
    },
    /// STS itself throttles, also after retries.
    #[error("STS at `{host}` throttles: try again later")]
    Throttled {
        /// The host.
        host: String,
    },
    /// The endpoint fails for everyone; it is not tried for a while.
    #[error("STS at `{host}` fails for several principals and is left alone for {retry_after:?}")]
    BreakerOpen {
        /// The host.
        host: String,
        /// When it is tried again.
        retry_after: Duration,
    },
    /// No whole answer in time.
    #[error("STS at `{host}` did not answer within {limit:?}")]
    TimedOut {
        /// The host.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// No connection to it, or not to the one it should be.
    #[error("STS at `{host}` cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// For the log.
        reason: String,
    },
    /// STS is in trouble.
    #[error("STS at `{host}` answered with status {status}")]
    ServerError {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// It answered, but not this question, or not in the form that it has to have.
    #[error("the answer of STS at `{host}` is unusable: {reason}")]
    BadAnswer {
        /// The host.
        host: String,
        /// What is wrong with it, without its content.
        reason: String,
    },
}

/// Limits, times and the breaker of the client. Rates are AWS's published ones for STS (600 calls a second for each
/// region and account) divided by what one hub may reasonably use. Each rate is there three times: for tokens and sessions
/// that STS has verified lately, for whatever else names a key that it has verified, and for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StsOptions {
    /// From the first try to the last byte of the last answer. The API server gives up after 30 s by default, and its
    /// webhook timeout is often 10 s.
    pub deadline_milliseconds: u64,
    /// One try.
    pub attempt_milliseconds: u64,
    /// Of that, for a connection.
    pub connect_milliseconds: u64,
    /// Tries where STS throttles.
    pub attempts_max: u32,
    /// Before the second try a random time up to this is waited, before each further one up to twice that of the last.
    pub backoff_milliseconds: u64,
    /// For each region that AWS has, and each self-hosted STS.
    pub region: Quota,
    /// For all regions that AWS does not have, together.
    pub unknown_regions: Quota,
    /// For each access key at a spoke.
    pub access_key: Quota,
    /// For each spoke.
    pub spoke: Quota,
    /// How long a verified key counts as one.
    pub proven_seconds: u64,
    /// When an endpoint counts as down.
    pub breaker: BreakerOptions,
}

impl StsOptions {
    /// Judges what types cannot.
    ///
    /// # Errors
    /// [`OutOfRange`] names the key, as it is called below these.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let times = [
            ("proven_seconds", self.proven_seconds),
            ("breaker.window_seconds", self.breaker.window_seconds),
            ("breaker.open_seconds", self.breaker.open_seconds),
        ];
        in_range(0..=SECONDS_MAX, &times)
    }
}

impl Default for StsOptions {
    fn default() -> Self {
        Self {
            deadline_milliseconds: 8_000,
            attempt_milliseconds: 5_000,
            connect_milliseconds: 2_000,
            attempts_max: 3,
            backoff_milliseconds: 100,
            region: Quota { per_second: 100, burst: 200 },
            unknown_regions: Quota { per_second: 2, burst: 5 },
            access_key: Quota { per_second: 5, burst: 20 },
            spoke: Quota { per_second: 50, burst: 100 },
            proven_seconds: 3_600,
            breaker: BreakerOptions::default(),
        }
    }
}

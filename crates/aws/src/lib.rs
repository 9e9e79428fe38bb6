//! Lanyard's calls out to AWS. So far there is one: `GetCallerIdentity` of STS.
//!
//! [`StsClient`] executes a presigned `GetCallerIdentity` that its caller has taken apart and rebuilt from its parts. An
//! answer is [`StsAnswer::Verified`] or [`StsAnswer::Refused`]; whatever keeps STS from answering is an [`StsFault`] and
//! never to be read as a refusal. Around each call stand, in this order:
//!
//! 1. **limits** for each spoke, each access key at a spoke, and each region (regions that AWS does not have share a small
//!    one); keys that STS has verified lately have a share of their own, so that made-up keys starve nobody;
//! 2. a **breaker** for each endpoint, which opens on faults that several verified principals met while nobody got an
//!    answer, for a fixed time: no single caller can open it or hold it open;
//! 3. **retries** with jitter where STS throttles, within one deadline;
//! 4. kit's outbound client: HTTPS alone, no redirects, public addresses, a bounded body;
//! 5. a strict reading of the answer, bound to the question: JSON, one partition, account and ARN and user id that agree,
//!    and no role session out of a long-term key.
//!
//! The feature `stand-in` has the STS of the tests: real TLS under STS's own host names on loopback, signatures verified
//! as AWS does, and every misbehaviour on command.

mod breaker;
mod limits;
#[cfg(any(test, feature = "stand-in"))]
pub mod stand_in;
mod sts;

pub use breaker::BreakerOptions;
pub use limits::Quota;
pub use sts::{
    GetCallerIdentity, Limited, StsAnswer, StsClient, StsFault, StsOptions, StsRefusal, StsRefusalReason,
};

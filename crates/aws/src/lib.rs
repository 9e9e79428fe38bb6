//! Lanyard's calls out to AWS, of two kinds.
//!
//! **What others have signed.** [`StsClient`] executes a presigned `GetCallerIdentity` that its caller has taken apart and
//! rebuilt from its parts. An answer is [`StsAnswer::Verified`] or [`StsAnswer::Refused`]; whatever keeps STS from answering
//! is an [`StsFault`] and never to be read as a refusal. Around each call stand, in this order:
//!
//! 1. **limits** for each spoke, each access key at a spoke, and each region (regions that AWS does not have share a small
//!    one); tokens and sessions that STS has verified lately have a share of their own, and so has whatever else names a
//!    verified key, so that made-up keys starve nobody, and who knows the ids of keys starves no token that was verified;
//! 2. a **breaker** for each endpoint, which opens on faults that several verified principals met while nobody got an
//!    answer, for a fixed time: no single caller can open it or hold it open;
//! 3. **retries** with jitter where STS throttles, within one deadline;
//! 4. kit's outbound client: HTTPS alone, no redirects, public addresses, a bounded body;
//! 5. a strict reading of the answer, bound to the question: JSON, one partition, account and ARN and user id that agree,
//!    and no role session out of a long-term key.
//!
//! **What the hub signs itself**, in AWS mode. [`AwsClient`] finds the hub's own credentials where AWS's tools find theirs,
//! assumes a role where another account has to be asked, and asks IAM who bears a name ([`AwsClient::principal`]), EC2 what
//! instances are called ([`Instances`], which remembers and asks for many at once) and KMS for keys
//! ([`AwsClient::generate_data_key`]); and STS for sessions of the roles of workloads ([`AwsClient::assume_role`],
//! [`AwsClient::assume_role_with_web_identity`]). The same things stand around these calls, and [`AwsFault`] says why there is no answer.
//!
//! [`reading`] has the readers of AWS's XML by themselves. The feature `stand-in` has the AWS of the tests: real TLS under
//! AWS's own host names on loopback, signatures verified as AWS does, and every misbehaviour on command.

mod breaker;
mod codes;
mod limits;
mod metered;
mod own;
mod patience;
pub mod reading;
#[cfg(any(test, feature = "stand-in"))]
pub mod stand_in;
mod sts;
mod xml;

pub use breaker::BreakerOptions;
pub use own::{
    AssumeRefusal, AssumeRoleAsked, AssumedAccount, AssumedBy, AssumedRole, AwsClient, AwsClientError,
    AwsFault, AwsOptions, AwsOptionsError, AwsRefusal, CallOptions, CredentialPlace, CredentialSource,
    DATA_KEY_BYTES, DataKey, HubPrincipal, Instance, InstanceOptions, Instances, InvalidKmsKey, KmsKey,
    ListedPrincipals, ListingOptions, NamedPrincipal, RoleSessionAsked, StsEndpoint, Unreadable, caller_in,
    session_in,
};
pub use sts::{
    BoundTo, GetCallerIdentity, Limited, SelfHostedSts, SelfHostedStsError, StsAnswer, StsClient, StsFault,
    StsOptions, StsRefusal, StsRefusalReason,
};

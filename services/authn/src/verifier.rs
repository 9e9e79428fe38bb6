//! One question to whoever can verify a token, and its answers.

mod local;
pub(crate) mod oidc;
mod sts;

use std::future::Future;
use std::sync::Arc;

use lanyard_api::{Authority, Denial, Fault, Identity, authn::Refusal};
use lanyard_iam::{AccessKeyId, ParsedToken, TokenDigest};
use time::OffsetDateTime;

pub(crate) use local::LocalIam;
pub(crate) use sts::StsVerifier;

use crate::cache::CacheKey;
use crate::snapshot::ClusterView;

/// A token whose parts are in order, and the cluster that it has to be for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// What answers to it are kept by.
    pub(crate) key: CacheKey,
    /// What names the token in the log.
    pub(crate) digest: TokenDigest,
    pub(crate) token: &'a ParsedToken,
    pub(crate) cluster: &'a Arc<ClusterView>,
    /// Whose the token would be.
    pub(crate) authority: &'a Authority,
    pub(crate) now: OffsetDateTime,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verification {
    Verified(Proven),
    Refused(Refusal),
}

/// Somebody, proven by a verifier.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proven {
    pub(crate) identity: Arc<Identity>,
    /// Who was asked.
    pub(crate) verifier: Arc<str>,
    /// Whether the token cache saved the work.
    pub(crate) cached: bool,
    /// Until when it is kept; none where it is not.
    pub(crate) kept_until: Option<OffsetDateTime>,
}

/// Whoever can verify a token.
pub(crate) trait Verifier: Send + Sync + 'static {
    /// Verified or refused; `Err` when there is no answer.
    fn verify(&self, question: Question<'_>) -> impl Future<Output = Result<Verification, Fault>> + Send;
}

/// A refusal of a token that got as far as naming its key.
pub(crate) fn refusal(
    code: &'static str,
    message: impl Into<String>,
    part: &str,
    authority: &Authority,
    key: &AccessKeyId,
) -> Refusal {
    Refusal {
        denial: Denial { code: code.into(), message: message.into() },
        part: part.to_owned(),
        authority: Some(authority.clone()),
        access_key_id: Some(key.clone()),
        hints: Vec::new(),
    }
}

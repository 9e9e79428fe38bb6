//! Why a session cannot be minted or opened.

use time::OffsetDateTime;

use crate::shown::moment_text;

/// Why a session cannot be minted, or a session token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The claims are too long for a token.
    #[error(
        "the session token would have {chars} characters, at most {max} are allowed: shorten the session policy or the tags"
    )]
    PackedPolicyTooLarge {
        /// What it would have.
        chars: usize,
        /// The limit.
        max: usize,
    },
    /// A claim that no session may have.
    #[error("the session's {claim} is out of its rule: {rule}")]
    InvalidClaim {
        /// Which claim.
        claim: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// Key material of the wrong form.
    #[error("the session keys are unusable: {0}")]
    Keys(&'static str),
    /// The source of randomness gave none. A fault, not a refusal.
    #[error("no random bytes could be had")]
    Random,
    /// Not the form of a session token.
    #[error("the session token is malformed")]
    Malformed,
    /// Sealed under a generation of keys that is not held here.
    #[error("the session token is of key generation {0}, which is not held here")]
    UnknownKey(u32),
    /// It was changed, or never sealed with these keys.
    #[error("the session token cannot be opened")]
    Sealed,
    /// Sealed with our key, and not signed by the one who mints.
    #[error("the session token was not signed by the minting service")]
    Forged,
    /// It belongs to another access key.
    #[error("the session token belongs to another access key")]
    OtherAccessKey,
    /// Its time is over.
    #[error("the session ended at {}: assume the role again", moment_text(.0))]
    Expired(OffsetDateTime),
    /// Issued in the future, by more than clocks may differ.
    #[error("the session was issued at {}, ahead of this clock: set the clock", moment_text(.0))]
    Future(OffsetDateTime),
}

impl SessionError {
    /// A stable name, in snake case, for machine-readable answers, metrics and logs.
    #[must_use]
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::PackedPolicyTooLarge { .. } => "packed_policy_too_large",
            Self::InvalidClaim { .. } => "session_claim_invalid",
            Self::Keys(_) => "session_keys_unusable",
            Self::Random => "no_randomness",
            Self::Malformed => "session_token_malformed",
            Self::UnknownKey(_) => "session_key_unknown",
            Self::Sealed => "session_token_sealed",
            Self::Forged => "session_token_forged",
            Self::OtherAccessKey => "session_of_other_key",
            Self::Expired(_) => "session_expired",
            Self::Future(_) => "session_from_future",
        }
    }
}

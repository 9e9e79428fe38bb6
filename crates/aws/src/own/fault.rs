//! Why AWS has not told what the hub asked.

use std::time::Duration;

use lanyard_iam::{AccountId, Partition};

/// AWS says no to the hub itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "AWS refuses the hub's `{action}` ({code}, status {status}): see that the hub's own identity may do it, and that its \
     credentials are good"
)]
pub struct AwsRefusal {
    /// The action as policies name it: `iam:GetRole`.
    pub action: &'static str,
    /// AWS's own code: `AccessDenied`.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
}

/// Why there is no answer to what the hub asked of AWS. Never to be read, or remembered, as a "no" to that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsFault {
    /// The hub has no credentials.
    #[error(
        "the hub has no credentials of its own for AWS: {reason}; give it some as AWS's tools take them (AWS_ACCESS_KEY_ID, \
         a profile, a web identity, a container's or an instance's role)"
    )]
    NoCredentials {
        /// What looking for them came to.
        reason: String,
    },
    /// The account is not one that the hub reaches.
    #[error(
        "the hub's own identity is of account {own}, so that it cannot ask about account {asked}: name a role to assume there \
         under aws.accounts"
    )]
    OtherAccount {
        /// The account asked about.
        asked: AccountId,
        /// The hub's own.
        own: AccountId,
    },
    /// The partition is not the hub's own.
    #[error("the hub calls AWS in partition {own} alone, and cannot ask about partition {asked}")]
    OtherPartition {
        /// The partition asked about.
        asked: Partition,
        /// The hub's own.
        own: Partition,
    },
    /// A refusal, which does not tell what was asked.
    #[error(transparent)]
    Refused(#[from] AwsRefusal),
    /// Held back on our side.
    #[error("the hub asks `{host}` too often: try again in {retry_after:?}")]
    Limited {
        /// The host.
        host: String,
        /// When there is room again.
        retry_after: Duration,
    },
    /// AWS throttles, also after retries.
    #[error("`{host}` throttles the hub: try again later")]
    Throttled {
        /// The host.
        host: String,
    },
    /// The endpoint fails again and again; it is not tried for a while.
    #[error("`{host}` fails again and again and is left alone for {retry_after:?}")]
    BreakerOpen {
        /// The host.
        host: String,
        /// When it is tried again.
        retry_after: Duration,
    },
    /// No whole answer in time.
    #[error("`{host}` did not answer within {limit:?}")]
    TimedOut {
        /// The host.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// No connection to it, or not to the one it should be.
    #[error("`{host}` cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// For the log.
        reason: String,
    },
    /// AWS is in trouble.
    #[error("`{host}` is in trouble (status {status})")]
    ServerError {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// It answered, but not this question, or not in the form that it has to have.
    #[error("the answer of `{host}` is unusable: {reason}")]
    BadAnswer {
        /// The host.
        host: String,
        /// What is wrong with it, without its content.
        reason: String,
    },
}

impl AwsFault {
    /// The fault as anyone may see it: without what a peer or the system said, which is in the log.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::NoCredentials { .. } => "the hub has no credentials of its own for AWS".to_owned(),
            Self::Unreachable { host, .. } => format!("`{host}` cannot be reached"),
            Self::BadAnswer { host, .. } => format!("the answer of `{host}` is unusable"),
            Self::Refused(refusal) => {
                format!("AWS refuses the hub's `{}` ({})", refusal.action, refusal.code)
            }
            Self::OtherAccount { .. }
            | Self::OtherPartition { .. }
            | Self::Limited { .. }
            | Self::Throttled { .. }
            | Self::BreakerOpen { .. }
            | Self::TimedOut { .. }
            | Self::ServerError { .. } => self.to_string(),
        }
    }

    /// Whether the endpoint itself seems to be down: what its breaker counts.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::Unreachable { .. }
                | Self::ServerError { .. }
                | Self::BadAnswer { .. }
        )
    }
}

//! "There is no answer": faults, and the errors of management calls.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

/// Why there is no answer. Never to be read, or cached, as "no".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A part that the answer needs cannot be reached; trying again may help.
    #[error("{part} is not available: {detail}")]
    Unavailable {
        /// What could not be reached: `AWS STS in us-east-1`, `the store`.
        part: Cow<'static, str>,
        /// Safe to show to anyone: no addresses, no driver text.
        detail: Cow<'static, str>,
    },
    /// Too many requests; try again after a while.
    #[error("{part} is over its limit: try again{}", after(.retry_after))]
    Throttled {
        /// Whose limit it is.
        part: Cow<'static, str>,
        /// When to try again, where known.
        retry_after: Option<Duration>,
    },
    /// The answer did not come in time.
    #[error("{part} did not answer within {limit:?}")]
    TimedOut {
        /// Who was waited for.
        part: Cow<'static, str>,
        /// How long.
        limit: Duration,
    },
    /// What is in memory is older than it may be trusted.
    #[error("{part} is {age:?} old, the limit is {limit:?}")]
    Stale {
        /// Which snapshot.
        part: Cow<'static, str>,
        /// Its age.
        age: Duration,
        /// The most it may be.
        limit: Duration,
    },
    /// Something is wrong in Lanyard itself; the log has the cause under this number.
    #[error("internal fault, see the log")]
    Internal,
}

fn after(retry: &Option<Duration>) -> String {
    retry.map(|d| format!(" in {} s", d.as_secs().max(1))).unwrap_or_default()
}

impl Fault {
    /// The stable code of its kind, for metrics and wires.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Throttled { .. } => "throttled",
            Self::TimedOut { .. } => "timed_out",
            Self::Stale { .. } => "stale",
            Self::Internal => "internal",
        }
    }
}

/// Why a management call has no result. Each variant is a thing its caller can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It does not exist, or the caller may not know that it does.
    #[error("{kind} `{name}` does not exist")]
    NotFound {
        /// The kind, such as `cluster` or `access entry`.
        kind: Cow<'static, str>,
        /// Its name as the caller gave it.
        name: String,
    },
    /// One of that name is there already.
    #[error("{kind} `{name}` exists already")]
    AlreadyExists {
        /// The kind.
        kind: Cow<'static, str>,
        /// Its name.
        name: String,
    },
    /// A field breaks a rule.
    #[error("{field}: {message}")]
    Invalid {
        /// The request's field, as on the wire (`principal_arn`).
        field: Cow<'static, str>,
        /// A stable code of the rule (`reserved_group`), for doors that have texts of their own.
        rule: &'static str,
        /// The input, the rule it broke and the next step.
        message: String,
    },
    /// The request is good, the state is not: another mode, a stale revision, still in use.
    #[error("{message}")]
    Precondition {
        /// A stable code of the rule (`authentication_mode`, `lockout`, …).
        rule: &'static str,
        /// What is in the way and the next step.
        message: String,
    },
    /// A configured limit would be passed.
    #[error("the limit for {what} is {limit}")]
    LimitExceeded {
        /// What is counted: `access entries of one cluster`.
        what: Cow<'static, str>,
        /// The limit.
        limit: u64,
    },
    /// The actor may not do this.
    #[error("{0}")]
    Denied(Denial),
    /// The same signature was seen before and its answer cannot be given again: sign anew.
    #[error("this signed request was used already: sign it again and retry")]
    Replayed,
    /// There is no answer.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl CallError {
    /// What [`Self::LimitExceeded`] counts where the hub's front door takes no message of that length (`gateway.message_bytes_max`).
    pub const MESSAGE_BYTES: &'static str = "the bytes of a message";

    /// A field that breaks a rule.
    pub fn invalid(field: &'static str, rule: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Cow::Borrowed(field), rule, message: message.into() }
    }

    /// The error of an item of a field that repeats, with the item's place before its own field; of the item itself where that is empty.
    pub(crate) fn in_item(self, list: &str, at: usize) -> Self {
        match self {
            Self::Invalid { field, rule, message } => {
                let own = if field.is_empty() { String::new() } else { format!(".{field}") };
                Self::Invalid { field: format!("{list}[{at}]{own}").into(), rule, message }
            }
            error => error,
        }
    }

    /// Something that is not there.
    pub fn not_found(kind: &'static str, name: impl ToString) -> Self {
        Self::NotFound { kind: Cow::Borrowed(kind), name: name.to_string() }
    }

    /// Something that is there already.
    pub fn exists(kind: &'static str, name: impl ToString) -> Self {
        Self::AlreadyExists { kind: Cow::Borrowed(kind), name: name.to_string() }
    }

    /// A state that is in the way.
    pub fn precondition(rule: &'static str, message: impl Into<String>) -> Self {
        Self::Precondition { rule, message: message.into() }
    }
}

/// A "no" with its reason: a stable code, the part that failed, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Stable, in snake case; the only part that a stranger gets.
    pub code: Cow<'static, str>,
    /// For people who may know: what was looked at, what decided, the next step.
    pub message: String,
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

//! Errors on the wire: a status with details for every client, from which ours reads the same error back.
//!
//! Each status has an `ErrorInfo` (domain [`ERROR_DOMAIN`], the stable reason code, and all fields of the error as metadata),
//! a `BadRequest` where a field is wrong, a `PreconditionFailure` where the state is in the way, a `QuotaFailure` where a limit
//! would be passed, and a `RetryInfo` where it is known when to try again.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    fault::{CallError, Denial, Fault},
    methods,
};

/// The domain of our `ErrorInfo`s.
pub const ERROR_DOMAIN: &str = "lanyard";

/// Longest text of a status, in bytes: statuses travel in headers, which HTTP/2 clients take up to 16 KiB of.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Longest value in the metadata of an `ErrorInfo`, in bytes.
const VALUE_BYTES_MAX: usize = 512;

/// Most rule codes that are read from the wire, and the longest of them: they are kept for good.
const RULES_MAX: usize = 512;
const RULE_BYTES_MAX: usize = 64;

/// Says in the metadata which error it is; the reason alone would not, for codes of rules and policies are free.
const KIND: &str = "error";

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let code = match fault {
            Fault::Unavailable { .. } | Fault::Stale { .. } => Code::Unavailable,
            Fault::Throttled { .. } => Code::ResourceExhausted,
            Fault::TimedOut { .. } => Code::DeadlineExceeded,
            Fault::Internal => Code::Internal,
        };
        let kind = fault.code();
        let message = fault.to_string();
        let parts = Parts::new(kind, kind);
        let parts = match fault {
            Fault::Unavailable { part, detail } => parts.with("part", &part).with("detail", &detail),
            Fault::Throttled { part, retry_after } => parts.with("part", &part).retry(retry_after),
            Fault::TimedOut { part, limit } => parts.with("part", &part).with("limit", &duration_text(limit)),
            Fault::Stale { part, age, limit } => {
                let parts = parts.with("part", &part).with("age", &duration_text(age));
                parts.with("limit", &duration_text(limit))
            }
            Fault::Internal => parts,
        };
        parts.status(code, &message)
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::NotFound { kind, name } => {
                Parts::named("not_found", &kind, &name).status(Code::NotFound, &message)
            }
            CallError::AlreadyExists { kind, name } => {
                Parts::named("already_exists", &kind, &name).status(Code::AlreadyExists, &message)
            }
            CallError::Invalid { field, rule, message: description } => {
                let mut parts = Parts::new("invalid", rule).with("field", &field);
                parts.details.add_bad_request_violation(
                    cut(&field, VALUE_BYTES_MAX),
                    cut(&description, MESSAGE_BYTES_MAX),
                );
                parts.status(Code::InvalidArgument, &message)
            }
            CallError::Precondition { rule, .. } => {
                let mut parts = Parts::new("precondition", rule);
                // What is in the way is no one thing with a name of its own; the message says it.
                parts.details.add_precondition_failure_violation(rule, "", cut(&message, VALUE_BYTES_MAX));
                parts.status(Code::FailedPrecondition, &message)
            }
            CallError::LimitExceeded { what, limit } => {
                let mut parts = Parts::new("limit_exceeded", "limit_exceeded").with("what", &what);
                let (subject, description) = (cut(&what, VALUE_BYTES_MAX), cut(&message, VALUE_BYTES_MAX));
                parts.details.add_quota_failure_violation(subject, description);
                parts.with("limit", &limit.to_string()).status(Code::ResourceExhausted, &message)
            }
            CallError::Denied(denial) => Self::from(&denial),
            CallError::Replayed => Parts::new("replayed", "replayed").status(Code::Aborted, &message),
            CallError::Fault(fault) => fault.into(),
        }
    }
}

impl From<&Denial> for Status {
    fn from(denial: &Denial) -> Self {
        denied(Code::PermissionDenied, denial)
    }
}

/// The status for a caller who is not proven.
pub fn unauthenticated(denial: &Denial) -> Status {
    denied(Code::Unauthenticated, denial)
}

/// The status for a caller who is proven and may not; for one whose request cannot be read or names no method, that.
pub fn forbidden(denial: &Denial) -> Status {
    match &*denial.code {
        methods::INVALID_REQUEST => denied(Code::InvalidArgument, denial),
        methods::UNKNOWN_METHOD => denied(Code::Unimplemented, denial),
        _ => denial.into(),
    }
}

/// The status for a call of a form that is not taken here, such as a compressed message.
pub fn unsupported(denial: &Denial) -> Status {
    denied(Code::Unimplemented, denial)
}

fn denied(code: Code, denial: &Denial) -> Status {
    Parts::new("denied", &denial.code).status(code, &denial.message)
}

struct Parts {
    reason: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Parts {
    fn new(kind: &str, reason: &str) -> Self {
        let metadata = HashMap::from([(KIND.to_owned(), kind.to_owned())]);
        Self { reason: cut(reason, RULE_BYTES_MAX), metadata, details: ErrorDetails::new() }
    }

    fn named(error: &str, kind: &str, name: &str) -> Self {
        Self::new(error, error).with("kind", kind).with("name", name)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.metadata.insert(name.to_owned(), cut(value, VALUE_BYTES_MAX));
        self
    }

    fn retry(mut self, after: Option<Duration>) -> Self {
        let Some(after) = after else { return self };
        self.details.set_retry_info(Some(after));
        self.with("retry_after", &duration_text(after))
    }

    fn status(mut self, code: Code, message: &str) -> Status {
        self.details.set_error_info(self.reason, ERROR_DOMAIN, self.metadata);
        Status::with_error_details(code, cut(message, MESSAGE_BYTES_MAX), self.details)
    }
}

/// As much of a text as may go on the wire.
fn cut(text: &str, bytes_max: usize) -> String {
    const MORE: &str = "…";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max - MORE.len());
    text.get(..end).unwrap_or_default().to_owned() + MORE
}

fn duration_text(duration: Duration) -> String {
    format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos())
}

fn read_duration(text: &str) -> Option<Duration> {
    let (seconds, nanos) = text.split_once('.')?;
    Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok().filter(|nanos| *nanos < 1_000_000_000)?))
}

impl From<Status> for CallError {
    /// The error that the service gave; where the status is not ours (a proxy's, the transport's), the nearest one.
    fn from(status: Status) -> Self {
        read(&status).unwrap_or_else(|| foreign(&status))
    }
}

impl From<Status> for Fault {
    /// The fault that the service gave. Anything else says that caller and service do not understand each other.
    fn from(status: Status) -> Self {
        match CallError::from(status) {
            CallError::Fault(fault) => fault,
            error => {
                tracing::error!(%error, "a service gave an error that its method does not have");
                Self::Internal
            }
        }
    }
}

fn read(status: &Status) -> Option<CallError> {
    let details = status.check_error_details().ok()?;
    let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
    let text = |name: &str| info.metadata.get(name).cloned();
    let owned = |name: &str| text(name).map(Cow::Owned);
    let duration = |name: &str| text(name).and_then(|text| read_duration(&text));
    Some(match text(KIND)?.as_str() {
        "unavailable" => Fault::Unavailable { part: owned("part")?, detail: owned("detail")? }.into(),
        "throttled" => Fault::Throttled { part: owned("part")?, retry_after: duration("retry_after") }.into(),
        "timed_out" => Fault::TimedOut { part: owned("part")?, limit: duration("limit")? }.into(),
        "stale" => {
            Fault::Stale { part: owned("part")?, age: duration("age")?, limit: duration("limit")? }.into()
        }
        "internal" => Fault::Internal.into(),
        "not_found" => CallError::NotFound { kind: owned("kind")?, name: text("name")? },
        "already_exists" => CallError::AlreadyExists { kind: owned("kind")?, name: text("name")? },
        "invalid" => CallError::Invalid {
            field: owned("field")?,
            rule: rule(&info.reason),
            message: details.bad_request()?.field_violations.first()?.description.clone(),
        },
        "precondition" => {
            CallError::Precondition { rule: rule(&info.reason), message: status.message().to_owned() }
        }
        "limit_exceeded" => {
            CallError::LimitExceeded { what: owned("what")?, limit: text("limit")?.parse().ok()? }
        }
        "denied" => CallError::Denied(Denial {
            code: info.reason.clone().into(),
            message: status.message().to_owned(),
        }),
        "replayed" => CallError::Replayed,
        _ => return None,
    })
}

/// A rule's code as the text that lives forever, which the error has. Bounded, for the other side is not this program.
fn rule(code: &str) -> &'static str {
    static RULES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut rules = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = rules.get(code) {
        return known;
    }
    if rules.len() >= RULES_MAX || code.len() > RULE_BYTES_MAX {
        return "other";
    }
    let kept: &'static str = Box::leak(code.into());
    rules.insert(kept);
    kept
}

/// A status that we did not write. Its text may hold addresses: it is logged and not passed on.
fn foreign(status: &Status) -> CallError {
    tracing::warn!(code = ?status.code(), message = status.message(), "a call ended with a foreign status");
    let unavailable = |detail| Fault::Unavailable { part: "the service".into(), detail }.into();
    let is_of_transport = std::error::Error::source(status).is_some();
    match status.code() {
        // The code of HTTP/2 for a connection that broke in the middle of an answer is as good as none.
        Code::Unknown | Code::Internal if is_of_transport => unavailable("the connection to it broke".into()),
        Code::Unauthenticated | Code::PermissionDenied => CallError::Denied(Denial {
            code: "refused_on_the_way".into(),
            message: "something between here and the service refused the call".to_owned(),
        }),
        Code::ResourceExhausted => Fault::Throttled { part: "the service".into(), retry_after: None }.into(),
        Code::Unavailable => unavailable("it cannot be reached".into()),
        Code::DeadlineExceeded | Code::Cancelled => unavailable("it did not answer in time".into()),
        Code::Unimplemented => unavailable("it does not know this method".into()),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::DataLoss => Fault::Internal.into(),
    }
}

#[cfg(test)]
mod tests;

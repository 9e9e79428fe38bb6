//! What AWS's faults and refusals mean to whoever writes an association, or wants credentials by one.

use lanyard_api::Fault;
use lanyard_aws::AwsFault;

/// What a caller is told of a fault. Causes stay in the log, where the client has put them.
pub(super) fn shown(fault: &AwsFault) -> Fault {
    let part = |host: &str| format!("AWS STS at {host}").into();
    match fault {
        AwsFault::Limited { host, retry_after } => {
            Fault::Throttled { part: part(host), retry_after: Some(*retry_after) }
        }
        AwsFault::Throttled { host } => Fault::Throttled { part: part(host), retry_after: None },
        AwsFault::TimedOut { host, limit } => Fault::TimedOut { part: part(host), limit: *limit },
        other => Fault::Unavailable { part: "AWS".into(), detail: other.shown().into() },
    }
}

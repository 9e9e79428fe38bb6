//! What a caller is told: the statement that decided, or what was lacking.

use lanyard_api::{Denial, methods};
use lanyard_iam::policy::{Decision, Evaluation, Lack, Layer, NearMiss, StatementRef};
use lanyard_iam::shown;

use crate::local_keys::Rejection;

pub(super) fn denial(code: &'static str, message: impl Into<String>) -> Denial {
    Denial { code: code.into(), message: message.into() }
}

/// The caller's account has no cluster of that name.
pub(super) fn unknown_cluster(name: &str) -> Denial {
    denial(methods::UNKNOWN_CLUSTER, format!("there is no cluster `{}` in the caller's account", shown(name)))
}

pub(super) fn rejected(rejection: &Rejection) -> Denial {
    denial(rejection.code(), rejection.to_string())
}

/// `statement "Admins" of policy "all"`, or by its place where it has no id.
pub(super) fn statement(place: &StatementRef) -> String {
    let policy = match place.layer {
        Layer::Identity => format!("policy `{}`", place.document),
        Layer::Session => "the session policy".to_owned(),
        Layer::Trust => "the trust policy".to_owned(),
    };
    match &place.sid {
        Some(sid) => format!("statement `{sid}` of {policy}"),
        None => format!("statement {} of {policy}", place.index + 1),
    }
}

/// The refusal that an evaluation makes.
pub(super) fn refused(evaluation: &Evaluation, caller: &str, action: &str, resource: &str) -> Denial {
    let who = format!("`{caller}` may not `{action}` on `{resource}`");
    match (evaluation.decision, &evaluation.deciding, &evaluation.near) {
        (Decision::ExplicitDeny, Some(place), _) => {
            denial("explicit_deny", format!("{who}: {} denies it", statement(place)))
        }
        (_, _, Some(near)) => denial("implicit_deny", format!("{who}: {}", lack(near))),
        (_, _, None) => denial("implicit_deny", format!("{who}: no statement of its policies allows it")),
    }
}

fn lack(near: &NearMiss) -> String {
    let nearest = near.statement.as_ref().map(statement);
    match (&near.lack, nearest) {
        (Lack::Resource, Some(place)) => format!("{place} allows the action, on other resources"),
        (Lack::Condition { operator, key }, Some(place)) => {
            format!("{place} would allow it, but its condition `{operator}` on `{key}` does not hold")
        }
        (Lack::SessionPolicy, _) => "its policies allow it, the session policy does not".to_owned(),
        (Lack::TrustPolicy, _) => "the trust policy does not name it".to_owned(),
        (Lack::IdentityPolicy, _) => "its own policies have to allow it too".to_owned(),
        _ => "no statement of its policies allows the action".to_owned(),
    }
}

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

/// In whose words a refusal by policies is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// The hub's.
    Own,
    /// Those that clients of AWS know (IAM User Guide: "Troubleshoot access denied error messages"), with what decided behind them.
    Aws,
}

/// What was asked, as the refusal says it.
#[derive(Clone, Copy)]
pub(super) struct Refusal<'a> {
    pub(super) wording: Wording,
    pub(super) caller: &'a str,
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
}

impl Refusal<'_> {
    /// The refusal that an evaluation makes.
    pub(super) fn by(&self, evaluation: &Evaluation) -> Denial {
        match (evaluation.decision, &evaluation.deciding, &evaluation.near) {
            (Decision::ExplicitDeny, Some(place), _) => self.explicit(place),
            (_, _, Some(near)) => self.implicit(&near.lack, lack(near)),
            (_, _, None) => self.implicit(&Lack::Action, "no statement of its policies allows it".to_owned()),
        }
    }

    /// The refusal that says nothing of a role: neither whether it is there nor what it lacks.
    pub(super) fn of_any_role(&self) -> Denial {
        const WHY: &str = "there is no such role, its trust policy does not let the caller with these parameters, or the \
                           caller's own policies do not";
        denial("access_denied", format!("{}: {WHY}", self.who()))
    }

    fn explicit(&self, place: &StatementRef) -> Denial {
        let (who, by) = (self.who(), statement(place));
        let message = match self.wording {
            Wording::Own => format!("{who}: {by} denies it"),
            Wording::Aws => format!("{who} with an explicit deny in {} ({by})", kind_of_policy(place.layer)),
        };
        denial("explicit_deny", message)
    }

    fn implicit(&self, lack: &Lack, why: String) -> Denial {
        let who = self.who();
        let message = match (self.wording, lack) {
            (Wording::Own, _) => format!("{who}: {why}"),
            (Wording::Aws, lack) => {
                let kind = match lack {
                    Lack::SessionPolicy => "session policy",
                    Lack::TrustPolicy => "role trust policy",
                    _ => "identity-based policy",
                };
                format!("{who} because no {kind} allows the {} action ({why})", self.action)
            }
        };
        denial("implicit_deny", message)
    }

    fn who(&self) -> String {
        let Self { wording, caller, action, resource } = self;
        match wording {
            Wording::Own => format!("`{caller}` may not `{action}` on `{resource}`"),
            Wording::Aws => {
                format!("User: {caller} is not authorized to perform: {action} on resource: {resource}")
            }
        }
    }
}

/// A refusal for another reason than policies, in AWS's words: whom it is about, and of what.
pub(super) fn worded_as_aws(refused: Denial, caller: &str, action: &str) -> Denial {
    let is_worded = matches!(
        &*refused.code,
        methods::INVALID_REQUEST
            | methods::UNKNOWN_CLUSTER
            | "explicit_deny"
            | "implicit_deny"
            | "access_denied"
    );
    if is_worded {
        return refused;
    }
    let message = format!("User: {caller} is not authorized to perform: {action}: {}", refused.message);
    Denial { message, ..refused }
}

fn kind_of_policy(layer: Layer) -> &'static str {
    match layer {
        Layer::Identity => "an identity-based policy",
        Layer::Session => "a session policy",
        Layer::Trust => "a role trust policy",
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

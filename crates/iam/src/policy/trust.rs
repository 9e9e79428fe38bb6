//! Weighing trust policies, alone and with everything else.

use super::context::{NamedDocument, RequestContext};
use super::document::{PolicyDocument, TrustPolicy};
use super::evaluate::{Decision, Evaluation, Lack, Layer, NearMiss, Place, StatementRef, Weighing, evaluate};
use super::statement::Effect;
use crate::arn::PrincipalArn;
use crate::id::PrincipalId;

/// Who asks to assume a role.
#[derive(Clone, Copy, Debug)]
pub enum TrustCaller<'a> {
    /// A principal of an account.
    Aws {
        /// The caller's ARN; for a role session that of the session.
        principal: &'a PrincipalArn,
        /// For a role session: the role's own ARN with its path, where it is known.
        role: Option<&'a PrincipalArn>,
        /// The caller's unique id; for a role session the role's.
        id: &'a PrincipalId,
    },
    /// An identity provider, by its ARN or name.
    Federated(&'a str),
    /// A service, such as `pods.eks.amazonaws.com`.
    Service(&'a str),
}

/// How a trust policy names a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// By its account, or by `*`: the account itself still has to let it.
    Account,
    /// By its own ARN, id or name.
    Itself,
}

/// What a trust policy says, and how it names the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustEvaluation {
    /// What the trust policy says.
    pub decision: Decision,
    /// How the statement that allows names the caller.
    pub named: Option<Named>,
    /// The statement that allowed or denied.
    pub deciding: Option<StatementRef>,
    /// For an implicit deny: what came nearest.
    pub near: Option<NearMiss>,
}

/// Weighs a role's trust policy alone. Of several statements that allow, one that names the caller itself counts before
/// one that names its account.
#[must_use]
pub fn evaluate_trust(
    trust: &TrustPolicy,
    caller: &TrustCaller<'_>,
    request: &RequestContext<'_>,
) -> TrustEvaluation {
    let mut weighing = Weighing::default();
    let mut best: Option<(Named, Place<'_>)> = None;
    let mut is_named = false;
    for (index, statement) in trust.statements.iter().enumerate() {
        let place = Place { layer: Layer::Trust, document: "trust", index, statement };
        let named = statement.principals.as_ref().and_then(|element| element.names(caller, statement.effect));
        let Some(named) = named else { continue };
        is_named |= statement.effect == Effect::Allow;
        let allows = weighing.add_one(place, request) && statement.effect == Effect::Allow;
        if allows && best.is_none_or(|(before, _)| named > before) {
            best = Some((named, place));
        }
    }
    let weighed = weighing.finish();
    match (weighed.decision, best) {
        (Decision::Allow, Some((named, place))) => TrustEvaluation {
            decision: Decision::Allow,
            named: Some(named),
            deciding: Some(place.to_ref()),
            near: None,
        },
        (decision, _) => {
            let unnamed = || NearMiss { statement: None, lack: Lack::TrustPolicy };
            let near = if is_named { weighed.near } else { weighed.near.map(|_| unnamed()) };
            TrustEvaluation { decision, named: None, deciding: weighed.deciding, near }
        }
    }
}

/// Weighs everything together, as IAM does for assuming a role: an explicit deny anywhere counts first. The trust policy
/// has to allow. That is enough for providers and services, and for a principal of the role's own account that it names
/// itself; all others need their identity policies to allow it as well. A session policy narrows every road.
#[must_use]
pub fn evaluate_assume_role(
    identity: &[NamedDocument<'_>],
    session: Option<&PolicyDocument>,
    trust: &TrustPolicy,
    caller: &TrustCaller<'_>,
    role: &PrincipalArn,
    request: &RequestContext<'_>,
) -> Evaluation {
    let by_trust = evaluate_trust(trust, caller, request);
    let TrustCaller::Aws { principal, .. } = caller else { return from_trust(by_trust) };
    let by_identity = evaluate(identity, session, request);
    if by_identity.decision == Decision::ExplicitDeny {
        return by_identity;
    }
    if by_trust.decision != Decision::Allow {
        return from_trust(by_trust);
    }
    let same_account = principal.account == role.account && principal.partition == role.partition;
    if by_trust.named == Some(Named::Itself) && same_account {
        let by_session =
            session.map(|document| evaluate(&[NamedDocument { name: "session", document }], None, request));
        return match by_session {
            Some(narrowed) if !narrowed.is_allowed() => {
                let statement = narrowed.near.and_then(|near| near.statement);
                let statement = statement.map(|place| StatementRef { layer: Layer::Session, ..place });
                Evaluation::implicit(NearMiss { statement, lack: Lack::SessionPolicy })
            }
            _ => from_trust(by_trust),
        };
    }
    match by_identity.near {
        Some(NearMiss { lack: Lack::Action, .. }) => {
            Evaluation::implicit(NearMiss { statement: None, lack: Lack::IdentityPolicy })
        }
        _ => by_identity,
    }
}

fn from_trust(trust: TrustEvaluation) -> Evaluation {
    Evaluation { decision: trust.decision, deciding: trust.deciding, near: trust.near }
}

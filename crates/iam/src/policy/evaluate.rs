//! Weighing identity policies and a session policy.

use super::context::{NamedDocument, RequestContext};
use super::document::PolicyDocument;
use super::statement::{Effect, Fit, Statement};

/// What policies say to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}

/// Which kind of policy a statement belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A policy of the caller.
    Identity,
    /// The policy that narrows the caller's session.
    Session,
    /// The trust policy of the role to assume.
    Trust,
}

/// Where a statement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRef {
    /// The kind of policy.
    pub layer: Layer,
    /// The policy's name; `session` and `trust` for those that have none.
    pub document: String,
    /// The statement's place, from 0.
    pub index: usize,
    /// Its id, if it has one.
    pub sid: Option<String>,
}

/// What was lacking for an allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No statement names the action.
    Action,
    /// A statement names the action, on other resources.
    Resource,
    /// A condition did not hold.
    Condition {
        /// The operator as written.
        operator: String,
        /// The key as written.
        key: String,
    },
    /// The identity policies allow it, the session policy does not.
    SessionPolicy,
    /// The trust policy does not name the caller.
    TrustPolicy,
    /// The trust policy names only the caller's account, or the caller is of another one: an identity policy has to allow
    /// it too.
    IdentityPolicy,
}

/// What came nearest to allowing a request that nothing allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The statement that came nearest, if one did.
    pub statement: Option<StatementRef>,
    /// What it lacked.
    pub lack: Lack,
}

/// A decision, and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What the policies say.
    pub decision: Decision,
    /// The statement that allowed or denied; none for an implicit deny.
    pub deciding: Option<StatementRef>,
    /// For an implicit deny: what came nearest.
    pub near: Option<NearMiss>,
}

impl Evaluation {
    /// Whether the request is allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision == Decision::Allow
    }

    pub(super) fn allow(by: StatementRef) -> Self {
        Self { decision: Decision::Allow, deciding: Some(by), near: None }
    }

    pub(super) fn deny(by: StatementRef) -> Self {
        Self { decision: Decision::ExplicitDeny, deciding: Some(by), near: None }
    }

    pub(super) fn implicit(near: NearMiss) -> Self {
        Self { decision: Decision::ImplicitDeny, deciding: None, near: Some(near) }
    }
}

/// Weighs the caller's policies: an explicit deny in any of them, or in the session policy, counts first; then something
/// has to allow the request, and a session policy has to allow it as well.
#[must_use]
pub fn evaluate(
    identity: &[NamedDocument<'_>],
    session: Option<&PolicyDocument>,
    request: &RequestContext<'_>,
) -> Evaluation {
    let by_identity = weigh_identity(identity, request);
    let Some(session) = session else { return by_identity };
    if by_identity.decision == Decision::ExplicitDeny {
        return by_identity;
    }
    let mut by_session = Weighing::default();
    by_session.add(Layer::Session, "session", &session.statements, request);
    let by_session = by_session.finish();
    match (by_session.decision, by_identity.decision) {
        (Decision::ExplicitDeny, _) => by_session,
        (_, Decision::ImplicitDeny | Decision::ExplicitDeny) | (Decision::Allow, Decision::Allow) => {
            by_identity
        }
        (Decision::ImplicitDeny, Decision::Allow) => {
            let statement = by_session.near.and_then(|near| near.statement);
            Evaluation::implicit(NearMiss { statement, lack: Lack::SessionPolicy })
        }
    }
}

fn weigh_identity(identity: &[NamedDocument<'_>], request: &RequestContext<'_>) -> Evaluation {
    let mut weighing = Weighing::default();
    for NamedDocument { name, document } in identity {
        weighing.add(Layer::Identity, name, &document.statements, request);
    }
    weighing.finish()
}

/// Statements seen so far. References are made at the end, so that nothing is allocated for those that do not count.
#[derive(Default)]
pub(super) struct Weighing<'a> {
    denied: Option<Place<'a>>,
    allowed: Option<Place<'a>>,
    near: Option<(Place<'a>, Miss<'a>)>,
}

#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) layer: Layer,
    pub(super) document: &'a str,
    pub(super) index: usize,
    pub(super) statement: &'a Statement,
}

impl Place<'_> {
    pub(super) fn to_ref(self) -> StatementRef {
        StatementRef {
            layer: self.layer,
            document: self.document.to_owned(),
            index: self.index,
            sid: self.statement.sid.as_deref().map(str::to_owned),
        }
    }
}

#[derive(Clone, Copy)]
enum Miss<'a> {
    Resource,
    Condition { operator: &'a str, key: &'a str },
}

impl Miss<'_> {
    fn rank(self) -> u8 {
        match self {
            Self::Resource => 1,
            Self::Condition { .. } => 2,
        }
    }
}

impl<'a> Weighing<'a> {
    fn add(
        &mut self,
        layer: Layer,
        document: &'a str,
        statements: &'a [Statement],
        request: &RequestContext<'_>,
    ) {
        for (index, statement) in statements.iter().enumerate() {
            self.add_one(Place { layer, document, index, statement }, request);
        }
    }

    /// Weighs one statement; tells whether it fits.
    pub(super) fn add_one(&mut self, place: Place<'a>, request: &RequestContext<'_>) -> bool {
        let statement = place.statement;
        let miss = match (statement.fit(request), statement.effect) {
            (Fit::Whole, Effect::Deny) => {
                self.denied.get_or_insert(place);
                return true;
            }
            (Fit::Whole, Effect::Allow) => {
                self.allowed.get_or_insert(place);
                return true;
            }
            (Fit::OtherAction, _) | (_, Effect::Deny) => return false,
            (Fit::OtherResource, Effect::Allow) => Miss::Resource,
            (Fit::Condition(condition), Effect::Allow) => {
                Miss::Condition { operator: &condition.operator_name, key: &condition.key_name }
            }
        };
        if self.near.is_none_or(|(_, before)| miss.rank() > before.rank()) {
            self.near = Some((place, miss));
        }
        false
    }

    pub(super) fn finish(self) -> Evaluation {
        if let Some(place) = self.denied {
            return Evaluation::deny(place.to_ref());
        }
        if let Some(place) = self.allowed {
            return Evaluation::allow(place.to_ref());
        }
        Evaluation::implicit(match self.near {
            None => NearMiss { statement: None, lack: Lack::Action },
            Some((place, Miss::Resource)) => {
                NearMiss { statement: Some(place.to_ref()), lack: Lack::Resource }
            }
            Some((place, Miss::Condition { operator, key })) => NearMiss {
                statement: Some(place.to_ref()),
                lack: Lack::Condition { operator: operator.to_owned(), key: key.to_owned() },
            },
        })
    }
}

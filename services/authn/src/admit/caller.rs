//! A caller with everything that policies are held against.

use lanyard_api::Denial;
use lanyard_api::methods::{PassedRole, PassedRoleName};
use lanyard_iam::policy::{Decision, Evaluation};
use lanyard_iam::{ConditionKeys, PrincipalArn, PrincipalKind, RequestContext, evaluate};

use super::context::{self, Circumstances};
use super::denial::{Refusal, Wording, statement};
use crate::local_keys::Holder;

/// What handing a role to a service needs beside the call's own action, on the role (IAM).
const PASS_ROLE: &str = "iam:PassRole";

/// What was allowed.
pub(super) struct Allowed {
    /// The resource's ARN.
    pub(super) resource: String,
    /// The statement.
    pub(super) by: String,
}

/// What a call makes, and all that policies know of it.
pub(super) struct Made {
    pub(super) arn: String,
    /// Without tags of a resource: it has none yet, whatever its cluster has.
    pub(super) keys: ConditionKeys,
}

/// A caller with everything that their policies are held against.
pub(super) struct Caller<'a> {
    pub(super) holder: &'a Holder,
    pub(super) keys: ConditionKeys,
    pub(super) wording: Wording,
    /// The resource as the call names it, where a refusal in AWS's words tells that: what of it is stored is for who may see it.
    pub(super) named: Option<String>,
    /// What the call makes, where that is another resource than its own and needs a permission beside.
    pub(super) made: Option<Made>,
}

impl Caller<'_> {
    /// The caller's own policies, narrowed by their session's.
    pub(super) fn evaluate(&self, action: &str, resource: &str) -> Evaluation {
        let session = self.holder.session.as_ref().and_then(|claims| claims.session_policy.as_ref());
        let request = RequestContext { action, resource, keys: &self.keys };
        evaluate(&self.holder.owner.policies.named(), session, &request)
    }

    /// Whether the caller may hand a role to a service. A role of their own account is weighed as it is stored, for else another
    /// spelling would walk around a `Deny`.
    pub(super) fn passes(mut self, passed: &PassedRole, for_resource: &str) -> Result<Allowed, Denial> {
        let account = &self.holder.account;
        let (id, partition) = (account.account.id, account.account.partition);
        let (stored, given) = match &passed.role {
            PassedRoleName::Arn(given) => {
                let stored = PrincipalArn::parse(given).ok().and_then(|arn| match arn.kind {
                    PrincipalKind::Role { name, .. } if arn.account == id => account.snapshot.role(&name),
                    _ => None,
                });
                (stored, given.clone())
            }
            PassedRoleName::OfAccount(name) => {
                (account.snapshot.role(name), format!("arn:{partition}:iam::{id}:role/{name}"))
            }
        };
        if let Some(role) = stored {
            self.keys.set_iam_resource_tags(role.tags());
        }
        self.keys.set("iam:AssociatedResourceArn", for_resource);
        if let Some(service) = passed.service {
            self.keys.set("iam:PassedToService", service);
        }
        let arn = stored.map_or_else(|| given.clone(), |role| role.arn(partition).to_string());
        self.named = Some(given);
        self.ask(PASS_ROLE, arn)
    }

    /// The same of a role of another account, all of which is weighed on the hub.
    pub(super) fn passes_on_hub(mut self, passed: &PassedRole, hub: String) -> Result<Allowed, Denial> {
        self.keys.set("iam:AssociatedResourceArn", hub.as_str());
        if let Some(service) = passed.service {
            self.keys.set("iam:PassedToService", service);
        }
        self.ask(PASS_ROLE, hub)
    }

    pub(super) fn ask(&self, action: &str, resource: String) -> Result<Allowed, Denial> {
        let evaluation = self.evaluate(action, &resource);
        match &evaluation.deciding {
            Some(place) if evaluation.is_allowed() => Ok(Allowed { resource, by: statement(place) }),
            _ => Err(self.refused(&evaluation, action, &resource)),
        }
    }

    /// The same of what needs no permission, and that a policy may deny all the same: by a statement that says so.
    pub(super) fn ask_unless_denied(
        &self,
        action: &str,
        resource: String,
        why: &str,
    ) -> Result<Allowed, Denial> {
        let evaluation = self.evaluate(action, &resource);
        match (evaluation.decision, &evaluation.deciding) {
            (Decision::ExplicitDeny, _) => Err(self.refused(&evaluation, action, &resource)),
            (Decision::Allow, Some(place)) => Ok(Allowed { resource, by: statement(place) }),
            _ => Ok(Allowed { resource, by: why.to_owned() }),
        }
    }
}

impl<'a> Caller<'a> {
    pub(super) fn new(holder: &'a Holder, circumstances: &Circumstances<'_>) -> Self {
        let keys = context::of_caller(holder, circumstances);
        Self { holder, keys, wording: circumstances.wording, named: None, made: None }
    }

    /// The caller before what the call makes, with its ARN.
    pub(super) fn before_made(&self) -> Option<(Self, String)> {
        let made = self.made.as_ref()?;
        let (keys, named) = (made.keys.clone(), Some(made.arn.clone()));
        let caller = Self { holder: self.holder, keys, wording: self.wording, named, made: None };
        Some((caller, made.arn.clone()))
    }

    fn refused(&self, evaluation: &Evaluation, action: &str, resource: &str) -> Denial {
        let resource = self.named.as_deref().filter(|_| self.wording == Wording::Aws).unwrap_or(resource);
        let caller = self.holder.arn().to_string();
        Refusal { wording: self.wording, caller: &caller, action, resource }.by(evaluation)
    }
}

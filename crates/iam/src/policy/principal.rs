//! The `Principal` and `NotPrincipal` elements of trust policies.

use std::collections::BTreeMap;

use super::err::{PolicyError, PolicyFault};
use super::json::At;
use super::statement::Effect;
use super::trust::{Named, TrustCaller};
use crate::arn::{PrincipalArn, PrincipalKind};
use crate::id::{AccountId, PrincipalId, PrincipalIdKind};
use crate::partition::Partition;

/// Longest name of a service or identity provider, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// Whom a statement of a trust policy is about.
#[derive(Clone, Debug)]
pub(super) struct PrincipalElement {
    /// `NotPrincipal`: about everybody but these. Only a statement that denies has it.
    negated: bool,
    principals: Vec<Principal>,
}

#[derive(Clone, Debug)]
enum Principal {
    /// `*`
    Anyone,
    /// A number, or an account's root. A number alone holds in the partition of the caller.
    Account(Option<Partition>, AccountId),
    /// A user, a role, a role's session or a federated user: whoever bears the ARN.
    Arn(PrincipalArn),
    /// The user or role of this unique id, which bore the ARN when the policy was written.
    Known(PrincipalArn, Box<str>),
    /// A unique id, which a principal made anew under the same name does not have.
    Id(PrincipalId),
    Service(Box<str>),
    Federated(Box<str>),
}

impl PrincipalElement {
    /// Reads the one or, `negated`, the other.
    pub(super) fn parse(at: &At<'_>, negated: bool) -> Result<Self, PolicyError> {
        if let Ok(text) = at.text() {
            return if text == "*" {
                Ok(Self { negated, principals: vec![Principal::Anyone] })
            } else {
                Err(at.fail(PolicyFault::Principal(text.to_owned())))
            };
        }
        let mut principals = Vec::new();
        for (kind, values) in at.members()? {
            let parse = match kind {
                "AWS" => Principal::aws,
                "Service" => Principal::service,
                "Federated" => Principal::federated,
                "CanonicalUser" => return Err(values.fail(PolicyFault::NotSupported(kind.to_owned()))),
                _ => return Err(at.fail(PolicyFault::UnknownElement(kind.to_owned()))),
            };
            for value in values.items()? {
                let text = value.text()?;
                principals
                    .push(parse(text).ok_or_else(|| value.fail(PolicyFault::Principal(text.to_owned())))?);
            }
        }
        if principals.is_empty() {
            Err(at.fail(PolicyFault::Empty))
        } else {
            Ok(Self { negated, principals })
        }
    }

    /// Whether it may name a principal of this account: a unique id does not say whose it is.
    pub(super) fn may_name(&self, partition: Partition, account: AccountId) -> bool {
        self.principals.iter().any(|principal| match principal {
            Principal::Anyone | Principal::Id(_) => true,
            Principal::Account(of, number) => *number == account && of.is_none_or(|of| of == partition),
            Principal::Arn(arn) | Principal::Known(arn, _) => {
                arn.account == account && arn.partition == partition
            }
            Principal::Service(_) | Principal::Federated(_) => false,
        })
    }

    /// The ARNs that it names.
    pub(super) fn arns(&self) -> impl Iterator<Item = &PrincipalArn> {
        self.principals.iter().filter_map(|principal| match principal {
            Principal::Arn(arn) | Principal::Known(arn, _) => Some(arn),
            _ => None,
        })
    }

    /// The unique ids that it names.
    pub(super) fn ids(&self) -> impl Iterator<Item = &PrincipalId> {
        self.principals.iter().filter_map(|principal| match principal {
            Principal::Id(id) => Some(id),
            _ => None,
        })
    }

    /// Has these ARNs mean the principals of their unique ids alone.
    pub(super) fn mean(&mut self, ids: &BTreeMap<String, String>) {
        for principal in &mut self.principals {
            let Principal::Arn(arn) = principal else { continue };
            if let Some(id) = ids.get(&arn.to_string()) {
                *principal = Principal::Known(arn.clone(), id.as_str().into());
            }
        }
    }

    /// The identity providers that it names.
    pub(super) fn federated(&self) -> impl Iterator<Item = &str> {
        self.principals.iter().filter_map(|principal| match principal {
            Principal::Federated(name) => Some(&**name),
            _ => None,
        })
    }

    /// How the element names the caller, if it does; by itself before by its account.
    pub(super) fn names(&self, caller: &TrustCaller<'_>, effect: Effect) -> Option<Named> {
        if self.negated {
            return (!self.excepts(caller)).then_some(Named::Account);
        }
        self.principals.iter().filter_map(|principal| principal.names(caller, effect)).max()
    }

    /// Whether a `NotPrincipal` leaves the caller alone. A principal of an account is looked at as AWS documents it: first the
    /// account, then the user or role, and each has to be named. A role stands for all of its sessions, unless sessions of it are
    /// named one by one.
    fn excepts(&self, caller: &TrustCaller<'_>) -> bool {
        let names = |named| {
            let mut each = self.principals.iter();
            each.any(|principal| principal.names(caller, Effect::Deny) == Some(named))
        };
        if self.principals.iter().any(|principal| matches!(principal, Principal::Anyone)) {
            return true;
        }
        let TrustCaller::Aws { principal, .. } = caller else { return names(Named::Itself) };
        let by_itself = || match &principal.kind {
            PrincipalKind::Root => true,
            PrincipalKind::AssumedRole { .. } => {
                let sessions = || self.arns().filter(|arn| is_session_beside(arn, principal));
                self.names_role_of(caller)
                    && (sessions().next().is_none() || sessions().any(|arn| arn == *principal))
            }
            _ => names(Named::Itself),
        };
        names(Named::Account) && by_itself()
    }

    /// Whether the role behind a session is named, by its ARN or its unique id.
    fn names_role_of(&self, caller: &TrustCaller<'_>) -> bool {
        self.principals.iter().any(|principal| {
            let is_session =
                matches!(principal, Principal::Arn(arn) if matches!(arn.kind, PrincipalKind::AssumedRole { .. }));
            !is_session && principal.names(caller, Effect::Deny) == Some(Named::Itself)
        })
    }
}

/// Whether both are sessions of one role.
fn is_session_beside(arn: &PrincipalArn, other: &PrincipalArn) -> bool {
    match (&arn.kind, &other.kind) {
        (PrincipalKind::AssumedRole { role, .. }, PrincipalKind::AssumedRole { role: of_other, .. }) => {
            role == of_other && arn.account == other.account && arn.partition == other.partition
        }
        _ => false,
    }
}

impl Principal {
    fn aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Anyone);
        }
        if let Ok(account) = AccountId::parse(text) {
            return Some(Self::Account(None, account));
        }
        if let Ok(arn) = PrincipalArn::parse(text) {
            return Some(match arn.kind {
                PrincipalKind::Root => Self::Account(Some(arn.partition), arn.account),
                _ => Self::Arn(arn),
            });
        }
        let id = PrincipalId::parse(text).ok()?;
        (id.kind() != PrincipalIdKind::Other).then_some(Self::Id(id))
    }

    fn service(text: &str) -> Option<Self> {
        let is_host = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        (is_host && text.contains('.')).then(|| Self::Service(text.into()))
    }

    fn federated(text: &str) -> Option<Self> {
        let is_name = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'?');
        is_name.then(|| Self::Federated(text.into()))
    }

    fn names(&self, caller: &TrustCaller<'_>, effect: Effect) -> Option<Named> {
        match (self, caller) {
            // Everyone is refused by a deny; an allow for everyone is for principals of accounts alone, each of which
            // still needs what its own account gives it.
            (Self::Anyone, TrustCaller::Aws { .. }) => Some(Named::Account),
            (Self::Anyone, _) => (effect == Effect::Deny).then_some(Named::Account),
            (Self::Account(partition, account), TrustCaller::Aws { principal, .. }) => {
                let same =
                    *account == principal.account && partition.is_none_or(|name| name == principal.partition);
                same.then_some(Named::Account)
            }
            (Self::Arn(arn), TrustCaller::Aws { principal, role, .. }) => {
                names_principal(arn, principal, *role).then_some(Named::Itself)
            }
            (Self::Known(_, id), TrustCaller::Aws { id: found, .. }) => {
                (**id == *found.as_str()).then_some(Named::Itself)
            }
            (Self::Id(id), TrustCaller::Aws { id: found, .. }) => (id == *found).then_some(Named::Itself),
            (Self::Service(name), TrustCaller::Service(found)) => {
                (**name == **found).then_some(Named::Itself)
            }
            (Self::Federated(name), TrustCaller::Federated(found)) => {
                (**name == **found).then_some(Named::Itself)
            }
            _ => None,
        }
    }
}

/// A role's ARN names each of its sessions. Where the role's path is not known, its name decides: IAM keeps role names
/// unique in an account whatever their path.
fn names_principal(arn: &PrincipalArn, principal: &PrincipalArn, role: Option<&PrincipalArn>) -> bool {
    if arn == principal {
        return true;
    }
    match (&arn.kind, &principal.kind, role) {
        (PrincipalKind::Role { .. }, PrincipalKind::AssumedRole { .. }, Some(role)) => arn == role,
        (PrincipalKind::Role { name, .. }, PrincipalKind::AssumedRole { role, .. }, None) => {
            name == role && arn.account == principal.account && arn.partition == principal.partition
        }
        _ => false,
    }
}

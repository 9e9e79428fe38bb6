//! The policies that somebody's own calls are weighed by, for themselves.
//!
//! Nothing of the request says whose: what Admit found out of the signature does. They are those of the snapshot, by which Admit
//! weighs, and so no more is asked of the store than for any other call.

use std::sync::Arc;

use lanyard_api::authn::accounts::{CallerPolicies, InlinePolicy, PolicyOwner};
use lanyard_api::{Actor, ActorKind, Authority, CallError, Denial};
use lanyard_iam::{NamedDocument, PrincipalArn, PrincipalId};

use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::snapshot::{AccountSnapshot, Policies};

impl<S: SharedCache> Engine<S> {
    pub(super) async fn policies_of_caller(&self, actor: &Actor) -> Result<CallerPolicies, CallError> {
        let ActorKind::Principal { authority, arn, principal_id, session_policy, .. } = &actor.kind else {
            let message = "only a principal of an account has policies to ask for";
            return Err(denied("not_a_principal", message.to_owned()));
        };
        let hub = self.directory.hub().await?;
        let account = match authority {
            Authority::Local => self.directory.local_account(&hub, arn.account).await?,
            Authority::Aws | Authority::Sts(_) => {
                self.directory.account_of(&hub, arn.account, authority).await?
            }
        };
        let account = account.ok_or_else(|| CallError::not_found("account", arn.account))?.snapshot;
        let (owner, found) = match authority {
            Authority::Local => of_own(&account, arn, principal_id)?,
            Authority::Aws | Authority::Sts(_) => of_elsewhere(&account, arn),
        };
        if let Some(name) = &found.unreadable {
            let message = format!("policy `{name}` of the caller cannot be read; put it anew");
            return Err(denied("policy_unreadable", message));
        }
        let inline = |NamedDocument { name, document }: NamedDocument<'_>| InlinePolicy {
            account: arn.account,
            owner: owner.clone(),
            name: name.to_owned(),
            document: document.source().to_owned(),
        };
        let mut policies: Vec<InlinePolicy> = found.named().into_iter().map(inline).collect();
        policies.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(CallerPolicies { owner, policies, session_policy: session_policy.clone() })
    }
}

/// Those of a user or role of the hub's own. One that was made anew under the name of another is somebody else.
fn of_own(
    account: &AccountSnapshot,
    arn: &PrincipalArn,
    principal_id: &str,
) -> Result<(PolicyOwner, Arc<Policies>), CallError> {
    let owner = PrincipalId::parse(principal_id).ok().and_then(|id| account.principal(&id));
    let owner = owner.ok_or_else(|| CallError::not_found("principal", arn))?;
    Ok((owner.policy_owner(), Arc::clone(&owner.policies)))
}

/// Those of a principal whom another authority keeps.
fn of_elsewhere(account: &AccountSnapshot, arn: &PrincipalArn) -> (PolicyOwner, Arc<Policies>) {
    let canonical = arn.canonical();
    let policies = account.policies_elsewhere(&canonical).cloned().unwrap_or_default();
    (PolicyOwner::Principal(canonical), policies)
}

fn denied(code: &'static str, message: String) -> CallError {
    CallError::Denied(Denial { code: code.into(), message })
}

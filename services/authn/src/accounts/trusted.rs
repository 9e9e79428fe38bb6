//! Whom a trust policy means when it is written, and how it is shown when they are gone.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::authn::accounts::{Account, IamRole, User};
use lanyard_api::{Authority, CallError, Mutated, Scope};
use lanyard_iam::{AccountId, PrincipalArn, PrincipalId, PrincipalKind};
use lanyard_store::Transaction;

use super::rules;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::account_of_principal;

/// The unique ids of the users and roles that a trust policy names and that this hub keeps. Each of them has to be there: a name
/// that is trusted before anybody bears it would be whoever takes it first.
pub(super) async fn trusted_ids(
    transaction: &mut Transaction,
    trust_policy: &str,
) -> Result<BTreeMap<String, String>, CallError> {
    let policy = rules::parsed_trust_policy(trust_policy)?;
    let mut ids = BTreeMap::new();
    for arn in policy.named_principals() {
        let Some(account) = local_account(transaction, arn.account).await? else { continue };
        let scope = Scope::Account(arn.account);
        let found = match &arn.kind {
            _ if account.partition != arn.partition => None,
            PrincipalKind::User { path, name } => {
                let user: Option<User> = transaction.get(scope, name).await?;
                user.filter(|user| user.path == *path).map(|user| user.principal_id)
            }
            PrincipalKind::Role { path, name } => {
                let role: Option<IamRole> = transaction.get(scope, name).await?;
                role.filter(|role| role.path == *path).map(|role| role.principal_id)
            }
            _ => continue,
        };
        ids.insert(arn.to_string(), found.ok_or_else(|| absent(arn))?);
    }
    for id in policy.named_ids() {
        require_there(transaction, id).await?;
    }
    Ok(ids)
}

/// An id that AWS made says nothing of its account here, and nobody of a local one has it: who bears it is for AWS to know.
async fn require_there(transaction: &mut Transaction, id: &PrincipalId) -> Result<(), CallError> {
    let Some(account) = account_of_principal(id) else { return Ok(()) };
    let is_local = local_account(transaction, account).await?.is_some();
    if is_local && !transaction.has_principal(account, id.as_str()).await? {
        return Err(absent(id));
    }
    Ok(())
}

/// An account whose principals this hub keeps. Of the store, not the snapshot: what was made a moment ago elsewhere is the hub's too.
async fn local_account(transaction: &mut Transaction, id: AccountId) -> Result<Option<Account>, CallError> {
    let account: Option<Account> = transaction.get(Scope::Hub, id.as_str()).await?;
    Ok(account.filter(|account| account.authority == Authority::Local))
}

impl<S: SharedCache> Engine<S> {
    /// Makes of roles what is shown of them: those whom their trust policies name and who are gone, by the ids that they had. Who
    /// bears which ARN is looked up once for all of them. On an error none is changed.
    pub(super) async fn as_shown(&self, roles: Vec<&mut IamRole>) -> Result<(), CallError> {
        let trusted = roles.iter().flat_map(|role| role.trusted_ids.keys());
        let trusted: BTreeSet<_> = trusted.filter_map(|arn| PrincipalArn::parse(arn).ok()).collect();
        let bearers = self.store.bearers(&trusted).await?;
        for role in roles {
            show_gone(role, &bearers);
        }
        Ok(())
    }

    /// Commits a change of a role, and answers the role as it is shown.
    pub(super) async fn commit_role(
        &self,
        transaction: Transaction,
        scope: Scope,
        role: IamRole,
    ) -> Result<Mutated<IamRole>, CallError> {
        let mut mutated = self.commit(transaction, scope, role).await?;
        // It is changed already: what cannot be looked up now does not make that an error.
        let _ = self.as_shown(vec![&mut mutated.value]).await;
        Ok(mutated)
    }
}

/// Shows those whom a role trusts and who bear their ARNs no more by the ids that they had.
fn show_gone(role: &mut IamRole, bearers: &BTreeMap<PrincipalArn, String>) {
    let is_gone = |(arn, id): &(&String, &String)| {
        let arn = PrincipalArn::parse(arn).ok();
        arn.and_then(|arn| bearers.get(&arn)) != Some(*id)
    };
    let gone = role.trusted_ids.iter().filter(is_gone);
    let gone: BTreeMap<_, _> = gone.map(|(arn, id)| (arn.clone(), id.clone())).collect();
    if !gone.is_empty()
        && let Ok(policy) = role.trust()
    {
        role.trust_policy = policy.showing_ids(&gone);
        role.trusted_ids.retain(|arn, _| !gone.contains_key(arn));
    }
}

/// In the words of IAM.
fn absent(named: impl std::fmt::Display) -> CallError {
    let message = format!(
        "Invalid principal in policy: \"AWS\":\"{named}\" (no such user or role exists; make it before a role trusts it)"
    );
    CallError::invalid("trust_policy", "absent_principal", message)
}

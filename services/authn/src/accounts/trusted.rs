//! Whom a trust policy means when it is written, and how it is shown when they are gone.

use std::collections::{BTreeMap, HashMap};

use lanyard_api::authn::accounts::{Account, IamRole, User};
use lanyard_api::{Authority, CallError, Mutated, Scope};
use lanyard_iam::{PrincipalArn, PrincipalId, PrincipalKind};
use lanyard_store::Transaction;

use super::rules;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::account_of_principal;
use crate::snapshot::HubSnapshot;

impl<S: SharedCache> Engine<S> {
    /// The unique ids of the users and roles that a trust policy names and that this hub keeps. Each of them has to be there: a name
    /// that is trusted before anybody bears it would be whoever takes it first.
    pub(super) async fn trusted_ids(
        &self,
        transaction: &mut Transaction,
        trust_policy: &str,
    ) -> Result<BTreeMap<String, String>, CallError> {
        let policy = rules::parsed_trust_policy(trust_policy)?;
        let hub = self.directory.hub().await?;
        let mut ids = BTreeMap::new();
        for arn in policy.named_principals() {
            // Of the store, not the snapshot: an account that was made a moment ago elsewhere is the hub's too.
            let account: Option<Account> = transaction.get(Scope::Hub, arn.account.as_str()).await?;
            let Some(account) = account.filter(|account| account.authority == Authority::Local) else {
                continue;
            };
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
            self.require_there(&hub, id).await?;
        }
        Ok(ids)
    }

    /// An id that AWS made says nothing of its account here, and nobody of a local one has it: who bears it is for AWS to know.
    async fn require_there(&self, hub: &HubSnapshot, id: &PrincipalId) -> Result<(), CallError> {
        let Some(account) = account_of_principal(id) else { return Ok(()) };
        let local = self.directory.local_account(hub, account).await?;
        match local {
            Some(known) if known.snapshot.principal(id).is_none() => Err(absent(id)),
            _ => Ok(()),
        }
    }

    /// A role as it is shown: those whom its trust policy names and who are gone, by the ids that they had. Who bears an ARN is looked
    /// up once for all roles of an answer.
    pub(super) async fn as_shown(
        &self,
        mut role: IamRole,
        bearers: &mut HashMap<String, Option<String>>,
    ) -> Result<IamRole, CallError> {
        let mut gone = BTreeMap::new();
        for (arn, id) in &role.trusted_ids {
            let bearer = match bearers.get(arn) {
                Some(known) => known.clone(),
                None => {
                    let found = self.bearer(arn).await?;
                    bearers.insert(arn.clone(), found.clone());
                    found
                }
            };
            if bearer.as_ref() != Some(id) {
                gone.insert(arn.clone(), id.clone());
            }
        }
        if !gone.is_empty()
            && let Ok(policy) = role.trust()
        {
            role.trust_policy = policy.showing_ids(&gone);
            role.trusted_ids.retain(|arn, _| !gone.contains_key(arn));
        }
        Ok(role)
    }

    /// The unique id of the user or role that bears an ARN of this hub's now.
    async fn bearer(&self, arn: &str) -> Result<Option<String>, CallError> {
        let Ok(named) = PrincipalArn::parse(arn) else { return Ok(None) };
        let scope = Scope::Account(named.account);
        Ok(match &named.kind {
            PrincipalKind::User { name, .. } => {
                self.store.get::<User>(scope, name).await?.map(|user| user.principal_id)
            }
            PrincipalKind::Role { name, .. } => {
                self.store.get::<IamRole>(scope, name).await?.map(|role| role.principal_id)
            }
            _ => None,
        })
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
        if let Ok(shown) = self.as_shown(mutated.value.clone(), &mut HashMap::new()).await {
            mutated.value = shown;
        }
        Ok(mutated)
    }
}

/// In the words of IAM.
fn absent(named: impl std::fmt::Display) -> CallError {
    let message = format!(
        "Invalid principal in policy: \"AWS\":\"{named}\" (no such user or role exists; make it before a role trusts it)"
    );
    CallError::invalid("trust_policy", "absent_principal", message)
}

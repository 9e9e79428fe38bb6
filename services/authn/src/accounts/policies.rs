//! Inline policies of users and roles, and of principals whom another authority keeps.

use lanyard_api::authn::accounts::{IamRole, InlinePolicy, PolicyOwner, User};
use lanyard_api::{Actor, CallError, Mutated, Mutation, Scope};
use lanyard_iam::{AccountId, PrincipalArn, PrincipalKind};
use lanyard_store::{Record, Transaction};

use super::{begin, below, rules};
use crate::cache::SharedCache;
use crate::config::AccountLimits;
use crate::engine::Engine;

impl<S: SharedCache> Engine<S> {
    pub(super) async fn put_inline_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
        document: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        let (account, scope) = self.policy_scope(&by.actor.value, account, &owner).await?;
        rules::policy_name(&name)?;
        rules::document(&document)?;
        let mut transaction = begin!(self, "put_policy", &by, scope);
        require_owner(&mut transaction, scope, &owner).await?;
        let mut others = transaction.policies_of(account, &owner).await?;
        // One more principal than there are.
        if others.is_empty() && matches!(owner, PolicyOwner::Principal(_)) {
            let most = self.config.limits.principals_max;
            let count = transaction.principals_with_policies(account, most).await?;
            below(most, count, "principals with policies of one account")?;
        }
        others.retain(|policy| policy.name != name);
        below(
            self.config.limits.policies_per_owner_max,
            others.len() as u64,
            "inline policies of one user or role",
        )?;
        let policy = InlinePolicy { account, owner, name, document };
        fits(&self.config.limits, &policy, &others)?;
        transaction.put(&policy).await?;
        self.commit(transaction, scope, policy).await
    }

    pub(super) async fn policies_of(
        &self,
        actor: &Actor,
        account: Option<AccountId>,
        owner: PolicyOwner,
    ) -> Result<Vec<InlinePolicy>, CallError> {
        let (account, scope) = self.policy_scope(actor, account, &owner).await?;
        let exists = match &owner {
            PolicyOwner::User(name) => self.store.get::<User>(scope, name).await?.is_some(),
            PolicyOwner::Role(name) => self.store.get::<IamRole>(scope, name).await?.is_some(),
            PolicyOwner::Principal(_) => true,
        };
        if !exists {
            return Err(CallError::not_found(owner.kind(), owner.name()));
        }
        Ok(self.store.policies_of(account, &owner).await?)
    }

    pub(super) async fn delete_inline_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        let (account, scope) = self.policy_scope(&by.actor.value, account, &owner).await?;
        let mut transaction = begin!(self, "delete_policy", &by, scope);
        require_owner(&mut transaction, scope, &owner).await?;
        let key = InlinePolicy { account, owner, name: name.clone(), document: String::new() }.key();
        let deleted = transaction.delete::<InlinePolicy>(scope, &key).await?;
        let deleted = deleted.ok_or_else(|| CallError::not_found("inline policy", rules::shown(&name)))?;
        self.commit(transaction, scope, deleted).await
    }

    /// Where the policies of an owner are kept: of a user or role by name in a local account, of a principal by ARN in the account
    /// that the ARN names, which is not one of the hub's own.
    async fn policy_scope(
        &self,
        actor: &Actor,
        account: Option<AccountId>,
        owner: &PolicyOwner,
    ) -> Result<(AccountId, Scope), CallError> {
        let PolicyOwner::Principal(arn) = owner else { return self.local_scope(actor, account).await };
        let arn = PrincipalArn::parse(arn.as_str())
            .map_err(|error| CallError::invalid("owner", "malformed", error.to_string()))?;
        rules::principal_owner(&arn)?;
        if account.is_some_and(|account| account != arn.account) {
            let message =
                format!("`{arn}` is not of that account: leave the account out, for the ARN names it");
            return Err(CallError::invalid("account", "other_account", message));
        }
        let id = self.account_for(actor, Some(arn.account))?;
        let hub = self.directory.hub().await?;
        let Some(known) = hub.account(id) else { return Err(CallError::not_found("account", id)) };
        if hub.is_local(id) {
            let message =
                format!("account `{id}` is the hub's own: name its user or role by `user` or `role`");
            return Err(CallError::precondition("local_account", message));
        }
        if known.partition != arn.partition {
            let message =
                format!("`{arn}` is of partition `{}`, its account of `{}`", arn.partition, known.partition);
            return Err(CallError::invalid("owner", "partition", message));
        }
        Ok((id, Scope::Account(id)))
    }
}

async fn require_owner(
    transaction: &mut Transaction,
    scope: Scope,
    owner: &PolicyOwner,
) -> Result<(), CallError> {
    let exists = match owner {
        PolicyOwner::User(name) => transaction.get::<User>(scope, name).await?.is_some(),
        PolicyOwner::Role(name) => transaction.get::<IamRole>(scope, name).await?.is_some(),
        // Whether there is one, its authority knows.
        PolicyOwner::Principal(_) => true,
    };
    if exists { Ok(()) } else { Err(CallError::not_found(owner.kind(), owner.name())) }
}

/// Refuses to delete an owner who still has inline policies.
pub(super) async fn require_no_policies(
    transaction: &mut Transaction,
    account: AccountId,
    owner: &PolicyOwner,
) -> Result<(), CallError> {
    match transaction.policies_of(account, owner).await?.is_empty() {
        true => Ok(()),
        false => Err(still_has(owner.kind(), owner.name(), "inline policies")),
    }
}

/// Somebody who is to be deleted has something that would go too.
pub(super) fn still_has(kind: &str, name: &str, what: &str) -> CallError {
    CallError::precondition(
        "still_has",
        format!("{kind} `{}` still has {what}: delete those first", rules::shown(name)),
    )
}

/// All inline policies of an owner together are limited (IAM: 2 048 characters for a user, 10 240 for a role).
fn fits(limits: &AccountLimits, policy: &InlinePolicy, others: &[InlinePolicy]) -> Result<(), CallError> {
    let is_user = match &policy.owner {
        PolicyOwner::User(_) => true,
        PolicyOwner::Role(_) => false,
        PolicyOwner::Principal(arn) => {
            PrincipalArn::parse(arn.as_str()).is_ok_and(|arn| matches!(arn.kind, PrincipalKind::User { .. }))
        }
    };
    let (what, limit) = match is_user {
        true => ("characters of all inline policies of one user", limits.user_policy_chars_max),
        false => ("characters of all inline policies of one role", limits.role_policy_chars_max),
    };
    let all = others.iter().chain([policy]).map(|one| rules::policy_chars(&one.document)).sum::<u64>();
    if all <= limit { Ok(()) } else { Err(CallError::LimitExceeded { what: what.into(), limit }) }
}

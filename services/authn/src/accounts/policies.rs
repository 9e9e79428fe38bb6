//! Inline policies of users and roles.

use lanyard_api::authn::accounts::{IamRole, InlinePolicy, PolicyOwner, User};
use lanyard_api::{Actor, CallError, Mutated, Mutation, Scope};
use lanyard_iam::AccountId;
use lanyard_store::{Record as _, Transaction};

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
        let (account, scope) = self.local_scope(&by.actor.value, account).await?;
        rules::policy_name(&name)?;
        rules::document(&document)?;
        let mut transaction = begin!(self, "put_policy", &by, scope);
        require_owner(&mut transaction, scope, &owner).await?;
        let mut others = transaction.list::<InlinePolicy>(scope).await?;
        others.retain(|policy| policy.owner == owner && policy.name != name);
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
        let (_, scope) = self.local_scope(actor, account).await?;
        let exists = match &owner {
            PolicyOwner::User(name) => self.store.get::<User>(scope, name).await?.is_some(),
            PolicyOwner::Role(name) => self.store.get::<IamRole>(scope, name).await?.is_some(),
        };
        if !exists {
            return Err(CallError::not_found(owner.kind(), owner.name()));
        }
        let (_, mut policies) = self.store.load::<InlinePolicy>(scope).await?;
        policies.retain(|policy| policy.owner == owner);
        Ok(policies)
    }

    pub(super) async fn delete_inline_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, account).await?;
        let mut transaction = begin!(self, "delete_policy", &by, scope);
        require_owner(&mut transaction, scope, &owner).await?;
        let key = InlinePolicy { account, owner, name: name.clone(), document: String::new() }.key();
        let deleted = transaction.delete::<InlinePolicy>(scope, &key).await?;
        let deleted = deleted.ok_or_else(|| CallError::not_found("inline policy", name))?;
        self.commit(transaction, scope, deleted).await
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
    };
    if exists { Ok(()) } else { Err(CallError::not_found(owner.kind(), owner.name())) }
}

/// Refuses to delete an owner who still has inline policies.
pub(super) async fn require_no_policies(
    transaction: &mut Transaction,
    scope: Scope,
    owner: &PolicyOwner,
) -> Result<(), CallError> {
    let policies = transaction.list::<InlinePolicy>(scope).await?;
    match policies.iter().any(|policy| policy.owner == *owner) {
        true => Err(still_has(owner.kind(), owner.name(), "inline policies")),
        false => Ok(()),
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
    let (what, limit) = match policy.owner {
        PolicyOwner::User(_) => {
            ("characters of all inline policies of one user", limits.user_policy_chars_max)
        }
        PolicyOwner::Role(_) => {
            ("characters of all inline policies of one role", limits.role_policy_chars_max)
        }
    };
    let all = others.iter().chain([policy]).map(|one| rules::policy_chars(&one.document)).sum::<u64>();
    if all <= limit { Ok(()) } else { Err(CallError::LimitExceeded { what: what.into(), limit }) }
}

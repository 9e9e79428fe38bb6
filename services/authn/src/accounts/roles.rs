//! Roles.

use lanyard_api::authn::accounts::{CreateRole, IamRole, Named};
use lanyard_api::{Actor, CallError, Fault, Mutated, Mutation, Page, PageQuery, Scope};
use lanyard_iam::AccountId;
use lanyard_store::Transaction;

use super::{begin, below, rules};
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::new_role_id;

impl<S: SharedCache> Engine<S> {
    pub(super) async fn create_role_record(
        &self,
        by: Mutation,
        role: CreateRole,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, role.account).await?;
        rules::name("name", &role.name)?;
        let path = rules::path(&role.path)?;
        rules::trust_policy(&role.trust_policy)?;
        let session_seconds_max = rules::session_seconds_max(role.session_seconds_max)?;
        rules::tags(&role.tags, self.config.limits.tags_max)?;
        let principal_id = new_role_id(account, &self.random).map_err(Fault::from)?.to_string();
        let mut transaction = begin!(self, "create_role", &by, scope);
        below(
            self.config.limits.roles_max,
            transaction.count::<IamRole>(scope).await?,
            "roles of one account",
        )?;
        let CreateRole { name, trust_policy, tags, .. } = role;
        let role = IamRole {
            account,
            path,
            name,
            principal_id,
            trust_policy,
            session_seconds_max,
            revoked_before: None,
            tags,
            created_at: transaction.now(),
        };
        transaction.insert(&role).await?;
        self.commit(transaction, scope, role).await
    }

    pub(super) async fn role_record(&self, actor: &Actor, role: &Named) -> Result<IamRole, CallError> {
        let (_, scope) = self.local_scope(actor, role.account).await?;
        let found = self.store.get::<IamRole>(scope, &role.name).await?;
        found.ok_or_else(|| CallError::not_found("role", &role.name))
    }

    pub(super) async fn role_records(
        &self,
        actor: &Actor,
        account: Option<AccountId>,
        page: &PageQuery,
    ) -> Result<Page<IamRole>, CallError> {
        let (_, scope) = self.local_scope(actor, account).await?;
        let (_, roles) = self.store.load::<IamRole>(scope).await?;
        Ok(Page::cut(roles.into_iter(), page, |role| role.name.clone()))
    }

    pub(super) async fn replace_trust_policy(
        &self,
        by: Mutation,
        role: Named,
        trust_policy: String,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, role.account).await?;
        rules::trust_policy(&trust_policy)?;
        let mut transaction = begin!(self, "update_trust_policy", &by, scope);
        let role = IamRole { trust_policy, ..stored(&mut transaction, scope, &role.name).await? };
        transaction.put(&role).await?;
        self.commit(transaction, scope, role).await
    }

    pub(super) async fn revoke_role_sessions(
        &self,
        by: Mutation,
        role: Named,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, role.account).await?;
        let mut transaction = begin!(self, "revoke_sessions", &by, scope);
        let revoked_before = Some(transaction.now());
        let role = IamRole { revoked_before, ..stored(&mut transaction, scope, &role.name).await? };
        transaction.put(&role).await?;
        self.commit(transaction, scope, role).await
    }

    pub(super) async fn delete_role_record(
        &self,
        by: Mutation,
        role: Named,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, role.account).await?;
        let mut transaction = begin!(self, "delete_role", &by, scope);
        let deleted = transaction.delete::<IamRole>(scope, &role.name).await?;
        let deleted = deleted.ok_or_else(|| CallError::not_found("role", &role.name))?;
        self.commit(transaction, scope, deleted).await
    }
}

async fn stored(transaction: &mut Transaction, scope: Scope, name: &str) -> Result<IamRole, CallError> {
    let role = transaction.get::<IamRole>(scope, name).await?;
    role.ok_or_else(|| CallError::not_found("role", name))
}

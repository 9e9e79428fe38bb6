//! Users.

use lanyard_api::authn::accounts::{CreateUser, Named, OfAccount, PolicyOwner, User};
use lanyard_api::{Actor, CallError, Mutated, Mutation, Page, PageQuery};

use super::policies::{require_no_policies, still_has};
use super::{begin, below, rules};
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::new_user_id;

impl<S: SharedCache> Engine<S> {
    pub(super) async fn create_user_record(
        &self,
        by: Mutation,
        user: CreateUser,
    ) -> Result<Mutated<User>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, user.account).await?;
        rules::name("name", &user.name)?;
        let path = rules::path(&user.path)?;
        rules::tags(&user.tags, self.config.limits.tags_max)?;
        let principal_id = new_user_id(account, &self.random).map_err(lanyard_api::Fault::from)?.to_string();
        let mut transaction = begin!(self, "create_user", &by, scope);
        below(self.config.limits.users_max, transaction.count::<User>(scope).await?, "users of one account")?;
        let CreateUser { name, tags, .. } = user;
        let user = User { account, path, name, principal_id, tags, created_at: transaction.now() };
        transaction.insert(&user).await?;
        self.commit(transaction, scope, user).await
    }

    pub(super) async fn user_record(&self, actor: &Actor, user: &Named) -> Result<User, CallError> {
        let (_, scope) = self.local_scope(actor, user.account).await?;
        let found = self.store.get::<User>(scope, &user.name).await?;
        found.ok_or_else(|| CallError::not_found("user", rules::shown(&user.name)))
    }

    pub(super) async fn user_records(
        &self,
        actor: &Actor,
        of: &OfAccount,
        page: &PageQuery,
    ) -> Result<Page<User>, CallError> {
        let (_, scope) = self.local_scope(actor, of.account).await?;
        self.stored_page(scope, page, |user: &User| user.path.starts_with(&of.path_prefix)).await
    }

    pub(super) async fn tag_user_record(
        &self,
        by: Mutation,
        user: Named,
        change: rules::TagChange,
    ) -> Result<Mutated<User>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, user.account).await?;
        change.judge(self.config.limits.tags_max)?;
        let mut transaction = begin!(self, "tag_user", &by, scope);
        let stored = transaction.get::<User>(scope, &user.name).await?;
        let mut user = stored.ok_or_else(|| CallError::not_found("user", rules::shown(&user.name)))?;
        change.apply(&mut user.tags, self.config.limits.tags_max)?;
        transaction.put(&user).await?;
        self.commit(transaction, scope, user).await
    }

    pub(super) async fn delete_user_record(
        &self,
        by: Mutation,
        user: Named,
        only_bare: bool,
    ) -> Result<Mutated<User>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, user.account).await?;
        let mut transaction = begin!(self, "delete_user", &by, scope);
        if only_bare && let Some(user) = transaction.get::<User>(scope, &user.name).await? {
            if !transaction.access_keys_of(user.account, &user.name).await?.is_empty() {
                return Err(still_has("user", &user.name, "access keys"));
            }
            require_no_policies(&mut transaction, user.account, &PolicyOwner::User(user.name)).await?;
        }
        let deleted = transaction.delete::<User>(scope, &user.name).await?;
        let deleted = deleted.ok_or_else(|| CallError::not_found("user", rules::shown(&user.name)))?;
        self.commit(transaction, scope, deleted).await
    }
}

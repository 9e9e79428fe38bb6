//! Access keys of users.

use lanyard_api::authn::accounts::{AccessKey, Named, NewAccessKey, User};
use lanyard_api::{Actor, CallError, Fault, Mutated, Mutation, Scope};
use lanyard_iam::AccessKeyId;
use lanyard_store::{Place, Purpose, StoreError, Transaction};
use secrecy::SecretString;

use super::{Begun, begin, below, mutated, rules};
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::{new_access_key_id, new_secret};

impl<S: SharedCache> Engine<S> {
    /// Makes a key. Its secret is in this answer and nowhere else in the clear; so the answer is not recorded, and a second
    /// arrival of the same signature has to be signed anew.
    pub(super) async fn create_key(
        &self,
        by: Mutation,
        user: Named,
    ) -> Result<Mutated<NewAccessKey>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, user.account).await?;
        let id = new_access_key_id(account, &self.random).map_err(Fault::from)?;
        let secret = new_secret(&self.random).map_err(Fault::from)?;
        let mut transaction = match self.begin::<()>("create_access_key", &by, &[scope]).await? {
            Begun::Now(transaction) => *transaction,
            Begun::Before(_) => return Err(CallError::Replayed),
        };
        require_user(&mut transaction, scope, &user.name).await?;
        let count = transaction.access_keys_of(account, &user.name).await?.len();
        below(self.config.limits.keys_per_user_max, count as u64, "access keys of one user")?;
        let key = AccessKey { id, account, user: user.name, active: true, created_at: transaction.now() };
        let place = Place::of(&key);
        let sealed = self.store.keyring().seal(Purpose::AccessKeySecret, &place, secret.expose().as_bytes());
        let sealed = sealed.map_err(StoreError::from)?;
        transaction.insert(&key).await?;
        transaction.put_secret(&place, &sealed).await?;
        let committed = transaction.commit_unrecorded().await?;
        Ok(mutated(NewAccessKey { key, secret: SecretString::from(secret.expose()) }, &committed))
    }

    pub(super) async fn keys_of(&self, actor: &Actor, user: &Named) -> Result<Vec<AccessKey>, CallError> {
        let user = self.user_record(actor, user).await?;
        Ok(self.store.access_keys_of(user.account, &user.name).await?)
    }

    pub(super) async fn switch_key(
        &self,
        by: Mutation,
        user: Named,
        id: AccessKeyId,
        active: bool,
    ) -> Result<Mutated<AccessKey>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, user.account).await?;
        let mut transaction = begin!(self, "set_access_key_active", &by, scope);
        let key = key_of(&mut transaction, scope, &user.name, &id).await?;
        let key = AccessKey { active, ..key };
        transaction.put(&key).await?;
        self.commit(transaction, scope, key).await
    }

    pub(super) async fn delete_key(
        &self,
        by: Mutation,
        user: Named,
        id: AccessKeyId,
    ) -> Result<Mutated<AccessKey>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, user.account).await?;
        let mut transaction = begin!(self, "delete_access_key", &by, scope);
        let key = key_of(&mut transaction, scope, &user.name, &id).await?;
        transaction.delete::<AccessKey>(scope, id.as_str()).await?;
        self.commit(transaction, scope, key).await
    }
}

async fn require_user(transaction: &mut Transaction, scope: Scope, name: &str) -> Result<(), CallError> {
    let user = transaction.get::<User>(scope, name).await?;
    user.map(|_| ()).ok_or_else(|| CallError::not_found("user", rules::shown(name)))
}

/// A key of this very user; another's does not exist here.
async fn key_of(
    transaction: &mut Transaction,
    scope: Scope,
    user: &str,
    id: &AccessKeyId,
) -> Result<AccessKey, CallError> {
    require_user(transaction, scope, user).await?;
    let key = transaction.get::<AccessKey>(scope, id.as_str()).await?;
    key.filter(|key| key.user == user).ok_or_else(|| CallError::not_found("access key", id))
}

//! Account numbers and who vouches for them.

use lanyard_api::authn::accounts::{Account, CreateAccount};
use lanyard_api::{Actor, Authority, CallError, Mutated, Mutation, Page, PageQuery, Scope};
use lanyard_iam::AccountId;

use super::{begin, below, rules};
use crate::cache::SharedCache;
use crate::engine::Engine;

impl<S: SharedCache> Engine<S> {
    pub(super) async fn create_account_record(
        &self,
        by: Mutation,
        account: CreateAccount,
    ) -> Result<Mutated<Account>, CallError> {
        self.for_operators(&by.actor.value)?;
        rules::account_name(&account.name)?;
        if let Authority::Sts(name) = &account.authority
            && !self.config.self_hosted_sts.iter().any(|sts| sts.name == *name)
        {
            let message = format!("`sts:{name}` is not configured; add it to `authn.self_hosted_sts` first");
            return Err(CallError::invalid("authority", "unknown_sts", message));
        }
        let mut transaction = begin!(self, "create_account", &by, Scope::Hub);
        below(
            self.config.limits.accounts_max,
            transaction.count::<Account>(Scope::Hub).await?,
            "accounts of one hub",
        )?;
        let CreateAccount { id, partition, authority, name } = account;
        let account = Account { id, partition, authority, name, created_at: transaction.now() };
        transaction.insert(&account).await?;
        self.commit(transaction, Scope::Hub, account).await
    }

    pub(super) async fn delete_account_record(
        &self,
        by: Mutation,
        id: AccountId,
    ) -> Result<Mutated<Account>, CallError> {
        self.for_operators(&by.actor.value)?;
        if id == self.hub.account {
            let message =
                format!("account `{id}` is the hub's own, whose administrators operate it; it stays");
            return Err(CallError::precondition("hub_account", message));
        }
        // What hangs on it in its own scope goes with it: the policies of principals kept elsewhere, and blocks.
        let scopes = [Scope::Hub, Scope::Account(id)];
        let mut transaction = begin!(self, "delete_account", &by, all & scopes);
        let deleted = transaction.delete::<Account>(Scope::Hub, id.as_str()).await?;
        let account = deleted.ok_or_else(|| CallError::not_found("account", id))?;
        self.commit(transaction, Scope::Hub, account).await
    }

    /// All of them for a hub operator, their own for anybody else.
    pub(super) async fn visible_accounts(
        &self,
        actor: &Actor,
        page: &PageQuery,
    ) -> Result<Page<Account>, CallError> {
        let own = actor.account();
        let all = self.acts_on_hub(actor);
        let hub = self.directory.hub().await?;
        let visible = hub.accounts().filter(|account| all || own == Some(account.id)).cloned();
        Ok(Page::cut(visible, page, |account| account.id.to_string()))
    }
}

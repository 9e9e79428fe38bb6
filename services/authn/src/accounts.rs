//! Accounts, users, access keys, roles and inline policies, with IAM's rules.
//!
//! A name resolves in one account: the actor's own, or the one that a hub operator names, whom Admit has let act on the hub
//! itself. In any other account nothing exists. Names are spelled as they were given when the thing was made.

mod caller_policies;
mod instance_profiles;
mod keys;
mod oidc_providers;
mod pages;
mod policies;
mod registry;
mod roles;
mod rules;
mod trusted;
mod users;

use lanyard_api::authn::accounts::{
    AccessKey, Account, Accounts, CallerPolicies, CreateAccount, CreateRole, CreateUser, IamRole,
    InlinePolicy, Named, NewAccessKey, OfAccount, PolicyOwner, UpdateRole, User,
};
use lanyard_api::{
    Actor, ActorKind, CallError, Denial, Fault, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
};
use lanyard_iam::{AccessKeyId, AccountId};
use lanyard_store::{Committed, StoreError, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::{NoRandomness, account_of_key};

/// A transaction that has begun, or the answer of the first arrival of this very signature.
enum Begun<T> {
    Now(Box<Transaction>),
    Before(Box<Mutated<T>>),
}

/// Begins a mutation, or returns what its first arrival was answered.
macro_rules! begin {
    ($engine:expr, $name:literal, $by:expr, all $scopes:expr) => {
        match $engine.begin($name, $by, $scopes).await? {
            $crate::accounts::Begun::Now(transaction) => *transaction,
            $crate::accounts::Begun::Before(answer) => return Ok(*answer),
        }
    };
    ($engine:expr, $name:literal, $by:expr, $scope:expr) => {
        $crate::accounts::begin!($engine, $name, $by, all & [$scope])
    };
}
use begin;

impl<S: SharedCache> Engine<S> {
    /// The account in which the actor's names resolve.
    fn account_for(&self, actor: &Actor, named: Option<AccountId>) -> Result<AccountId, CallError> {
        match (&actor.kind, named) {
            (ActorKind::Principal { arn, .. }, None) => Ok(arn.account),
            (ActorKind::Principal { arn, .. }, Some(account)) if arn.account == account => Ok(account),
            (ActorKind::Principal { .. }, Some(account)) if self.acts_on_hub(actor) => Ok(account),
            (ActorKind::Principal { .. }, Some(account)) => Err(CallError::not_found("account", account)),
            (ActorKind::System { .. }, named) => Ok(named.unwrap_or(self.hub.account)),
            (ActorKind::Spoke { .. } | ActorKind::Node { .. }, _) => Err(CallError::Denied(Denial {
                code: "spoke".into(),
                message: "a spoke or node manages no accounts; call with a principal's signature".to_owned(),
            })),
        }
    }

    /// Whether Admit let the actor act on the hub itself: a hub operator.
    fn acts_on_hub(&self, actor: &Actor) -> bool {
        match &actor.kind {
            ActorKind::System { .. } => true,
            ActorKind::Principal { arn, .. } => {
                arn.account == self.hub.account && actor.resource == self.hub.arn()
            }
            ActorKind::Spoke { .. } | ActorKind::Node { .. } => false,
        }
    }

    fn for_operators(&self, actor: &Actor) -> Result<(), CallError> {
        if self.acts_on_hub(actor) {
            return Ok(());
        }
        Err(CallError::Denied(Denial {
            code: "hub_operator".into(),
            message: format!(
                "`{}` is for hub operators, whose policies allow it on `{}`",
                actor.action,
                self.hub.arn()
            ),
        }))
    }

    /// The scope of a local account: users and roles live in no other.
    async fn local_scope(
        &self,
        actor: &Actor,
        named: Option<AccountId>,
    ) -> Result<(AccountId, Scope), CallError> {
        let account = self.account_for(actor, named)?;
        let hub = self.directory.hub().await?;
        match hub.account(account) {
            None => Err(CallError::not_found("account", account)),
            Some(_) if hub.is_local(account) => Ok((account, Scope::Account(account))),
            Some(other) => Err(CallError::precondition(
                "not_local",
                format!(
                    "the principals of account `{account}` are kept by authority `{}`, not here",
                    other.authority
                ),
            )),
        }
    }

    async fn begin<T: DeserializeOwned>(
        &self,
        name: &'static str,
        by: &Mutation,
        scopes: &[Scope],
    ) -> Result<Begun<T>, CallError> {
        match self.store.begin(name, by, scopes).await {
            Ok(transaction) => Ok(Begun::Now(Box::new(transaction))),
            Err(error) => recorded(error).map(|answer| Begun::Before(Box::new(answer))),
        }
    }

    /// Commits, and keeps the answer for a second arrival of the same signature.
    async fn commit<T: Serialize + DeserializeOwned>(
        &self,
        transaction: Transaction,
        scope: Scope,
        value: T,
    ) -> Result<Mutated<T>, CallError> {
        self.commit_with(transaction, scope, value, Vec::new()).await
    }

    /// The same, with what whoever asked should know beside.
    async fn commit_with<T: Serialize + DeserializeOwned>(
        &self,
        transaction: Transaction,
        scope: Scope,
        value: T,
        notices: Vec<String>,
    ) -> Result<Mutated<T>, CallError> {
        let revision = transaction.next_revision(scope)?;
        let confirmed = transaction.confirms();
        let answer = Mutated { value, revision, confirmed, pending: Vec::new(), notices, update: None };
        match transaction.commit(Some(&answer)).await {
            Ok(committed) => Ok(Mutated { notices: answer.notices, ..mutated(answer.value, &committed) }),
            Err(error) => recorded(error),
        }
    }
}

/// What a used signature was answered, if it can be given again.
fn recorded<T: DeserializeOwned>(error: StoreError) -> Result<Mutated<T>, CallError> {
    let StoreError::Replayed { answer: Some(answer) } = error else { return Err(error.into()) };
    serde_json::from_slice(&answer).map_err(|_| CallError::Replayed)
}

fn mutated<T>(value: T, committed: &Committed) -> Mutated<T> {
    let pending = if committed.applied {
        Vec::new()
    } else {
        vec!["this replica, until it reaches the store again".to_owned()]
    };
    Mutated {
        value,
        revision: committed.revision,
        confirmed: committed.confirmed,
        pending,
        notices: Vec::new(),
        update: None,
    }
}

/// Refuses one more than so many.
fn below(limit: u64, count: u64, what: &'static str) -> Result<(), CallError> {
    if count < limit { Ok(()) } else { Err(CallError::LimitExceeded { what: what.into(), limit }) }
}

impl From<NoRandomness> for Fault {
    fn from(error: NoRandomness) -> Self {
        tracing::error!(%error, "nothing can be made");
        Self::Internal
    }
}

impl<S: SharedCache> Accounts for Engine<S> {
    async fn create_account(
        &self,
        by: Mutation,
        account: CreateAccount,
    ) -> Result<Mutated<Account>, CallError> {
        self.create_account_record(by, account).await
    }

    async fn delete_account(&self, by: Mutation, account: AccountId) -> Result<Mutated<Account>, CallError> {
        self.delete_account_record(by, account).await
    }

    async fn list_accounts(&self, by: Vouched<Actor>, page: PageQuery) -> Result<Page<Account>, CallError> {
        self.visible_accounts(&by.value, &page).await
    }

    async fn create_user(&self, by: Mutation, user: CreateUser) -> Result<Mutated<User>, CallError> {
        self.create_user_record(by, user).await
    }

    async fn get_user(&self, by: Vouched<Actor>, user: Named) -> Result<User, CallError> {
        self.user_record(&by.value, &user).await
    }

    async fn list_users(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> Result<Page<User>, CallError> {
        self.user_records(&by.value, &of, &page).await
    }

    async fn tag_user(
        &self,
        by: Mutation,
        user: Named,
        tags: BTreeMap<String, String>,
    ) -> Result<Mutated<User>, CallError> {
        self.tag_user_record(by, user, rules::TagChange::Put(tags)).await
    }

    async fn untag_user(
        &self,
        by: Mutation,
        user: Named,
        keys: Vec<String>,
    ) -> Result<Mutated<User>, CallError> {
        self.tag_user_record(by, user, rules::TagChange::Remove(keys)).await
    }

    async fn delete_user(
        &self,
        by: Mutation,
        user: Named,
        only_bare: bool,
    ) -> Result<Mutated<User>, CallError> {
        self.delete_user_record(by, user, only_bare).await
    }

    async fn create_access_key(&self, by: Mutation, user: Named) -> Result<Mutated<NewAccessKey>, CallError> {
        self.create_key(by, user).await
    }

    async fn list_access_keys(&self, by: Vouched<Actor>, user: Named) -> Result<Vec<AccessKey>, CallError> {
        self.keys_of(&by.value, &user).await
    }

    async fn get_access_key_info(&self, _: Vouched<Actor>, key: AccessKeyId) -> Result<AccountId, CallError> {
        account_of_key(&key).or_else(|| key.local_session_account()).ok_or_else(|| {
            let message = format!(
                "`{key}` is not the key of a user or session of a hub (LKIA…, LSIA…); ask AWS about keys of AWS"
            );
            CallError::invalid("access_key_id", "access_key_id", message)
        })
    }

    async fn set_access_key_active(
        &self,
        by: Mutation,
        user: Named,
        key: AccessKeyId,
        active: bool,
    ) -> Result<Mutated<AccessKey>, CallError> {
        self.switch_key(by, user, key, active).await
    }

    async fn delete_access_key(
        &self,
        by: Mutation,
        user: Named,
        key: AccessKeyId,
    ) -> Result<Mutated<AccessKey>, CallError> {
        self.delete_key(by, user, key).await
    }

    async fn create_role(&self, by: Mutation, role: CreateRole) -> Result<Mutated<IamRole>, CallError> {
        self.create_role_record(by, role).await
    }

    async fn get_role(&self, by: Vouched<Actor>, role: Named) -> Result<IamRole, CallError> {
        self.role_record(&by.value, &role).await
    }

    async fn list_roles(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> Result<Page<IamRole>, CallError> {
        self.role_records(&by.value, &of, &page).await
    }

    async fn update_role(
        &self,
        by: Mutation,
        role: Named,
        update: UpdateRole,
    ) -> Result<Mutated<IamRole>, CallError> {
        self.update_role_record(by, role, update).await
    }

    async fn tag_role(
        &self,
        by: Mutation,
        role: Named,
        tags: BTreeMap<String, String>,
    ) -> Result<Mutated<IamRole>, CallError> {
        self.tag_role_record(by, role, rules::TagChange::Put(tags)).await
    }

    async fn untag_role(
        &self,
        by: Mutation,
        role: Named,
        keys: Vec<String>,
    ) -> Result<Mutated<IamRole>, CallError> {
        self.tag_role_record(by, role, rules::TagChange::Remove(keys)).await
    }

    async fn update_trust_policy(
        &self,
        by: Mutation,
        role: Named,
        trust_policy: String,
        allow_any_subject: bool,
    ) -> Result<Mutated<IamRole>, CallError> {
        self.replace_trust_policy(by, role, trust_policy, allow_any_subject).await
    }

    async fn revoke_sessions(&self, by: Mutation, role: Named) -> Result<Mutated<IamRole>, CallError> {
        self.revoke_role_sessions(by, role).await
    }

    async fn delete_role(
        &self,
        by: Mutation,
        role: Named,
        only_bare: bool,
    ) -> Result<Mutated<IamRole>, CallError> {
        self.delete_role_record(by, role, only_bare).await
    }

    async fn put_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
        document: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        self.put_inline_policy(by, account, owner, name, document).await
    }

    async fn get_policy(
        &self,
        by: Vouched<Actor>,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> Result<InlinePolicy, CallError> {
        let policies = self.policies_of(&by.value, account, owner).await?;
        let found = policies.into_iter().find(|policy| policy.name == name);
        found.ok_or_else(|| CallError::not_found("inline policy", rules::shown(&name)))
    }

    async fn list_policies(
        &self,
        by: Vouched<Actor>,
        account: Option<AccountId>,
        owner: PolicyOwner,
    ) -> Result<Vec<InlinePolicy>, CallError> {
        self.policies_of(&by.value, account, owner).await
    }

    async fn delete_policy(
        &self,
        by: Mutation,
        account: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        self.delete_inline_policy(by, account, owner, name).await
    }

    async fn get_caller_policies(&self, by: Vouched<Actor>) -> Result<CallerPolicies, CallError> {
        self.policies_of_caller(&by.value).await
    }
}

//! Roles.

use std::collections::BTreeMap;

use lanyard_api::authn::accounts::{
    ANY_SUBJECT_TAG, CreateRole, IamRole, Named, OfAccount, PolicyOwner, UpdateRole,
};
use lanyard_api::{Actor, CallError, Fault, Mutated, Mutation, Page, PageQuery, Scope};
use lanyard_store::Transaction;

use super::policies::require_no_policies;
use super::trusted::trusted_ids;
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
        rules::own_role(&path, &role.name)?;
        rules::description(&role.description)?;
        let notice = rules::trust_policy(
            &role.trust_policy,
            role.allow_any_subject || allows_any_subject(&role.tags),
        )?;
        rules::trust_policy_fits(&role.trust_policy, self.config.limits.trust_policy_chars_max)?;
        let session_seconds_max = rules::session_seconds_max(role.session_seconds_max)?;
        rules::tags(&role.tags, self.config.limits.tags_max)?;
        let principal_id = new_role_id(account, &self.random).map_err(Fault::from)?.to_string();
        let mut transaction = begin!(self, "create_role", &by, scope);
        below(
            self.config.limits.roles_max,
            transaction.count::<IamRole>(scope).await?,
            "roles of one account",
        )?;
        let trusted_ids = trusted_ids(&mut transaction, &role.trust_policy).await?;
        let CreateRole { name, trust_policy, tags, description, .. } = role;
        let role = IamRole {
            account,
            path,
            name,
            principal_id,
            trust_policy,
            trusted_ids,
            session_seconds_max,
            revoked_before: None,
            tags,
            description,
            created_at: transaction.now(),
        };
        transaction.insert(&role).await?;
        noticed(self.commit(transaction, scope, role).await, notice)
    }

    pub(super) async fn role_record(&self, actor: &Actor, role: &Named) -> Result<IamRole, CallError> {
        let (_, scope) = self.local_scope(actor, role.account).await?;
        let found = self.store.get::<IamRole>(scope, &role.name).await?;
        let mut found = found.ok_or_else(|| CallError::not_found("role", rules::shown(&role.name)))?;
        self.as_shown(vec![&mut found]).await?;
        Ok(found)
    }

    pub(super) async fn role_records(
        &self,
        actor: &Actor,
        of: &OfAccount,
        page: &PageQuery,
    ) -> Result<Page<IamRole>, CallError> {
        let (_, scope) = self.local_scope(actor, of.account).await?;
        let mut page =
            self.stored_page(scope, page, |role: &IamRole| role.path.starts_with(&of.path_prefix)).await?;
        self.as_shown(page.items.iter_mut().collect()).await?;
        Ok(page)
    }

    pub(super) async fn replace_trust_policy(
        &self,
        by: Mutation,
        role: Named,
        trust_policy: String,
        allow_any_subject: bool,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, role.account).await?;
        // What is no trust policy at all is refused whether or not there is such a role.
        rules::trust_policy(&trust_policy, true)?;
        rules::trust_policy_fits(&trust_policy, self.config.limits.trust_policy_chars_max)?;
        let mut transaction = begin!(self, "update_trust_policy", &by, scope);
        let stored = stored(&mut transaction, scope, &role.name).await?;
        let notice =
            rules::trust_policy(&trust_policy, allow_any_subject || allows_any_subject(&stored.tags))?;
        let trusted_ids = trusted_ids(&mut transaction, &trust_policy).await?;
        let role = IamRole { trust_policy, trusted_ids, ..stored };
        transaction.put(&role).await?;
        noticed(self.commit(transaction, scope, role).await, notice)
    }

    pub(super) async fn update_role_record(
        &self,
        by: Mutation,
        role: Named,
        update: UpdateRole,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, role.account).await?;
        let UpdateRole { description, session_seconds_max } = update;
        description.as_deref().map_or(Ok(()), rules::description)?;
        let session_seconds_max = session_seconds_max.map(rules::session_seconds_max).transpose()?;
        let mut transaction = begin!(self, "update_role", &by, scope);
        let mut role = stored(&mut transaction, scope, &role.name).await?;
        role.description = description.unwrap_or(role.description);
        role.session_seconds_max = session_seconds_max.unwrap_or(role.session_seconds_max);
        transaction.put(&role).await?;
        self.commit_role(transaction, scope, role).await
    }

    pub(super) async fn tag_role_record(
        &self,
        by: Mutation,
        role: Named,
        change: rules::TagChange,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, role.account).await?;
        change.judge(self.config.limits.tags_max)?;
        let mut transaction = begin!(self, "tag_role", &by, scope);
        let mut role = stored(&mut transaction, scope, &role.name).await?;
        change.apply(&mut role.tags, self.config.limits.tags_max)?;
        transaction.put(&role).await?;
        self.commit_role(transaction, scope, role).await
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
        self.commit_role(transaction, scope, role).await
    }

    pub(super) async fn delete_role_record(
        &self,
        by: Mutation,
        role: Named,
        only_bare: bool,
    ) -> Result<Mutated<IamRole>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, role.account).await?;
        let mut transaction = begin!(self, "delete_role", &by, scope);
        if let Some(profile) = transaction.profile_with(account, &role.name).await? {
            let message =
                format!("the role is in the instance profile `{}`: take it out there first", profile.name);
            return Err(CallError::precondition("in_instance_profile", message));
        }
        if only_bare && let Some(role) = transaction.get::<IamRole>(scope, &role.name).await? {
            require_no_policies(&mut transaction, account, &PolicyOwner::Role(role.name)).await?;
        }
        let deleted = transaction.delete::<IamRole>(scope, &role.name).await?;
        let deleted = deleted.ok_or_else(|| CallError::not_found("role", rules::shown(&role.name)))?;
        self.commit(transaction, scope, deleted).await
    }
}

/// Whether the role's tag lets a trust policy name an OIDC issuer and none of its people.
fn allows_any_subject(tags: &BTreeMap<String, String>) -> bool {
    tags.get(ANY_SUBJECT_TAG).is_some_and(|value| value == "true")
}

fn noticed(
    answer: Result<Mutated<IamRole>, CallError>,
    notice: Option<String>,
) -> Result<Mutated<IamRole>, CallError> {
    answer.map(|mut mutated| {
        mutated.notices.extend(notice);
        mutated
    })
}

async fn stored(transaction: &mut Transaction, scope: Scope, name: &str) -> Result<IamRole, CallError> {
    let role = transaction.get::<IamRole>(scope, name).await?;
    role.ok_or_else(|| CallError::not_found("role", rules::shown(name)))
}

//! The roles that EC2 instances run with, as EC2 names them, with IAM's rules (IAM API reference, instance profiles).

use lanyard_api::authn::accounts::{IamRole, Named, OfAccount};
use lanyard_api::authn::instance_profiles::{
    CreateInstanceProfile, InstanceProfile, InstanceProfileDetail, InstanceProfiles, UpdateInstanceProfile,
};
use lanyard_api::{Actor, CallError, Fault, Mutated, Mutation, Page, PageQuery, Scope, Vouched};
use lanyard_store::Transaction;

use super::pages::RECORDS_READ_MAX;
use super::{begin, below, rules};
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::numbers::new_instance_profile_id;

/// What people call it in errors.
const PROFILE: &str = "instance profile";
/// Most roles of one profile.
const ROLES_MAX: u64 = 1;

impl<S: SharedCache> InstanceProfiles for Engine<S> {
    async fn create_instance_profile(
        &self,
        by: Mutation,
        profile: CreateInstanceProfile,
    ) -> Result<Mutated<InstanceProfileDetail>, CallError> {
        let (account, scope) = self.local_scope(&by.actor.value, profile.account).await?;
        let limits = &self.config.limits;
        rules::profile_name(&profile.name)?;
        let path = rules::path(&profile.path)?;
        rules::tags(&profile.tags, limits.tags_max)?;
        let profile_id = new_instance_profile_id(account, &self.random).map_err(Fault::from)?.to_string();
        let mut transaction = begin!(self, "create_instance_profile", &by, scope);
        let count = transaction.count::<InstanceProfile>(scope).await?;
        below(limits.instance_profiles_max, count, "instance profiles of one account")?;
        let CreateInstanceProfile { name, tags, .. } = profile;
        let created_at = transaction.now();
        let profile = InstanceProfile { account, path, name, profile_id, role: None, tags, created_at };
        transaction.insert(&profile).await?;
        self.commit(transaction, scope, InstanceProfileDetail { profile, iam_role: None }).await
    }

    async fn get_instance_profile(
        &self,
        by: Vouched<Actor>,
        profile: Named,
    ) -> Result<InstanceProfileDetail, CallError> {
        let (_, scope) = self.local_scope(&by.value, profile.account).await?;
        let found = self.store.get::<InstanceProfile>(scope, &profile.name).await?;
        let found = found.ok_or_else(|| CallError::not_found(PROFILE, rules::shown(&profile.name)))?;
        let mut whole = self.whole(scope, found).await?;
        self.as_shown(whole.iam_role.iter_mut().collect()).await?;
        Ok(whole)
    }

    async fn list_instance_profiles(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> Result<Page<InstanceProfileDetail>, CallError> {
        let (_, scope) = self.local_scope(&by.value, of.account).await?;
        self.page_of(scope, &page, |profile| profile.path.starts_with(&of.path_prefix)).await
    }

    async fn list_instance_profiles_for_role(
        &self,
        by: Vouched<Actor>,
        role: Named,
        page: PageQuery,
    ) -> Result<Page<InstanceProfileDetail>, CallError> {
        let (account, scope) = self.local_scope(&by.value, role.account).await?;
        let found = self.store.get::<IamRole>(scope, &role.name).await?;
        let mut role = found.ok_or_else(|| CallError::not_found("role", rules::shown(&role.name)))?;
        // One more than the page has tells whether another one follows.
        let most = u32::try_from(page.most()).unwrap_or(RECORDS_READ_MAX).saturating_add(1);
        let profiles = self.store.profiles_with(account, &role.name, &page.token, most).await?;
        self.as_shown(vec![&mut role]).await?;
        let with_role = |profile| InstanceProfileDetail { profile, iam_role: Some(role.clone()) };
        let first = PageQuery { token: String::new(), ..page };
        Ok(Page::cut(profiles.into_iter().map(with_role), &first, |detail| detail.profile.name.clone()))
    }

    async fn update_instance_profile(
        &self,
        by: Mutation,
        profile: Named,
        update: UpdateInstanceProfile,
    ) -> Result<Mutated<InstanceProfileDetail>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, profile.account).await?;
        let mut transaction = begin!(self, "update_instance_profile", &by, scope);
        let mut profile = stored(&mut transaction, scope, &profile.name).await?;
        let tags_max = self.config.limits.tags_max;
        let tagging = |change: rules::TagChange, profile: &mut InstanceProfile| {
            change.judge(tags_max)?;
            change.apply(&mut profile.tags, tags_max)
        };
        match update {
            UpdateInstanceProfile::AddRole(name) => {
                let role = role(&mut transaction, scope, &name).await?;
                below(ROLES_MAX, profile.role.is_some().into(), "roles of one instance profile")?;
                profile.role = Some(role.name);
            }
            UpdateInstanceProfile::RemoveRole(name) => {
                if profile.role.as_ref() != Some(&name) {
                    return Err(CallError::not_found("role of this instance profile", rules::shown(&name)));
                }
                profile.role = None;
            }
            UpdateInstanceProfile::Tag(tags) => tagging(rules::TagChange::Put(tags), &mut profile)?,
            UpdateInstanceProfile::Untag(keys) => tagging(rules::TagChange::Remove(keys), &mut profile)?,
        }
        transaction.put(&profile).await?;
        let iam_role = match &profile.role {
            Some(name) => Some(role(&mut transaction, scope, name).await?),
            None => None,
        };
        let mut mutated =
            self.commit(transaction, scope, InstanceProfileDetail { profile, iam_role }).await?;
        // It is changed already: what cannot be looked up now does not make that an error.
        let _ = self.as_shown(mutated.value.iam_role.iter_mut().collect()).await;
        Ok(mutated)
    }

    async fn delete_instance_profile(
        &self,
        by: Mutation,
        profile: Named,
    ) -> Result<Mutated<InstanceProfileDetail>, CallError> {
        let (_, scope) = self.local_scope(&by.actor.value, profile.account).await?;
        let mut transaction = begin!(self, "delete_instance_profile", &by, scope);
        let profile = stored(&mut transaction, scope, &profile.name).await?;
        if let Some(role) = &profile.role {
            let message = format!("the instance profile has the role `{role}`: take it out first");
            return Err(CallError::precondition("has_role", message));
        }
        transaction.delete::<InstanceProfile>(scope, &profile.name).await?;
        self.commit(transaction, scope, InstanceProfileDetail { profile, iam_role: None }).await
    }
}

impl<S: SharedCache> Engine<S> {
    /// A profile with its role as it is stored.
    async fn whole(
        &self,
        scope: Scope,
        profile: InstanceProfile,
    ) -> Result<InstanceProfileDetail, CallError> {
        let iam_role = match &profile.role {
            Some(name) => self.store.get::<IamRole>(scope, name).await?,
            None => None,
        };
        Ok(InstanceProfileDetail { profile, iam_role })
    }

    async fn page_of(
        &self,
        scope: Scope,
        page: &PageQuery,
        is_meant: impl Fn(&InstanceProfile) -> bool,
    ) -> Result<Page<InstanceProfileDetail>, CallError> {
        let cut = self.stored_page(scope, page, is_meant).await?;
        let mut items = Vec::with_capacity(cut.items.len());
        for profile in cut.items {
            items.push(self.whole(scope, profile).await?);
        }
        self.as_shown(items.iter_mut().filter_map(|item| item.iam_role.as_mut()).collect()).await?;
        Ok(Page { items, next_token: cut.next_token })
    }
}

async fn stored(
    transaction: &mut Transaction,
    scope: Scope,
    name: &str,
) -> Result<InstanceProfile, CallError> {
    let profile = transaction.get::<InstanceProfile>(scope, name).await?;
    profile.ok_or_else(|| CallError::not_found(PROFILE, rules::shown(name)))
}

async fn role(transaction: &mut Transaction, scope: Scope, name: &str) -> Result<IamRole, CallError> {
    let role = transaction.get::<IamRole>(scope, name).await?;
    role.ok_or_else(|| CallError::not_found("role", rules::shown(name)))
}

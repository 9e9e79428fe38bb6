//! What an entry may be: new or changed, held against every rule, and bound to its principal.

use lanyard_api::{
    Authority, CallError, EntryId,
    mapping::{AccessEntry, Cluster, CreateAccessEntry, EntryType, UpdateAccessEntry},
};
use lanyard_iam::{AccountId, EntryPrincipal};
use time::OffsetDateTime;

use super::super::{
    Mapping,
    aws::{Bound, ReadPrincipal},
};
use super::several;
use crate::principals::LocalPrincipal;
use crate::rules::{self, Broken, Rule};

impl Mapping {
    /// A new entry, held against every rule, and what its maker should know.
    pub(super) async fn judge(
        &self,
        cluster: &Cluster,
        asked: &CreateAccessEntry,
    ) -> Result<(AccessEntry, Vec<String>), CallError> {
        use rules::entry as rule;
        rule::mode(cluster.authentication_mode)?;
        let principal = rule::principal(&asked.entry.principal_arn)?;
        let authority = rule::trusted(&principal, cluster)?;
        let entry_type = asked.entry_type.unwrap_or(EntryType::Standard);
        rule::has_permission_sets(&authority, &principal)?;
        rule::node_principal(entry_type, &principal, cluster)?;
        let username = match asked.username.as_deref().filter(|text| !text.is_empty()) {
            None => rule::default_username(entry_type, &principal),
            Some(text) => {
                rule::custom_badge(entry_type, "username")?;
                rule::username(text, &principal)?.as_str().to_owned()
            }
        };
        let groups = if asked.groups.is_empty() {
            rule::default_groups(entry_type)
        } else {
            rule::custom_badge(entry_type, "groups")?;
            rule::groups(&asked.groups, self.inner.config.limits.groups_per_entry)?;
            asked.groups.clone()
        };
        rule::tags(&asked.tags)?;
        let now = self.inner.store.clock().now();
        rule::end(asked.ends_at, now)?;
        rule::pin(asked.pin_until, &authority, &principal, now)?;
        let bound = self.bind(cluster.account, &authority, &principal, asked.principal_id.as_deref()).await?;
        let pin_until = asked.pin_until.filter(|_| bound.principal_id.is_none());
        let entry = AccessEntry {
            id: EntryId::random(),
            cluster: cluster.uid,
            authority,
            principal_arn: principal,
            principal_id: bound.principal_id,
            entry_type,
            username,
            groups,
            tags: asked.tags.clone(),
            ends_at: asked.ends_at,
            pin_until,
            created_at: now,
            modified_at: now,
        };
        let mut notices = bound.notices;
        notices.extend(several::hints(&entry));
        Ok((entry, notices))
    }

    /// The unique id that an entry is bound to: a local principal has to exist; of others it is known if it is given, or if
    /// IAM tells it in AWS mode. `own` is the cluster's account: what is there in another is not told.
    async fn bind(
        &self,
        own: AccountId,
        authority: &Authority,
        principal: &EntryPrincipal,
        given: Option<&str>,
    ) -> Result<Bound, CallError> {
        if let Some(id) = given {
            rules::entry::principal_id(id, principal)?;
        }
        if *authority != Authority::Local {
            return self.bind_elsewhere(authority, principal, given).await;
        }
        // Of a pattern nobody has to be there yet.
        let Some(principal) = principal.one() else { return Ok(Bound::default()) };
        let account = self.inner.state.account(principal.account).await?;
        // Letter for letter: policies are held against the ARN as it is written here.
        let is_it = |bearer: &&LocalPrincipal| {
            Some(&*bearer.path) == principal.path() && Some(&*bearer.name) == principal.name()
        };
        let Some(bearer) = account.bearer(principal).filter(is_it) else {
            let message = match account.spelled(principal).filter(|_| principal.account == own) {
                Some(there) => format!(
                    "`{principal}` does not exist, `{there}` does: name it so, with its path and letter for letter, for \
                     policies are held against the ARN as the entry has it"
                ),
                None => format!(
                    "`{principal}` does not exist: make it first, or name it as it is, with its path and letter for letter"
                ),
            };
            return Err(Broken::new("principal_arn", Rule::PrincipalInvalid, message).into());
        };
        match given {
            Some(id) if *id != *bearer.principal_id => {
                let message =
                    format!("the unique id of `{principal}` is another: leave it out, the hub knows it");
                Err(Broken::new("principal_id", Rule::PrincipalId, message).into())
            }
            _ => Ok(Bound::to(&*bearer.principal_id)),
        }
    }

    /// Whom `rebind` binds an entry to: the principal that bears its ARN now.
    pub(super) async fn bearer_of(
        &self,
        cluster: &Cluster,
        entry: &AccessEntry,
        read: ReadPrincipal,
        knocked: Option<&str>,
    ) -> Result<Bound, CallError> {
        match entry.authority {
            Authority::Local => {
                self.bind(cluster.account, &entry.authority, &entry.principal_arn, None).await
            }
            Authority::Aws | Authority::Sts(_) => self.rebind_elsewhere(entry, read, knocked),
        }
    }

    pub(super) fn changed(
        &self,
        before: &AccessEntry,
        change: &UpdateAccessEntry,
        now: OffsetDateTime,
    ) -> Result<AccessEntry, CallError> {
        use rules::entry as rule;
        let mut after = before.clone();
        if let Some(username) = &change.username {
            after.username = if username.is_empty() {
                rule::default_username(before.entry_type, &before.principal_arn)
            } else {
                rule::custom_badge(before.entry_type, "username")?;
                rule::username(username, &before.principal_arn)?.as_str().to_owned()
            };
        }
        if let Some(groups) = &change.groups {
            // None of one's own are those of the type.
            after.groups = if groups.is_empty() {
                rule::default_groups(before.entry_type)
            } else {
                rule::custom_badge(before.entry_type, "groups")?;
                rule::groups(groups, self.inner.config.limits.groups_per_entry)?;
                groups.clone()
            };
        }
        if let Some(ends_at) = change.ends_at {
            rule::end(ends_at, now)?;
            after.ends_at = ends_at;
        }
        if change.pin_until.is_some() {
            rule::pin(change.pin_until, &before.authority, &before.principal_arn, now)?;
            after.principal_id = None;
            after.pin_until = change.pin_until;
        }
        Ok(after)
    }
}

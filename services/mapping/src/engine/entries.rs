//! `Entries`: the access entries of clusters.

use std::sync::Arc;

use lanyard_api::{
    Actor, Authority, CallError, ClusterId, EntryId, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    aws_auth::AwsAuth,
    mapping::{
        AccessEntry, AccessScope, Cluster, CreateAccessEntry, Entries, EntryDetail, EntryRef, EntryState,
        EntryType, PolicyAssociation, UpdateAccessEntry,
    },
};
use lanyard_iam::{PrincipalArn, PrincipalKind};
use lanyard_store::{StoreError, Transaction};
use time::OffsetDateTime;

use super::{
    Mapping,
    aws::{Bound, ReadPrincipal},
    commit::{commit, fresh},
    sight::Call,
};
use crate::{
    administrators, key,
    resolution::counts_aws_auth,
    rules::{self, Broken, Rule},
    snapshot::{ClusterSnapshot, Entry, InForce},
};

const ENTRY: &str = "access entry";

/// Entries whose usernames are compared with a new one.
const COLLISIONS_SHOWN: usize = 3;

impl Entries for Mapping {
    async fn create_entry(
        &self,
        by: Mutation,
        entry: CreateAccessEntry,
    ) -> Result<Mutated<EntryDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &entry.entry.cluster, Call::Management).await?;
        let (draft, mut notices) = self.judge(&cluster, &entry).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("create_access_entry", &by, &[scope]).await?);
        let cluster = current(&mut tx, &cluster).await?;
        rules::entry::mode(cluster.authentication_mode)?;
        let limit = self.inner.config.limits.entries_per_cluster;
        if tx.count::<AccessEntry>(scope).await? >= limit {
            return Err(CallError::LimitExceeded { what: "access entries of one cluster".into(), limit });
        }
        let now = tx.now();
        let record = AccessEntry { created_at: now, modified_at: now, ..draft };
        insert_entry(&mut tx, &record).await?;
        administrators::sync_shadow(&mut tx, &cluster).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        notices.extend(collisions(&snapshot, &record));
        let detail = self.detail(&cluster, record, Vec::new()).await?;
        commit(tx, scope, detail, notices).await
    }

    async fn get_entry(&self, by: Vouched<Actor>, entry: EntryRef) -> Result<EntryDetail, CallError> {
        let cluster = self.seen(&by.value, &entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let found = find(&cluster, &snapshot, &entry)?;
        self.detail(&cluster, found.record.clone(), snapshot.associations_of(found.record.id)).await
    }

    async fn list_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        policy_arn: Option<String>,
        page: PageQuery,
    ) -> Result<Page<EntryDetail>, CallError> {
        let cluster = self.seen(&by.value, &cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let has_policy = |entry: &&Arc<Entry>| match &policy_arn {
            None => true,
            Some(arn) => snapshot
                .associations
                .get(&entry.record.id)
                .is_some_and(|of_entry| of_entry.iter().any(|association| association.policy_arn == *arn)),
        };
        let wanted = snapshot.entries().iter().filter(has_policy);
        let cut = Page::cut(wanted, &page, |entry| entry.page_key());
        let mut items = Vec::with_capacity(cut.items.len());
        for entry in cut.items {
            let associations = snapshot.associations_of(entry.record.id);
            items.push(self.detail(&cluster, entry.record.clone(), associations).await?);
        }
        Ok(Page { items, next_token: cut.next_token })
    }

    async fn update_entry(
        &self,
        by: Mutation,
        change: UpdateAccessEntry,
    ) -> Result<Mutated<EntryDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &change.entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let found = &find(&cluster, &snapshot, &change.entry)?.record;
        let id = found.id;
        // Before the transaction, which must not wait for others' servers.
        let read = match change.rebind {
            true => self.read_principal(&found.authority, &found.principal_arn).await?,
            false => ReadPrincipal::NotAsked,
        };
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("update_access_entry", &by, &[scope]).await?);
        let cluster = current(&mut tx, &cluster).await?;
        rules::entry::mode(cluster.authentication_mode)?;
        let before = stored(&mut tx, scope, id, &change.entry).await?;
        let mut after = self.changed(&before, &change, tx.now())?;
        let mut notices = Vec::new();
        if change.rebind {
            let bound = self.bearer_of(&before, read).await?;
            after.principal_id = bound.principal_id;
            notices = bound.notices;
        }
        if after != before {
            after.modified_at = tx.now();
        }
        tx.put(&after).await?;
        administrators::sync_entry(&mut tx, &after).await?;
        if after.username != before.username {
            notices.extend(collisions(&snapshot, &after));
        }
        let detail = self.detail(&cluster, after, snapshot.associations_of(id)).await?;
        commit(tx, scope, detail, notices).await
    }

    async fn delete_entry(&self, by: Mutation, entry: EntryRef) -> Result<Mutated<EntryDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let id = find(&cluster, &snapshot, &entry)?.record.id;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("delete_access_entry", &by, &[scope]).await?);
        let cluster = current(&mut tx, &cluster).await?;
        let gone: Option<AccessEntry> = tx.delete(scope, &id.to_string()).await?;
        let gone = gone.ok_or_else(|| CallError::not_found(ENTRY, &entry.principal_arn))?;
        administrators::sync_shadow(&mut tx, &cluster).await?;
        let auth = administrators::in_force(&mut tx, &cluster).await?;
        let notices = vec![what_is_left(&cluster, auth, &gone)];
        let detail = self.detail(&cluster, gone, snapshot.associations_of(id)).await?;
        commit(tx, scope, detail, notices).await
    }

    async fn associate_policy(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
        scope: AccessScope,
        ends_at: Option<OffsetDateTime>,
    ) -> Result<Mutated<PolicyAssociation>, CallError> {
        self.associate(by, entry, policy_arn, scope, ends_at).await
    }

    async fn disassociate_policy(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
    ) -> Result<Mutated<PolicyAssociation>, CallError> {
        self.disassociate(by, entry, policy_arn).await
    }
}

impl Mapping {
    /// A new entry, held against every rule, and what its maker should know.
    async fn judge(
        &self,
        cluster: &Cluster,
        asked: &CreateAccessEntry,
    ) -> Result<(AccessEntry, Vec<String>), CallError> {
        use rules::entry as rule;
        rule::mode(cluster.authentication_mode)?;
        let principal = rule::principal(&asked.entry.principal_arn)?;
        let authority = rule::trusted(&principal, cluster)?;
        let entry_type = asked.entry_type.unwrap_or(EntryType::Standard);
        rule::node_principal(entry_type, &principal, cluster)?;
        let username = match asked.username.as_deref().filter(|text| !text.is_empty()) {
            None => rule::default_username(entry_type, &principal),
            Some(text) => {
                rule::custom_badge(entry_type, "username")?;
                rule::username(text)?.as_str().to_owned()
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
        let bound = self.bind(&authority, &principal, asked.principal_id.as_deref()).await?;
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
            created_at: now,
            modified_at: now,
        };
        Ok((entry, bound.notices))
    }

    /// The unique id that an entry is bound to: a local principal has to exist; of others it is known if it is given, or if
    /// IAM tells it in AWS mode.
    async fn bind(
        &self,
        authority: &Authority,
        principal: &PrincipalArn,
        given: Option<&str>,
    ) -> Result<Bound, CallError> {
        if let Some(id) = given {
            rules::entry::principal_id(id, principal)?;
        }
        if *authority != Authority::Local {
            return self.bind_elsewhere(authority, principal, given).await;
        }
        let account = self.inner.state.account(principal.account).await?;
        let bearer = account.bearer(principal).filter(|bearer| Some(&*bearer.path) == principal.path());
        let Some(bearer) = bearer else {
            let message = format!("`{principal}` does not exist: make it first, and give its path");
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
    async fn bearer_of(&self, entry: &AccessEntry, read: ReadPrincipal) -> Result<Bound, CallError> {
        match entry.authority {
            Authority::Local => self.bind(&entry.authority, &entry.principal_arn, None).await,
            Authority::Aws | Authority::Sts(_) => self.rebind_elsewhere(entry, read),
        }
    }

    fn changed(
        &self,
        before: &AccessEntry,
        change: &UpdateAccessEntry,
        now: OffsetDateTime,
    ) -> Result<AccessEntry, CallError> {
        use rules::entry as rule;
        let mut after = before.clone();
        if let Some(username) = &change.username {
            rule::custom_badge(before.entry_type, "username")?;
            after.username = if username.is_empty() {
                rule::default_username(before.entry_type, &before.principal_arn)
            } else {
                rule::username(username)?.as_str().to_owned()
            };
        }
        if let Some(groups) = &change.groups {
            rule::custom_badge(before.entry_type, "groups")?;
            rule::groups(groups, self.inner.config.limits.groups_per_entry)?;
            after.groups.clone_from(groups);
        }
        if let Some(ends_at) = change.ends_at {
            rule::end(ends_at, now)?;
            after.ends_at = ends_at;
        }
        Ok(after)
    }

    /// An entry with its state and ARN.
    pub(super) async fn detail(
        &self,
        cluster: &Cluster,
        entry: AccessEntry,
        associations: Vec<PolicyAssociation>,
    ) -> Result<EntryDetail, CallError> {
        let stale = match (&entry.principal_id, &entry.authority) {
            (Some(id), Authority::Local) => {
                let account = self.inner.state.account(entry.principal_arn.account).await?;
                account.bearer(&entry.principal_arn).is_none_or(|bearer| *bearer.principal_id != **id)
            }
            _ => self.inner.stale.knows(entry.id),
        };
        let now = self.inner.store.clock().now();
        let state = match entry.ends_at {
            _ if stale => EntryState::Stale,
            Some(end) if end <= now => EntryState::Ended,
            _ => EntryState::Active,
        };
        Ok(EntryDetail { arn: arn_of(cluster, &entry), state, associations, entry })
    }
}

/// `arn:P:eks:R:A:access-entry/CLUSTER/{role|user}/PRINCIPAL-ACCOUNT/NAME/UUID`, the name without its path.
fn arn_of(cluster: &Cluster, entry: &AccessEntry) -> String {
    let principal = &entry.principal_arn;
    let kind = if matches!(principal.kind, PrincipalKind::User { .. }) { "user" } else { "role" };
    format!(
        "arn:{}:eks:{}:{}:access-entry/{}/{kind}/{}/{}/{}",
        cluster.partition,
        cluster.region,
        cluster.account,
        cluster.name,
        principal.account,
        principal.name().unwrap_or_default(),
        entry.id
    )
}

/// The entry of a principal, by its whole ARN. Where its account changed its authority there may be two: the one that the
/// cluster trusts comes first, for the other is only there to be deleted.
pub(super) fn find<'s>(
    cluster: &Cluster,
    snapshot: &'s ClusterSnapshot,
    entry: &EntryRef,
) -> Result<&'s Entry, CallError> {
    let missing = || CallError::not_found(ENTRY, rules::shown(&entry.principal_arn));
    let principal = PrincipalArn::parse(&entry.principal_arn).map_err(|_| missing())?;
    let is_it =
        |found: &Entry| found.record.principal_arn.to_string().eq_ignore_ascii_case(&entry.principal_arn);
    let canonical = key::known_as(&principal);
    let trusted = cluster.trusted_accounts.iter().find(|pair| pair.account == principal.account);
    let by_trust = trusted
        .and_then(|pair| snapshot.entry_of(&pair.authority, canonical.as_str()))
        .filter(|found| is_it(found));
    by_trust
        .or_else(|| snapshot.entries().iter().find(|found| is_it(found)))
        .map(|found| &**found)
        .ok_or_else(missing)
}

/// The entry as the transaction sees it.
pub(super) async fn stored(
    tx: &mut Transaction,
    scope: Scope,
    id: EntryId,
    entry: &EntryRef,
) -> Result<AccessEntry, CallError> {
    let found: Option<AccessEntry> = tx.get(scope, &id.to_string()).await?;
    found.ok_or_else(|| CallError::not_found(ENTRY, rules::shown(&entry.principal_arn)))
}

/// The cluster as the transaction sees it: its mode may have changed since it was looked up.
pub(super) async fn current(tx: &mut Transaction, cluster: &Cluster) -> Result<Cluster, CallError> {
    let found = tx.cluster_by_id(&cluster.id).await?.filter(|found| found.uid == cluster.uid);
    found.ok_or_else(|| CallError::not_found("cluster", &cluster.id))
}

pub(super) async fn insert_entry(tx: &mut Transaction, record: &AccessEntry) -> Result<(), CallError> {
    match tx.insert(record).await {
        Err(StoreError::Exists { .. }) => Err(CallError::exists(ENTRY, &record.principal_arn)),
        other => Ok(other?),
    }
}

/// Whom else a new username would be taken for.
fn collisions(snapshot: &ClusterSnapshot, record: &AccessEntry) -> Vec<String> {
    let same = snapshot
        .entries()
        .iter()
        .filter(|other| other.record.id != record.id && other.record.username == record.username)
        .filter(|other| other.record.entry_type == EntryType::Standard)
        .map(|other| {
            format!("the username `{}` is that of `{}` too", record.username, other.record.principal_arn)
        });
    let lines = snapshot
        .aws_auth
        .iter()
        .flat_map(|in_force| &in_force.auth.lines)
        .filter(|line| line.username.as_str() == record.username)
        .map(|line| format!("the username `{}` is that of `{}` in aws-auth too", record.username, line.arn));
    if record.entry_type != EntryType::Standard {
        return Vec::new();
    }
    same.chain(lines).take(COLLISIONS_SHOWN).collect()
}

/// What a principal still resolves to when its entry is gone.
fn what_is_left(cluster: &Cluster, auth: AwsAuth, gone: &AccessEntry) -> String {
    let canonical = key::known_as(&gone.principal_arn);
    let nothing = format!("`{}` resolves to nothing in this cluster now", gone.principal_arn);
    if !counts_aws_auth(cluster.authentication_mode) {
        return nothing;
    }
    let in_force = InForce::compile(0, auth);
    if let Some(line) = in_force.line(canonical.as_str()) {
        let groups: Vec<&str> = line.groups.iter().map(lanyard_api::template::Template::as_str).collect();
        return format!(
            "`{}` still resolves, by {} of aws-auth: username `{}`, groups {groups:?}",
            gone.principal_arn,
            line.path(),
            line.username
        );
    }
    match in_force.account_line(gone.principal_arn.account) {
        Some(_) => format!(
            "`{}` still resolves, by mapAccounts of aws-auth: username `{canonical}`, no groups",
            gone.principal_arn
        ),
        None => nothing,
    }
}

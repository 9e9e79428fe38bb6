//! `Entries`: the access entries of clusters.

mod judge;
mod left;
mod several;

use std::cmp::Reverse;

use lanyard_api::{
    Actor, Authority, BlockId, CallError, ClusterId, EntryId, Fault, Mutated, Mutation, Page, PageQuery,
    Scope, Vouched,
    mapping::{
        AccessEntry, AccessPolicySummary, AccessScope, Cluster, CreateAccessEntry, Entries, EntryDetail,
        EntryEvents, EntryMatches, EntryRef, EntryState, PolicyAssociation, PrincipalPage, UpdateAccessEntry,
        WatchEnd,
    },
};
use lanyard_iam::{EntryPrincipal, PrincipalArn};
use lanyard_store::{StaleEntry, StoreError, Transaction};
use time::OffsetDateTime;

use self::left::{Left, collisions};
pub(super) use self::several::{Known, means};
use super::{
    Mapping,
    aws::{ReadPrincipal, Spelling},
    commit::{commit, fresh},
    policies::published,
    sight::Call,
};
use crate::{
    administrators, key,
    knock::Knock,
    rules,
    snapshot::{ClusterSnapshot, Entry},
};

const ENTRY: &str = "access entry";

impl Entries for Mapping {
    async fn create_entry(
        &self,
        by: Mutation,
        entry: CreateAccessEntry,
    ) -> Result<Mutated<EntryDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &entry.entry.cluster, Call::Management).await?;
        // Before the transaction, which must not wait for others' servers.
        let judged = self.judge(&cluster, &entry).await;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("create_access_entry", &by, &[scope]).await?);
        // Only now: a request that is known by its token is answered as then, whatever the rules say of it by now.
        let (draft, mut notices) = judged?;
        let cluster = current(&mut tx, &cluster).await?;
        rules::entry::mode(cluster.authentication_mode)?;
        let limit = self.inner.config.limits.entries_per_cluster;
        if tx.count::<AccessEntry>(scope).await? >= limit {
            return Err(CallError::LimitExceeded { what: "access entries of one cluster".into(), limit });
        }
        match draft.principal_arn.one() {
            None => self.judge_beside_others(&mut tx, scope, &draft).await?,
            // The table tells them apart by the letter; whoever logs in would be one of the two, and nobody could say which.
            Some(principal) if tx.has_entry_for(cluster.uid, &draft.authority, principal).await? => {
                return Err(CallError::exists(ENTRY, principal));
            }
            Some(_) => {}
        }
        beside_issuers(&mut tx, &draft).await?;
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
        let Some(listed) = snapshot.listed(policy_arn.as_deref()) else {
            return Ok(Page { items: Vec::new(), next_token: None });
        };
        let cut = listed.page(&page);
        let mut items = Vec::with_capacity(cut.items.len());
        for entry in cut.items {
            let associations = snapshot.associations_of(entry.record.id);
            items.push(self.detail(&cluster, entry.record.clone(), associations).await?);
        }
        Ok(Page { items, next_token: cut.next_token })
    }

    async fn list_principals(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        policy_arn: Option<String>,
        page: PageQuery,
    ) -> Result<PrincipalPage, CallError> {
        let cluster = self.seen(&by.value, &cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let listed = snapshot.listed(policy_arn.as_deref());
        Ok(listed.map(|listed| listed.principals(&page)).unwrap_or_default())
    }

    async fn watch_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        after: Option<WatchEnd>,
    ) -> Result<EntryEvents, CallError> {
        self.watch(by, cluster, after).await
    }

    async fn preview_entry(&self, by: Vouched<Actor>, entry: EntryRef) -> Result<EntryMatches, CallError> {
        self.matches(by, entry).await
    }

    async fn update_entry(
        &self,
        by: Mutation,
        change: UpdateAccessEntry,
    ) -> Result<Mutated<EntryDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &change.entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let found = find(&cluster, &snapshot, &change.entry).map(|entry| &entry.record);
        // Before the transaction, which must not wait for others' servers.
        let read = match &found {
            Ok(found) if change.rebind => {
                self.read_principal(&found.authority, &found.principal_arn, Spelling::Any).await
            }
            _ => Ok(ReadPrincipal::NotAsked),
        };
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("update_access_entry", &by, &[scope]).await?);
        // Only now: a request that is known by its token is answered as then, whatever has become of the entry or its principal.
        let (id, read) = (found?.id, read?);
        let cluster = current(&mut tx, &cluster).await?;
        rules::entry::mode(cluster.authentication_mode)?;
        let before = stored(&mut tx, scope, id, &change.entry).await?;
        let mut after = self.changed(&before, &change, tx.now())?;
        if after.username != before.username {
            beside_issuers(&mut tx, &after).await?;
        }
        let stale: Option<StaleEntry> = tx.get(scope, &id.to_string()).await?;
        let knocked = stale.as_ref().and_then(StaleEntry::newest);
        let mut notices = Vec::new();
        if change.rebind {
            let bound = self.bearer_of(&cluster, &before, read, knocked).await?;
            after.principal_id = bound.principal_id;
            after.pin_until = after.pin_until.filter(|_| after.principal_id.is_none());
            notices = bound.notices;
        }
        if after != before {
            after.modified_at = tx.now();
        }
        tx.put(&after).await?;
        let is_bound_anew = change.rebind || after.principal_id != before.principal_id;
        if is_bound_anew && stale.is_some() {
            tx.delete::<StaleEntry>(scope, &id.to_string()).await?;
        }
        administrators::sync_entry(&mut tx, &after).await?;
        if after.username != before.username {
            notices.extend(collisions(&snapshot, &after));
        }
        // The snapshot has what was before.
        let is_stale = stale.is_some() && !is_bound_anew;
        let detail = self.detail_of(&cluster, after, snapshot.associations_of(id), is_stale).await?;
        commit(tx, scope, detail, notices).await
    }

    async fn delete_entry(&self, by: Mutation, entry: EntryRef) -> Result<Mutated<EntryDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let scope = Scope::Cluster(cluster.uid);
        // Before the entry is looked for: the same deletion once more is answered as it was, though there is nothing left to find.
        let mut tx = fresh!(self.begin("delete_access_entry", &by, &[scope]).await?);
        let id = find(&cluster, &snapshot, &entry)?.record.id;
        let cluster = current(&mut tx, &cluster).await?;
        let gone: Option<AccessEntry> = tx.delete(scope, &id.to_string()).await?;
        let gone = gone.ok_or_else(|| CallError::not_found(ENTRY, &entry.principal_arn))?;
        administrators::sync_shadow(&mut tx, &cluster).await?;
        let auth = administrators::in_force(&mut tx, &cluster).await?;
        let blocked = self.block_of(&gone).await?;
        let now = tx.now();
        let left = Left { cluster: &cluster, snapshot: &snapshot, auth, gone: &gone, blocked, now };
        let notices = left.told();
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

    async fn list_associated_policies(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
        page: PageQuery,
    ) -> Result<Page<PolicyAssociation>, CallError> {
        self.associated(by, entry, page).await
    }

    async fn list_access_policies(
        &self,
        by: Vouched<Actor>,
        page: PageQuery,
    ) -> Result<Page<AccessPolicySummary>, CallError> {
        Ok(published(&by.value, &page))
    }
}

impl Mapping {
    /// An entry with its state and ARN.
    pub(super) async fn detail(
        &self,
        cluster: &Cluster,
        entry: AccessEntry,
        associations: Vec<PolicyAssociation>,
    ) -> Result<EntryDetail, CallError> {
        let is_stale = self.inner.state.cluster(cluster.uid).await?.stale(entry.id).is_some();
        self.detail_of(cluster, entry, associations, is_stale).await
    }

    /// The block that stops the one principal of an entry.
    async fn block_of(&self, entry: &AccessEntry) -> Result<Option<BlockId>, Fault> {
        let Some(arn) = entry.principal_arn.one() else { return Ok(None) };
        let canonical = key::known_as(arn);
        let knock = Knock::supposed(&entry.authority, arn, &canonical, entry.principal_id.as_deref());
        Ok(self.view(entry.cluster).await?.and_then(|view| view.blocked(&knock)))
    }

    /// The same, told whether somebody else has knocked under the ARN of an entry whose principal the hub does not keep.
    async fn detail_of(
        &self,
        cluster: &Cluster,
        entry: AccessEntry,
        associations: Vec<PolicyAssociation>,
        is_stale: bool,
    ) -> Result<EntryDetail, CallError> {
        let is_stale = match kept_principal(&entry) {
            Some((id, arn)) => !self.inner.state.account(arn.account).await?.is_borne_by(arn, id),
            None => is_stale && entry.principal_id.is_some(),
        };
        Ok(self.shown(cluster, entry, associations, is_stale))
    }

    /// The same, told whether it is stale.
    pub(super) fn shown(
        &self,
        cluster: &Cluster,
        entry: AccessEntry,
        associations: Vec<PolicyAssociation>,
        is_stale: bool,
    ) -> EntryDetail {
        let now = self.inner.store.clock().now();
        let state = match entry.ends_at {
            _ if is_stale => EntryState::Stale,
            Some(end) if end <= now => EntryState::Ended,
            _ => match entry.pin_until.filter(|_| entry.principal_id.is_none()) {
                Some(until) if until <= now => EntryState::Ended,
                Some(_) => EntryState::Unpinned,
                None => EntryState::Active,
            },
        };
        EntryDetail { arn: arn_of(cluster, &entry), state, associations, entry }
    }
}

/// The one whom an entry is bound to, by unique id and ARN, where the hub keeps their account: that says whether the entry is stale.
pub(super) fn kept_principal(entry: &AccessEntry) -> Option<(&str, &PrincipalArn)> {
    match (&entry.principal_id, &entry.authority, entry.principal_arn.one()) {
        (Some(id), Authority::Local, Some(arn)) => Some((id.as_str(), arn)),
        _ => None,
    }
}

/// Holds a username that is new against those of the cluster's issuers, as the transaction sees them.
async fn beside_issuers(tx: &mut Transaction, entry: &AccessEntry) -> Result<(), CallError> {
    let issuers = administrators::issuers_of(tx, Scope::Cluster(entry.cluster)).await?;
    rules::entry::beside_issuers(&entry.username, &entry.principal_arn, &issuers).map_err(CallError::from)
}

/// `arn:P:eks:R:A:access-entry/CLUSTER/{role|user}/PRINCIPAL-ACCOUNT/NAME/UUID`, the name without its path.
pub(super) fn arn_of(cluster: &Cluster, entry: &AccessEntry) -> String {
    format!(
        "arn:{}:eks:{}:{}:access-entry/{}/{}/{}",
        cluster.partition,
        cluster.region,
        cluster.account,
        cluster.name,
        entry.principal_arn.in_entry_arn(),
        entry.id
    )
}

/// The entry that names a principal, by its whole ARN, or several by the same rule. Names are told apart ignoring letter case, but one
/// that is written as the call writes it comes first: of before a principal had one entry alone there may be more, and each can be
/// deleted. Where its account changed its authority there may be more too: the one that the cluster trusts comes first, for the others
/// are only there to be deleted; and last the one by which whoever knocks is known. Admit weighs the same one.
pub(super) fn find<'s>(
    cluster: &Cluster,
    snapshot: &'s ClusterSnapshot,
    entry: &EntryRef,
) -> Result<&'s Entry, CallError> {
    let missing = || CallError::not_found(ENTRY, rules::shown(&entry.principal_arn));
    let named = EntryPrincipal::parse(&entry.principal_arn).map_err(|_| missing())?;
    let trusted = cluster.trusted_accounts.iter().find(|pair| pair.account == named.account());
    let trusted = trusted.map(|pair| &pair.authority);
    let as_written = snapshot.entries_by_rule(&named).min_by_key(|found| place(found, trusted));
    let found = match &named {
        EntryPrincipal::One(principal) => as_written.or_else(|| {
            let all = snapshot.entries_in_any_case(principal);
            all.min_by_key(|found| place(found, trusted))
        }),
        EntryPrincipal::PermissionSet(_) | EntryPrincipal::Pattern(_) => as_written,
    };
    found.map(|found| &**found).ok_or_else(missing)
}

/// What entries for the same are ordered by. Of those that letter case alone tells apart the last one of the snapshot's order counts.
fn place<'e>(entry: &'e Entry, trusted: Option<&Authority>) -> (bool, &'e Authority, Reverse<&'e str>) {
    (trusted != Some(&entry.record.authority), &entry.record.authority, Reverse(entry.principals()))
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

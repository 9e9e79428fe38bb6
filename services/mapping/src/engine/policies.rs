//! Policy associations of access entries.

use lanyard_api::{
    Actor, ActorKind, CallError, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    access_policies::{AccessPolicies, AccessPolicy},
    mapping::{AccessPolicySummary, AccessScope, EntryRef, PolicyAssociation},
};
use lanyard_iam::Partition;
use lanyard_store::Record as _;
use time::OffsetDateTime;

use super::{
    Mapping,
    commit::{commit, fresh},
    entries::{current, find, stored},
    sight::Call,
};
use crate::{
    administrators,
    rules::{self, shown},
};

impl Mapping {
    pub(super) async fn associate(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
        access_scope: AccessScope,
        ends_at: Option<OffsetDateTime>,
    ) -> Result<Mutated<PolicyAssociation>, CallError> {
        let cluster = self.seen(&by.actor.value, &entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let found = find(&cluster, &snapshot, &entry).map(|found| found.record.id);
        let limits = &self.inner.config.limits;
        let scope = Scope::Cluster(cluster.uid);
        // Before any rule: a request that is known by its token is answered as then, whatever they say of it by now.
        let mut tx = fresh!(self.begin("associate_access_policy", &by, &[scope]).await?);
        let now = tx.now();
        let cluster = current(&mut tx, &cluster).await?;
        rules::entry::mode(cluster.authentication_mode)?;
        let id = found?;
        let policy = rules::policy::policy(&policy_arn, cluster.partition)?;
        rules::policy::scope(&access_scope, limits.namespaces_per_scope)?;
        rules::entry::end(ends_at, now)?;
        let record = stored(&mut tx, scope, id, &entry).await?;
        rules::policy::fits_type(policy, record.entry_type)?;
        let fresh = PolicyAssociation {
            cluster: cluster.uid,
            entry: id,
            policy_arn,
            scope: access_scope,
            ends_at,
            associated_at: now,
            modified_at: now,
        };
        let association = match tx.get::<PolicyAssociation>(scope, &fresh.key()).await? {
            Some(before) if before.scope == fresh.scope && before.ends_at == fresh.ends_at => before,
            Some(before) => PolicyAssociation { associated_at: before.associated_at, ..fresh },
            None => {
                let limit = limits.policies_per_entry;
                // Of those of the transaction: two who add one at once both see one too few in memory.
                if tx.policies_of_entry(cluster.uid, id).await? >= limit {
                    return Err(CallError::LimitExceeded {
                        what: "access policies of one entry".into(),
                        limit,
                    });
                }
                fresh
            }
        };
        tx.put(&association).await?;
        administrators::sync_entry(&mut tx, &record).await?;
        commit(tx, scope, association, Vec::new()).await
    }

    pub(super) async fn disassociate(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
    ) -> Result<Mutated<PolicyAssociation>, CallError> {
        let cluster = self.seen(&by.actor.value, &entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let found = find(&cluster, &snapshot, &entry).map(|found| found.record.id);
        let scope = Scope::Cluster(cluster.uid);
        // Before the entry is missed: the same call once more is answered as it was, though the entry may be gone.
        let mut tx = fresh!(self.begin("disassociate_access_policy", &by, &[scope]).await?);
        let id = found?;
        let record = stored(&mut tx, scope, id, &entry).await?;
        let gone: Option<PolicyAssociation> = tx.delete(scope, &format!("{id}/{policy_arn}")).await?;
        let gone = gone.ok_or_else(|| CallError::not_found("policy association", shown(&policy_arn)))?;
        administrators::sync_entry(&mut tx, &record).await?;
        commit(tx, scope, gone, Vec::new()).await
    }

    pub(super) async fn associated(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
        page: PageQuery,
    ) -> Result<Page<PolicyAssociation>, CallError> {
        let cluster = self.seen(&by.value, &entry.cluster, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let mut all = snapshot.associations_of(find(&cluster, &snapshot, &entry)?.record.id);
        all.sort_unstable_by(|a, b| a.policy_arn.cmp(&b.policy_arn));
        Ok(Page::cut(all.into_iter(), &page, |association| association.policy_arn.clone()))
    }
}

/// The access policies that there are, as the partition of the actor's account names them.
pub(super) fn published(by: &Actor, page: &PageQuery) -> Page<AccessPolicySummary> {
    let partition = match &by.kind {
        ActorKind::Principal { arn, .. } => arn.partition,
        ActorKind::Spoke { .. } | ActorKind::Node { .. } | ActorKind::System { .. } => Partition::Aws,
    };
    let mut all: Vec<&AccessPolicy> = AccessPolicies::published().iter().collect();
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let Page { items, next_token } = Page::cut(all.into_iter(), page, |policy| policy.name.to_string());
    let summary = |policy: &AccessPolicy| AccessPolicySummary {
        name: policy.name.to_string(),
        arn: policy.arn(partition),
    };
    Page { items: items.into_iter().map(summary).collect(), next_token }
}

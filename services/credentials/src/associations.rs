//! [`Associations`]: which ServiceAccount's pods get which role.

mod role;
mod rules;
mod snapshot;
pub(crate) mod trust;

use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{
    Actor, CallError, ClusterId, ClusterUid, Fault, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    credentials::{
        Associations, AwsRoad, CreatePodIdentityAssociation, PodIdentityAssociation,
        PodIdentityAssociationDetail, PodIdentityAssociationFilter, PodIdentityAssociationId,
        PodIdentityAssociationRef, ProposeTrust, TrustProposal, UpdatePodIdentityAssociation,
    },
    mapping::Cluster,
};
use lanyard_store::replayed;

use self::role::judge_role;
use crate::{
    account::HubSnapshot,
    aws_road::{Said, Tried},
    engine::Credentials,
    sight::{fault, is_there},
};

pub(crate) use snapshot::AssociationModel;
pub use snapshot::AssociationSnapshot;

/// What people call it in errors.
const ASSOCIATION: &str = "Pod Identity association";

impl Associations for Credentials {
    async fn create_pod_identity_association(
        &self,
        by: Mutation,
        asked: CreatePodIdentityAssociation,
    ) -> Result<Mutated<PodIdentityAssociationDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &asked.cluster).await?;
        let scope = Scope::Cluster(cluster.uid);
        // A request that is known by its token is answered as then, whatever accounts and rules say of it by now.
        if by.client_request_token.is_some()
            && let Err(error) = self.store().begin("create_pod_identity_association", &by, &[scope]).await
        {
            return replayed(error);
        }
        rules::created(&asked)?;
        let hub = self.hub().await?;
        let role_arn = rules::role(&cluster, &asked.role_arn, |account| hub.is_aws(account))?;
        let target_role_arn = target_of(&cluster, asked.target_role_arn.as_deref())?;
        let disable_session_tags = asked.disable_session_tags.unwrap_or(false);
        rules::policy(asked.policy.as_deref(), disable_session_tags)?;
        let CreatePodIdentityAssociation {
            namespace,
            service_account,
            policy,
            tags,
            allow_any_cluster,
            aws_road,
            unprobed,
            ..
        } = asked;
        let aws_road = self.road_to(&role_arn, Said { road: aws_road, tags: &tags }).await?;
        let now = self.now();
        let association = PodIdentityAssociation {
            id: PodIdentityAssociationId::random(),
            cluster: cluster.uid,
            namespace,
            service_account,
            role_arn,
            target_role_arn,
            disable_session_tags,
            policy,
            aws_road,
            unprobed: false,
            tags,
            created_at: now,
            modified_at: now,
        };
        // AWS is asked before the transaction, which must not wait for it; but not for a request that was answered already.
        if aws_road.is_some()
            && let Err(error) = self.store().begin("create_pod_identity_association", &by, &[scope]).await
        {
            return replayed(error);
        }
        let tried = self.try_role(&cluster, &association, allow_any_cluster, unprobed).await?;
        let mut tx = match self.store().begin("create_pod_identity_association", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, &cluster).await?;
        let PodIdentityAssociation { namespace, service_account, .. } = &association;
        let twin = tx.pod_identity_association_of(cluster.uid, namespace, service_account).await?;
        if let Some(twin) = twin {
            return Err(CallError::exists(ASSOCIATION, twin.id));
        }
        let limit = self.config().associations_per_cluster;
        if tx.count::<PodIdentityAssociation>(scope).await? >= limit {
            let what = "Pod Identity associations of one cluster".into();
            return Err(CallError::LimitExceeded { what, limit });
        }
        let association = PodIdentityAssociation {
            unprobed: tried.unprobed,
            created_at: tx.now(),
            modified_at: tx.now(),
            ..association
        };
        let mut notices = judge_role(&mut tx, &cluster, &association, allow_any_cluster).await?;
        notices.extend(tried.notices);
        tx.insert(&association).await?;
        tx.answer(scope, PodIdentityAssociationDetail::new(&cluster, association), notices).await
    }

    async fn get_pod_identity_association(
        &self,
        by: Vouched<Actor>,
        named: PodIdentityAssociationRef,
    ) -> Result<PodIdentityAssociationDetail, CallError> {
        let cluster = self.seen(&by.value, &named.cluster).await?;
        let snapshot = self.associations(cluster.uid).await?;
        let found = snapshot.by_id(named.id.as_str()).ok_or_else(|| missing(&named))?;
        Ok(PodIdentityAssociationDetail::new(&cluster, (**found).clone()))
    }

    async fn list_pod_identity_associations(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        filter: PodIdentityAssociationFilter,
        page: PageQuery,
    ) -> Result<Page<PodIdentityAssociationDetail>, CallError> {
        let cluster = self.seen(&by.value, &cluster).await?;
        let snapshot = self.associations(cluster.uid).await?;
        let PodIdentityAssociationFilter { namespace, service_account } = filter;
        let is_meant = |found: &&Arc<PodIdentityAssociation>| {
            service_account.as_ref().is_none_or(|name| *name == found.service_account)
        };
        let found = snapshot.in_order(namespace.as_deref(), &page.token).filter(is_meant);
        let Page { items, next_token } = Page::cut(found, &page, |found| page_key(found));
        let detail = |found: &Arc<PodIdentityAssociation>| {
            PodIdentityAssociationDetail::new(&cluster, (**found).clone())
        };
        Ok(Page { items: items.into_iter().map(detail).collect(), next_token })
    }

    async fn update_pod_identity_association(
        &self,
        by: Mutation,
        named: PodIdentityAssociationRef,
        change: UpdatePodIdentityAssociation,
    ) -> Result<Mutated<PodIdentityAssociationDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &named.cluster).await?;
        let scope = Scope::Cluster(cluster.uid);
        // It is read here and again below: AWS is asked in between, and no transaction waits for it.
        let seen: Option<PodIdentityAssociation> =
            match self.store().begin("read_pod_identity_association", &by, &[scope]).await {
                Ok(mut tx) => tx.get(scope, named.id.as_str()).await?,
                Err(error) => return replayed(error),
            };
        let seen = seen.ok_or_else(|| missing(&named))?;
        let (has_role, allow_any_cluster) = (change.role_arn.is_some(), change.allow_any_cluster);
        let (aws_road, unprobed) = (change.aws_road, change.unprobed);
        let hub = self.hub().await?;
        let mut after = changed(&hub, &cluster, seen.clone(), change)?;
        if has_role || aws_road.is_some() {
            after.aws_road = self.road_of(&seen, &after, aws_road).await?;
        }
        // What was judged when it was written stays; another role, road, or other tags, are judged anew.
        let is_judged = has_role
            || aws_road.is_some()
            || after.aws_road != seen.aws_road
            || after.disable_session_tags != seen.disable_session_tags;
        let tried = match is_judged {
            true => self.try_role(&cluster, &after, allow_any_cluster, unprobed).await?,
            false => Tried { unprobed: seen.unprobed, notices: Vec::new() },
        };
        after.unprobed = tried.unprobed;
        let mut tx = match self.store().begin("update_pod_identity_association", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        let before: Option<PodIdentityAssociation> = tx.get(scope, named.id.as_str()).await?;
        let before = before.ok_or_else(|| missing(&named))?;
        if before != seen {
            let message = format!("`{}` was changed by another call meanwhile: try again", before.id);
            return Err(CallError::precondition("changed_meanwhile", message));
        }
        if after == before {
            return tx.answer(scope, PodIdentityAssociationDetail::new(&cluster, after), Vec::new()).await;
        }
        let mut notices = match is_judged {
            true => judge_role(&mut tx, &cluster, &after, allow_any_cluster).await?,
            false => Vec::new(),
        };
        notices.extend(tried.notices);
        let after = PodIdentityAssociation { modified_at: tx.now(), ..after };
        tx.put(&after).await?;
        tx.answer(scope, PodIdentityAssociationDetail::new(&cluster, after), notices).await
    }

    async fn delete_pod_identity_association(
        &self,
        by: Mutation,
        named: PodIdentityAssociationRef,
    ) -> Result<Mutated<PodIdentityAssociationDetail>, CallError> {
        let cluster = self.seen(&by.actor.value, &named.cluster).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.store().begin("delete_pod_identity_association", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        let gone: Option<PodIdentityAssociation> = tx.delete(scope, named.id.as_str()).await?;
        let gone = gone.ok_or_else(|| missing(&named))?;
        let notices = vec![format!("pods of `{}` get no credentials any more", place_of(&gone))];
        tx.answer(scope, PodIdentityAssociationDetail::new(&cluster, gone), notices).await
    }

    async fn propose_trust(
        &self,
        by: Vouched<Actor>,
        asked: ProposeTrust,
    ) -> Result<TrustProposal, CallError> {
        let cluster = self.seen(&by.value, &asked.cluster).await?;
        rules::service_account(&asked.namespace, &asked.service_account)?;
        let hub = self.hub().await?;
        let role = rules::role(&cluster, &asked.role_arn, |account| hub.is_aws(account))?;
        self.proposed_trust(&cluster, &role, &asked).await
    }
}

impl Credentials {
    /// The road of an association that changes: one that the change names, else its own while its role is of the same account.
    async fn road_of(
        &self,
        before: &PodIdentityAssociation,
        after: &PodIdentityAssociation,
        asked: Option<AwsRoad>,
    ) -> Result<Option<AwsRoad>, CallError> {
        // What the tag said counts for whom nothing else does.
        let tags = if asked.is_some() { BTreeMap::new() } else { after.tags.clone() };
        let kept = asked.or(before.aws_road.filter(|_| before.role_arn.account == after.role_arn.account));
        let said = Said { road: kept, tags: if kept.is_some() { &BTreeMap::new() } else { &tags } };
        self.road_to(&after.role_arn, said).await
    }

    /// The Pod Identity associations of a cluster, from memory.
    ///
    /// # Errors
    /// [`Fault`] where they are not in memory and the store does not answer.
    pub async fn associations(&self, cluster: ClusterUid) -> Result<Arc<AssociationSnapshot>, Fault> {
        self.association_snapshots().get(Scope::Cluster(cluster)).await.map_err(fault)
    }
}

fn missing(named: &PodIdentityAssociationRef) -> CallError {
    CallError::not_found(ASSOCIATION, &named.id)
}

/// In the order of the list: a blank comes before all that names are made of.
fn page_key(association: &PodIdentityAssociation) -> String {
    [association.namespace.as_str(), " ", &association.service_account].concat()
}

/// `<namespace>/<ServiceAccount>`, for people.
fn place_of(association: &PodIdentityAssociation) -> String {
    [association.namespace.as_str(), "/", &association.service_account].concat()
}

/// The target role; an empty one is none.
fn target_of(cluster: &Cluster, arn: Option<&str>) -> Result<Option<lanyard_iam::PrincipalArn>, CallError> {
    arn.filter(|arn| !arn.is_empty()).map(|arn| rules::target_role(cluster, arn)).transpose()
}

/// The association as the change leaves it, held against the rules as a whole.
fn changed(
    hub: &HubSnapshot,
    cluster: &Cluster,
    before: PodIdentityAssociation,
    change: UpdatePodIdentityAssociation,
) -> Result<PodIdentityAssociation, CallError> {
    let UpdatePodIdentityAssociation { role_arn, target_role_arn, disable_session_tags, policy, .. } = change;
    let mut after = before;
    if let Some(arn) = role_arn {
        after.role_arn = rules::role(cluster, &arn, |account| hub.is_aws(account))?;
    }
    if target_role_arn.is_some() {
        after.target_role_arn = target_of(cluster, target_role_arn.as_deref())?;
    }
    if let Some(disable) = disable_session_tags {
        after.disable_session_tags = disable;
    }
    if let Some(policy) = policy {
        after.policy = Some(policy).filter(|policy| !policy.is_empty());
    }
    rules::policy(after.policy.as_deref(), after.disable_session_tags)?;
    Ok(after)
}

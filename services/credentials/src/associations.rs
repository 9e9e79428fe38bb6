//! [`Associations`]: which ServiceAccount's pods get which role.

mod rules;
mod snapshot;
mod trust;

use std::sync::Arc;

use lanyard_api::{
    Actor, Authority, CallError, ClusterId, ClusterUid, Fault, Mutated, Mutation, Page, PageQuery, Scope,
    Vouched,
    authn::accounts::{Account, IamRole},
    credentials::{
        Associations, CreatePodIdentityAssociation, PodIdentityAssociation, PodIdentityAssociationDetail,
        PodIdentityAssociationFilter, PodIdentityAssociationId, PodIdentityAssociationRef,
        UpdatePodIdentityAssociation,
    },
    mapping::Cluster,
};
use lanyard_iam::PrincipalKind;
use lanyard_store::{Transaction, replayed};

use self::trust::Trust;
use crate::{
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
        rules::created(&asked)?;
        let role_arn = rules::role(&cluster, &asked.role_arn)?;
        let target_role_arn = target_of(&cluster, asked.target_role_arn.as_deref())?;
        let disable_session_tags = asked.disable_session_tags.unwrap_or(false);
        rules::policy(asked.policy.as_deref(), disable_session_tags)?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.store().begin("create_pod_identity_association", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, &cluster).await?;
        let CreatePodIdentityAssociation { namespace, service_account, policy, tags, .. } = asked;
        let twin = tx.pod_identity_association_of(cluster.uid, &namespace, &service_account).await?;
        if let Some(twin) = twin {
            return Err(CallError::exists(ASSOCIATION, twin.id));
        }
        let limit = self.config().associations_per_cluster;
        if tx.count::<PodIdentityAssociation>(scope).await? >= limit {
            let what = "Pod Identity associations of one cluster".into();
            return Err(CallError::LimitExceeded { what, limit });
        }
        let association = PodIdentityAssociation {
            id: PodIdentityAssociationId::random(),
            cluster: cluster.uid,
            namespace,
            service_account,
            role_arn,
            target_role_arn,
            disable_session_tags,
            policy,
            tags,
            created_at: tx.now(),
            modified_at: tx.now(),
        };
        let notices = judge_role(&mut tx, &cluster, &association).await?;
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
        let found = snapshot.in_order(namespace.as_deref()).filter(is_meant);
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
        let mut tx = match self.store().begin("update_pod_identity_association", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        let before: Option<PodIdentityAssociation> = tx.get(scope, named.id.as_str()).await?;
        let before = before.ok_or_else(|| missing(&named))?;
        let has_role = change.role_arn.is_some();
        let after = changed(&cluster, before.clone(), change)?;
        if after == before {
            return tx.answer(scope, PodIdentityAssociationDetail::new(&cluster, after), Vec::new()).await;
        }
        // What was judged when it was written stays; another role, or other tags, are judged anew.
        let is_judged = has_role || after.disable_session_tags != before.disable_session_tags;
        let notices = if is_judged { judge_role(&mut tx, &cluster, &after).await? } else { Vec::new() };
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
}

impl Credentials {
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
    cluster: &Cluster,
    before: PodIdentityAssociation,
    change: UpdatePodIdentityAssociation,
) -> Result<PodIdentityAssociation, CallError> {
    let UpdatePodIdentityAssociation { role_arn, target_role_arn, disable_session_tags, policy } = change;
    let mut after = before;
    if let Some(arn) = role_arn {
        after.role_arn = rules::role(cluster, &arn)?;
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

/// Looks at the role, where the hub keeps its account: it is there, and lets Pod Identity assume it. Answers what the caller
/// should know of it. The target role may be another tenant's, of whom nothing is told.
async fn judge_role(
    tx: &mut Transaction,
    cluster: &Cluster,
    association: &PodIdentityAssociation,
) -> Result<Vec<String>, CallError> {
    let arn = &association.role_arn;
    let account: Option<Account> = tx.get(Scope::Hub, &arn.account.to_string()).await?;
    if account.is_none_or(|account| account.authority != Authority::Local) {
        let notice = "is of an account that the hub does not keep, so that nobody has looked whether it exists and trusts";
        return Ok(vec![format!("role `{arn}` {notice} `pods.eks.amazonaws.com`")]);
    }
    let role: Option<IamRole> = match &arn.kind {
        PrincipalKind::Role { path, name } => {
            let stored: Option<IamRole> = tx.get(Scope::Account(arn.account), name).await?;
            stored.filter(|role| role.path == *path)
        }
        _ => None,
    };
    let Some(role) = role else {
        let message = format!("role `{arn}` does not exist: make it first, or name it with its path");
        return Err(CallError::invalid("role_arn", "role_missing", message));
    };
    match Trust::of(&role, association, cluster) {
        Trust::Lacking(action) => Err(CallError::invalid(
            "role_arn",
            "role_trust",
            format!(
                "the trust policy of `{arn}` does not let the service `pods.eks.amazonaws.com` do `{action}` for this \
                 ServiceAccount: allow it `sts:AssumeRole` and `sts:TagSession`"
            ),
        )),
        Trust::OfCluster => Ok(Vec::new()),
        Trust::OfAccount => Ok(vec![format!(
            "role `{arn}` is of use in every cluster of account {}: to keep it to this one, add the condition \
             {{\"ArnEquals\":{{\"aws:SourceArn\":\"{}\"}}}} to its trust policy",
            cluster.account,
            cluster.arn()
        )]),
    }
}

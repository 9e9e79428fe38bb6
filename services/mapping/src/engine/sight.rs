//! Who may see and touch what. What an actor may not describe does not exist for them.

use std::sync::Arc;

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, ClusterUid, Denial, Scope, mapping::Cluster, tags::ClusterPlace,
};
use lanyard_iam::{AccountId, Arn};

use super::Mapping;
use crate::hub::HubSnapshot;

/// What a spoke may do: its own cluster's aws-auth, and to say how its watch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// For principals of the cluster's account.
    Management,
    /// For the cluster's spoke too.
    OwnAwsAuth,
    /// Likewise.
    OwnWatch,
}

impl Mapping {
    /// A cluster by its id.
    pub(super) async fn seen(
        &self,
        actor: &Actor,
        id: &ClusterId,
        call: Call,
    ) -> Result<Arc<Cluster>, CallError> {
        let hub = self.inner.state.hub().await?;
        see(&hub, actor, hub.cluster_by_id(id), call)?.ok_or_else(|| CallError::not_found("cluster", id))
    }

    /// A cluster by its number.
    pub(super) async fn seen_by_uid(
        &self,
        actor: &Actor,
        uid: ClusterUid,
    ) -> Result<Arc<Cluster>, CallError> {
        let hub = self.inner.state.hub().await?;
        see(&hub, actor, hub.clusters.get(&uid), Call::Management)?
            .ok_or_else(|| CallError::not_found("cluster", uid))
    }

    /// A cluster by where it is; none where there is none, or none that the actor may know of.
    pub(super) async fn seen_by_place(
        &self,
        actor: &Actor,
        place: &ClusterPlace,
    ) -> Result<Option<Arc<Cluster>>, CallError> {
        let hub = self.inner.state.hub().await?;
        see(&hub, actor, hub.cluster_at(place), Call::Management)
    }

    /// Whether the actor may work on a scope's blocks.
    pub(super) async fn seen_scope(&self, actor: &Actor, scope: Scope) -> Result<(), CallError> {
        match scope {
            Scope::Hub if is_hub_operator(actor) => Ok(()),
            Scope::Hub => Err(denied("hub_operator", "the hub's own blocks are for its operators")),
            Scope::Account(account) if in_account(actor, account) => Ok(()),
            Scope::Account(account) => Err(CallError::not_found("account", account)),
            Scope::Cluster(uid) => self.seen_by_uid(actor, uid).await.map(drop),
        }
    }
}

fn see(
    hub: &HubSnapshot,
    actor: &Actor,
    cluster: Option<&Arc<Cluster>>,
    call: Call,
) -> Result<Option<Arc<Cluster>>, CallError> {
    let Some(cluster) = cluster else { return Ok(None) };
    match &actor.kind {
        ActorKind::Principal { authority, .. } => {
            let own = in_account(actor, cluster.account)
                && hub.accounts.get(&cluster.account).is_some_and(|account| account.authority == *authority);
            Ok(own.then(|| Arc::clone(cluster)))
        }
        ActorKind::Spoke { cluster: uid } if *uid != cluster.uid => Ok(None),
        ActorKind::Spoke { .. } if call != Call::Management => Ok(Some(Arc::clone(cluster))),
        ActorKind::Spoke { .. } => Err(denied(
            "spoke_call",
            "a spoke pushes its own aws-auth and says how its watch goes, and does nothing else here",
        )),
        // Admit lets a node vend, and nothing else.
        ActorKind::Node { .. } => Ok(None),
        ActorKind::System { .. } => Ok(Some(Arc::clone(cluster))),
    }
}

/// Whether names resolve in this account for the actor.
pub(super) fn in_account(actor: &Actor, account: AccountId) -> bool {
    match &actor.kind {
        ActorKind::Principal { arn, .. } => arn.account == account,
        ActorKind::Spoke { .. } | ActorKind::Node { .. } => false,
        ActorKind::System { .. } => true,
    }
}

/// Whether the call was admitted for the hub itself.
fn is_hub_operator(actor: &Actor) -> bool {
    match &actor.kind {
        ActorKind::System { .. } => true,
        ActorKind::Spoke { .. } | ActorKind::Node { .. } => false,
        ActorKind::Principal { .. } => Arn::parse(&actor.resource)
            .is_ok_and(|arn| arn.service() == "lanyard" && arn.resource().starts_with("hub/")),
    }
}

pub(super) fn denied(code: &'static str, message: impl Into<String>) -> CallError {
    CallError::Denied(Denial { code: code.into(), message: message.into() })
}

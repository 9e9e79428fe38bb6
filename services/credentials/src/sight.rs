//! Which cluster a call is about, and whether it is there.

use std::sync::Arc;

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterId, Fault, Scope, mapping::Cluster, tags::ClusterPlace,
};
use lanyard_store::{StoreError, Transaction};

use crate::engine::Credentials;

impl Credentials {
    /// A cluster that the actor may know of. Names resolve inside the actor's account; a spoke and a node know their own.
    pub(crate) async fn seen(&self, actor: &Actor, id: &ClusterId) -> Result<Arc<Cluster>, CallError> {
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        let found = clusters.by_id(id).filter(|cluster| may_know(actor, cluster));
        found.map(Arc::clone).ok_or_else(|| CallError::not_found("cluster", id))
    }

    /// The same by where it is; none where there is none, or none that the actor may know of.
    pub(crate) async fn seen_at(
        &self,
        actor: &Actor,
        place: &ClusterPlace,
    ) -> Result<Option<Arc<Cluster>>, CallError> {
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        Ok(clusters.at(place).filter(|cluster| may_know(actor, cluster)).map(Arc::clone))
    }
}

fn may_know(actor: &Actor, cluster: &Cluster) -> bool {
    match &actor.kind {
        ActorKind::Principal { arn, .. } => arn.account == cluster.account,
        ActorKind::Spoke { cluster: own } => *own == cluster.uid,
        ActorKind::Node { cluster: own, .. } => *own == cluster.uid,
        ActorKind::System { .. } => true,
    }
}

/// The cluster may have gone between the snapshot and the transaction, and its number never comes back.
pub(crate) async fn is_there(tx: &mut Transaction, cluster: &Cluster) -> Result<(), CallError> {
    let known = tx.cluster_by_id(&cluster.id).await?;
    let is_there = known.is_some_and(|known| known.uid == cluster.uid);
    if is_there { Ok(()) } else { Err(CallError::not_found("cluster", &cluster.id)) }
}

/// A fault, logged for those who can do something about it.
pub(crate) fn fault(error: StoreError) -> Fault {
    tracing::error!(%error, "a snapshot is not available");
    Fault::from(error)
}

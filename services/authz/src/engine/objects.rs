//! [`Objects`]: the RBAC objects of clusters.

mod given;
mod plan;

use lanyard_api::{
    Actor, CallError, ClusterId, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    authz::{ApplySummary, ObjectBatch, Objects},
    named,
};
use lanyard_rbac::{Object, ObjectKey};
use lanyard_store::{RbacObject, Transaction, replayed};

use self::{given::Given, plan::Plan};
use super::{Authz, Inner};
use crate::snapshot::Spoke;

/// What a spoke pushes here, as its quota calls it.
const RBAC_OBJECTS: &str = "RBAC objects";

impl Objects for Authz {
    /// Puts objects in place in one transaction. As in Kubernetes, the role of a binding does not change: a binding of the same
    /// name that gives another role is refused. With `replace` it is put in the old one's place, as if that had been deleted
    /// and made anew: who replaces everything means what is written.
    async fn apply_objects(
        &self,
        by: Mutation,
        cluster: ClusterId,
        batch: ObjectBatch,
    ) -> Result<Mutated<ApplySummary>, CallError> {
        let spoke = self.inner.spoke(&by.actor.value, &cluster).await?;
        self.inner.pushes.admit(&by.actor.value, RBAC_OBJECTS)?;
        let given = Given::read(&batch, &self.inner.config, spoke.uid)?;
        self.inner.apply(&by, &spoke, &cluster, given, batch.replace).await
    }

    async fn delete_object(
        &self,
        by: Mutation,
        cluster: ClusterId,
        key: ObjectKey,
    ) -> Result<Mutated<ObjectKey>, CallError> {
        let spoke = self.inner.spoke(&by.actor.value, &cluster).await?;
        let deleted = self.inner.delete(&by, &spoke, &cluster, &key).await?;
        let Mutated { value: (), revision, confirmed, pending, notices, update } = deleted;
        Ok(Mutated { value: key, revision, confirmed, pending, notices, update })
    }

    async fn list_objects(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<Object>, CallError> {
        let spoke = self.inner.spoke(&by.value, &cluster).await?;
        let snapshot = self.inner.view.load_full().loaded_cluster(spoke.uid).await?;
        Ok(Page::of_map(&snapshot.objects, &page))
    }
}

impl Inner {
    async fn apply(
        &self,
        by: &Mutation,
        spoke: &Spoke,
        id: &ClusterId,
        given: Given,
        replace: bool,
    ) -> Result<Mutated<ApplySummary>, CallError> {
        let scope = Scope::Cluster(spoke.uid);
        let mut tx = match self.store.begin("apply_objects", by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, spoke, id).await?;
        let stored: Vec<RbacObject> = tx.list(scope).await?;
        let Given { objects, skipped, refused } = given;
        let stored = stored.into_iter().map(|stored| stored.object);
        let plan = Plan::make(stored, objects, &refused, replace, self.config.objects_max)?;
        for object in &plan.put {
            tx.put(&RbacObject { cluster: spoke.uid, object: object.clone() }).await?;
        }
        for key in &plan.remove {
            tx.delete::<RbacObject>(scope, &key.to_string()).await?;
        }
        let skipped = named(skipped.iter().map(ToString::to_string));
        let refused = named(refused.iter().map(ToString::to_string));
        let summary = ApplySummary { skipped, refused, ..plan.summary };
        self.pushes.wrote(&by.actor.value, RBAC_OBJECTS, tx.line_bytes());
        tx.answer(scope, summary, named(plan.problems.into_iter())).await
    }

    async fn delete(
        &self,
        by: &Mutation,
        spoke: &Spoke,
        id: &ClusterId,
        key: &ObjectKey,
    ) -> Result<Mutated<()>, CallError> {
        let scope = Scope::Cluster(spoke.uid);
        let mut tx = match self.store.begin("delete_object", by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, spoke, id).await?;
        let deleted = tx.delete::<RbacObject>(scope, &key.to_string()).await?;
        deleted.ok_or_else(|| CallError::not_found("RBAC object", key))?;
        self.pushes.wrote(&by.actor.value, RBAC_OBJECTS, tx.line_bytes());
        tx.answer(scope, (), Vec::new()).await
    }
}

/// The cluster may have gone between the snapshot and the transaction, and its number never comes back.
async fn is_there(tx: &mut Transaction, spoke: &Spoke, id: &ClusterId) -> Result<(), CallError> {
    let known = tx.cluster_by_id(id).await?;
    let is_there = known.is_some_and(|cluster| cluster.uid == spoke.uid);
    if is_there { Ok(()) } else { Err(CallError::not_found("cluster", id)) }
}

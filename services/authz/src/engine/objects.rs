//! [`Objects`]: the RBAC objects of clusters.

mod plan;

use lanyard_api::{
    Actor, CallError, ClusterId, Mutated, Mutation, PAGE_ITEMS_MAX, Page, PageQuery, Scope, Vouched,
    authz::{ApplySummary, Objects},
};
use lanyard_rbac::{Limits, Object, ObjectKey, Skipped, parse_within};
use lanyard_store::{RbacObject, StoreError, Transaction};
use serde::{Serialize, de::DeserializeOwned};

use self::plan::Plan;
use super::{Authz, Inner};
use crate::snapshot::Spoke;

/// Most skipped documents, and most notices, that an answer names.
const NAMED_MAX: usize = 50;

impl Objects for Authz {
    /// Puts objects in place in one transaction. As in Kubernetes, the role of a binding does not change: a binding of the same
    /// name that gives another role is refused. With `replace` it is put in the old one's place, as if that had been deleted
    /// and made anew: who replaces everything means what is written.
    async fn apply_objects(
        &self,
        by: Mutation,
        cluster: ClusterId,
        documents: String,
        replace: bool,
    ) -> Result<Mutated<ApplySummary>, CallError> {
        let spoke = self.inner.spoke(&by.actor.value, &cluster).await?;
        let (objects, skipped) = self.inner.read(&documents)?;
        let applied = self.inner.apply(&by, &spoke, &cluster, objects, skipped, replace).await;
        replayed(applied)
    }

    async fn delete_object(
        &self,
        by: Mutation,
        cluster: ClusterId,
        key: ObjectKey,
    ) -> Result<Mutated<ObjectKey>, CallError> {
        let spoke = self.inner.spoke(&by.actor.value, &cluster).await?;
        let deleted = self.inner.delete(&by, &spoke, &cluster, &key).await;
        let Mutated { value: (), revision, confirmed, pending, notices } = replayed(deleted)?;
        Ok(Mutated { value: key, revision, confirmed, pending, notices })
    }

    async fn list_objects(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<Object>, CallError> {
        let spoke = self.inner.spoke(&by.value, &cluster).await?;
        let snapshot = self.inner.view.load_full().loaded_cluster(spoke.uid).await?;
        Ok(plan::page(&snapshot.objects, &page, PAGE_ITEMS_MAX))
    }
}

/// A mutation that was not done: for a reason of its own, or for one of the store's.
enum Undone {
    Call(CallError),
    Store(StoreError),
}

impl From<CallError> for Undone {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Inner {
    /// The objects of a document, in which none may come twice.
    fn read(&self, documents: &str) -> Result<(Vec<Object>, Vec<Skipped>), CallError> {
        let limits = Limits {
            bytes_max: self.config.apply_bytes_max,
            objects_max: self.config.objects_max,
            ..Limits::DEFAULT
        };
        let parsed = parse_within(documents.as_bytes(), limits)
            .map_err(|error| CallError::invalid("documents", "rbac_document", error.to_string()))?;
        Ok((parsed.objects, parsed.skipped))
    }

    async fn apply(
        &self,
        by: &Mutation,
        spoke: &Spoke,
        id: &ClusterId,
        objects: Vec<Object>,
        skipped: Vec<Skipped>,
        replace: bool,
    ) -> Result<Mutated<ApplySummary>, Undone> {
        let scope = Scope::Cluster(spoke.uid);
        let mut tx = self.begin(by, "apply_objects", spoke, id).await?;
        let stored: Vec<RbacObject> = tx.list(scope).await?;
        let plan = Plan::make(
            stored.into_iter().map(|stored| stored.object),
            objects,
            replace,
            self.config.objects_max,
        )?;
        for object in &plan.put {
            tx.put(&RbacObject { cluster: spoke.uid, object: object.clone() }).await?;
        }
        for key in &plan.remove {
            tx.delete::<RbacObject>(scope, &key.to_string()).await?;
        }
        let summary = ApplySummary { skipped: named(skipped.iter().map(skipped_text)), ..plan.summary };
        finish(tx, scope, summary, named(plan.problems.into_iter())).await
    }

    async fn delete(
        &self,
        by: &Mutation,
        spoke: &Spoke,
        id: &ClusterId,
        key: &ObjectKey,
    ) -> Result<Mutated<()>, Undone> {
        let scope = Scope::Cluster(spoke.uid);
        let mut tx = self.begin(by, "delete_object", spoke, id).await?;
        let deleted = tx.delete::<RbacObject>(scope, &key.to_string()).await?;
        deleted.ok_or_else(|| CallError::not_found("RBAC object", key))?;
        finish(tx, scope, (), Vec::new()).await
    }

    /// A transaction in the cluster's scope. The cluster may have gone between the snapshot and now, and its number never
    /// comes back.
    async fn begin(
        &self,
        by: &Mutation,
        name: &'static str,
        spoke: &Spoke,
        id: &ClusterId,
    ) -> Result<Transaction, Undone> {
        let mut tx = self.store.begin(name, by, &[Scope::Cluster(spoke.uid)]).await?;
        let is_there = tx.cluster_by_id(id).await?.is_some_and(|cluster| cluster.uid == spoke.uid);
        if is_there { Ok(tx) } else { Err(CallError::not_found("cluster", id).into()) }
    }
}

/// Commits with the answer, which a second arrival of the same signed request is given.
async fn finish<T: Serialize>(
    tx: Transaction,
    scope: Scope,
    value: T,
    notices: Vec<String>,
) -> Result<Mutated<T>, Undone> {
    let revision = tx.next_revision(scope)?;
    let mut answer = Mutated { value, revision, confirmed: tx.confirms(), pending: Vec::new(), notices };
    let committed = tx.commit(Some(&answer)).await?;
    answer.revision = committed.revision;
    answer.confirmed = committed.confirmed;
    Ok(answer)
}

/// The answer of a mutation, or of its first arrival.
fn replayed<T: DeserializeOwned>(done: Result<Mutated<T>, Undone>) -> Result<Mutated<T>, CallError> {
    match done {
        Ok(mutated) => Ok(mutated),
        Err(Undone::Call(error)) => Err(error),
        Err(Undone::Store(StoreError::Replayed { answer: Some(answer) })) => {
            serde_json::from_slice(&answer).map_err(|_| CallError::Replayed)
        }
        Err(Undone::Store(error)) => Err(error.into()),
    }
}

fn skipped_text(skipped: &Skipped) -> String {
    let Skipped { document, api_version, kind, name, .. } = skipped;
    match name {
        Some(name) => format!("document {document}: {api_version} {kind} {name}"),
        None => format!("document {document}: {api_version} {kind}"),
    }
}

/// The first so many, and how many more there are.
fn named(texts: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = texts.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<String> = texts.take(NAMED_MAX).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named
}

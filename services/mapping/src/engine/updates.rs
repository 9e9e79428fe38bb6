//! `Updates`: what became of changes of clusters, for clients that follow them.

use lanyard_api::{
    Actor, CallError, ClusterId, ClusterUid, ClusterUpdateId, Page, PageQuery, Scope, Vouched,
    mapping::{Cluster, ClusterUpdate, ClusterUpdateParam, ClusterUpdateType, Updates},
};
use lanyard_store::Transaction;
use serde_json::json;

use super::{Mapping, sight::Call};

/// Updates of one cluster that are kept, the newest.
const UPDATES_KEPT: usize = 100;

impl Updates for Mapping {
    async fn get_update(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        id: ClusterUpdateId,
    ) -> Result<ClusterUpdate, CallError> {
        let cluster = self.seen(&by.value, &cluster, Call::Management).await?;
        let found = self.inner.store.get(Scope::Cluster(cluster.uid), &id.to_string()).await?;
        found.ok_or_else(|| CallError::not_found("update", id))
    }

    async fn list_updates(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<ClusterUpdate>, CallError> {
        let cluster = self.seen(&by.value, &cluster, Call::Management).await?;
        let (_, mut all) = self.inner.store.load::<ClusterUpdate>(Scope::Cluster(cluster.uid)).await?;
        all.sort_by_cached_key(page_key);
        Ok(Page::cut(all.into_iter(), &page, page_key))
    }
}

/// The oldest first.
fn page_key(update: &ClusterUpdate) -> String {
    format!("{:020}/{}", update.created_at.unix_timestamp_nanos(), update.id)
}

/// Records what a change of a cluster's configuration came to; one that changed nothing is no update.
pub(super) async fn config(tx: &mut Transaction, before: &Cluster, after: &Cluster) -> Result<(), CallError> {
    if after == before {
        return Ok(());
    }
    let mode = after.authentication_mode;
    if mode == before.authentication_mode {
        return record(tx, after.uid, ClusterUpdateType::Config, Vec::new()).await;
    }
    let value = match json!(mode) {
        serde_json::Value::String(name) => name,
        other => other.to_string(),
    };
    let param = ClusterUpdateParam { kind: "AuthenticationMode".to_owned(), value };
    record(tx, after.uid, ClusterUpdateType::AccessConfig, vec![param]).await
}

/// Records that an identity provider came or went.
pub(super) async fn identity_provider(
    tx: &mut Transaction,
    cluster: ClusterUid,
    kind: ClusterUpdateType,
    name: &str,
) -> Result<(), CallError> {
    let value = json!([{ "type": "oidc", "name": name }]).to_string();
    let param = ClusterUpdateParam { kind: "IdentityProviderConfig".to_owned(), value };
    record(tx, cluster, kind, vec![param]).await
}

async fn record(
    tx: &mut Transaction,
    cluster: ClusterUid,
    kind: ClusterUpdateType,
    params: Vec<ClusterUpdateParam>,
) -> Result<(), CallError> {
    let update = ClusterUpdate { id: ClusterUpdateId::random(), cluster, kind, params, created_at: tx.now() };
    Ok(tx.record_update(update, UPDATES_KEPT).await?)
}

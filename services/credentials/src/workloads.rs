//! [`Workloads`]: the ServiceAccounts of clusters, and the issuers of their tokens.

mod plan;
mod rules;

use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{
    Actor, CallError, ClusterId, ClusterUid, Fault, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    credentials::{
        HostedIssuer, IrsaObstacle, IssuerDocuments, ServiceAccount, ServiceAccountBatch,
        ServiceAccountSummary, WorkloadIssuer, Workloads,
    },
};
use lanyard_store::{ClusterServiceAccount, IssuerTaken, Kind, replayed};

use self::plan::Plan;
use crate::{
    engine::Credentials,
    issuers::{is_of_another_cluster, judge_watched},
    sight::{fault, is_there},
    snapshot::WorkloadSnapshot,
};

// What a spoke pushes here, as its quota calls it.
const SERVICE_ACCOUNTS: &str = "ServiceAccounts";
const ISSUER: &str = "the issuer of ServiceAccount tokens";

impl Workloads for Credentials {
    async fn apply_service_accounts(
        &self,
        by: Mutation,
        cluster: ClusterId,
        batch: ServiceAccountBatch,
    ) -> Result<Mutated<ServiceAccountSummary>, CallError> {
        let cluster = self.seen(&by.actor.value, &cluster).await?;
        self.pushes().admit(&by.actor.value, SERVICE_ACCOUNTS)?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.store().begin("apply_service_accounts", &by, &[scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, &cluster).await?;
        let stored: Vec<ClusterServiceAccount> = tx.list(scope).await?;
        let stored: BTreeMap<String, ServiceAccount> = stored
            .into_iter()
            .map(|known| (known.service_account.key().to_string(), known.service_account))
            .collect();
        let Plan { put, remove, summary } = Plan::make(&stored, batch, self.config().service_accounts_max)?;
        for service_account in put {
            tx.put(&ClusterServiceAccount { cluster: cluster.uid, service_account }).await?;
        }
        for key in &remove {
            tx.delete::<ClusterServiceAccount>(scope, key).await?;
        }
        self.pushes().wrote(&by.actor.value, SERVICE_ACCOUNTS, tx.line_bytes());
        tx.answer(scope, summary, Vec::new()).await
    }

    async fn list_service_accounts(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        page: PageQuery,
    ) -> Result<Page<ServiceAccount>, CallError> {
        let cluster = self.seen(&by.value, &cluster).await?;
        Ok(Page::of_map(&self.workloads(cluster.uid).await?.service_accounts, &page))
    }

    async fn push_issuer(
        &self,
        by: Mutation,
        cluster: ClusterId,
        pushed: IssuerDocuments,
    ) -> Result<Mutated<WorkloadIssuer>, CallError> {
        let cluster = self.seen(&by.actor.value, &cluster).await?;
        self.pushes().admit(&by.actor.value, ISSUER)?;
        let (keys, notices) = rules::issuer(&pushed)?;
        let scope = Scope::Cluster(cluster.uid);
        // The hub's scope too: of two who bring one key at the same time, the second sees the first.
        let mut tx = match self.store().begin("push_issuer", &by, &[Scope::Hub, scope]).await {
            Ok(tx) => tx,
            Err(error) => return replayed(error),
        };
        is_there(&mut tx, &cluster).await?;
        let before: Option<WorkloadIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        // A spoke pushes what it sees again and again.
        if let Some(before) = before
            && before.issuer_url == pushed.issuer_url
            && before.keys == keys
        {
            return tx.answer(scope, before, notices).await;
        }
        let issuer = WorkloadIssuer {
            cluster: cluster.uid,
            irsa_obstacle: IrsaObstacle::of(&pushed.issuer_url),
            issuer_url: pushed.issuer_url,
            keys,
            pushed_by: by.actor.value.name(),
            pushed_at: tx.now(),
        };
        if is_of_another_cluster(self.config().external_url.as_deref(), &issuer.issuer_url, cluster.uid) {
            return Err(taken(&issuer.issuer_url, &IssuerTaken::Name));
        }
        let hosted: Option<HostedIssuer> = tx.get(scope, Kind::ONLY_KEY).await?;
        judge_watched(hosted.as_ref(), &issuer)?;
        if let Some(of_another) = tx.issuer_taken(&issuer).await? {
            return Err(taken(&issuer.issuer_url, &of_another));
        }
        tx.put(&issuer).await?;
        self.pushes().wrote(&by.actor.value, ISSUER, tx.line_bytes());
        tx.answer(scope, issuer, notices).await
    }

    async fn get_issuer(&self, by: Vouched<Actor>, cluster: ClusterId) -> Result<WorkloadIssuer, CallError> {
        let known = self.seen(&by.value, &cluster).await?;
        let snapshot = self.workloads(known.uid).await?;
        let issuer = snapshot.issuer().ok_or_else(|| CallError::not_found("issuer of cluster", &cluster))?;
        Ok(issuer.record.clone())
    }
}

impl Credentials {
    /// What is known of a cluster's workloads, from memory.
    ///
    /// # Errors
    /// [`Fault`] where it is not in memory and the store does not answer.
    pub async fn workloads(&self, cluster: ClusterUid) -> Result<Arc<WorkloadSnapshot>, Fault> {
        self.workload_snapshots().get(Scope::Cluster(cluster)).await.map_err(fault)
    }
}

/// Of the other cluster nothing is told: it may be another account's.
pub(crate) fn taken(issuer_url: &str, of_another: &IssuerTaken) -> CallError {
    match of_another {
        IssuerTaken::Name => CallError::precondition(
            "issuer_taken",
            format!(
                "`{issuer_url}` is the issuer of another cluster of this hub, so that a token would not say of which it is: start the \
                 API server with a --service-account-issuer of its own"
            ),
        ),
        IssuerTaken::Key(thumbprint) => CallError::precondition(
            "signing_key_taken",
            format!(
                "the signing key with the thumbprint `{thumbprint}` is another cluster's of this hub, each of which could sign as \
                 the other: start the API server with a --service-account-signing-key-file of its own"
            ),
        ),
    }
}

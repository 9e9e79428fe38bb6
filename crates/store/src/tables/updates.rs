//! Changes of clusters that EKS's clients follow.

use lanyard_api::{Scope, mapping::ClusterUpdate};

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record},
    sql::Value,
    transaction::Transaction,
};

impl Record for ClusterUpdate {
    const KIND: Kind = Kind::ClusterUpdate;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Columns for ClusterUpdate {
    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Transaction {
    /// Keeps an update, and answers it with the mutation. Of a cluster's updates so many are kept, the newest.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn record_update(&mut self, update: ClusterUpdate, kept: usize) -> Result<(), StoreError> {
        let mut standing: Vec<ClusterUpdate> = self.list(update.scope()).await?;
        standing.sort_by_key(|update| update.created_at);
        let over = (standing.len() + 1).saturating_sub(kept);
        for oldest in standing.iter().take(over) {
            self.delete::<ClusterUpdate>(oldest.scope(), &oldest.key()).await?;
        }
        self.insert(&update).await?;
        self.set_update(update);
        Ok(())
    }
}

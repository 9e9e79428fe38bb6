//! Pod Identity associations.

use lanyard_api::{ClusterUid, Scope, credentials::PodIdentityAssociation};

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record, record_of},
    sql::Value,
    transaction::Transaction,
};

impl Record for PodIdentityAssociation {
    const KIND: Kind = Kind::PodIdentityAssociation;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Columns for PodIdentityAssociation {
    fn columns(&self) -> Vec<Value> {
        vec![self.namespace.as_str().into(), self.service_account.as_str().into()]
    }
}

impl Transaction {
    /// The association of a ServiceAccount. Begin the cluster's scope, so that no other transaction makes one at the same time.
    ///
    /// # Errors
    /// Where the store does not answer, or its record cannot be read.
    pub async fn pod_identity_association_of(
        &mut self,
        cluster: ClusterUid,
        namespace: &str,
        service_account: &str,
    ) -> Result<Option<PodIdentityAssociation>, StoreError> {
        const SELECT: &str = "SELECT body FROM pod_identity_associations \
                              WHERE cluster = $1 AND namespace = $2 AND service_account = $3";
        let values = [cluster.to_string().into(), namespace.into(), service_account.into()];
        let line = self.connection.fetch_one(SELECT, values).await?;
        line.map(|line| record_of(&line.bytes(0)?)).transpose()
    }
}

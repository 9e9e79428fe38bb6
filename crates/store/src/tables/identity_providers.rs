//! Identity-provider configurations.

use lanyard_api::{ClusterUid, Scope, mapping::IdentityProviderConfig};

use crate::{
    error::StoreError,
    kind::Kind,
    record::{Columns, Record, record_of},
    sql::Value,
    transaction::Transaction,
};

impl Record for IdentityProviderConfig {
    const KIND: Kind = Kind::IdentityProviderConfig;

    fn scope(&self) -> Scope {
        Scope::Cluster(self.cluster)
    }

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.settings.name.clone()
    }
}

impl Columns for IdentityProviderConfig {
    fn columns(&self) -> Vec<Value> {
        vec![
            self.settings.name.as_str().into(),
            self.settings.issuer_url.as_str().into(),
            self.settings.client_id.as_str().into(),
            self.settings.shared_audience.into(),
        ]
    }
}

impl Transaction {
    /// The configurations of other clusters that take tokens of this issuer for this audience. Begin the hub's scope too, so
    /// that no other transaction makes one at the same time.
    ///
    /// # Errors
    /// Where the store does not answer, or a record of it cannot be read.
    pub async fn other_identity_providers_of_audience(
        &mut self,
        cluster: ClusterUid,
        issuer_url: &str,
        client_id: &str,
    ) -> Result<Vec<IdentityProviderConfig>, StoreError> {
        const SELECT: &str = "SELECT body FROM identity_provider_configs \
                              WHERE issuer_url = $1 AND client_id = $2 AND cluster <> $3 ORDER BY id";
        let values = [issuer_url.into(), client_id.into(), cluster.to_string().into()];
        let lines = self.connection.fetch(SELECT, values).await?;
        lines.iter().map(|line| record_of(&line.bytes(0)?)).collect()
    }
}

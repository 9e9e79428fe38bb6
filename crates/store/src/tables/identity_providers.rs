//! Identity-provider configurations, and who takes tokens for one audience.

use lanyard_api::{ClusterUid, Scope, authn::oidc_providers::OidcProvider, mapping::IdentityProviderConfig};

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
    /// The configurations that take tokens of this issuer for this audience, of whatever cluster. Begin the hub's scope too, so that
    /// no other transaction makes one at the same time.
    ///
    /// # Errors
    /// Where the store does not answer, or a record of it cannot be read.
    pub async fn identity_providers_of_audience(
        &mut self,
        issuer_url: &str,
        client_id: &str,
    ) -> Result<Vec<IdentityProviderConfig>, StoreError> {
        const SELECT: &str = "SELECT body FROM identity_provider_configs \
                              WHERE issuer_url = $1 AND client_id = $2 ORDER BY id";
        let lines = self.connection.fetch(SELECT, [issuer_url.into(), client_id.into()]).await?;
        lines.iter().map(|line| record_of(&line.bytes(0)?)).collect()
    }

    /// Those of them that are other clusters'.
    ///
    /// # Errors
    /// As [`Self::identity_providers_of_audience`].
    pub async fn other_identity_providers_of_audience(
        &mut self,
        cluster: ClusterUid,
        issuer_url: &str,
        client_id: &str,
    ) -> Result<Vec<IdentityProviderConfig>, StoreError> {
        let mut found = self.identity_providers_of_audience(issuer_url, client_id).await?;
        found.retain(|config| config.cluster != cluster);
        Ok(found)
    }

    /// The OIDC providers that take tokens of this issuer for this audience, of whatever account: what the STS exchanges. Begin the
    /// hub's scope too, as whoever gives a provider a client id does.
    ///
    /// All providers are gone through, of which an account has few: it is asked for each new configuration of a cluster, and never for
    /// a login.
    ///
    /// # Errors
    /// Where the store does not answer, or a record of it cannot be read.
    pub async fn oidc_providers_of_audience(
        &mut self,
        issuer_url: &str,
        client_id: &str,
    ) -> Result<Vec<OidcProvider>, StoreError> {
        const SELECT: &str = "SELECT body FROM oidc_providers WHERE issuer_url = $1 ORDER BY account";
        let lines = self.connection.fetch(SELECT, [issuer_url.into()]).await?;
        let all: Result<Vec<OidcProvider>, StoreError> =
            lines.iter().map(|line| record_of(&line.bytes(0)?)).collect();
        let mut found = all?;
        found.retain(|provider| provider.client_ids.iter().any(|id| id == client_id));
        Ok(found)
    }
}

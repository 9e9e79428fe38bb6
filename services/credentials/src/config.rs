//! How much credentials keeps.

use lanyard_oidc::OidcConfig;
use serde::{Deserialize, Serialize};

/// What credentials keeps in memory and takes at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsConfig {
    /// Clusters whose workloads are kept in memory, those used last. One of 50 000 ServiceAccounts takes some 20 MB.
    pub clusters_max: usize,
    /// Most ServiceAccounts of one cluster.
    pub service_accounts_max: usize,
    /// How the issuers of OIDC providers are called. In one process with authn what is configured there counts, unless something
    /// is configured here.
    pub oidc: OidcConfig,
    /// Most Pod Identity associations of one cluster. EKS has 5000.
    pub associations_per_cluster: u64,
}

impl Default for CredentialsConfig {
    fn default() -> Self {
        Self {
            clusters_max: 1_000,
            service_accounts_max: 100_000,
            associations_per_cluster: 5_000,
            oidc: OidcConfig::default(),
        }
    }
}

//! What mapping may be told, with defaults.

use lanyard_kit::config::{COUNT_MAX, OutOfRange, in_range};
use lanyard_store::SpokePushQuota;
use serde::{Deserialize, Serialize};

/// Configuration of mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingConfig {
    /// How much may be written.
    pub limits: Limits,
    /// How much is kept in memory.
    pub memory: Memory,
}

/// How many of each thing there may be. EKS's quotas where it publishes one, else a number that no honest use meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Clusters of one account in one region (EKS: 100).
    pub clusters_per_region: u64,
    /// Access entries of one cluster (EKS: 3 000).
    pub entries_per_cluster: u64,
    /// Those among them that name several principals, by permission set or pattern.
    pub entries_for_several_per_cluster: u64,
    /// Access policies of one entry (EKS publishes none).
    pub policies_per_entry: u64,
    /// Groups of one entry.
    pub groups_per_entry: usize,
    /// Namespaces, or patterns of them, of one access scope.
    pub namespaces_per_scope: usize,
    /// Nodes of one cluster (Kubernetes is built for 5 000).
    pub nodes_per_cluster: u64,
    /// Identity-provider configurations of one cluster (EKS: 10).
    pub identity_providers_per_cluster: u64,
    /// All of them together, CA bundles left out, in bytes (EKS: 12 KB).
    pub identity_provider_bytes_per_cluster: usize,
    /// Blocks of one scope.
    pub blocks_per_scope: u64,
    /// Watches on entries at one time, of all callers.
    pub watches: usize,
    /// Those among them on the clusters of one account, so that no account has them all.
    pub watches_per_account: usize,
    /// Accounts that one cluster trusts.
    pub trusted_accounts_per_cluster: usize,
    /// Versions of aws-auth that are kept beside the one in force.
    pub aws_auth_versions_kept: u64,
    /// How often the spoke of one cluster may push its aws-auth.
    pub spoke_pushes: SpokePushQuota,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clusters_per_region: 100,
            entries_per_cluster: 3_000,
            entries_for_several_per_cluster: 100,
            policies_per_entry: 40,
            groups_per_entry: 100,
            namespaces_per_scope: 100,
            nodes_per_cluster: 10_000,
            identity_providers_per_cluster: 10,
            identity_provider_bytes_per_cluster: 12 * 1024,
            blocks_per_scope: 10_000,
            watches: 1_000,
            watches_per_account: 250,
            trusted_accounts_per_cluster: 100,
            aws_auth_versions_kept: 10,
            spoke_pushes: SpokePushQuota::default(),
        }
    }
}

/// How many snapshots and badges stay in memory, those used last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Clusters.
    pub clusters_max: usize,
    /// Accounts.
    pub accounts_max: usize,
    /// Badges of those who ask again within seconds, at two or three kilobytes each.
    pub badges_max: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { clusters_max: 2_000, accounts_max: 2_000, badges_max: 65_536 }
    }
}

impl MappingConfig {
    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`OutOfRange`] names the key.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let counts = [
            ("mapping.limits.watches", self.limits.watches as u64),
            ("mapping.limits.watches_per_account", self.limits.watches_per_account as u64),
            ("mapping.memory.badges_max", self.memory.badges_max as u64),
        ];
        in_range(0..=COUNT_MAX, &counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_eks_publishes_a_quota_it_is_the_default() {
        let limits = Limits::default();
        assert_eq!(limits.entries_per_cluster, 3_000);
        assert_eq!(limits.clusters_per_region, 100);
        assert_eq!(limits.identity_providers_per_cluster, 10);
        assert_eq!(limits.identity_provider_bytes_per_cluster, 12_288);
    }
}

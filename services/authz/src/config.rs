//! How much authz keeps.

use serde::{Deserialize, Serialize};

/// What authz keeps in memory and takes at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthzConfig {
    /// Clusters whose compiled state is kept, those used last. One of a hundred thousand bindings takes some 50 MB.
    pub clusters_max: usize,
    /// Accounts whose live principals and keys are kept. Has to be above the number of local accounts: a role session's key
    /// may belong to any of them.
    pub accounts_max: usize,
    /// Most RBAC objects of one cluster.
    pub objects_max: usize,
    /// Most bytes of one apply; as many as a message between services holds.
    pub apply_bytes_max: usize,
    /// Finished decisions that are kept in memory, the newest.
    pub decisions_in_memory_max: usize,
    /// Finished decisions that wait to be stored; one more is dropped and counted.
    pub decisions_waiting_max: usize,
}

impl Default for AuthzConfig {
    fn default() -> Self {
        Self {
            clusters_max: 1_000,
            accounts_max: 100_000,
            objects_max: 250_000,
            apply_bytes_max: 16 << 20,
            decisions_in_memory_max: 16_384,
            decisions_waiting_max: 65_536,
        }
    }
}

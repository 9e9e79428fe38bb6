//! How much authz keeps.

use lanyard_kit::config::{COUNT_MAX, OutOfRange, in_range};
use lanyard_store::SpokePushQuota;
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
    /// Finished decisions that are kept in memory, the newest: half of them refusals, half those that let somebody in.
    pub decisions_in_memory_max: usize,
    /// Refusals of one second that are stored too, so that `explain --id` finds them later and on other replicas.
    pub refusals_stored_per_second_max: u32,
    /// Decisions of one second that let somebody in and are stored too. They are many, and seldom asked about.
    pub let_in_stored_per_second_max: u32,
    /// Finished decisions that wait to be stored; one more is dropped and counted.
    pub decisions_waiting_max: usize,
    /// Watches on what decisions depend on, at one time, of all callers.
    pub watches_max: usize,
    /// Those among them on the clusters of one account, so that no account has them all.
    pub watches_per_account_max: usize,
    /// How often the spoke of one cluster may push RBAC objects.
    pub spoke_pushes: SpokePushQuota,
}

impl Default for AuthzConfig {
    fn default() -> Self {
        Self {
            clusters_max: 1_000,
            accounts_max: 100_000,
            objects_max: 250_000,
            apply_bytes_max: 16 << 20,
            decisions_in_memory_max: 16_384,
            refusals_stored_per_second_max: 1_000,
            let_in_stored_per_second_max: 100,
            decisions_waiting_max: 65_536,
            watches_max: 1_000,
            watches_per_account_max: 250,
            spoke_pushes: SpokePushQuota::default(),
        }
    }
}

impl AuthzConfig {
    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`OutOfRange`] names the key.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let counts = [
            ("authz.decisions_waiting_max", self.decisions_waiting_max as u64),
            ("authz.watches_max", self.watches_max as u64),
            ("authz.watches_per_account_max", self.watches_per_account_max as u64),
        ];
        in_range(0..=COUNT_MAX, &counts)
    }
}

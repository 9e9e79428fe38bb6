//! How long an answer that somebody keeps is still the answer.

use lanyard_proto::call::v1 as pb;
use time::OffsetDateTime;

use crate::{fault::CallError, grpc::field, ids::Revision};

/// Of which revisions an answer at a cluster's door is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Basis {
    /// The hub's.
    pub hub: Revision,
    /// Of the cluster's account.
    pub account: Revision,
    /// The cluster's own.
    pub cluster: Revision,
}

impl Basis {
    /// Whether nothing is newer than this, scope by scope.
    #[must_use]
    pub fn covers(&self, known: &Self) -> bool {
        known.hub <= self.hub && known.account <= self.account && known.cluster <= self.cluster
    }

    /// What is true of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            hub: self.hub.min(other.hub),
            account: self.account.min(other.account),
            cluster: self.cluster.min(other.cluster),
        }
    }
}

/// How long an answer may be given again by whoever kept it: until that moment, and only as long as nothing newer is known of
/// what it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// Its end: of what was kept, of the signature, of the mapping.
    pub until: OffsetDateTime,
    /// What it was made from.
    pub basis: Basis,
}

impl Holds {
    /// How long something holds that was made of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { until: self.until.min(other.until), basis: self.basis.and(other.basis) }
    }
}

impl From<Holds> for pb::Holds {
    fn from(holds: Holds) -> Self {
        let Basis { hub, account, cluster } = holds.basis;
        Self {
            until: Some(field::timestamp(holds.until)),
            hub_revision: hub.0,
            account_revision: account.0,
            cluster_revision: cluster.0,
        }
    }
}

impl TryFrom<pb::Holds> for Holds {
    type Error = CallError;

    fn try_from(message: pb::Holds) -> Result<Self, CallError> {
        let basis = Basis {
            hub: Revision(message.hub_revision),
            account: Revision(message.account_revision),
            cluster: Revision(message.cluster_revision),
        };
        Ok(Self { until: field::moment("until", message.until)?, basis })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(hub: u64, account: u64, cluster: u64) -> Basis {
        Basis { hub: Revision(hub), account: Revision(account), cluster: Revision(cluster) }
    }

    #[test]
    fn a_newer_revision_of_any_scope_ends_it() {
        let held = basis(3, 5, 7);
        for (known, covered) in [
            (basis(3, 5, 7), true),
            (basis(2, 5, 7), true),
            (basis(0, 0, 0), true),
            (basis(4, 5, 7), false),
            (basis(3, 6, 7), false),
            (basis(3, 5, 8), false),
            (basis(0, 0, 8), false),
        ] {
            assert_eq!(held.covers(&known), covered, "{known:?}");
        }
    }

    #[test]
    fn what_is_made_of_two_holds_while_both_do() {
        let (early, late) = (OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH + time::Duration::SECOND);
        let one = Holds { until: late, basis: basis(3, 5, 7) };
        let other = Holds { until: early, basis: basis(4, 4, 7) };
        let both = Holds { until: early, basis: basis(3, 4, 7) };
        assert_eq!((one.and(other), other.and(one)), (both, both));
    }
}

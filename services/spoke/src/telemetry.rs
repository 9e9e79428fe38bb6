//! What is counted of the watch on clusters. No metric names one: how each goes `lanyard cluster describe` tells.

use lanyard_api::{CallError, Fault};
use lanyard_kit::telemetry::{Counters, Label, names};

use crate::{api_server::ApiFault, mirror::Push, watcher::ReadFault, wire::Resource};

/// The counters of a process.
pub(crate) struct Telemetry {
    lists: Counters<Read>,
    read_faults: Counters<(Read, Kind)>,
    pushes: Counters<(Push, Outcome)>,
    lease_losses: Counters<()>,
}

impl Telemetry {
    /// Make it after the metrics recorder.
    pub(crate) fn new() -> Self {
        watched(0);
        Self {
            lists: Counters::new(names::SPOKE_LISTS_TOTAL),
            read_faults: Counters::new(names::SPOKE_READ_FAULTS_TOTAL),
            pushes: Counters::new(names::SPOKE_PUSHES_TOTAL),
            lease_losses: Counters::new(names::SPOKE_LEASE_LOSSES_TOTAL),
        }
    }

    /// Something was read whole.
    pub(crate) fn listed(&self, what: Read) {
        self.lists.increment(what);
    }

    /// Something was not read, or not watched to the end.
    pub(crate) fn read_fault(&self, what: Read, kind: Kind) {
        self.read_faults.increment((what, kind));
    }

    /// A part was brought to the hub.
    pub(crate) fn pushed(&self, push: Push, outcome: Outcome) {
        self.pushes.increment((push, outcome));
    }

    /// A cluster that was watched here is watched by another, or by nobody.
    pub(crate) fn lease_lost(&self) {
        self.lease_losses.increment(());
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Telemetry")
    }
}

/// So many clusters are watched by this process.
pub(crate) fn watched(clusters: usize) {
    // A gauge is a float, which is exact up to 2^53.
    metrics::gauge!(names::SPOKE_CLUSTERS).set(clusters as f64);
}

/// What is read of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// By a list and a watch.
    Resource(Resource),
    /// From time to time.
    Issuer,
}

impl Label for Read {
    const KEY: &'static str = names::PART;
    const ALL: &'static [Self] = &[
        Self::Resource(Resource::AwsAuth),
        Self::Resource(Resource::ClusterRoles),
        Self::Resource(Resource::Roles),
        Self::Resource(Resource::ClusterRoleBindings),
        Self::Resource(Resource::RoleBindings),
        Self::Resource(Resource::ServiceAccounts),
        Self::Issuer,
    ];

    fn value(self) -> &'static str {
        match self {
            Self::Resource(Resource::AwsAuth) => "aws_auth",
            Self::Resource(Resource::ClusterRoles) => "cluster_roles",
            Self::Resource(Resource::Roles) => "roles",
            Self::Resource(Resource::ClusterRoleBindings) => "cluster_role_bindings",
            Self::Resource(Resource::RoleBindings) => "role_bindings",
            Self::Resource(Resource::ServiceAccounts) => "service_accounts",
            Self::Issuer => "issuer",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Resource(resource) => resource as usize,
            Self::Issuer => Resource::ALL.len(),
        }
    }
}

impl Label for Push {
    const KEY: &'static str = names::PART;
    const ALL: &'static [Self] = &Self::ALL;

    fn value(self) -> &'static str {
        match self {
            Self::Rbac => "rbac",
            Self::AwsAuth => "aws_auth",
            Self::ServiceAccounts => "service_accounts",
            Self::Issuer => "issuer",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Why something is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unusable,
    Unreachable,
    Denied,
    Answered,
    Unreadable,
    TooLarge,
    Silent,
    Ended,
}

impl Label for Kind {
    const KEY: &'static str = names::REASON;
    const ALL: &'static [Self] = &[
        Self::Unusable,
        Self::Unreachable,
        Self::Denied,
        Self::Answered,
        Self::Unreadable,
        Self::TooLarge,
        Self::Silent,
        Self::Ended,
    ];

    fn value(self) -> &'static str {
        match self {
            Self::Unusable => "unusable",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Answered => "answered",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::Silent => "silent",
            Self::Ended => "ended",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl From<&ApiFault> for Kind {
    fn from(fault: &ApiFault) -> Self {
        match fault {
            ApiFault::Certificate { .. } | ApiFault::Client(_) | ApiFault::Token => Self::Unusable,
            ApiFault::Http(_) => Self::Unreachable,
            ApiFault::Status { status: 401 | 403, .. } => Self::Denied,
            ApiFault::Status { .. } => Self::Answered,
            ApiFault::Unreadable(_) => Self::Unreadable,
            ApiFault::TooLong { .. }
            | ApiFault::EventTooLong(_)
            | ApiFault::ObjectTooLong { .. }
            | ApiFault::Endless(_) => Self::TooLarge,
            ApiFault::Silent(_) => Self::Silent,
            ApiFault::Ended(_) => Self::Ended,
        }
    }
}

impl From<&ReadFault> for Kind {
    fn from(fault: &ReadFault) -> Self {
        match fault {
            ReadFault::Api(fault) => fault.into(),
            ReadFault::TooLarge(_) => Self::TooLarge,
        }
    }
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    Throttled,
    LeaseLost,
    Refused,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Taken, Self::Throttled, Self::LeaseLost, Self::Refused, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Throttled => "throttled",
            Self::LeaseLost => "lease_lost",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl From<&CallError> for Outcome {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Fault(Fault::Throttled { .. }) => Self::Throttled,
            CallError::Fault(_) => Self::Fault,
            CallError::Precondition { rule: "lease_lost", .. } => Self::LeaseLost,
            CallError::NotFound { .. }
            | CallError::AlreadyExists { .. }
            | CallError::Invalid { .. }
            | CallError::Precondition { .. }
            | CallError::LimitExceeded { .. }
            | CallError::Denied(_)
            | CallError::Replayed => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn in_order<L: Label>() {
        for (place, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), place, "{}", label.value());
        }
    }

    #[test]
    fn each_label_stands_where_it_is_counted() {
        in_order::<Read>();
        in_order::<Push>();
        in_order::<Kind>();
        in_order::<Outcome>();
        assert_eq!(<Read as Label>::ALL.len(), Resource::ALL.len() + 1);
    }

    #[test]
    fn faults_are_told_apart_by_what_somebody_would_do_about_them() {
        let status = |status| ApiFault::Status { status, what: "roles", message: String::new() };
        let cases = [
            (ApiFault::Token, Kind::Unusable),
            (status(401), Kind::Denied),
            (status(403), Kind::Denied),
            (status(500), Kind::Answered),
            (ApiFault::EventTooLong(1), Kind::TooLarge),
            (ApiFault::ObjectTooLong { place: String::new(), bytes_max: 1 }, Kind::TooLarge),
            (ApiFault::Silent(Duration::from_secs(1)), Kind::Silent),
            (ApiFault::Ended("x".to_owned()), Kind::Ended),
        ];
        for (fault, kind) in cases {
            assert_eq!(Kind::from(&fault), kind, "{fault}");
        }
        let throttled = Fault::Throttled { part: "it".into(), retry_after: None };
        let cases = [
            (CallError::Fault(throttled), Outcome::Throttled),
            (CallError::Fault(Fault::Internal), Outcome::Fault),
            (CallError::precondition("lease_lost", ""), Outcome::LeaseLost),
            (CallError::precondition("lockout", ""), Outcome::Refused),
        ];
        for (error, outcome) in cases {
            assert_eq!(Outcome::from(&error), outcome, "{error:?}");
        }
    }
}

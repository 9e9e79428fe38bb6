//! What the parts of one watch share: the mirror, how it goes, and whether the lease still holds.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use lanyard_api::mapping::{AwsAuthSight, SpokeWatch};
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::{
    mirror::{Bounds, Mirror},
    wire::Resource,
};

/// Longest text of what is in the way.
const FAULT_CHARS_MAX: usize = 500;

/// What is in the way of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Of seeing this.
    Reading(Resource),
    /// Of the hub's taking RBAC.
    Rbac,
    /// Of the hub's taking aws-auth.
    AwsAuth,
}

#[derive(Debug, Default)]
struct Progress {
    listed_at: Option<OffsetDateTime>,
    pushed_at: Option<OffsetDateTime>,
    aws_auth_missing_since: Option<OffsetDateTime>,
    faults: BTreeMap<Part, String>,
    fault_since: Option<OffsetDateTime>,
}

/// Until when the lease holds, by the two clocks of a machine: one of them stands still while it is suspended, the other may
/// be set. Whichever says that it has ended is believed.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    steady: Instant,
    wall: SystemTime,
}

/// The shared state of one watch.
#[derive(Debug)]
pub(crate) struct State {
    mirror: Mutex<Mirror>,
    progress: Mutex<Progress>,
    /// None where no lease is needed: what runs in a cluster watches that cluster alone.
    deadline: Mutex<Option<Deadline>>,
    /// Something changed.
    pub(crate) changed: Notify,
}

impl State {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            mirror: Mutex::new(Mirror::new(bounds)),
            progress: Mutex::default(),
            deadline: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease holds for so long from a moment before it was asked for.
    pub(crate) fn leased(&self, asked: (Instant, SystemTime), lifetime: Duration) {
        let (steady, wall) = asked;
        let deadline = Deadline { steady: steady + lifetime, wall: wall + lifetime };
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    /// Whether the lease still holds.
    pub(crate) fn holds_lease(&self) -> bool {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_none_or(|deadline| Instant::now() < deadline.steady && SystemTime::now() < deadline.wall)
    }

    /// Something was listed whole.
    pub(crate) fn listed(&self, now: OffsetDateTime) {
        let is_whole = self.mirror().is_whole();
        self.progress().listed_at = is_whole.then_some(now);
        self.seen(now);
    }

    /// Something was seen.
    pub(crate) fn seen(&self, now: OffsetDateTime) {
        let is_missing = self.mirror().has_aws_auth() == Some(false);
        let mut progress = self.progress();
        progress.aws_auth_missing_since = is_missing.then(|| progress.aws_auth_missing_since.unwrap_or(now));
        drop(progress);
        self.changed.notify_one();
    }

    /// The hub has taken something.
    pub(crate) fn pushed(&self, now: OffsetDateTime) {
        self.progress().pushed_at = Some(now);
    }

    /// A part does not go, for this reason.
    pub(crate) fn fault(&self, part: Part, reason: &str, now: OffsetDateTime) {
        let reason = reason.chars().take(FAULT_CHARS_MAX).collect();
        let mut progress = self.progress();
        progress.faults.insert(part, reason);
        progress.fault_since.get_or_insert(now);
    }

    /// A part goes.
    pub(crate) fn well(&self, part: Part) {
        let mut progress = self.progress();
        progress.faults.remove(&part);
        if progress.faults.is_empty() {
            progress.fault_since = None;
        }
    }

    /// How it goes, in words for people.
    pub(crate) fn report(&self, holder: &str, now: OffsetDateTime) -> SpokeWatch {
        let mirror = self.mirror();
        let aws_auth = match mirror.has_aws_auth() {
            None => AwsAuthSight::Unseen,
            Some(true) => AwsAuthSight::Present,
            Some(false) => AwsAuthSight::Missing,
        };
        let objects = u32::try_from(mirror.objects()).unwrap_or(u32::MAX);
        drop(mirror);
        let progress = self.progress();
        SpokeWatch {
            holder: holder.to_owned(),
            reported_at: now,
            listed_at: progress.listed_at,
            pushed_at: progress.pushed_at,
            objects,
            aws_auth,
            aws_auth_missing_since: progress.aws_auth_missing_since,
            fault: progress.faults.values().next().cloned(),
            fault_since: progress.fault_since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-24 12:00 UTC);

    fn state() -> State {
        State::new(Bounds { objects_max: 9, bytes_max: 999 })
    }

    #[test]
    fn a_config_map_that_goes_is_missed_since_then_and_no_longer_than_it_is_away() {
        let state = state();
        assert_eq!(state.report("r", NOON).aws_auth, AwsAuthSight::Unseen);
        let later = NOON + time::Duration::minutes(1);
        for (now, at) in [(NOON, NOON), (later, NOON)] {
            state.mirror().gone(Resource::AwsAuth, "/aws-auth");
            state.seen(now);
            let report = state.report("r", now);
            assert_eq!((report.aws_auth, report.aws_auth_missing_since), (AwsAuthSight::Missing, Some(at)));
        }
        let back = crate::wire::Seen { key: String::new(), document: "x".into(), role: None };
        state.mirror().put(Resource::AwsAuth, back).unwrap();
        state.seen(later);
        assert_eq!(state.report("r", later).aws_auth_missing_since, None);
    }

    #[test]
    fn a_fault_stands_until_its_own_part_goes_well() {
        let state = state();
        state.fault(Part::Rbac, &"x".repeat(2_000), NOON);
        state.fault(Part::Reading(Resource::Roles), "roles", NOON + time::Duration::minutes(1));
        state.well(Part::Reading(Resource::Roles));
        let report = state.report("r", NOON);
        assert_eq!((report.fault.map(|fault| fault.len()), report.fault_since), (Some(500), Some(NOON)));
        state.well(Part::Rbac);
        assert_eq!(state.report("r", NOON).fault_since, None);
    }

    #[test]
    fn a_lease_holds_while_both_clocks_say_so() {
        let state = state();
        assert!(state.holds_lease(), "none is needed");
        let (steady, wall) = (Instant::now(), SystemTime::now());
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        for (asked, holds) in
            [((steady, wall), true), ((steady, wall - hour), false), ((steady - hour, wall), false)]
        {
            state.leased(asked, 60 * second);
            assert_eq!(state.holds_lease(), holds);
        }
    }
}

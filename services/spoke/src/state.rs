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
    config::SpokeConfig,
    mirror::{Mirror, Push},
    wire::Resource,
};

/// Longest text of what is in the way.
const FAULT_CHARS_MAX: usize = 500;
/// Most objects that are named as not taken; then how many more there are.
const REFUSED_MAX: usize = 20;

/// What is in the way of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Of seeing this.
    Reading(Resource),
    /// Of the hub's taking this.
    Pushing(Push),
    /// Of reading the issuer and its keys.
    ReadingIssuer,
}

#[derive(Debug, Default)]
struct Progress {
    listed_at: Option<OffsetDateTime>,
    pushed_at: Option<OffsetDateTime>,
    aws_auth_missing_since: Option<OffsetDateTime>,
    issuer_read_at: Option<OffsetDateTime>,
    reviews_pods: Option<bool>,
    /// Objects that the hub leaves out, and how many more it did not name.
    refused: BTreeMap<Push, Vec<String>>,
    faults: BTreeMap<Part, String>,
    fault_since: Option<OffsetDateTime>,
}

/// Until when the lease holds, by the two clocks of a machine: one of them stands still while it is suspended, the other may
/// be set. Whichever says that it has ended is believed.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    steady: Instant,
    wall: SystemTime,
    term: u64,
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
    pub(crate) fn new(config: &SpokeConfig) -> Self {
        Self {
            mirror: Mutex::new(Mirror::new(config.rbac_bounds(), config.service_account_bounds())),
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

    fn deadline(&self) -> MutexGuard<'_, Option<Deadline>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease holds for so long from a moment before it was asked for.
    pub(crate) fn leased(&self, asked: (Instant, SystemTime), lifetime: Duration, term: u64) {
        let (steady, wall) = asked;
        let deadline = Deadline { steady: steady + lifetime, wall: wall + lifetime, term };
        let before = self.deadline().replace(deadline);
        // Another has held it in between, and may have pushed what it saw before this one did.
        if before.is_some_and(|before| before.term != term) {
            self.nothing_is_taken();
        }
    }

    /// The hub says that another holds the lease.
    pub(crate) fn lease_lost(&self) {
        if let Some(deadline) = &mut *self.deadline() {
            (deadline.steady, deadline.wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        }
    }

    /// The term of the lease, where one is needed. It goes with every push.
    pub(crate) fn lease_term(&self) -> Option<u64> {
        self.deadline().map(|deadline| deadline.term)
    }

    /// All of what is seen is to be pushed anew.
    pub(crate) fn nothing_is_taken(&self) {
        let mut mirror = self.mirror();
        Push::ALL.into_iter().for_each(|push| mirror.untaken(push));
    }

    /// Whether the lease still holds.
    pub(crate) fn holds_lease(&self) -> bool {
        let deadline = *self.deadline();
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

    /// The issuer and its keys were read.
    pub(crate) fn issuer_read(&self, now: OffsetDateTime) {
        self.progress().issuer_read_at = Some(now);
        self.changed.notify_one();
    }

    /// Whether the credential may have pods' tokens reviewed, as far as the API server tells.
    pub(crate) fn may_review_pods(&self, may: Option<bool>) {
        self.progress().reviews_pods = may;
    }

    /// The hub has taken a part but for these objects, or has named these too.
    pub(crate) fn refused(&self, push: Push, refused: Vec<String>, is_all: bool) {
        if !refused.is_empty() {
            self.mirror().whole_if_due(push);
        }
        let mut progress = self.progress();
        let known = progress.refused.entry(push).or_default();
        if is_all {
            *known = refused;
        } else {
            let new: Vec<String> = refused.into_iter().filter(|one| !known.contains(one)).collect();
            known.extend(new);
        }
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
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (objects, service_accounts) = (count(mirror.objects()), count(mirror.service_accounts()));
        let issuer_url = mirror.issuer_url().map(str::to_owned);
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
            service_accounts,
            issuer_url,
            issuer_read_at: progress.issuer_read_at,
            reviews_pods: progress.reviews_pods,
            refused: named(progress.refused.values().flatten()),
            fault: progress.faults.values().next().cloned(),
            fault_since: progress.fault_since,
        }
    }
}

/// The first so many, and how many more there are.
fn named<'t>(texts: impl Iterator<Item = &'t String> + Clone) -> Vec<String> {
    let more = texts.clone().count().saturating_sub(REFUSED_MAX);
    let mut named: Vec<String> =
        texts.take(REFUSED_MAX).map(|text| text.chars().take(FAULT_CHARS_MAX).collect()).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-24 12:00 UTC);

    fn state() -> State {
        State::new(&SpokeConfig::default())
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
        let content = crate::wire::Content::AwsAuth("x".into());
        let back = crate::wire::Seen { key: String::new(), content };
        state.mirror().put(Resource::AwsAuth, back).unwrap();
        state.seen(later);
        assert_eq!(state.report("r", later).aws_auth_missing_since, None);
    }

    #[test]
    fn a_fault_stands_until_its_own_part_goes_well() {
        let state = state();
        state.fault(Part::Pushing(Push::Rbac), &"x".repeat(2_000), NOON);
        state.fault(Part::Reading(Resource::Roles), "roles", NOON + time::Duration::minutes(1));
        state.well(Part::Reading(Resource::Roles));
        let report = state.report("r", NOON);
        assert_eq!((report.fault.map(|fault| fault.len()), report.fault_since), (Some(500), Some(NOON)));
        state.well(Part::Pushing(Push::Rbac));
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
            state.leased(asked, 60 * second, 1);
            assert_eq!(state.holds_lease(), holds);
        }
        state.leased((steady, wall), 60 * second, 1);
        state.lease_lost();
        assert!(!state.holds_lease(), "the hub says so");
    }

    #[test]
    fn who_has_the_lease_again_pushes_all_anew() {
        let state = state();
        let issuer =
            lanyard_api::credentials::IssuerDocuments { issuer_url: "i".to_owned(), jwks: "{}".to_owned() };
        state.mirror().see_issuer(issuer);
        let asked = || (Instant::now(), SystemTime::now());
        for (term, is_due) in [(1, true), (1, false), (3, true), (3, false)] {
            state.leased(asked(), Duration::from_secs(60), term);
            assert_eq!(state.mirror().take(Push::Issuer).is_some(), is_due, "{term}");
            assert_eq!(state.lease_term(), Some(term));
        }
    }

    #[test]
    fn objects_that_are_not_taken_are_named_until_a_whole_batch_names_them_no_more() {
        let state = state();
        let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        state.refused(Push::Rbac, texts(&["Role/n/a: bad"]), true);
        state.refused(Push::Rbac, texts(&["Role/n/b: bad", "Role/n/a: bad"]), false);
        state.refused(Push::ServiceAccounts, texts(&["ServiceAccount/n/c: bad"]), false);
        let told = state.report("r", NOON).refused;
        assert_eq!(told, ["Role/n/a: bad", "Role/n/b: bad", "ServiceAccount/n/c: bad"]);
        state.refused(Push::Rbac, Vec::new(), true);
        assert_eq!(state.report("r", NOON).refused, ["ServiceAccount/n/c: bad"]);
        state.refused(Push::Rbac, (0..30).map(|n| n.to_string()).collect(), true);
        let told = state.report("r", NOON).refused;
        assert_eq!((told.len(), told[20].as_str()), (21, "and 11 more"));
    }
}

//! The keys of one issuer as they are kept: who may ask for new ones, when, and what counts in the meantime.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use lanyard_kit::Clock;
use lanyard_kit::http_client::HttpClient;
use lanyard_kit::telemetry::{Counters, Label, names, trace::span};
use quick_cache::sync::Cache;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::fetch::{Fetched, fetch};
use crate::fault::OidcFault;
use crate::issuer::Issuer;
use crate::jwks::Jwks;
use crate::shown::shown;

/// Keys that the issuer did not have, remembered. Who makes up more of them pushes out made-up ones.
const ABSENT_MAX: usize = 1_000;
/// How often the log says one thing of one issuer: who holds out for something is asked every few seconds.
const TOLD_EVERY: Duration = Duration::minutes(1);

/// Keys, and from when until when they count.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) jwks: Jwks,
    /// Grows with every set that comes.
    pub(super) generation: u64,
    pub(super) fetched_at: OffsetDateTime,
    /// From here on new ones are asked for, beside the answers: a fifth of the lifetime before its end.
    pub(super) refresh_at: OffsetDateTime,
    /// Until here the issuer has said that they are good, or the configuration has.
    pub(super) fresh_until: OffsetDateTime,
    /// Until here they count while the issuer does not answer.
    pub(super) serve_until: OffsetDateTime,
}

impl Kept {
    fn new(fetched: Fetched, generation: u64, at: OffsetDateTime, stale: Duration) -> Self {
        let fresh_until = at.saturating_add(fetched.lifetime);
        Self {
            jwks: fetched.jwks,
            generation,
            fetched_at: at,
            refresh_at: at.saturating_add(fetched.lifetime * 4 / 5),
            fresh_until,
            serve_until: fresh_until.saturating_add(stale),
        }
    }

    /// Whether new ones should be asked for. A clock that was set back makes the end unsure, so that counts too.
    pub(super) fn is_due(&self, now: OffsetDateTime) -> bool {
        now >= self.refresh_at || now < self.fetched_at
    }
}

pub(super) type Outcome = Result<Arc<Kept>, OidcFault>;

/// What became of the wish to ask the issuer.
pub(super) enum Asking {
    /// It is being asked, and answers here.
    Now(watch::Receiver<Option<Outcome>>),
    /// It was asked just before, with this end.
    Lately(Result<(), OidcFault>),
}

#[derive(Default)]
struct Flight {
    running: Option<watch::Receiver<Option<Outcome>>>,
    /// When the last attempt began.
    began_at: Option<OffsetDateTime>,
    /// How the last attempt ended that did.
    ended: Option<Result<(), OidcFault>>,
    generation: u64,
    /// Of fetches.
    failed: Told,
    /// Of tokens.
    unanswered: Told,
}

/// What the log has told of an issuer's faults, by their code. There are a dozen of these.
#[derive(Default)]
struct Told(BTreeMap<&'static str, Lately>);

/// When it was, and how many there were since.
struct Lately {
    told_at: OffsetDateTime,
    untold: u64,
}

impl Told {
    /// One more. If the log is to tell of it: how many there were since it last did.
    fn due(&mut self, fault: &OidcFault, now: OffsetDateTime) -> Option<u64> {
        let code = fault.code();
        if let Some(lately) = self.0.get_mut(code)
            && (lately.told_at..lately.told_at.saturating_add(TOLD_EVERY)).contains(&now)
        {
            lately.untold = lately.untold.saturating_add(1);
            return None;
        }
        let before = self.0.insert(code, Lately { told_at: now, untold: 0 });
        Some(before.map_or(0, |lately| lately.untold).saturating_add(1))
    }
}

/// What clones of a provider share.
pub(super) struct Keep {
    pub(super) issuer: Issuer,
    pub(super) clock: Arc<dyn Clock>,
    client: HttpClient,
    kept: ArcSwapOption<Kept>,
    flight: Mutex<Flight>,
    absent: Cache<String, OffsetDateTime>,
    fetches: Counters<FetchOutcome>,
}

#[derive(Clone, Copy)]
enum FetchOutcome {
    Fetched,
    Fault,
}

impl Label for FetchOutcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Fetched, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Keep {
    pub(super) fn new(issuer: Issuer, client: HttpClient, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer,
            clock,
            client,
            kept: ArcSwapOption::empty(),
            flight: Mutex::default(),
            absent: Cache::new(ABSENT_MAX),
            fetches: Counters::new(names::OIDC_FETCHES_TOTAL),
        }
    }

    /// The keys that there are, whatever their age.
    pub(super) fn kept(&self) -> Option<Arc<Kept>> {
        self.kept.load_full()
    }

    /// Why the last attempt that has ended gave no keys, if it did not.
    pub(super) fn last_fault(&self) -> Option<OidcFault> {
        self.flight().ended.clone().and_then(Result::err)
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        // A panic elsewhere leaves no half of anything here.
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that the issuer is asked, if it may be: once at a time, and once in the configured time.
    pub(super) fn ask(self: &Arc<Self>, now: OffsetDateTime) -> Asking {
        let mut flight = self.flight();
        if let Some(running) = flight.running.take() {
            if running.has_changed().is_ok() {
                flight.running = Some(running.clone());
                return Asking::Now(running);
            }
            // The sender is gone without a word: it asks nobody any more.
            flight.ended = Some(Err(OidcFault::Interrupted));
        }
        let pause = Duration::seconds(self.issuer.keys().refetch_seconds_min.into());
        // A clock that was set back must not keep the issuer from being asked for long.
        if flight.began_at.is_some_and(|at| (at..at.saturating_add(pause)).contains(&now)) {
            return Asking::Lately(flight.ended.clone().unwrap_or(Err(OidcFault::Interrupted)));
        }
        let (sender, receiver) = watch::channel(None);
        flight.running = Some(receiver.clone());
        flight.began_at = Some(now);
        // A task of its own: whoever asked may give up, others wait for the same answer.
        let keep = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = span::own(names::OIDC_KEYS_SPAN, fetch(&keep.client, &keep.issuer)).await;
            let outcome = keep.settle(fetched, now);
            sender.send_replace(Some(outcome));
        });
        Asking::Now(receiver)
    }

    /// Keeps what has come, dated by when it was asked for.
    fn settle(&self, fetched: Result<Fetched, OidcFault>, asked_at: OffsetDateTime) -> Outcome {
        let issuer = shown(self.issuer.as_str());
        let mut flight = self.flight();
        flight.running = None;
        match fetched {
            Ok(fetched) => {
                self.fetches.increment(FetchOutcome::Fetched);
                flight.generation += 1;
                let stale = Duration::seconds(self.issuer.keys().stale_seconds_max.into());
                let kept = Arc::new(Kept::new(fetched, flight.generation, asked_at, stale));
                let before = self.kept.swap(Some(Arc::clone(&kept)));
                flight.ended = Some(Ok(()));
                drop(flight);
                tell_skipped(&issuer, before.as_deref(), &kept);
                tracing::debug!(issuer, keys = kept.jwks.len(), "an issuer's keys were fetched");
                Ok(kept)
            }
            Err(fault) => {
                self.fetches.increment(FetchOutcome::Fault);
                flight.ended = Some(Err(fault.clone()));
                let is_news = flight.failed.due(&fault, asked_at).is_some();
                drop(flight);
                if is_news {
                    tell_fault(&issuer, &fault);
                }
                Err(fault)
            }
        }
    }

    /// The line of tokens that have no answer: now and then, for anybody may send one.
    pub(super) fn tell_unanswered(&self, fault: &OidcFault, now: OffsetDateTime) {
        let due = self.flight().unanswered.due(fault, now);
        if let Some(times) = due {
            tracing::warn!(
                issuer = shown(self.issuer.as_str()), reason.code = fault.code(), error = %fault, times,
                "an OIDC issuer's keys are not to be had: its tokens have no answer"
            );
        }
    }

    /// Whether the issuer did not have this key a short while ago.
    pub(super) fn is_absent(&self, kid: &str, now: OffsetDateTime) -> bool {
        self.absent.get(kid).is_some_and(|until| now < until)
    }

    /// Remembers that the issuer, which was just asked, does not have this key.
    pub(super) fn set_absent(&self, kid: &str, now: OffsetDateTime) {
        let kept = Duration::seconds(self.issuer.keys().absent_key_seconds.into());
        self.absent.insert(kid.to_owned(), now.saturating_add(kept));
    }

    /// How many absent keys are remembered.
    #[cfg(test)]
    pub(super) fn absent_len(&self) -> usize {
        self.absent.len()
    }
}

/// The line of a fault; an audit line where somebody may have wanted us to call, or to read, what we do not.
fn tell_fault(issuer: &str, fault: &OidcFault) {
    let code = fault.code();
    if fault.is_warded_off() {
        tracing::warn!(
            issuer, reason.code = code, error = %fault,
            "an issuer is not followed: it leads to where nothing is fetched from, or has no end"
        );
    } else {
        tracing::warn!(issuer, reason.code = code, error = %fault, "an issuer's keys cannot be fetched");
    }
}

/// Keys that are left out are told once, not with every fetch.
fn tell_skipped(issuer: &str, before: Option<&Kept>, now: &Kept) {
    let known: BTreeSet<Option<&str>> =
        before.iter().flat_map(|kept| kept.jwks.skipped()).map(|key| key.kid.as_deref()).collect();
    for key in now.jwks.skipped().iter().filter(|key| !known.contains(&key.kid.as_deref())) {
        let (kid, reason) = (key.kid.as_deref().map(shown).unwrap_or_default(), key.reason);
        tracing::warn!(issuer, kid, reason = %reason, "a key of an issuer is not used");
    }
}

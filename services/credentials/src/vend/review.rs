//! Whether a pod is still there, asked of its cluster's own API server before it is vended to.
//!
//! A token proves that its pod was there when it was issued. Kubernetes ends it with the pod and with the ServiceAccount, and only
//! the API server knows of that: it is asked by TokenReview. What it says of a token counts for some seconds, and is asked once however
//! many want it: whatever comes of the one question, an answer or none, is told to all who wait for it. Where it does not tell, the
//! configuration says what comes of that, and the answer says why.
//!
//! Questions are shared out between the namespaces of a cluster ([`Slots`]), and whoever brings too many dead tokens is refused without
//! one; tokens that are known to be good are vended to all the same.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration as StdDuration, Instant},
};

use lanyard_api::{
    CallError, ClusterUid, Fault,
    credentials::VendRefusal,
    spoke::{PodReview, PodReviews, ReviewPod},
};
use lanyard_iam::TokenDigest;
use lanyard_kit::telemetry::{Counters, Label, names, request_id};
use quick_cache::sync::Cache;
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};
use tokio::{sync::watch, time::timeout};
use tracing::Instrument as _;

use super::{
    budget::{Asker, Budgets},
    rest::Rest,
    slots::Slots,
};
use crate::config::{PodReviewPolicy, VendConfig};

/// Questions to the API server of one cluster at a time. One takes some milliseconds, so that this is thousands a second.
const OF_CLUSTER_MAX: usize = 32;
/// Of these a namespace holds at most so many: half, so that the slow answers of one are in no other's way.
const OF_NAMESPACE_MAX: usize = OF_CLUSTER_MAX / 2;
/// Questions to one API server that wait for their turn, each with its token, in about 2 KB: more than get theirs in time.
const WAITING_MAX: usize = 4_096;
/// How long a refusal counts: whoever shows a dead token again and again makes nobody ask again and again.
const REFUSED_KEPT: Duration = Duration::seconds(2);
/// Clusters that are remembered at once, each in about 200 bytes.
const CLUSTERS_MAX: usize = 8_192;

type Reviewed = Pin<Box<dyn Future<Output = Result<PodReview, Fault>> + Send>>;

/// Whoever asks API servers: the spoke service of this process, or of others. Behind a closure, so that the engine is not generic over it.
struct Reviewer(Box<dyn Fn(ReviewPod) -> Reviewed + Send + Sync>);

impl Reviewer {
    fn new(reviews: impl PodReviews) -> Self {
        let reviews = Arc::new(reviews);
        Self(Box::new(move |asked| {
            let reviews = Arc::clone(&reviews);
            Box::pin(async move { reviews.review_pod(asked).await })
        }))
    }
}

/// Why it is not known whether a pod is still there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unknown {
    #[error("the hub asks no API server about pods (`credentials.vend.pod_review`)")]
    Off,
    #[error(
        "the hub does not watch this cluster now, so that nobody asks its API server; a cluster that pushes from inside cannot be asked"
    )]
    Unwatched,
    #[error("{0}")]
    Fault(Fault),
    #[error("{0}; it is left alone for a moment")]
    Resting(Fault),
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Lives,
    Kept,
    Refused,
    Busy,
    Unwatched,
    Unavailable,
    Throttled,
    TimedOut,
    Resting,
    OverBudget,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[
        Self::Lives,
        Self::Kept,
        Self::Refused,
        Self::Busy,
        Self::Unwatched,
        Self::Unavailable,
        Self::Throttled,
        Self::TimedOut,
        Self::Resting,
        Self::OverBudget,
    ];

    fn value(self) -> &'static str {
        match self {
            Self::Lives => "lives",
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Unwatched => "unwatched",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::TimedOut => "timed_out",
            Self::Resting => "resting",
            Self::OverBudget => "over_budget",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Unknown {
    /// None where nobody looked.
    fn outcome(&self) -> Option<Outcome> {
        Some(match self {
            Self::Off => return None,
            Self::Unwatched => Outcome::Unwatched,
            Self::Resting(_) => Outcome::Resting,
            Self::Fault(Fault::Throttled { .. }) => Outcome::Throttled,
            Self::Fault(Fault::TimedOut { .. }) => Outcome::TimedOut,
            Self::Fault(_) => Outcome::Unavailable,
        })
    }
}

/// Why a token is not known to be good.
#[derive(Debug, Clone)]
enum NotGood {
    /// The API server refuses it.
    Refused(String),
    /// Too many want to know of this cluster's pods at once: the limit is the hub's own, and nothing is vended past it.
    Busy,
    /// Too many tokens that whoever brings this one has brought were dead, so that nobody is asked about it.
    OverBudget(Fault),
    /// Of this one there is no answer, while others get theirs: that says nothing good of it, and trying again may help.
    Late(Fault),
    Unknown(Unknown),
}

/// One cluster's API server.
struct Line {
    slots: Arc<Slots>,
    rest: Mutex<Rest<Unknown>>,
}

impl Line {
    /// Whether it is asked now, or left alone.
    fn is_asked(&self) -> Result<(), NotGood> {
        self.rest().why(Instant::now()).map_or(Ok(()), |why| Err(NotGood::Unknown(why)))
    }

    /// What an answer, or the lack of one, says of the token; and of the API server to those who ask next.
    fn settle(&self, review: Result<PodReview, Fault>) -> Result<(), NotGood> {
        let (mut rest, now) = (self.rest(), Instant::now());
        match review {
            Ok(PodReview::Lives) => {
                rest.answered(now);
                Ok(())
            }
            Ok(PodReview::Refused(words)) => {
                rest.answered(now);
                Err(NotGood::Refused(words))
            }
            Ok(PodReview::Unwatched) => {
                rest.unwatched(Unknown::Unwatched, now);
                Err(NotGood::Unknown(Unknown::Unwatched))
            }
            // An API server hands what its own issuer refuses on to its webhook, which can be slow by itself: a dead token is late where
            // those of living pods are not.
            Err(fault @ Fault::TimedOut { .. }) if rest.has_just_answered(now) => Err(NotGood::Late(fault)),
            Err(fault) => {
                rest.faulted(Unknown::Resting(fault.clone()), now);
                Err(NotGood::Unknown(Unknown::Fault(fault)))
            }
        }
    }

    fn rest(&self) -> MutexGuard<'_, Rest<Unknown>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token, as far as anything is kept of it: its hash alone.
type Key = (ClusterUid, TokenDigest);
/// What a question comes to.
type Answer = Result<(), NotGood>;
/// Where that is told, once it is known.
type Told = watch::Receiver<Option<Answer>>;

/// Where questions about pods are asked, and what is kept of the answers.
pub(crate) struct PodLives(Arc<Lives>);

struct Lives {
    policy: PodReviewPolicy,
    limit: StdDuration,
    kept_max: Duration,
    reviewer: OnceLock<Reviewer>,
    budgets: Arc<Budgets>,
    /// When a token was last found good.
    good: Cache<Key, OffsetDateTime>,
    /// When one was last refused, and in which words.
    refused: Cache<Key, (OffsetDateTime, String)>,
    /// Questions that have no answer yet: whoever wants to know the same waits for it. As many as have slots or wait for them.
    open: Mutex<HashMap<Key, Told>>,
    lines: Cache<ClusterUid, Arc<Line>>,
    outcomes: Counters<Outcome>,
}

/// What there is about a token.
enum Found {
    Known(Answer),
    /// A question; whether it is asked for this one.
    Open(Told, bool),
}

impl PodLives {
    pub(crate) fn new(config: &VendConfig, budgets: Arc<Budgets>) -> Self {
        Self(Arc::new(Lives {
            policy: config.pod_review,
            limit: StdDuration::from_millis(config.pod_review_milliseconds),
            kept_max: Duration::seconds(i64::from(config.pod_reviewed_seconds)),
            reviewer: OnceLock::new(),
            budgets,
            good: Cache::new(config.kept_max.max(1)),
            refused: Cache::new(config.kept_max.max(1)),
            open: Mutex::default(),
            lines: Cache::new(CLUSTERS_MAX),
            outcomes: Counters::new(names::CREDENTIALS_POD_REVIEWS_TOTAL),
        }))
    }

    /// Has API servers asked by this one; the first that is given counts.
    pub(crate) fn review_by(&self, reviews: impl PodReviews) {
        let _ = self.0.reviewer.set(Reviewer::new(reviews));
    }

    /// Whether the pod with this token may be vended to. The answer is why its life is not confirmed; none where it is.
    ///
    /// # Errors
    /// [`VendRefusal::ExpiredToken`] where the API server refuses the token; a fault where too much is asked, or too many bad tokens are
    /// brought, and where there is no answer and one is required.
    pub(crate) async fn confirm(
        &self,
        asker: &Asker,
        token: &SecretString,
        digest: TokenDigest,
        now: OffsetDateTime,
    ) -> Result<Option<String>, CallError> {
        let limit = self.0.limit;
        match self.good(asker, token, digest, now).await {
            Ok(()) => Ok(None),
            Err(NotGood::Refused(words)) => Err(VendRefusal::ExpiredToken.because(gone(&words))),
            Err(NotGood::Busy) => {
                let part = "this cluster's share of questions about pods".into();
                Err(Fault::Throttled { part, retry_after: Some(limit) }.into())
            }
            Err(NotGood::Late(fault) | NotGood::OverBudget(fault)) => Err(fault.into()),
            Err(NotGood::Unknown(why)) if self.0.policy == PodReviewPolicy::Required => {
                let detail =
                    format!("{why}; no pod is vended to without that (`credentials.vend.pod_review`)");
                let part = "whether the pod is still there".into();
                Err(Fault::Unavailable { part, detail: detail.into() }.into())
            }
            Err(NotGood::Unknown(why)) => Ok(Some(why.to_string())),
        }
    }

    /// From memory, or asked: of those who want to know of one token at once one asks, and what comes of it is everybody's.
    async fn good(
        &self,
        asker: &Asker,
        token: &SecretString,
        digest: TokenDigest,
        now: OffsetDateTime,
    ) -> Answer {
        let lives = &self.0;
        if lives.policy == PodReviewPolicy::Off {
            return Err(NotGood::Unknown(Unknown::Off));
        }
        let (answer, is_own) = match lives.find(asker, token, (asker.cluster, digest), now) {
            Found::Known(answer) => (answer, false),
            Found::Open(mut open, is_own) => {
                let told = open.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
                // A question that ended without telling has come to grief.
                (told.unwrap_or(Err(NotGood::Unknown(Unknown::Fault(Fault::Internal)))), is_own)
            }
        };
        if !is_own {
            lives.count(&answer, Outcome::Kept);
        }
        answer
    }
}

impl Lives {
    /// What is known of a token, or the one question about it, which is opened where there is none.
    fn find(self: &Arc<Self>, asker: &Asker, token: &SecretString, key: Key, now: OffsetDateTime) -> Found {
        if let Some(known) = self.remembered(&key, now) {
            return Found::Known(known);
        }
        let mut open = self.open();
        if let Some(question) = open.get(&key) {
            return Found::Open(question.clone(), false);
        }
        // It may have been answered just now.
        if let Some(known) = self.remembered(&key, now) {
            return Found::Known(known);
        }
        let line = self.line(asker.cluster);
        let may_be_asked = match self.reviewer.get() {
            Some(_) => line.is_asked().and_then(|()| self.may_ask(asker)),
            None => Err(NotGood::Unknown(Unknown::Unwatched)),
        };
        if let Err(why) = may_be_asked {
            return Found::Known(Err(why));
        }
        let (tell, answer) = watch::channel(None);
        open.insert(key, answer.clone());
        drop(open);
        let asked = Asked { of: Arc::clone(self), key, asker: asker.clone(), token: token.clone(), at: now };
        // A question outlives whoever had it asked: who gives up early would else keep it from being known that nobody answers, or
        // that their token is dead. It is still work on the request of the first who wants to know.
        let question = request_id::within(request_id::current(), asked.until_told(line, tell));
        tokio::spawn(question.in_current_span());
        Found::Open(answer, true)
    }

    /// What was said of a token not long ago.
    fn remembered(&self, key: &Key, now: OffsetDateTime) -> Option<Answer> {
        if let Some((at, words)) = self.refused.get(key)
            && is_within(REFUSED_KEPT, at, now)
        {
            return Some(Err(NotGood::Refused(words)));
        }
        self.good.get(key).filter(|at| is_within(self.kept_max, *at, now)).map(|_| Ok(()))
    }

    fn may_ask(&self, asker: &Asker) -> Answer {
        self.budgets.may_ask(asker, Instant::now()).map_err(NotGood::OverBudget)
    }

    /// Counts what came of looking, and `good` where the token is.
    fn count(&self, answer: &Answer, good: Outcome) {
        let outcome = match answer {
            Ok(()) => Some(good),
            Err(NotGood::Refused(_)) => Some(Outcome::Refused),
            Err(NotGood::Busy) => Some(Outcome::Busy),
            Err(NotGood::OverBudget(_)) => Some(Outcome::OverBudget),
            Err(NotGood::Late(_)) => Some(Outcome::TimedOut),
            Err(NotGood::Unknown(why)) => why.outcome(),
        };
        if let Some(outcome) = outcome {
            self.outcomes.increment(outcome);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Told>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, cluster: ClusterUid) -> Arc<Line> {
        let slots = || Slots::new(OF_CLUSTER_MAX, OF_NAMESPACE_MAX, WAITING_MAX);
        let fresh = || Arc::new(Line { slots: slots(), rest: Mutex::default() });
        let found = self.lines.get_or_insert_with(&cluster, || Ok::<_, std::convert::Infallible>(fresh()));
        found.unwrap_or_else(|never| match never {})
    }
}

/// One question. When it is dropped it is open no more, whatever became of it.
struct Asked {
    of: Arc<Lives>,
    key: Key,
    asker: Asker,
    token: SecretString,
    at: OffsetDateTime,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.of.open().remove(&self.key);
    }
}

impl Asked {
    /// Asks, remembers what is said of the token, and tells those who wait.
    async fn until_told(self, line: Arc<Line>, tell: watch::Sender<Option<Answer>>) {
        let answer = self.ask(&line).await;
        match &answer {
            Ok(()) => self.of.good.insert(self.key, self.at),
            Err(NotGood::Refused(words)) => self.of.refused.insert(self.key, (self.at, words.clone())),
            Err(_) => {}
        }
        if let Err(NotGood::Refused(_) | NotGood::Late(_)) = &answer {
            self.of.budgets.take_dead(&self.asker, Instant::now());
        }
        self.of.count(&answer, Outcome::Lives);
        drop(self);
        // All may have gone.
        let _ = tell.send(Some(answer));
    }

    async fn ask(&self, line: &Line) -> Answer {
        let Some(reviewer) = self.of.reviewer.get() else {
            return Err(NotGood::Unknown(Unknown::Unwatched));
        };
        let limit = self.of.limit;
        let slot = timeout(limit, line.slots.take(&self.asker.namespace)).await;
        let Ok(Some(_slot)) = slot else { return Err(NotGood::Busy) };
        // Those before may have found out meanwhile that nobody answers, or have brought too many dead tokens.
        line.is_asked()?;
        self.of.may_ask(&self.asker)?;
        let asked = (reviewer.0)(ReviewPod { cluster: self.asker.cluster, token: self.token.clone() });
        let late = || Fault::TimedOut { part: "the cluster's API server".into(), limit };
        line.settle(timeout(limit, asked).await.unwrap_or_else(|_| Err(late())))
    }
}

/// Whether what was found at a moment still counts. A clock that was set back vouches for nothing.
fn is_within(kept_max: Duration, at: OffsetDateTime, now: OffsetDateTime) -> bool {
    let age = now - at;
    age >= Duration::ZERO && age < kept_max
}

/// What is told of a token that the API server refuses.
fn gone(words: &str) -> String {
    let rule = "the cluster's API server refuses the token: its pod or ServiceAccount is gone, or was made anew since it was issued";
    if words.is_empty() { rule.to_owned() } else { format!("{rule} (it says `{words}`)") }
}

#[cfg(test)]
mod tests;

//! Whether a pod is still there, asked of its cluster's own API server before it is vended to.
//!
//! A token proves that its pod was there when it was issued. Kubernetes ends it with the pod and with the ServiceAccount, and only
//! the API server knows of that: it is asked by TokenReview. What it says of a token counts for some seconds, and is asked once however
//! many want it. Where it does not tell, the configuration says what comes of that, and the answer says why.

use std::{
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
use lanyard_kit::telemetry::{Counters, Label, names};
use quick_cache::sync::Cache;
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument as _;

use super::rest::Rest;
use crate::config::{PodReviewPolicy, VendConfig};

/// Questions to the API server of one cluster at a time. One takes some milliseconds, so that this is thousands a second.
const OF_CLUSTER_MAX: usize = 32;
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
    /// Of this one there is no answer, while others get theirs: that says nothing good of it, and trying again may help.
    Late(Fault),
    Unknown(Unknown),
}

/// One cluster's API server.
struct Line {
    room: Arc<Semaphore>,
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

/// What is kept of asking.
pub(crate) struct PodLives {
    policy: PodReviewPolicy,
    limit: StdDuration,
    kept_max: Duration,
    reviewer: OnceLock<Reviewer>,
    /// When a token was last found good. Of a token there is its hash alone.
    good: Cache<(ClusterUid, TokenDigest), OffsetDateTime>,
    /// When one was last refused, and in which words.
    refused: Cache<(ClusterUid, TokenDigest), (OffsetDateTime, String)>,
    lines: Cache<ClusterUid, Arc<Line>>,
    outcomes: Counters<Outcome>,
}

impl PodLives {
    pub(crate) fn new(config: &VendConfig) -> Self {
        Self {
            policy: config.pod_review,
            limit: StdDuration::from_millis(config.pod_review_milliseconds),
            kept_max: Duration::seconds(i64::from(config.pod_reviewed_seconds)),
            reviewer: OnceLock::new(),
            good: Cache::new(config.kept_max.max(1)),
            refused: Cache::new(config.kept_max.max(1)),
            lines: Cache::new(CLUSTERS_MAX),
            outcomes: Counters::new(names::CREDENTIALS_POD_REVIEWS_TOTAL),
        }
    }

    /// Has API servers asked by this one; the first that is given counts.
    pub(crate) fn review_by(&self, reviews: impl PodReviews) {
        let _ = self.reviewer.set(Reviewer::new(reviews));
    }

    /// Whether the pod with this token may be vended to. The answer is why its life is not confirmed; none where it is.
    ///
    /// # Errors
    /// [`VendRefusal::ExpiredToken`] where the API server refuses the token; a fault where too much is asked, and where there is no
    /// answer and one is required.
    pub(crate) async fn confirm(
        &self,
        cluster: ClusterUid,
        token: &SecretString,
        digest: TokenDigest,
        now: OffsetDateTime,
    ) -> Result<Option<String>, CallError> {
        match self.good(cluster, token, digest, now).await {
            Ok(()) => Ok(None),
            Err(NotGood::Refused(words)) => Err(VendRefusal::ExpiredToken.because(gone(&words))),
            Err(NotGood::Busy) => {
                let part = "this cluster's share of questions about pods".into();
                Err(Fault::Throttled { part, retry_after: Some(self.limit) }.into())
            }
            Err(NotGood::Late(fault)) => Err(fault.into()),
            Err(NotGood::Unknown(why)) if self.policy == PodReviewPolicy::Required => {
                let detail =
                    format!("{why}; no pod is vended to without that (`credentials.vend.pod_review`)");
                let part = "whether the pod is still there".into();
                Err(Fault::Unavailable { part, detail: detail.into() }.into())
            }
            Err(NotGood::Unknown(why)) => Ok(Some(why.to_string())),
        }
    }

    /// From memory, or asked: of those who want to know of one token at once one asks.
    async fn good(
        &self,
        cluster: ClusterUid,
        token: &SecretString,
        digest: TokenDigest,
        now: OffsetDateTime,
    ) -> Result<(), NotGood> {
        if self.policy == PodReviewPolicy::Off {
            return Err(NotGood::Unknown(Unknown::Off));
        }
        let key = (cluster, digest);
        if let Some((at, words)) = self.refused.get(&key)
            && is_within(REFUSED_KEPT, at, now)
        {
            self.outcomes.increment(Outcome::Refused);
            return Err(NotGood::Refused(words));
        }
        self.good.remove_if(&key, |at| !is_within(self.kept_max, *at, now));
        let mut outcome = Some(Outcome::Kept);
        let asked = self.good.get_or_insert_async(&key, async {
            let asked = self.ask(cluster, token).await;
            outcome = match &asked {
                Ok(()) => Some(Outcome::Lives),
                Err(NotGood::Refused(_)) => Some(Outcome::Refused),
                Err(NotGood::Busy) => Some(Outcome::Busy),
                Err(NotGood::Late(_)) => Some(Outcome::TimedOut),
                Err(NotGood::Unknown(why)) => why.outcome(),
            };
            asked.map(|()| now)
        });
        let asked = asked.await;
        if let Some(outcome) = outcome {
            self.outcomes.increment(outcome);
        }
        if let Err(NotGood::Refused(words)) = &asked {
            self.refused.insert(key, (now, words.clone()));
        }
        asked.map(drop)
    }

    async fn ask(&self, cluster: ClusterUid, token: &SecretString) -> Result<(), NotGood> {
        let Some(reviewer) = self.reviewer.get() else { return Err(NotGood::Unknown(Unknown::Unwatched)) };
        let line = self.line(cluster);
        line.is_asked()?;
        let room = timeout(self.limit, Arc::clone(&line.room).acquire_owned()).await;
        let Ok(Ok(room)) = room else { return Err(NotGood::Busy) };
        // Those before may have found out meanwhile that nobody answers.
        line.is_asked()?;
        let (limit, asked) = (self.limit, (reviewer.0)(ReviewPod { cluster, token: token.clone() }));
        // A question outlives whoever had it asked: who gives up early would else keep it from being known that nobody answers.
        let settled = async move {
            let _room = room;
            let late = || Fault::TimedOut { part: "the cluster's API server".into(), limit };
            line.settle(timeout(limit, asked).await.unwrap_or_else(|_| Err(late())))
        };
        let settled = tokio::spawn(settled.in_current_span()).await;
        settled.unwrap_or(Err(NotGood::Unknown(Unknown::Fault(Fault::Internal))))
    }

    fn line(&self, cluster: ClusterUid) -> Arc<Line> {
        let room = || Arc::new(Semaphore::new(OF_CLUSTER_MAX));
        let fresh = || Arc::new(Line { room: room(), rest: Mutex::default() });
        let found = self.lines.get_or_insert_with(&cluster, || Ok::<_, std::convert::Infallible>(fresh()));
        found.unwrap_or_else(|never| match never {})
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

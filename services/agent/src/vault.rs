//! The credentials that are kept: by token, fetched once however many ask, renewed ahead of their end.
//!
//! **Found by the hash of the whole token.** A token that comes here is verified by nobody here. If credentials were found by what a
//! token claims (its pod's uid), anybody who can write a JWT would have those of every pod whose uid they know. So only who bears
//! the very text that the other side has verified gets what that text was given; a pod's next token is asked about once.
//!
//! **Only what was vended is kept.** No refusal is, so that an association made a moment ago is found by the next request. A token
//! has its place only once credentials came for it: made-up ones take none.
//!
//! **What a hub made itself it may have ended.** Of such credentials it is asked every few minutes while they are in use, beside who asks: what
//! comes takes their place, and a refusal takes them away. Who asks for those that nobody has used for longer waits for the hub's word.

mod flight;
mod renewal;
mod schedule;
mod shelf;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use lanyard_iam::{AccessKeyId, TokenDigest};
use lanyard_kit::Clock;
use lanyard_kit::clock::moment_text;
use lanyard_kit::telemetry::{Counters, Label, names};
use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::credentials::{Credentials, metadata_body};
use crate::limits::{Rate, Share};
use crate::token::{PodClaims, PodToken};
use crate::upstream::{Upstream, UpstreamError};
use flight::Flights;
pub use schedule::Schedule;
use shelf::Shelf;

/// Credentials with less time than this are not handed out (the published agent's minimum).
pub const LIFE_MIN: Duration = Duration::seconds(15);
/// When the credentials of a token are due of which the pod has a newer one.
const NEVER: i64 = i64::MAX;
/// Credentials of a hub's own making of which it has said nothing for so long are handed out after it was asked: nobody has used them
/// meanwhile, or the question that is due a minute before had no turn or no answer.
const IN_DOUBT_AFTER: Duration = Duration::minutes(6);
/// When it is asked again by who asks, where it had no answer.
const IN_DOUBT_AGAIN_AFTER: Duration = Duration::minutes(1);
/// How long who asks waits for that: SDKs give up after a second at the earliest.
const IN_DOUBT_WAIT: std::time::Duration = std::time::Duration::from_millis(500);
/// Most questions that are under way to the other side at once.
const FETCHES_MAX: usize = 32;

/// How credentials are kept.
#[derive(Debug, Clone, Copy)]
pub struct VaultOptions {
    /// Most entries; none: nothing is kept.
    pub entries_max: usize,
    /// When entries are renewed.
    pub schedule: Schedule,
    /// Most renewals a second.
    pub renewals_per_second: u32,
    /// What one pod may ask for.
    pub pod_rate: Rate,
}

/// What became of a question to the other side.
#[derive(Clone, Copy)]
enum Outcome {
    Vended,
    Refused,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Vended, Self::Refused, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Vended => "vended",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Credentials as they are handed out: each once, as the container-credentials road has them, from which the other road reads them.
pub struct Answer {
    /// As the container-credentials road has them.
    pub body: Bytes,
    /// The name of their role.
    pub role_name: Box<str>,
    /// Until when they count.
    pub expires_at: OffsetDateTime,
    /// When they came.
    pub fetched_at: OffsetDateTime,
    /// Whether a hub made them itself: then it can end them before their time.
    is_of_hub: bool,
}

impl Answer {
    fn new(credentials: &Credentials, fetched_at: OffsetDateTime) -> Self {
        Self {
            body: credentials.container_body(),
            role_name: credentials.role_name().into(),
            expires_at: credentials.expires_at,
            fetched_at,
            is_of_hub: credentials.access_key_id.starts_with(AccessKeyId::LOCAL_SESSION_PREFIX),
        }
    }

    /// As the instance-metadata road has them.
    #[must_use]
    pub fn metadata_body(&self) -> Bytes {
        metadata_body(&self.body, self.fetched_at)
    }

    /// Whether there is enough of its life left.
    #[must_use]
    pub fn is_good(&self, now: OffsetDateTime) -> bool {
        self.expires_at - now > LIFE_MIN
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body holds the secrets.
        write!(f, "Answer({} until {})", self.role_name, self.expires_at)
    }
}

/// A token for which credentials came.
#[derive(Debug)]
pub struct Entry {
    token: PodToken,
    answer: ArcSwap<Answer>,
    /// What the pod may ask for, whichever of its tokens it shows.
    share: Arc<Share>,
    /// When it was last asked for, in Unix seconds.
    used_at: AtomicI64,
    /// When the other side was last asked about it, in Unix seconds.
    asked_at: AtomicI64,
    /// When it last gave credentials for it, in Unix seconds.
    told_at: AtomicI64,
    /// When it is due, in Unix seconds.
    renew_at: AtomicI64,
}

impl Entry {
    /// What the token claims, and the other side has found to be so.
    #[must_use]
    pub fn claims(&self) -> &PodClaims {
        self.token.claims()
    }

    /// Whether one more request is within the pod's share.
    #[must_use]
    pub fn is_within_share(&self) -> bool {
        self.share.take()
    }

    /// The credentials, if they are good enough to be handed out.
    #[must_use]
    pub fn answer(&self, now: OffsetDateTime) -> Option<Arc<Answer>> {
        self.used_at.store(now.unix_timestamp(), Ordering::Relaxed);
        let answer = self.answer.load();
        answer.is_good(now).then(|| Arc::clone(&answer))
    }

    /// Whether the hub that made these credentials of the entry itself may have ended them long ago, for it has said nothing since, and was
    /// not asked in vain a moment ago.
    #[must_use]
    pub fn is_in_doubt(&self, answer: &Answer, now: OffsetDateTime) -> bool {
        let is_over = |moment: &AtomicI64, after: Duration| {
            moment.load(Ordering::Relaxed).saturating_add(after.whole_seconds()) <= now.unix_timestamp()
        };
        answer.is_of_hub
            && is_over(&self.told_at, IN_DOUBT_AFTER)
            && is_over(&self.asked_at, IN_DOUBT_AGAIN_AFTER)
    }

    /// The hash of its token.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        self.token.digest()
    }

    fn is_due(&self, now: OffsetDateTime) -> bool {
        self.renew_at.load(Ordering::Relaxed) <= now.unix_timestamp()
    }

    /// Has it renewed then: not where its pod has a newer token, however this one was asked about since.
    fn due(&self, at: OffsetDateTime) {
        if self.renew_at.load(Ordering::Relaxed) != NEVER {
            self.renew_at.store(at.unix_timestamp(), Ordering::Relaxed);
        }
    }
}

/// The credentials of this node's pods.
pub struct Vault<U> {
    upstream: U,
    clock: Arc<dyn Clock>,
    options: VaultOptions,
    shelf: Shelf,
    flights: Flights,
    fetches: Semaphore,
    renewals: Share,
    outcomes: Counters<Outcome>,
}

impl<U: Upstream> Vault<U> {
    /// Empty.
    #[must_use]
    pub fn new(upstream: U, clock: Arc<dyn Clock>, options: VaultOptions) -> Arc<Self> {
        // One after the other: as many at once would be twice as many in the first second.
        let renewals = Rate::new(options.renewals_per_second, 1);
        Arc::new(Self {
            upstream,
            clock,
            shelf: Shelf::new(options.entries_max),
            options,
            flights: Flights::default(),
            fetches: Semaphore::new(FETCHES_MAX),
            renewals: Share::new(renewals),
            outcomes: Counters::new(names::AGENT_VENDS_TOTAL),
        })
    }

    /// The entry of a token that was vouched for.
    #[must_use]
    pub fn find(&self, digest: &TokenDigest) -> Option<Arc<Entry>> {
        self.shelf.find(digest)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelf.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the other side about a token, together with all who ask about the same one at the time.
    ///
    /// # Errors
    /// [`UpstreamError`], the same for all of them.
    pub async fn fetch(self: &Arc<Self>, token: &PodToken) -> Result<Arc<Answer>, UpstreamError> {
        let digest = token.digest();
        let vault = Arc::clone(self);
        let token = token.clone();
        let fetch = move || async move {
            let fetched = vault.ask(&token).await;
            vault.settle(&token, &fetched);
            fetched
        };
        self.flights.join(digest, fetch).await
    }

    /// What comes of asking about an entry now; none where that takes longer than who wants to know has time. The question goes on then.
    pub async fn asked_anew(self: &Arc<Self>, entry: &Entry) -> Option<Result<Arc<Answer>, UpstreamError>> {
        tokio::time::timeout(IN_DOUBT_WAIT, self.fetch(&entry.token)).await.ok()
    }

    async fn ask(&self, token: &PodToken) -> Result<Arc<Answer>, UpstreamError> {
        // It is never closed; where it were, there would be no limit.
        let _permit = self.fetches.acquire().await;
        let credentials = self.upstream.assume(token).await?;
        let answer = Answer::new(&credentials, self.clock.now());
        if !answer.is_good(answer.fetched_at) {
            let end = moment_text(&answer.expires_at);
            let reason = format!("its credentials end at {end}, too soon to be of use");
            return Err(UpstreamError::Fault { whom: "the issuer of credentials", reason });
        }
        Ok(Arc::new(answer))
    }

    /// Keeps what came; forgets what is not to be kept any longer.
    fn settle(&self, token: &PodToken, fetched: &Result<Arc<Answer>, UpstreamError>) {
        let (now, digest) = (self.clock.now(), token.digest());
        match fetched {
            Ok(answer) => {
                self.outcomes.increment(Outcome::Vended);
                let due = self.options.schedule.renewal(&digest, answer.fetched_at, answer.expires_at);
                let share = || Arc::new(Share::new(self.options.pod_rate));
                self.shelf.put(token, answer, due, now, share);
            }
            Err(error) if error.is_final() => {
                self.outcomes.increment(Outcome::Refused);
                if self.shelf.remove(&digest) {
                    warn!(token.sha256 = %digest, %error, "credentials are forgotten: the other side refuses to renew them");
                }
            }
            Err(error) => {
                self.outcomes.increment(Outcome::Fault);
                debug!(token.sha256 = %digest, %error, "no credentials came");
                if let Some(entry) = self.shelf.find(&digest) {
                    self.put_off(&entry);
                }
            }
        }
        metrics::gauge!(names::AGENT_ENTRIES).set(self.shelf.len() as f64);
    }

    /// Has an entry renewed later, for now it could not be. One that was not due was only asked about, and has time.
    fn put_off(&self, entry: &Entry) {
        let (now, ends) = (self.clock.now(), entry.answer.load().expires_at);
        entry.asked_at.store(now.unix_timestamp(), Ordering::Relaxed);
        if entry.is_due(now) {
            entry.due(self.options.schedule.again(&entry.token.digest(), now, ends));
        }
    }
}

impl<U> fmt::Debug for Vault<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({:?})", self.options)
    }
}

#[cfg(test)]
impl<U> Vault<U> {
    /// Who is asked, for what was asked of them.
    pub(crate) fn upstream(&self) -> &U {
        &self.upstream
    }
}

#[cfg(test)]
pub(crate) mod tests;

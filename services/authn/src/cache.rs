//! The token cache: STS is asked once about a token, and what it said is kept for a while.
//!
//! What is kept is an identity or a definite refusal, never a mapping, never the token, never a fault. A hit saves the
//! question to STS and nothing else: format, dates, blocks and trusted accounts are looked at each time, before and after.
//! Each value has its end and its access key inside, judged by our own clock. What leaves the process is sealed with its own
//! key as associated data, and opened once when it comes back: whoever can write where values lie can neither make one up
//! nor move one. In the process, where the sealing key lies too, values are kept open and shared with those who ask.

mod key;
mod known;
mod redis;
mod seal;
mod shared;
mod value;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use lanyard_api::Fault;
use lanyard_kit::telemetry::{Counters, Label, names};
use lanyard_store::Keyed;
use metrics::{Counter, Gauge, counter, gauge};
use quick_cache::{UnitWeighter, sync::Cache};
use time::OffsetDateTime;

pub use self::redis::{InvalidRedis, RedisCache, RedisConfig, RedisLogin};
pub(crate) use key::CacheKey;
pub(crate) use known::Recalled;
use known::{Known, Read};
pub(crate) use seal::{SealKey, Sealer};
pub use shared::{NotShared, Shared, SharedCache};
use value::Value;

use crate::config::TokenCacheConfig;
use crate::snapshot::ClusterView;
use crate::verifier::{Question, Verification, Verifier};
use crate::warnings::Warnings;

/// What is kept by key, in bounded number. Keys are hashes already, so a quick hasher does.
type Kept<V> = Cache<CacheKey, V, UnitWeighter, RandomState>;

fn kept<V: Clone>(entries_max: u64) -> Kept<V> {
    let expected = usize::try_from(entries_max).unwrap_or(usize::MAX);
    Cache::with(expected, entries_max, UnitWeighter, RandomState::default(), Default::default())
}

/// A verifier whose answers are kept.
pub(crate) struct Cached<V, S = NotShared> {
    inner: V,
    shared: S,
    sealer: Keyed<Sealer>,
    config: TokenCacheConfig,
    kept: Kept<Arc<Known>>,
    /// Questions that STS is being asked, so that each is asked once: faults are shared by those who wait for them.
    asked: Kept<Result<Arc<Value>, Fault>>,
    metrics: CacheMetrics,
    /// Of values that do not open.
    about_unsealed: Warnings,
}

/// Where a token was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Memory,
    Redis,
}

impl Label for Level {
    const KEY: &'static str = names::LEVEL;
    const ALL: &'static [Self] = &[Self::Memory, Self::Redis];

    fn value(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

struct CacheMetrics {
    hits: Counters<Level>,
    misses: Counter,
    unsealed: Counter,
    entries: Gauge,
}

impl<V: Verifier, S: SharedCache> Cached<V, S> {
    pub(crate) fn new(inner: V, shared: S, sealer: Keyed<Sealer>, config: &TokenCacheConfig) -> Self {
        let metrics = CacheMetrics {
            hits: Counters::new(names::AUTHN_CACHE_HITS_TOTAL),
            misses: counter!(names::AUTHN_CACHE_MISSES_TOTAL),
            unsealed: counter!(names::AUTHN_CACHE_UNSEALED_TOTAL),
            entries: gauge!(names::AUTHN_CACHE_ENTRIES),
        };
        Self {
            inner,
            shared,
            sealer,
            config: config.clone(),
            kept: kept(config.entries_max),
            asked: kept(config.entries_max),
            metrics,
            about_unsealed: Warnings::default(),
        }
    }

    /// Opens what others share under a key, if it is about this question.
    fn open(&self, key: &CacheKey, sealed: &[u8], question: &Question<'_>) -> Option<Value> {
        let opened = self.sealer.get().open(key, sealed);
        let value = opened.and_then(|bytes| Value::read(&bytes)).filter(|value| value.is_about(question));
        if value.is_none() {
            self.metrics.unsealed.increment(1);
            // Whoever can write where values lie could fill the log too.
            if let Some(times) = self.about_unsealed.due(Instant::now()) {
                tracing::warn!(
                    { names::CLUSTER_NAME } = %question.cluster.cluster.id,
                    { names::CLUSTER_UID } = %question.cluster.uid,
                    { names::TOKEN_SHA256 } = %question.digest,
                    times,
                    "a cached answer did not open, was moved or forged: it is dropped and STS is asked"
                );
            }
        }
        value
    }

    /// Of those who ask at once about one token, one asks STS and the others wait for its answer.
    async fn miss(&self, key: CacheKey, question: Question<'_>) -> Result<Verification, Fault> {
        let flag = || AtomicBool::new(false);
        let (is_first, is_keeper, is_fresh, is_shared) = (flag(), flag(), flag(), flag());
        let answer = self.asked.get_or_insert_async(&key, async {
            is_first.store(true, Ordering::Relaxed);
            // Somebody else may have been answered since we looked.
            let known = self.kept.get(&key).map(|known| Arc::clone(&known.value));
            if let Some(value) = known.filter(|value| value.is_good_at(question.now)) {
                return Ok::<_, Infallible>(Ok(value));
            }
            is_keeper.store(true, Ordering::Relaxed);
            if let Some(value) = self.look(&key, &question).await {
                is_shared.store(true, Ordering::Relaxed);
                return Ok(Ok(Arc::new(value)));
            }
            is_fresh.store(true, Ordering::Relaxed);
            Ok(self.ask(&key, question).await.map(Arc::new))
        });
        let Ok(answer) = answer.await;
        let is_fresh = is_fresh.load(Ordering::Relaxed);
        if let Ok(value) = &answer
            && is_keeper.load(Ordering::Relaxed)
        {
            // Kept before the question is closed: whoever comes between finds the one or the other.
            self.keep(key, value, &question);
        }
        if is_first.load(Ordering::Relaxed) {
            self.asked.remove(&key);
        }
        let value = answer?;
        self.metrics.entries.set(self.kept.len() as f64);
        if is_fresh {
            self.metrics.misses.increment(1);
        } else {
            // Who waited for another's look at Redis found the answer in memory.
            let is_shared = is_shared.load(Ordering::Relaxed);
            self.metrics.hits.increment(if is_shared { Level::Redis } else { Level::Memory });
        }
        match value.answer_at(question.now) {
            Some(verification) if is_fresh => Ok(verification),
            Some(verification) => Ok(verification.marked_cached()),
            // A lifetime of nothing: the answer is good for whoever caused it, and kept for nobody.
            None if is_fresh => {
                self.kept.remove(&key);
                Ok(value.said(None))
            }
            None => {
                self.kept.remove(&key);
                self.inner.verify(question).await
            }
        }
    }

    fn keep(&self, key: CacheKey, value: &Arc<Value>, question: &Question<'_>) {
        let known = Known { value: Arc::clone(value), read: Read::of(question) };
        self.kept.insert(key, Arc::new(known));
    }

    /// What is kept of a token, while it counts. The token need not be read again: what it was taken apart into is kept too,
    /// with the rules that it was held to, and the same bytes under the same rules come to the same.
    pub(crate) fn recall(
        &self,
        key: &CacheKey,
        cluster: &Arc<ClusterView>,
        now: OffsetDateTime,
    ) -> Option<Recalled> {
        let known = self.kept.get(key).filter(|known| known.read.holds_at(cluster, now))?;
        let verification = known.value.answer_at(now)?.marked_cached();
        self.metrics.hits.increment(Level::Memory);
        Some(Recalled { known, verification })
    }

    /// What those who share know of the question.
    async fn look(&self, key: &CacheKey, question: &Question<'_>) -> Option<Value> {
        let sealed = self.shared.get(key.as_bytes()).await?;
        let value = self.open(key, &sealed, question)?.within(self.until(question));
        value.is_good_at(question.now).then_some(value)
    }

    /// Asks STS, whose answer is sealed for those who share, for as long as it may be kept.
    async fn ask(&self, key: &CacheKey, question: Question<'_>) -> Result<Value, Fault> {
        let verification = self.inner.verify(question).await?;
        let value = Value::new(verification, &question, self.until(&question));
        if self.shared.is_shared() {
            let sealed = self.sealer.get().seal(key, &value.write()?)?;
            self.shared.put(key.as_bytes(), &sealed, value.lifetime_at(question.now)).await;
        }
        Ok(value)
    }

    /// The ends of an identity and of a refusal that are made now: neither outlives the signature.
    fn until(&self, question: &Question<'_>) -> (OffsetDateTime, OffsetDateTime) {
        let end = |lifetime: Duration| (question.now + lifetime).min(question.token.not_after());
        (end(self.config.lifetime()), end(self.config.refusal()))
    }
}

impl<V: Verifier, S: SharedCache> Verifier for Cached<V, S> {
    async fn verify(&self, question: Question<'_>) -> Result<Verification, Fault> {
        let key = question.key;
        if let Some(known) = self.kept.get(&key) {
            if let Some(verification) = known.value.answer_at(question.now) {
                // The rules changed since, and the token was read by the new ones.
                self.keep(key, &known.value, &question);
                self.metrics.hits.increment(Level::Memory);
                return Ok(verification.marked_cached());
            }
            self.kept.remove(&key);
        }
        // In a box: the way to STS is long, and everybody else's request would carry its state along.
        Box::pin(self.miss(key, question)).await
    }
}

impl Verification {
    fn marked_cached(mut self) -> Self {
        if let Self::Verified(proven) = &mut self {
            proven.cached = true;
        }
        self
    }
}

#[cfg(test)]
mod tests;

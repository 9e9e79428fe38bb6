//! Redis as the second level of the token cache: one server, Sentinel or Cluster.
//!
//! Under `lanyard:tokens:2:` and the 64 hex digits of the cache key (a hash, from which nothing can be read) lies a sealed
//! value, put there with its own lifetime. An ACL user needs `~lanyard:tokens:2:* +getrange +set`; with Sentinel also `+role`
//! (and on the Sentinels themselves `+sentinel|get-master-addr-by-name`), with Cluster `+ping +asking +cluster|slots`.
//!
//! Redis is trusted with nothing and waited for by nobody. A question has a few milliseconds and is one of a bounded number;
//! whatever comes instead of an answer, STS is asked, as without Redis. A value goes there by a bounded queue behind the
//! request. Only the first [`VALUE_BYTES_MAX`] bytes of what lies there are fetched, however long somebody has made it. After
//! some failures in a row Redis is left alone for a while, then connected to anew and asked a question of our own, before
//! requests come to it again: no request is the one to find out.

mod address;
mod config;
mod connection;
mod connector;
mod link;
mod telemetry;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_kit::telemetry::{Label as _, trace::span};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tracing::Span;

pub use config::{InvalidRedis, RedisConfig, RedisLogin};
use connection::Verdict;
use connector::Connector;
use link::Keeper;
use telemetry::{Get, Put, Telemetry};

use super::SharedCache;

/// The longest value. A sealed identity has about 1 KiB; one with all the tags and ancestors that there may be, a few more.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Values on their way to Redis at once: enough to keep up with STS, few enough to leave it room for questions.
const PUTS_IN_FLIGHT_MAX: usize = 32;

/// The second level of the token cache, in Redis.
pub struct RedisCache {
    inner: Arc<Inner>,
    waiting: mpsc::Sender<Waiting>,
    /// What works for this cache ends with it.
    tasks: [AbortHandle; 2],
}

struct Inner {
    keeper: Keeper,
    telemetry: Telemetry,
    gets: Semaphore,
    get: Duration,
    put: Duration,
}

/// A value that waits to be put.
struct Waiting {
    key: String,
    sealed: Vec<u8>,
    milliseconds: u64,
    span: Span,
}

impl RedisCache {
    /// A cache that connects in the background, and goes on doing so for as long as there is no Redis. To be called within
    /// a runtime.
    ///
    /// # Errors
    /// [`InvalidRedis`] names the key and the rule.
    pub fn start(config: &RedisConfig) -> Result<Self, InvalidRedis> {
        let options = config.options()?;
        let (waiting, to_put) = mpsc::channel(options.puts_waiting_max);
        let inner = Arc::new(Inner {
            gets: Semaphore::new(options.in_flight_max),
            get: options.get,
            put: options.put,
            telemetry: Telemetry::new(),
            keeper: Keeper::new(options.failures_max, options.pause),
        });
        let connector = Connector::new(options)?;
        let (keeping, putting, config) = (Arc::clone(&inner), Arc::clone(&inner), config.clone());
        let keeping = tokio::spawn(async move {
            keeping.keeper.keep(connector, &config, &keeping.telemetry).await;
        });
        let putting = tokio::spawn(put_all(putting, to_put));
        Ok(Self { inner, waiting, tasks: [keeping.abort_handle(), putting.abort_handle()] })
    }

    /// Whether questions go to Redis now, for tests and readiness.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.inner.keeper.link().is_some()
    }
}

impl Drop for RedisCache {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisCache")
    }
}

impl SharedCache for RedisCache {
    async fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        let span = span::redis("GETRANGE");
        let (outcome, value) = self.inner.get(key).await;
        span::ended(&span, outcome.value(), matches!(outcome, Get::Timeout | Get::Fault));
        self.inner.telemetry.got(outcome);
        value
    }

    async fn put(&self, key: &[u8; 32], sealed: &[u8], lifetime: Duration) {
        let milliseconds = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return;
        }
        let takes = sealed.len() <= VALUE_BYTES_MAX && self.is_up();
        // It begins here, where the request is, and ends when the value is there.
        let span = || span::redis("SET");
        let waiting = || Waiting { key: name_of(key), sealed: sealed.to_vec(), milliseconds, span: span() };
        if !takes || self.waiting.try_send(waiting()).is_err() {
            self.inner.telemetry.put(Put::Dropped);
        }
    }
}

impl Inner {
    async fn get(&self, key: &[u8; 32]) -> (Get, Option<Vec<u8>>) {
        let Some(link) = self.keeper.link() else { return (Get::Skipped, None) };
        let Ok(_permit) = self.gets.try_acquire() else { return (Get::Skipped, None) };
        let started = Instant::now();
        let answer = timeout(self.get, link.connection().get(&name_of(key), VALUE_BYTES_MAX)).await;
        self.telemetry.took(started.elapsed());
        match answer {
            Ok(Ok(value)) => {
                link.answered();
                match value.len() {
                    // Redis says so of what is not there, and nothing of ours is empty.
                    0 => (Get::Miss, None),
                    length if length > VALUE_BYTES_MAX => (Get::Garbage, None),
                    _ => (Get::Hit, Some(value)),
                }
            }
            Ok(Err(error)) => {
                let verdict = Verdict::of(&error);
                self.telemetry.get_failed(&error);
                match verdict {
                    Verdict::Garbage => {
                        link.answered();
                        return (Get::Garbage, None);
                    }
                    Verdict::Gone => link.gone(),
                    Verdict::Full | Verdict::Fault => link.failed(),
                }
                (Get::Fault, None)
            }
            Err(_) => {
                self.telemetry.get_timed_out();
                link.failed();
                (Get::Timeout, None)
            }
        }
    }

    async fn put(&self, waiting: Waiting) -> Put {
        let Some(link) = self.keeper.link() else { return Put::Dropped };
        let Waiting { key, sealed, milliseconds, .. } = waiting;
        match timeout(self.put, link.connection().put(&key, &sealed, milliseconds)).await {
            Ok(Ok(())) => {
                link.answered();
                Put::Stored
            }
            Ok(Err(error)) => {
                self.telemetry.put_failed(&error);
                match Verdict::of(&error) {
                    Verdict::Full => Put::Full,
                    Verdict::Gone => {
                        link.gone();
                        Put::Fault
                    }
                    // It does not take values, and may well have some: questions judge whether it is any good.
                    Verdict::Garbage | Verdict::Fault => Put::Fault,
                }
            }
            Err(_) => {
                self.telemetry.put_timed_out();
                link.failed();
                Put::Timeout
            }
        }
    }
}

/// Puts what waits, until the cache is gone.
async fn put_all(inner: Arc<Inner>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut putting = JoinSet::new();
    while let Some(next) = waiting.recv().await {
        while putting.try_join_next().is_some() {}
        if putting.len() >= PUTS_IN_FLIGHT_MAX {
            putting.join_next().await;
        }
        let inner = Arc::clone(&inner);
        putting.spawn(async move {
            let (span, outcome) = (next.span.clone(), inner.put(next).await);
            span::ended(&span, outcome.value(), matches!(outcome, Put::Timeout | Put::Fault));
            inner.telemetry.put(outcome);
        });
    }
}

/// What comes before each key. The number is that of the values' form, as in their seal.
const PREFIX: &str = "lanyard:tokens:2:";

fn name_of(key: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
    let digits = key.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit);
    PREFIX.chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_prefix_and_64_hex_digits() {
        let mut key = [0; 32];
        key[0] = 0xab;
        key[31] = 0x01;
        assert_eq!(name_of(&key), format!("lanyard:tokens:2:ab{}01", "0".repeat(60)));
    }
}

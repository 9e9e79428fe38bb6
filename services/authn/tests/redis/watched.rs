//! A cache with its counters and its log.

use std::time::Duration;

use lanyard_authn::{RedisCache, RedisConfig, SharedCache as _};
use lanyard_kit::telemetry::TestLog;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::servers::eventually;

/// The lifetime of what is put there: longer than any test takes on a busy machine.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A Redis at this URL, with the patience of a loaded machine and little of ours.
pub(crate) fn config(url: String) -> RedisConfig {
    RedisConfig {
        url,
        get_milliseconds: 1_000,
        put_milliseconds: 5_000,
        connect_milliseconds: 5_000,
        pause_milliseconds: 50,
        ..RedisConfig::default()
    }
}

/// What one part has counted.
pub(crate) struct Counts(PrometheusHandle);

impl Counts {
    /// Makes the part with a recorder of its own.
    pub(crate) fn of<T>(make: impl FnOnce() -> T) -> (T, Self) {
        let recorder: PrometheusRecorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        (metrics::with_local_recorder(&recorder, make), Self(handle))
    }

    /// The value of a metric, given as it is shown.
    pub(crate) fn value(&self, shown: &str) -> u64 {
        let text = self.0.render();
        let line = text.lines().find_map(|line| line.strip_prefix(shown)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{shown} is not in\n{text}")).parse::<f64>().unwrap() as u64
    }
}

/// A cache with what it counts.
pub(crate) struct Watched {
    pub(crate) cache: RedisCache,
    counts: Counts,
}

impl Watched {
    pub(crate) fn start(config: &RedisConfig) -> Self {
        let (cache, counts) = Counts::of(|| RedisCache::start(config).unwrap());
        Self { cache, counts }
    }

    /// One that is connected.
    pub(crate) async fn up(config: &RedisConfig) -> Self {
        let watched = Self::start(config);
        watched.is_up().await;
        watched
    }

    pub(crate) async fn is_up(&self) {
        eventually("Redis is used", async || self.cache.is_up()).await;
    }

    pub(crate) fn gets(&self, outcome: &str) -> u64 {
        self.counts.value(&format!("lanyard_authn_redis_gets_total{{outcome=\"{outcome}\"}}"))
    }

    pub(crate) fn puts(&self, outcome: &str) -> u64 {
        self.counts.value(&format!("lanyard_authn_redis_puts_total{{outcome=\"{outcome}\"}}"))
    }

    pub(crate) fn shown_as_up(&self) -> bool {
        self.counts.value("lanyard_authn_redis_up") == 1
    }

    /// Puts a value there, and waits until it is.
    pub(crate) async fn store(&self, key: &[u8; 32], value: &[u8]) {
        let before = self.puts("stored");
        self.cache.put(key, value, LIFETIME).await;
        eventually("the value is stored", async || self.puts("stored") > before).await;
    }
}

/// Waits until the log says this.
pub(crate) async fn said(log: &TestLog, words: &str) {
    eventually(words, async || log.text().contains(words)).await;
}

//! The second level of the token cache, behind each replica's own.

use std::future::Future;
use std::time::Duration;

use super::redis::RedisCache;
use crate::config::{ConfigError, TokenCacheConfig};

/// A store of sealed values that replicas share: a second level behind each one's own.
pub trait SharedCache: Send + Sync + 'static {
    /// Whether anybody shares. Where nobody does, nothing is sealed for them.
    fn is_shared(&self) -> bool {
        true
    }
    /// What lies under a key. Whoever cannot be reached has nothing.
    fn get(&self, key: &[u8; 32]) -> impl Future<Output = Option<Vec<u8>>> + Send;
    /// Puts a value there for a while.
    fn put(&self, key: &[u8; 32], sealed: &[u8], lifetime: Duration) -> impl Future<Output = ()> + Send;
}

/// No second level.
#[derive(Debug, Clone, Copy, Default)]
pub struct NotShared;

impl SharedCache for NotShared {
    fn is_shared(&self) -> bool {
        false
    }

    async fn get(&self, _: &[u8; 32]) -> Option<Vec<u8>> {
        None
    }

    async fn put(&self, _: &[u8; 32], _: &[u8], _: Duration) {}
}

/// The second level as it is configured.
#[derive(Debug)]
pub enum Shared {
    /// Each replica has its own answers alone.
    Not(NotShared),
    /// They share a Redis.
    Redis(RedisCache),
}

impl Shared {
    /// The second level that the configuration names. It is connected to in the background: whoever starts does not wait for
    /// it. To be called within a runtime.
    ///
    /// # Errors
    /// [`ConfigError::Redis`] names the key and the rule.
    pub fn start(config: &TokenCacheConfig) -> Result<Self, ConfigError> {
        match &config.redis {
            Some(redis) => Ok(Self::Redis(RedisCache::start(redis)?)),
            None => Ok(Self::Not(NotShared)),
        }
    }
}

impl SharedCache for Shared {
    fn is_shared(&self) -> bool {
        match self {
            Self::Not(nobody) => nobody.is_shared(),
            Self::Redis(redis) => redis.is_shared(),
        }
    }

    async fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        match self {
            Self::Not(nobody) => nobody.get(key).await,
            Self::Redis(redis) => redis.get(key).await,
        }
    }

    async fn put(&self, key: &[u8; 32], sealed: &[u8], lifetime: Duration) {
        match self {
            Self::Not(nobody) => nobody.put(key, sealed, lifetime).await,
            Self::Redis(redis) => redis.put(key, sealed, lifetime).await,
        }
    }
}

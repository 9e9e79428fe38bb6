//! What may be told of bodies, which come before it is known whether their senders are to be let in.

use std::time::Duration;

use lanyard_kit::config::{COUNT_MAX, OutOfRange, in_range};
use serde::{Deserialize, Serialize};

use crate::{door::FRAME_BYTES, known::PARTS};

/// The longest that a message may take to come, in milliseconds: a call has no more time in all.
const TIMEOUT_MS_MAX: u64 = 60_000;
/// The most bytes of all that anybody may say: a TiB, which no machine has room for.
const BYTES_MAX: u64 = 1 << 40;

/// What is held and waited for of bodies, which are read before it is known whether their senders are to be let in. Of each body the first
/// 16 KiB do not count among the bytes of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BodiesConfig {
    /// Most bytes at once of messages of management calls on connections without a certificate; one message has room at least.
    pub messages_bytes_max: usize,
    /// Milliseconds within which a message of a management call has to be there, 1 to 60000.
    pub message_timeout_ms: u64,
    /// Most bytes at once of reviews of oneself; and as many of messages that need no signature.
    pub short_bytes_max: usize,
    /// Milliseconds within which a message that needs no signature has to be there, 1 to 60000. A review of oneself has a review's time.
    pub unsigned_timeout_ms: u64,
    /// Bodies of each of these kinds that did not come with their heads and are waited for at once. One more takes the place of the one
    /// that has been waited for longest, of the network that has most.
    pub awaited_max: usize,
    /// Those of them of one network, an IPv4 address or an IPv6 /48. One more takes the place of its own oldest.
    pub awaited_per_network_max: usize,
    /// Most bytes at once of messages of management calls on connections with a certificate of a cluster or a principal, which may have
    /// been deleted or blocked since. One caller has a quarter of it at most, and one message has room in that.
    pub known_messages_bytes_max: usize,
    /// Most bytes at once of reviews of API servers. One cluster has a quarter of it at most, and one review has room in that.
    pub reviews_bytes_max: usize,
    /// Bodies of either of these kinds that did not come with their heads and are waited for at once. One more takes the place of the one
    /// that has been waited for longest, of the caller who has most.
    pub known_awaited_max: usize,
}

impl Default for BodiesConfig {
    fn default() -> Self {
        Self {
            messages_bytes_max: 64 << 20,
            // 4 MiB by a line of 1 Mbit/s.
            message_timeout_ms: 40_000,
            short_bytes_max: 32 << 20,
            // Such a message is short, and sent in one go.
            unsigned_timeout_ms: 10_000,
            awaited_max: 2048,
            awaited_per_network_max: 512,
            known_messages_bytes_max: 256 << 20,
            reviews_bytes_max: 256 << 20,
            known_awaited_max: 16_384,
        }
    }
}

impl BodiesConfig {
    /// Looks at what the shapes cannot say, beside the longest message and the longest review.
    pub(super) fn validate(
        &self,
        message_bytes_max: usize,
        review_bytes_max: usize,
    ) -> Result<(), OutOfRange> {
        let message = message_bytes_max.saturating_add(FRAME_BYTES);
        let rooms = [
            ("gateway.bodies.messages_bytes_max", self.messages_bytes_max, message),
            (
                "gateway.bodies.known_messages_bytes_max",
                self.known_messages_bytes_max,
                message.saturating_mul(PARTS),
            ),
            (
                "gateway.bodies.reviews_bytes_max",
                self.reviews_bytes_max,
                review_bytes_max.saturating_mul(PARTS),
            ),
        ];
        for (key, bytes, least) in rooms {
            let least = least as u64;
            in_range(least..=BYTES_MAX.max(least), &[(key, bytes as u64)])?;
        }
        in_range(0..=BYTES_MAX, &[("gateway.bodies.short_bytes_max", self.short_bytes_max as u64)])?;
        let timeouts = [
            ("gateway.bodies.message_timeout_ms", self.message_timeout_ms),
            ("gateway.bodies.unsigned_timeout_ms", self.unsigned_timeout_ms),
        ];
        in_range(1..=TIMEOUT_MS_MAX, &timeouts)?;
        let counts = [
            ("gateway.bodies.awaited_max", self.awaited_max as u64),
            ("gateway.bodies.awaited_per_network_max", self.awaited_per_network_max as u64),
            ("gateway.bodies.known_awaited_max", self.known_awaited_max as u64),
        ];
        in_range(1..=COUNT_MAX, &counts)
    }

    pub(crate) fn message_timeout(&self) -> Duration {
        Duration::from_millis(self.message_timeout_ms)
    }

    pub(crate) fn unsigned_timeout(&self) -> Duration {
        Duration::from_millis(self.unsigned_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_lets_no_message_through_is_refused_by_name() {
        const MESSAGE: usize = 4 << 20;
        const REVIEW: usize = 2 << 20;
        let key = |change: fn(&mut BodiesConfig)| {
            let mut config = BodiesConfig::default();
            change(&mut config);
            config.validate(MESSAGE, REVIEW).err().map(|error| error.key)
        };
        assert_eq!(key(|_| ()), None);
        assert_eq!(key(|config| config.messages_bytes_max = MESSAGE + FRAME_BYTES), None);
        let bytes = Some("gateway.bodies.messages_bytes_max");
        assert_eq!(key(|config| config.messages_bytes_max = MESSAGE), bytes);
        let time = Some("gateway.bodies.message_timeout_ms");
        assert_eq!(key(|config| config.message_timeout_ms = 0), time);
        assert_eq!(key(|config| config.message_timeout_ms = 60_001), time);
        assert_eq!(key(|config| config.unsigned_timeout_ms = 0), Some("gateway.bodies.unsigned_timeout_ms"));
        assert_eq!(key(|config| config.awaited_max = 0), Some("gateway.bodies.awaited_max"));
        let network = Some("gateway.bodies.awaited_per_network_max");
        assert_eq!(key(|config| config.awaited_per_network_max = 0), network);
        assert_eq!(key(|config| config.known_awaited_max = 0), Some("gateway.bodies.known_awaited_max"));
        let known = Some("gateway.bodies.known_messages_bytes_max");
        assert_eq!(key(|config| config.known_messages_bytes_max = 4 * MESSAGE), known);
        assert_eq!(key(|config| config.reviews_bytes_max = 4 * REVIEW), None);
        let reviews = Some("gateway.bodies.reviews_bytes_max");
        assert_eq!(key(|config| config.reviews_bytes_max = 4 * REVIEW - 1), reviews);
    }
}

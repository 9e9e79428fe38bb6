//! What the doors can be told.

mod bodies;

use std::time::{Duration, Instant};

use lanyard_kit::config::{COUNT_MAX, OutOfRange, in_range};
use serde::{Deserialize, Serialize};

pub use bodies::BodiesConfig;

/// Seconds that the webhook files let an API server wait for our answer about a door. Past them it goes by the file's failure policy.
pub const WEBHOOK_TIMEOUT_SECONDS: u64 = 3;

/// The longest that a review may take here, in milliseconds: what is left of the API server's time is for the way there and back.
pub const REVIEW_TIMEOUT_MS_MAX: u64 = WEBHOOK_TIMEOUT_SECONDS * 1_000 - 100;

/// Limits of the doors. Every one is explicit, so that an operator sees what a caller can cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Most bytes of a review. An API server takes 1 MiB of headers, which come here as JSON.
    pub review_bytes_max: usize,
    /// Most bytes of a management call's message.
    pub message_bytes_max: usize,
    /// Most reviews in work at once; one more is shed.
    pub reviews_in_flight_max: usize,
    /// Milliseconds from a review's head until it is answered without its answer, 1 to [`REVIEW_TIMEOUT_MS_MAX`]: where the API server
    /// gave up first, RBAC would decide with the groups in its cache.
    pub review_timeout_ms: u64,
    /// Decisions that wait to be recorded; one more is dropped and counted.
    pub recorder_queue_max: usize,
    /// Answers to token reviews that are kept to be given again while they are the same, at some 2 KB each; none where it is 0.
    pub answers_max: usize,
    /// Clusters that have a name of their own among the metrics; those beyond share the name `other`.
    pub metric_clusters_max: usize,
    /// Bodies, which come before it is known whether their senders are to be let in.
    pub bodies: BodiesConfig,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            review_bytes_max: 4 << 20,
            message_bytes_max: 4 << 20,
            reviews_in_flight_max: 4096,
            review_timeout_ms: 2500,
            recorder_queue_max: 16_384,
            answers_max: 65_536,
            metric_clusters_max: 100,
            bodies: BodiesConfig::default(),
        }
    }
}

impl GatewayConfig {
    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`OutOfRange`] names the key.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let counts = [
            ("gateway.reviews_in_flight_max", self.reviews_in_flight_max as u64),
            ("gateway.recorder_queue_max", self.recorder_queue_max as u64),
            ("gateway.answers_max", self.answers_max as u64),
        ];
        in_range(0..=COUNT_MAX, &counts)?;
        self.bodies.validate(self.message_bytes_max, self.review_bytes_max)?;
        in_range(1..=REVIEW_TIMEOUT_MS_MAX, &[("gateway.review_timeout_ms", self.review_timeout_ms)])
    }

    /// Until a review is answered without its answer.
    pub fn review_timeout(&self) -> Duration {
        Duration::from_millis(self.review_timeout_ms)
    }

    /// What is left of it for a review whose head came then: its body may have taken its time, and the API server has waited for both.
    pub(crate) fn review_left(&self, begun: Instant) -> Duration {
        self.review_timeout().saturating_sub(begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immunity_59_a_review_is_answered_before_the_api_server_gives_it_up() {
        let with = |review_timeout_ms| {
            GatewayConfig { review_timeout_ms, ..GatewayConfig::default() }
                .validate()
                .map_err(|error| error.to_string())
        };
        for good in [1, GatewayConfig::default().review_timeout_ms, REVIEW_TIMEOUT_MS_MAX] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in [0, REVIEW_TIMEOUT_MS_MAX + 1, WEBHOOK_TIMEOUT_SECONDS * 1_000, 10_000] {
            let said = format!("gateway.review_timeout_ms: `{bad}` is out of range, use 1 to 2900");
            assert_eq!(with(bad), Err(said));
        }
    }

    #[test]
    fn immunity_59_what_a_body_took_to_come_is_no_more_there_for_the_answer() {
        let config = GatewayConfig::default();
        let before = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        assert!(config.review_left(before(0)) <= config.review_timeout());
        assert!(config.review_left(before(2)) <= Duration::from_millis(500));
        assert_eq!(config.review_left(before(3)), Duration::ZERO);
    }
}

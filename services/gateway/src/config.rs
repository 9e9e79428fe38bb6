//! What the doors can be told.

use std::time::Duration;

use lanyard_kit::config::{COUNT_MAX, OutOfRange, in_range};
use serde::{Deserialize, Serialize};

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
    /// Milliseconds until a review is answered without its answer: less than the 3 s that our webhook files allow.
    pub review_timeout_ms: u64,
    /// Decisions that wait to be recorded; one more is dropped and counted.
    pub recorder_queue_max: usize,
    /// Answers to token reviews that are kept to be given again while they are the same, at some 2 KB each; none where it is 0.
    pub answers_max: usize,
    /// Clusters that have a name of their own among the metrics; those beyond share the name `other`.
    pub metric_clusters_max: usize,
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
        in_range(0..=COUNT_MAX, &counts)
    }

    /// Until a review is answered without its answer.
    pub fn review_timeout(&self) -> Duration {
        Duration::from_millis(self.review_timeout_ms)
    }
}

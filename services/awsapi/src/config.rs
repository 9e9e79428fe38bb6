//! What the door can be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of the door of the AWS wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AwsApiConfig {
    /// Most bytes of a request's body. The largest that the models allow are policy documents of 128 KiB, percent-encoded.
    pub body_bytes_max: usize,
    /// Most requests in work at once; one more is answered by a throttling error, upon which SDKs wait and try again.
    pub requests_in_flight_max: usize,
    /// Milliseconds until a request is answered without its answer: SDKs wait a minute.
    pub request_timeout_ms: u64,
}

impl Default for AwsApiConfig {
    fn default() -> Self {
        Self { body_bytes_max: 1 << 20, requests_in_flight_max: 1024, request_timeout_ms: 30_000 }
    }
}

impl AwsApiConfig {
    /// Until a request is answered without its answer.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// In words that name the key, the rule and the next step.
    pub fn validate(&self) -> Result<(), String> {
        let limits = [
            ("body_bytes_max", self.body_bytes_max as u64),
            ("requests_in_flight_max", self.requests_in_flight_max as u64),
            ("request_timeout_ms", self.request_timeout_ms),
        ];
        match limits.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("awsapi.{key}: 0 lets nothing through, give at least 1")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_lets_nothing_through_is_refused_by_name() {
        assert_eq!(AwsApiConfig::default().validate(), Ok(()));
        let config = AwsApiConfig { body_bytes_max: 0, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.body_bytes_max"));
        let config = AwsApiConfig { request_timeout_ms: 0, ..AwsApiConfig::default() };
        assert!(config.validate().unwrap_err().starts_with("awsapi.request_timeout_ms"));
    }
}

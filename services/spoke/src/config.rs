//! What the spoke service is told.

use std::time::Duration;

use lanyard_kit::config::{OutOfRange, SECONDS_MAX, in_range};
use serde::{Deserialize, Serialize};

use crate::{mirror::Bounds, wire::Resource};

/// Limits and times of the watch on one cluster, and of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpokeConfig {
    /// Whether this process watches spoke clusters. `lanyard serve` does by default.
    pub enabled: bool,
    /// Most clusters that one replica watches.
    pub clusters_max: usize,
    /// Most RBAC objects of one cluster.
    pub objects_max: usize,
    /// Most bytes of them, as they are passed on: below what authz takes with one message (16 MiB).
    pub rbac_bytes_max: usize,
    /// Most ServiceAccounts of one cluster.
    pub service_accounts_max: usize,
    /// Most bytes of them, as they are passed on: below what credentials takes with one message (16 MiB).
    pub service_account_bytes_max: usize,
    /// How often the issuer of ServiceAccount tokens and its keys are read: an API server has no watch on them. A new key counts
    /// here so long after it is served.
    pub issuer_seconds: u64,
    /// Most objects of one part of a list; fewer are asked for where they are longer than is read.
    pub page_objects: u32,
    /// Most bytes of one part of a list, and of one event. Objects come whole: one alone has to fit.
    pub answer_bytes_max: usize,
    /// How long the changes of one moment are gathered before they are pushed.
    pub batch_milliseconds: u64,
    /// Least time between two pushes of one cluster: a cluster that changes all the time is pushed this often.
    pub push_milliseconds: u64,
    /// How long a request to an API server may take.
    pub request_seconds: u64,
    /// How long a review of a pod's token may take. Who asks for one does not wait as long (`credentials.vend.pod_review_milliseconds`).
    pub review_milliseconds: u64,
    /// How long one watch lasts. API servers end them after some minutes by themselves.
    pub watch_seconds: u64,
    /// Without a word for so long (API servers send a bookmark each minute) a watch counts as cut.
    pub silence_seconds: u64,
    /// How often a lease is renewed, and the state of the watch told. Less than a third of the lease.
    pub renew_milliseconds: u64,
    /// How often all that is seen is pushed anew, in case another has pushed something older in between. What is the same is
    /// no change.
    pub resync_seconds: u64,
    /// The longest pause before something is tried again that failed.
    pub pause_seconds_max: u64,
}

impl Default for SpokeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            clusters_max: 1_000,
            objects_max: 50_000,
            rbac_bytes_max: 12 << 20,
            service_accounts_max: 50_000,
            service_account_bytes_max: 12 << 20,
            issuer_seconds: 60,
            page_objects: 500,
            answer_bytes_max: 16 << 20,
            batch_milliseconds: 100,
            push_milliseconds: 1_000,
            request_seconds: 20,
            review_milliseconds: 2_000,
            watch_seconds: 240,
            silence_seconds: 120,
            renew_milliseconds: 4_000,
            resync_seconds: 600,
            pause_seconds_max: 30,
        }
    }
}

/// A value that breaks its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nothing of something.
    #[error("spoke.{0} is 0, and nothing would ever be done: give at least 1")]
    Zero(&'static str),
    /// A time that no clock gets to the end of.
    #[error("spoke.{0}")]
    OutOfRange(#[from] OutOfRange),
}

impl SpokeConfig {
    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`ConfigError`] names the value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("clusters_max", self.clusters_max as u64),
            ("objects_max", self.objects_max as u64),
            ("rbac_bytes_max", self.rbac_bytes_max as u64),
            ("service_accounts_max", self.service_accounts_max as u64),
            ("service_account_bytes_max", self.service_account_bytes_max as u64),
            ("issuer_seconds", self.issuer_seconds),
            ("page_objects", self.page_objects.into()),
            ("answer_bytes_max", self.answer_bytes_max as u64),
            ("request_seconds", self.request_seconds),
            ("review_milliseconds", self.review_milliseconds),
            ("watch_seconds", self.watch_seconds),
            ("silence_seconds", self.silence_seconds),
            ("renew_milliseconds", self.renew_milliseconds),
            ("resync_seconds", self.resync_seconds),
            ("pause_seconds_max", self.pause_seconds_max),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero(name));
        }
        let times = [
            ("issuer_seconds", self.issuer_seconds),
            ("request_seconds", self.request_seconds),
            ("watch_seconds", self.watch_seconds),
            ("silence_seconds", self.silence_seconds),
            ("resync_seconds", self.resync_seconds),
            ("pause_seconds_max", self.pause_seconds_max),
        ];
        Ok(in_range(1..=SECONDS_MAX, &times)?)
    }

    pub(crate) fn rbac_bounds(&self) -> Bounds {
        Bounds { objects_max: self.objects_max, bytes_max: self.rbac_bytes_max }
    }

    pub(crate) fn service_account_bounds(&self) -> Bounds {
        Bounds { objects_max: self.service_accounts_max, bytes_max: self.service_account_bytes_max }
    }

    /// How much of a list is read.
    pub(crate) fn bounds_of(&self, resource: Resource) -> Bounds {
        match resource {
            Resource::ServiceAccounts => self.service_account_bounds(),
            _ => self.rbac_bounds(),
        }
    }

    pub(crate) fn renew(&self) -> Duration {
        Duration::from_millis(self.renew_milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_never_do_anything_is_named() {
        assert_eq!(SpokeConfig::default().validate(), Ok(()));
        let refused = SpokeConfig { watch_seconds: 0, ..SpokeConfig::default() }.validate().unwrap_err();
        assert!(refused.to_string().starts_with("spoke.watch_seconds is 0"), "{refused}");
    }
}

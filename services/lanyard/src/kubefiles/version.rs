//! Which release of Kubernetes an API server is of, and how it can be told of our authorizer.
//!
//! Read off the API server's sources: `AuthorizationConfiguration` is v1alpha1 in 1.29 (behind a feature gate), v1beta1 since 1.30,
//! v1 since 1.32. It is read strictly: a member that a release does not know keeps its API server from starting. The switches
//! `cacheAuthorizedRequests` and `cacheUnauthorizedRequests` came with 1.34; before, a time of nought means the default.

use std::{fmt, str::FromStr};

use lanyard_api::kubernetes::{NEWEST_MINOR, OLDEST_MINOR};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A minor release of Kubernetes 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion(u32);

/// The oldest release whose webhooks speak v1.
const OLDEST: KubernetesVersion = KubernetesVersion(OLDEST_MINOR);

/// A text that is no release of Kubernetes, or one too old.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not of the form.
    #[error("`{0}` is no release of Kubernetes: write 1.NN, as `kubectl version` shows it")]
    Malformed(String),
    /// Older than anything that can be configured.
    #[error("Kubernetes {0} cannot ask this hub: its webhooks do not speak v1; {oldest} is the oldest that can", oldest = OLDEST)]
    TooOld(KubernetesVersion),
}

/// How an API server is told of our authorizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By an `AuthorizationConfiguration`.
    File(Structured),
    /// By flags alone: one webhook, asked about every request.
    Flags,
}

/// What an `AuthorizationConfiguration` can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structured {
    /// `apiserver.config.k8s.io/…`.
    pub api_version: &'static str,
    /// Whether caches have switches; else their times are as short as can be.
    pub has_cache_switches: bool,
    /// Whether a feature gate has to be opened.
    pub needs_gate: bool,
}

impl KubernetesVersion {
    /// The release that files are written for unless another is named.
    pub const CURRENT: Self = Self(NEWEST_MINOR);

    /// All that are known.
    pub fn newest_first() -> impl Iterator<Item = Self> {
        (OLDEST_MINOR..=NEWEST_MINOR).rev().map(Self)
    }

    /// How its API server is told.
    pub fn way(self) -> Way {
        let api_version = match self.0 {
            ..=28 => return Way::Flags,
            29 => "apiserver.config.k8s.io/v1alpha1",
            30..=31 => "apiserver.config.k8s.io/v1beta1",
            32.. => "apiserver.config.k8s.io/v1",
        };
        Way::File(Structured { api_version, has_cache_switches: self.0 >= 34, needs_gate: self.0 == 29 })
    }
}

impl Way {
    /// Whether an API server's flags, and the `AuthorizationConfiguration` beside them if there is one, tell it in this way. What
    /// people have changed in them beside is theirs.
    pub fn is_of(self, flags: &str, configuration: Option<&str>) -> bool {
        let has = |flag: &str| flags.lines().any(|line| line.trim_start().starts_with(flag));
        match self {
            Self::File(structured) => {
                has("--authorization-config=") && configuration.is_some_and(|text| structured.is_of(text))
            }
            Self::Flags => has("--authorization-webhook-config-file="),
        }
    }
}

impl Structured {
    fn is_of(self, configuration: &str) -> bool {
        let Ok(configuration) = serde_saphyr::from_str::<Value>(configuration) else { return false };
        let authorizers = configuration.get("authorizers").and_then(Value::as_array);
        let has_switches =
            |authorizer: &Value| authorizer.pointer("/webhook/cacheAuthorizedRequests").is_some();
        configuration.get("apiVersion").and_then(Value::as_str) == Some(self.api_version)
            && authorizers.into_iter().flatten().any(has_switches) == self.has_cache_switches
    }
}

impl Serialize for KubernetesVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl FromStr for KubernetesVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let malformed = || VersionError::Malformed(text.chars().take(40).collect());
        let rest = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.").ok_or_else(malformed)?;
        // What a patch or a vendor adds changes nothing: `1.31.4`, `1.31.4-eks-0123`, `1.31+`.
        let minor = rest.split(['.', '-', '+']).next().unwrap_or_default();
        if minor.len() > 3 || !minor.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let version = Self(minor.parse().map_err(|_| malformed())?);
        if version < OLDEST { Err(VersionError::TooOld(version)) } else { Ok(version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_with_whatever_its_vendor_adds() {
        for (text, minor) in
            [("1.35", 35), ("v1.31.4", 31), ("1.29.0-eks-a18cd3a", 29), ("1.30+", 30), ("1.17", 17)]
        {
            assert_eq!(text.parse(), Ok(KubernetesVersion(minor)), "{text}");
        }
        for text in ["", "1", "1.", "2.31", "31", "1.x", "1.-1", "1.3000", "latest"] {
            assert!(matches!(text.parse::<KubernetesVersion>(), Err(VersionError::Malformed(_))), "{text}");
        }
        assert_eq!("1.16".parse::<KubernetesVersion>(), Err(VersionError::TooOld(KubernetesVersion(16))));
    }

    #[test]
    fn each_release_is_told_in_the_way_that_it_understands() {
        let file = |text: &str| match text.parse::<KubernetesVersion>().unwrap().way() {
            Way::Flags => None,
            Way::File(file) => {
                let version = file.api_version.rsplit_once('/').unwrap().1;
                Some((version, file.has_cache_switches, file.needs_gate))
            }
        };
        assert_eq!(file("1.35"), Some(("v1", true, false)));
        assert_eq!(file("1.34"), Some(("v1", true, false)));
        assert_eq!(file("1.33"), Some(("v1", false, false)));
        assert_eq!(file("1.32"), Some(("v1", false, false)));
        assert_eq!(file("1.31"), Some(("v1beta1", false, false)));
        assert_eq!(file("1.30"), Some(("v1beta1", false, false)));
        assert_eq!(file("1.29"), Some(("v1alpha1", false, true)));
        assert_eq!(file("1.28"), None);
    }
}

//! The releases of Kubernetes that a hub is made for.

use std::fmt;

/// The oldest minor release of Kubernetes 1 whose webhooks speak v1, so that its API servers can ask a hub.
pub const OLDEST_MINOR: u32 = 17;

/// The newest one that this version of Lanyard knows. Newer ones can ask a hub as well.
pub const NEWEST_MINOR: u32 = 35;

/// A minor release of Kubernetes 1 whose API servers can ask a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesRelease(u32);

impl KubernetesRelease {
    /// All that are known, the oldest first; as text they are in the same order.
    pub fn all() -> impl Iterator<Item = Self> {
        (OLDEST_MINOR..=NEWEST_MINOR).map(Self)
    }

    /// Whether there is none newer.
    #[must_use]
    pub fn is_newest(self) -> bool {
        self.0 == NEWEST_MINOR
    }
}

impl fmt::Display for KubernetesRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_come_in_the_order_of_their_texts_and_the_last_is_the_newest() {
        let all: Vec<KubernetesRelease> = KubernetesRelease::all().collect();
        assert!(all.windows(2).all(|two| two[0].to_string() < two[1].to_string()), "{all:?}");
        assert_eq!(all.first().map(ToString::to_string), Some(format!("1.{OLDEST_MINOR}")));
        let newest: Vec<String> =
            all.iter().filter(|release| release.is_newest()).map(ToString::to_string).collect();
        assert_eq!(newest, [format!("1.{NEWEST_MINOR}")]);
    }
}

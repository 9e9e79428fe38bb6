//! How often somebody may ask, so that no pod starves the node.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Most addresses whose newcomers are counted; beyond it, those that have not asked for a while are let go.
const ADDRESSES_MAX: usize = 4_096;

/// How many a second, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// So many a second and at once; at least one of each.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

/// What one pod, or the node, may ask for.
#[derive(Debug)]
pub struct Share(DefaultDirectRateLimiter);

impl Share {
    /// A share of its own.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self(RateLimiter::direct(rate.quota()))
    }

    /// Whether one more is within it.
    #[must_use]
    pub fn take(&self) -> bool {
        self.0.check().is_ok()
    }

    /// Waits until one more is within it.
    pub async fn wait(&self) {
        self.0.until_ready().await;
    }
}

/// The shares of those who come with a token that nobody has vouched for yet, one for each address.
pub struct Newcomers {
    rate: Rate,
    each: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>,
}

impl Newcomers {
    /// Each address has this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, each: RateLimiter::dashmap(rate.quota()) }
    }

    /// Whether one more from there is within its share. Where there are more addresses than can be counted, none is.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> bool {
        if self.each.len() >= ADDRESSES_MAX {
            self.each.retain_recent();
            if self.each.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        self.each.check_key(&address).is_ok()
    }
}

impl std::fmt::Debug for Newcomers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Newcomers({:?})", self.rate)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_burst_ends_and_another_address_has_its_own() {
        let newcomers = Newcomers::new(Rate::new(1, 3));
        let (one, other) = (IpAddr::from([10, 88, 0, 5]), IpAddr::from([10, 88, 0, 6]));
        let taken: Vec<bool> = (0..4).map(|_| newcomers.take(one)).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(newcomers.take(other));
    }

    #[test]
    fn addresses_are_bounded() {
        let newcomers = Newcomers::new(Rate::new(1, 1));
        let taken =
            (0..ADDRESSES_MAX as u32 + 9).filter(|n| newcomers.take(Ipv4Addr::from(*n).into())).count();
        assert!(taken <= ADDRESSES_MAX, "{taken}");
    }
}

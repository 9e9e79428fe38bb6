//! How many connections each address holds, so that one cannot hold them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections of each address that has any. It holds no more addresses than the listener has connections.
#[derive(Debug)]
pub struct Shares {
    most: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address; it is given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    of: Arc<Shares>,
    address: IpAddr,
}

impl Shares {
    /// So many for each address.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// One more for this address, if it may have it; in IPv4 and IPv6 it is the same one.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let address = address.to_canonical();
        let mut held = self.held();
        if held.get(&address).copied().unwrap_or_default() >= self.most {
            return None;
        }
        *held.entry(address).or_default() += 1;
        Some(Share { of: Arc::clone(self), address })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        if let Some(count) = held.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_what_it_gives_back() {
        let shares = Shares::new(2);
        let [one, same, other] =
            ["10.88.0.5", "::ffff:10.88.0.5", "10.88.0.6"].map(|text| text.parse().unwrap());
        let first = shares.take(one);
        let second = shares.take(same);
        assert!(shares.take(one).is_none() && shares.take(same).is_none());
        assert!(shares.take(other).is_some());
        drop(second);
        let third = shares.take(one);
        assert!(third.is_some());
        drop((first, third));
        assert!(shares.held().is_empty(), "who holds none takes no memory");
    }
}

//! An internet for tests: what names have for addresses, and who is there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names whose addresses a test changes as it goes, in place of DNS, and stand-ins on this machine that play who is at an address. A
/// played address is judged by the address rules as one of DNS's is, before anybody is called. Clones are the same internet.
#[derive(Clone, Default)]
pub struct TestInternet {
    played: Arc<Mutex<Played>>,
}

#[derive(Default)]
struct Played {
    names: BTreeMap<String, Vec<IpAddr>>,
    hosts: BTreeMap<IpAddr, SocketAddr>,
    looks: u64,
}

impl TestInternet {
    /// A name has these addresses from the next look on.
    pub fn point(&self, name: &str, addresses: &[IpAddr]) {
        self.locked().names.insert(name.to_owned(), addresses.to_vec());
    }

    /// Who is called at an address is a stand-in, which listens there.
    pub fn place(&self, address: IpAddr, stand_in: SocketAddr) {
        self.locked().hosts.insert(address, stand_in);
    }

    /// How often a name was looked up.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.locked().looks
    }

    /// What a name has for addresses now; none for one that is not there.
    pub(super) fn look(&self, name: &str) -> Vec<SocketAddr> {
        let mut played = self.locked();
        played.looks += 1;
        let addresses = played.names.get(name).map(Vec::as_slice).unwrap_or_default();
        addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect()
    }

    /// Where the stand-ins of these addresses listen.
    pub(super) fn stand_ins(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let played = self.locked();
        addresses.iter().filter_map(|address| played.hosts.get(&address.ip()).copied()).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for TestInternet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.played, &other.played)
    }
}

impl Eq for TestInternet {}

impl std::fmt::Debug for TestInternet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestInternet")
    }
}

//! Ports of the loopback address for programs that are told theirs.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Result, ensure};

/// The first that is taken.
const PORT_MIN: u16 = 20_000;
/// How many are tried before it is said that there are none.
const TRIES_MAX: usize = 1_000;
/// Where Linux says which it gives to those who do not ask for one (`ip_local_port_range`), and what it says by default.
const GIVEN: (&str, u16) = ("/proc/sys/net/ipv4/ip_local_port_range", 32_768);

/// One on which nobody listens now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(free_addresses(1)?.first().map_or(0, SocketAddr::port))
}

/// So many, no two the same. They are below those that the kernel gives by itself: one of those may be the source of somebody's connection
/// by the time that the program is there.
pub(crate) fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let given = fs::read_to_string(GIVEN.0).ok();
    let given = given.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(GIVEN.1);
    let range = u64::from(given.saturating_sub(PORT_MIN)).max(1);
    let mut taken = Vec::with_capacity(count);
    for number in 0..TRIES_MAX {
        if taken.len() == count {
            break;
        }
        let port = u64::from(PORT_MIN) + RandomState::new().hash_one(number) % range;
        // All are held before the first is let go.
        taken.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, u16::try_from(port)?)));
    }
    ensure!(taken.len() == count, "no {count} free ports from {PORT_MIN} to {given} on the loopback address");
    Ok(taken.iter().map(TcpListener::local_addr).collect::<std::io::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_free_and_each_another() {
        let addresses = free_addresses(50).unwrap();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), 50);
        let listened: Vec<_> = addresses.iter().map(TcpListener::bind).collect();
        assert!(listened.iter().all(Result::is_ok), "{listened:?}");
    }
}

//! What counts as one of those whom nothing but their address tells apart.

use std::net::{IpAddr, Ipv6Addr};

/// The network of an address: of IPv4 the address itself, also where it is written as IPv6, and of IPv6 so many leading bits, for any
/// number of addresses with the same ones cost their holder nothing.
#[must_use]
pub fn network_of(address: IpAddr, v6_prefix_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u128::BITS.saturating_sub(v6_prefix_bits)).unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ipv4_an_address_counts_and_of_ipv6_a_prefix() {
        for (address, bits, network) in [
            ("198.51.100.7", 48, "198.51.100.7"),
            ("::ffff:198.51.100.7", 48, "198.51.100.7"),
            ("2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 129, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 0, "::"),
        ] {
            let (address, network): (IpAddr, IpAddr) = (address.parse().unwrap(), network.parse().unwrap());
            assert_eq!(network_of(address, bits), network, "{address} {bits}");
        }
    }
}

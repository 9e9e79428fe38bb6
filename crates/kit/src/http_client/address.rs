//! Which addresses may be called.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which hosts may have addresses that are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressRules {
    private_hosts: BTreeSet<String>,
    everywhere: bool,
}

impl AddressRules {
    /// Public addresses only.
    #[must_use]
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Every address of every host: only for URLs that nobody but the machine's own configuration gives.
    #[must_use]
    pub fn everywhere() -> Self {
        Self { private_hosts: BTreeSet::new(), everywhere: true }
    }

    /// This host, named exactly, may be private: an STS of one's own, a VPC endpoint.
    #[must_use]
    pub fn allow_private(mut self, host: &str) -> Self {
        self.private_hosts.insert(host.to_ascii_lowercase());
        self
    }

    /// Whether `host` may be called at `address`.
    #[must_use]
    pub fn allow(&self, host: &str, address: IpAddr) -> bool {
        self.everywhere || is_public(address) || self.private_hosts.contains(&host.to_ascii_lowercase())
    }
}

/// Whether an address is in the public internet: neither this machine, nor a private or special network, nor any of
/// these dressed as another kind (IANA's special-purpose registries).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0 // this network
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && (b == 18 || b == 19)) // benchmarks
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low), // IPv4-mapped
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64
        [0x2002, high, low, ..] => embedded(high, low),            // 6to4
        [0x2001, second, ..] if second < 0x200 => false,           // protocol assignments, Teredo among them
        [0x2001, 0xdb8, ..] => false,                              // documentation
        [first, ..] => (0x2000..0x3ff0).contains(&first), // what is handed out at all, but for documentation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let cases = [
            ("54.239.28.85", true),
            ("1.1.1.1", true),
            ("172.15.255.255", true),
            ("172.32.0.1", true),
            ("100.128.0.1", true),
            ("2600:1f18::1", true),
            ("2a05:d018::1", true),
            ("::ffff:54.239.28.85", true),
            ("64:ff9b::36ef:1c55", true),
            ("127.0.0.1", false),
            ("127.255.0.9", false),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("169.254.170.23", false),
            ("100.64.0.1", false),
            ("192.0.0.192", false),
            ("198.18.0.1", false),
            ("203.0.113.7", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::7f00:1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("2002:a9fe:a9fe::1", false),
            ("2001:0:a9fe::1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ];
        for (address, expected) in cases {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_private_address_is_allowed_by_the_exact_name_of_its_host() {
        let rules = AddressRules::public_only().allow_private("STS.internal.example");
        let private = IpAddr::from([10, 0, 0, 1]);
        let cases =
            [("sts.internal.example", true), ("x.sts.internal.example", false), ("internal.example", false)];
        for (host, expected) in cases {
            assert_eq!(rules.allow(host, private), expected, "{host}");
        }
        assert!(AddressRules::everywhere().allow("internal.example", private));
        assert!(!AddressRules::public_only().allow("internal.example", private));
    }
}

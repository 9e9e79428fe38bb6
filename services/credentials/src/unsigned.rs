//! How often a stranger may ask. Whoever asks without a signature is known by nothing but the address that the door saw.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Instant,
};

use lanyard_api::Fault;
use lanyard_aws::Buckets;

use crate::config::UnsignedConfig;

/// Addresses that are remembered at once, each in about 50 bytes.
const ADDRESSES_MAX: usize = 65_536;
/// What one subscriber has of IPv6 at least (RFC 6177), in bits: any number of addresses in it costs nothing.
const V6_PREFIX_BITS: u32 = 64;

/// The buckets of strangers.
pub(crate) struct Strangers {
    of_address: Buckets<Option<IpAddr>>,
    of_all: Buckets<()>,
}

impl Strangers {
    pub(crate) fn new(config: &UnsignedConfig) -> Self {
        Self {
            of_address: Buckets::new(config.per_address, ADDRESSES_MAX),
            of_all: Buckets::new(config.all, 1),
        }
    }

    /// Takes one call. Whoever is over the limit of an address takes nothing of what all share; those without an address share one.
    pub(crate) fn admit(&self, from: Option<IpAddr>, now: Instant) -> Result<(), Fault> {
        let throttled =
            |part: &'static str| move |wait| Fault::Throttled { part: part.into(), retry_after: Some(wait) };
        let of_address = self.of_address.take(from.map(network), now);
        of_address.map_err(throttled("this address's share of unsigned calls"))?;
        self.of_all.take((), now).map_err(throttled("the hub's share of unsigned calls"))
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - V6_PREFIX_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanyard_aws::Quota;

    use super::*;

    fn strangers(per_address: u32, all: u32) -> Strangers {
        let quota = |burst| Quota { per_second: 1, burst };
        Strangers::new(&UnsignedConfig { per_address: quota(per_address), all: quota(all) })
    }

    #[test]
    fn immunity_28_an_address_has_its_share_and_leaves_others_theirs() {
        let (strangers, now) = (strangers(2, 100), Instant::now());
        let ask = |from: &str| strangers.admit(Some(from.parse().unwrap()), now);
        let cases = [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::3", false),
            ("2001:db8:0:2::1", true),
        ];
        for (from, is_let_in) in cases {
            assert_eq!(ask(from).is_ok(), is_let_in, "{from}");
        }
        let fault = ask("192.0.2.1").unwrap_err();
        assert!(matches!(fault, Fault::Throttled { retry_after: Some(_), .. }), "{fault:?}");
        assert!(strangers.admit(Some("192.0.2.1".parse().unwrap()), now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn immunity_28_all_together_have_a_share_and_so_have_those_without_an_address() {
        let (few, now) = (strangers(2, 3), Instant::now());
        let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        assert!((1..=3).all(|last| few.admit(from(last), now).is_ok()));
        assert!(few.admit(from(4), now).is_err());
        let one = strangers(1, 100);
        assert!(one.admit(None, now).is_ok() && one.admit(None, now).is_err());
    }
}

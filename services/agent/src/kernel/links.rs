//! The agent's addresses on the node: on a dummy link of their own, or on `lo` where the kernel has no such links.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracing::{info, warn};

use super::netlink::{ACK, Bytes, CREATE, EXCLUSIVE, Kernel, KernelError, Message, Netlink, ROUTE};

/// The dummy link, named as the published agent's.
pub const LINK_NAME: &str = "pod-id-link0";
/// Where the addresses go without one: every node has it, and it has this number in every network.
const LOOPBACK_INDEX: u32 = 1;

/// linux/rtnetlink.h
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
/// linux/if_link.h
const LINK_NAME_ATTRIBUTE: u16 = 3;
const LINK_INFO: u16 = 18;
const LINK_INFO_KIND: u16 = 1;
/// `IFF_UP` of linux/if.h
const UP: u32 = 1;
/// linux/if_addr.h
const ADDRESS: u16 = 1;
const LOCAL_ADDRESS: u16 = 2;
const ADDRESS_FLAGS: u16 = 8;
/// Nobody else has it: it may be used at once (`IFA_F_NODAD`).
const NO_DUPLICATE_DETECTION: u32 = 2;
/// linux/rtnetlink.h, `RTA_*`, `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RT_SCOPE_LINK`, `RTN_UNICAST`
const DESTINATION: u16 = 1;
const OUTGOING_LINK: u16 = 4;
const TABLE_MAIN: u8 = 254;
const STATIC: u8 = 4;
const SCOPE_LINK: u8 = 253;
const SCOPE_UNIVERSE: u8 = 0;
const UNICAST: u8 = 1;
/// `EEXIST`
const IS_THERE: i32 = 17;
/// `EADDRNOTAVAIL`: the address is gone already.
const IS_GONE: i32 = 99;
/// `EOPNOTSUPP`: the kernel has no links of this kind.
const NO_SUCH_KIND: i32 = 95;
/// linux/socket.h
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;

/// Where the addresses go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the link that was just made, which goes when they do.
    Made,
    /// On the link of that name that was there, which is somebody else's to take down.
    Found,
    /// On `lo`: the kernel has no links of this kind.
    Loopback,
}

impl Place {
    /// By what became of making the link. Any other error, such as a missing right, leaves no place.
    fn of(made: Result<(), KernelError>) -> Result<Self, KernelError> {
        match made.as_ref().map_err(KernelError::code) {
            Ok(()) => Ok(Self::Made),
            Err(Some(IS_THERE)) => Ok(Self::Found),
            Err(Some(NO_SUCH_KIND)) => Ok(Self::Loopback),
            Err(_) => made.map(|()| Self::Made),
        }
    }
}

/// What was set up, to be taken down again.
#[derive(Debug)]
pub struct Addresses {
    /// The link that was made; none where there was one, or there can be none.
    link: Option<u32>,
    /// The addresses that were added, each with its link.
    added: Vec<(IpAddr, u32)>,
}

impl Addresses {
    /// Sets these up; what is there already stays and is left there in the end. A node without IPv6 has those of IPv4 alone.
    ///
    /// # Errors
    /// [`KernelError`] where an address of IPv4 cannot be had.
    pub fn set_up(addresses: &[IpAddr]) -> Result<Self, KernelError> {
        Self::set_up_by(&Kernel::open(ROUTE)?, addresses)
    }

    fn set_up_by(kernel: &impl Netlink, addresses: &[IpAddr]) -> Result<Self, KernelError> {
        let (index, link) = match Place::of(kernel.send(&[new_link()]).map(|_| ()))? {
            Place::Made => {
                let index = index_of(kernel, LINK_NAME)?;
                (index, Some(index))
            }
            Place::Found => (index_of(kernel, LINK_NAME)?, None),
            Place::Loopback => {
                info!("the kernel has no dummy links: the addresses are put on lo");
                (LOOPBACK_INDEX, None)
            }
        };
        let mut set_up = Self { link, added: Vec::new() };
        for address in addresses {
            match add(kernel, *address, index) {
                Ok(()) => set_up.added.push((*address, index)),
                Err(error) if error.code() == Some(IS_THERE) => {}
                Err(error) if address.is_ipv6() => {
                    warn!(%address, %error, "the node takes no such address: there is no IPv6");
                }
                Err(error) => {
                    tell(set_up.take_down_by(kernel));
                    return Err(error);
                }
            }
        }
        Ok(set_up)
    }

    /// Takes down what was set up, and no more. What is gone already is fine.
    pub fn take_down(&self) {
        tell(Kernel::open(ROUTE).and_then(|kernel| self.take_down_by(&kernel)));
    }

    fn take_down_by(&self, kernel: &impl Netlink) -> Result<(), KernelError> {
        if let Some(index) = self.link {
            // Its addresses and routes go with it.
            return kernel.send(&[delete_link(index)]).map(|_| ());
        }
        // One that does not go, or is gone, keeps no other.
        let mut taken_down = Ok(());
        for (address, index) in &self.added {
            match kernel.send(&[address_message(DELETE_ADDRESS, ACK, *address, *index)]) {
                Ok(_) => {}
                Err(error) if error.code() == Some(IS_GONE) => {}
                Err(error) => taken_down = taken_down.and(Err(error)),
            }
        }
        taken_down
    }
}

/// Says what of taking down went wrong.
fn tell(taken_down: Result<(), KernelError>) {
    if let Err(error) = taken_down {
        warn!(%error, "the agent's addresses could not be taken down");
    }
}

fn add(kernel: &impl Netlink, address: IpAddr, index: u32) -> Result<(), KernelError> {
    kernel.send(&[address_message(NEW_ADDRESS, ACK | CREATE | EXCLUSIVE, address, index)])?;
    if index == LOOPBACK_INDEX {
        // The kernel's own local route is all that there can be.
        return Ok(());
    }
    match kernel.send(&[route(address, index)]) {
        Err(error) if error.code() != Some(IS_THERE) => Err(error),
        _ => Ok(()),
    }
}

fn link_header(index: u32, flags: u32) -> Bytes {
    Bytes::default()
        .raw(&[0; 4])
        .raw(&index.to_ne_bytes())
        .raw(&flags.to_ne_bytes())
        .raw(&flags.to_ne_bytes())
}

fn new_link() -> Message {
    Message {
        what: "the link pod-id-link0 cannot be made",
        kind: NEW_LINK,
        flags: ACK | CREATE | EXCLUSIVE,
        body: link_header(0, UP)
            .text(LINK_NAME_ATTRIBUTE, LINK_NAME)
            .nested(LINK_INFO, Bytes::default().text(LINK_INFO_KIND, "dummy")),
    }
}

fn delete_link(index: u32) -> Message {
    Message {
        what: "the link cannot be taken down",
        kind: DELETE_LINK,
        flags: ACK,
        body: link_header(index, 0),
    }
}

fn index_of(kernel: &impl Netlink, name: &str) -> Result<u32, KernelError> {
    let what = "the link pod-id-link0 cannot be found";
    let body = link_header(0, 0).text(LINK_NAME_ATTRIBUTE, name);
    let told = kernel.send(&[Message { what, kind: GET_LINK, flags: ACK, body }])?;
    let index = told.iter().find(|(kind, _)| *kind == NEW_LINK).and_then(|(_, body)| {
        // Its number stands after family, padding and type.
        body.get(4..8)?.first_chunk().map(|index| u32::from_ne_bytes(*index))
    });
    index.ok_or_else(|| KernelError::new(what, std::io::ErrorKind::NotFound.into()))
}

fn address_message(kind: u16, flags: u16, address: IpAddr, index: u32) -> Message {
    let (family, octets) = parts(address);
    let bits = u8::try_from(octets.len() * 8).unwrap_or(u8::MAX);
    Message {
        what: "an address of the agent cannot be set",
        kind,
        flags,
        body: Bytes::default()
            .raw(&[family, bits, 0, SCOPE_UNIVERSE])
            .raw(&index.to_ne_bytes())
            .attribute(LOCAL_ADDRESS, &octets)
            .attribute(ADDRESS, &octets)
            .attribute(ADDRESS_FLAGS, &NO_DUPLICATE_DETECTION.to_ne_bytes()),
    }
}

fn route(address: IpAddr, index: u32) -> Message {
    let (family, octets) = parts(address);
    let bits = u8::try_from(octets.len() * 8).unwrap_or(u8::MAX);
    // IPv6 has no scopes of routes.
    let scope = if address.is_ipv4() { SCOPE_LINK } else { SCOPE_UNIVERSE };
    Message {
        what: "a route to an address of the agent cannot be set",
        kind: NEW_ROUTE,
        flags: ACK | CREATE | EXCLUSIVE,
        body: Bytes::default()
            .raw(&[family, bits, 0, 0, TABLE_MAIN, STATIC, scope, UNICAST])
            .raw(&0u32.to_ne_bytes())
            .attribute(DESTINATION, &octets)
            .attribute(OUTGOING_LINK, &index.to_ne_bytes()),
    }
}

fn parts(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (FAMILY_V4, Ipv4Addr::octets(&address).to_vec()),
        IpAddr::V6(address) => (FAMILY_V6, Ipv6Addr::octets(&address).to_vec()),
    }
}

#[cfg(test)]
mod tests;

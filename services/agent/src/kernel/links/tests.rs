use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use super::*;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23));
/// The number that the stand-in gives the link.
const DUMMY_INDEX: u32 = 7;
/// `EPERM` and `ENODEV`-like answers of kernels.
const NOT_PERMITTED: i32 = 1;
const NO_ADDRESS: i32 = 99;

/// A kernel that knows links, addresses and routes, and answers as Linux does.
#[derive(Default)]
struct StandIn {
    has_dummy_links: bool,
    has_no_v6: bool,
    /// An address that it does not take, and with which error.
    refuses: Option<(IpAddr, i32)>,
    state: RefCell<State>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct State {
    links: BTreeMap<u32, String>,
    addresses: Vec<(u32, IpAddr)>,
    routes: Vec<(u32, IpAddr)>,
}

/// The attributes that follow a message's fixed part.
fn attributes(mut rest: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut found = BTreeMap::new();
    while let Some(([l0, l1, k0, k1], _)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        found.insert(u16::from_ne_bytes([*k0, *k1]), rest[4..length].to_vec());
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn ip(octets: &[u8]) -> IpAddr {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).unwrap().into(),
        _ => <[u8; 16]>::try_from(octets).unwrap().into(),
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes.try_into().unwrap())
}

impl StandIn {
    fn with_dummy_links() -> Self {
        Self { has_dummy_links: true, ..Self::default() }
    }

    /// One that has the link already, with an address of somebody else's.
    fn with_the_link_there() -> Self {
        let kernel = Self::with_dummy_links();
        kernel.state.borrow_mut().links.insert(DUMMY_INDEX, LINK_NAME.to_owned());
        kernel.state.borrow_mut().addresses.push((DUMMY_INDEX, V4));
        kernel
    }

    fn state(&self) -> State {
        self.state.borrow().clone()
    }

    fn answer(&self, message: &Message) -> Result<Option<(u16, Vec<u8>)>, i32> {
        let body = message.body.as_ref();
        let mut state = self.state.borrow_mut();
        match message.kind {
            NEW_LINK => {
                let attributes = attributes(&body[16..]);
                assert_eq!(attributes[&LINK_NAME_ATTRIBUTE], b"pod-id-link0\0");
                if !self.has_dummy_links {
                    return Err(NO_SUCH_KIND);
                }
                if state.links.contains_key(&DUMMY_INDEX) {
                    return Err(IS_THERE);
                }
                state.links.insert(DUMMY_INDEX, LINK_NAME.to_owned());
                Ok(None)
            }
            GET_LINK => {
                let mut told = vec![0; 16];
                told[4..8].copy_from_slice(&DUMMY_INDEX.to_ne_bytes());
                Ok(Some((NEW_LINK, told)))
            }
            DELETE_LINK => {
                let index = number(&body[4..8]);
                state.links.remove(&index);
                state.addresses.retain(|(on, _)| *on != index);
                state.routes.retain(|(by, _)| *by != index);
                Ok(None)
            }
            NEW_ADDRESS | DELETE_ADDRESS => {
                let attributes = attributes(&body[8..]);
                let address = (number(&body[4..8]), ip(&attributes[&LOCAL_ADDRESS]));
                assert_eq!(usize::from(body[1]), attributes[&LOCAL_ADDRESS].len() * 8, "the whole address");
                if let Some((refused, code)) = self.refuses
                    && refused == address.1
                {
                    return Err(code);
                }
                if self.has_no_v6 && address.1.is_ipv6() {
                    return Err(NO_SUCH_KIND);
                }
                if message.kind == DELETE_ADDRESS {
                    let before = state.addresses.len();
                    state.addresses.retain(|there| *there != address);
                    return if state.addresses.len() < before { Ok(None) } else { Err(IS_GONE) };
                }
                if state.addresses.contains(&address) {
                    return Err(IS_THERE);
                }
                state.addresses.push(address);
                Ok(None)
            }
            NEW_ROUTE => {
                let attributes = attributes(&body[12..]);
                let route = (number(&attributes[&OUTGOING_LINK]), ip(&attributes[&DESTINATION]));
                state.routes.push(route);
                Ok(None)
            }
            kind => panic!("the kernel was sent a message of kind {kind}"),
        }
    }
}

impl Netlink for StandIn {
    fn send(&self, messages: &[Message]) -> Result<Vec<(u16, Vec<u8>)>, KernelError> {
        let mut told = Vec::new();
        for message in messages {
            let answer = self.answer(message);
            told.extend(
                answer.map_err(|code| KernelError::new(message.what, io::Error::from_raw_os_error(code)))?,
            );
        }
        Ok(told)
    }
}

#[test]
fn the_place_is_by_what_became_of_making_the_link() {
    let failed = |code: i32| Err(KernelError::new("the link", io::Error::from_raw_os_error(code)));
    let cases = [
        (Ok(()), Ok(Place::Made)),
        (failed(IS_THERE), Ok(Place::Found)),
        (failed(NO_SUCH_KIND), Ok(Place::Loopback)),
        (failed(NOT_PERMITTED), Err(Some(NOT_PERMITTED))),
        (failed(12), Err(Some(12))),
    ];
    for (made, expected) in cases {
        let said = format!("{made:?}");
        assert_eq!(Place::of(made).map_err(|error| error.code()), expected, "{said}");
    }
}

#[test]
fn a_kernel_with_dummy_links_has_one_with_both_addresses_and_their_routes() {
    let kernel = StandIn::with_dummy_links();
    let set_up = Addresses::set_up_by(&kernel, &[V4, V6]).unwrap();
    let both = vec![(DUMMY_INDEX, V4), (DUMMY_INDEX, V6)];
    let links = BTreeMap::from([(DUMMY_INDEX, LINK_NAME.to_owned())]);
    assert_eq!(kernel.state(), State { links, addresses: both.clone(), routes: both });
    set_up.take_down_by(&kernel).unwrap();
    assert_eq!(kernel.state(), State::default(), "all of it goes with the link");
}

#[test]
fn a_kernel_without_has_them_on_lo_and_without_routes() {
    let kernel = StandIn::default();
    let set_up = Addresses::set_up_by(&kernel, &[V4, V6]).unwrap();
    let both = vec![(LOOPBACK_INDEX, V4), (LOOPBACK_INDEX, V6)];
    assert_eq!(kernel.state(), State { addresses: both, ..State::default() });
    set_up.take_down_by(&kernel).unwrap();
    assert_eq!(kernel.state(), State::default());
}

#[test]
fn an_address_that_somebody_took_away_keeps_no_other_from_going() {
    let kernel = StandIn::default();
    let set_up = Addresses::set_up_by(&kernel, &[V4, V6]).unwrap();
    kernel.state.borrow_mut().addresses.retain(|(_, address)| *address != V4);
    set_up.take_down_by(&kernel).unwrap();
    assert_eq!(kernel.state(), State::default());
    let kernel = StandIn { refuses: None, ..StandIn::default() };
    let set_up = Addresses::set_up_by(&kernel, &[V4, V6]).unwrap();
    let kernel = StandIn { refuses: Some((V4, 1)), ..kernel };
    assert!(set_up.take_down_by(&kernel).is_err(), "any other fault is told");
    assert_eq!(kernel.state().addresses, [(LOOPBACK_INDEX, V4)], "in the end");
}

#[test]
fn what_was_there_already_stays_when_the_agent_goes() {
    let kernel = StandIn::with_the_link_there();
    let before = kernel.state();
    let set_up = Addresses::set_up_by(&kernel, &[V4, V6]).unwrap();
    assert_eq!(kernel.state().addresses, [(DUMMY_INDEX, V4), (DUMMY_INDEX, V6)]);
    set_up.take_down_by(&kernel).unwrap();
    let after = kernel.state();
    assert_eq!((after.links, after.addresses), (before.links, before.addresses));
}

#[test]
fn a_node_without_ipv6_has_the_address_of_ipv4_alone() {
    let kernel = StandIn { has_no_v6: true, ..StandIn::with_dummy_links() };
    Addresses::set_up_by(&kernel, &[V4, V6]).unwrap();
    assert_eq!(kernel.state().addresses, [(DUMMY_INDEX, V4)]);
}

#[test]
fn without_the_address_of_ipv4_nothing_is_left_behind() {
    for (has_dummy_links, order) in [(true, [V6, V4]), (false, [V6, V4])] {
        let kernel = StandIn { has_dummy_links, refuses: Some((V4, NO_ADDRESS)), ..StandIn::default() };
        let error = Addresses::set_up_by(&kernel, &order).unwrap_err();
        assert_eq!(error.code(), Some(NO_ADDRESS));
        assert_eq!(kernel.state(), State::default(), "dummy links: {has_dummy_links}");
    }
}

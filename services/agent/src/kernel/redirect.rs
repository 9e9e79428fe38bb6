//! The packet rules of the instance-metadata road, and of `imds.block` without it, by nf_tables.
//!
//! They look at what comes into the node's network from elsewhere, which is what pods with a network of their own send; what the
//! node's own processes send passes none of them. Port 80 of the metadata address goes to the agent; everything else to it ends
//! there; without the road all of it does. The rules are the kernel's once they are written: when the agent is killed, its port refuses,
//! and the node's real metadata service stays out of the pods' reach. Only an agent that starts with neither takes them away.
//!
//! They do not outlive a reboot, and not somebody's `nft flush ruleset`: for the one there are rules for the node's boot, the other a
//! running agent looks for.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::netlink::{ACK, APPEND, Bytes, CREATE, Kernel, KernelError, Message, NETFILTER, Netlink};

/// The table, one for IPv4 and one for IPv6.
pub const TABLE_NAME: &str = "lanyard_agent";
/// Where the rules that redirect are.
const REDIRECT_CHAIN: &str = "redirect";
/// Where spoofed senders end, before they are redirected.
const SENDERS_CHAIN: &str = "senders";
/// Where ends what was not redirected.
const REST_CHAIN: &str = "rest";
/// Before kube-proxy's and the container network's own translations, which are at -100.
const REDIRECT_PRIORITY: i32 = -105;
const SENDERS_PRIORITY: i32 = -110;
/// After all translations.
const REST_PRIORITY: i32 = -90;
/// `ENOENT`
const IS_NOT_THERE: i32 = 2;
/// The port of metadata services.
const HTTP_PORT: u16 = 80;
/// IANA's number of TCP.
const TCP: u8 = 6;
/// `lo` in every network.
const LOOPBACK_INDEX: u32 = 1;

/// linux/netfilter/nfnetlink.h and nf_tables.h
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NF_TABLES: u16 = 10;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
const PREROUTING: u32 = 0;
const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;
const META_INCOMING_LINK: u32 = 4;
const META_PROTOCOL: u32 = 16;
const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
const DROP: u32 = 0;
const DESTINATION_NAT: u32 = 1;
const FIB_LINK: u32 = 1;
const FIB_SENDER: u32 = 1;
const FIB_INCOMING_LINK: u32 = 8;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

/// The redirection, as it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Redirect {
    /// Where the agent answers that road, in IPv4; none: what pods send to the metadata service ends.
    pub agent_v4: Option<Ipv4Addr>,
    /// The same in IPv6.
    pub agent_v6: Option<Ipv6Addr>,
    /// At which port.
    pub port: u16,
}

/// The address of metadata services (Amazon EC2 User Guide, "Instance metadata").
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Redirect {
    /// To nobody: all that pods send to the metadata service ends.
    pub const NOWHERE: Self = Self { agent_v4: None, agent_v6: None, port: 0 };

    /// Whether anything is redirected, and not all of it ended.
    #[must_use]
    pub fn leads_somewhere(self) -> bool {
        self.agent_v4.is_some() || self.agent_v6.is_some()
    }

    /// Writes the rules in place of those that were there, at once.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn write(self) -> Result<(), KernelError> {
        self.write_by(&Kernel::open(NETFILTER)?)
    }

    fn write_by(self, kernel: &impl Netlink) -> Result<(), KernelError> {
        self.write_v4(kernel)?;
        self.write_v6(kernel)
    }

    fn write_v4(self, kernel: &impl Netlink) -> Result<(), KernelError> {
        let v4 = Family::v4(self.agent_v4.map(|agent| agent.octets().to_vec()));
        kernel.send(&batch(v4.rules(self.port))).map(|_| ())
    }

    fn write_v6(self, kernel: &impl Netlink) -> Result<(), KernelError> {
        let v6 = Family::v6(self.agent_v6.map(|agent| agent.octets().to_vec()));
        match kernel.send(&batch(v6.rules(self.port))) {
            // A kernel without IPv6 has nobody who could use it.
            Err(error) if self.agent_v6.is_none() && !error.is_forbidden() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Whether the rules are there: whoever loads the node's own anew takes whole tables away, with these in them.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn stands(self) -> Result<bool, KernelError> {
        self.stands_by(&Kernel::open(NETFILTER)?)
    }

    fn stands_by(self, kernel: &impl Netlink) -> Result<bool, KernelError> {
        Ok(has_redirect(kernel, &Family::v4(None))?
            && (self.agent_v6.is_none() || has_redirect(kernel, &Family::v6(None))?))
    }

    /// Writes the rules of each family that has none of an agent's yet. Those of another one stay: it may run and be answered by way of
    /// them, while this one is yet to find out whether it can.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn write_first(self) -> Result<(), KernelError> {
        self.write_first_by(&Kernel::open(NETFILTER)?)
    }

    fn write_first_by(self, kernel: &impl Netlink) -> Result<(), KernelError> {
        if !has_redirect(kernel, &Family::v4(None))? {
            self.write_v4(kernel)?;
        }
        if !has_redirect(kernel, &Family::v6(None))? {
            self.write_v6(kernel)?;
        }
        Ok(())
    }

    /// Rules for a node's boot, as `nft -f` reads them: what pods send to the metadata service's address ends. They are in the agent's own
    /// tables, so that the agent's come in place of them.
    #[must_use]
    pub fn boot_rules() -> String {
        let table = |family: &str, metadata: &dyn Display| {
            format!(
                "table {family} {TABLE_NAME} {{\n\tchain {REST_CHAIN} {{\n\t\ttype filter hook prerouting priority {REST_PRIORITY}; policy \
                 accept;\n\t\tiif != \"lo\" {family} daddr {metadata} drop\n\t}}\n}}\n"
            )
        };
        format!(
            "# Until the node agent runs, pods reach no instance-metadata service; the node's own processes do.\n{}{}",
            table("ip", &METADATA_V4),
            table("ip6", &METADATA_V6)
        )
    }

    /// Takes the rules away, where there are any.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn remove() -> Result<(), KernelError> {
        Self::remove_by(&Kernel::open(NETFILTER)?)
    }

    fn remove_by(kernel: &impl Netlink) -> Result<(), KernelError> {
        for family in [Family::v4(None), Family::v6(None)] {
            match kernel.send(&batch(vec![family.table(DELETE_TABLE, 0)])) {
                Err(error) if error.code() != Some(IS_NOT_THERE) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether an agent's rules are there for a family.
fn has_redirect(kernel: &impl Netlink, family: &Family) -> Result<bool, KernelError> {
    match kernel.send(&[family.redirect_chain()]) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(IS_NOT_THERE) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What differs between the two.
struct Family {
    number: u8,
    /// Where the header has the address of the destination.
    destination_offset: u32,
    metadata: Vec<u8>,
    agent: Option<Vec<u8>>,
}

impl Family {
    fn v4(agent: Option<Vec<u8>>) -> Self {
        Self { number: 2, destination_offset: 16, metadata: METADATA_V4.octets().to_vec(), agent }
    }

    fn v6(agent: Option<Vec<u8>>) -> Self {
        Self { number: 10, destination_offset: 24, metadata: METADATA_V6.octets().to_vec(), agent }
    }

    /// In one batch what was there goes and the new comes: there is no moment without rules.
    fn rules(&self, port: u16) -> Vec<Message> {
        let mut rules = vec![
            self.table(NEW_TABLE, CREATE),
            self.table(DELETE_TABLE, 0),
            self.table(NEW_TABLE, CREATE),
            self.chain(SENDERS_CHAIN, "filter", SENDERS_PRIORITY),
            self.chain(REDIRECT_CHAIN, "nat", REDIRECT_PRIORITY),
            self.chain(REST_CHAIN, "filter", REST_PRIORITY),
        ];
        // To both addresses: who is told by the address of the connection has to have it.
        for to in [Some(&self.metadata), self.agent.as_ref()].into_iter().flatten() {
            let mut spoofed = self.incoming_to(to);
            spoofed.extend([sender_has_no_way_back(), compare(REGISTER_1, EQUAL, &[0; 4]), drop_it()]);
            rules.push(self.rule(SENDERS_CHAIN, spoofed));
        }
        if let Some(agent) = &self.agent {
            let mut redirected = self.incoming_to(&self.metadata);
            redirected.extend([
                meta(META_PROTOCOL),
                compare(REGISTER_1, EQUAL, &[TCP]),
                payload(BASE_TRANSPORT, 2, 2),
                compare(REGISTER_1, EQUAL, &HTTP_PORT.to_be_bytes()),
                value(REGISTER_1, agent),
                value(REGISTER_2, &port.to_be_bytes()),
                self.to_the_agent(),
            ]);
            rules.push(self.rule(REDIRECT_CHAIN, redirected));
        }
        let mut rest = self.incoming_to(&self.metadata);
        rest.push(drop_it());
        rules.push(self.rule(REST_CHAIN, rest));
        rules
    }

    fn incoming_to(&self, address: &[u8]) -> Vec<Bytes> {
        let length = u32::try_from(address.len()).unwrap_or_default();
        vec![
            meta(META_INCOMING_LINK),
            compare(REGISTER_1, NOT_EQUAL, &LOOPBACK_INDEX.to_ne_bytes()),
            payload(BASE_NETWORK, self.destination_offset, length),
            compare(REGISTER_1, EQUAL, address),
        ]
    }

    fn to_the_agent(&self) -> Bytes {
        let data = Bytes::default()
            .number(1, DESTINATION_NAT)
            .number(2, u32::from(self.number))
            .number(3, REGISTER_1)
            .number(4, REGISTER_1)
            .number(5, REGISTER_2)
            .number(6, REGISTER_2);
        expression("nat", data)
    }

    fn header(&self) -> Bytes {
        Bytes::default().raw(&[self.number, 0, 0, 0])
    }

    fn message(&self, what: &'static str, kind: u16, flags: u16, body: Bytes) -> Message {
        Message { what, kind: NF_TABLES << 8 | kind, flags: flags | ACK, body }
    }

    fn table(&self, kind: u16, flags: u16) -> Message {
        self.message("the table of packet rules", kind, flags, self.header().text(1, TABLE_NAME))
    }

    fn chain(&self, name: &str, kind: &str, priority: i32) -> Message {
        let hook = Bytes::default().number(1, PREROUTING).attribute(2, &priority.to_be_bytes());
        let body = self.header().text(1, TABLE_NAME).text(3, name).nested(4, hook).text(7, kind);
        self.message("a chain of packet rules", NEW_CHAIN, CREATE, body)
    }

    /// The question for the chain that redirects, which only the agent makes.
    fn redirect_chain(&self) -> Message {
        let body = self.header().text(1, TABLE_NAME).text(3, REDIRECT_CHAIN);
        self.message("the chain that redirects", GET_CHAIN, 0, body)
    }

    fn rule(&self, chain: &str, expressions: Vec<Bytes>) -> Message {
        let list = expressions.into_iter().fold(Bytes::default(), |list, each| list.nested(1, each));
        let body = self.header().text(1, TABLE_NAME).text(2, chain).nested(4, list);
        self.message("a packet rule", NEW_RULE, CREATE | APPEND, body)
    }
}

fn batch(messages: Vec<Message>) -> Vec<Message> {
    let edge = |kind| {
        let body = Bytes::default().raw(&[0, 0]).raw(&NF_TABLES.to_be_bytes());
        Message { what: "a batch of packet rules", kind, flags: 0, body }
    };
    let mut all = vec![edge(BATCH_BEGIN)];
    all.extend(messages);
    all.push(edge(BATCH_END));
    all
}

fn expression(name: &str, data: Bytes) -> Bytes {
    Bytes::default().text(1, name).nested(2, data)
}

fn meta(key: u32) -> Bytes {
    expression("meta", Bytes::default().number(1, REGISTER_1).number(2, key))
}

fn payload(base: u32, offset: u32, length: u32) -> Bytes {
    let data = Bytes::default().number(1, REGISTER_1).number(2, base).number(3, offset).number(4, length);
    expression("payload", data)
}

fn compare(register: u32, operator: u32, with: &[u8]) -> Bytes {
    let with = Bytes::default().attribute(1, with);
    expression("cmp", Bytes::default().number(1, register).number(2, operator).nested(3, with))
}

fn value(register: u32, value: &[u8]) -> Bytes {
    let value = Bytes::default().attribute(1, value);
    expression("immediate", Bytes::default().number(1, register).nested(2, value))
}

fn drop_it() -> Bytes {
    let verdict = Bytes::default().nested(2, Bytes::default().number(1, DROP));
    expression("immediate", Bytes::default().number(1, REGISTER_VERDICT).nested(2, verdict))
}

/// By which link the sender would be answered, if by the one that the packet came from; else 0.
fn sender_has_no_way_back() -> Bytes {
    let data =
        Bytes::default().number(1, REGISTER_1).number(2, FIB_LINK).number(3, FIB_SENDER | FIB_INCOMING_LINK);
    expression("fib", data)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;

    use super::*;

    /// `EPERM` and `EOPNOTSUPP`
    const NOT_PERMITTED: i32 = 1;
    const NO_SUCH_FAMILY: i32 = 95;
    /// How netfilter numbers the two.
    const V4: u8 = 2;
    const V6: u8 = 10;

    /// A kernel that refuses what is for one family, and keeps what each batch that it takes is for and of what it is made.
    #[derive(Default)]
    struct StandIn {
        refuses: Option<(u8, i32)>,
        /// It has no chain that is asked for.
        is_empty: bool,
        taken: RefCell<Vec<(u8, Vec<u16>)>>,
    }

    impl Netlink for StandIn {
        fn send(&self, messages: &[Message]) -> Result<Vec<(u16, Vec<u8>)>, KernelError> {
            // A question is alone.
            let own = match messages {
                [_] => messages,
                [first, own @ .., last] => {
                    assert_eq!((first.kind, last.kind), (BATCH_BEGIN, BATCH_END));
                    own
                }
                [] => panic!("nothing is sent"),
            };
            let family = own[0].body.as_ref()[0];
            assert!(
                own.iter().all(|message| message.body.as_ref()[0] == family),
                "a batch is for one family"
            );
            let missing = self.is_empty && own[0].kind & 0xff == GET_CHAIN;
            let missing = missing.then_some((family, IS_NOT_THERE));
            if let Some((_, code)) = missing.or(self.refuses).filter(|(refused, _)| *refused == family) {
                return Err(KernelError::new(own[0].what, io::Error::from_raw_os_error(code)));
            }
            self.taken.borrow_mut().push((family, own.iter().map(|message| message.kind & 0xff).collect()));
            Ok(Vec::new())
        }
    }

    fn redirect(agent_v6: Option<Ipv6Addr>) -> Redirect {
        Redirect { agent_v4: Some(Ipv4Addr::new(169, 254, 170, 23)), agent_v6, port: 2704 }
    }

    #[test]
    fn rules_come_for_both_families_in_place_of_those_that_were_there() {
        let kernel = StandIn::default();
        redirect(Some(Ipv6Addr::LOCALHOST)).write_by(&kernel).unwrap();
        let renewed = [NEW_TABLE, DELETE_TABLE, NEW_TABLE, NEW_CHAIN, NEW_CHAIN, NEW_CHAIN];
        // Senders to either address, the redirection, and the rest.
        let whole = [&renewed[..], &[NEW_RULE; 4]].concat();
        assert_eq!(*kernel.taken.borrow(), [(V4, whole.clone()), (V6, whole)]);
        let kernel = StandIn::default();
        redirect(None).write_by(&kernel).unwrap();
        let ended = [&renewed[..], &[NEW_RULE; 2]].concat();
        assert_eq!(kernel.taken.borrow()[1], (V6, ended), "what is sent there ends, and goes nowhere else");
    }

    #[test]
    fn immunity_47_without_the_road_what_pods_send_ends_in_both_families_and_goes_nowhere() {
        assert!(!Redirect::NOWHERE.leads_somewhere() && redirect(None).leads_somewhere());
        let kernel = StandIn::default();
        Redirect::NOWHERE.write_by(&kernel).unwrap();
        let renewed = [NEW_TABLE, DELETE_TABLE, NEW_TABLE, NEW_CHAIN, NEW_CHAIN, NEW_CHAIN];
        // Senders to the metadata address, and the rest, which is all: the chain that redirects is there and has no rule.
        let ended = [&renewed[..], &[NEW_RULE; 2]].concat();
        assert_eq!(*kernel.taken.borrow(), [(V4, ended.clone()), (V6, ended)]);
        let has = |message: &Message, bytes: &[u8]| {
            message.body.as_ref().windows(bytes.len()).any(|at| at == bytes)
        };
        let translates = Bytes::default().text(1, "nat");
        for family in [Family::v4(None), Family::v6(None)] {
            let rules = family.rules(Redirect::NOWHERE.port);
            let last = rules.last().unwrap();
            assert!(has(last, REST_CHAIN.as_bytes()) && has(last, &family.metadata), "{last:?}");
            assert!(has(last, drop_it().as_ref()), "{last:?}");
            assert!(!rules.iter().any(|message| has(message, translates.as_ref())), "{rules:?}");
        }
        let redirected = Family::v4(Some(vec![169, 254, 170, 23])).rules(2704);
        assert!(redirected.iter().any(|message| has(message, translates.as_ref())), "as the road's does");
        // They are looked for as the road's are, and come in place of them.
        let gone = StandIn { refuses: Some((V4, IS_NOT_THERE)), ..StandIn::default() };
        assert!(!Redirect::NOWHERE.stands_by(&gone).unwrap());
    }

    #[test]
    fn only_a_kernel_without_ipv6_may_refuse_its_rules() {
        let cases = [
            (None, NO_SUCH_FAMILY, V6, true),
            (Some(Ipv6Addr::LOCALHOST), NO_SUCH_FAMILY, V6, false),
            (None, NOT_PERMITTED, V6, false),
            (None, NOT_PERMITTED, V4, false),
            (None, NO_SUCH_FAMILY, V4, false),
        ];
        for (agent_v6, code, family, is_written) in cases {
            let kernel = StandIn { refuses: Some((family, code)), ..StandIn::default() };
            let written = redirect(agent_v6).write_by(&kernel);
            assert_eq!(written.is_ok(), is_written, "{agent_v6:?} {code} {family}");
        }
    }

    #[test]
    fn rules_are_looked_for_in_each_family_that_pods_are_answered_in() {
        let v6 = Some(Ipv6Addr::LOCALHOST);
        let kernel = StandIn::default();
        assert!(redirect(v6).stands_by(&kernel).unwrap());
        assert_eq!(*kernel.taken.borrow(), [(V4, vec![GET_CHAIN]), (V6, vec![GET_CHAIN])]);
        let cases = [
            (v6, V4, IS_NOT_THERE, Some(false)),
            (v6, V6, IS_NOT_THERE, Some(false)),
            (v6, V6, NOT_PERMITTED, None),
            (None, V6, IS_NOT_THERE, Some(true)),
        ];
        for (agent_v6, family, code, stands) in cases {
            let kernel = StandIn { refuses: Some((family, code)), ..StandIn::default() };
            assert_eq!(redirect(agent_v6).stands_by(&kernel).ok(), stands, "{agent_v6:?} {family} {code}");
        }
    }

    #[test]
    fn who_comes_first_leaves_another_agents_rules_alone() {
        let looks = [(V4, vec![GET_CHAIN]), (V6, vec![GET_CHAIN])];
        for (refuses, taken, is_fine) in [
            (None, &looks[..], true),
            // A kernel without IPv6.
            (Some((V6, IS_NOT_THERE)), &looks[..1], true),
            // They are not there, and what is written is refused.
            (Some((V4, IS_NOT_THERE)), &looks[..0], false),
            (Some((V4, NOT_PERMITTED)), &looks[..0], false),
        ] {
            let kernel = StandIn { refuses, ..StandIn::default() };
            assert_eq!(redirect(None).write_first_by(&kernel).is_ok(), is_fine, "{refuses:?}");
            assert_eq!(*kernel.taken.borrow(), taken, "{refuses:?}");
        }
    }

    #[test]
    fn who_comes_first_writes_what_is_missing() {
        let kernel = StandIn { is_empty: true, ..StandIn::default() };
        redirect(None).write_first_by(&kernel).unwrap();
        let written: Vec<(u8, u16)> =
            kernel.taken.borrow().iter().map(|(family, kinds)| (*family, kinds[0])).collect();
        assert_eq!(written, [(V4, NEW_TABLE), (V6, NEW_TABLE)]);
    }

    #[test]
    fn rules_for_the_boot_end_what_pods_send_and_are_in_the_agents_tables() {
        let rules = Redirect::boot_rules();
        for (family, metadata) in [("ip", "169.254.169.254"), ("ip6", "fd00:ec2::254")] {
            let table = format!(
                "table {family} lanyard_agent {{\n\tchain rest {{\n\t\ttype filter hook prerouting priority -90; policy accept;\n\t\tiif \
                 != \"lo\" {family} daddr {metadata} drop\n\t}}\n}}\n"
            );
            assert!(rules.contains(&table), "{rules}");
        }
    }

    #[test]
    fn rules_that_are_not_there_are_taken_away_already() {
        let kernel = StandIn { refuses: Some((V4, IS_NOT_THERE)), ..StandIn::default() };
        Redirect::remove_by(&kernel).unwrap();
        assert_eq!(*kernel.taken.borrow(), [(V6, vec![DELETE_TABLE])]);
        let kernel = StandIn { refuses: Some((V6, NOT_PERMITTED)), ..StandIn::default() };
        assert!(Redirect::remove_by(&kernel).is_err());
    }
}

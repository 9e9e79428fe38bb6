//! Messages to the kernel (RFC 3549; linux/netlink.h): a header, a fixed part, and attributes that may hold others.

use std::io;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};

/// Of routes, links and addresses (linux/netlink.h, `NETLINK_ROUTE`).
pub(super) const ROUTE: isize = 0;
/// Of packet rules (`NETLINK_NETFILTER`).
pub(super) const NETFILTER: isize = 12;
/// This is a question (`NLM_F_REQUEST`).
const REQUEST: u16 = 0x1;
/// It is to be answered (`NLM_F_ACK`).
pub(super) const ACK: u16 = 0x4;
/// It makes what is not there (`NLM_F_CREATE`).
pub(super) const CREATE: u16 = 0x400;
/// It fails where it is there (`NLM_F_EXCL`).
pub(super) const EXCLUSIVE: u16 = 0x200;
/// It goes to the end of a list (`NLM_F_APPEND`).
pub(super) const APPEND: u16 = 0x800;
/// An answer that is an error, or says that there is none (`NLMSG_ERROR`).
const ERROR: u16 = 2;
/// An attribute that holds others (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// Bytes of a message's header.
const HEADER_BYTES: usize = 16;
/// Longest datagram of answers that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How often an answer is looked for, and how long in between: the kernel answers before `send` returns.
const LOOKS_MAX: u32 = 100;
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Why the kernel did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}{}", advice(.reason))]
pub struct KernelError {
    what: &'static str,
    reason: io::Error,
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::PermissionDenied => "; the agent needs CAP_NET_ADMIN and the node's network",
        _ => "",
    }
}

impl KernelError {
    pub(crate) fn new(what: &'static str, reason: io::Error) -> Self {
        Self { what, reason }
    }

    /// The number of the system's error.
    pub(super) fn code(&self) -> Option<i32> {
        self.reason.raw_os_error()
    }

    /// Whether only the right to do it is missing.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.reason.kind() == io::ErrorKind::PermissionDenied
    }
}

/// A message, or an attribute's content, as it is written.
#[derive(Debug, Default)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    /// The fixed part, byte by byte.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An attribute.
    pub(super) fn attribute(mut self, kind: u16, content: &[u8]) -> Self {
        let length = u16::try_from(content.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(content);
        // Each begins at a multiple of four.
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A text, with the zero that ends it in C.
    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        let mut content = text.as_bytes().to_vec();
        content.push(0);
        self.attribute(kind, &content)
    }

    /// A number in network order, as netfilter has all of its.
    pub(super) fn number(self, kind: u16, number: u32) -> Self {
        self.attribute(kind, &number.to_be_bytes())
    }

    /// An attribute of attributes.
    pub(super) fn nested(self, kind: u16, content: Self) -> Self {
        self.attribute(kind | NESTED, &content.0)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A message and what it is for, in errors.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) what: &'static str,
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) body: Bytes,
}

/// What takes messages: the kernel, or a stand-in of it.
pub(super) trait Netlink {
    /// Sends messages as one, waits for the answer to each that asks for one, and gives what else was told.
    fn send(&self, messages: &[Message]) -> Result<Vec<(u16, Vec<u8>)>, KernelError>;
}

/// A connection to one part of the kernel.
pub(super) struct Kernel {
    socket: Socket,
}

/// What the kernel answered to one message.
struct Reply {
    number: u32,
    kind: u16,
    body: Vec<u8>,
}

impl Kernel {
    pub(super) fn open(part: isize) -> Result<Self, KernelError> {
        let open = || {
            let mut socket = Socket::new(part)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        open()
            .map(|socket| Self { socket })
            .map_err(|reason| KernelError::new("no connection to the kernel", reason))
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut datagram = Vec::with_capacity(ANSWER_BYTES_MAX);
        for _ in 0..LOOKS_MAX {
            match self.socket.recv(&mut datagram, 0) {
                Ok(_) => return Ok(datagram),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(LOOK_PAUSE),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer"))
    }
}

impl Netlink for Kernel {
    fn send(&self, messages: &[Message]) -> Result<Vec<(u16, Vec<u8>)>, KernelError> {
        let mut datagram = Vec::new();
        for (number, message) in (1u32..).zip(messages) {
            let length = u32::try_from(HEADER_BYTES + message.body.0.len()).unwrap_or(u32::MAX);
            datagram.extend_from_slice(&length.to_ne_bytes());
            datagram.extend_from_slice(&message.kind.to_ne_bytes());
            datagram.extend_from_slice(&(REQUEST | message.flags).to_ne_bytes());
            datagram.extend_from_slice(&number.to_ne_bytes());
            datagram.extend_from_slice(&0u32.to_ne_bytes());
            datagram.extend_from_slice(&message.body.0);
            datagram.resize(datagram.len().next_multiple_of(4), 0);
        }
        let what = messages.first().map_or("a message", |message| message.what);
        self.socket.send(&datagram, 0).map_err(|reason| KernelError::new(what, reason))?;
        let mut waiting = messages.iter().filter(|message| message.flags & ACK != 0).count();
        let mut told = Vec::new();
        while waiting > 0 {
            let datagram = self.receive().map_err(|reason| KernelError::new(what, reason))?;
            for reply in replies(&datagram) {
                if reply.kind != ERROR {
                    told.push((reply.kind, reply.body));
                    continue;
                }
                waiting = waiting.saturating_sub(1);
                let code = reply.body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                if code != 0 {
                    let place = usize::try_from(reply.number).unwrap_or_default().saturating_sub(1);
                    let what = messages.get(place).map_or(what, |message| message.what);
                    return Err(KernelError::new(what, io::Error::from_raw_os_error(-code)));
                }
            }
        }
        Ok(told)
    }
}

fn replies(mut datagram: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let Some((header, rest)) = datagram.split_first_chunk::<HEADER_BYTES>() {
        let [l0, l1, l2, l3, k0, k1, _, _, n0, n1, n2, n3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let body_bytes = length.saturating_sub(HEADER_BYTES);
        let Some(body) = rest.get(..body_bytes) else { break };
        replies.push(Reply {
            number: u32::from_ne_bytes([n0, n1, n2, n3]),
            kind: u16::from_ne_bytes([k0, k1]),
            body: body.to_vec(),
        });
        datagram = rest.get(body_bytes.next_multiple_of(4)..).unwrap_or_default();
    }
    replies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_their_length_and_begin_at_fours() {
        let bytes =
            Bytes::default().text(3, "lo").number(1, 7).nested(18, Bytes::default().attribute(1, b"x"));
        let expected: Vec<u8> = [
            &7u16.to_ne_bytes()[..],
            &3u16.to_ne_bytes(),
            b"lo\0\0",
            &8u16.to_ne_bytes(),
            &1u16.to_ne_bytes(),
            &[0, 0, 0, 7],
            &12u16.to_ne_bytes(),
            &(18u16 | NESTED).to_ne_bytes(),
            &5u16.to_ne_bytes(),
            &1u16.to_ne_bytes(),
            b"x\0\0\0",
        ]
        .concat();
        assert_eq!(bytes.0, expected);
    }

    #[test]
    fn answers_that_are_cut_off_end_the_list() {
        let mut datagram = 20u32.to_ne_bytes().to_vec();
        datagram.extend_from_slice(&[2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(replies(&datagram).len(), 1);
        assert_eq!(replies(&datagram)[0].body, [1, 2, 3, 4]);
        for length in 0..datagram.len() {
            assert!(replies(&datagram[..length]).is_empty(), "{length}");
        }
    }
}

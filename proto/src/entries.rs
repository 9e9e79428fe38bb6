//! Pages of access entries. Whom the entries name lies in one piece, as the wire has it: a door lists a hundred at a time and writes them into
//! an answer of its own, and texts that are made and dropped at each step on the way would be most of what a page costs.

use std::{fmt, mem, ops::Range};

use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut, Bytes},
    encoding::{self, DecodeContext, WireType},
};

use crate::mapping::v1::AccessEntryDetail;

const ITEMS: u32 = 1;
const NEXT_TOKEN: u32 = 2;
const PRINCIPAL_ARNS: u32 = 3;

/// Most bytes before a text: the field's key, and the length of what is no longer than a message.
const HEAD_BYTES_MAX: usize = 6;

/// `lanyard.mapping.v1.AccessEntryPage`: a page of a cluster's access entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccessEntryPage {
    /// The entries, in the order of their principals; empty in the view of principals.
    pub items: Vec<AccessEntryDetail>,
    /// Give it as `page.token` for the next page; absent on the last.
    pub next_token: Option<String>,
    /// Whom the entries name, in order, in the view of principals; else empty.
    pub principal_arns: PrincipalArns,
}

impl Message for AccessEntryPage {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        encoding::message::encode_repeated(ITEMS, &self.items, buf);
        if let Some(token) = &self.next_token {
            encoding::string::encode(NEXT_TOKEN, token, buf);
        }
        buf.put_slice(self.principal_arns.wire());
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            ITEMS => encoding::message::merge_repeated(wire_type, &mut self.items, buf, ctx),
            NEXT_TOKEN => {
                encoding::string::merge(wire_type, self.next_token.get_or_insert_default(), buf, ctx)
            }
            PRINCIPAL_ARNS => self.principal_arns.merge_one(wire_type, buf, ctx),
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let token = self.next_token.as_ref();
        encoding::message::encoded_len_repeated(ITEMS, &self.items)
            + token.map_or(0, |token| encoding::string::encoded_len(NEXT_TOKEN, token))
            + self.principal_arns.wire().len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whom the entries of a page name, as it is written, in order: the field `principal_arns`, encoded.
#[derive(Clone, Default)]
pub struct PrincipalArns(Held);

#[derive(Clone)]
enum Held {
    /// A part of a list that is kept.
    Shared(Bytes),
    /// What was put together, or came over the wire.
    Own(Vec<u8>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl PrincipalArns {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.wire();
        std::iter::from_fn(move || take(&mut rest))
    }

    /// How many bytes they are together, encoded: a little more than their texts.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.wire().len()
    }

    fn wire(&self) -> &[u8] {
        match &self.0 {
            Held::Shared(wire) => wire,
            Held::Own(wire) => wire,
        }
    }

    fn merge_one(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut text = String::new();
        encoding::string::merge(wire_type, &mut text, buf, ctx)?;
        let mut own = match mem::take(&mut self.0) {
            Held::Shared(wire) => wire.to_vec(),
            Held::Own(wire) => wire,
        };
        if own.capacity() == 0 {
            // What is still to come of the message has come already: these are its bytes.
            own.reserve(HEAD_BYTES_MAX + text.len() + buf.remaining());
        }
        put(&mut own, &text);
        self.0 = Held::Own(own);
        Ok(())
    }
}

impl<S: AsRef<str>> FromIterator<S> for PrincipalArns {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut wire = Vec::new();
        texts.into_iter().for_each(|text| put(&mut wire, text.as_ref()));
        Self(Held::Own(wire))
    }
}

impl PartialEq for PrincipalArns {
    fn eq(&self, other: &Self) -> bool {
        self.wire() == other.wire()
    }
}

impl Eq for PrincipalArns {}

impl fmt::Debug for PrincipalArns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Whom all entries of a list name, in order, encoded once: a page is a part of it, and nothing is copied or looked at for that.
#[derive(Debug, Clone, Default)]
pub struct PrincipalArnList {
    wire: Bytes,
    /// Where each begins.
    starts: Box<[usize]>,
}

impl PrincipalArnList {
    /// Those of a page. Of a range that goes beyond the end there is what is there.
    #[must_use]
    pub fn page(&self, range: Range<usize>) -> PrincipalArns {
        let start_of = |nth: usize| self.starts.get(nth).copied().unwrap_or(self.wire.len());
        let end = start_of(range.end);
        PrincipalArns(Held::Shared(self.wire.slice(start_of(range.start).min(end)..end)))
    }
}

impl<S: AsRef<str>> FromIterator<S> for PrincipalArnList {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let (mut wire, mut starts) = (Vec::new(), Vec::new());
        for text in texts {
            starts.push(wire.len());
            put(&mut wire, text.as_ref());
        }
        Self { wire: wire.into_boxed_slice().into(), starts: starts.into() }
    }
}

fn put(wire: &mut Vec<u8>, text: &str) {
    encoding::encode_key(PRINCIPAL_ARNS, WireType::LengthDelimited, wire);
    encoding::encode_varint(text.len() as u64, wire);
    wire.extend_from_slice(text.as_bytes());
}

/// Takes the first text off what [`put`] has made.
fn take<'w>(wire: &mut &'w [u8]) -> Option<&'w str> {
    encoding::decode_key(wire).ok()?;
    let length = usize::try_from(encoding::decode_varint(wire).ok()?).ok()?;
    let all: &'w [u8] = wire;
    let (text, rest) = all.split_at_checked(length)?;
    *wire = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same message as prost would have made it.
    #[derive(Clone, PartialEq, Message)]
    struct Derived {
        #[prost(message, repeated, tag = "1")]
        items: Vec<AccessEntryDetail>,
        #[prost(string, optional, tag = "2")]
        next_token: Option<String>,
        #[prost(string, repeated, tag = "3")]
        principal_arns: Vec<String>,
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|nth| format!("arn:aws:iam::111122223333:role/{}", "é".repeat(nth * 20))).collect()
    }

    fn pages() -> impl Iterator<Item = (AccessEntryPage, Derived)> {
        let detail = |arn: &str| AccessEntryDetail { arn: arn.to_owned(), ..Default::default() };
        let items = [Vec::new(), vec![detail("a")], vec![detail("a"), detail("b")]];
        let tokens = [None, Some(String::new()), Some("arn:aws:iam::111122223333:role/a local".to_owned())];
        let named = [texts(0), texts(1), texts(30), vec![String::new(), "a".to_owned()]];
        let all = items.into_iter().flat_map(move |items| {
            let named = named.clone();
            tokens.clone().into_iter().flat_map(move |token| {
                let (items, token) = (items.clone(), token.clone());
                named.clone().into_iter().map(move |named| (items.clone(), token.clone(), named))
            })
        });
        all.map(|(items, next_token, named)| {
            let principal_arns = named.iter().collect();
            let page =
                AccessEntryPage { items: items.clone(), next_token: next_token.clone(), principal_arns };
            (page, Derived { items, next_token, principal_arns: named })
        })
    }

    #[test]
    fn it_is_on_the_wire_what_its_proto_says() {
        for (page, derived) in pages() {
            let bytes = page.encode_to_vec();
            assert_eq!(bytes, derived.encode_to_vec());
            assert_eq!(bytes.len(), page.encoded_len());
            assert_eq!(AccessEntryPage::decode(&*bytes).unwrap(), page);
            assert!(page.principal_arns.iter().eq(&derived.principal_arns), "{page:?}");
            let shown = format!("{:?}", page.principal_arns);
            assert_eq!(shown, format!("{:?}", derived.principal_arns));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_what_is_unknown_passed_over() {
        let decode = |bytes: &[u8]| AccessEntryPage::decode(bytes);
        // Not UTF-8, broken off, and of another kind than a text.
        let all: [&[u8]; 5] = [&[0x1a, 1, 0xff], &[0x1a, 2, b'a'], &[0x18, 1], &[0x12, 1, 0xff], &[0x1a]];
        for broken in all {
            assert!(decode(broken).is_err() && Derived::decode(broken).is_err(), "{broken:?}");
        }
        let page = decode(&[0x20, 7, 0x1a, 1, b'a', 0x2a, 1, b'x', 0x1a, 1, b'b']).unwrap();
        assert!(page.principal_arns.iter().eq(["a", "b"]));
        let mut page = AccessEntryPage { principal_arns: texts(3).into_iter().collect(), ..page };
        page.clear();
        assert_eq!(page, AccessEntryPage::default());
    }

    #[test]
    fn a_page_is_a_part_of_the_list() {
        let all = texts(25);
        let list: PrincipalArnList = all.iter().collect();
        for (start, end) in [(0, 0), (0, 10), (10, 20), (20, 25), (24, 25), (0, 25), (25, 25)] {
            let page = list.page(start..end);
            assert!(page.iter().eq(&all[start..end]), "{start}..{end}");
            assert_eq!(page, all[start..end].iter().collect::<PrincipalArns>());
        }
        assert!(list.page(20..99).iter().eq(&all[20..]));
        assert_eq!(list.page(99..100), PrincipalArns::default());
        // What is read onto a part goes behind it, and the list stays as it is.
        let mut page = AccessEntryPage { principal_arns: list.page(0..2), ..Default::default() };
        page.merge(&[0x1a, 1, b'x'][..]).unwrap();
        assert!(page.principal_arns.iter().eq([&*all[0], &*all[1], "x"]));
        assert!(list.page(0..3).iter().eq(&all[..3]));
    }
}

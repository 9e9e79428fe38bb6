//! Reviews of a batch as nearly all of them are: a cluster, what is asked in a few texts, and nothing else. They go between memory and
//! the wire without a message in between, which would be most of what a check costs; whatever has more is left to its message. The bytes
//! are the same, as the tests hold against the messages.

use lanyard_proto::framed;
use prost::{
    bytes::BufMut as _,
    encoding::{self, WireType},
};
use smol_str::SmolStr;

use super::{Attributes, ResourceAttributes, Review};

// The fields of `lanyard.authz.v1.Review`.
const CLUSTER_UID: u32 = 1;
const ATTRIBUTES: u32 = 3;
const EXPLAIN: u32 = 4;
const FULL: u32 = 5;

/// A key of these messages on the wire: their numbers are below 16.
const KEY_BYTES: usize = 1;
/// A flag that is set.
const FLAG_BYTES: usize = KEY_BYTES + 1;

/// Most texts that attributes have: a namespace, a verb, a group, a version, a resource, a subresource and a name, as their message numbers
/// them from 1. Of a path the first two: the path, and the verb.
const TEXTS_MAX: usize = 7;
/// Texts of a path.
const PATH_TEXTS: usize = 2;

/// A review without a user, selectors and an entry of its own, borrowed from one in memory or from the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlainReview<'a> {
    pub(super) cluster_uid: &'a str,
    kind: Kind,
    texts: [&'a str; TEXTS_MAX],
    pub(super) explain: bool,
    pub(super) full: bool,
}

/// Which attributes: the numbers of the choice in their message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Resource = 1,
    NonResource = 2,
}

impl<'a> PlainReview<'a> {
    /// What is on the wire of a review whose user stands elsewhere; none where that is more.
    pub(super) fn of(review: &'a Review, cluster_uid: &'a str) -> Option<Self> {
        if review.grant.is_some() {
            return None;
        }
        let (kind, texts) = match &*review.attributes {
            Attributes::NonResource { path, verb } => (Kind::NonResource, [path, verb, "", "", "", "", ""]),
            Attributes::Resource(ResourceAttributes { selectors: Some(_), .. }) => return None,
            Attributes::Resource(ResourceAttributes {
                namespace,
                verb,
                group,
                version,
                resource,
                subresource,
                name,
                selectors: None,
            }) => (Kind::Resource, [&**namespace, verb, group, version, resource, subresource, name]),
        };
        Some(Self { cluster_uid, kind, texts, explain: review.explain, full: review.full })
    }

    /// What is asked.
    pub(super) fn attributes(&self) -> Attributes {
        let [namespace, verb, group, version, resource, subresource, name] = self.texts;
        match self.kind {
            Kind::NonResource => Attributes::NonResource { path: owned(namespace), verb: owned(verb) },
            Kind::Resource => Attributes::Resource(ResourceAttributes {
                namespace: owned(namespace),
                verb: owned(verb),
                group: owned(group),
                version: owned(version),
                resource: owned(resource),
                subresource: owned(subresource),
                name: owned(name),
                selectors: None,
            }),
        }
    }

    /// How many bytes it takes.
    pub(super) fn encoded_len(&self) -> usize {
        let flags = [self.explain, self.full].into_iter().filter(|flag| *flag).count() * FLAG_BYTES;
        text_len(self.cluster_uid) + framed_len(framed_len(self.texts_len())) + flags
    }

    /// Writes it.
    pub(super) fn encode(&self, buf: &mut Vec<u8>) {
        put_text(CLUSTER_UID, self.cluster_uid, buf);
        let length = self.texts_len();
        put_head(ATTRIBUTES, framed_len(length), buf);
        put_head(self.kind as u32, length, buf);
        for (number, text) in (1..).zip(self.texts) {
            put_text(number, text, buf);
        }
        for (number, flag) in [(EXPLAIN, self.explain), (FULL, self.full)] {
            if flag {
                encoding::bool::encode(number, &flag, buf);
            }
        }
    }

    fn texts_len(&self) -> usize {
        self.texts.into_iter().map(text_len).sum()
    }

    /// Reads one; none where there is anything else in it, or where it is no review.
    pub(super) fn decode(mut rest: &'a [u8]) -> Option<Self> {
        let mut review = Self {
            cluster_uid: "",
            kind: Kind::Resource,
            texts: [""; TEXTS_MAX],
            explain: false,
            full: false,
        };
        let mut is_asked = false;
        while !rest.is_empty() {
            match encoding::decode_key(&mut rest).ok()? {
                (CLUSTER_UID, WireType::LengthDelimited) => review.cluster_uid = text(&mut rest)?,
                // Where they come twice they are put together.
                (ATTRIBUTES, WireType::LengthDelimited) if !is_asked => {
                    (review.kind, review.texts) = attributes(framed(&mut rest)?)?;
                    is_asked = true;
                }
                (EXPLAIN, WireType::Varint) => review.explain = flag(&mut rest)?,
                (FULL, WireType::Varint) => review.full = flag(&mut rest)?,
                _ => return None,
            }
        }
        is_asked.then_some(review)
    }
}

/// Most questions leave some of their texts out.
fn owned(text: &str) -> SmolStr {
    if text.is_empty() { SmolStr::default() } else { SmolStr::new(text) }
}

/// Attributes of one kind, once.
fn attributes(mut rest: &[u8]) -> Option<(Kind, [&str; TEXTS_MAX])> {
    let (number, wire_type) = encoding::decode_key(&mut rest).ok()?;
    let kind = [Kind::Resource, Kind::NonResource].into_iter().find(|kind| *kind as u32 == number)?;
    let mut inside = (wire_type == WireType::LengthDelimited).then(|| framed(&mut rest)).flatten()?;
    if !rest.is_empty() {
        return None;
    }
    let known = match kind {
        Kind::Resource => TEXTS_MAX,
        Kind::NonResource => PATH_TEXTS,
    };
    let mut texts = [""; TEXTS_MAX];
    while !inside.is_empty() {
        let (number, wire_type) = encoding::decode_key(&mut inside).ok()?;
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        let is_text = place < known && wire_type == WireType::LengthDelimited;
        let slot = texts.get_mut(place).filter(|_| is_text)?;
        *slot = text(&mut inside)?;
    }
    Some((kind, texts))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    str::from_utf8(framed(rest)?).ok()
}

fn flag(rest: &mut &[u8]) -> Option<bool> {
    Some(encoding::decode_varint(rest).ok()? != 0)
}

fn put_text(number: u32, text: &str, buf: &mut Vec<u8>) {
    if !text.is_empty() {
        put_head(number, text.len(), buf);
        buf.put_slice(text.as_bytes());
    }
}

fn put_head(number: u32, length: usize, buf: &mut Vec<u8>) {
    encoding::encode_key(number, WireType::LengthDelimited, buf);
    encoding::encode_varint(length as u64, buf);
}

fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { framed_len(text.len()) }
}

/// With its key and length.
fn framed_len(length: usize) -> usize {
    KEY_BYTES + encoding::encoded_len_varint(length as u64) + length
}

#[cfg(test)]
mod tests {
    use lanyard_proto::authz::v1 as pb;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[a-zé-]{0,12}", 1 => "x{120,140}"]
    }

    /// Messages with more of everything than a plain review has, often without.
    fn messages() -> impl Strategy<Value = pb::Review> {
        let selectors = prop_oneof![3 => Just(None), 1 => Just(Some(pb::Selectors::default()))];
        let texts = prop::collection::vec(text(), TEXTS_MAX);
        let resource = (texts, selectors).prop_map(|(texts, selectors)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap();
            pb::attributes::Attributes::Resource(pb::ResourceAttributes {
                namespace: next(),
                verb: next(),
                group: next(),
                version: next(),
                resource: next(),
                subresource: next(),
                name: next(),
                selectors,
            })
        });
        let path = (text(), text()).prop_map(|(path, verb)| {
            pb::attributes::Attributes::NonResource(pb::NonResourceAttributes { path, verb })
        });
        let choice = prop::option::weighted(0.9, prop_oneof![3 => resource, 1 => path]);
        let attributes = choice.prop_map(|attributes| pb::Attributes { attributes });
        let user =
            prop_oneof![3 => Just(None), 1 => Just(Some(lanyard_proto::mapping::v1::UserInfo::default()))];
        let entry = prop_oneof![3 => Just(None), 1 => text().prop_map(Some)];
        let rest = (any::<bool>(), any::<bool>(), entry);
        (text(), user, prop::option::weighted(0.9, attributes), rest).prop_map(
            |(cluster_uid, user, attributes, (explain, full, entry_id))| pb::Review {
                cluster_uid,
                user,
                attributes,
                explain,
                full,
                entry_id,
            },
        )
    }

    /// A field of a review as a stranger may write it, or of something else.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let varint = || {
            prop_oneof![
                4 => (0..9_u8).prop_map(|small| vec![small]),
                1 => Just(vec![0x82, 0x00]),
                1 => Just(vec![0x80, 0x80, 0x80, 0x80, 0x10]),
                1 => Just([&[0xff; 9][..], &[1]].concat()),
                1 => Just([&[0xff; 9][..], &[2]].concat()),
            ]
        };
        let key = prop_oneof![
            8 => (1..10_u8, prop::sample::select(vec![0_u8, 2, 2, 2, 3, 4, 5])).prop_map(|(number, kind)| vec![number << 3 | kind]),
            1 => Just(vec![0x9a, 0x00]),
            1 => Just(vec![0x8a, 0x01]),
            1 => Just(vec![0x02]),
        ];
        let text =
            prop_oneof![Just(vec![2, b'a', b'b']), Just(vec![1, 0xff]), Just(vec![0]), Just(vec![5, b'a'])];
        let field = (key, prop_oneof![varint(), text]).prop_map(|(key, value)| [key, value].concat());
        let inner = prop::collection::vec(field.clone(), 0..4).prop_map(|fields| fields.concat());
        let framed = (1..4_u8, inner, 0..3_u8).prop_map(|(number, inner, more)| {
            let length = u8::try_from(inner.len()).unwrap();
            let resource = [&[number << 3 | 2, length][..], &inner].concat();
            let length = u8::try_from(resource.len()).unwrap();
            // Now and then of another length than it has.
            [&[0x1a, if more == 2 { length + 1 } else { length }][..], &resource].concat()
        });
        prop_oneof![field, framed]
    }

    /// What is read without a message is what the message says.
    fn holds(bytes: &[u8]) {
        // Whoever lets a batch in sees the cluster with which its reviews are read.
        if let Ok(message) = pb::Review::decode(bytes) {
            let mut batch = pb::AuthorizeBatchRequest::default();
            batch.reviews.push_written(bytes.len(), |buf| buf.extend_from_slice(bytes));
            assert_eq!(super::super::batch::batch_cluster(&batch).ok(), Some(message.cluster_uid));
        }
        let Some(plain) = PlainReview::decode(bytes) else { return };
        let message = pb::Review::decode(bytes).unwrap();
        assert_eq!((message.user.is_none(), message.entry_id.is_none()), (true, true));
        assert_eq!(
            (plain.cluster_uid, plain.explain, plain.full),
            (message.cluster_uid.as_str(), message.explain, message.full)
        );
        let attributes = Attributes::try_from(message.attributes.clone().unwrap()).unwrap();
        assert_eq!(plain.attributes(), attributes);
    }

    #[test]
    fn what_is_more_than_a_plain_review_or_none_is_left_to_its_message() {
        let resource = [0x1a, 4, 0x0a, 2, 0x12, 0];
        let cases: [(&[u8], bool); 16] = [
            (&resource, true),
            // A verb, a cluster twice: the last counts. A flag of 2 is set.
            (&[0x1a, 7, 0x0a, 5, 0x12, 3, b'g', b'e', b't', 0x0a, 1, b'a', 0x0a, 1, b'b', 0x20, 2], true),
            (&[0x1a, 5, 0x12, 3, 0x0a, 1, b'/'], true),
            (&[], false),
            (&[0x0a, 1, b'a'], false),
            // Attributes twice, two kinds of them, and none.
            (&[0x1a, 2, 0x0a, 0, 0x1a, 2, 0x0a, 0], false),
            (&[0x1a, 4, 0x0a, 0, 0x12, 0], false),
            (&[0x1a, 0], false),
            // A user, an entry, selectors, a third text of a path, and a field that nobody knows.
            (&[0x12, 0, 0x1a, 2, 0x0a, 0], false),
            (&[0x1a, 2, 0x0a, 0, 0x32, 0], false),
            (&[0x1a, 4, 0x0a, 2, 0x42, 0], false),
            (&[0x1a, 4, 0x12, 2, 0x1a, 0], false),
            (&[0x1a, 2, 0x0a, 0, 0x38, 1], false),
            // Cut short, no UTF-8, and a number for a text.
            (&[0x1a, 3, 0x0a, 0], false),
            (&[0x1a, 5, 0x0a, 3, 0x12, 1, 0xff], false),
            (&[0x08, 1, 0x1a, 2, 0x0a, 0], false),
        ];
        for (bytes, expected) in cases {
            assert_eq!(PlainReview::decode(bytes).is_some(), expected, "{bytes:02x?}");
            holds(bytes);
        }
    }

    proptest! {
        #[test]
        fn it_is_on_the_wire_what_its_message_is(message in messages(), spoilt in any::<prop::sample::Index>(), by in any::<u8>()) {
            let mut bytes = message.encode_to_vec();
            let asked = message.attributes.as_ref().and_then(|attributes| attributes.attributes.as_ref());
            let has_selectors = matches!(
                asked,
                Some(pb::attributes::Attributes::Resource(pb::ResourceAttributes { selectors: Some(_), .. }))
            );
            let is_plain = asked.is_some() && !has_selectors && message.user.is_none() && message.entry_id.is_none();
            prop_assert_eq!(PlainReview::decode(&bytes).is_some(), is_plain);
            holds(&bytes);
            if let Some(plain) = PlainReview::decode(&bytes) {
                let mut written = Vec::new();
                plain.encode(&mut written);
                prop_assert_eq!(&written, &bytes);
                prop_assert_eq!(written.len(), plain.encoded_len());
                let review = Review {
                    cluster: crate::ids::ClusterUid(uuid::Uuid::nil()),
                    user: std::sync::Arc::default(),
                    attributes: std::sync::Arc::new(plain.attributes()),
                    explain: plain.explain,
                    full: plain.full,
                    grant: None,
                };
                prop_assert_eq!(PlainReview::of(&review, plain.cluster_uid), Some(plain));
            }
            if !bytes.is_empty() {
                let at = spoilt.index(bytes.len());
                bytes[at] = by;
                holds(&bytes);
            }
        }

        #[test]
        fn whatever_is_read_without_a_message_is_what_the_message_says(pieces in prop::collection::vec(piece(), 0..8)) {
            holds(&pieces.concat());
        }
    }
}

//! Batches of reviews. A thousand of them, and then their decisions, lie in one piece, as the wire has them: as messages that wait for
//! each other they would be most of what a check costs, and of the memory that it goes through. Each is made where it is looked at, and
//! gone after that.

use std::{fmt, iter, marker::PhantomData, ops::Range};

use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut, Bytes},
    encoding::{self, DecodeContext, WireType},
};

use crate::{
    authz::v1::{Decision, Review},
    mapping::v1::UserInfo,
};

/// The field of the messages, in both batches.
const MESSAGES: u32 = 1;
const USER: u32 = 2;

/// Most bytes before a message: the field's key, and the length of what is no longer than a batch.
const HEAD_BYTES_MAX: usize = 6;

/// `lanyard.authz.v1.AuthorizeBatchRequest`: many questions about one cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizeBatchRequest {
    /// All of one cluster, at most 10 000.
    pub reviews: Each<Review>,
    /// Who wants in, where a review leaves its own `user` out: a batch about one person need name them once.
    pub user: Option<UserInfo>,
}

impl Message for AuthorizeBatchRequest {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.reviews.wire);
        if let Some(user) = &self.user {
            encoding::message::encode(USER, user, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            MESSAGES => self.reviews.merge_one(wire_type, buf, ctx),
            USER => encoding::message::merge(wire_type, self.user.get_or_insert_default(), buf, ctx),
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let user = self.user.as_ref();
        self.reviews.wire.len() + user.map_or(0, |user| encoding::message::encoded_len(USER, user))
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// `lanyard.authz.v1.AuthorizeBatchResponse`: their answers, all of one snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizeBatchResponse {
    /// One for each review, in order.
    pub decisions: Each<Decision>,
}

impl Message for AuthorizeBatchResponse {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.decisions.wire);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            MESSAGES => self.decisions.merge_one(wire_type, buf, ctx),
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        self.decisions.wire.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Messages in order, as a field repeats them. What came over the wire is read when it is looked at, and may turn out to be none then.
#[derive(Clone)]
pub struct Each<M> {
    wire: Vec<u8>,
    /// Where the last one that was added lies.
    last: Range<usize>,
    count: usize,
    of: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Each<M> {
    /// One more.
    pub fn push(&mut self, message: &M) {
        self.push_written(message.encoded_len(), |buf| message.encode_raw(buf));
    }

    /// One more, which is written here in just so many bytes: for who need not make a message of it first.
    pub fn push_written(&mut self, length: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.wire.len();
        self.wire.reserve(HEAD_BYTES_MAX + length);
        encoding::encode_key(MESSAGES, WireType::LengthDelimited, &mut self.wire);
        encoding::encode_varint(length as u64, &mut self.wire);
        let body = self.wire.len();
        write(&mut self.wire);
        debug_assert_eq!(self.wire.len() - body, length, "what is written is as long as was said");
        self.last = start..self.wire.len();
        self.count += 1;
    }

    /// The one that was pushed last, once more; nothing where there is none.
    pub fn push_again(&mut self) {
        if self.is_empty() {
            return;
        }
        let start = self.wire.len();
        self.wire.extend_from_within(self.last.clone());
        self.last = start..self.wire.len();
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each message; an error where what came is none.
    pub fn iter(&self) -> impl Iterator<Item = Result<M, DecodeError>> {
        self.iter_bytes().map(M::decode)
    }

    /// The bytes of each message, as they came or were written.
    pub fn iter_bytes(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire.as_slice();
        iter::from_fn(move || take(&mut rest))
    }

    /// Takes one off a message that is read.
    fn merge_one(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // A message that came in one piece, as all do, is copied from where it lies.
        let mut piece = buf.chunk();
        if wire_type == WireType::LengthDelimited
            && let Some(message) = framed(&mut piece)
        {
            if self.wire.capacity() == 0 {
                // What is still to come of the batch has come already: these are its bytes.
                self.wire.reserve(HEAD_BYTES_MAX + buf.remaining());
            }
            self.push_written(message.len(), |wire| wire.put_slice(message));
            buf.advance(buf.chunk().len() - piece.len());
            return Ok(());
        }
        let mut message = Bytes::new();
        encoding::bytes::merge(wire_type, &mut message, buf, ctx)?;
        self.push_written(message.len(), |wire| wire.put_slice(&message));
        Ok(())
    }
}

/// Takes the bytes of the first message off what [`Each`] holds, which wrote key and length itself; none where there are no more.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    encoding::decode_key(rest).ok()?;
    framed(rest)
}

/// Takes as many bytes as a length says that stands before them, as in a text or a message inside another one; none where there are fewer,
/// or no length.
pub fn framed<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(encoding::decode_varint(rest).ok()?).ok()?;
    let message;
    (message, *rest) = rest.split_at_checked(length)?;
    Some(message)
}

impl<M> Default for Each<M> {
    fn default() -> Self {
        Self { wire: Vec::new(), last: 0..0, count: 0, of: PhantomData }
    }
}

impl<M: Message + Default> FromIterator<M> for Each<M> {
    fn from_iter<I: IntoIterator<Item = M>>(messages: I) -> Self {
        let mut each = Self::default();
        messages.into_iter().for_each(|message| each.push(&message));
        each
    }
}

impl<M> PartialEq for Each<M> {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl<M: Message + Default + fmt::Debug> fmt::Debug for Each<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same messages as prost would have made them.
    #[derive(Clone, PartialEq, Message)]
    struct DerivedRequest {
        #[prost(message, repeated, tag = "1")]
        reviews: Vec<Review>,
        #[prost(message, optional, tag = "2")]
        user: Option<UserInfo>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct DerivedResponse {
        #[prost(message, repeated, tag = "1")]
        decisions: Vec<Decision>,
    }

    fn reviews() -> Vec<Review> {
        let named = Review { cluster_uid: "c1".to_owned(), explain: true, ..Review::default() };
        let long = Review { entry_id: Some("é".repeat(100)), ..named.clone() };
        vec![named, Review::default(), long]
    }

    #[test]
    fn a_request_is_on_the_wire_what_its_proto_says() {
        let user = UserInfo { username: "ana".to_owned(), ..UserInfo::default() };
        for (reviews, user) in [(Vec::new(), None), (reviews(), None), (reviews(), Some(user))] {
            let each = reviews.iter().cloned().collect();
            let request = AuthorizeBatchRequest { reviews: each, user: user.clone() };
            let bytes = request.encode_to_vec();
            assert_eq!(bytes.len(), request.encoded_len());
            assert_eq!(bytes, DerivedRequest { reviews: reviews.clone(), user }.encode_to_vec());
            let read = AuthorizeBatchRequest::decode(&*bytes).unwrap();
            assert_eq!(read, request);
            assert_eq!((read.reviews.len(), read.reviews.is_empty()), (reviews.len(), reviews.is_empty()));
            assert_eq!(read.reviews.iter().collect::<Result<Vec<_>, _>>(), Ok(reviews));
        }
    }

    #[test]
    fn a_response_is_on_the_wire_what_its_proto_says_also_where_decisions_are_copied() {
        let decision = |revision| Decision { revision, hints: vec!["a".to_owned()], ..Decision::default() };
        let mut response = AuthorizeBatchResponse::default();
        response.decisions.push_again();
        assert_eq!((response.encoded_len(), response.decisions.len()), (0, 0), "there is none yet");
        response.decisions.push(&decision(1));
        response.decisions.push(&decision(2));
        response.decisions.push_again();
        response.decisions.push_again();
        let decisions = vec![decision(1), decision(2), decision(2), decision(2)];
        assert_eq!(response.decisions.len(), decisions.len());
        let bytes = response.encode_to_vec();
        assert_eq!(bytes, DerivedResponse { decisions: decisions.clone() }.encode_to_vec());
        let read = AuthorizeBatchResponse::decode(&*bytes).unwrap();
        assert_eq!(read.decisions.iter().collect::<Result<Vec<_>, _>>(), Ok(decisions));
    }

    #[test]
    fn a_batch_that_comes_in_pieces_is_the_same() {
        let bytes = DerivedRequest { reviews: reviews(), user: None }.encode_to_vec();
        let whole = AuthorizeBatchRequest::decode(&*bytes).unwrap();
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(AuthorizeBatchRequest::decode(head.chain(tail)), Ok(whole.clone()), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_cut_short_is_no_batch_and_what_is_no_message_is_told() {
        let bytes = DerivedRequest { reviews: reviews(), user: None }.encode_to_vec();
        assert!(AuthorizeBatchRequest::decode(&bytes[..bytes.len() - 1]).is_err());
        // A message of two bytes, which say that ten are to come; and one behind it.
        let broken = AuthorizeBatchRequest::decode(&[0x0a, 2, 0x0a, 10, 0x0a, 0][..]).unwrap();
        let read: Vec<_> = broken.reviews.iter().map(|review| review.is_ok()).collect();
        assert_eq!(read, [false, true]);
    }
}

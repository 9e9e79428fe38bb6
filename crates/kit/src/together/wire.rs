//! What goes over such a stream: messages of gRPC, of which the one side writes calls and the other answers.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use prost::Message;

use super::FIELDS_MAX;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// What nearly every call says of itself, and is left out.
pub(super) static USUAL_OF_CALLS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
    (header::TE, HeaderValue::from_static("trailers")),
];
/// The same of answers.
pub(super) static USUAL_OF_ANSWERS: [(HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))];

/// A header line. None is shown: there are tokens and vouchers among them.
#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Field {
    /// Its name, in lower case.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Its value, as it goes over the wire.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

/// A call, or that nobody waits for one any more.
#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Call {
    /// Which of the stream, each once.
    #[prost(uint64, tag = "1")]
    pub(super) number: u64,
    /// `/<package>.<Service>/<Method>`.
    #[prost(string, tag = "2")]
    pub(super) path: String,
    /// Its headers, without the usual ones.
    #[prost(message, repeated, tag = "3")]
    pub(super) headers: Vec<Field>,
    /// Its whole body.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) body: Bytes,
    /// Nobody waits for the call of this number: it is let go, and not answered. There is no path then.
    #[prost(bool, tag = "5")]
    pub(super) is_cancelled: bool,
}

/// The answer to a call, or the word that the stream ends.
#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Answer {
    /// Which call.
    #[prost(uint64, tag = "1")]
    pub(super) number: u64,
    /// The HTTP status.
    #[prost(uint32, tag = "2")]
    pub(super) status: u32,
    /// Its headers, without the usual ones.
    #[prost(message, repeated, tag = "3")]
    pub(super) headers: Vec<Field>,
    /// Its whole body.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) body: Bytes,
    /// Its trailers; empty where it has none.
    #[prost(message, repeated, tag = "5")]
    pub(super) trailers: Vec<Field>,
    /// The call was not taken, and has met no service: it may be sent by itself.
    #[prost(bool, tag = "6")]
    pub(super) alone: bool,
    /// It answers no call: none should be sent any more. Those that were are answered yet.
    #[prost(bool, tag = "7")]
    pub(super) ending: bool,
}

/// Why a stream cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    /// Nobody has said that it may be.
    #[error("a message is compressed")]
    Compressed,
    /// It would have to be kept until it is whole.
    #[error("a message is {bytes} bytes long, over {bytes_max}")]
    TooLong {
        /// What it says.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It is no such message.
    #[error("a message cannot be read: {0}")]
    Unreadable(#[from] prost::DecodeError),
}

/// Writes a message behind others.
pub(super) fn put(buffer: &mut BytesMut, message: &impl Message) {
    let bytes = message.encoded_len();
    buffer.reserve(PREFIX_BYTES + bytes);
    buffer.put_u8(0);
    // Bounded by whoever makes it.
    buffer.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
    // There is room for it.
    let _ = message.encode(buffer);
}

/// Reads messages from pieces of whatever size.
pub(super) struct Messages {
    buffer: BytesMut,
    bytes_max: usize,
}

impl Messages {
    /// Of at most so many bytes each.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), bytes_max }
    }

    /// A piece more.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next message that is whole.
    pub(super) fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Malformed> {
        let Some(mut prefix) = self.buffer.get(..PREFIX_BYTES) else { return Ok(None) };
        if prefix.get_u8() != 0 {
            return Err(Malformed::Compressed);
        }
        let bytes = usize::try_from(prefix.get_u32()).unwrap_or(usize::MAX);
        if bytes > self.bytes_max {
            return Err(Malformed::TooLong { bytes, bytes_max: self.bytes_max });
        }
        if self.buffer.len() < PREFIX_BYTES + bytes {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(M::decode(self.buffer.split_to(bytes).freeze())?))
    }
}

/// Headers for the wire.
pub(super) fn fields(headers: &HeaderMap, usual: &[(HeaderName, HeaderValue)]) -> Vec<Field> {
    let is_usual = |name: &HeaderName, value: &HeaderValue| {
        usual.iter().any(|(usual, usually)| name == usual && value == usually)
    };
    let told = headers.iter().filter(|(name, value)| !is_usual(name, value));
    told.map(|(name, value)| Field {
        name: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    })
    .collect()
}

/// Headers from the wire; none where one is no header, or there are too many.
pub(super) fn headers(fields: Vec<Field>, usual: &[(HeaderName, HeaderValue)]) -> Option<HeaderMap> {
    if fields.len() > FIELDS_MAX {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(fields.len() + usual.len());
    for Field { name, value } in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(value).ok()?);
    }
    for (name, value) in usual {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u64, bytes: usize) -> Call {
        Call { number, body: vec![7; bytes].into(), ..Call::default() }
    }

    #[test]
    fn messages_are_read_from_pieces_of_any_size() {
        let mut written = BytesMut::new();
        (1..=3).for_each(|number| put(&mut written, &call(number, 40)));
        for size in [1, 4, 7, 50, 1000] {
            let (mut messages, mut numbers) = (Messages::new(100), Vec::new());
            for piece in written.chunks(size) {
                messages.push(piece);
                while let Some(call) = messages.next::<Call>().unwrap() {
                    numbers.push(call.number);
                }
            }
            assert_eq!(numbers, [1, 2, 3], "pieces of {size}");
        }
    }

    #[test]
    fn what_is_too_long_compressed_or_no_message_is_refused() {
        let mut long = BytesMut::new();
        put(&mut long, &call(1, 101));
        // Of the long one its prefix is enough.
        let cases: [(&[u8], &str); 3] = [
            (&long[..5], "over 100"),
            (&[1, 0, 0, 0, 0], "compressed"),
            (&[0, 0, 0, 0, 2, 0xff, 0xff], "cannot be read"),
        ];
        for (piece, words) in cases {
            let mut messages = Messages::new(100);
            messages.push(piece);
            let refused = messages.next::<Call>().err().unwrap().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn headers_come_out_as_they_went_in_and_bad_ones_do_not() {
        let mut sent = HeaderMap::new();
        sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        sent.insert(header::TE, HeaderValue::from_static("trailers"));
        sent.append("x-twice", HeaderValue::from_static("a"));
        sent.append("x-twice", HeaderValue::from_bytes(b"\xff").unwrap());
        let told = fields(&sent, &USUAL_OF_CALLS);
        assert_eq!(told.len(), 2, "the usual ones are left out");
        assert_eq!(headers(told, &USUAL_OF_CALLS).unwrap(), sent);
        // One that is not the usual one goes along.
        sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc+json"));
        assert_eq!(headers(fields(&sent, &USUAL_OF_CALLS), &USUAL_OF_CALLS).unwrap(), sent);
        let field = |name: &str, value: &'static [u8]| Field { name: name.to_owned(), value: value.into() };
        for bad in [field(":path", b"/a"), field("", b""), field("a b", b""), field("a", b"\r\nb: c")] {
            assert!(headers(vec![bad], &[]).is_none());
        }
        let many = (0..=FIELDS_MAX).map(|_| field("a", b"")).collect();
        assert!(headers(many, &[]).is_none());
    }
}

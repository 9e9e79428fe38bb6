//! What goes over such a stream: messages of gRPC, of which the one side writes calls and the other answers. What reads them is
//! public for its fuzz target, and nobody else's.

use bytes::{Buf as _, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::{CALL_BYTES_MAX, FIELDS_MAX};

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// What nearly every call says of itself, and is left out.
pub static USUAL_OF_CALLS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
    (header::TE, HeaderValue::from_static("trailers")),
];
/// The same of answers.
pub static USUAL_OF_ANSWERS: [(HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))];

/// There are none of trailers.
static USUAL_OF_TRAILERS: [(HeaderName, HeaderValue); 0] = [];

/// Names in nearly every call or answer that are none of HTTP's own, so that they need not be copied.
static KNOWN: [HeaderName; 2] =
    [HeaderName::from_static("grpc-status"), HeaderName::from_static("grpc-timeout")];

/// Most bytes of a call's number, with its key.
const NUMBER_BYTES_MAX: usize = number_len(NUMBER, u64::MAX);

// The numbers of fields that are written without their message: the same as the messages have below.
const NAME: u32 = 1;
const VALUE: u32 = 2;
const NUMBER: u32 = 1;
const PATH_OF_CALL: u32 = 2;
const STATUS: u32 = 2;
const HEADERS: u32 = 3;
const BODY: u32 = 4;
const TRAILERS: u32 = 5;

/// A header line. None is shown: there are tokens and vouchers among them.
#[derive(Message)]
#[prost(skip_debug)]
pub struct Field {
    /// Its name, in lower case; a part of the message, as is all that is read here.
    #[prost(bytes = "bytes", tag = "1")]
    pub name: Bytes,
    /// Its value, as it goes over the wire.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// A call, or that nobody waits for one any more.
#[derive(Message)]
#[prost(skip_debug)]
pub struct Call {
    /// Which of the stream, each once.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// `/<package>.<Service>/<Method>`.
    #[prost(bytes = "bytes", tag = "2")]
    pub path: Bytes,
    /// Its headers, without the usual ones.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Field>,
    /// Its whole body.
    #[prost(bytes = "bytes", tag = "4")]
    pub body: Bytes,
    /// Nobody waits for the call of this number: it is let go, and not answered. There is no path then.
    #[prost(bool, tag = "5")]
    pub is_cancelled: bool,
}

/// The answer to a call, or the word that the stream ends.
#[derive(Message)]
#[prost(skip_debug)]
pub struct Answer {
    /// Which call.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The HTTP status.
    #[prost(uint32, tag = "2")]
    pub status: u32,
    /// Its headers, without the usual ones.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Field>,
    /// Its whole body.
    #[prost(bytes = "bytes", tag = "4")]
    pub body: Bytes,
    /// Its trailers; empty where it has none.
    #[prost(message, repeated, tag = "5")]
    pub trailers: Vec<Field>,
    /// The call was not taken, and has met no service: it may be sent by itself.
    #[prost(bool, tag = "6")]
    pub alone: bool,
    /// It answers no call: none should be sent any more. Those that were are answered yet.
    #[prost(bool, tag = "7")]
    pub ending: bool,
}

/// Why a stream cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
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
    begin(buffer, message.encoded_len());
    // There is room for it.
    let _ = message.encode(buffer);
}

/// Begins a message of so many bytes.
fn begin(buffer: &mut BytesMut, bytes: usize) {
    buffer.reserve(PREFIX_BYTES + bytes);
    buffer.put_u8(0);
    // Bounded by whoever makes it.
    buffer.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
}

/// A [`Call`] as it is written, up to its number: straight from the request, with no message made of it first. None where it would be
/// longer than one may be.
pub fn unnumbered(path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    let headers = Lines { tag: HEADERS, headers, usual: &USUAL_OF_CALLS };
    let bytes = text_len(PATH_OF_CALL, path.as_bytes()) + headers.encoded_len() + text_len(BODY, body);
    if NUMBER_BYTES_MAX + bytes > CALL_BYTES_MAX {
        return None;
    }
    let mut call = Vec::with_capacity(bytes);
    put_text(PATH_OF_CALL, path.as_bytes(), &mut call);
    headers.put(&mut call);
    put_text(BODY, body, &mut call);
    Some(call)
}

/// Writes such a call behind others.
pub(super) fn put_call(buffer: &mut BytesMut, number: u64, unnumbered: &[u8]) {
    begin(buffer, number_len(NUMBER, number) + unnumbered.len());
    put_number(NUMBER, number, buffer);
    buffer.put_slice(unnumbered);
}

/// An [`Answer`] that a service gave, whole.
pub(super) struct Given {
    /// To which call.
    pub(super) number: u64,
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// Its headers, with the usual ones.
    pub(super) headers: HeaderMap,
    /// Its whole body.
    pub(super) body: Bytes,
    /// Its trailers, where it has some.
    pub(super) trailers: Option<HeaderMap>,
}

impl Given {
    /// Writes it behind others.
    pub(super) fn put(&self, buffer: &mut BytesMut) {
        let status = self.status.as_u16().into();
        let headers = Lines { tag: HEADERS, headers: &self.headers, usual: &USUAL_OF_ANSWERS };
        let trailers = self.trailers.as_ref();
        let trailers =
            trailers.map(|trailers| Lines { tag: TRAILERS, headers: trailers, usual: &USUAL_OF_TRAILERS });
        let bytes = number_len(NUMBER, self.number)
            + number_len(STATUS, status)
            + headers.encoded_len()
            + text_len(BODY, &self.body)
            + trailers.as_ref().map_or(0, Lines::encoded_len);
        begin(buffer, bytes);
        put_number(NUMBER, self.number, buffer);
        put_number(STATUS, status, buffer);
        headers.put(buffer);
        put_text(BODY, &self.body, buffer);
        trailers.iter().for_each(|trailers| trailers.put(buffer));
    }
}

/// Headers as a message repeats them in one of its fields.
struct Lines<'a> {
    tag: u32,
    headers: &'a HeaderMap,
    /// Those that are left out.
    usual: &'static [(HeaderName, HeaderValue)],
}

impl Lines<'_> {
    /// Each as the bytes of its name and its value.
    fn told(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let usual = self.usual;
        let is_usual = move |name: &HeaderName, value: &HeaderValue| {
            usual.iter().any(|(usual, usually)| name == usual && value == usually)
        };
        let told = self.headers.iter().filter(move |(name, value)| !is_usual(name, value));
        told.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
    }

    fn encoded_len(&self) -> usize {
        let line = |(name, value)| {
            let bytes = line_len(name, value);
            key_len(self.tag) + encoded_len_varint(bytes as u64) + bytes
        };
        self.told().map(line).sum()
    }

    fn put(&self, buffer: &mut impl BufMut) {
        for (name, value) in self.told() {
            encode_key(self.tag, WireType::LengthDelimited, buffer);
            encode_varint(line_len(name, value) as u64, buffer);
            put_text(NAME, name, buffer);
            put_text(VALUE, value, buffer);
        }
    }
}

/// Bytes of a [`Field`].
fn line_len(name: &[u8], value: &[u8]) -> usize {
    text_len(NAME, name) + text_len(VALUE, value)
}

/// Bytes of a field of bytes. One that is empty is left out, as Protobuf has it.
fn text_len(tag: u32, text: &[u8]) -> usize {
    if text.is_empty() { 0 } else { key_len(tag) + encoded_len_varint(text.len() as u64) + text.len() }
}

fn put_text(tag: u32, text: &[u8], buffer: &mut impl BufMut) {
    if !text.is_empty() {
        encode_key(tag, WireType::LengthDelimited, buffer);
        encode_varint(text.len() as u64, buffer);
        buffer.put_slice(text);
    }
}

/// Bytes of a field that is a number; 0 is left out.
const fn number_len(tag: u32, number: u64) -> usize {
    if number == 0 { 0 } else { key_len(tag) + encoded_len_varint(number) }
}

fn put_number(tag: u32, number: u64, buffer: &mut impl BufMut) {
    if number != 0 {
        encode_key(tag, WireType::Varint, buffer);
        encode_varint(number, buffer);
    }
}

/// Reads messages from pieces of whatever size.
pub struct Messages {
    buffer: BytesMut,
    bytes_max: usize,
}

impl Messages {
    /// Of at most so many bytes each.
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), bytes_max }
    }

    /// A piece more.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next message that is whole.
    pub fn next_message<M: Message + Default>(&mut self) -> Result<Option<M>, Malformed> {
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

/// Headers from the wire; none where one is no header, or there are too many.
pub fn headers(fields: Vec<Field>, usual: &[(HeaderName, HeaderValue)]) -> Option<HeaderMap> {
    if fields.len() > FIELDS_MAX {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(fields.len() + usual.len());
    for Field { name, value } in fields {
        headers.append(header_name(&name)?, HeaderValue::from_maybe_shared(value).ok()?);
    }
    for (name, value) in usual {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    Some(headers)
}

fn header_name(name: &[u8]) -> Option<HeaderName> {
    let known = KNOWN.iter().find(|known| known.as_str().as_bytes() == name);
    known.cloned().or_else(|| HeaderName::from_bytes(name).ok())
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
                while let Some(call) = messages.next_message::<Call>().unwrap() {
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
            let refused = messages.next_message::<Call>().err().unwrap().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }

    /// The header lines of a call, over the wire.
    fn lines(headers: &HeaderMap) -> Vec<Field> {
        let mut written = BytesMut::new();
        put_call(&mut written, 1, &unnumbered("/a.B/C", headers, b"").unwrap());
        let mut messages = Messages::new(CALL_BYTES_MAX);
        messages.push(&written);
        messages.next_message::<Call>().unwrap().unwrap().headers
    }

    fn field(name: &'static str, value: &'static [u8]) -> Field {
        Field { name: name.into(), value: value.into() }
    }

    #[test]
    fn headers_come_out_as_they_went_in_and_bad_ones_do_not() {
        let mut sent = HeaderMap::new();
        sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        sent.insert(header::TE, HeaderValue::from_static("trailers"));
        sent.append("x-twice", HeaderValue::from_static("a"));
        sent.append("x-twice", HeaderValue::from_bytes(b"\xff").unwrap());
        sent.insert("grpc-timeout", HeaderValue::from_static("10S"));
        sent.insert("x-empty", HeaderValue::from_static(""));
        let told = lines(&sent);
        assert_eq!(told.len(), 4, "the usual ones are left out");
        assert_eq!(headers(told, &USUAL_OF_CALLS).unwrap(), sent);
        // One that is not the usual one goes along.
        sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc+json"));
        assert_eq!(headers(lines(&sent), &USUAL_OF_CALLS).unwrap(), sent);
        for bad in [
            field(":path", b"/a"),
            field("", b""),
            field("a b", b""),
            field("\u{e9}", b""),
            field("a", b"\r\nb: c"),
        ] {
            assert!(headers(vec![bad], &[]).is_none());
        }
        let many = (0..=FIELDS_MAX).map(|_| field("a", b"")).collect();
        assert!(headers(many, &[]).is_none());
    }

    /// A message as [`put`] writes it.
    fn message(message: &impl Message) -> BytesMut {
        let mut written = BytesMut::new();
        put(&mut written, message);
        written
    }

    #[test]
    fn what_is_written_without_a_message_is_what_the_message_says() {
        let mut sent = HeaderMap::new();
        sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        sent.insert("grpc-status", HeaderValue::from_static("0"));
        sent.insert("x-empty", HeaderValue::from_static(""));
        sent.insert("x-long", HeaderValue::from_bytes(&[b'x'; 300]).unwrap());
        let fields =
            || vec![field("grpc-status", b"0"), field("x-empty", b""), field("x-long", &[b'x'; 300])];
        for (number, body) in [(0, &b""[..]), (1, b"question"), (300, &[7; 200]), (u64::MAX, b"")] {
            let mut written = BytesMut::new();
            put_call(&mut written, number, &unnumbered("/a.B/C", &sent, body).unwrap());
            let call = Call {
                number,
                path: "/a.B/C".into(),
                headers: fields(),
                body: body.into(),
                is_cancelled: false,
            };
            assert_eq!(written, message(&call), "call {number}");
            for trailers in [None, Some(sent.clone())] {
                let mut written = BytesMut::new();
                let has_trailers = trailers.is_some();
                let status = StatusCode::OK;
                Given { number, status, headers: sent.clone(), body: body.into(), trailers }
                    .put(&mut written);
                let usual = field("content-type", b"application/grpc");
                let trailers = [usual].into_iter().chain(fields()).filter(|_| has_trailers).collect();
                let answer = Answer {
                    number,
                    status: 200,
                    headers: fields(),
                    body: body.into(),
                    trailers,
                    ..Answer::default()
                };
                assert_eq!(written, message(&answer), "answer {number}");
            }
        }
    }

    #[test]
    fn a_call_is_as_long_as_one_may_be_whatever_its_number() {
        let written = |bytes: usize| unnumbered("", &HeaderMap::new(), &vec![7; bytes]);
        // The key of the body, and three bytes of its length.
        let longest = CALL_BYTES_MAX - NUMBER_BYTES_MAX - 4;
        let mut buffer = BytesMut::new();
        put_call(&mut buffer, u64::MAX, &written(longest).unwrap());
        assert_eq!(buffer.len(), PREFIX_BYTES + CALL_BYTES_MAX);
        assert!(written(longest + 1).is_none());
    }
}

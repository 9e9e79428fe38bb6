use std::mem;

use lanyard_kit::together::wire::{self, Answer, Call, Messages, USUAL_OF_ANSWERS, USUAL_OF_CALLS};
use prost::Message;

use super::promise;

/// Most bytes of a message; what is read of an answer does not depend on it.
const BYTES_MAX: usize = 20 * 1024;

/// The bytes of a stream on which calls of one process of the hub travel together to another: as calls, and as answers.
pub fn together(input: &[u8]) -> bool {
    let calls = messages::<Call>(input);
    let answers = messages::<Answer>(input);
    let (calls, answers) = (calls.map(|calls| each(calls, call)), answers.map(|them| each(them, answer)));
    calls.unwrap_or_default() | answers.unwrap_or_default()
}

/// Whether each of some messages, of which there is one, is accepted; all are looked at.
fn each<M>(messages: Vec<M>, is_accepted: fn(M) -> bool) -> bool {
    let accepted: Vec<bool> = messages.into_iter().map(is_accepted).collect();
    !accepted.is_empty() && !accepted.contains(&false)
}

/// All messages, the same whatever the pieces in which they come; none where the stream breaks.
fn messages<M: Message + Default>(input: &[u8]) -> Option<Vec<M>> {
    let whole = read::<M>(input, input.len().max(1));
    for piece in [1, 7, 64] {
        assert_eq!(told(&read::<M>(input, piece)), told(&whole), "other messages in pieces of {piece} bytes");
    }
    let (messages, end) = whole;
    for message in &messages {
        let written = message.encode_to_vec();
        let Ok(read) = M::decode(written.as_slice()) else {
            panic!("a message that does not read what it wrote")
        };
        assert_eq!(read.encode_to_vec(), written, "another message than was written");
    }
    match end {
        None => Some(messages),
        Some(malformed) => {
            promise::is_one_bounded_line(&malformed);
            None
        }
    }
}

/// The messages up to the end, or up to what breaks the stream, and why it does.
fn read<M: Message + Default>(input: &[u8], piece: usize) -> (Vec<M>, Option<String>) {
    let (mut stream, mut messages) = (Messages::new(BYTES_MAX), Vec::new());
    for piece in input.chunks(piece) {
        stream.push(piece);
        loop {
            match stream.next_message::<M>() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(malformed) => return (messages, Some(malformed.to_string())),
            }
        }
    }
    (messages, None)
}

/// In a form that compares.
fn told<M: Message>((messages, end): &(Vec<M>, Option<String>)) -> (Vec<Vec<u8>>, Option<&str>) {
    (messages.iter().map(Message::encode_to_vec).collect(), end.as_deref())
}

/// Headers that are accepted go out as they came in.
fn call(mut call: Call) -> bool {
    let Some(headers) = wire::headers(mem::take(&mut call.headers), &USUAL_OF_CALLS) else { return false };
    // One of the usual ones that is there twice is left out once: no caller sends that.
    let is_written = USUAL_OF_CALLS.iter().all(|(name, _)| headers.get_all(name).iter().count() == 1);
    let path = str::from_utf8(&call.path).ok().filter(|_| is_written);
    if let Some(written) = path.and_then(|path| wire::unnumbered(path, &headers, &call.body)) {
        let Ok(read) = Call::decode(written.as_slice()) else {
            panic!("a call that does not read what it wrote")
        };
        assert_eq!((&read.path, &read.body), (&call.path, &call.body), "another call than was written");
        let again = wire::headers(read.headers, &USUAL_OF_CALLS);
        assert!(again.as_ref() == Some(&headers), "other headers than were written");
    }
    true
}

fn answer(answer: Answer) -> bool {
    let headers = wire::headers(answer.headers, &USUAL_OF_ANSWERS);
    let trailers = wire::headers(answer.trailers, &[]);
    headers.is_some() && trailers.is_some()
}

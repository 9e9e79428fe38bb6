//! Reading a request's body up to a limit, and why it was not read.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Why a body was not read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the listener takes.
    #[error("the body is longer than {bytes_max} bytes; send a shorter one")]
    TooLong {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// The client went away, or broke its own framing.
    #[error("the body ended before it was complete; send the request again")]
    Incomplete,
    /// It has not come in time.
    #[error("the body has not come whole within {limit:?}; send the request again")]
    TooSlow {
        /// The time that it had.
        limit: Duration,
    },
    /// There is no room for its bytes beside the bodies of others.
    #[error("too many large bodies are being read at once: try again")]
    NoRoom,
    /// It did not come with its head, and had to give way to another one, for which there was else no place or no room.
    #[error(
        "too many requests are waited for whose bodies have not come whole, and this one has been for longest of its sender's: send it \
         again, its body at once behind its head"
    )]
    Crowded,
}

/// The whole body, at most `bytes_max` bytes. A declared length beyond it is refused before a byte is read.
///
/// # Errors
/// [`BodyError`] says whether it was too long or cut short.
pub async fn read_body<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLong { bytes_max });
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong { bytes_max }),
        Err(_) => Err(BodyError::Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_its_limit_and_refused_beyond() {
        let cases = [(0, true), (3, true), (4, true), (5, false), (4096, false)];
        for (length, fits) in cases {
            let sent = Bytes::from(vec![b'x'; length]);
            let expected = if fits { Ok(sent.clone()) } else { Err(BodyError::TooLong { bytes_max: 4 }) };
            assert_eq!(
                read_body(Full::new(sent.clone()), 4).await,
                expected,
                "{length} bytes, length declared"
            );
            let chunks: Vec<Result<_, std::io::Error>> =
                sent.chunks(2).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
            assert_eq!(
                read_body(StreamBody::new(stream::iter(chunks)), 4).await,
                expected,
                "{length} bytes, in chunks"
            );
        }
    }

    #[tokio::test]
    async fn a_body_cut_short_is_not_taken_for_a_short_body() {
        let frames = vec![Ok(Frame::data(Bytes::from_static(b"ab"))), Err(std::io::Error::other("reset"))];
        assert_eq!(read_body(StreamBody::new(stream::iter(frames)), 4).await, Err(BodyError::Incomplete));
    }
}

//! Bodies, read whole.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt as _;

/// All of a body, with its trailers. It is of one piece as a rule, which stays as it is.
pub(crate) async fn whole<B: Body<Data = Bytes>>(body: B) -> Result<(Bytes, Option<HeaderMap>), B::Error> {
    let mut body = pin!(body);
    let (mut first, mut joined, mut trailers) = (Bytes::new(), BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) if first.is_empty() => first = piece,
            Ok(piece) => {
                if joined.is_empty() {
                    joined.extend_from_slice(&first);
                }
                joined.extend_from_slice(&piece);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((if joined.is_empty() { first } else { joined.freeze() }, trailers))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http::HeaderValue;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn a_body_comes_out_whole_in_however_many_pieces_it_came() {
        let cases: [(&[&'static str], &str); 5] = [
            (&[], ""),
            (&["abc"], "abc"),
            (&["", "abc"], "abc"),
            (&["a", "", "b", "c"], "abc"),
            (&["", ""], ""),
        ];
        for (pieces, expected) in cases {
            for trailers in
                [None, Some(HeaderMap::from_iter([(http::header::TE, HeaderValue::from_static("a"))]))]
            {
                let data = pieces.iter().map(|piece| Frame::data(Bytes::from_static(piece.as_bytes())));
                let frames = data.chain(trailers.clone().map(Frame::trailers)).map(Ok::<_, Infallible>);
                let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
                assert_eq!(whole(body).await.unwrap(), (Bytes::from(expected), trailers), "{pieces:?}");
            }
        }
    }
}

//! The gRPC frame: a flag for compression, the length, the message.

use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tonic::Status;

/// Bytes before each message.
pub(crate) const FRAME_BYTES: usize = 5;

/// Reads a body that holds exactly one uncompressed message, and gives it whole: to pass on, framed, and alone.
pub(crate) async fn one_message<B>(body: B, bytes_max: usize) -> Result<(Bytes, Bytes), Status>
where
    B: Body<Data = Bytes>,
    B::Error: Into<tonic::codegen::StdError>,
{
    let framed = Limited::new(body, bytes_max + FRAME_BYTES).collect().await;
    let framed =
        framed.map_err(|_| Status::resource_exhausted(format!("the message is over {bytes_max} bytes")))?;
    let framed = framed.to_bytes();
    Ok((framed.clone(), message(framed)?))
}

fn message(mut framed: Bytes) -> Result<Bytes, Status> {
    if framed.len() < FRAME_BYTES {
        return Err(Status::invalid_argument("the call has no message, and exactly one can be signed"));
    }
    if framed.get_u8() != 0 {
        return Err(Status::invalid_argument(
            "the message is compressed, and the signature is of its plain bytes",
        ));
    }
    if u64::from(framed.get_u32()) != framed.len() as u64 {
        return Err(Status::invalid_argument("the call has several messages, and exactly one can be signed"));
    }
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_frame_holds_exactly_one_uncompressed_message_within_the_limit() {
        let read = |bytes: &'static [u8]| one_message(Full::new(Bytes::from_static(bytes)), 2);
        let whole = read(&[0, 0, 0, 0, 2, 7, 8]).await.unwrap();
        assert_eq!(whole, (Bytes::from_static(&[0, 0, 0, 0, 2, 7, 8]), Bytes::from_static(&[7, 8])));
        assert_eq!(read(&[0, 0, 0, 0, 0]).await.unwrap().1, Bytes::new());
        let refused: [&[u8]; 5] =
            [&[], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 0, 0, 0]];
        for bytes in refused {
            assert_eq!(read(bytes).await.unwrap_err().code(), tonic::Code::InvalidArgument, "{bytes:?}");
        }
        let long = read(&[0, 0, 0, 0, 3, 7, 8, 9]).await;
        assert_eq!(long.unwrap_err().code(), tonic::Code::ResourceExhausted);
    }
}

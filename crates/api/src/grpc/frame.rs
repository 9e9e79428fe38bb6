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

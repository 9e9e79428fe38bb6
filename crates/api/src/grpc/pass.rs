//! A message that was admitted, on its way to the service that answers it.

use std::time::Duration;

use prost::Message;
use tonic::{Request, client::Grpc, codegen::http::uri::PathAndQuery, metadata::MetadataValue};
use tonic_prost::ProstCodec;

use super::{ACTOR_METADATA, MESSAGE_BYTES_MAX, Wire};
use crate::{
    fault::{CallError, Fault},
    identity::{Actor, Vouched},
    methods::Managed,
};

/// Sends a message to its method as it is, in the name of the actor who was admitted for it, and answers the service's own
/// message. For a door that was given the message by authn: made into domain types and back it might be another one.
///
/// # Errors
/// What the service answers; [`Fault::Unavailable`] where none of it is there.
pub async fn pass<Q, A>(
    wire: impl Wire,
    by: Vouched<Actor>,
    message: Q,
    timeout: Duration,
) -> Result<A, CallError>
where
    Q: Managed + 'static,
    A: Message + Default + 'static,
{
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    if !by.voucher.is_empty() {
        request.metadata_mut().insert_bin(ACTOR_METADATA, MetadataValue::from_bytes(&by.voucher));
    }
    request.extensions_mut().insert(by);
    let mut client = Grpc::new(wire)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    client.ready().await.map_err(|error| {
        let error: tonic::codegen::StdError = error.into();
        tracing::warn!(%error, "a service cannot be asked");
        Fault::Unavailable { part: "the service".into(), detail: "no replica of it answered".into() }
    })?;
    let path = PathAndQuery::from_static(Q::METHOD.path);
    let answer = client.unary(request, path, ProstCodec::<Q, A>::default()).await?;
    Ok(answer.into_inner())
}

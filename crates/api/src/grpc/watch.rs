//! Streams of events, both sides.

use futures::{StreamExt as _, stream::BoxStream};
use tonic::{Status, Streaming};

use super::client::received;
use crate::fault::CallError;

/// What a server sends of a watch.
pub(crate) type Watched<W> = BoxStream<'static, Result<W, Status>>;

/// The events of an engine as they are sent.
pub(crate) fn watched<D, W>(events: BoxStream<'static, Result<D, CallError>>) -> Watched<W>
where
    D: 'static,
    W: From<D> + 'static,
{
    events.map(|event| event.map(W::from).map_err(Status::from)).boxed()
}

/// The events of a service as they are read.
pub(crate) fn events<D, W>(stream: Streaming<W>) -> BoxStream<'static, Result<D, CallError>>
where
    D: TryFrom<W, Error = CallError> + 'static,
    W: Send + 'static,
{
    stream.map(|message| received(D::try_from(message?))).boxed()
}

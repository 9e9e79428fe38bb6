//! Streams of events, both sides.

use std::{future::Future, time::Duration};

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

/// The next word of a service that has promised not to be silent for longer. One that hangs answers pings for a while, and holds its
/// connection: who waits no more ends the stream, and the next one goes to whoever has less to do.
///
/// # Errors
/// What the service said, and `DEADLINE_EXCEEDED` where it said nothing.
pub(crate) async fn heard<T>(
    within: Duration,
    word: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout(within, word).await.unwrap_or_else(|_| {
        Err(Status::deadline_exceeded(format!(
            "nothing was heard for {within:?}, which is longer than promised"
        )))
    })
}

/// The events of a service as they are read.
pub(crate) fn events<D, W>(stream: Streaming<W>) -> BoxStream<'static, Result<D, CallError>>
where
    D: TryFrom<W, Error = CallError> + 'static,
    W: Send + 'static,
{
    stream.map(|message| received(D::try_from(message?))).boxed()
}

//! The body of what is sent over a connection.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::BoxError;
use crate::together::Outbox;

/// The body of a request.
pub(super) enum Sent<B> {
    /// As whoever calls has made it.
    Own(B),
    /// All of it, until it is sent.
    Whole(Option<Bytes>),
    /// It came to nothing before it was sent, which is how it ends.
    Failed(Option<BoxError>),
    /// Calls that travel together.
    Calls(Outbox),
}

impl<B> Body for Sent<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Failed(error) => Poll::Ready(error.take().map(Err)),
            Self::Calls(outbox) => Pin::new(outbox).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Failed(error) => error.is_none(),
            Self::Calls(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Failed(_) | Self::Calls(_) => SizeHint::default(),
        }
    }
}

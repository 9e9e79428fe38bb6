//! Streams that go on: whoever was admitted when one began may not be any more when its next message comes.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use lanyard_api::{
    authn::{Admission, Admit as _, AdmitQuery},
    grpc::{forbidden, unauthenticated},
};
use tonic::Status;

use super::trailers;
use crate::{kubernetes::Gateway, services::Services};

/// A stream under way.
struct Watch<S: Services> {
    gateway: Arc<Gateway<S>>,
    call: AdmitQuery,
    body: Option<Body>,
}

/// A piece of a body.
type Piece = Result<Frame<bytes::Bytes>, axum::Error>;

/// The same answer, its caller admitted anew before each piece of it, by the call that began it. Its signature has an end, and
/// so has the stream.
pub(super) fn admitted_throughout<S: Services>(
    gateway: Arc<Gateway<S>>,
    call: AdmitQuery,
    response: Response,
) -> Response {
    let (parts, body) = response.into_parts();
    let watch = Watch { gateway, call, body: Some(body) };
    let frames = stream::unfold(watch, Watch::next);
    Response::from_parts(parts, Body::new(StreamBody::new(frames)))
}

impl<S: Services> Watch<S> {
    async fn next(mut self) -> Option<(Piece, Self)> {
        let readiness = self.gateway.parts.readiness.clone();
        let next = tokio::select! {
            next = self.body.as_mut()?.frame() => next?,
            () = readiness.stopping() => {
                let status = Status::unavailable("the hub is stopping: begin the watch again");
                return Some(self.end(&status));
            }
        };
        let frame = match next {
            Ok(frame) if frame.is_data() => frame,
            other => return Some((other, self)),
        };
        match admitted(&self.gateway, self.call.clone()).await {
            Ok(()) => Some((Ok(frame), self)),
            Err(status) => Some(self.end(&status)),
        }
    }

    /// The last piece. What was to be told is let go with the stream that told it.
    fn end(mut self, status: &Status) -> (Piece, Self) {
        self.body = None;
        (Ok(Frame::trailers(trailers::of(status))), self)
    }
}

async fn admitted<S: Services>(gateway: &Gateway<S>, call: AdmitQuery) -> Result<(), Status> {
    match gateway.parts.services.authn().admit(call).await? {
        Admission::Admitted(_) => Ok(()),
        Admission::Unauthenticated(denial) => Err(unauthenticated(&denial)),
        Admission::Forbidden(denial) => Err(forbidden(&denial)),
    }
}

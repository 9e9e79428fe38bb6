//! What a request is answered whose handler panicked.

use std::any::Any;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use crate::caught;
use crate::telemetry::{RequestId, request_id};

/// What callers are told. The cause is for the log.
const TOLD: &str = "internal fault: the log of the hub has it";
/// gRPC's number for `INTERNAL`.
const INTERNAL: &str = "13";

/// The shape of an answer that its caller can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A status in the head, and no message.
    Grpc,
    /// A line of text.
    Text,
}

impl Shape {
    /// The shape for a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_grpc = media_type.is_some_and(|media_type| media_type.starts_with(b"application/grpc"));
        if is_grpc { Self::Grpc } else { Self::Text }
    }

    /// Tells the log of a panic, and makes the answer to the request of that number.
    pub(crate) fn answer(self, id: Option<RequestId>, panic: &(dyn Any + Send)) -> Response<Full<Bytes>> {
        request_id::during(id, || caught::tell("request", panic));
        match self {
            Self::Grpc => {
                let mut response = Response::new(Full::default());
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, const { HeaderValue::from_static("application/grpc") });
                headers.insert("grpc-status", const { HeaderValue::from_static(INTERNAL) });
                headers.insert("grpc-message", const { HeaderValue::from_static(TOLD) });
                response
            }
            Self::Text => {
                let mut response = Response::new(Full::from(TOLD));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                let text = const { HeaderValue::from_static("text/plain; charset=utf-8") };
                response.headers_mut().insert(header::CONTENT_TYPE, text);
                response
            }
        }
    }
}

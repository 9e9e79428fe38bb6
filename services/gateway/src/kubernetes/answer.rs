//! Bodies and errors as Kubernetes writes them.

use axum::body::Body;
use http::{Response, StatusCode, header};
use lanyard_api::Fault;
use serde::Serialize;

/// Room that an answer to a review takes as a rule, user info with a proof included.
const ANSWER_BYTES: usize = 1536;

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    match written(body) {
        Some(bytes) => raw_json(status, bytes),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "internal fault, see the log"),
    }
}

/// The bytes of a JSON answer; none, and a line in the log, where it cannot be written.
pub(super) fn written(body: &impl Serialize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(ANSWER_BYTES);
    let written = serde_json::to_writer(&mut bytes, body);
    written.inspect_err(|error| tracing::error!(%error, "an answer could not be written")).ok()?;
    Some(bytes)
}

/// An answer that is JSON already.
pub(super) fn raw_json(status: StatusCode, bytes: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, const { header::HeaderValue::from_static("application/json") });
    response
}

/// A line of text.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        const { header::HeaderValue::from_static("text/plain; charset=utf-8") },
    );
    response
}

/// Kubernetes' word for a status.
pub(super) fn reason_of(code: StatusCode) -> &'static str {
    match code {
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        _ => "ServiceUnavailable",
    }
}

/// Kubernetes' `Status` object, which kubectl shows as an error.
pub(super) fn status(code: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason_of(code), "code": code.as_u16(),
    });
    let mut response = json(code, &body);
    if code == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, const { header::HeaderValue::from_static("1") });
    }
    response
}

/// The status by which a fault leaves: an API server tries 429 and 5xx again, and caches neither.
pub(super) fn fault_code(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        Fault::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
        Fault::Unavailable { .. } | Fault::Stale { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

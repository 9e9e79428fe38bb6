//! The last word of a stream that the door ends.

use http::{HeaderMap, HeaderValue};
use tonic::Status;

/// The trailers that tell a status; one that does not fit into them is an internal fault.
pub(super) fn of(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("13"));
    }
    trailers
}

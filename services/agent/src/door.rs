//! What listens: the container-credentials address, the instance-metadata address, probes.

mod container;
mod host;
mod metadata;
mod probe;
mod relay;
mod session;

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use lanyard_kit::serve;

pub use container::ContainerDoor;
pub use host::Hosts;
pub use metadata::{MetadataDoor, MetadataOptions};
pub use probe::Probe;
pub use relay::{Relay, RelayError};
pub use session::Sessions;

use crate::agent::Refusal;
use crate::pods::Peer;

/// An answer, whole.
pub(crate) type Answered = Response<Full<Bytes>>;

/// What an error is written as.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What credentials are written as.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A line of text with a status.
fn text(status: StatusCode, line: &str) -> Answered {
    let mut body = String::with_capacity(line.len() + 1);
    body.push_str(line);
    body.push('\n');
    written(status, TEXT, body.into())
}

fn written(status: StatusCode, kind: HeaderValue, body: Bytes) -> Answered {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn not_found() -> Answered {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

fn refused(refusal: &Refusal) -> Answered {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    text(status, &refusal.told())
}

/// Who is at the other end, of a listener that has this address.
fn peer<B>(request: &Request<B>, own: IpAddr) -> Option<Peer> {
    let address = request.extensions().get::<serve::Peer>()?.address.ip().to_canonical();
    // Who calls an address of their own host comes from that very address.
    Some(Peer { address, is_node: address == own.to_canonical() })
}

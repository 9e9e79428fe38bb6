//! Kubernetes' side of the gateway: reviews from API servers, and enough of the API for `kubectl auth`.

mod access_review;
mod admission;
mod answer;
mod discovery;
mod http_door;
mod issuer;
mod kept;
pub mod protobuf;
mod router;
mod selectors;
mod self_review;
mod state;
mod token_review;
mod unread;
pub mod wire;

pub use http_door::HttpDoor;
pub use state::{Gateway, HubInfo, Parts};

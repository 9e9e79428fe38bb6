//! Calls that only read are asked once more, of another replica, where the connection broke before an answer: a replica that dies
//! takes no read with it. What may have changed something is never sent twice; its caller knows whether it may be.

use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use lanyard_api::methods;
use lanyard_kit::peers::{PeerFault, Peers};
use tonic::body::Body;
use tower::Service as _;

/// Sends a call, within whatever time its caller gives all of this.
///
/// # Errors
/// [`PeerFault`]: nobody is there, or the connection broke, twice where the call only reads.
pub(crate) async fn send(
    mut peers: Peers<Body>,
    request: Request<Body>,
) -> Result<Response<Body>, PeerFault> {
    let answered = if methods::is_repeatable(request.uri().path()) {
        let (parts, body) = request.into_parts();
        // One message, which is in memory where it comes from.
        let message = match body.collect().await.map(Collected::to_bytes) {
            Ok(message) => message,
            Err(status) => return Ok(status.into_http()),
        };
        let whole = |parts| Request::from_parts(parts, Body::new(Full::new(message.clone())));
        match peers.call(whole(parts.clone())).await {
            Err(fault @ PeerFault::Broken { .. }) => {
                tracing::debug!(%fault, rpc.method = parts.uri.path(), "a replica is gone: asking another");
                peers.call(whole(parts)).await
            }
            answered => answered,
        }
    } else {
        peers.call(request).await
    };
    answered.map(|response| response.map(Body::new))
}

#[cfg(test)]
mod tests;

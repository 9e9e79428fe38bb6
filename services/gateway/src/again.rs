//! Calls that only read are asked once more, of another replica, where the connection broke before an answer: a replica that dies
//! takes no read with it. What may have changed something is never sent twice; its caller knows whether it may be.

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Collected, Either, Full};
use lanyard_api::methods;
use lanyard_kit::peers::{PeerFault, Peers};
use tonic::body::Body;
use tower::Service as _;

/// What goes to a replica: a message that may go once more, as it is, or whatever its caller has made.
pub(crate) type Asked = Either<Full<Bytes>, Body>;

/// Sends a call, within whatever time its caller gives all of this.
///
/// # Errors
/// [`PeerFault`]: nobody is there, or the connection broke, twice where the call only reads.
pub(crate) async fn send(
    mut peers: Peers<Asked>,
    request: Request<Body>,
) -> Result<Response<Body>, PeerFault> {
    let answered = if methods::is_repeatable(request.uri().path()) {
        let (parts, body) = request.into_parts();
        // One message, which is in memory where it comes from.
        let message = match body.collect().await.map(Collected::to_bytes) {
            Ok(message) => message,
            Err(status) => return Ok(status.into_http()),
        };
        let body = || Either::Left(Full::new(message.clone()));
        // What goes over the wire; what layers of this process have added to the request is not asked for again.
        let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
        match peers.call(Request::from_parts(parts, body())).await {
            Err(fault @ PeerFault::Broken { .. }) => {
                tracing::debug!(%fault, rpc.method = uri.path(), "a replica is gone: asking another");
                let mut again = Request::new(body());
                (*again.method_mut(), *again.version_mut()) = (Method::POST, Version::HTTP_2);
                (*again.uri_mut(), *again.headers_mut()) = (uri, headers);
                peers.call(again).await
            }
            answered => answered,
        }
    } else {
        peers.call(request.map(Either::Right)).await
    };
    answered.map(|response| response.map(Body::new))
}

#[cfg(test)]
mod tests;

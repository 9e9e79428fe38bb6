//! The allow-list: which service may call which method.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use lanyard_api::{grpc::CallingService, methods::callers};
use lanyard_kit::{serve::Peer, tls::PeerIdentity};
use tonic::Status;

/// Lets through what the hub's own services may call, each its methods alone. Whoever is nobody here has been refused before
/// by TLS; this tells services apart.
pub(crate) async fn admit(hub: String, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.identity.clone());
    let is_allowed = match peer.as_deref() {
        Some(PeerIdentity::Service { hub: of, name }) => *of == hub && callers(path).include(name),
        Some(PeerIdentity::Spoke { .. }) | None => false,
    };
    if is_allowed {
        if let Some(peer) = peer {
            request.extensions_mut().insert(CallingService(peer.to_string()));
        }
        return next.run(request).await;
    }
    let who = peer.map_or_else(|| "nobody".to_owned(), |peer| peer.to_string());
    tracing::warn!(peer = who, rpc.method = path, "a call that this peer may not make");
    let message =
        format!("`{who}` may not call `{path}`: this service takes calls from the hub's doors alone");
    Status::permission_denied(message).into_http::<axum::body::Body>().into_response()
}

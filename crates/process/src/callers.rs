//! The allow-list: which service may call which method.

use std::sync::Arc;

use axum::{body::Body, extract::Request, response::Response};
use lanyard_api::{grpc::CallingService, methods::callers};
use lanyard_kit::{
    serve::{Guard, Peer, Refusal},
    tls::PeerIdentity,
};
use tonic::Status;

/// Lets through what the hub's own services may call, each its methods alone. Whoever is nobody here has been refused before
/// by TLS; this tells services apart.
#[derive(Debug, Clone)]
pub(crate) struct Callers {
    hub: Arc<str>,
}

impl Callers {
    /// The services of a hub.
    pub(crate) fn of(hub: &str) -> Self {
        Self { hub: hub.into() }
    }
}

impl<B> Guard<B, Body> for Callers {
    fn refusal(&self, request: &mut Request<B>) -> Option<Refusal<Body>> {
        let path = request.uri().path();
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.identity.clone());
        match peer {
            Some(peer) if is_allowed(&self.hub, &peer, path) => {
                request.extensions_mut().insert(CallingService(peer));
                None
            }
            peer => Some(Box::pin(refuse(peer, path.to_owned()))),
        }
    }
}

fn is_allowed(hub: &str, peer: &PeerIdentity, path: &str) -> bool {
    match peer {
        PeerIdentity::Service { hub: of, name } => *of == *hub && callers(path).include(name),
        PeerIdentity::Spoke { .. } | PeerIdentity::Principal { .. } => false,
    }
}

async fn refuse(peer: Option<Arc<PeerIdentity>>, path: String) -> Response {
    let who = peer.map_or_else(|| "nobody".to_owned(), |peer| peer.to_string());
    tracing::warn!(peer = who, rpc.method = path, "a call that this peer may not make");
    let message =
        format!("`{who}` may not call `{path}`: this service takes calls from the hub's doors alone");
    Status::permission_denied(message).into_http()
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::any};
    use lanyard_kit::serve::Guarded;
    use tonic::Code;
    use tower::ServiceExt as _;

    use super::*;

    const RESOLVE: &str = "/lanyard.mapping.v1.Resolve/Resolve";
    const LEND: &str = "/lanyard.mapping.v1.Spokes/LendSpoke";

    /// Whether a peer reaches a method of a service of hub h1.
    async fn reaches(peer: Option<PeerIdentity>, path: &str) -> bool {
        let routes = Router::new().fallback(any(|| async { "reached" }));
        let routes = Guarded::new(routes, Callers::of("h1"));
        let mut request = Request::post(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer {
            address: ([127, 0, 0, 1], 1).into(),
            identity: peer.map(Arc::new),
            certificate_sha256: None,
        });
        let response = routes.oneshot(request).await.unwrap();
        Status::from_header_map(response.headers()).is_none_or(|status| {
            assert_eq!(status.code(), Code::PermissionDenied);
            false
        })
    }

    #[tokio::test]
    async fn immunity_41_a_service_is_called_by_the_hubs_own_services_each_its_methods_alone() {
        let service = |hub, name| PeerIdentity::service(hub, name).ok();
        let spoke = || PeerIdentity::spoke("h1", "9f0c").ok();
        let principal = || PeerIdentity::principal("h1", "local", "111122223333", "AIDAX").ok();
        let cases = [
            (service("h1", "gateway"), RESOLVE, true),
            (service("h1", "spoke"), LEND, true),
            (service("h1", "gateway"), LEND, false),
            (service("h1", "spoke"), RESOLVE, false),
            (service("h1", "authz"), RESOLVE, false),
            (service("h2", "gateway"), RESOLVE, false),
            (spoke(), RESOLVE, false),
            (spoke(), "/lanyard.mapping.v1.Clusters/PushAwsAuth", false),
            (principal(), RESOLVE, false),
            (principal(), "/lanyard.mapping.v1.Clusters/ListClusters", false),
            (None, RESOLVE, false),
        ];
        for (peer, path, expected) in cases {
            let who = format!("{peer:?} {path}");
            assert_eq!(reaches(peer, path).await, expected, "{who}");
        }
    }
}

//! Management calls on their way to services of other processes, byte for byte.

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
    routing::any,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use lanyard_api::{
    Actor, Denial, Fault, Vouched,
    grpc::{ACTOR_METADATA, SOURCE_IP_METADATA, SourceIp},
    methods,
    voucher::Audience,
};
use lanyard_kit::peers::PeerFault;
use tonic::Status;
use tower::Service;

use crate::remote::{Way, Ways, metadata};

/// What of a caller's headers goes on: how long they wait. Which trace it is goes on as this door has it: services take its word
/// for what is recorded, and not the caller's.
const TIMEOUT_HEADER: &str = "grpc-timeout";

/// Where a call that needs no signature came from.
const SOURCE_IP: HeaderName = HeaderName::from_static(SOURCE_IP_METADATA);

/// The services whose methods are passed on: those of other processes that answer callers themselves.
const PASSED_ON: [&str; 18] = [
    "lanyard.authn.v1.Accounts",
    "lanyard.authn.v1.InstanceProfiles",
    "lanyard.authn.v1.OidcProviders",
    "lanyard.mapping.v1.Preview",
    "lanyard.mapping.v1.Clusters",
    "lanyard.mapping.v1.Entries",
    "lanyard.mapping.v1.IdentityProviders",
    "lanyard.mapping.v1.Blocks",
    "lanyard.mapping.v1.Spokes",
    "lanyard.mapping.v1.Tags",
    "lanyard.mapping.v1.Updates",
    "lanyard.authz.v1.Objects",
    "lanyard.authz.v1.Decisions",
    "lanyard.credentials.v1.Sessions",
    "lanyard.credentials.v1.Workloads",
    "lanyard.credentials.v1.Issuers",
    "lanyard.credentials.v1.Associations",
    "lanyard.credentials.v1.Tags",
];

/// Adds the services whose methods are passed on.
pub(super) fn add(routes: Router, ways: &Ways) -> Router {
    let passed_on = PASSED_ON.into_iter().filter_map(|service| Some((service, way(ways, service)?)));
    passed_on.fold(routes, |routes, (service, way)| {
        let way = way.clone();
        let forward = move |request| forward(way.clone(), request);
        routes.route(&format!("/{service}/{{method}}"), any(forward))
    })
}

/// The way to the process that has a service.
fn way<'w>(ways: &'w Ways, service: &str) -> Option<&'w Way> {
    Some(match Audience::of_method(&format!("/{service}/"))? {
        Audience::Authn => &ways.authn,
        Audience::Mapping => &ways.mapping,
        Audience::Authz => &ways.authz,
        Audience::Credentials => &ways.credentials,
        Audience::Gateway => return None,
    })
}

async fn forward<W>(mut way: W, request: Request) -> Response
where
    W: Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<tonic::body::Body>,
            Error = PeerFault,
        >,
{
    let (parts, body) = request.into_parts();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(value) = parts.headers.get(TIMEOUT_HEADER) {
        headers.insert(TIMEOUT_HEADER, value.clone());
    }
    // Only what authn has admitted goes on: the service takes a call from this door, and between services some need no actor.
    let actor = parts.extensions.get::<Vouched<Actor>>();
    let voucher = actor.filter(|actor| !actor.voucher.is_empty()).and_then(metadata);
    match voucher {
        Some(voucher) => drop(headers.insert(ACTOR_METADATA, voucher)),
        // What is its own proof the service judges; it is told where that came from.
        None if methods::is_unsigned(parts.uri.path()) => {
            let from = parts.extensions.get::<SourceIp>().map(|from| from.0.to_string());
            headers.extend(from.and_then(|ip| HeaderValue::from_str(&ip).ok()).map(|ip| (SOURCE_IP, ip)));
        }
        None => {
            let message = "the call bears no admission: send it through the hub's front door".to_owned();
            return Status::from(&Denial { code: "not_admitted".into(), message }).into_http::<Body>();
        }
    }
    let mut onward = http::Request::new(tonic::body::Body::new(body));
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = parts.uri;
    *onward.version_mut() = http::Version::HTTP_2;
    *onward.headers_mut() = headers;
    match way.call(onward).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(fault) => {
            tracing::warn!(%fault, "a management call has no answer");
            // What the connection said is in the log; callers learn that sending it again may help.
            let detail = "no replica of it answered".into();
            Status::from(Fault::Unavailable { part: "the service".into(), detail }).into_http::<Body>()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use axum::middleware;
    use lanyard_api::methods::MANAGED;
    use tower::ServiceExt as _;

    use super::*;
    use crate::door::deadline;

    #[tokio::test]
    async fn a_service_hears_how_long_the_caller_waits_and_is_let_go_at_the_deadline() {
        // One that needs no actor.
        const METHOD: &str = "/lanyard.credentials.v1.Sessions/AssumeRoleWithWebIdentity";
        let (sent, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let work = Arc::new(());
        let held = Arc::clone(&work);
        let slow = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
            sent.send(request.headers().get(TIMEOUT_HEADER).cloned()).unwrap();
            let held = Arc::clone(&held);
            async move {
                let _held = held;
                std::future::pending::<Result<http::Response<tonic::body::Body>, PeerFault>>().await
            }
        });
        let routes = Router::new()
            .route(METHOD, any(move |request| forward(slow.clone(), request)))
            .layer(middleware::from_fn(deadline::honour));
        let request = http::Request::post(METHOD).header(TIMEOUT_HEADER, "20m");
        let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status}");
        assert_eq!(heard.recv().await.flatten().unwrap(), "20m");
        assert_eq!(Arc::strong_count(&work), 1, "nobody works on it any more");
    }

    #[test]
    fn every_service_that_callers_may_call_is_passed_on_or_answered_here() {
        let here =
            ["lanyard.authz.v1.Authorize", "lanyard.credentials.v1.Vend", "lanyard.gateway.v1.Explain"];
        let managed: BTreeSet<&str> =
            MANAGED.iter().filter_map(|method| method.path.split('/').nth(1)).collect();
        assert_eq!(managed, PASSED_ON.into_iter().chain(here).collect());
    }
}

//! Paths to reviews: who may knock where.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    routing::{any, get},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use lanyard_kit::{
    serve::{self, BodyError, Held},
    telemetry::{Label as _, names, trace::span},
    tls::PeerIdentity,
};
use serde_json::json;
use tower::BoxError;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{
    access_review, admission, answer, discovery, issuer,
    self_review::{self, SelfReview},
    state::{Gateway, Route},
    token_review,
    unread::{Headed, Unread},
};
use crate::{
    directory::Spoke,
    known,
    reviews::{Answered, Kind},
    services::Services,
    strangers,
};

/// Most bytes that are read of a review that is too long, only to be thrown away.
const DISCARDED_BYTES_MAX: usize = 32 << 20;

/// Where TokenReviews are posted.
const TOKEN_REVIEWS: &str = "/clusters/{id}/tokenreview";
/// Where SubjectAccessReviews are posted.
const ACCESS_REVIEWS: &str = "/clusters/{id}/subjectaccessreview";
/// Where AdmissionReviews of pods are posted.
const POD_REVIEWS: &str = "/clusters/{id}/mutate";
/// Where those are posted of namespaces that would rather have no pod than one without its role.
const REQUIRED_POD_REVIEWS: &str = "/clusters/{id}/mutate/required";
/// What everybody may read of a cluster's issuer.
const ISSUERS: &str = "/id/{uid}/{*document}";
/// What kubectl takes for an API server.
const KUBECTL: &str = "/clusters/{id}/{*rest}";

/// A request's body, as the listener has it or as the router hands it on.
pub(super) trait RequestBody:
    http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin
{
}
impl<B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin> RequestBody for B {}

/// All paths of the HTTP listener.
pub(super) fn router<S: Services>(gateway: Arc<Gateway<S>>) -> Router {
    Router::new()
        .route(TOKEN_REVIEWS, any(token_review_route::<S>))
        .route(ACCESS_REVIEWS, any(access_review_route::<S>))
        .route(POD_REVIEWS, any(pod_review_route::<S>))
        .route(REQUIRED_POD_REVIEWS, any(pod_review_route::<S>))
        .route(ISSUERS, any(issuer_route::<S>))
        .route(KUBECTL, any(kubectl_route::<S>))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz::<S>))
        .route("/version", get(version::<S>))
        .route("/metrics", get(metrics::<S>))
        .fallback(|| async {
            answer::status(
                StatusCode::NOT_FOUND,
                "not found: API servers post to /clusters/<id>/tokenreview, /clusters/<id>/subjectaccessreview and \
                 /clusters/<id>/mutate (or …/mutate/required); /livez, /readyz, /version and /metrics are for operators",
            )
        })
        .with_state(gateway)
}

async fn token_review_route<S: Services>(
    State(gateway): State<Arc<Gateway<S>>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    let begun = Instant::now();
    review(&gateway, Kind::Token, begun, knock(&gateway, &id, &request), request).await
}

async fn access_review_route<S: Services>(
    State(gateway): State<Arc<Gateway<S>>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    let begun = Instant::now();
    review(&gateway, Kind::Access, begun, knock(&gateway, &id, &request), request).await
}

async fn pod_review_route<S: Services>(
    State(gateway): State<Arc<Gateway<S>>>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    let begun = Instant::now();
    let known = match (knock(&gateway, &id, &request), admission::refused(request.headers())) {
        (Ok(_), Some(refused)) => Err(Box::new(refused)),
        (known, _) => known,
    };
    review(&gateway, Kind::Pod, begun, known, request).await
}

/// Of the two paths of AdmissionReviews, whether it is that of namespaces that would rather have no pod.
fn is_required(path: &str) -> bool {
    path.ends_with("/mutate/required")
}

async fn issuer_route<S: Services>(
    State(gateway): State<Arc<Gateway<S>>>,
    Path((uid, document)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let begun = Instant::now();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    drain(&gateway, request).await;
    let response = issuer::answer(&gateway, &uid, &document, &method, &headers).await;
    gateway.answered(Route::Issuer, response.status(), begun.elapsed());
    response
}

/// Answers a review of whoever knocked, since it began.
pub(super) async fn review<S: Services, B: RequestBody>(
    gateway: &Arc<Gateway<S>>,
    kind: Kind,
    begun: Instant,
    known: Result<Arc<Spoke>, Box<Response<Body>>>,
    request: http::Request<B>,
) -> Response<Body> {
    let required = kind == Kind::Pod && is_required(request.uri().path());
    let (route, path) = match kind {
        Kind::Token => (Route::Token, TOKEN_REVIEWS),
        Kind::Access => (Route::Access, ACCESS_REVIEWS),
        Kind::Pod if required => (Route::Pod, REQUIRED_POD_REVIEWS),
        Kind::Pod => (Route::Pod, POD_REVIEWS),
    };
    let (response, took) = match known {
        Err(refused) => {
            drain(gateway, request).await;
            (*refused, begun.elapsed())
        }
        Ok(spoke) => {
            let span = span_of(&request, path, &spoke);
            let answered = async {
                // What was read counts until it is answered.
                let (read, _counted) = match read(gateway, &spoke, begun, request).await.map(Held::into_parts)
                {
                    Ok((body, counted)) => (Ok(body), counted),
                    Err(why) => (Err(why), None),
                };
                let answered = match (read, kind) {
                    (Ok(body), Kind::Token) => token_review::answer(gateway, &spoke, begun, body).await,
                    (Ok(body), Kind::Access) => access_review::answer(gateway, &spoke, begun, body).await,
                    (Ok(body), Kind::Pod) => admission::answer(gateway, &spoke, begun, body, required).await,
                    // Upon an error status RBAC would decide with the groups in the API server's cache.
                    (Err(why), Kind::Access) => access_review::not_read(gateway, &spoke, &why),
                    (Err(why), Kind::Token | Kind::Pod) => return (unread(why.error), begun.elapsed()),
                };
                let took = begun.elapsed();
                (tell(&span, &spoke, took, answered), took)
            };
            let (response, took) = pin!(answered).instrument(span.clone()).await;
            span::http_answered(&span, response.status());
            (response, took)
        }
    };
    gateway.answered(route, response.status(), took);
    response
}

/// The span of a request of somebody who is known at this cluster's door, or would like to be.
fn span_of<B>(request: &http::Request<B>, route: &'static str, spoke: &Spoke) -> Span {
    let peer = request.extensions().get::<serve::Peer>();
    span::http(request.method(), route, request.headers(), peer, spoke.cluster.id.as_str())
}

/// Tells what came of a cluster's review: in metrics, in the trace, and in a line for who wants to see each.
fn tell(span: &Span, spoke: &Spoke, took: Duration, answered: Answered) -> Response<Body> {
    let Answered { review, decision, reason, response } = answered;
    spoke.reviews.count(review, took);
    span.record(names::OUTCOME, review.outcome());
    span.record(names::REASON_CODE, &*reason);
    if let Some(id) = decision {
        span.record(names::DECISION_ID, tracing::field::display(id));
    }
    tracing::debug!(
        { names::ROUTE_FIELD } = review.kind().value(),
        { names::CLUSTER_NAME } = %spoke.cluster.id,
        { names::DECISION_ID } = decision.map(tracing::field::display),
        { names::OUTCOME } = review.outcome(),
        { names::REASON_CODE } = &*reason,
        { names::DURATION_SECONDS } = took.as_secs_f64(),
        "a review is answered"
    );
    response
}

/// Takes the body of a request that is refused by its head, and drops it as it comes. A client that is still sending would otherwise
/// see its connection cut and not the answer.
async fn drain<S: Services, B: RequestBody>(gateway: &Gateway<S>, request: http::Request<B>) {
    gateway.strangers.reviews.discard(request.into_body()).await;
}

/// The body of a review of an API server that is known. It has a review's time: then the API server gives up soon.
async fn read<'a, S: Services, B: RequestBody>(
    gateway: &'a Gateway<S>,
    spoke: &Spoke,
    begun: Instant,
    request: http::Request<B>,
) -> Result<Held<'a>, Unread> {
    let config = &gateway.parts.config;
    // A longer one may be refused for want of room, in whatever pieces it comes.
    let read_at_once_max = config.review_bytes_max.min(serve::UNCOUNTED_BYTES);
    let mut body = Headed::of(request.into_body(), read_at_once_max);
    let read = gateway.known.reviews.take(known::api_server(spoke), &mut body).await;
    if let Err(error) = read {
        strangers::count_shed(error);
        if matches!(error, BodyError::TooLong { .. } | BodyError::NoRoom | BodyError::Crowded) {
            // In vain where it takes too long: then the connection is cut.
            let _ = tokio::time::timeout(config.review_left(begun), discard(&mut body)).await;
        }
    }
    read.map_err(|error| body.unread(error))
}

/// A client that is still sending may not see an answer: over HTTP/1.1 its connection would be cut in place of it, and an
/// API server takes that for no answer, upon which RBAC decides.
async fn discard<B: RequestBody>(mut body: B) {
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

fn unread(error: BodyError) -> Response<Body> {
    let code = match error {
        BodyError::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Incomplete => StatusCode::BAD_REQUEST,
        BodyError::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
        BodyError::NoRoom | BodyError::Crowded => StatusCode::TOO_MANY_REQUESTS,
    };
    answer::status(code, &error.to_string())
}

/// An API server at its own cluster's door: by certificate or bearer token, and at no other door.
///
/// The cluster that does not exist and the cluster that is not the caller's answer alike.
pub(super) fn knock<S: Services, B>(
    gateway: &Gateway<S>,
    id: &str,
    request: &http::Request<B>,
) -> Result<Arc<Spoke>, Box<Response<Body>>> {
    if let Some(refused) = impersonates(request.headers()) {
        return Err(Box::new(refused));
    }
    if request.method() != Method::POST {
        let mut response = answer::status(StatusCode::METHOD_NOT_ALLOWED, "reviews are sent by POST");
        response.headers_mut().insert(header::ALLOW, const { header::HeaderValue::from_static("POST") });
        return Err(Box::new(response));
    }
    let spoke = gateway.parts.directory.by_id(id);
    let known =
        spoke.filter(|spoke| by_certificate(gateway, spoke, request) || by_token(spoke, request.headers()));
    known.ok_or_else(|| {
        Box::new(answer::status(
            StatusCode::UNAUTHORIZED,
            "this is no credential of this cluster's API server: write its webhook files with `lanyard cluster webhook-config`",
        ))
    })
}

fn by_certificate<S: Services, B>(gateway: &Gateway<S>, spoke: &Spoke, request: &http::Request<B>) -> bool {
    let Some(peer) = request.extensions().get::<serve::Peer>() else { return false };
    match peer.identity.as_deref() {
        Some(PeerIdentity::Spoke { hub, cluster_uid }) => {
            peer.certificate_sha256.is_some_and(|sha256| spoke.shows(&sha256))
                && is_number(hub, gateway.parts.hub.hub_id.0)
                && is_number(cluster_uid, spoke.cluster.uid.0)
        }
        Some(PeerIdentity::Service { .. } | PeerIdentity::Principal { .. }) | None => false,
    }
}

/// Whether a text is a number as it is written here.
fn is_number(text: &str, number: Uuid) -> bool {
    *text == *number.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())
}

fn by_token(spoke: &Spoke, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|token| spoke.bears(token))
}

/// `Impersonate-User`, `-Group`, `-Uid`, `-Extra-…`: nobody acts for somebody else through this door.
fn impersonates(headers: &HeaderMap) -> Option<Response<Body>> {
    let name = headers.keys().find(|name| name.as_str().starts_with("impersonate-"))?;
    Some(answer::status(
        StatusCode::FORBIDDEN,
        &format!(
            "header `{name}` is refused: impersonation does not pass Lanyard; remove `--as` and the like"
        ),
    ))
}

async fn kubectl_route<S: Services>(
    State(gateway): State<Arc<Gateway<S>>>,
    Path((id, rest)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let begun = Instant::now();
    let response = kubectl(&gateway, &id, &rest, request).await;
    gateway.answered(Route::Oneself, response.status(), begun.elapsed());
    response
}

async fn kubectl<S: Services>(
    gateway: &Arc<Gateway<S>>,
    id: &str,
    rest: &str,
    request: Request,
) -> Response<Body> {
    if let Some(refused) = impersonates(request.headers()) {
        drain(gateway, request).await;
        return refused;
    }
    if request.method() == Method::GET {
        return discovery::answer(rest);
    }
    let parts: Vec<&str> = rest.split('/').collect();
    let (version, review) = match parts.as_slice() {
        ["apis", group, version, resource] if request.method() == Method::POST => {
            (*version, SelfReview::of(group, resource))
        }
        _ => ("", None),
    };
    let Some(review) = review else {
        drain(gateway, request).await;
        return discovery::answer("");
    };
    let headers = request.headers().clone();
    let token = match self_review::bearer(&headers) {
        Ok(token) => token,
        Err(why) => {
            drain(gateway, request).await;
            return answer::status(StatusCode::UNAUTHORIZED, why);
        }
    };
    // No cluster and no such person answer alike, so that names of clusters cannot be tried.
    let Some(spoke) = gateway.parts.directory.by_id(id) else {
        drain(gateway, request).await;
        return answer::status(StatusCode::UNAUTHORIZED, "Unauthorized");
    };
    let span = span_of(&request, KUBECTL, &spoke);
    let from = request.extensions().get::<serve::Peer>().map(|peer| peer.address.ip());
    let answered = async {
        // Anybody may say that they bear a token.
        match strangers::read(&gateway.strangers.reviews, from.into(), request.into_body()).await {
            Ok(body) => {
                self_review::answer(gateway, &spoke, review, version, &headers, token, body.bytes()).await
            }
            Err(error) => unread(error),
        }
    };
    let response = pin!(answered).instrument(span.clone()).await;
    span::http_answered(&span, response.status());
    response
}

async fn readyz<S: Services>(State(gateway): State<Arc<Gateway<S>>>) -> Response<Body> {
    let report = gateway.parts.readiness.report();
    let code = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json(code, &report)
}

async fn version<S: Services>(State(gateway): State<Arc<Gateway<S>>>) -> Response<Body> {
    let hub = &gateway.parts.hub;
    let body = json!({
        "version": hub.version, "hubId": hub.hub_id.to_string(), "account": hub.account,
        "partition": hub.partition, "region": hub.region,
    });
    answer::json(StatusCode::OK, &body)
}

async fn metrics<S: Services>(State(gateway): State<Arc<Gateway<S>>>) -> Response<Body> {
    match &gateway.parts.metrics {
        Some(metrics) => answer::plain(StatusCode::OK, metrics.render_public()),
        None => answer::plain(StatusCode::NOT_FOUND, "metrics are switched off"),
    }
}

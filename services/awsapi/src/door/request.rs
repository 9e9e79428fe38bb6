//! A request as it came, on its way to authn.

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use lanyard_api::{
    authn::AdmitAwsQuery,
    aws_wire::{AwsError, Service},
};
use lanyard_iam::{HttpRequest, sigv4::ClaimedScope};
use lanyard_kit::serve::{self, BodyError};
use tower::BoxError;

/// Most bytes of a refused request that are read before it is answered: a client that is still sending may not see an answer.
const DRAINED_BYTES_MAX: usize = 16 << 20;

/// Whether a request claims to be signed, in header or query.
pub(super) fn is_signed(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default().to_ascii_lowercase();
    parts.headers.contains_key(header::AUTHORIZATION)
        || ["x-amz-credential=", "x-amz-signature="].iter().any(|name| query.contains(name))
}

/// Whether it comes from a client of AWS, though it is not signed: then it is answered as such.
pub(super) fn is_of_client(parts: &Parts) -> bool {
    let is_of_sdk = |name: &http::HeaderName| {
        name.as_str().starts_with("x-amz-") || name.as_str().starts_with("amz-sdk-")
    };
    parts.headers.keys().any(is_of_sdk) || is_query(parts)
}

/// Whether it speaks Query, by its parameter or by the form that it sends.
fn is_query(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    is_form || parts.uri.query().is_some_and(|query| query.contains("Action="))
}

/// The service that a request claims to be signed for: in whose protocol even a refusal is written.
pub(super) fn claimed_service(parts: &Parts) -> Option<Service> {
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let headers: Vec<(&str, &str)> =
        authorization.map(|value| ("authorization", value)).into_iter().collect();
    let request = HttpRequest {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
    };
    match ClaimedScope::of(&request) {
        Ok(scope) => Service::of_scope(&scope.service),
        Err(_) => is_query(parts).then_some(Service::Sts),
    }
}

/// Whether a caller of a service that speaks Query takes JSON and no XML.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json") && !accepted.contains("xml")
}

/// The body, within its limit.
pub(super) async fn body<R>(
    service: Option<Service>,
    mut body: R,
    bytes_max: usize,
) -> Result<Bytes, AwsError>
where
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
{
    match serve::read_body(&mut body, bytes_max).await {
        Ok(read) => Ok(read),
        Err(error @ BodyError::TooLong { .. }) => {
            let _ = drain(body).await;
            let code = match service {
                Some(Service::Sts | Service::Iam) => "RequestEntityTooLarge",
                Some(Service::Eks | Service::EksAuth) | None => "RequestEntityTooLargeException",
            };
            Err(AwsError::new(code, 413, error.to_string()))
        }
        Err(error @ BodyError::Incomplete) => Err(AwsError::new("IncompleteBody", 400, error.to_string())),
    }
}

/// Takes the body of a request that is refused by its head.
pub(super) async fn drain<R>(body: R) -> Result<Bytes, BodyError>
where
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
{
    serve::read_body(body, DRAINED_BYTES_MAX).await
}

/// The host that a request is for, with the port that it names; nothing where it names none.
pub(super) fn authority(parts: &Parts) -> &str {
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or_else(host).unwrap_or_default()
}

/// What authn is asked.
pub(super) fn query(parts: &Parts, body: Bytes) -> Result<AdmitAwsQuery, AwsError> {
    let mut headers = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| {
            let message = format!("the header `{name}` is not ASCII text: it cannot be signed");
            AwsError::new("InvalidSignatureException", 400, message)
        })?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    Ok(AdmitAwsQuery {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authority: authority(parts).to_owned(),
        headers,
        body,
        source_ip: parts.extensions.get::<serve::Peer>().map(|peer| peer.address.ip()),
    })
}

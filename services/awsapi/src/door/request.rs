//! A request as it came, on its way to authn.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use lanyard_api::{
    Denial,
    authn::AdmitAwsQuery,
    aws_wire::{self, HttpCall, Service},
};
use lanyard_iam::{HttpRequest, sigv4::ClaimedScope};
use lanyard_kit::serve;

/// How the programs call themselves by which people look at a URL.
const OF_PEOPLE: [&str; 4] = ["curl/", "HTTPie/", "Mozilla/", "Wget/"];

/// Whether a request claims to be signed, in header or query.
pub(super) fn is_signed(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default().to_ascii_lowercase();
    parts.headers.contains_key(header::AUTHORIZATION)
        || ["x-amz-credential=", "x-amz-signature="].iter().any(|name| query.contains(name))
}

/// Whether it comes from a client of AWS, or speaks as one, though it is not signed: then it is answered as such.
pub(super) fn is_of_client(parts: &Parts) -> bool {
    is_of_sdk(parts) || is_query(parts)
}

/// Whether people sent it by hand, as far as its head tells: in a browser, an SDK says of itself that it is one.
pub(super) fn is_of_people(parts: &Parts) -> bool {
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    agent.is_some_and(|agent| OF_PEOPLE.iter().any(|name| agent.starts_with(name))) && !is_of_sdk(parts)
}

fn is_of_sdk(parts: &Parts) -> bool {
    let mut names = parts.headers.keys().map(http::HeaderName::as_str);
    names.any(|name| name.starts_with("x-amz-") || name.starts_with("amz-sdk-"))
}

/// Whether it speaks Query, by its parameter or by the form that it sends.
pub(super) fn is_query(parts: &Parts) -> bool {
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

/// The service that a request asks in Query, by what it says of that.
pub(super) fn asked_service(parts: &Parts, body: &[u8]) -> Option<Service> {
    aws_wire::asked_by_query(&HttpCall {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        body,
    })
}

/// Whether a caller of a service that speaks Query takes JSON and no XML.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json") && !accepted.contains("xml")
}

/// The host that a request is for, with the port that it names; nothing where it names none.
pub(super) fn authority(parts: &Parts) -> &str {
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or_else(host).unwrap_or_default()
}

/// What authn is asked.
///
/// # Errors
/// A header that nobody can have signed.
pub(super) fn query(parts: &Parts, body: Bytes) -> Result<AdmitAwsQuery, Denial> {
    let mut headers = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        let value = value.to_str().map_err(|_| {
            let message = format!("the header `{name}` is not ASCII text: it cannot be signed");
            Denial { code: "header_encoding".into(), message }
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
        source_ip: source_ip(parts),
    })
}
/// Where a request came from.
pub(super) fn source_ip(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<serve::Peer>().map(|peer| peer.address.ip())
}

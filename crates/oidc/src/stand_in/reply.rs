//! What the stand-in answers.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{Behaviour, Shared, locked};
use crate::fault::Document;

/// The document as an honest issuer has it.
pub(super) fn honest(shared: &Shared, document: Document) -> Value {
    match document {
        Document::Discovery => json!({
            "issuer": shared.issuer,
            "authorization_endpoint": format!("{}/authorize", shared.issuer),
            "jwks_uri": *locked(&shared.keys_url),
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        }),
        Document::Keys => {
            let keys: Vec<Value> = locked(&shared.keys).iter().map(|key| key.jwk()).collect();
            let more = locked(&shared.jwks).clone();
            json!({ "keys": keys.into_iter().chain(more).collect::<Vec<_>>() })
        }
    }
}

/// Answers as it was told to.
pub(super) async fn reply(shared: &Shared, document: Document, behaviour: Behaviour) -> Response {
    let text = honest(shared, document).to_string();
    let half = || text.get(..text.len() / 2).unwrap_or_default().to_owned();
    match behaviour {
        Behaviour::Honest => good(shared, document, text.into()),
        Behaviour::Status(status) => respond(status, "text/html", "<h1>oops</h1>".into()),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::SlowBody => {
            let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(half()))]);
            good(shared, document, Body::from_stream(first.chain(futures::stream::pending())))
        }
        Behaviour::BreaksOff => {
            let parts = [Ok(Bytes::from(half())), Err(std::io::Error::other("gone"))];
            good(shared, document, Body::from_stream(futures::stream::iter(parts)))
        }
        Behaviour::Truncated => good(shared, document, half().into()),
        Behaviour::Redirect(to) => {
            let mut response = respond(302, "text/html", Body::empty());
            let to = HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/"));
            response.headers_mut().insert(LOCATION, to);
            response
        }
        Behaviour::ManyKeys(count) => {
            let keys = vec!["{}"; count].join(",");
            good(shared, document, format!("{{\"keys\":[{keys}]}}").into())
        }
        Behaviour::OtherIssuer(issuer) => {
            let mut other = honest(shared, document);
            if let Some(members) = other.as_object_mut() {
                members.insert("issuer".to_owned(), issuer.into());
            }
            good(shared, document, other.to_string().into())
        }
        Behaviour::Instead(text) => good(shared, document, text.into()),
    }
}

fn good(shared: &Shared, document: Document, body: Body) -> Response {
    let mut response = respond(200, "application/json", body);
    if let (Document::Keys, Some(text)) = (document, locked(&shared.cache_control).as_deref()) {
        response.headers_mut().extend(HeaderValue::from_str(text).ok().map(|value| (CACHE_CONTROL, value)));
    }
    response
}

pub(super) fn respond(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

//! Asking an issuer for its keys: discovery, then the key set. Both each time, for an issuer may move its keys.

use bytes::Bytes;
use http::header::{ACCEPT, AGE, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, StatusCode};
use lanyard_kit::http_client::{HttpClient, Request};
use lanyard_kit::telemetry::trace::span;
use time::Duration;
use url::Url;

use crate::discovery::keys_url;
use crate::fault::{Document, OidcFault};
use crate::issuer::{Issuer, KeyOptions};
use crate::jwks::Jwks;

/// Keys, and how long they are good for.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) jwks: Jwks,
    pub(super) lifetime: Duration,
}

/// Asks the issuer. Only two addresses are ever called: the configured one, and that which the document found there names.
pub(super) async fn fetch(client: &HttpClient, issuer: &Issuer) -> Result<Fetched, OidcFault> {
    let (document, _) = get(client, Document::Discovery, issuer.discovery_url().clone()).await?;
    let keys_url = keys_url(&document, issuer.as_str())?;
    let (document, headers) = get(client, Document::Keys, keys_url).await?;
    Ok(Fetched { jwks: Jwks::parse(&document)?, lifetime: lifetime(&headers, issuer.keys()) })
}

async fn get(client: &HttpClient, document: Document, url: Url) -> Result<(Bytes, HeaderMap), OidcFault> {
    let mut request = Request::get(url);
    request
        .headers
        .insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json;q=0.9"));
    // Nothing is below it, so that it is enough to hold it.
    let span = span::document(match document {
        Document::Discovery => "discovery",
        Document::Keys => "keys",
    });
    let answer = client.send(request).await.map_err(|fault| {
        span::failed(&span);
        OidcFault::Http { document, fault }
    })?;
    span::asked_answered(&span, answer.status);
    if answer.status != StatusCode::OK {
        return Err(OidcFault::Status { document, status: answer.status.as_u16() });
    }
    Ok((answer.body, answer.headers))
}

/// How long the keys are good for: what is left of `max-age` (RFC 9111 section 4.2), within the configured bounds.
fn lifetime(headers: &HeaderMap, keys: &KeyOptions) -> Duration {
    let seconds = match freshness(headers) {
        None => keys.lifetime_seconds,
        Some(seconds) => u32::try_from(seconds)
            .unwrap_or(u32::MAX)
            .max(keys.lifetime_seconds_min)
            .min(keys.lifetime_seconds_max),
    };
    Duration::seconds(seconds.into())
}

/// None where the issuer says nothing, or nothing that can be read; zero where it wants nothing kept.
fn freshness(headers: &HeaderMap) -> Option<u64> {
    let texts = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let directives = texts.flat_map(|text| text.split(',')).map(str::trim);
    let mut seconds = None;
    for directive in directives {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
            return Some(0);
        }
        if let Some((name, value)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            seconds = seconds.or_else(|| value.trim_matches('"').parse::<u64>().ok());
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse::<u64>().ok());
    seconds.map(|seconds| seconds.saturating_sub(age.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says_within_bounds() {
        let keys = KeyOptions::default();
        let (default, min, max) = (3600, 300, 86_400);
        let cases: [(&[(&str, &str)], i64); 14] = [
            (&[], default),
            (&[("cache-control", "public")], default),
            (&[("cache-control", "max-age=soon")], default),
            (&[("cache-control", "max-age=-1")], default),
            (&[("cache-control", "max-age=7200")], 7200),
            (&[("cache-control", "public, Max-Age=7200, must-revalidate")], 7200),
            (&[("cache-control", "public"), ("cache-control", "max-age=\"7200\"")], 7200),
            (&[("cache-control", "max-age=7200"), ("age", "200")], 7000),
            (&[("cache-control", "max-age=7200"), ("age", "9000")], min),
            (&[("cache-control", "s-maxage=7200, max-age=1")], min),
            (&[("cache-control", "max-age=99999999999")], max),
            (&[("cache-control", "max-age=7200, no-store")], min),
            (&[("cache-control", "no-cache")], min),
            (&[("age", "200")], default),
        ];
        for (pairs, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            assert_eq!(lifetime(&headers, &keys).whole_seconds(), expected, "{pairs:?}");
        }
    }
}

//! `GET /id/{uid}/…`: the issuers of clusters, for everybody (OpenID Connect Discovery; Kubernetes, service account issuer discovery).
//!
//! Who asks is a stranger, so that credentials is asked about clusters that there are, and about each once a second at most. A uid of no
//! cluster, and one of a cluster without an issuer here, are answered alike.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use lanyard_api::{ClusterUid, Fault, credentials::Issuers as _};
use sha2::{Digest as _, Sha256};

use super::{answer, state::Gateway};
use crate::{directory::Spoke, services::Services};

/// How long others may keep a document. A key is published longer than that before anything is signed with it.
const CACHE_CONTROL: &str = "public, max-age=300";
/// How long a document is given again without a look at what it is now.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long it is given again while credentials does not answer.
const STALE_FOR: Duration = Duration::from_secs(300);
/// So many clusters later those that are gone are looked for.
const SWEEP_EVERY: usize = 64;

/// Which of an issuer's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    Configuration,
    Keys,
}

impl Document {
    /// By its path below the issuer.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            ".well-known/openid-configuration" => Some(Self::Configuration),
            "keys" => Some(Self::Keys),
            _ => None,
        }
    }
}

/// A document as it is sent.
struct Page {
    body: Bytes,
    etag: HeaderValue,
}

impl Page {
    fn of(text: String) -> Self {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let etag = format!("\"{}\"", hex::encode(digest));
        // Hex digits in quotes are a header's value.
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { body: text.into(), etag }
    }
}

/// What was found of a cluster's issuer.
#[derive(Clone)]
struct Kept {
    /// None where it has none here.
    pages: Option<Arc<[Page; 2]>>,
    /// When that was so.
    found_at: Instant,
    /// When credentials was asked last, with or without an answer.
    asked_at: Instant,
}

/// What was found, by cluster.
#[derive(Default)]
pub(super) struct Pages(Mutex<HashMap<ClusterUid, Kept>>);

impl Pages {
    /// What is known, and whether that is good for now. Whoever is told that it is not asks, and others make do with it meanwhile.
    fn get(&self, cluster: ClusterUid, now: Instant) -> (Option<Kept>, bool) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = pages.get_mut(&cluster) else { return (None, false) };
        let is_usable = now.duration_since(known.found_at) < STALE_FOR;
        if is_usable && now.duration_since(known.asked_at) < FRESH_FOR {
            return (Some(known.clone()), true);
        }
        known.asked_at = now;
        (is_usable.then(|| known.clone()), false)
    }

    fn put(&self, cluster: ClusterUid, kept: Kept, is_there: impl Fn(ClusterUid) -> bool) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() % SWEEP_EVERY == SWEEP_EVERY - 1 {
            pages.retain(|cluster, _| is_there(*cluster));
        }
        pages.insert(cluster, kept);
    }
}

/// Answers whoever asks.
pub(super) async fn answer<S: Services>(
    gateway: &Gateway<S>,
    uid: &str,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut response =
            answer::status(StatusCode::METHOD_NOT_ALLOWED, "an issuer's documents are read by GET");
        response.headers_mut().insert(header::ALLOW, const { HeaderValue::from_static("GET, HEAD") });
        return response;
    }
    let found = Document::of(path).zip(uid.parse::<ClusterUid>().ok());
    let spoke = found.and_then(|(document, uid)| Some((document, gateway.parts.directory.by_uid(uid)?)));
    // As it was written when it was made: other spellings are other URLs.
    let Some((document, spoke)) = spoke.filter(|(_, spoke)| spoke.cluster.uid.to_string() == uid) else {
        return none();
    };
    match pages(gateway, &spoke).await {
        Ok(Some(pages)) => {
            let [configuration, keys] = &*pages;
            let page = match document {
                Document::Configuration => configuration,
                Document::Keys => keys,
            };
            write(page, method, headers)
        }
        Ok(None) => none(),
        Err(fault) => answer::status(
            answer::fault_code(&fault),
            "the issuer's documents are not to be had now: try again",
        ),
    }
}

/// The same for a uid of no cluster, of a cluster that is gone, and of one without an issuer here.
fn none() -> Response<Body> {
    answer::status(StatusCode::NOT_FOUND, "not found")
}

fn write(page: &Page, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let etag = page.etag.to_str().unwrap_or_default();
    let is_known = known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag);
    let body = match is_known || method == Method::HEAD {
        true => Bytes::new(),
        false => page.body.clone(),
    };
    let code = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = answer::raw_json(code, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, const { HeaderValue::from_static(CACHE_CONTROL) });
    headers.insert(header::ETAG, page.etag.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") });
    response
}

/// The documents of a cluster's issuer: as they were a moment ago, or as credentials has them.
async fn pages<S: Services>(gateway: &Gateway<S>, spoke: &Spoke) -> Result<Option<Arc<[Page; 2]>>, Fault> {
    let (cluster, now) = (spoke.cluster.uid, Instant::now());
    let (known, is_fresh) = gateway.issuer_pages.get(cluster, now);
    let known = match known {
        Some(known) if is_fresh => return Ok(known.pages),
        other => other,
    };
    let Some(_place) = gateway.admit() else {
        let retry_after = Some(Duration::from_secs(1));
        return Err(Fault::Throttled { part: "this door".into(), retry_after });
    };
    let limit = gateway.parts.config.review_timeout();
    let asked = std::pin::pin!(gateway.parts.services.credentials().find_issuer(cluster));
    let answered = tokio::time::timeout(limit, asked).await;
    match answered.unwrap_or_else(|_| Err(Fault::TimedOut { part: "the issuer".into(), limit })) {
        Ok(found) => {
            let pages =
                found.documents.map(|found| Arc::new([Page::of(found.configuration), Page::of(found.jwks)]));
            let kept = Kept { pages: pages.clone(), found_at: now, asked_at: now };
            let is_there = |uid| gateway.parts.directory.by_uid(uid).is_some();
            gateway.issuer_pages.put(cluster, kept, is_there);
            Ok(pages)
        }
        Err(fault) => {
            tracing::warn!(%fault, cluster.name = %spoke.cluster.id, "the documents of a cluster's issuer are not to be had");
            known.map(|known| known.pages).ok_or(fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_known_is_not_sent_again() {
        let page = Page::of("{}".to_owned());
        let etag = page.etag.clone();
        assert_eq!(etag, Page::of("{}".to_owned()).etag);
        assert_ne!(etag, Page::of("{ }".to_owned()).etag);
        let asked = |known: Option<HeaderValue>, method: Method| {
            let mut headers = HeaderMap::new();
            headers.extend(known.map(|known| (header::IF_NONE_MATCH, known)));
            let response = write(&page, &method, &headers);
            assert_eq!(response.headers()[header::CACHE_CONTROL], CACHE_CONTROL);
            assert_eq!(response.headers()[header::ETAG], etag);
            response.status()
        };
        let weak = HeaderValue::try_from(format!("\"x\", W/{}", etag.to_str().unwrap())).unwrap();
        assert_eq!(asked(None, Method::GET), StatusCode::OK);
        assert_eq!(asked(Some(HeaderValue::from_static("\"other\"")), Method::GET), StatusCode::OK);
        for known in [etag.clone(), weak, HeaderValue::from_static("*")] {
            assert_eq!(asked(Some(known), Method::GET), StatusCode::NOT_MODIFIED);
        }
    }

    #[test]
    fn credentials_is_asked_once_a_second_and_what_was_found_outlives_its_silence_for_a_while() {
        let (pages, cluster, begun) = (Pages::default(), ClusterUid::random(), Instant::now());
        assert!(matches!(pages.get(cluster, begun), (None, false)));
        pages.put(cluster, Kept { pages: None, found_at: begun, asked_at: begun }, |_| true);
        let at = |seconds: f64| begun + Duration::from_secs_f64(seconds);
        let cases = [
            (0.5, (true, true)),
            // One asks, the others make do with what is known.
            (1.5, (true, false)),
            (1.6, (true, true)),
            (2.5, (true, false)),
            (299.9, (true, false)),
            (300.1, (false, false)),
        ];
        for (seconds, expected) in cases {
            let (known, is_fresh) = pages.get(cluster, at(seconds));
            assert_eq!((known.is_some(), is_fresh), expected, "{seconds}");
        }
    }

    #[test]
    fn of_clusters_that_are_gone_nothing_is_kept() {
        let pages = Pages::default();
        let now = Instant::now();
        for _ in 0..1_000 {
            let kept = Kept { pages: None, found_at: now, asked_at: now };
            pages.put(ClusterUid::random(), kept, |_| false);
        }
        assert!(pages.0.lock().unwrap().len() < SWEEP_EVERY);
    }

    #[test]
    fn an_issuer_has_two_documents() {
        let cases = [
            (".well-known/openid-configuration", Some(Document::Configuration)),
            ("keys", Some(Document::Keys)),
            ("keys/", None),
            ("", None),
            (".well-known/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Document::of(path), expected, "{path}");
        }
    }
}

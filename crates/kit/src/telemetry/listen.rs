//! The listener for operators: metrics, and whether the process is alive and ready.
//!
//! It is apart from the doors, so that what it tells can name clusters. Nothing on it is secret enough to need TLS, and nothing
//! that it is sent is read beyond the path.

use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::Readiness;
use crate::serve::{Answerer, Limits, PlainServer, ServeError};

/// Scrapers and probes that are connected at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a scrape may go on when the process stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Where metrics are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Where `/metrics`, `/livez` and `/readyz` listen, over plain HTTP/1.1; port 0 takes a free one. Nowhere by default. They name
    /// clusters: let nobody in but who scrapes.
    pub listen: Option<SocketAddr>,
}

/// The listener, bound.
#[derive(Debug)]
pub(crate) struct MetricsListener {
    server: PlainServer,
}

impl MetricsListener {
    /// Binds it, if it is asked for.
    ///
    /// # Errors
    /// [`ServeError::Bind`] names the address.
    pub(crate) async fn bind(config: &MetricsConfig) -> Result<Option<Self>, ServeError> {
        let Some(address) = config.listen else { return Ok(None) };
        let limits =
            Limits { connections_max: CONNECTIONS_MAX, drain_timeout: DRAIN_TIMEOUT, ..Limits::default() };
        Ok(Some(Self { server: PlainServer::bind(address, None, limits).await? }))
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.reached_at())
    }

    /// Answers until `stop`, which comes after the work has ended: that a process is on its way out shows here.
    pub(crate) async fn run(self, metrics: Metrics, readiness: Readiness, stop: CancellationToken) {
        let answers = Answerer::new(move |request| ready(answer(&request, &metrics, &readiness)));
        self.server.run(answers, stop).await;
    }
}

fn answer<B>(request: &Request<B>, metrics: &Metrics, readiness: &Readiness) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered here\n");
    }
    match request.uri().path() {
        "/metrics" => respond(StatusCode::OK, TEXT, metrics.render()),
        "/livez" => respond(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => {
            let report = readiness.report();
            let code = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            // Names and texts always become JSON.
            respond(code, "application/json", serde_json::to_vec(&report).unwrap_or_default())
        }
        _ => respond(StatusCode::NOT_FOUND, TEXT, "not found: /metrics, /livez and /readyz are here\n"),
    }
}

fn respond(code: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(method: Method, path: &str, readiness: &Readiness) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let response = answer(&request, &Metrics::detached(), readiness);
        let code = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_tells_three_things_and_takes_nothing() {
        let readiness = Readiness::new();
        let part = readiness.register("store");
        for (method, path, code) in [
            (Method::GET, "/metrics", StatusCode::OK),
            (Method::HEAD, "/metrics", StatusCode::OK),
            (Method::GET, "/livez", StatusCode::OK),
            (Method::GET, "/readyz", StatusCode::SERVICE_UNAVAILABLE),
            (Method::GET, "/debug", StatusCode::NOT_FOUND),
            (Method::POST, "/metrics", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            assert_eq!(get(method.clone(), path, &readiness).await.0, code, "{method} {path}");
        }
        part.ready();
        let (code, body) = get(Method::GET, "/readyz", &readiness).await;
        assert_eq!(code, StatusCode::OK);
        assert!(body.contains(r#""name":"store""#), "{body}");
    }

    #[tokio::test]
    async fn nothing_listens_unless_it_is_asked_for() {
        assert!(MetricsListener::bind(&MetricsConfig::default()).await.unwrap().is_none());
        let config = MetricsConfig { listen: Some("127.0.0.1:0".parse().unwrap()) };
        let listener = MetricsListener::bind(&config).await.unwrap().unwrap();
        assert!(listener.url().starts_with("http://127.0.0.1:") && !listener.url().ends_with(":0"));
    }
}

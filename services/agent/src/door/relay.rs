//! The relay to the hub's STS, for pods that have no authority file of the hub: what they send to the link-local address goes on to
//! the hub's AWS wire over TLS that the agent verifies, and to nowhere else.
//!
//! SDKs sign host and path of the address that they were given. So a request goes on as it came, with its `Host` and its
//! signature, over HTTP/1.1, and the hub verifies it as it was signed. Nothing is added and nothing is looked at but its length.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lanyard_kit::serve::read_body;
use lanyard_kit::tls::{CertificateDer, TlsError, client_config};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tracing::warn;
use url::Url;

use super::{Answered, text, written};
use crate::agent::Outcome;

/// Longest request, in bytes: a token and two policies; STS takes no more of either.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Longest answer, in bytes: that of GetCallerPolicies, 10 240 characters of a role's policies and 2 048 of its session's, of four bytes
/// at most, with fifty names of 128.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Until a request's body has come, which a pod of this node sends in one go.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the hub has answered; SDKs wait for STS a minute, for a connection much less.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What belongs to one connection (RFC 9110 section 7.6.1), and says nothing on another.
const OF_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// What STS writes (its API's query protocol).
const XML: HeaderValue = HeaderValue::from_static("text/xml");

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The address is none.
    #[error("`{0}` is no address of a hub's AWS wire; write https://HOST:PORT")]
    Url(Url),
    /// Its authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a request did not get through.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Connect(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("its answer broke off or is too long: {0}")]
    Answer(Box<dyn std::error::Error + Send + Sync>),
    #[error("it did not answer within {TIMEOUT:?}")]
    Timeout,
}

/// The way to one hub.
pub struct Relay {
    address: (String, u16),
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Relay {
    /// To the hub's AWS wire at this address, which these authorities vouch for.
    ///
    /// # Errors
    /// [`RelayError`].
    pub fn new(url: &Url, roots: &[CertificateDer<'static>]) -> Result<Self, RelayError> {
        let fault = || RelayError::Url(url.clone());
        let host = url.host_str().filter(|_| url.scheme() == "https").ok_or_else(fault)?;
        // A name in a certificate has no brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| fault())?;
        let mut config = client_config(roots, None)?;
        // HTTP/2 would have an authority of its own in place of the signed host.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let port = url.port_or_known_default().ok_or_else(fault)?;
        Ok(Self { address: (host, port), name, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Passes a request on, and its answer back. Where `signed_too` is not so, what is signed is not taken, for it could not be
    /// verified.
    pub(super) async fn pass(&self, request: Request<Incoming>, signed_too: bool) -> (Answered, Outcome) {
        let (parts, body) = request.into_parts();
        if !signed_too && parts.headers.contains_key(header::AUTHORIZATION) {
            let line = "signed calls are relayed at the path / alone, which is what their signature covers";
            return (text(StatusCode::FORBIDDEN, line), Outcome::Refused);
        }
        let body = match tokio::time::timeout(BODY_TIMEOUT, read_body(body, REQUEST_BYTES_MAX)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                return (text(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()), Outcome::Refused);
            }
            Err(_) => {
                let line = format!("the request's body did not come within {BODY_TIMEOUT:?}");
                return (text(StatusCode::REQUEST_TIMEOUT, &line), Outcome::Refused);
            }
        };
        if !is_for_sts(&parts.headers, &body) {
            let line =
                "only calls to STS are relayed: signed for the service sts, or AssumeRoleWithWebIdentity";
            return (text(StatusCode::FORBIDDEN, line), Outcome::Refused);
        }
        let query = parts.uri.query().map(|query| format!("/?{query}"));
        let mut forward = Request::new(Full::new(body));
        *forward.method_mut() = parts.method;
        // What came with the request is a URI's query already.
        *forward.uri_mut() = query.and_then(|uri| uri.parse().ok()).unwrap_or_default();
        *forward.headers_mut() = end_to_end(parts.headers);
        match tokio::time::timeout(TIMEOUT, self.send(forward)).await.unwrap_or(Err(Fault::Timeout)) {
            Ok(answered) => (answered, Outcome::Fetched),
            Err(error) => {
                warn!(%error, "a call to STS could not be relayed to the hub");
                (text(StatusCode::SERVICE_UNAVAILABLE, "the hub does not answer; try again"), Outcome::Fault)
            }
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answered, Fault> {
        let (host, port) = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer, for there is no other request on it.
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(Fault::Answer)?.to_bytes();
        drop(sender);
        connection.abort();
        let mut answered = Answered::new(Full::new(body));
        *answered.status_mut() = parts.status;
        *answered.headers_mut() = end_to_end(parts.headers);
        Ok(answered)
    }
}

/// The answer where there is no relay: an error of STS, which SDKs show as it is. They do not try again at this status.
pub(super) fn no_relay() -> Answered {
    const ERROR: &str = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Receiver</Type>\
                         <Code>NotImplemented</Code><Message>the node's agent relays no calls to STS: start it with \
                         --hub-sts=https://HOST:PORT, the hub's AWS wire</Message></Error></ErrorResponse>\n";
    written(StatusCode::NOT_IMPLEMENTED, XML, Bytes::from_static(ERROR.as_bytes()))
}

/// Whether a request is one to STS: by the scope of its signature, which the hub holds it to, or by the one action that nobody
/// signs. The hub's other services are not opened to pods by the agent's being there.
fn is_for_sts(headers: &HeaderMap, body: &[u8]) -> bool {
    match headers.get(header::AUTHORIZATION) {
        Some(signature) => signature.to_str().is_ok_and(|signature| {
            let scope = signature.split_once("Credential=").map(|(_, rest)| rest);
            let scope = scope.and_then(|rest| rest.split([',', ' ']).next());
            scope.is_some_and(|scope| scope.ends_with("/sts/aws4_request"))
        }),
        None => body.split(|byte| *byte == b'&').any(|pair| pair == b"Action=AssumeRoleWithWebIdentity"),
    }
}

fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    headers.remove(header::CONTENT_LENGTH);
    headers
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({}:{})", self.address.0, self.address.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_sts_is_relayed() {
        const SCOPE: &str = "AWS4-HMAC-SHA256 Credential=LSIA/20261124/eu-west-1";
        let cases = [
            (Some(format!("{SCOPE}/sts/aws4_request, SignedHeaders=host, Signature=0")), "", true),
            (Some(format!("{SCOPE}/iam/aws4_request, SignedHeaders=host, Signature=0")), "", false),
            (Some(format!("{SCOPE}/iam/aws4_request, SignedHeaders=/sts/aws4_request")), "", false),
            (
                Some(format!("{SCOPE}/sts/aws4_request, SignedHeaders=host, Signature=0")),
                "Action=GetCallerPolicies&Version=2011-06-15",
                true,
            ),
            (None, "Action=GetCallerPolicies&Version=2011-06-15", false),
            (Some("Bearer x/sts/aws4_request".to_owned()), "", false),
            (None, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15", true),
            (None, "Version=2011-06-15&Action=AssumeRoleWithWebIdentity", true),
            (None, "Action=AssumeRole", false),
            (None, "X=Action=AssumeRoleWithWebIdentity", false),
            (None, "", false),
        ];
        for (authorization, body, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = &authorization {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(is_for_sts(&headers, body.as_bytes()), expected, "{authorization:?} {body}");
        }
    }

    #[tokio::test]
    async fn without_a_relay_sts_answers_what_is_missing() {
        let answered = no_relay();
        assert_eq!(answered.status(), StatusCode::NOT_IMPLEMENTED);
        assert_eq!(answered.headers()[header::CONTENT_TYPE], "text/xml");
        let body = answered.into_body().collect().await.unwrap().to_bytes();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(
            body.starts_with("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>")
        );
        assert!(body.contains("<Code>NotImplemented</Code>") && body.contains("--hub-sts"), "{body}");
    }

    #[test]
    fn a_hub_is_called_over_tls_alone() {
        for url in ["http://hub.example", "https://", "hub.example:443", "ftp://hub.example"] {
            if let Ok(url) = url.parse::<Url>() {
                assert!(matches!(Relay::new(&url, &[]), Err(RelayError::Url(_))), "{url}");
            }
        }
    }
}

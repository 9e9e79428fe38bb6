//! Lists and watches of one API server, over kit's client: every answer bounded, no redirect, no proxy.

mod lines;
mod reviews;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use lanyard_api::{
    credentials::IssuerDocuments,
    kubeconfig::{KubeCredential, Kubeconfig},
};
use lanyard_kit::{
    http_client::{AddressRules, HttpClient, HttpClientError, HttpFault, Options, Request, Streamed},
    tls::{KeyedCertificate, TlsError, certificates_from_pem},
};
use secrecy::ExposeSecret as _;
use url::Url;

use self::lines::Lines;
use crate::{
    config::SpokeConfig,
    wire::{self, Event, Page, Resource, Unreadable},
};

/// Why nothing is heard of an API server.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// The kubeconfig's CA or certificate cannot be used.
    #[error("the kubeconfig's {what} cannot be used: {reason}")]
    Certificate {
        /// `certificate-authority-data`, or the client certificate.
        what: &'static str,
        /// Why.
        reason: TlsError,
    },
    /// There is no client.
    #[error(transparent)]
    Client(#[from] HttpClientError),
    /// The kubeconfig's token cannot stand in a header.
    #[error("the kubeconfig's token cannot be sent: it has to be visible ASCII")]
    Token,
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// The API server says no.
    #[error("the API server answered {status} to `{what}`: {message}{}", advice(*.status, .what))]
    Status {
        /// Its code.
        status: u16,
        /// What was asked.
        what: &'static str,
        /// Its own words, in one line.
        message: String,
    },
    /// A document of its own is longer than any honest one.
    #[error("`{what}` has {bytes} bytes, at most {ISSUER_BYTES_MAX} are read")]
    TooLong {
        /// Which one.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The answer is none that we know.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A watch said nothing for too long.
    #[error("nothing was heard for {0:?}: the connection counts as cut")]
    Silent(Duration),
    /// One event is longer than allowed.
    #[error("an event of the watch has more than {0} bytes: {SHORTEN}")]
    EventTooLong(usize),
    /// A part of a list that was asked for with one object alone is longer than allowed.
    #[error(
        "a part of the list with one object alone has more than {bytes_max} bytes: {SHORTEN}; it is {place}"
    )]
    ObjectTooLong {
        /// Where the object stands in the list. Last of all that is said, for it may be long.
        place: String,
        /// How much is read.
        bytes_max: usize,
    },
    /// A list goes on and on, though little is in it.
    #[error("a list has more than {0} parts")]
    Endless(usize),
    /// The API server ended the watch.
    #[error("the API server ended the watch: {0}")]
    Ended(String),
}

/// Where an API server names its issuer (OpenID Connect Discovery section 4).
const CONFIGURATION_PATH: &str = ".well-known/openid-configuration";
/// Where it serves the issuer's keys, whatever address its configuration has for others.
const KEYS_PATH: &str = "openid/v1/jwks";
/// Where it says which release it is of. Stock bindings let everybody read that.
const VERSION_PATH: &str = "version";
/// Longest document of the two: what credentials reads of a key set.
const ISSUER_BYTES_MAX: usize = 256 * 1024;
/// Longest answer to a question beside lists and watches: a review comes back with the token in it, of at most some KB.
const QUESTION_BYTES_MAX: usize = 128 * 1024;

/// What is done about an object that is too long to be read.
const SHORTEN: &str = "shorten the object, of which annotations and managed fields count too, or raise spoke.answer_bytes_max, for \
                       `lanyard spoke push` its --answer-bytes-max; what was taken before stays in force";

fn advice(status: u16, what: &str) -> &'static str {
    match status {
        401 => "; the credential does not count (any more): give another one with `lanyard cluster add`",
        // Nothing on a watch hangs on it.
        _ if what == VERSION_PATH => "",
        403 => {
            "; let the credential do what `lanyard cluster add --help` lists: get, list and watch the RBAC objects, ServiceAccounts \
             and kube-system's ConfigMap aws-auth, and get the issuer's two documents"
        }
        404 => "; an API server serves its issuer where --service-account-issuer is an https URL",
        _ => "",
    }
}

impl ApiFault {
    /// Whether the version that was given is too old: then only a list helps.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Self::Status { status: 410, .. })
    }

    /// Whether nobody was there who could have answered: the API server itself is away, or those behind what stands before it are.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Silent(_) | Self::Status { status: 500.., .. })
    }
}

/// One API server.
#[derive(Debug, Clone)]
pub struct ApiServer {
    client: HttpClient,
    /// For questions beside lists and watches, which are short: a connection of their own, so that no list stands before them.
    questions: HttpClient,
    base: Url,
    headers: HeaderMap,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    event_bytes_max: usize,
    watch: Duration,
    silence: Duration,
}

impl ApiServer {
    /// By a reduced kubeconfig. Its host may have a private address: API servers have, and the credential is for that host.
    ///
    /// # Errors
    /// [`ApiFault`] where a certificate cannot be used.
    pub fn new(kubeconfig: &Kubeconfig, config: &SpokeConfig) -> Result<Self, ApiFault> {
        let Kubeconfig { server, certificate_authority, credential } = kubeconfig;
        let mut options = Options {
            timeout: Duration::from_secs(config.request_seconds),
            body_bytes_max: config.answer_bytes_max,
            addresses: AddressRules::public_only().allow_private(server.host_str().unwrap_or_default()),
            ..Options::default()
        };
        if let Some(pem) = certificate_authority {
            let fault = |reason| ApiFault::Certificate { what: "certificate-authority-data", reason };
            options.roots = certificates_from_pem(pem).map_err(fault)?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("lanyard/", env!("CARGO_PKG_VERSION"))),
        );
        match credential {
            KubeCredential::Token(token) => {
                let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
                let mut value = value.map_err(|_| ApiFault::Token)?;
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            KubeCredential::ClientCertificate { chain_pem, key_pem } => {
                let own = KeyedCertificate { chain_pem: chain_pem.clone(), key_pem: key_pem.clone() };
                let fault = |reason| ApiFault::Certificate { what: "client certificate", reason };
                own.chain().map_err(fault)?;
                own.key().map_err(fault)?;
                options.client_certificate = Some(own);
            }
        }
        let mut base = server.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let questions = Options {
            timeout: Duration::from_millis(config.review_milliseconds),
            body_bytes_max: QUESTION_BYTES_MAX,
            ..options.clone()
        };
        Ok(Self {
            client: HttpClient::new(options)?,
            questions: HttpClient::new(questions)?,
            base,
            headers,
            limits: Limits {
                event_bytes_max: config.answer_bytes_max,
                watch: Duration::from_secs(config.watch_seconds),
                silence: Duration::from_secs(config.silence_seconds),
            },
        })
    }

    /// A part of a list with at most so many objects; the first, unless the end of another is given.
    ///
    /// # Errors
    /// [`ApiFault`]; [`HttpFault::TooLarge`] where fewer objects may do.
    pub async fn list(
        &self,
        resource: Resource,
        next: Option<&str>,
        objects_max: u32,
    ) -> Result<Page, ApiFault> {
        let limit = objects_max.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(next.map(|next| ("continue", next)));
        let answer = self.client.send(self.request(resource, &query)).await?;
        if !answer.status.is_success() {
            return Err(refused(resource.name(), answer.status.as_u16(), &answer.body));
        }
        Ok(wire::page(resource, &answer.body)?)
    }

    /// Watches from a version on.
    ///
    /// # Errors
    /// [`ApiFault`].
    pub async fn watch(&self, resource: Resource, version: &str) -> Result<Watch, ApiFault> {
        let Limits { watch, silence, event_bytes_max, .. } = self.limits;
        let seconds = watch.as_secs().to_string();
        let query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", &seconds),
        ];
        // The server ends it first; if not, it is cut.
        let sent = self.client.stream(self.request(resource, &query), watch + silence);
        let mut stream = match tokio::time::timeout(silence, sent).await {
            Ok(stream) => stream?,
            Err(_) => return Err(ApiFault::Silent(silence)),
        };
        if !stream.status.is_success() {
            let body = stream.chunk().await?.unwrap_or_default();
            return Err(refused(resource.name(), stream.status.as_u16(), &body));
        }
        Ok(Watch { resource, stream, lines: Lines::default(), silence, event_bytes_max })
    }

    /// The issuer of ServiceAccount tokens, with its keys.
    ///
    /// # Errors
    /// [`ApiFault`].
    pub async fn issuer(&self) -> Result<IssuerDocuments, ApiFault> {
        let configuration = self.document(CONFIGURATION_PATH).await?;
        let jwks = self.document(KEYS_PATH).await?;
        Ok(wire::issuer(&configuration, &jwks)?)
    }

    /// The release that it says it is of, as [`wire::release`] has it.
    ///
    /// # Errors
    /// [`ApiFault`].
    pub async fn release(&self) -> Result<String, ApiFault> {
        Ok(wire::release(&self.document(VERSION_PATH).await?)?)
    }

    async fn document(&self, path: &'static str) -> Result<Bytes, ApiFault> {
        let url = self.at(path);
        let mut headers = self.headers.clone();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, application/jwk-set+json;q=0.9"),
        );
        let answer =
            self.client.send(Request { method: Method::GET, url, headers, body: Bytes::new() }).await?;
        let (status, bytes) = (answer.status.as_u16(), answer.body.len());
        match answer.status.is_success() {
            false => Err(refused(path, status, &answer.body)),
            true if bytes > ISSUER_BYTES_MAX => Err(ApiFault::TooLong { what: path, bytes }),
            true => Ok(answer.body),
        }
    }

    /// A path below the server's own.
    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }

    fn request(&self, resource: Resource, query: &[(&str, &str)]) -> Request {
        let mut url = self.at(resource.path());
        {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(query);
            pairs.extend_pairs(resource.field_selector().map(|selector| ("fieldSelector", selector)));
        }
        Request { method: Method::GET, url, headers: self.headers.clone(), body: Bytes::new() }
    }
}

fn refused(what: &'static str, status: u16, body: &[u8]) -> ApiFault {
    ApiFault::Status { status, what, message: wire::status_message(body) }
}

/// A watch under way.
#[derive(Debug)]
pub struct Watch {
    resource: Resource,
    stream: Streamed,
    lines: Lines,
    silence: Duration,
    event_bytes_max: usize,
}

impl Watch {
    /// The next event; none where the server ended the watch in good order.
    ///
    /// # Errors
    /// [`ApiFault`] where it was cut, or what came is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, ApiFault> {
        loop {
            if let Some(line) = self.lines.cut() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(wire::event(self.resource, &line)?));
            }
            if self.lines.bytes_left() > self.event_bytes_max {
                return Err(ApiFault::EventTooLong(self.event_bytes_max));
            }
            match tokio::time::timeout(self.silence, self.stream.chunk()).await {
                Err(_) => return Err(ApiFault::Silent(self.silence)),
                // What is left is half an event, of a connection that was cut: the next watch has it whole.
                Ok(read) => match read? {
                    None => return Ok(None),
                    Some(chunk) => self.lines.add(&chunk),
                },
            }
        }
    }
}

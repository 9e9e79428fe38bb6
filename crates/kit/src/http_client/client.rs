//! The client itself.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls_pki_types::CertificateDer;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{AddressRules, HttpClientError, HttpFault, TestInternet};
use crate::secret::ExposeSecret as _;
use crate::tls::{KeyedCertificate, PinnedRoots, client_config, install_provider, pinned_config};

/// What to do where the system vouches for nobody, said with each error of a client that trusts whom the system does.
const SYSTEMS_AUTHORITIES: &str = "the system's certificate authorities are trusted here: see that it has some, or set SSL_CERT_FILE to \
                                   a PEM file of them";

/// How to call others.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the first step of connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Of that, for a connection.
    pub connect_timeout: Duration,
    /// The longest answer that is read.
    pub body_bytes_max: usize,
    /// How much of an answer over HTTP/2 may be here before somebody reads it.
    pub unread_bytes_max: u32,
    /// Which addresses may be called.
    pub addresses: AddressRules,
    /// Plain HTTP in place of HTTPS, which such a client does not speak, so that it needs no authorities: for services on the link.
    pub plain: bool,
    /// Calls go by the proxies that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), as curl's do.
    pub environment_proxies: bool,
    /// Addresses for host names, in place of DNS and past the address rules; a URL without a port takes the port too.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// In place of DNS, and before the address rules as that is: for tests of names whose addresses change.
    pub internet: Option<TestInternet>,
    /// Trusted in place of the system's authorities, when there are any here.
    pub roots: Vec<CertificateDer<'static>>,
    /// Trusted in place of all others at one host (`host`, or `host:port` where it is not 443), and nowhere else.
    pub roots_of_hosts: BTreeMap<String, Vec<CertificateDer<'static>>>,
    /// Where the trust above does not hold for a host, the last certificate of the chain that it shows, if it is one of these. No client
    /// certificate is shown then.
    pub pinned_roots: Option<PinnedRoots>,
    /// Shown to every host that asks for a client certificate; so only for clients of one host.
    pub client_certificate: Option<KeyedCertificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            body_bytes_max: 64 * 1024,
            unread_bytes_max: 2 * 1024 * 1024,
            addresses: AddressRules::public_only(),
            plain: false,
            environment_proxies: false,
            resolve: BTreeMap::new(),
            internet: None,
            roots: Vec::new(),
            roots_of_hosts: BTreeMap::new(),
            pinned_roots: None,
            client_certificate: None,
        }
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: Method,
    /// Where to; HTTPS (but for [`Options::plain`]), a host, no user and no password.
    pub url: Url,
    /// Headers; mark secret values as sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A `GET` without headers.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// What came back, whatever its status but a redirect.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may hold credentials.
        f.debug_struct("Answer").field("status", &self.status).field("body_bytes", &self.body.len()).finish()
    }
}

/// An answer that comes bit by bit.
#[derive(Debug)]
pub struct Streamed {
    /// The status.
    pub status: StatusCode,
    response: reqwest::Response,
    host: String,
    client: HttpClient,
}

impl Streamed {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`HttpFault`] where it breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpFault> {
        self.response.chunk().await.map_err(|error| self.client.fault(&self.host, &error))
    }
}

/// Calls others; clones share connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    inner: reqwest::Client,
    /// For hosts with roots of their own, by [`place_of`]: no connection is shared between trusts.
    of_hosts: Arc<BTreeMap<String, reqwest::Client>>,
    /// Which trusts [`Options::pinned_roots`] alone.
    pinning: Option<reqwest::Client>,
    options: Arc<Options>,
}

impl HttpClient {
    /// A client of its own, with its own connections.
    ///
    /// # Errors
    /// [`HttpClientError`] when a root cannot be used, a host with roots of its own is none, or the system has no authorities
    /// and none were given.
    pub fn new(options: Options) -> Result<Self, HttpClientError> {
        install_provider();
        let options = Arc::new(options);
        let mut of_hosts = BTreeMap::new();
        for (host, roots) in &options.roots_of_hosts {
            let place = Url::parse(&format!("https://{host}/")).ok().and_then(|url| place_of(&url));
            let place = place.ok_or_else(|| HttpClientError(format!("`{host}` is not a host")))?;
            of_hosts.insert(place, Self::trusting(&options, Some(roots))?);
        }
        // A client that speaks no TLS trusts nobody: without a list of its own it would read the system's, which may have none.
        let of_system = options.roots.is_empty() && !options.plain;
        let roots = (!of_system).then_some(options.roots.as_slice());
        let inner = Self::trusting(&options, roots)?;
        let pinning = options.pinned_roots.clone().map(|roots| Self::pinning(&options, roots)).transpose()?;
        Ok(Self { inner, of_hosts: Arc::new(of_hosts), pinning, options })
    }

    fn builder(options: &Arc<Options>) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder();
        let builder = if options.environment_proxies { builder } else { builder.no_proxy() };
        builder
            .https_only(!options.plain)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .http2_initial_stream_window_size(options.unread_bytes_max)
            .dns_resolver(RuledResolver { options: Arc::clone(options) })
    }

    /// With the pinned roots alone.
    fn pinning(options: &Arc<Options>, roots: PinnedRoots) -> Result<reqwest::Client, HttpClientError> {
        let config = pinned_config(roots).map_err(|error| HttpClientError(error.to_string()))?;
        let builder = Self::builder(options).tls_backend_preconfigured(config);
        builder.build().map_err(|error| HttpClientError(chain(&error)))
    }

    /// With these roots alone, or the system's.
    fn trusting(
        options: &Arc<Options>,
        roots: Option<&[CertificateDer<'static>]>,
    ) -> Result<reqwest::Client, HttpClientError> {
        let mut builder = Self::builder(options);
        let own = options.client_certificate.as_ref();
        match (roots, own) {
            (Some(roots), own) => {
                let config = client_config(roots, own).map_err(|error| HttpClientError(error.to_string()))?;
                builder = builder.tls_backend_preconfigured(config);
            }
            (None, Some(own)) => {
                let pem = Zeroizing::new(format!("{}\n{}", own.key_pem.expose_secret(), own.chain_pem));
                let identity = reqwest::Identity::from_pem(pem.as_bytes())
                    .map_err(|error| HttpClientError(format!("the client certificate: {}", chain(&error))))?;
                builder = builder.identity(identity);
            }
            (None, None) => {}
        }
        builder.build().map_err(|error| {
            let reason = chain(&error);
            HttpClientError(if roots.is_some() { reason } else { format!("{reason}; {SYSTEMS_AUTHORITIES}") })
        })
    }

    /// Sends one request, once, and reads the answer whole.
    ///
    /// # Errors
    /// [`HttpFault`]: no answer, for this reason. An answer with an error status is an answer.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpFault> {
        let mut streamed = self.open(request, None).await?;
        let (status, headers) = (streamed.status, std::mem::take(streamed.response.headers_mut()));
        let bytes_max = self.options.body_bytes_max;
        let too_large = |host: &str| HttpFault::TooLarge { host: host.to_owned(), bytes_max };
        if streamed.response.content_length().is_some_and(|length| length > bytes_max as u64) {
            return Err(too_large(&streamed.host));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = streamed.chunk().await? {
            if body.len() + chunk.len() > bytes_max {
                return Err(too_large(&streamed.host));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Sends one request, once, whose answer comes bit by bit and may take until `limit`, in place of the client's own timeout.
    /// Its length is the reader's affair.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn stream(&self, request: Request, limit: Duration) -> Result<Streamed, HttpFault> {
        self.open(request, Some(limit)).await
    }

    async fn open(&self, request: Request, limit: Option<Duration>) -> Result<Streamed, HttpFault> {
        let host = self.admit(&request.url)?;
        let Request { method, url, headers, body } = request;
        let own = place_of(&url).and_then(|place| self.of_hosts.get(&place));
        let ask = |client: &reqwest::Client| {
            let asked = client.request(method.clone(), url.clone());
            let asked = asked.headers(headers.clone()).body(body.clone());
            match limit {
                Some(limit) => asked.timeout(limit).send(),
                None => asked.send(),
            }
        };
        let answer = ask(own.unwrap_or(&self.inner)).await.map_err(|error| self.fault(&host, &error));
        let response = match (answer, &self.pinning) {
            // Who did not prove who they are was sent nothing.
            (Err(HttpFault::Tls { .. }), Some(pinning)) => {
                ask(pinning).await.map_err(|error| self.fault(&host, &error))?
            }
            (answer, _) => answer?,
        };
        let status = response.status();
        if status.is_redirection() {
            return Err(HttpFault::Redirect { host, status: status.as_u16() });
        }
        Ok(Streamed { status, response, host, client: self.clone() })
    }

    /// The host, when the URL may be called: addresses written as numbers never reach the resolver.
    fn admit(&self, url: &Url) -> Result<String, HttpFault> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let refused = |rule| Err(HttpFault::Refused { host: host.clone(), rule });
        match (self.options.plain, url.scheme()) {
            (false, "https") | (true, "http") => {}
            (false, _) => return refused("only https URLs are called"),
            (true, _) => return refused("only http URLs are called by a plain client"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("URLs with a user or a password are not called; send a header");
        }
        let literal = match url.host() {
            None => return refused("the URL has no host"),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        match literal {
            Some(address) if !self.options.addresses.allow(&host, address) => {
                refused("it is no public address; allow the host by name if it should be called")
            }
            _ => Ok(host),
        }
    }

    fn fault(&self, host: &str, error: &reqwest::Error) -> HttpFault {
        let host = host.to_owned();
        if error.is_timeout() {
            return HttpFault::Timeout { host, limit: self.options.timeout };
        }
        if let Some(fault) = causes(error).find_map(|cause| cause.downcast_ref::<ResolveFault>()) {
            return match fault.clone() {
                ResolveFault::Lookup(reason) => HttpFault::Resolve { host, reason },
                ResolveFault::NotPublic(reason) => HttpFault::NotPublic { host, reason },
            };
        }
        if let Some(fault) = causes(error).find_map(tls_fault) {
            return HttpFault::Tls { host, reason: fault };
        }
        if error.is_connect() {
            return HttpFault::Connect { host, reason: chain(error) };
        }
        HttpFault::Broken { host, reason: chain(error) }
    }
}

/// Host and port of a URL, in the one spelling that URLs have for them.
fn place_of(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// rustls' own words, if it is the cause. They come inside I/O errors, whose `source` skips what they wrap.
fn tls_fault(cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(fault) = cause.downcast_ref::<rustls::Error>() {
        return Some(fault.to_string());
    }
    let wrapped: &(dyn StdError + 'static) = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
    tls_fault(wrapped)
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The innermost cause. The outer ones hold the URL, which may be a presigned one and so a secret.
fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// No address, or one that may not be called.
#[derive(Debug, Clone, thiserror::Error)]
enum ResolveFault {
    #[error("{0}")]
    Lookup(String),
    #[error("{0}")]
    NotPublic(String),
}

/// DNS behind the address rules. Every address of an answer must be allowed: one that mixes public and private
/// addresses is an attempt to get in.
struct RuledResolver {
    options: Arc<Options>,
}

impl Resolve for RuledResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let options = Arc::clone(&self.options);
        Box::pin(async move {
            let host = name.as_str();
            if let Some(address) = options.resolve.get(host) {
                return Ok(Box::new(std::iter::once(*address)) as Addrs);
            }
            if let Some(internet) = &options.internet {
                let called = judged(host, internet.look(host), &options.addresses)?;
                return Ok(Box::new(internet.stand_ins(&called).into_iter()) as Addrs);
            }
            let found = tokio::net::lookup_host((host, 0))
                .await
                .map_err(|error| ResolveFault::Lookup(error.to_string()))?;
            Ok(Box::new(judged(host, found.collect(), &options.addresses)?.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, where all of them may be called. What is called are these very addresses, looked up for one connection: a name
/// that has another address the next time is judged by that one then.
fn judged(host: &str, found: Vec<SocketAddr>, rules: &AddressRules) -> Result<Vec<SocketAddr>, ResolveFault> {
    match found.iter().find(|address| !rules.allow(host, address.ip())) {
        Some(refused) => Err(ResolveFault::NotPublic(format!(
            "`{}` is no public address; allow the host by name if it should be called",
            refused.ip()
        ))),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immunity_26_a_name_that_turns_to_a_private_address_is_not_called() {
        let rules = AddressRules::public_only().allow_private("allowed.example");
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        // What one name has at one connection after the other: DNS rebinding turns it inwards, alone or beside a public address.
        let answers: [(&[&str], bool); 8] = [
            (&["1.1.1.1"], true),
            (&["127.0.0.1"], false),
            (&["1.1.1.1", "10.0.0.7"], false),
            (&["169.254.169.254"], false),
            (&["fd00:ec2::254"], false),
            (&["::ffff:192.168.0.1"], false),
            (&["2606:4700:4700::1111", "::1"], false),
            (&["1.1.1.1", "2606:4700:4700::1111"], true),
        ];
        for (texts, is_called) in answers {
            let found = addresses(texts);
            let judgement = judged("issuer.example", found.clone(), &rules);
            assert_eq!(judgement.is_ok(), is_called, "{texts:?}");
            assert!(judgement.is_err() || judgement.is_ok_and(|called| called == found), "no other address");
        }
        assert!(judged("allowed.example", addresses(&["127.0.0.1"]), &rules).is_ok());
    }
}

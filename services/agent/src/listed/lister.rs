//! Asking for a list: the kubelet, or the API server.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use lanyard_kit::http_client::{AddressRules, HttpClient, HttpClientError, HttpFault, Options, Request};
use lanyard_kit::tls::CertificateDer;
use url::Url;

use super::{List, ListError};

/// Longest list, in bytes: a thousand pods with 30 KiB each, which is three times what large ones have.
const LIST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How to ask.
#[derive(Debug, Clone)]
pub struct ListerOptions {
    /// What is asked, whole, such as `https://<node>:10250/pods`.
    pub url: Url,
    /// The agent's own token; read anew for each question, because Kubernetes replaces it.
    pub token_file: PathBuf,
    /// Who vouches for that server's certificate.
    pub roots: Vec<CertificateDer<'static>>,
    /// Until it has to have answered.
    pub timeout: Duration,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// The agent has no token.
    #[error("`{path}` cannot be read: {reason}; the agent's pod needs a service account's token")]
    Token {
        /// Where it should be.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// The answer is a refusal.
    #[error("`{host}` answered {status}{advice}")]
    Status {
        /// Whose answer.
        host: String,
        /// Its status.
        status: u16,
        /// What to do about it.
        advice: &'static str,
    },
    /// The answer is none.
    #[error("the answer of `{host}` is not understood: {reason}")]
    Unreadable {
        /// Whose answer.
        host: String,
        /// Why.
        reason: ListError,
    },
}

/// Asks one server.
#[derive(Debug)]
pub struct Lister<L> {
    client: HttpClient,
    options: ListerOptions,
    of: PhantomData<fn() -> L>,
}

impl<L: List> Lister<L> {
    /// A lister with a client of its own. The host of its URL may have a private address: nodes have.
    ///
    /// # Errors
    /// [`HttpClientError`] where the roots cannot be used.
    pub fn new(options: ListerOptions) -> Result<Self, HttpClientError> {
        let host = options.url.host_str().unwrap_or_default();
        let client = HttpClient::new(Options {
            timeout: options.timeout,
            connect_timeout: options.timeout,
            body_bytes_max: LIST_BYTES_MAX,
            addresses: AddressRules::public_only().allow_private(host),
            roots: options.roots.clone(),
            ..Options::default()
        })?;
        Ok(Self { client, options, of: PhantomData })
    }

    /// The list as it is now.
    ///
    /// # Errors
    /// [`ListFault`].
    pub async fn list(&self) -> Result<L, ListFault> {
        let host = || self.options.url.host_str().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(L::ACCEPT));
        headers.insert(header::AUTHORIZATION, self.bearer().await?);
        let url = self.options.url.clone();
        let answer = self
            .client
            .send(Request { method: Method::GET, url, headers, body: [].as_slice().into() })
            .await?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(ListFault::Status { host: host(), status, advice: L::advice(status) });
        }
        L::parse(&answer.body).map_err(|reason| ListFault::Unreadable { host: host(), reason })
    }

    async fn bearer(&self) -> Result<HeaderValue, ListFault> {
        let path = &self.options.token_file;
        let fault = |reason: String| ListFault::Token { path: path.display().to_string(), reason };
        crate::files::bearer(path).await.map_err(fault)
    }
}

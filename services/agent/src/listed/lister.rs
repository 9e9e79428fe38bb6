//! Asking for a list: the kubelet, or the API server.

use std::future::Future;
use std::io::Read;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Method, header};
use lanyard_kit::http_client::{
    AddressRules, HttpClient, HttpClientError, HttpFault, Options, Request, Streamed,
};
use lanyard_kit::tls::CertificateDer;
use tokio::sync::mpsc;
use url::Url;

use super::{List, ListError};

/// Longest list, in bytes: a thousand pods with 30 KiB each, which is three times what large ones have.
const LIST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many pieces of it, of some 16 KiB, may wait to be parsed.
const PIECES_MAX: usize = 4;
/// How much more of it may have come, over HTTP/2: else most of a list would be here before it is parsed.
const UNREAD_BYTES_MAX: u32 = 64 * 1024;

/// How much longer a list may take to be parsed than to come: it is read no faster than it is parsed, which is slow where the node gives
/// the agent no more of its processors than it requests.
const PARSED_WITHIN: Duration = Duration::from_secs(8);

/// How to ask.
#[derive(Debug, Clone)]
pub struct ListerOptions {
    /// What is asked, whole, such as `https://<node>:10250/pods`.
    pub url: Url,
    /// The agent's own token; read anew for each question, because Kubernetes replaces it.
    pub token_file: PathBuf,
    /// Who vouches for that server's certificate.
    pub roots: Vec<CertificateDer<'static>>,
    /// Until it has to have begun to answer, and then to have gone on with it.
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
            timeout: options.timeout + PARSED_WITHIN,
            connect_timeout: options.timeout,
            unread_bytes_max: UNREAD_BYTES_MAX,
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
        let request = Request { method: Method::GET, url, headers, body: Bytes::new() };
        let limit = self.options.timeout;
        let streamed = in_time(limit, &host, self.client.stream(request, limit + PARSED_WITHIN)).await?;
        if !streamed.status.is_success() {
            let status = streamed.status.as_u16();
            return Err(ListFault::Status { host: host(), status, advice: L::advice(status) });
        }
        parsed(streamed, LIST_BYTES_MAX, limit, host).await
    }

    async fn bearer(&self) -> Result<HeaderValue, ListFault> {
        let path = &self.options.token_file;
        let fault = |reason: String| ListFault::Token { path: path.display().to_string(), reason };
        crate::files::bearer(path).await.map_err(fault)
    }
}

/// What comes within this time: an answer's beginning, or the next bytes of it.
async fn in_time<T>(
    limit: Duration,
    host: &impl Fn() -> String,
    coming: impl Future<Output = Result<T, HttpFault>>,
) -> Result<T, HttpFault> {
    let late = |_| Err(HttpFault::Timeout { host: host(), limit });
    tokio::time::timeout(limit, coming).await.unwrap_or_else(late)
}

/// Parses a list while it comes: it is a hundred times as long as what is read of it, and never held whole. What is to come may stall no
/// longer than `limit`.
async fn parsed<L: List>(
    mut streamed: Streamed,
    bytes_max: usize,
    limit: Duration,
    host: impl Fn() -> String,
) -> Result<L, ListFault> {
    let (pieces, waiting) = mpsc::channel(PIECES_MAX);
    let parsing = tokio::task::spawn_blocking(move || L::read(Pieces { waiting, piece: Bytes::new() }));
    let mut length = 0_usize;
    while let Some(piece) = in_time(limit, &host, streamed.chunk()).await? {
        length = length.saturating_add(piece.len());
        if length > bytes_max {
            return Err(HttpFault::TooLarge { host: host(), bytes_max }.into());
        }
        // Nobody takes more of it once it is found to be no list.
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let unreadable = |reason| ListFault::Unreadable { host: host(), reason };
    match parsing.await {
        Ok(list) => list.map_err(unreadable),
        Err(fault) => Err(unreadable(ListError::Form(serde::de::Error::custom(fault)))),
    }
}

/// A body as it comes, for a reader that waits.
struct Pieces {
    waiting: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.waiting.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        if let Some(filled) = buffer.get_mut(..count) {
            self.piece.copy_to_slice(filled);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures::StreamExt as _;
    use http::Response;
    use http_body_util::StreamBody;
    use hyper::body::{Frame, Incoming};
    use lanyard_kit::serve;
    use lanyard_kit::tls::{Authority, ClientCertificates, Names, server_config};
    use serde_json::json;
    use time::OffsetDateTime;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::pods::Directory;
    use crate::pods::tests::item;

    /// Of bytes, by the path that is asked for.
    fn pieces_of(path: &str) -> Vec<Result<Bytes, std::io::Error>> {
        let items: Vec<_> = (0..300)
            .map(|number| {
                let mut item = item(&format!("uid-{number}"), "10.0.0.7");
                item["metadata"]["annotations"] = json!({ "ballast": "x".repeat(1_000) });
                item
            })
            .collect();
        let list = json!({ "kind": "PodList", "items": items }).to_string();
        let whole = list.as_bytes().chunks(7_001).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        match path {
            "/whole" => whole.collect(),
            "/cut" | "/stalled" => whole.take(3).collect(),
            "/broken" => whole.take(3).chain([Err(std::io::Error::other("gone"))]).collect(),
            _ => (0..1_000).map(|_| Ok(Bytes::from_static(b"no list"))).collect(),
        }
    }

    /// A server of such lists.
    struct Kubelet {
        address: SocketAddr,
        authority: Authority,
        folder: tempfile::TempDir,
    }

    impl Kubelet {
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let now = OffsetDateTime::now_utc();
            let authority = Authority::create(&folder.path().join("pki"), "kubelet", now).unwrap();
            let certificate = authority.issue_server(&Names::loopback(), time::Duration::DAY, now).unwrap();
            let tls = server_config(&certificate, ClientCertificates::NotAsked).unwrap();
            let server = serve::Server::bind(serve::Options::loopback(0).with_tls(tls)).await.unwrap();
            let address = server.address();
            let answer = tower::service_fn(|request: http::Request<Incoming>| async move {
                let path = request.uri().path();
                let rest = match path {
                    "/stalled" => futures::stream::pending().boxed(),
                    _ => futures::stream::empty().boxed(),
                };
                let pieces = futures::stream::iter(pieces_of(path)).chain(rest);
                Ok::<_, std::convert::Infallible>(Response::new(StreamBody::new(
                    pieces.map(|piece| piece.map(Frame::data)).boxed(),
                )))
            });
            tokio::spawn(server.run(answer, CancellationToken::new()));
            std::fs::write(folder.path().join("token"), "of-the-agent").unwrap();
            Self { address, authority, folder }
        }

        fn lister<L: List>(&self, path: &str, timeout: Duration) -> Lister<L> {
            Lister::new(ListerOptions {
                url: format!("https://{}{path}", self.address).parse().unwrap(),
                token_file: self.folder.path().join("token"),
                roots: self.authority.roots().unwrap(),
                timeout,
            })
            .unwrap()
        }
    }

    #[tokio::test]
    async fn a_list_is_parsed_as_it_comes_and_one_that_does_not_come_whole_is_none() {
        let kubelet = Kubelet::start().await;
        let lister = |path: &str| kubelet.lister::<Directory>(path, Duration::from_secs(20));

        assert_eq!(lister("/whole").list().await.unwrap().len(), 300);
        for path in ["/cut", "/no-list"] {
            let fault = lister(path).list().await.unwrap_err();
            assert!(
                matches!(fault, ListFault::Unreadable { reason: ListError::Form(_), .. }),
                "{path}: {fault}"
            );
        }
        let fault = lister("/broken").list().await.unwrap_err();
        assert!(matches!(fault, ListFault::Http(HttpFault::Broken { .. })), "{fault}");

        let lister = lister("/whole");
        let (request, limit) = (Request::get(lister.options.url.clone()), lister.options.timeout);
        let streamed = lister.client.stream(request, limit).await.unwrap();
        let host = || "kubelet".to_owned();
        let fault = parsed::<Directory>(streamed, 100_000, limit, host).await.unwrap_err();
        assert!(matches!(fault, ListFault::Http(HttpFault::TooLarge { bytes_max: 100_000, .. })), "{fault}");
    }

    /// In which the others have to answer in the test below.
    const LIMIT: Duration = Duration::from_secs(4);

    /// A list that takes longer to be parsed than it may take to come.
    struct Slow(Directory);

    impl List for Slow {
        const WHAT: &'static str = Directory::WHAT;
        const ACCEPT: &'static str = Directory::ACCEPT;
        const QUESTIONS: &'static str = Directory::QUESTIONS;
        const COUNT: &'static str = Directory::COUNT;

        fn read(body: impl Read) -> Result<Self, ListError> {
            std::thread::sleep(LIMIT + Duration::from_millis(200));
            Directory::read(body).map(Self)
        }

        fn count(&self) -> usize {
            self.0.count()
        }

        fn advice(status: u16) -> &'static str {
            Directory::advice(status)
        }
    }

    #[tokio::test]
    async fn a_list_that_is_parsed_slowly_has_come_in_time_and_one_that_stalls_has_not() {
        let kubelet = Kubelet::start().await;
        let (slow, stalled) =
            (kubelet.lister::<Slow>("/whole", LIMIT), kubelet.lister::<Directory>("/stalled", LIMIT));
        let (slow, stalled) = tokio::join!(slow.list(), stalled.list());
        assert_eq!(slow.map_err(|fault| fault.to_string()).map(|list| list.count()), Ok(300));
        let fault = stalled.unwrap_err();
        assert!(
            matches!(fault, ListFault::Http(HttpFault::Timeout { limit, .. }) if limit == LIMIT),
            "{fault}"
        );
    }
}

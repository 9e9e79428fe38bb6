//! Whether the agent answers: for the kubelet's probes, on the node's loopback address. Each asks every listener for a page that it
//! does not have, and expects to hear so (as the published agent's probes do).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lanyard_kit::Readiness;
use tokio::net::TcpStream;

use super::{Answered, not_found, text};

/// A page that no listener has.
const NO_PAGE: &str = "/probe";
/// Until all listeners have to have answered: below the second that kubelets wait for a probe by default.
const TIMEOUT: Duration = Duration::from_millis(800);

/// The probes of the agent.
#[derive(Debug, Clone)]
pub struct Probe {
    listeners: Arc<[SocketAddr]>,
    readiness: Readiness,
}

impl Probe {
    /// Of these listeners.
    #[must_use]
    pub fn new(listeners: &[SocketAddr], readiness: Readiness) -> Self {
        Self { listeners: listeners.into(), readiness }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Answered {
        match request.uri().path() {
            // While it stops it still answers, and is not to be killed for it.
            "/healthz" => self.asked().await,
            "/readyz" => match self.waiting_for() {
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
                None => self.asked().await,
            },
            _ => not_found(),
        }
    }

    /// Why the agent is not to be counted on, although it may answer.
    fn waiting_for(&self) -> Option<String> {
        let report = self.readiness.report();
        if report.stopping {
            return Some("the agent is on its way out".to_owned());
        }
        let mut waiting = report.parts.into_iter().filter_map(|part| Some((part.name, part.waiting_for?)));
        waiting.next().map(|(name, why)| format!("{name}: {why}"))
    }

    async fn asked(&self) -> Answered {
        let all = async {
            for address in self.listeners.iter() {
                match ask(*address).await {
                    Ok(StatusCode::NOT_FOUND) => {}
                    Ok(status) => return Err(format!("{address} answered {status}")),
                    Err(error) => return Err(format!("{address} did not answer: {error}")),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(TIMEOUT, all).await {
            Ok(Ok(())) => text(StatusCode::OK, "ok"),
            Ok(Err(line)) => text(StatusCode::INTERNAL_SERVER_ERROR, &line),
            Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the listeners did not answer in time"),
        }
    }
}

async fn ask(address: SocketAddr) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request =
        Request::get(NO_PAGE).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let status = sender.send_request(request).await?.status();
    connection.abort();
    Ok(status)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A listener that answers the question of each connection with this, or never.
    async fn listener(answer: Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if let Some(answer) = answer {
                    // Only after a question, or it is none.
                    let _ = stream.read(&mut [0; 1024]).await.unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                open.push(stream);
            }
        });
        address
    }

    /// As the published agent has it: 404 from each is well, 408 where they do not answer in time, 500 for all else.
    #[tokio::test]
    async fn the_status_tells_what_the_listeners_do() {
        let good = listener(Some("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")).await;
        let odd = listener(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
        let no_http = listener(Some("hello\r\n\r\n")).await;
        let silent = listener(None).await;
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let cases: [(&str, &[SocketAddr], StatusCode); 6] = [
            ("none", &[], StatusCode::OK),
            ("as it should be", &[good, good], StatusCode::OK),
            ("another status", &[good, odd], StatusCode::INTERNAL_SERVER_ERROR),
            ("no HTTP", &[no_http], StatusCode::INTERNAL_SERVER_ERROR),
            ("nobody there", &[good, closed], StatusCode::INTERNAL_SERVER_ERROR),
            ("silence", &[good, silent], StatusCode::REQUEST_TIMEOUT),
        ];
        for (what, listeners, expected) in cases {
            let answered = Probe::new(listeners, Readiness::new()).asked().await;
            assert_eq!(answered.status(), expected, "{what}");
        }
    }

    #[test]
    fn an_agent_says_what_it_waits_for_and_that_it_is_on_its_way_out() {
        let readiness = Readiness::new();
        let probe = Probe::new(&[], readiness.clone());
        assert_eq!(probe.waiting_for(), None);
        let (listeners, rules) = (readiness.register("listeners"), readiness.register("packet rules"));
        listeners.ready();
        rules.not_ready("no CAP_NET_ADMIN");
        assert_eq!(probe.waiting_for().as_deref(), Some("packet rules: no CAP_NET_ADMIN"));
        rules.ready();
        assert_eq!(probe.waiting_for(), None);
        readiness.stop();
        assert_eq!(probe.waiting_for().as_deref(), Some("the agent is on its way out"));
    }
}

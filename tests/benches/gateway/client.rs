//! A client that costs as little as it can: one request after the other on one connection, HTTP/1.1 over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The status of an answer that has what was asked for.
const OK: u16 = 200;
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Whom to ask.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Server {
    pub(crate) fn new(address: SocketAddr, roots: &[CertificateDer<'static>]) -> Result<Self> {
        let mut tls = lanyard_kit::tls::client_config(roots, None)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, tls: Arc::new(tls) })
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await?;
        Ok(Connection { stream, buffer: vec![0; ANSWER_BYTES_MAX] })
    }
}

/// An open connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Sends a whole request and gives the body of its answer, which has to be a 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        let (head, read) = self.answered(request).await?;
        let answer = self.buffer.get(..read).unwrap_or_default();
        ensure!(head.status == OK, "{}", String::from_utf8_lossy(answer));
        answer.get(head.length..).context("an answer has a body")
    }

    /// Sends a whole request and gives the status of its answer.
    pub(crate) async fn status_of(&mut self, request: &[u8]) -> Result<u16> {
        Ok(self.answered(request).await?.0.status)
    }

    /// Sends a whole request and reads the whole answer: its head, and how many bytes of the buffer it is.
    async fn answered(&mut self, request: &[u8]) -> Result<(Head, usize)> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut read = 0;
        loop {
            let room = self.buffer.get_mut(read..).unwrap_or_default();
            ensure!(!room.is_empty(), "the answer is longer than {ANSWER_BYTES_MAX} bytes");
            let more = self.stream.read(room).await?;
            ensure!(more > 0, "the server closed the connection in an answer");
            read += more;
            let Some(head) = head(self.buffer.get(..read).unwrap_or_default())? else { continue };
            if read >= head.length + head.body {
                return Ok((head, read));
            }
        }
    }
}

struct Head {
    status: u16,
    /// Up to and with the empty line.
    length: usize,
    /// Of the body that follows.
    body: usize,
}

/// The head, once it is whole.
fn head(answer: &[u8]) -> Result<Option<Head>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = answer.windows(END.len()).position(|window| window == END) else { return Ok(None) };
    let text = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.with_context(|| format!("an answer without a status: {text}"))?.parse()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.with_context(|| format!("an answer without content-length: {text}"))?;
    Ok(Some(Head { status, length: end + END.len(), body: length.trim().parse()? }))
}

/// A `GET` with these headers, as it goes over the wire.
pub(crate) fn get<'n, 'v>(line: &str, headers: impl Iterator<Item = (&'n str, &'v str)>) -> Vec<u8> {
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {line} HTTP/1.1\r\n{headers}\r\n").into_bytes()
}

/// A `POST` of JSON with these headers, as it goes over the wire.
pub(crate) fn post_with<'n, 'v>(
    path: &str,
    headers: impl Iterator<Item = (&'n str, &'v str)>,
    body: &str,
) -> Vec<u8> {
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A `POST` as it goes over the wire.
pub(crate) fn post(path: &str, bearer: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\n\
         accept: application/json\r\nuser-agent: kube-apiserver/v1.35.4\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

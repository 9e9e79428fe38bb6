//! Answers to heads that no service has seen.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::info;
use uuid::Uuid;

use crate::telemetry::names;

/// How hyper begins an answer that it gives by itself: in the version of the last request on the connection that it could read, and in
/// 1.1 before there was one.
const BEGINS: [&str; 2] = ["HTTP/1.1 4", "HTTP/1.0 4"];
/// The headers of such an answer.
const HEADERS: &[&str] = &["connection", "content-length", "date"];
/// The end of a head.
const ENDS: &str = "\r\n\r\n";

/// An HTTP/1 connection on which answers to heads that are no HTTP, or too long, bear a number too, and are told in the log.
///
/// hyper answers those by itself (400, 414, 431) before there is a request to hand on, and has no place to say with what. So the
/// answer is known here by how it is written: a head alone, whole, with hyper's own headers and no other. Only for listeners whose
/// services number all of their answers, and whose bodies hold no line break of HTTP's: what looks like that is hyper's then.
#[derive(Debug)]
pub(super) struct Numbered<IO> {
    io: IO,
    header: Option<HeaderName>,
    peer: SocketAddr,
    instead: Option<Instead>,
}

/// What is written in place of an answer of hyper's.
#[derive(Debug)]
struct Instead {
    /// What of it is still to be written.
    bytes: Bytes,
    /// How many of hyper's bytes it stands for.
    stands_for: usize,
}

impl<IO> Numbered<IO> {
    /// Numbers by a header; without one nothing is changed.
    pub(super) fn by(header: Option<HeaderName>, peer: SocketAddr, io: IO) -> Self {
        Self { io, header, peer, instead: None }
    }

    fn instead_of(&self, bytes: &[u8]) -> Option<Instead> {
        let header = self.header.as_ref()?;
        let (status, id) = (status_of_own(bytes)?, Uuid::new_v4());
        let head = bytes.strip_suffix(ENDS.as_bytes())?;
        let number = format!("\r\n{header}: {id}{ENDS}");
        info!(
            { names::REQUEST_ID } = %id,
            { names::HTTP_STATUS } = status,
            { names::PEER_ADDRESS } = %self.peer,
            "a request is refused by its head, which is no HTTP or too long"
        );
        Some(Instead { bytes: [head, number.as_bytes()].concat().into(), stands_for: bytes.len() })
    }
}

/// The status of what hyper answers by itself; none of any other bytes.
fn status_of_own(bytes: &[u8]) -> Option<u16> {
    if !BEGINS.iter().any(|begins| bytes.starts_with(begins.as_bytes())) {
        return None;
    }
    let mut lines = std::str::from_utf8(bytes).ok()?.strip_suffix(ENDS)?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let is_own = |line: &str| line.split_once(": ").is_some_and(|(name, _)| HEADERS.contains(&name));
    lines.all(is_own).then_some(status)
}

impl<IO: AsyncWrite + Unpin> Numbered<IO> {
    /// Writes what stands in place of these bytes: how many of them that is, once it is all written; none where they go as they are.
    fn poll_instead(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<Option<usize>>> {
        if self.instead.is_none() {
            self.instead = self.instead_of(bytes);
        }
        let Some(instead) = &mut self.instead else { return Poll::Ready(Ok(None)) };
        while instead.bytes.has_remaining() {
            match ready!(Pin::new(&mut self.io).poll_write(context, &instead.bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => instead.bytes.advance(written),
            }
        }
        let stands_for = instead.stands_for;
        self.instead = None;
        Poll::Ready(Ok(Some(stands_for)))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Numbered<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Numbered<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_instead(context, bytes))? {
            Some(written) => Poll::Ready(Ok(written)),
            None => Pin::new(&mut self.io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            // An answer of hyper's has no body behind it.
            [head] => self.poll_write(context, head),
            _ => Pin::new(&mut self.io).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[u8] =
        b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
                         date: Sun, 29 Nov 2026 19:46:50 GMT\r\n\r\n";

    #[test]
    fn hypers_own_answers_are_known_and_no_others() {
        assert_eq!(status_of_own(OWN), Some(431));
        assert_eq!(status_of_own(b"HTTP/1.0 400 Bad Request\r\ncontent-length: 0\r\n\r\n"), Some(400));
        let others: [&[u8]; 10] = [
            b"",
            b"HTTP/1.1 4",
            &OWN[..OWN.len() - 1],
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-amzn-requestid: 1\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\na\r\n\r\n",
            b"{\"message\":\"HTTP/1.1 400 Bad Request\"}",
            b"HTTP/1.1 4\xff\r\n\r\n",
        ];
        for other in others {
            assert_eq!(status_of_own(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[tokio::test]
    async fn an_answer_of_hypers_is_written_with_a_number_whatever_is_taken_at_once() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        // A pipe that takes a few bytes at a time.
        for room in [1, 7, 4096] {
            let (theirs, mut ours) = tokio::io::duplex(room);
            let header = HeaderName::from_static("x-number");
            let mut io = Numbered::by(Some(header), SocketAddr::from(([127, 0, 0, 1], 1)), theirs);
            let writing = tokio::spawn(async move {
                io.write_all(b"{}").await.unwrap();
                io.write_all(OWN).await.unwrap();
            });
            let mut told = String::new();
            ours.read_to_string(&mut told).await.unwrap();
            writing.await.unwrap();
            let own = String::from_utf8_lossy(&OWN[..OWN.len() - 2]);
            let (before, number) = told.rsplit_once("x-number: ").unwrap();
            assert_eq!(before, format!("{{}}{own}"), "{room}");
            assert!(Uuid::try_parse(number.strip_suffix(ENDS).unwrap()).is_ok(), "{number}");
        }
    }
}

//! The load: one request after the other on each of a number of connections, over plain HTTP as pods speak it.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::Usage;
use crate::turn::{Measured, Phase, Plan, during};

/// Longest answer, head and body.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Each question once: a pod's first.
pub(crate) async fn ask_all(address: SocketAddr, questions: &[Vec<u8>]) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    for question in questions {
        connection.ask(question).await?;
    }
    Ok(())
}

/// One turn of so many connections at one process, over all questions.
pub(crate) async fn turn(
    address: SocketAddr,
    process: Usage,
    questions: &[Vec<u8>],
    connections: usize,
    plan: Plan,
) -> Result<Measured> {
    let phase = &Phase::default();
    let asking = (0..connections).map(|number| async move {
        let mut connection = Connection::open(address).await?;
        let mut nanoseconds = Vec::with_capacity(100_000);
        for question in questions.iter().cycle().skip(number * questions.len() / connections) {
            if phase.is_over() {
                break;
            }
            let begun = Instant::now();
            connection.ask(question).await?;
            phase.count(begun, &mut nanoseconds);
        }
        Ok(nanoseconds)
    });
    during(phase, plan, &[process], asking).await
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER_BYTES_MAX] })
    }

    /// Sends a request and reads its whole answer, which has to be a 200.
    async fn ask(&mut self, question: &[u8]) -> Result<()> {
        self.stream.write_all(question).await?;
        let mut read = 0;
        loop {
            let more = self.stream.read(self.buffer.get_mut(read..).unwrap_or_default()).await?;
            ensure!(more > 0, "the answer broke off");
            read += more;
            let came = self.buffer.get(..read).unwrap_or_default();
            let Some(head) = came.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(came.get(..head).unwrap_or_default())?.to_ascii_lowercase();
            ensure!(text.starts_with("http/1.1 200 "), "the answer is {}", String::from_utf8_lossy(came));
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.context("an answer has a length")?.trim().parse()?;
            if read >= head + 4 + length {
                return Ok(());
            }
        }
    }
}

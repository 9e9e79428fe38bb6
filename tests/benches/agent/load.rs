//! The load: one request after the other on each of a number of connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer, head and body.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Before a turn counts.
const WARM_UP: Duration = Duration::from_millis(200);

/// What turns showed.
#[derive(Default)]
pub(crate) struct Measured {
    seconds: f64,
    pub(crate) cpu_seconds: f64,
    nanoseconds: Vec<u64>,
    /// Answers while it warmed up, which cost processor time too.
    warm: usize,
}

impl Measured {
    pub(crate) fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.cpu_seconds += other.cpu_seconds;
        self.warm += other.warm;
        self.nanoseconds.extend(other.nanoseconds);
        self.nanoseconds.sort_unstable();
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.nanoseconds.len() as f64 / self.seconds
    }

    pub(crate) fn cpu_microseconds(&self) -> f64 {
        self.cpu_seconds * 1e6 / (self.nanoseconds.len() + self.warm) as f64
    }

    pub(crate) fn percentile_milliseconds(&self, percent: usize) -> f64 {
        let place = self.nanoseconds.len() * percent / 100;
        self.nanoseconds.get(place).copied().unwrap_or_default() as f64 / 1e6
    }
}

/// Each question once: a pod's first.
pub(crate) async fn ask_all(address: SocketAddr, questions: &[Vec<u8>]) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    for question in questions {
        connection.ask(question).await?;
    }
    Ok(())
}

/// So many connections for so long, over all questions.
pub(crate) async fn turn(
    address: SocketAddr,
    questions: &[Vec<u8>],
    connections: usize,
    length: Duration,
) -> Result<Measured> {
    let begun = Instant::now();
    let (counted, end) = (begun + WARM_UP, begun + WARM_UP + length);
    let each = (0..connections).map(|number| async move {
        let mut connection = Connection::open(address).await?;
        let (mut nanoseconds, mut warm) = (Vec::new(), 0);
        for question in questions.iter().cycle().skip(number * questions.len() / connections) {
            let asked = Instant::now();
            if asked >= end {
                break;
            }
            connection.ask(question).await?;
            match asked >= counted {
                true => nanoseconds.push(u64::try_from(asked.elapsed().as_nanos())?),
                false => warm += 1,
            }
        }
        anyhow::Ok((nanoseconds, warm))
    });
    let mut measured = Measured { seconds: length.as_secs_f64(), ..Measured::default() };
    for (nanoseconds, warm) in try_join_all(each).await? {
        measured.nanoseconds.extend(nanoseconds);
        measured.warm += warm;
    }
    Ok(measured)
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

//! What no call can be cheaper than: its bytes there and back over TLS, and nothing else. Of a call that travels by itself once with both
//! ends in one process, which never sleeps; and once in two, each of which sleeps while the other works, as any two services do.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use lanyard_kit::tls::{Authority, CertificateDer, ClientCertificates, Names, client_config, server_config};
use rustls_pki_types::ServerName;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::hop::GROUP;
use crate::figure::say;
use crate::process::{self, Process, Usage};
use crate::turn::{Phase, Plan, during};

/// The first argument by which this program becomes the other end.
pub(crate) const ROLE: &str = "tls-echo";
/// The name of its authority.
const AUTHORITY: &str = "bench";
/// About what a call that asks nothing, and its answer, have.
const LITTLE: Sizes = Sizes { asked: 100, answered: 100 };

/// How many bytes go there, and back.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) asked: usize,
    pub(super) answered: usize,
}

/// Measures what a call that travels by itself has.
pub(super) async fn measure(plan: Plan) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let near = folder.path().join("near");
    let (listener, acceptor) = listen(&near).await?;
    let address = listener.local_addr()?;
    let answering = tokio::spawn(answer(listener, acceptor));
    let cpu = asked(address, &roots(&near)?, &[Usage::own()], LITTLE, plan).await?;
    answering.abort();
    say(GROUP, "TLS alone, 1 at once: CPU of both", cpu, "µs", None);
    let cpu = between_processes(LITTLE, plan).await?;
    say(GROUP, "TLS alone, between two processes, 1 at once: CPU of both", cpu, "µs", None);
    Ok(())
}

/// The processor time of two processes for an exchange of so many bytes, in microseconds.
pub(super) async fn between_processes(sizes: Sizes, plan: Plan) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let far = folder.path().join("far");
    let mut command = process::server(&std::env::current_exe()?, plan.placement);
    let mut other = Process::spawn("the other end", command.arg(ROLE).arg(&far).stdout(Stdio::piped()))?;
    let output = other.child.stdout.take().context("a piped command has an output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let address = line.trim().parse().with_context(|| format!("the other end says `{}`", line.trim()))?;
    asked(address, &roots(&far)?, &[Usage::own(), other.usage()], sizes, plan).await
}

/// Is the other end, until it is killed. Its runtime is a service's that has one thread, as on half of two cores.
pub(crate) fn run(folder: &Path) -> Result<()> {
    lanyard_kit::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let (listener, acceptor) = listen(folder).await?;
        println!("{}", listener.local_addr()?);
        tokio::spawn(answer(listener, acceptor)).await??;
        Ok(())
    })
}

fn roots(folder: &Path) -> Result<Vec<CertificateDer<'static>>> {
    Ok(Authority::load(folder, AUTHORITY)?.roots()?)
}

async fn listen(folder: &Path) -> Result<(TcpListener, TlsAcceptor)> {
    let now = OffsetDateTime::now_utc();
    let certificate =
        Authority::create(folder, AUTHORITY, now)?.issue_server(&Names::loopback(), Duration::DAY, now)?;
    let acceptor = TlsAcceptor::from(server_config(&certificate, ClientCertificates::NotAsked)?);
    Ok((TcpListener::bind("127.0.0.1:0").await?, acceptor))
}

/// The processor time for one exchange in all of these processes, in microseconds.
async fn asked(
    address: SocketAddr,
    roots: &[CertificateDer<'static>],
    processes: &[Usage],
    sizes: Sizes,
    plan: Plan,
) -> Result<f64> {
    let connector = TlsConnector::from(Arc::new(client_config(roots, None)?));
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = connector.connect(ServerName::IpAddress(address.ip().into()), stream).await?;
    let phase = &Phase::default();
    Ok(during(phase, plan, processes, std::iter::once(ask(stream, sizes, phase))).await?.cpu_microseconds())
}

/// Each question begins with how long it is, and how long its answer is to be.
async fn ask(mut stream: client::TlsStream<TcpStream>, sizes: Sizes, phase: &Phase) -> Result<Vec<u32>> {
    let (mut nanoseconds, mut question, mut answer) = (Vec::new(), Vec::new(), vec![0; sizes.answered]);
    question.write_u64(sizes.asked as u64).await?;
    question.write_u64(sizes.answered as u64).await?;
    question.resize(question.len() + sizes.asked, 0);
    while !phase.is_over() {
        let begun = Instant::now();
        stream.write_all(&question).await?;
        stream.flush().await?;
        stream.read_exact(&mut answer).await?;
        phase.count(begun, &mut nanoseconds);
    }
    Ok(nanoseconds)
}

/// Answers the first who connects, until they send no more.
async fn answer(listener: TcpListener, acceptor: TlsAcceptor) -> Result<()> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut stream: server::TlsStream<TcpStream> = acceptor.accept(stream).await?;
    let (mut question, mut answer) = (Vec::new(), Vec::new());
    loop {
        question.resize(usize::try_from(stream.read_u64().await?)?, 0);
        answer.resize(usize::try_from(stream.read_u64().await?)?, 0);
        stream.read_exact(&mut question).await?;
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
}

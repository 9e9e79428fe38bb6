//! The gRPC hop alone: a call that asks nothing, from client to server and back, through all their layers.
//!
//! It is an `AuthorizeBatch` of no reviews: encoded, sent over mTLS to the replica with the fewest calls under way, admitted by
//! the caller's certificate, decoded, answered. Calls that wait at the same time travel together, as the gateway's do.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use lanyard_api::authz::Authorize as _;
use lanyard_kit::tls::{Authority, ClientCertificates, Names, client_config, server_config};
use rustls_pki_types::ServerName;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::Scale;
use super::reviews::HOP_CPU_MOST;
use super::running::{Service, Stack};
use crate::figure::{say, say_under};
use crate::process::Usage;
use crate::turn::{CONNECTIONS, Phase, Plan, during};

/// The figures' table.
const GROUP: &str = "The gRPC hop alone, over mTLS";
/// About what such a call, or its answer, has.
const BYTES: usize = 100;

/// Measures it.
pub(super) async fn measure(stack: &Stack, scale: Scale) -> Result<()> {
    let authz = stack.replica("authz", 0)?;
    let processes = [Usage::own(), stack.usage("authz", 0)?];
    for at_once in CONNECTIONS {
        let phase = &Phase::default();
        let workers = (0..at_once).map(|_| call(&authz, phase));
        let mut measured = during(phase, scale.plan, &processes, workers).await?;
        let named = |name: &str| format!("{at_once} at once: {name}");
        let plain = |name: &str, value, unit| say(GROUP, &named(name), value, unit, None);
        plain("calls a second", measured.per_second(), "/s");
        for (name, cpu) in
            ["CPU of the caller", "CPU of the called"].iter().zip(measured.cpu_microseconds_each())
        {
            plain(name, cpu, "µs");
        }
        say_under(GROUP, &named("CPU of both"), measured.cpu_microseconds(), "µs", HOP_CPU_MOST);
        plain("p50", measured.percentile_microseconds(50), "µs");
        plain("p99", measured.percentile_microseconds(99), "µs");
    }
    tls_alone(scale.plan).await
}

/// What no call that travels by itself can be cheaper than: its bytes there and back over TLS, and nothing else. Both ends are in this
/// process.
async fn tls_alone(plan: Plan) -> Result<()> {
    let (folder, now) = (tempfile::tempdir()?, OffsetDateTime::now_utc());
    let authority = Authority::create(&folder.path().join("pki"), "bench", now)?;
    let certificate = authority.issue_server(&Names::loopback(), Duration::DAY, now)?;
    let acceptor = TlsAcceptor::from(server_config(&certificate, ClientCertificates::NotAsked)?);
    let connector = TlsConnector::from(Arc::new(client_config(&authority.roots()?, None)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let asking = TcpStream::connect(address).await?;
    let (answering, _) = listener.accept().await?;
    asking.set_nodelay(true)?;
    answering.set_nodelay(true)?;
    let name = ServerName::IpAddress(address.ip().into());
    let (asking, answering) = tokio::try_join!(connector.connect(name, asking), acceptor.accept(answering))?;
    let answering = tokio::spawn(answer(answering));
    let phase = &Phase::default();
    let measured = during(phase, plan, &[Usage::own()], std::iter::once(ask(asking, phase))).await?;
    answering.abort();
    say(GROUP, "TLS alone, 1 at once: CPU of both", measured.cpu_microseconds(), "µs", None);
    Ok(())
}

async fn ask(mut stream: client::TlsStream<TcpStream>, phase: &Phase) -> Result<Vec<u32>> {
    let (mut nanoseconds, mut bytes) = (Vec::new(), [0; BYTES]);
    while !phase.is_over() {
        let begun = Instant::now();
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        stream.read_exact(&mut bytes).await?;
        phase.count(begun, &mut nanoseconds);
    }
    Ok(nanoseconds)
}

/// Gives back what it is sent, until it is sent no more.
async fn answer(mut stream: server::TlsStream<TcpStream>) -> std::io::Result<()> {
    let mut bytes = [0; BYTES];
    loop {
        stream.read_exact(&mut bytes).await?;
        stream.write_all(&bytes).await?;
        stream.flush().await?;
    }
}

async fn call(authz: &Service, phase: &Phase) -> Result<Vec<u32>> {
    let mut nanoseconds = Vec::new();
    while !phase.is_over() {
        let begun = Instant::now();
        let decisions = authz.authorize_batch(Vec::new()).await?;
        phase.count(begun, &mut nanoseconds);
        ensure!(decisions.is_empty(), "nothing was asked, and decided are {}", decisions.len());
    }
    Ok(nanoseconds)
}

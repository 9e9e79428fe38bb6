//! The node agent as pods see it: the program itself, with credentials of 250 pods kept, beside an empty echo on the same HTTP stack.
//!
//! Kubelet and endpoint are stand-ins of this process, used once to fill the agent and then left alone. Server and load have a core each
//! where the machine has two; every answer is looked at. `LANYARD_TEST_AGENT` names the program; else it is `LANYARD_BIN run agent`.
#![allow(clippy::print_stdout, reason = "a benchmark says its figures on standard output")]

#[path = "../gateway/figure.rs"]
mod figure;
mod load;
#[path = "../gateway/process.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod process;
mod standins;
#[path = "../gateway/turn.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod turn;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lanyard_kit::serve;
use tokio_util::sync::CancellationToken;

use crate::figure::{say, say_under};
use crate::load::{ask_all, turn};
use crate::process::{Placement, Process};
use crate::turn::{CONNECTIONS, Measured, Plan};

/// Pods whose credentials are kept: the goal's number, twice Kubernetes' own limit of a node.
const PODS: usize = 250;
/// The first argument by which this program becomes the echo.
const ECHO: &str = "echo";
/// How long the agent may take to be ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// What an SDK reads of an answer; the echo has as much.
const BODY_BYTES: usize = 1_300;

fn main() -> ExitCode {
    // Cargo adds flags of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let outcome = if words.first().is_some_and(|word| word == ECHO) { echo() } else { bench() };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("agent bench: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// An answer as long as the agent's, to whatever comes.
fn echo() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let server = serve::Server::bind(serve::Options::loopback(0)).await?;
        println!("{}", server.address());
        let body = "x".repeat(BODY_BYTES);
        let router = axum::Router::new().fallback(move || std::future::ready(body.clone()));
        server.run(router, CancellationToken::new()).await;
        Ok(())
    })
}

fn bench() -> Result<()> {
    lanyard_kit::tls::install_provider();
    process::pin_self();
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(folder.path()))
}

async fn measure(folder: &Path) -> Result<()> {
    let standins = standins::start(folder, PODS).await?;
    let mut agent = start_agent(folder, &standins)?;
    let about = agent.ready(&folder.join("ready.json"), READY_MAX).await?;
    let url = about
        .pointer("/credentials/0")
        .and_then(serde_json::Value::as_str)
        .and_then(|url| url.strip_prefix("http://"));
    let address: SocketAddr = url.context("the agent does not say where it listens")?.parse()?;
    let questions = standins.questions(address);
    ask_all(address, &questions).await?;
    let (echo, echo_address) = start_echo()?;
    let plan = Plan::apart();
    for connections in CONNECTIONS {
        let (mut ours, mut echoed) = (Measured::of(1), Measured::of(1));
        for _ in 0..plan.turns {
            ours.add(turn(address, agent.usage(), &questions, connections, plan).await?);
            echoed.add(turn(echo_address, echo.usage(), &questions, connections, plan).await?);
        }
        let group = format!("Node agent, cache hits at {PODS} pods, {connections} connections");
        let ratio = ours.per_second() / echoed.per_second();
        say(&group, "answers", ours.per_second(), "/s", None);
        say(&group, "ratio to the empty echo", ratio, "", Some("at least 0.7"));
        say_under(&group, "CPU for each answer", ours.cpu_microseconds(), "µs", 20.0);
        say(&group, "the echo's", echoed.cpu_microseconds(), "µs", None);
        let milliseconds = ours.percentile_microseconds(50) / 1e3;
        match connections {
            1 => say_under(&group, "p50", milliseconds, "ms", 0.08),
            _ => say(&group, "p50", milliseconds, "ms", None),
        }
        say(&group, "p99", ours.percentile_microseconds(99) / 1e3, "ms", None);
    }
    let resident = agent.usage().resident_megabytes()?;
    say_under("Node agent", &format!("resident memory at {PODS} pods"), resident, "MB", 10.0);
    drop(echo);
    agent.stop().await
}

fn start_agent(folder: &Path, standins: &standins::Standins) -> Result<Process> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (program, words): (PathBuf, &[&str]) = match (of("LANYARD_TEST_AGENT"), of("LANYARD_BIN")) {
        (Some(program), _) => (program, &["server"]),
        (None, Some(program)) => (program, &["run", "agent", "server"]),
        (None, None) => anyhow::bail!("LANYARD_TEST_AGENT or LANYARD_BIN has to name a program"),
    };
    let mut command = process::server(&program, Placement::Apart);
    command.args(words).args([
        "--cluster-name",
        "bench",
        "--region",
        "eu-west-1",
        "--bind-hosts",
        "127.0.0.1",
    ]);
    command.args([
        "--port",
        "0",
        "--probe-port",
        "0",
        "--metrics-address",
        "127.0.0.1",
        "--metrics-port",
        "0",
    ]);
    command.arg("--config").arg(folder.join("agent.toml")).arg("--ready-file").arg(folder.join("ready.json"));
    command.args(["--endpoint", &standins.endpoint, "--kubelet-url", &standins.kubelet]);
    for (flag, file) in
        [("--endpoint-ca", "ca.pem"), ("--kubelet-ca", "ca.pem"), ("--kubelet-token-file", "token")]
    {
        command.arg(flag).arg(folder.join(file));
    }
    process::without_settings(&mut command);
    command.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE01").env("AWS_SECRET_ACCESS_KEY", "of-the-node");
    Process::spawn("the agent", &mut command)
}

fn start_echo() -> Result<(Process, SocketAddr)> {
    let mut command: Command = process::server(&std::env::current_exe()?, Placement::Apart);
    let mut process = Process::spawn("the echo", command.arg(ECHO).stdout(Stdio::piped()))?;
    let output = process.child.stdout.take().context("a piped command has an output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let address = line.trim().parse().with_context(|| format!("the echo says `{}`", line.trim()))?;
    Ok((process, address))
}

//! The node agent as pods see it: the program itself, with credentials of 250 pods kept, beside an empty echo on the same HTTP stack; and
//! how long after its start it answers a pod.
//!
//! Kubelet, hub and endpoint are stand-ins of this process; they fill the agent and are then left alone, but for the starts. Server and load have a core each
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
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lanyard_kit::serve;
use tokio_util::sync::CancellationToken;

use crate::figure::{say, say_at_least, say_under};
use crate::load::{ask_all, turn};
use crate::process::{Placement, Process};
use crate::standins::question;
use crate::turn::{CONNECTIONS, Measured, Plan, is_small, percentile_microseconds};

/// Pods whose credentials are kept: the goal's number, twice Kubernetes' own limit of a node.
const PODS: usize = 250;
/// The first argument by which this program becomes the echo.
const ECHO: &str = "echo";
/// How long the agent may take to be ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// What an SDK reads of an answer; the echo has as much.
const BODY_BYTES: usize = 1_300;
/// How long after the agent's start a pod has its credentials at the latest, in milliseconds: the goal.
const FIRST_ANSWER_MAX: f64 = 50.0;

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

/// Where credentials come from.
#[derive(Clone, Copy)]
enum Source {
    Hub,
    EksAuth,
}

async fn measure(folder: &Path) -> Result<()> {
    let standins = standins::start(folder, PODS).await?;
    let (agent, address) = listening_agent(folder, &standins, Source::EksAuth).await?;
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
        say_at_least(&group, "ratio to the empty echo", ratio, "", 0.7);
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
    agent.stop().await?;
    first_answers(folder, &standins).await
}

/// From the start of the program until a pod has its credentials: of a node whose agent was replaced, on which kubelet and hub are up.
async fn first_answers(folder: &Path, standins: &standins::Standins) -> Result<()> {
    let group = format!("Node agent, from its start to a pod's first answer, {PODS} pods on the node");
    let starts = if is_small() { 2 } else { 20 };
    for (source, name) in [(Source::Hub, "a hub"), (Source::EksAuth, "an EKS Auth endpoint")] {
        let mut nanoseconds = Vec::new();
        for number in 0..=starts {
            let begun = Instant::now();
            let (agent, address) = listening_agent(folder, standins, source).await?;
            ask_all(address, &[question(address, number % PODS)]).await?;
            let took = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
            // Killed: how it ends is another matter.
            drop(agent);
            // The first brings the program into the machine's memory, where the next ones find it.
            if number > 0 {
                nanoseconds.push(took);
            }
        }
        let milliseconds = percentile_microseconds(&mut nanoseconds, 50) / 1e3;
        say_under(&group, &format!("from {name}, p50"), milliseconds, "ms", FIRST_ANSWER_MAX);
        let longest = nanoseconds.iter().max().copied().unwrap_or_default();
        say(&group, &format!("from {name}, the longest of {starts}"), f64::from(longest) / 1e6, "ms", None);
    }
    Ok(())
}

/// An agent that was started just now, and where it answers.
async fn listening_agent(
    folder: &Path,
    standins: &standins::Standins,
    source: Source,
) -> Result<(Process, SocketAddr)> {
    let ready = folder.join("ready.json");
    // The one before has left its own there.
    if ready.exists() {
        std::fs::remove_file(&ready)?;
    }
    let mut agent = start_agent(folder, standins, source)?;
    let about = agent.ready(&ready, READY_MAX).await?;
    let url = about
        .pointer("/credentials/0")
        .and_then(serde_json::Value::as_str)
        .and_then(|url| url.strip_prefix("http://"));
    let address: SocketAddr = url.context("the agent does not say where it listens")?.parse()?;
    Ok((agent, address))
}

fn start_agent(folder: &Path, standins: &standins::Standins, source: Source) -> Result<Process> {
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
    command.args(["--kubelet-url", &standins.kubelet]);
    let files: &[(&str, &str)] = match source {
        Source::Hub => {
            command.args(["--hub", &standins.hub]);
            &[("--hub-ca", "ca.pem"), ("--token-file", "token")]
        }
        Source::EksAuth => {
            command.args(["--endpoint", &standins.endpoint]);
            &[("--endpoint-ca", "ca.pem")]
        }
    };
    for (flag, file) in [("--kubelet-ca", "ca.pem"), ("--kubelet-token-file", "token")].iter().chain(files) {
        command.arg(flag).arg(folder.join(file));
    }
    process::without_settings(&mut command);
    // As the image has it.
    command.env("GLIBC_TUNABLES", "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=4000");
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

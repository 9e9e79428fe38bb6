//! Other processes: where they run, what they use, how they end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Clock ticks of `/proc` in a second: what Linux tells all programs, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often a process is looked after.
const POLL: Duration = Duration::from_millis(1);
/// How long one may take to stop: a stack stops its processes one service after the other.
const STOP_WAIT: Duration = Duration::from_secs(120);
/// The core of what is measured.
const SERVER_CORE: &str = "0";
/// The core of what measures.
const LOAD_CORE: &str = "1";

/// Who has which core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// What is measured has one core, what measures has another, where the machine has two.
    Apart,
    /// All share all of them.
    Shared,
}

/// A running server; killed when this is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// What it is called where it fails.
    name: &'static str,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server's command; apart it is on a core of its own, where there are two and `taskset` is there to say so.
pub(crate) fn server(program: &Path, placement: Placement) -> Command {
    let mut command = match placement == Placement::Apart && can_pin() {
        true => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", SERVER_CORE]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.stdin(Stdio::null());
    command
}

/// With nothing of this process's own settings.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LANYARD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Puts this process, and the threads that it starts from here on, on the load's core.
pub(crate) fn pin_self() {
    if can_pin() {
        let pid = std::process::id().to_string();
        let pinned = Command::new("taskset")
            .args(["--pid", "--cpu-list", LOAD_CORE, &pid])
            .stdout(Stdio::null())
            .status();
        println!(
            "server on core {SERVER_CORE}, load on core {LOAD_CORE}: {}",
            pinned.is_ok_and(|status| status.success())
        );
    } else {
        println!("server and load share the cores: there is only one, or no taskset");
    }
}

fn can_pin() -> bool {
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cores.lines().filter(|line| line.starts_with("processor")).count();
    let taskset = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    cores >= 2 && taskset.is_ok_and(|status| status.success())
}

impl Process {
    pub(crate) fn spawn(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    /// Waits for the file that it writes once it answers, and gives what is in it.
    pub(crate) async fn ready(&mut self, file: &Path, wait_max: Duration) -> Result<Value> {
        let begun = Instant::now();
        while !file.exists() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
            ensure!(begun.elapsed() < wait_max, "{} was not ready within {wait_max:?}", self.name);
            tokio::time::sleep(POLL).await;
        }
        loop {
            // Written in one go, but not always renamed into place: half of it is no JSON yet.
            match serde_json::from_slice(&std::fs::read(file)?) {
                Ok(said) => return Ok(said),
                Err(fault) => ensure!(begun.elapsed() < wait_max, "`{}`: {fault}", file.display()),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status()?;
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{} stopped with {status}", self.name);
                return Ok(());
            }
            ensure!(begun.elapsed() < STOP_WAIT, "{} did not stop within {STOP_WAIT:?}", self.name);
            tokio::time::sleep(POLL).await;
        }
    }

    /// What it uses.
    pub(crate) fn usage(&self) -> Usage {
        Usage { pid: self.child.id() }
    }
}

/// What a process uses, whoever started it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) pid: u32,
}

impl Usage {
    /// Of this very process.
    pub(crate) fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// Seconds of processor time since it began, in itself and in the kernel for it.
    pub(crate) fn cpu_seconds(self) -> Result<f64> {
        cpu_seconds(&self.proc("stat"))
    }

    /// What of its memory is in the machine's.
    pub(crate) fn resident_megabytes(self) -> Result<f64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }

    fn proc(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid))
    }
}

fn cpu_seconds(stat: &Path) -> Result<f64> {
    let stat = std::fs::read_to_string(stat)?;
    // After the name, which may hold blanks: the state is field 3, user and system time are 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("no process name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks = ticks.collect::<Result<Vec<_>, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

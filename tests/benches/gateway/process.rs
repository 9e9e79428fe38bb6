//! Other processes: where they run, what they use, how they end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Clock ticks of `/proc` in a second: what Linux tells all programs, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;
/// The core of what is measured.
const SERVER_CORE: &str = "0";
/// The core of what measures.
const LOAD_CORE: &str = "1";

/// A running server; killed when this is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server's command, on a core of its own where there are two and `taskset` is there to say so.
pub(crate) fn server(program: &Path) -> Command {
    let mut command = match can_pin() {
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
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let name = command.get_args().last().unwrap_or(OsStr::new("")).to_owned();
        let child = command.spawn().with_context(|| format!("cannot start … {}", name.display()))?;
        Ok(Self { child })
    }

    /// Seconds of processor time since it began, in itself and in the kernel for it.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(&self.proc("stat"))
    }

    /// What of its memory is in the machine's.
    pub(crate) fn resident_megabytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
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

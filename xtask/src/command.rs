//! Running one command of a stage: what it says is passed on and looked through.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::watchdog::Watchdog;

thread_local! {
    /// The stage that this thread runs beside others, whose lines come between its own.
    static STAGE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// From now on, each line of this thread begins with the name of its stage.
pub(crate) fn speak_as(stage: &'static str) {
    STAGE.set(Some(stage));
}

/// A line for whoever watches; who reads a log wants it now.
pub(crate) fn say(line: &str) {
    match STAGE.get() {
        Some(stage) => println!("{stage} | {line}"),
        None => println!("{line}"),
    }
    let _ = std::io::stdout().flush();
}

/// What a command said on standard output, and how it ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
}

/// Runs a command to its end. Its standard error is passed on as it is; its standard output line by line, but for the
/// lines that `hide` names.
pub(crate) fn run(watchdog: &Watchdog, command: &mut Command, hide: fn(&str) -> bool) -> Result<Finished> {
    let mut running = watchdog.spawn(command.stdout(Stdio::piped()))?;
    let output = running.child.stdout.take().context("a piped command has an output")?;
    let mut lines = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("cannot read what the command says")?).into_owned();
        if !hide(&line) {
            say(&line);
        }
        lines.push(line);
    }
    let status = running.child.wait().context("cannot wait for the command")?;
    Ok(Finished { status, lines })
}

/// Hides nothing.
pub(crate) fn show_all(_: &str) -> bool {
    false
}

/// Runs a short command for its output alone; none when it cannot be run or fails.
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

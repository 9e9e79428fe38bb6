//! The protos, held against buf's rules and against what consumers already have.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{run, show_all};
use crate::tally::Tally;
use crate::watchdog::Watchdog;

/// The protos as consumers have them: those of the last release, before the first one those that were last agreed on.
const BASELINE: &str = "baseline.binpb";

/// Runs buf's checks; each is one test.
pub(crate) fn check(watchdog: &Watchdog, buf: &Path, root: &Path) -> Result<Tally> {
    let folder = root.join("proto");
    let mut tally = Tally::default();
    for arguments in [vec!["lint"], vec!["breaking", "--against", BASELINE]] {
        println!("buf {}", arguments.join(" "));
        let mut command = Command::new(buf);
        let finished = run(watchdog, command.args(&arguments).current_dir(&folder), show_all)?;
        if finished.status.success() {
            tally += Tally::PASSED;
        } else {
            tally += Tally::FAILED;
            println!("{}", advice(&arguments));
        }
    }
    Ok(tally)
}

fn advice(arguments: &[&str]) -> &'static str {
    match arguments {
        ["lint", ..] => "proto/buf.yaml has the rules, and the reason for each exception",
        _ => {
            "consumers would have to change: give what is new another number and name. CONTRIBUTING.md, \"Change a proto\", says \
             what to do where the break is meant"
        }
    }
}

/// Where buf is in a folder that npm has installed it into.
pub(crate) fn program_below(folder: &Path) -> PathBuf {
    folder.join("node_modules/.bin/buf")
}

//! One process of the stack.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::POLL;
use crate::watchdog::{Guarded, Watchdog};

/// How long a process may take to be ready, on a machine that has other things to do.
pub(super) const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to stop: a little more than it gives itself.
const STOP_MAX: Duration = Duration::from_secs(40);
/// How much of a log is shown of one that ended.
const LAST_WORDS: usize = 3000;

pub(super) struct Process<'a> {
    /// Its service and number.
    pub(super) name: String,
    running: Guarded<'a>,
    log: PathBuf,
}

impl<'a> Process<'a> {
    /// Starts it; what it says goes into the log, after what was there.
    pub(super) fn start(
        watchdog: &'a Watchdog,
        command: &mut Command,
        name: String,
        log: PathBuf,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write `{}`", log.display()))?;
        let running = watchdog.spawn(command.stdout(file.try_clone()?).stderr(file))?;
        Ok(Self { name, running, log })
    }

    /// Whose replica it is.
    pub(super) fn service(&self) -> &str {
        self.name.rsplit_once('-').map_or(&self.name, |(service, _)| service)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.running.child.try_wait()?)
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let last = said.len().saturating_sub(LAST_WORDS);
        String::from_utf8_lossy(said.get(last..).unwrap_or_default()).into_owned()
    }

    pub(super) fn ask_to_stop(&self) {
        self.running.signal("TERM");
    }

    /// Waits until it has stopped, which has to be well.
    pub(super) fn wait(mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                ensure!(status.success(), "{} stopped with {status}:\n{}", self.name, self.last_words());
                return Ok(());
            }
            if begun.elapsed() > STOP_MAX {
                bail!("{} did not stop within {STOP_MAX:?}:\n{}", self.name, self.last_words());
            }
            sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_asked_to_stop_and_says_how_it_did() {
        let (watchdog, folder) = (Watchdog::start().unwrap(), tempfile::tempdir().unwrap());
        let start = |name: &str, script: &str| {
            let log = folder.path().join(name);
            let mut command = Command::new("sh");
            Process::start(&watchdog, command.args(["-c", script]), format!("{name}-0"), log).unwrap()
        };
        let until_it_speaks = |process: &Process<'_>| {
            let begun = Instant::now();
            while process.last_words().is_empty() {
                assert!(begun.elapsed() < START_MAX, "{} says nothing", process.name);
                sleep(POLL);
            }
        };
        let loops = "echo here; while :; do sleep 0.05; done";
        let mut good = start("good", &format!("trap 'exit 0' TERM; {loops}"));
        let bad = start("bad", &format!("trap 'echo bad words; exit 3' TERM; {loops}"));
        for process in [&good, &bad] {
            until_it_speaks(process);
            process.ask_to_stop();
        }
        assert_eq!(good.service(), "good");
        good.ended().unwrap();
        good.wait().unwrap();
        let said = bad.wait().unwrap_err().to_string();
        assert!(said.contains("bad-0 stopped with") && said.contains("bad words"), "{said}");
    }
}

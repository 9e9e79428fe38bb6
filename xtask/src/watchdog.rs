//! Ends what was started, when this process ends: by itself, by a signal, or by SIGKILL.
//!
//! A shell reads from a pipe which process groups run. The pipe closes with this process, whatever ends it; then the
//! shell interrupts the groups that are left, gives them time, kills them, and removes the scratch folder.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=
while read -r what group; do
  case $what in
    start) groups="$groups $group" ;;
    end) left=; for g in $groups; do [ "$g" = "$group" ] || left="$left $g"; done; groups=$left ;;
  esac
done
alive() { for g in $groups; do kill -s 0 -- "-$g" 2>/dev/null && return 0; done; return 1; }
for signal in INT TERM KILL; do
  for g in $groups; do kill -s $signal -- "-$g" 2>/dev/null; done
  tenths=0
  while alive && [ $tenths -lt 80 ]; do sleep 0.1; tenths=$((tenths + 1)); done
done
rm -rf -- "$1"
"#;

/// The shell that watches, and the scratch folder that goes with this process.
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
    scratch: PathBuf,
}

impl Watchdog {
    /// Starts it, with an empty scratch folder.
    pub(crate) fn start() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = std::env::temp_dir().join(format!("lanyard-xtask-{}-{number}", std::process::id()));
        // Others may pass through it (a database server is another user), but list nothing.
        DirBuilder::new()
            .mode(0o711)
            .create(&scratch)
            .with_context(|| format!("cannot make the scratch folder {}", scratch.display()))?;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "lanyard-watchdog"])
            .arg(&scratch)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start sh, which stops what tests start")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe: Mutex::new(pipe), scratch })
    }

    /// A folder that is gone after this process.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Starts a command in a process group of its own, without standard input.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Guarded<'_>> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.tell("start", child.id());
        Ok(Guarded { child, watchdog: self })
    }

    fn tell(&self, what: &str, group: u32) {
        if let Some(pipe) = &mut *self.pipe.lock().unwrap_or_else(PoisonError::into_inner) {
            // The shell reads until this process ends; should somebody have killed it, the test itself goes on.
            let _ = writeln!(pipe, "{what} {group}");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.shell.wait();
    }
}

/// A running command; its whole group is ended when this is dropped.
pub(crate) struct Guarded<'a> {
    pub(crate) child: Child,
    watchdog: &'a Watchdog,
}

impl Guarded<'_> {
    /// Sends a signal, such as `INT`, to the whole group.
    pub(crate) fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        // Already reaped after a regular end; then only what it left behind in its group is met.
        self.signal("KILL");
        let _ = self.child.wait();
        self.watchdog.tell("end", self.child.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_alive(pid: u32) -> bool {
        // A killed process stays as a zombie until it is reaped by whoever inherits it.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
    }

    #[test]
    fn what_a_command_leaves_behind_is_ended_with_it_and_the_scratch_folder_too() {
        let scratch = tempfile::tempdir().unwrap();
        let pid_file = scratch.path().join("pid");
        let watchdog = Watchdog::start().unwrap();
        let folder = watchdog.scratch().to_owned();
        let script = format!("sh -c 'echo $$ > {}; exec sleep 600' | cat", pid_file.display());
        let mut running = watchdog.spawn(Command::new("sh").args(["-c", &script])).unwrap();
        let pid = || std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok());
        eventually("the command starts", || pid().is_some());
        let pid = pid().unwrap();
        assert!(is_alive(pid) && folder.is_dir());
        // As if this process had died: the pipe closes, nobody runs `Guarded::drop`, and init reaps the child.
        watchdog.pipe.lock().unwrap().take();
        running.child.wait().unwrap();
        eventually("the watchdog ends the group", || !is_alive(pid));
        eventually("the watchdog removes the folder", || !folder.exists());
    }
}

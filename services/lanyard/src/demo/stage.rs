//! The hub of the tour, and this program run on it.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use lanyard_iam::Credentials;

use super::signals::Signals;
use crate::{output::line, serve::Ready};

/// How long a hub may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(30);
/// How long it, or a command, may take to stop.
const STOP_WAIT: Duration = Duration::from_secs(15);
/// How often either is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How often it is looked whether a hub that is kept is still there, and the tour not told to end.
const KEPT_POLL: Duration = Duration::from_millis(200);
/// How long a change may take to every replica, which no answer tells: several times what it takes on loopback.
const SEEN_WAIT: Duration = Duration::from_millis(300);
/// Commands that change nothing.
const READING: [&str; 3] = ["explain", "token", "kubeconfig"];

/// A hub in a temporary folder; stopped and removed when this is dropped. Or one that runs elsewhere, which goes on.
pub(super) struct Stage {
    /// Where the tour's own files go.
    pub(super) folder: PathBuf,
    /// How to reach the hub.
    pub(super) ready: Ready,
    /// Where that is said.
    pub(super) ready_file: PathBuf,
    program: PathBuf,
    /// None where it is not ours.
    hub: Option<Child>,
    signals: Signals,
}

/// Who runs a command.
#[derive(Clone, Copy)]
pub(super) enum As<'a> {
    /// The hub's administrator.
    Administrator,
    /// Somebody with a key.
    Key(&'a Credentials),
}

impl Stage {
    /// Takes the hub of a ready-file, which may be of several processes.
    pub(super) fn on(ready_file: &Path, signals: Signals) -> anyhow::Result<Self> {
        // Commands run with another home, and perhaps elsewhere.
        let ready_file = std::path::absolute(ready_file)?;
        let ready = Ready::read(&ready_file)?;
        let (folder, program) = place()?;
        Ok(Self { ready, folder, ready_file, program, hub: None, signals })
    }

    /// Starts a hub on free ports.
    pub(super) fn start(signals: Signals) -> anyhow::Result<Self> {
        let (folder, program) = place()?;
        let ready_file = folder.join("ready.json");
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
            .args(["--aws-listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.join("hub"))
            .arg("--ready-file")
            .arg(&ready_file);
        // What is set for a real hub, such as its store, is not the tour's.
        clean(&mut command, &folder);
        let placeholder = Ready {
            gateway: String::new(),
            grpc: String::new(),
            aws: None,
            metrics: Default::default(),
            ca: PathBuf::new(),
            credentials: PathBuf::new(),
            account: String::new(),
            region: String::new(),
            hub_id: String::new(),
        };
        // Before there is a hub, so that the folder goes also where none starts.
        let mut stage = Self { folder, ready: placeholder, ready_file, program, hub: None, signals };
        let log = File::create(stage.folder.join("hub.log"))?;
        let hub = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        stage.hub = Some(hub.context("the hub does not start")?);
        stage.ready = stage.wait()?;
        Ok(stage)
    }

    fn wait(&mut self) -> anyhow::Result<Ready> {
        let begun = Instant::now();
        while begun.elapsed() < READY_WAIT {
            if self.ready_file.exists() {
                return Ok(Ready::read(&self.ready_file)?);
            }
            self.go_on()?;
            if let Some(status) = self.hub.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = std::fs::read_to_string(self.folder.join("hub.log")).unwrap_or_default();
                bail!("the hub ended with {status}:\n{log}");
            }
            thread::sleep(POLL);
        }
        bail!("the hub was not ready within {} s", READY_WAIT.as_secs());
    }

    /// An error where the tour was told to end.
    fn go_on(&self) -> anyhow::Result<()> {
        ensure!(self.signals.told().is_none(), "told to end");
        Ok(())
    }

    /// A command of this program on the hub, with nothing of the caller's own AWS settings.
    fn command<S: AsRef<OsStr>>(&self, by: As<'_>, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--ready-file").arg(&self.ready_file);
        clean(&mut command, &self.folder);
        match by {
            As::Administrator => command.env("AWS_SHARED_CREDENTIALS_FILE", &self.ready.credentials),
            As::Key(key) => command
                .env("AWS_ACCESS_KEY_ID", key.access_key_id.as_str())
                .env("AWS_SECRET_ACCESS_KEY", key.secret_access_key.expose()),
        };
        command
    }

    /// Shows a command and what it answers.
    pub(super) fn show(&self, by: As<'_>, arguments: &[&str]) -> anyhow::Result<()> {
        let answer = self.ask(by, arguments, None)?;
        ensure!(answer.status.success(), "`lanyard {}` was refused", arguments.join(" "));
        Ok(())
    }

    /// Shows a command and what it answers, with something on its standard input; whatever it says.
    pub(super) fn ask(&self, by: As<'_>, arguments: &[&str], stdin: Option<&str>) -> anyhow::Result<Output> {
        line(&format!("\n  $ lanyard {}", shell(arguments)))?;
        let output = self.done(self.command(by, arguments), arguments, stdin)?;
        for text in [&output.stdout, &output.stderr] {
            for text in String::from_utf8_lossy(text).lines() {
                line(&format!("    {text}"))?;
            }
        }
        Ok(output)
    }

    /// Runs a command and gives its standard output, unseen: it may be a secret.
    pub(super) fn secretly(&self, by: As<'_>, arguments: &[&str], shown: &str) -> anyhow::Result<String> {
        line(&format!("\n  $ lanyard {}\n    {shown}", shell(arguments)))?;
        let output = self.done(self.command(by, arguments), arguments, None)?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "`lanyard {}`: {}", arguments.join(" "), said());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command of this program. A change on a hub of several processes has the time that it takes to all of them.
    fn done(&self, command: Command, arguments: &[&str], stdin: Option<&str>) -> anyhow::Result<Output> {
        let output = self.run(command, stdin)?;
        if self.hub.is_none() && !arguments.first().is_some_and(|first| READING.contains(first)) {
            thread::sleep(SEEN_WAIT);
        }
        Ok(output)
    }

    /// Runs a command to its end, or until the tour is told to end.
    fn run(&self, mut command: Command, stdin: Option<&str>) -> anyhow::Result<Output> {
        self.go_on()?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
            pipe.write_all(text.as_bytes())?;
        }
        let id = child.id();
        let (tell, ended) = mpsc::channel();
        thread::spawn(move || {
            // Nobody waits any more for one that does not end when it is told to.
            let _ = tell.send(child.wait_with_output());
        });
        loop {
            match ended.recv_timeout(POLL) {
                Ok(output) => return Ok(output?),
                Err(RecvTimeoutError::Disconnected) => bail!("nobody says how a command ended"),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(told) = self.go_on() {
                        ask_to_stop(id);
                        // It may write into the folder as long as it is there.
                        let _ = ended.recv_timeout(STOP_WAIT);
                        return Err(told);
                    }
                }
            }
        }
    }

    /// Shows a `kubectl` command through a kubeconfig, with a key.
    pub(super) fn kubectl(
        &self,
        key: &Credentials,
        kubeconfig: &Path,
        arguments: &[&str],
        expected: u8,
    ) -> anyhow::Result<()> {
        line(&format!("\n  $ kubectl {}", shell(arguments)))?;
        let mut command = Command::new("kubectl");
        command.args(arguments);
        clean(&mut command, &self.folder);
        command
            .env("KUBECONFIG", kubeconfig)
            .env("PATH", self.path_with_this_program())
            .env("AWS_ACCESS_KEY_ID", key.access_key_id.as_str())
            .env("AWS_SECRET_ACCESS_KEY", key.secret_access_key.expose());
        let output = self.run(command, None)?;
        let code = output.status.code();
        for text in String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).lines() {
            line(&format!("    {text}"))?;
        }
        ensure!(code == Some(i32::from(expected)), "expected exit code {expected}, got {code:?}");
        Ok(())
    }

    /// The exec plugin of a kubeconfig is looked for on the PATH, where a newcomer does not have it yet.
    fn path_with_this_program(&self) -> std::ffi::OsString {
        let own = self.program.parent().map(Path::to_path_buf);
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = own.into_iter().chain(std::env::split_paths(&rest));
        std::env::join_paths(all).unwrap_or(rest.clone())
    }

    /// Waits until the tour is told to end, which is how one that is kept does, or until the hub ends by itself.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        let Some(hub) = &mut self.hub else { return Ok(()) };
        while self.signals.told().is_none() && hub.try_wait()?.is_none() {
            thread::sleep(KEPT_POLL);
        }
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let Some(hub) = &mut self.hub else { return Ok(()) };
        ask_to_stop(hub.id());
        let begun = Instant::now();
        while begun.elapsed() < STOP_WAIT {
            if hub.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        hub.kill()?;
        hub.wait()?;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nobody is left to tell; what stays behind is a folder in the system's temporary one.
        let _ = self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A folder for the tour's own files, and this program.
fn place() -> anyhow::Result<(PathBuf, PathBuf)> {
    let folder = std::env::temp_dir().join(format!("lanyard-demo-{}", uuid::Uuid::new_v4()));
    lanyard_kit::tls::secure_dir(&folder)?;
    Ok((folder, std::env::current_exe().context("this program's own path is not known")?))
}

/// No credentials or settings of whoever runs the tour.
fn clean(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.starts_with("LANYARD_") || text.starts_with("KUBE") {
            command.env_remove(&name);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("HOME", home);
}

/// SIGTERM, for a graceful stop; to a child of ours, by its number.
fn ask_to_stop(child: u32) {
    // Of the shell, for small images have no such program.
    let _ = Command::new("sh").args(["-c", "kill \"$0\"", &child.to_string()]).status();
}

/// As one would type it: words with blanks or stars in quotes.
fn shell(arguments: &[&str]) -> String {
    let quoted = |word: &&str| {
        if word.contains([' ', '*', '{', '"']) { format!("'{word}'") } else { (*word).to_owned() }
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

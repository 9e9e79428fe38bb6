//! The hub of the tour, and this program run on it.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use lanyard_iam::Credentials;

use crate::{output::line, serve::Ready};

/// How long a hub may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(30);
/// How long it may take to stop.
const STOP_WAIT: Duration = Duration::from_secs(15);
/// How often either is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How often it is looked whether a hub that is kept is still there.
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
    pub(super) fn on(ready_file: &Path) -> anyhow::Result<Self> {
        let (folder, program) = place()?;
        // Commands run with another home, and perhaps elsewhere.
        let ready_file = std::path::absolute(ready_file)?;
        Ok(Self { ready: Ready::read(&ready_file)?, folder, ready_file, program, hub: None })
    }

    /// Starts a hub on free ports.
    pub(super) fn start() -> anyhow::Result<Self> {
        let (folder, program) = place()?;
        let ready_file = folder.join("ready.json");
        let log = File::create(folder.join("hub.log"))?;
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
            .args(["--aws-listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.join("hub"))
            .arg("--ready-file")
            .arg(&ready_file);
        // What is set for a real hub, such as its store, is not the tour's.
        clean(&mut command, &folder);
        let hub = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("the hub does not start")?;
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
        let mut stage = Self { folder, ready: placeholder, ready_file, program, hub: Some(hub) };
        stage.ready = stage.wait()?;
        Ok(stage)
    }

    fn wait(&mut self) -> anyhow::Result<Ready> {
        let begun = Instant::now();
        while begun.elapsed() < READY_WAIT {
            if self.ready_file.exists() {
                return Ok(Ready::read(&self.ready_file)?);
            }
            if let Some(status) = self.hub.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = std::fs::read_to_string(self.folder.join("hub.log")).unwrap_or_default();
                bail!("the hub ended with {status}:\n{log}");
            }
            std::thread::sleep(POLL);
        }
        bail!("the hub was not ready within {} s", READY_WAIT.as_secs());
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
        let output = run(command, stdin)?;
        if self.hub.is_none() && !arguments.first().is_some_and(|first| READING.contains(first)) {
            std::thread::sleep(SEEN_WAIT);
        }
        Ok(output)
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
        let output = run(command, None)?;
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

    /// Waits for Ctrl-C, or until the hub ends by itself. The key is taken here, so that the tour's folder goes with it.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        let Some(hub) = &mut self.hub else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut pressed = std::pin::pin!(tokio::signal::ctrl_c());
            while hub.try_wait()?.is_none() {
                tokio::select! {
                    pressed = &mut pressed => return Ok(pressed?),
                    () = tokio::time::sleep(KEPT_POLL) => {}
                }
            }
            Ok(())
        })
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let Some(hub) = &mut self.hub else { return Ok(()) };
        // SIGTERM, for a graceful stop; a child of ours, by its number.
        let _ = Command::new("kill").arg(hub.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < STOP_WAIT {
            if hub.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(POLL);
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

fn run(mut command: Command, stdin: Option<&str>) -> anyhow::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        pipe.write_all(text.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

/// As one would type it: words with blanks or stars in quotes.
fn shell(arguments: &[&str]) -> String {
    let quoted = |word: &&str| {
        if word.contains([' ', '*', '{', '"']) { format!("'{word}'") } else { (*word).to_owned() }
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

//! A private PostgreSQL for the tests: a free port, a folder in the scratch, nothing kept.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::command::answer;
use crate::ports::free_port;
use crate::tools::apt_install;
use crate::watchdog::{Guarded, Watchdog};
use crate::workspace::{is_executable, on_path};

/// How long a server may take to start on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Another process may take a free port before the server does.
const PORT_TRIES: u32 = 5;

/// A running server; dropped, it is stopped.
pub(crate) struct Postgres<'a> {
    /// For `LANYARD_TEST_POSTGRES_URL`: a superuser, who may create databases.
    pub(crate) url: String,
    running: Guarded<'a>,
}

impl<'a> Postgres<'a> {
    /// Finds or installs PostgreSQL, and starts one.
    pub(crate) fn start(watchdog: &'a Watchdog) -> Result<Self> {
        let programs = find_or_install()?;
        let owner = Owner::choose()?;
        // One run starts several, one after the other.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = watchdog.scratch().join(format!("postgres-{number}"));
        fs::create_dir(&home).with_context(|| format!("cannot make `{}`", home.display()))?;
        let password = random_hex()?;
        let password_file = home.join("password");
        fs::write(&password_file, &password)?;
        owner.give(&home)?;
        let data = home.join("data");
        initialize(&programs, &owner, &data, &password_file)?;
        for _ in 0..PORT_TRIES {
            let port = free_port()?;
            let log = home.join(format!("log-{port}"));
            if let Some(running) = serve(watchdog, &programs, &owner, &data, port, &log)? {
                let url = format!("postgres://lanyard:{password}@127.0.0.1:{port}/postgres");
                return Ok(Self { url, running });
            }
        }
        bail!("PostgreSQL did not start on any of {PORT_TRIES} free ports");
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        // A fast shutdown, so that shared memory is given back; what is left is killed with the group.
        self.running.signal("INT");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) && matches!(self.running.child.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(50));
        }
    }
}

fn find_or_install() -> Result<PathBuf> {
    if let Some(programs) = find() {
        return Ok(programs);
    }
    println!(
        "PostgreSQL is not installed; installing it. A server that the system may start of it is not used here"
    );
    apt_install("postgresql")?;
    find().context("PostgreSQL was installed, yet initdb and postgres are not found")
}

/// The folder with `initdb` and `postgres`, of the newest version there is.
fn find() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let beside_path = on_path("initdb").and_then(|initdb| initdb.parent().map(Path::to_owned));
    let folders = versions.into_iter().rev().map(|(_, folder)| folder).chain(beside_path);
    folders
        .into_iter()
        .find(|folder| ["initdb", "postgres"].iter().all(|name| is_executable(&folder.join(name))))
}

/// Who runs the server. PostgreSQL refuses to run as root.
enum Owner {
    Ourselves,
    Other(String),
}

impl Owner {
    fn choose() -> Result<Self> {
        if answer("id", &["-u"]).context("cannot run id")? != "0" {
            return Ok(Self::Ourselves);
        }
        let known = |user: &&str| answer("id", &["-u", user]).is_some();
        let user = ["postgres", "nobody"].into_iter().find(known);
        Ok(Self::Other(
            user.context("root may not run PostgreSQL, and there is no user postgres or nobody")?.to_owned(),
        ))
    }

    /// The program, to be run as the owner.
    fn command(&self, program: &Path) -> Result<Command> {
        let Self::Other(user) = self else { return Ok(Command::new(program)) };
        let mut command = if let Some(setpriv) = on_path("setpriv") {
            let id =
                |flag| answer("id", &[flag, user]).with_context(|| format!("cannot look up user {user}"));
            let (user, group) = (id("-u")?, id("-g")?);
            let mut command = Command::new(setpriv);
            command.args([
                format!("--reuid={user}"),
                format!("--regid={group}"),
                "--clear-groups".to_owned(),
            ]);
            command
        } else {
            let mut command =
                Command::new(on_path("runuser").context("neither setpriv nor runuser is here")?);
            command.args(["-u", user]);
            command
        };
        command.arg("--").arg(program).env("HOME", "/");
        Ok(command)
    }

    fn give(&self, folder: &Path) -> Result<()> {
        if let Self::Other(user) = self {
            let status = Command::new("chown").args(["-R", user]).arg(folder).status()?;
            ensure!(status.success(), "cannot give {} to {user}", folder.display());
        }
        Ok(())
    }
}

fn initialize(programs: &Path, owner: &Owner, data: &Path, password_file: &Path) -> Result<()> {
    let output = owner
        .command(&programs.join("initdb"))?
        .args(["--username=lanyard", "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg(format!("--pwfile={}", password_file.display()))
        .arg(data)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .context("cannot run initdb")?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// A server that answers; none when its port was taken.
fn serve<'a>(
    watchdog: &'a Watchdog,
    programs: &Path,
    owner: &Owner,
    data: &Path,
    port: u16,
    log: &Path,
) -> Result<Option<Guarded<'a>>> {
    // Nothing in it outlives the tests, so nothing of it needs to reach the disk.
    let settings = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=300",
    ];
    let mut command = owner.command(&programs.join("postgres"))?;
    command.arg("-D").arg(data).args(["-p", &port.to_string()]);
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    let mut running =
        watchdog.spawn(command.current_dir("/").stdout(Stdio::null()).stderr(fs::File::create(log)?))?;
    let start = Instant::now();
    loop {
        let said = fs::read_to_string(log)?;
        if said.contains("database system is ready to accept connections") {
            return Ok(Some(running));
        }
        if running.child.try_wait()?.is_some() {
            ensure!(said.contains("could not bind"), "PostgreSQL ended at once:\n{said}");
            return Ok(None);
        }
        ensure!(start.elapsed() < START_TIMEOUT, "PostgreSQL is not ready after {START_TIMEOUT:?}:\n{said}");
        sleep(Duration::from_millis(50));
    }
}

pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_server_listens_on_the_loopback_address_and_ends_with_its_owner() {
        if find().is_none() {
            println!("PostgreSQL is not installed, and a unit test installs nothing");
            return;
        }
        let watchdog = Watchdog::start().unwrap();
        let postgres = Postgres::start(&watchdog).unwrap();
        let port: u16 = postgres.url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
        let connect = || std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port));
        assert!(connect().is_ok());
        drop(postgres);
        assert!(connect().is_err());
    }
}

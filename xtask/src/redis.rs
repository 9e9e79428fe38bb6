//! The Redis that tests start servers of: each its own, on free ports, in folders that go with them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::ports::free_port;
use crate::postgres::random_hex;
use crate::tools::apt_install;
use crate::watchdog::{Guarded, Watchdog};
use crate::workspace::on_path;

/// How long a server may take to start on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server that keeps nothing; dropped, it is stopped.
pub(crate) struct Redis<'a> {
    /// Without the password.
    pub(crate) url: String,
    pub(crate) password: String,
    _running: Guarded<'a>,
}

impl<'a> Redis<'a> {
    /// Finds or installs Redis, and starts one.
    pub(crate) fn start(watchdog: &'a Watchdog) -> Result<Self> {
        let program = find_or_install()?;
        let (port, password) = (free_port()?, random_hex()?);
        let settings = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\nmaxmemory 64mb\n\
             maxmemory-policy allkeys-lru\n"
        );
        let path = watchdog.scratch().join(format!("redis-{port}.conf"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(settings.as_bytes())?;
        let log = watchdog.scratch().join(format!("redis-{port}.log"));
        let mut command = Command::new(program);
        command.arg(&path).current_dir("/").stdout(fs::File::create(&log)?).stderr(Stdio::null());
        let mut running = watchdog.spawn(&mut command)?;
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(&log)?;
            if said.contains("Ready to accept connections") {
                let url = format!("redis://127.0.0.1:{port}");
                return Ok(Self { url, password, _running: running });
            }
            ensure!(running.child.try_wait()?.is_none(), "Redis ended at once:\n{said}");
            ensure!(start.elapsed() < START_TIMEOUT, "Redis is not ready after {START_TIMEOUT:?}:\n{said}");
            sleep(Duration::from_millis(20));
        }
    }
}

/// The server's program, for `LANYARD_TEST_REDIS`. It is a Sentinel too.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    if let Some(program) = find() {
        return Ok(program);
    }
    println!(
        "Redis is not installed; installing it. A server that the system may start of it is not used here"
    );
    apt_install("redis-server")?;
    find().context("Redis was installed, yet redis-server is not found")
}

fn find() -> Option<PathBuf> {
    on_path("redis-server")
}

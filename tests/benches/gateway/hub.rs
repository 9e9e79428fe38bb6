//! The hub that is measured: the program as it is released.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lanyard_kit::tls::certificates_from_pem;
use serde_json::Value;

use crate::client::Server;
use crate::process::{self, Process};
use crate::sts;

/// How long a start may take.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How often the ready-file is looked for.
const POLL: Duration = Duration::from_millis(1);

/// A running hub.
pub(crate) struct Hub {
    pub(crate) server: Server,
    pub(crate) process: Process,
    /// From starting the process to its ready-file.
    pub(crate) start: Duration,
}

impl Hub {
    /// Starts it on the folder `hub`, which is filled.
    pub(crate) async fn start(folder: &Path, sts: &sts::StandIn) -> Result<Self> {
        let (config, ready) = (folder.join("lanyard.toml"), folder.join("ready.json"));
        std::fs::write(&config, configuration(&sts.host))?;
        let mut command = process::server(&program()?);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--grpc-listen",
            "127.0.0.1:0",
            "--log",
            "warn",
            "--config",
        ]);
        command.arg(&config).arg("--data-dir").arg(folder.join("hub")).arg("--ready-file").arg(&ready);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LANYARD_") {
                command.env_remove(name);
            }
        }
        command.env("SSL_CERT_FILE", &sts.ca);
        let begun = Instant::now();
        let mut process = Process::spawn(&mut command)?;
        while !ready.exists() {
            if let Some(status) = process.child.try_wait()? {
                bail!("the hub ended with {status}");
            }
            ensure!(begun.elapsed() < READY_WAIT, "the hub was not ready within {READY_WAIT:?}");
            tokio::time::sleep(POLL).await;
        }
        let start = begun.elapsed();
        let said: Value = serde_json::from_slice(&std::fs::read(&ready)?)?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).with_context(|| format!("no {name}"));
        let address = text("gateway")?.strip_prefix("https://").context("the gateway has https")?.parse()?;
        let roots = certificates_from_pem(&std::fs::read_to_string(text("ca")?)?)?;
        Ok(Self { server: Server::new(address, &roots)?, process, start })
    }
}

/// What is needed to fill the token cache at once: room for it, and no limits on asking STS.
fn configuration(sts_host: &str) -> String {
    let (name, region) = (sts::NAME, sts::REGION);
    let unlimited = "{ per_second = 1000000, burst = 1000000 }";
    format!(
        "[authn.token_cache]\nlifetime_seconds = 900\nentries_max = 100000\n\
         [authn.sts]\nregion = {unlimited}\naccess_key = {unlimited}\nspoke = {unlimited}\n\
         [[authn.self_hosted_sts]]\nname = \"{name}\"\nhost = \"{sts_host}\"\nregion = \"{region}\"\nprivate_address = true\n"
    )
}

/// `LANYARD_BIN`, or the program that lies where this one was built.
fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("LANYARD_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let beside =
        own.parent().and_then(Path::parent).context("a benchmark lies in the target folder")?.join("lanyard");
    ensure!(
        beside.is_file(),
        "there is no {}: run `cargo build --release --package lanyard`",
        beside.display()
    );
    Ok(beside)
}

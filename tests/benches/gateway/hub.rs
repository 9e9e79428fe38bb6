//! The hub that is measured: the program as it is released.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lanyard_kit::tls::certificates_from_pem;
use serde_json::Value;

use crate::client::Server;
use crate::process::{self, Placement, Process, without_settings};
use crate::sts;

/// How long a start may take.
pub(crate) const READY_WAIT: Duration = Duration::from_secs(60);

/// A running hub.
pub(crate) struct Hub {
    pub(crate) server: Server,
    /// The door of the AWS wire.
    pub(crate) aws: Server,
    pub(crate) process: Process,
    /// What it said when it was ready.
    pub(crate) ready: Value,
    /// From starting the process to its ready-file.
    pub(crate) start: Duration,
}

impl Hub {
    /// Starts it on the folder `hub`, which is filled.
    pub(crate) async fn start(folder: &Path, sts: &sts::StandIn, placement: Placement) -> Result<Self> {
        Self::configured(folder, &configuration(&sts.host), Some(&sts.ca), placement).await
    }

    /// The same with this configuration, and with this authority for whom it calls.
    pub(crate) async fn configured(
        folder: &Path,
        configuration: &str,
        ca: Option<&Path>,
        placement: Placement,
    ) -> Result<Self> {
        let (config, ready) = (folder.join("lanyard.toml"), folder.join("ready.json"));
        std::fs::write(&config, configuration)?;
        if ready.exists() {
            std::fs::remove_file(&ready).context("the ready-file of the hub before")?;
        }
        let mut command = process::server(&program()?, placement);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--grpc-listen",
            "127.0.0.1:0",
            "--aws-listen",
            "127.0.0.1:0",
            "--log",
            "warn",
            "--config",
        ]);
        command.arg(&config).arg("--data-dir").arg(folder.join("hub")).arg("--ready-file").arg(&ready);
        without_settings(&mut command).envs(ca.map(|ca| ("SSL_CERT_FILE", ca)));
        let begun = Instant::now();
        let mut process = Process::spawn("the hub", &mut command)?;
        let said = process.ready(&ready, READY_WAIT).await?;
        let start = begun.elapsed();
        Ok(Self { server: server(&said)?, aws: server_at(&said, "aws")?, process, ready: said, start })
    }
}

/// The door of API servers that a ready-file names.
pub(crate) fn server(ready: &Value) -> Result<Server> {
    server_at(ready, "gateway")
}

/// A door that a ready-file names.
pub(crate) fn server_at(ready: &Value, door: &str) -> Result<Server> {
    let address = text(ready, door)?.strip_prefix("https://").context("a door has https")?;
    let roots = certificates_from_pem(&std::fs::read_to_string(text(ready, "ca")?)?)?;
    Server::new(address.parse()?, &roots)
}

/// What a ready-file says.
pub(crate) fn text<'a>(ready: &'a Value, name: &str) -> Result<&'a str> {
    ready.get(name).and_then(Value::as_str).with_context(|| format!("no `{name}` in the ready-file"))
}

/// What authn needs to fill the token cache at once: room for it, and no limits on asking STS.
pub(crate) fn configuration(sts_host: &str) -> String {
    let (name, region) = (sts::NAME, sts::REGION);
    let unlimited = "{ per_second = 1000000, burst = 1000000 }";
    format!(
        "[authn.token_cache]\nlifetime_seconds = 900\nentries_max = 100000\n\
         [authn.sts]\nregion = {unlimited}\naccess_key = {unlimited}\nspoke = {unlimited}\n\
         [[authn.self_hosted_sts]]\nname = \"{name}\"\nhost = \"{sts_host}\"\nregion = \"{region}\"\nprivate_address = true\n"
    )
}

/// `LANYARD_BIN`, or the program that lies where this one was built.
pub(crate) fn program() -> Result<PathBuf> {
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

//! The stack as `cargo xtask stack` runs it, and the ways to its services.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use lanyard_api::authn::{Authenticate as _, AuthenticateQuery, Authentication};
use lanyard_api::grpc::Remote;
use lanyard_api::mapping::{Mapped, Resolution, Resolve as _, ResolveQuery};
use lanyard_api::signing::SignedChannel;
use lanyard_api::{ClusterUid, Identity, Vouched, methods};
use lanyard_gateway::remote::Way;
use lanyard_iam::Token;
use lanyard_kit::SystemClock;
use lanyard_kit::telemetry::Calls;
use lanyard_kit::tls::{Clients, LiveIdentity, ServiceFiles};
use secrecy::SecretString;
use serde_json::Value;
use tonic::transport::Channel;

use super::Order;
use crate::client::Server;
use crate::door::{CALL_TIMEOUT, front_door};
use crate::hub::{self, configuration, program, text};
use crate::process::{Process, Usage, without_settings};
use crate::sts;
use crate::world::World;

/// The stack's folder.
pub(super) const FOLDER: &str = "stack";
/// How long it may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(180);

/// Where stacks are started.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) order: &'a Order,
    pub(super) sts: &'a sts::StandIn,
}

/// A running stack.
pub(super) struct Stack {
    process: Process,
    folder: PathBuf,
    ready: Value,
    /// The door of its first gateway.
    pub(super) server: Server,
    identity: LiveIdentity,
}

/// A service, or one replica of it, called as the gateway calls it.
pub(super) type Service = Remote<Way>;

impl Stack {
    /// Starts it, with so many processes of each service.
    pub(super) async fn start(place: &Place<'_>, replicas: usize) -> Result<Self> {
        let folder = place.folder.join(FOLDER);
        let (config, ready_file) = (folder.join("authn.toml"), folder.join("ready.json"));
        std::fs::write(&config, configuration(&place.sts.host))?;
        let settings = [("LANYARD_CONFIG", &config), ("SSL_CERT_FILE", &place.sts.ca)];
        let mut command = Command::new(&place.order.xtask);
        command.args(["stack", "--log", "warn", "--replicas", &replicas.to_string(), "--postgres"]);
        command.arg(&place.order.postgres).arg("--keep").arg(&folder).arg("--ready-file").arg(&ready_file);
        for (name, value) in settings {
            command.arg("--set").arg(format!("authn:{name}={}", value.display()));
        }
        without_settings(&mut command).env("LANYARD_BIN", program()?);
        let mut process = Process::spawn("the stack", command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        let ready = process.ready(&ready_file, READY_WAIT).await?;
        let files = ServiceFiles { dir: folder.join("gateway"), ..ServiceFiles::default() };
        let identity = LiveIdentity::load(&files, "gateway", Clients::Optional, Arc::new(SystemClock))?;
        eprintln!("the stack is there, {replicas} of each service");
        Ok(Self { process, server: hub::server(&ready)?, folder, ready, identity })
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }

    /// The ready-file of one process.
    fn ready_file(&self, service: &str, number: usize) -> PathBuf {
        self.folder.join(format!("{service}-{number}.ready.json"))
    }

    /// What one process uses. It is known by the ready-file that it was told to write.
    pub(super) fn usage(&self, service: &str, number: usize) -> Result<Usage> {
        let ready_file = self.ready_file(service, number).display().to_string();
        let is_it = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == ready_file.as_bytes())
        };
        let names = std::fs::read_dir("/proc")?.flatten();
        let mut pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pid = pids.find(is_it).with_context(|| format!("{service}-{number} does not run"))?;
        Ok(Usage { pid })
    }

    /// One replica of a service.
    pub(super) fn replica(&self, service: &str, number: usize) -> Result<Service> {
        let ready = serde_json::from_slice(&std::fs::read(self.ready_file(service, number))?)?;
        self.service(service, &ready)
    }

    /// The service of a ready-file.
    pub(super) fn service(&self, service: &str, ready: &Value) -> Result<Service> {
        let url = text(ready, "grpc")?.parse()?;
        Ok(Remote::new(Way::connect(&self.identity, service, &[url], &Calls::sent(methods::paths()))?)
            .with_timeout(CALL_TIMEOUT))
    }

    /// The door of one gateway.
    pub(super) fn gateway(&self, number: usize) -> Result<Server> {
        hub::server(&serde_json::from_slice(&std::fs::read(self.ready_file("gateway", number))?)?)
    }

    /// The front door, for the hub's administrator.
    pub(super) fn signed(&self, world: &World) -> Result<Remote<SignedChannel<Channel>>> {
        front_door(&self.ready, world.hub, &world.administrator)
    }
}

/// Has authn prove a token.
pub(super) async fn prove(
    authn: &Service,
    cluster: ClusterUid,
    token: &Token,
) -> Result<Vouched<Arc<Identity>>> {
    match asked(authn, cluster, token).await? {
        Authentication::Verified(verified) => Ok(verified.identity),
        other => anyhow::bail!("the token is not verified: {other:?}"),
    }
}

/// Whether authn proves a token.
pub(super) async fn is_proven(authn: &Service, cluster: ClusterUid, token: &Token) -> Result<bool> {
    Ok(matches!(asked(authn, cluster, token).await?, Authentication::Verified(_)))
}

async fn asked(authn: &Service, cluster: ClusterUid, token: &Token) -> Result<Authentication> {
    let token = SecretString::from(token.expose());
    let query = AuthenticateQuery { token, digest: None, cluster, audiences: Vec::new(), explain: false };
    Ok(authn.authenticate(query).await?)
}

/// Has mapping give the badge of an identity, if it has one.
pub(super) async fn badge(
    mapping: &Service,
    cluster: ClusterUid,
    identity: &Vouched<Arc<Identity>>,
) -> Result<Option<Arc<Mapped>>> {
    let query = ResolveQuery { cluster, identity: identity.clone(), explain: false };
    match mapping.resolve(query).await? {
        Resolution::Mapped(mapped) => Ok(Some(mapped)),
        Resolution::Unmapped(_) => Ok(None),
        Resolution::Blocked(block) => anyhow::bail!("block {block} stops the benchmark"),
    }
}

//! Where the agent listens, and what somebody may make it hold there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::bail;
use lanyard_kit::serve::{Limits as ServeLimits, PlainServer, ServeError};
use serde_json::json;
use tracing::warn;

use crate::config::{AgentConfig, CONNECTIONS_MAX, KubeletCheck};

/// How far answers of the instance-metadata road go: to the pod, and over no router behind it (as AWS's own default).
const METADATA_HOPS_MAX: u32 = 1;
/// Longest head of a request, in bytes: a token of the greatest length, and what SDKs send beside it.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// How long a request's head may take, and a connection may be silent (the published agent's read timeout).
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long somebody may take nothing of an answer (the published agent's write timeout).
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may take when the agent stops: longer than the answer to any.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(11);

/// All that is listened at.
pub(super) struct Listeners {
    pub(super) container: Vec<PlainServer>,
    pub(super) metadata: Vec<PlainServer>,
    pub(super) probes: PlainServer,
}

impl Listeners {
    pub(super) async fn bind(config: &AgentConfig) -> anyhow::Result<Self> {
        let mut container = at_hosts(config, config.port, None).await?;
        for address in &config.listen {
            container.push(of_pods(config, *address, None).await?);
        }
        if container.is_empty() {
            bail!("none of the addresses that pods ask at can be had");
        }
        let mut metadata = Vec::new();
        if config.imds.is_on() {
            metadata = at_hosts(config, config.imds.port, Some(METADATA_HOPS_MAX)).await?;
            for address in &config.imds.listen {
                metadata.push(of_pods(config, *address, Some(METADATA_HOPS_MAX)).await?);
            }
        }
        let probes = SocketAddr::from((Ipv4Addr::LOCALHOST, config.probe_port));
        let probes = listener(probes, None, CONNECTIONS_MAX).await?;
        Ok(Self { container, metadata, probes })
    }

    pub(super) fn container_addresses(&self) -> Vec<SocketAddr> {
        self.container.iter().map(PlainServer::address).collect()
    }

    /// Whether the instance-metadata road is answered there, whoever has set the address up.
    pub(super) fn has_metadata_at(&self, address: SocketAddr) -> bool {
        self.metadata.iter().any(|server| server.address() == address)
    }

    pub(super) fn about(&self, metrics: Option<&str>) -> serde_json::Value {
        let urls = |servers: &[PlainServer]| -> Vec<String> {
            servers.iter().map(|server| format!("http://{}", server.address())).collect()
        };
        json!({
            "service": "agent",
            "credentials": urls(&self.container),
            "metadata": urls(&self.metadata),
            "probes": format!("http://{}", self.probes.address()),
            "metrics": metrics,
        })
    }
}

/// At each host's address; those of IPv6 may be missing, where others are not.
async fn at_hosts(
    config: &AgentConfig,
    port: u16,
    hops_max: Option<u32>,
) -> anyhow::Result<Vec<PlainServer>> {
    let mut servers = Vec::new();
    for host in &config.bind_hosts {
        match of_pods(config, SocketAddr::new(*host, port), hops_max).await {
            Ok(server) => servers.push(server),
            Err(error) if host.is_ipv6() => {
                warn!(%error, "not listening there: the node has no such address")
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(servers)
}

/// A listener that pods reach: none of them may hold all of its connections.
async fn of_pods(
    config: &AgentConfig,
    address: SocketAddr,
    hops_max: Option<u32>,
) -> Result<PlainServer, ServeError> {
    // Where an address is not one pod's, one pod would have the share of all of them.
    let most = match config.kubelet_check() {
        KubeletCheck::On => config.limits.pod_connections,
        KubeletCheck::WithoutAddress | KubeletCheck::Off => CONNECTIONS_MAX,
    };
    listener(address, hops_max, most).await
}

async fn listener(
    address: SocketAddr,
    hops_max: Option<u32>,
    connections_per_address_max: usize,
) -> Result<PlainServer, ServeError> {
    let limits = ServeLimits {
        connections_max: CONNECTIONS_MAX,
        connections_per_address_max,
        head_timeout: HEAD_TIMEOUT,
        write_timeout: WRITE_TIMEOUT,
        head_bytes_max: HEAD_BYTES_MAX,
        drain_timeout: DRAIN_TIMEOUT,
        ..ServeLimits::default()
    };
    PlainServer::bind(address, hops_max, limits).await
}

//! What the agent is put together from, by what it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lanyard_aws::CredentialSource;
use lanyard_kit::Clock;
use lanyard_kit::telemetry::names;
use lanyard_kit::tls::{CertificateDer, read_ca_file};
use tracing::warn;
use url::Url;

use crate::agent::Limits;
use crate::config::{AgentConfig, EksAuthConfig, HubConfig, KubeletCheck, PodsFrom};
use crate::door::{MetadataOptions, Relay};
use crate::limits::Rate;
use crate::listed::{Kept, Lister, ListerOptions};
use crate::namespaces::{self, Labelled, Namespaces};
use crate::pods::{PodWatch, WatchOptions};
use crate::upstream::{Configured, EksAuth, EksAuthOptions, Hub, HubOptions};
use crate::vault::{Schedule, VaultOptions};

/// Until the kubelet or the API server has begun to answer a question, and between any two pieces of its answer.
const LIST_TIMEOUT: Duration = Duration::from_secs(2);
/// The port of kubelets.
const KUBELET_PORT: u16 = 10_250;

pub(super) fn pods(config: &AgentConfig) -> anyhow::Result<Option<PodWatch>> {
    let kubelet = &config.kubelet;
    let check = config.kubelet_check();
    let is_checked = check != KubeletCheck::Off;
    metrics::gauge!(names::AGENT_KUBELET_CHECK).set(if is_checked { 1.0 } else { 0.0 });
    if !is_checked {
        if kubelet.check.is_none() {
            warn!(
                "nothing says where the kubelet is, so it is not asked, as with --kubelet-check=off: give --node-ip (or NODE_IP from \
                 status.hostIP) and the right to get nodes/pods"
            );
        }
        warn!(
            "--kubelet-check=off: a token is worth as much in the hands of another pod or process of any node"
        );
        return Ok(None);
    }
    let (roots, _) = roots(&kubelet.ca)?;
    let lister = Lister::new(ListerOptions {
        url: pods_url(config)?,
        token_file: kubelet.token_file.clone(),
        roots,
        timeout: LIST_TIMEOUT,
    })?;
    let options = WatchOptions {
        interval: milliseconds(kubelet.interval_ms),
        compares_addresses: check == KubeletCheck::On,
        ..WatchOptions::default()
    };
    Ok(Some(PodWatch::new(lister, options)))
}

/// The whole address of the list of this node's pods.
fn pods_url(config: &AgentConfig) -> anyhow::Result<Url> {
    let kubelet = &config.kubelet;
    match kubelet.pods_from {
        PodsFrom::Kubelet => {
            let own = || {
                let address = SocketAddr::new(kubelet.node_ip?, KUBELET_PORT);
                Url::parse(&format!("https://{address}")).ok()
            };
            let mut url =
                kubelet.url.clone().or_else(own).context("kubelet.node_ip: the kubelet has no address")?;
            url.set_path("/pods");
            Ok(url)
        }
        PodsFrom::ApiServer => {
            let missing = "KUBERNETES_SERVICE_HOST names no API server: outside of a pod, give --kubelet-url";
            let mut url = kubelet.url.clone().or_else(own_api_server).context(missing)?;
            let node = kubelet.node_name.as_deref().context("kubelet.node_name: which node is this?")?;
            url.set_path("/api/v1/pods");
            url.query_pairs_mut().append_pair("fieldSelector", &format!("spec.nodeName={node}"));
            Ok(url)
        }
    }
}

/// The API server that each pod is told of (Kubernetes, "Accessing the Kubernetes API from a Pod").
fn own_api_server() -> Option<Url> {
    let variable = |name: &str| std::env::var(name).ok();
    let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Url::parse(&format!("https://{host}:{port}")).ok()
}

/// For which namespaces the instance-metadata road is open.
pub(super) fn namespaces(config: &AgentConfig) -> anyhow::Result<Namespaces> {
    let AgentConfig { imds, api_server, .. } = config;
    let told = imds.namespaces.clone();
    if !imds.by_label {
        return Ok(Namespaces { told, labelled: None });
    }
    let missing = "api_server.url: KUBERNETES_SERVICE_HOST names none; outside of a pod, say where it is";
    let url = api_server.url.clone().or_else(own_api_server).context(missing)?;
    let (roots, _) = roots(&api_server.ca)?;
    let lister = Lister::new(ListerOptions {
        url: Labelled::url(url),
        token_file: api_server.token_file.clone(),
        roots,
        timeout: LIST_TIMEOUT,
    })?;
    Ok(Namespaces { told, labelled: Some(Arc::new(Kept::new(lister, namespaces::KEPT))) })
}

pub(super) fn upstream(config: &AgentConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Configured> {
    match (&config.hub, &config.eks_auth) {
        (Some(hub), _) => Ok(Configured::Hub(hub_upstream(config, hub)?)),
        (None, Some(endpoint)) => Ok(Configured::EksAuth(endpoint_upstream(config, endpoint, clock)?)),
        (None, None) => bail!("neither a hub nor an endpoint"),
    }
}

fn hub_upstream(config: &AgentConfig, hub: &HubConfig) -> anyhow::Result<Hub> {
    let (_, ca_pem) = roots(&hub.ca)?;
    let options = HubOptions {
        url: hub.url.clone(),
        ca_pem,
        token_file: hub.token_file.clone(),
        cluster: config.cluster_name.clone(),
        node: config.kubelet.node_name.clone(),
    };
    Ok(Hub::new(options)?)
}

fn endpoint_upstream(
    config: &AgentConfig,
    endpoint: &EksAuthConfig,
    clock: &Arc<dyn Clock>,
) -> Result<EksAuth, anyhow::Error> {
    let roots = endpoint.ca.as_deref().map(roots).transpose()?.map(|(roots, _)| roots).unwrap_or_default();
    let region = &endpoint.region;
    let of_region = || Url::parse(&format!("https://eks-auth.{region}.api.aws"));
    let url = endpoint.endpoint.clone().map_or_else(of_region, Ok)?;
    let made = EksAuth::new(EksAuthOptions {
        endpoint: url,
        cluster: config.cluster_name.clone(),
        region: region.clone(),
        roots,
        timeout: milliseconds(config.cache.fetch_timeout_ms),
        source: CredentialSource::chain(None, region),
        clock: Arc::clone(clock),
    });
    Ok(made?)
}

/// The way of pods' calls to a hub's STS; none where the hub's AWS wire is not named.
pub(super) fn relay(config: &AgentConfig) -> anyhow::Result<Option<Relay>> {
    let named = match (&config.hub, &config.eks_auth) {
        (Some(hub), _) => hub.sts_url.as_ref().map(|url| (url, Some(&hub.ca))),
        (None, Some(endpoint)) => endpoint.sts_url.as_ref().map(|url| (url, endpoint.ca.as_ref())),
        (None, None) => None,
    };
    metrics::gauge!(names::AGENT_STS_RELAY).set(if named.is_some() { 1.0 } else { 0.0 });
    let Some((url, ca)) = named else {
        if config.hub.is_some() {
            warn!(
                "no --hub-sts: pods whose role the hub keeps are told to find STS at this agent, and get no answer there; give the \
                 hub's AWS wire, as https://HOST:PORT"
            );
        }
        return Ok(None);
    };
    let ca = ca.context("eks_auth.ca: who vouches for the hub? Give --endpoint-ca beside --hub-sts")?;
    let (roots, _) = roots(ca)?;
    Ok(Some(Relay::new(url, &roots)?))
}

fn roots(path: &std::path::Path) -> anyhow::Result<(Vec<CertificateDer<'static>>, String)> {
    read_ca_file(path).map_err(|error| anyhow::anyhow!("`{}` {error}", path.display()))
}

pub(super) fn metadata_options(config: &AgentConfig, namespaces: Namespaces) -> Arc<MetadataOptions> {
    let imds = &config.imds;
    Arc::new(MetadataOptions {
        namespaces,
        pods_folder: imds.pods_folder.clone(),
        region: imds.region.clone(),
        zone: imds.zone.clone(),
    })
}

pub(super) fn vault_options(config: &AgentConfig) -> VaultOptions {
    let cache = &config.cache;
    let retention = i64::try_from(cache.retention_seconds).unwrap_or(i64::MAX);
    VaultOptions {
        // Without a time to be kept for, nothing is.
        entries_max: if retention == 0 { 0 } else { cache.entries_max },
        schedule: Schedule { retention_max: time::Duration::seconds(retention) },
        renewals_per_second: cache.renewals_per_second,
        pod_rate: Rate::new(config.limits.pod_per_second, config.limits.pod_burst),
    }
}

pub(super) fn limits(config: &AgentConfig) -> Limits {
    let limits = &config.limits;
    let node = (limits.node_per_second > 0).then(|| Rate::new(limits.node_per_second, limits.node_burst));
    Limits { newcomers: Rate::new(limits.newcomer_per_second, limits.newcomer_burst), node }
}

pub(super) fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

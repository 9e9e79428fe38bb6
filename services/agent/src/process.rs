//! The agent as a process: read top to bottom, from what it is told to what it answers.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::Request;
use hyper::body::Incoming;
use lanyard_aws::CredentialSource;
use lanyard_kit::life::{self, EXIT_FAULT, Life, configuration_fault};
use lanyard_kit::serve::{Limits as ServeLimits, Options as ServeOptions, ServeError, Server};
use lanyard_kit::telemetry::names;
use lanyard_kit::tls::{CertificateDer, read_ca_file};
use lanyard_kit::{Clock, SystemClock};
use serde_json::json;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};
use url::Url;

use crate::agent::{Agent, Limits};
use crate::args::{AgentCommand, Args};
use crate::config::{AGENT_V4, AGENT_V6, AgentConfig, EksAuthConfig, HubConfig, KubeletCheck, PodsFrom};
use crate::door::{Answered, ContainerDoor, Hosts, MetadataDoor, MetadataOptions, Probe, Relay, Sessions};
use crate::kernel::{Addresses, Redirect};
use crate::limits::Rate;
use crate::pods::{Lister, ListerOptions, PodWatch, WatchOptions};
use crate::upstream::{Configured, EksAuth, EksAuthOptions, Hub, HubOptions, Patient};
use crate::vault::{Schedule, Vault, VaultOptions};

/// The metadata service's own addresses, which requests of that road name.
const METADATA_HOSTS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// Connections of all pods of a node that are open at once; SDKs have one for a moment each.
const CONNECTIONS_MAX: usize = 4_096;
/// Longest head of a request, in bytes: a token of the greatest length, and what SDKs send beside it.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// How long a request's head may take, and a connection may be silent (the published agent's read timeout).
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may take when the agent stops: longer than the answer to any.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// For a question to the kubelet.
const KUBELET_TIMEOUT: Duration = Duration::from_secs(2);
/// How far answers of the instance-metadata road go: to the pod, and over no router behind it (as AWS's own default).
const METADATA_HOPS_MAX: u32 = 1;
/// The port of kubelets.
const KUBELET_PORT: u16 = 10_250;

/// Does what the command line says.
pub fn main(command: &AgentCommand) -> ExitCode {
    match command {
        AgentCommand::Server(args) => server(args),
        AgentCommand::Initialize => once(|| {
            // They stay: the server that follows finds them there.
            Addresses::set_up(&[IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6)]).map(|_| ())
        }),
        AgentCommand::RemoveRules => once(Redirect::remove),
    }
}

#[expect(clippy::print_stderr, reason = "these run without a log")]
fn once<E: std::fmt::Display>(work: impl FnOnce() -> Result<(), E>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lanyard: {error}");
            ExitCode::from(EXIT_FAULT)
        }
    }
}

/// Answers until told to stop.
fn server(args: &Args) -> ExitCode {
    let sources = match args.sources() {
        Ok(sources) => sources,
        Err(fault) => return configuration_fault(&fault),
    };
    let options = |config: &AgentConfig| life::Options {
        workers: Some(config.workers),
        ..life::Options::of("lanyard-agent", &config.log, &config.metrics, &config.telemetry)
    };
    life::configured(&sources, args.print_config, AgentConfig::validate, options, |config, life| async move {
        serve(config, life).await.map_err(|error| format!("{error:#}"))
    })
}

async fn serve(config: AgentConfig, life: Life) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ready = life.readiness().register("listeners");
    let pods = pods(&config)?.map(Arc::new);
    let upstream = Patient::new(upstream(&config, &clock)?, milliseconds(config.cache.fetch_timeout_ms));
    let vault = Vault::new(upstream, Arc::clone(&clock), vault_options(&config));
    let agent = Arc::new(Agent::new(Arc::clone(&vault), pods.clone(), limits(&config), clock));
    let addresses = addresses(&config)?;
    let listeners = Listeners::bind(&config).await?;
    rules(&config, addresses.as_ref());
    let probes = Probe::new(&listeners.container_addresses(), life.readiness().clone());
    let about = listeners.about(life.metrics_url());

    let mut serving = JoinSet::new();
    let relay = relay(&config)?.map(Arc::new);
    for server in listeners.container {
        let own = server.address().ip();
        let hosts = Hosts::of([IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6), own]);
        let door = Arc::new(ContainerDoor::new(Arc::clone(&agent), relay.clone(), hosts, own));
        serving.spawn(run(server, &life, move |request| {
            let door = Arc::clone(&door);
            async move { door.answer(request).await }
        }));
    }
    let metadata = metadata_options(&config);
    let sessions = Arc::new(Sessions::new()?);
    for server in listeners.metadata {
        let own = server.address().ip();
        let hosts = Hosts::of(METADATA_HOSTS.into_iter().chain([own]));
        let (options, sessions) = (Arc::clone(&metadata), Arc::clone(&sessions));
        let door = Arc::new(MetadataDoor::new(Arc::clone(&agent), options, sessions, hosts, own));
        serving.spawn(run(server, &life, move |request| {
            let door = Arc::clone(&door);
            async move { door.answer(request).await }
        }));
    }
    serving.spawn(run(listeners.probes, &life, move |request| {
        let probes = probes.clone();
        async move { probes.answer(request).await }
    }));
    serving.spawn(vault.run(pods.clone(), life.stop()));
    if let Some(pods) = pods {
        let stop = life.stop();
        serving.spawn(async move { pods.run(stop).await });
    }
    ready.ready();
    life::tell_ready(&about, config.ready_file.as_deref())?;
    while serving.join_next().await.is_some() {}
    if let Some(addresses) = addresses {
        addresses.take_down();
    }
    Ok(())
}

fn run<W, F>(server: Server, life: &Life, work: W) -> impl Future<Output = ()> + Send + 'static
where
    W: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answered> + Send + 'static,
{
    let stop = life.stop();
    let service = tower::service_fn(move |request| {
        let answered = work(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    server.run(service, stop)
}

/// All that is listened at.
struct Listeners {
    container: Vec<Server>,
    metadata: Vec<Server>,
    probes: Server,
}

impl Listeners {
    async fn bind(config: &AgentConfig) -> anyhow::Result<Self> {
        let mut container = at_hosts(config, config.port, None).await?;
        for address in &config.listen {
            container.push(listener(*address, None).await?);
        }
        if container.is_empty() {
            bail!("none of the addresses that pods ask at can be had");
        }
        let mut metadata = Vec::new();
        if config.imds.is_on() {
            metadata = at_hosts(config, config.imds.port, Some(METADATA_HOPS_MAX)).await?;
            for address in &config.imds.listen {
                metadata.push(listener(*address, Some(METADATA_HOPS_MAX)).await?);
            }
        }
        let probes = listener(SocketAddr::from((Ipv4Addr::LOCALHOST, config.probe_port)), None).await?;
        Ok(Self { container, metadata, probes })
    }

    fn container_addresses(&self) -> Vec<SocketAddr> {
        self.container.iter().map(Server::address).collect()
    }

    fn about(&self, metrics: Option<&str>) -> serde_json::Value {
        let urls = |servers: &[Server]| -> Vec<String> {
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
async fn at_hosts(config: &AgentConfig, port: u16, hops_max: Option<u32>) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for host in &config.bind_hosts {
        match listener(SocketAddr::new(*host, port), hops_max).await {
            Ok(server) => servers.push(server),
            Err(error) if host.is_ipv6() => {
                warn!(%error, "not listening there: the node has no such address")
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(servers)
}

async fn listener(address: SocketAddr, hops_max: Option<u32>) -> Result<Server, ServeError> {
    let limits = ServeLimits {
        connections_max: CONNECTIONS_MAX,
        head_timeout: HEAD_TIMEOUT,
        head_bytes_max: HEAD_BYTES_MAX,
        drain_timeout: DRAIN_TIMEOUT,
        ..ServeLimits::default()
    };
    Server::bind(ServeOptions { address, hops_max, limits, ..ServeOptions::loopback(0) }).await
}

/// The agent's own addresses, if it is to set them up. Where it may not, somebody else may have.
fn addresses(config: &AgentConfig) -> anyhow::Result<Option<Addresses>> {
    let own = |address: &IpAddr| [IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6)].contains(address);
    let wanted: Vec<IpAddr> = config.bind_hosts.iter().copied().filter(own).collect();
    if !config.manage_addresses || wanted.is_empty() {
        return Ok(None);
    }
    match Addresses::set_up(&wanted) {
        Ok(addresses) => Ok(Some(addresses)),
        Err(error) if error.is_forbidden() => {
            info!(%error, "the addresses are not set up by this process");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The packet rules of the instance-metadata road, or none where it is off.
fn rules(config: &AgentConfig, addresses: Option<&Addresses>) {
    if !config.imds.manage_rules {
        return;
    }
    let written = if config.imds.is_on() {
        let has_v6 =
            addresses.is_some_and(Addresses::has_v6) && config.bind_hosts.contains(&IpAddr::V6(AGENT_V6));
        let redirect =
            Redirect { agent_v4: AGENT_V4, agent_v6: has_v6.then_some(AGENT_V6), port: config.imds.port };
        redirect.write()
    } else {
        Redirect::remove()
    };
    match written {
        Ok(()) => {}
        Err(error) if !config.imds.is_on() => debug!(%error, "whether there are packet rules is not known"),
        Err(error) => warn!(%error, "the instance-metadata road is open, and no packet is redirected to it"),
    }
}

fn pods(config: &AgentConfig) -> anyhow::Result<Option<PodWatch>> {
    let kubelet = &config.kubelet;
    let is_checked = kubelet.check != KubeletCheck::Off;
    metrics::gauge!(names::AGENT_KUBELET_CHECK).set(if is_checked { 1.0 } else { 0.0 });
    if !is_checked {
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
        timeout: KUBELET_TIMEOUT,
    })?;
    let options = WatchOptions {
        interval: milliseconds(kubelet.interval_ms),
        compares_addresses: kubelet.check == KubeletCheck::On,
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
            let own = || {
                let variable = |name: &str| std::env::var(name).ok();
                let (host, port) =
                    (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                Url::parse(&format!("https://{host}:{port}")).ok()
            };
            let missing = "KUBERNETES_SERVICE_HOST names no API server: outside of a pod, give --kubelet-url";
            let mut url = kubelet.url.clone().or_else(own).context(missing)?;
            let node = kubelet.node_name.as_deref().context("kubelet.node_name: which node is this?")?;
            url.set_path("/api/v1/pods");
            url.query_pairs_mut().append_pair("fieldSelector", &format!("spec.nodeName={node}"));
            Ok(url)
        }
    }
}

fn upstream(config: &AgentConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Configured> {
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

fn relay(config: &AgentConfig) -> anyhow::Result<Option<Relay>> {
    let Some(hub) = &config.hub else { return Ok(None) };
    let Some(url) = &hub.sts_url else { return Ok(None) };
    let (roots, _) = roots(&hub.ca)?;
    Ok(Some(Relay::new(url, &roots)?))
}

fn roots(path: &std::path::Path) -> anyhow::Result<(Vec<CertificateDer<'static>>, String)> {
    read_ca_file(path).map_err(|error| anyhow::anyhow!("`{}` {error}", path.display()))
}

fn metadata_options(config: &AgentConfig) -> Arc<MetadataOptions> {
    let imds = &config.imds;
    Arc::new(MetadataOptions {
        namespaces: imds.namespaces.clone(),
        pods_folder: imds.pods_folder.clone(),
        region: imds.region.clone(),
        zone: imds.zone.clone(),
    })
}

fn vault_options(config: &AgentConfig) -> VaultOptions {
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

fn limits(config: &AgentConfig) -> Limits {
    let limits = &config.limits;
    let node = (limits.node_per_second > 0).then(|| Rate::new(limits.node_per_second, limits.node_burst));
    Limits { newcomers: Rate::new(limits.newcomer_per_second, limits.newcomer_burst), node }
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

//! What the agent can be told.

mod rules;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use lanyard_iam::Region;
use lanyard_kit::telemetry::{LogConfig, LogFormat, MetricsConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};
use url::Url;

/// The container-credentials address in IPv4 (Amazon EKS User Guide, "EKS Pod Identity Agent").
pub const AGENT_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
/// The same in IPv6.
pub const AGENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23);

/// What the agent is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The cluster: its id at the hub, or its name at an EKS Auth endpoint.
    pub cluster_name: String,
    /// Where pods ask, each with the port below. The two addresses by default.
    pub bind_hosts: Vec<IpAddr>,
    /// The port of these.
    pub port: u16,
    /// More places to listen, each with a port of its own; 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Whether the agent sets its two addresses up, and takes them down in the end. Only what `bind_hosts` names of them.
    pub manage_addresses: bool,
    /// The port of `/healthz` and `/readyz` on 127.0.0.1; 0 takes a free one.
    pub probe_port: u16,
    /// A Lanyard hub, from which credentials come.
    pub hub: Option<HubConfig>,
    /// An EKS Auth endpoint, in place of a hub.
    pub eks_auth: Option<EksAuthConfig>,
    /// Credentials that are kept.
    pub cache: CacheConfig,
    /// How much is answered.
    pub limits: LimitsConfig,
    /// Who says which pods run here.
    pub kubelet: KubeletConfig,
    /// The instance-metadata road.
    pub imds: ImdsConfig,
    /// The cluster's API server, for what only it can tell.
    pub api_server: ApiServerConfig,
    /// Written once everything answers: one JSON object for scripts.
    pub ready_file: Option<PathBuf>,
    /// Threads that work. One answers many times what a node's pods ask, and each has memory of its own.
    pub workers: usize,
    /// The log on standard error; audit lines are in it.
    pub log: LogConfig,
    /// The listener for operators.
    pub metrics: MetricsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            cluster_name: String::new(),
            bind_hosts: vec![IpAddr::V4(AGENT_V4), IpAddr::V6(AGENT_V6)],
            port: 80,
            listen: Vec::new(),
            manage_addresses: true,
            probe_port: 2703,
            hub: None,
            eks_auth: None,
            cache: CacheConfig::default(),
            limits: LimitsConfig::default(),
            kubelet: KubeletConfig::default(),
            imds: ImdsConfig::default(),
            api_server: ApiServerConfig::default(),
            ready_file: None,
            workers: 1,
            log: LogConfig { format: LogFormat::Json, ..LogConfig::default() },
            metrics: MetricsConfig { listen: Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 2705))) },
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl AgentConfig {
    /// What a token is held against. The published agent's DaemonSet says nothing of a kubelet, gives the agent no right to ask one, and
    /// is to work as it is: so without a word about it nobody is asked there. A hub's agents have always been told.
    #[must_use]
    pub fn kubelet_check(&self) -> KubeletCheck {
        let kubelet = &self.kubelet;
        let is_told =
            kubelet.url.is_some() || kubelet.node_ip.is_some() || kubelet.pods_from != PodsFrom::Kubelet;
        let by_itself = if self.hub.is_some() || is_told || self.imds.is_on() {
            KubeletCheck::On
        } else {
            KubeletCheck::Off
        };
        kubelet.check.unwrap_or(by_itself)
    }
}

/// A hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Its front door: `https://HOST:PORT`.
    pub url: Url,
    /// A PEM file with who vouches for its certificate.
    pub ca: PathBuf,
    /// The agent's projected token for the audience `lanyard:node`.
    #[serde(default = "node_token_file")]
    pub token_file: PathBuf,
    /// Its AWS wire, to which STS calls of pods are relayed; none: they are not.
    #[serde(default)]
    pub sts_url: Option<Url>,
}

fn node_token_file() -> PathBuf {
    PathBuf::from("/var/run/secrets/lanyard/token")
}

/// An EKS Auth endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EksAuthConfig {
    /// Its address; AWS's own of the region where it is not said.
    #[serde(default)]
    pub endpoint: Option<Url>,
    /// A PEM file with who vouches for its certificate; the system's authorities where it is not said.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The region of the signature.
    pub region: Region,
    /// Where the endpoint is a hub's: its AWS wire, to which STS calls of pods are relayed, and for which `ca` vouches too; none: they
    /// are not.
    #[serde(default)]
    pub sts_url: Option<Url>,
}

/// Credentials that are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Longest time until they are renewed, in seconds; 0: nothing is kept.
    pub retention_seconds: u64,
    /// Most tokens with credentials; 0: nothing is kept.
    pub entries_max: usize,
    /// Most renewals a second.
    pub renewals_per_second: u32,
    /// Until the hub or endpoint has to have answered, in milliseconds, retries included. SDKs wait one or two seconds.
    pub fetch_timeout_ms: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            retention_seconds: 3 * 3600,
            entries_max: 2000,
            renewals_per_second: 3,
            fetch_timeout_ms: 1_800,
        }
    }
}

/// How much is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Most answers a second for one pod.
    pub pod_per_second: u32,
    /// Most at once for one pod.
    pub pod_burst: u32,
    /// Most questions a second from one address with tokens that nobody has vouched for yet.
    pub newcomer_per_second: u32,
    /// Most of these at once.
    pub newcomer_burst: u32,
    /// Most answers a second for the whole node; 0: no such limit, for one pod's would starve the others. The published agent has
    /// 1000.
    pub node_per_second: u32,
    /// Most at once for the whole node. The published agent has 500.
    pub node_burst: u32,
    /// Open connections of one pod's address, at each address of the agent; beyond it, new ones are closed at once. SDKs have one for a
    /// moment. The node's own processes and host-network pods have one address together, with half of all connections. It counts where
    /// the kubelet is asked for pods' addresses too.
    pub pod_connections: usize,
}

/// Most connections that one pod may be given: a quarter of what the agent has at an address.
pub const POD_CONNECTIONS_MAX: usize = CONNECTIONS_MAX / 4;
/// Connections of all pods of a node that are open at once at one of the agent's addresses; SDKs have one for a moment each.
pub const CONNECTIONS_MAX: usize = 4_096;

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            pod_per_second: 200,
            pod_burst: 500,
            newcomer_per_second: 10,
            newcomer_burst: 40,
            node_per_second: 0,
            node_burst: 500,
            pod_connections: 64,
        }
    }
}

/// What a token is held against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KubeletCheck {
    /// The pod's uid, ServiceAccount, node and address.
    #[default]
    On,
    /// All but the address: for networks in which pods reach the node with another one.
    WithoutAddress,
    /// Nothing: for nodes whose kubelet may not be asked. A token is then worth as much in another pod's hands.
    Off,
}

/// Who is asked about the pods of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PodsFrom {
    /// The kubelet, for the subresource `nodes/pods` (Kubernetes 1.33 on).
    #[default]
    Kubelet,
    /// The API server, for the pods of this node.
    ApiServer,
}

/// Who says which pods run here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubeletConfig {
    /// What a token is held against. Where it is not said: on; off for an EKS Auth endpoint, where nothing tells where the kubelet is.
    pub check: Option<KubeletCheck>,
    /// Who is asked.
    pub pods_from: PodsFrom,
    /// The node's name.
    pub node_name: Option<String>,
    /// The node's address.
    pub node_ip: Option<IpAddr>,
    /// The kubelet, where it is not `https://<node's address>:10250`; or the API server, where it is not the pod's own.
    pub url: Option<Url>,
    /// A PEM file with who vouches for that server's certificate; the cluster's authority where it is not said. Kubelets that make
    /// their own certificates have it in `/var/lib/kubelet/pki/kubelet.crt`.
    pub ca: PathBuf,
    /// The agent's ServiceAccount token.
    pub token_file: PathBuf,
    /// How often the list is read, in milliseconds.
    pub interval_ms: u64,
}

/// Who vouches for the servers of the cluster, as each pod is given it (Kubernetes, "Accessing the Kubernetes API from a Pod").
const CLUSTER_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// The token of the agent's ServiceAccount.
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

impl Default for KubeletConfig {
    fn default() -> Self {
        Self {
            check: None,
            pods_from: PodsFrom::default(),
            node_name: None,
            node_ip: None,
            url: None,
            ca: PathBuf::from(CLUSTER_CA),
            token_file: PathBuf::from(OWN_TOKEN),
            interval_ms: 5_000,
        }
    }
}

/// The cluster's API server. It is asked for nothing unless `imds.by_label` says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiServerConfig {
    /// Its address, where it is not the pod's own (`KUBERNETES_SERVICE_HOST`).
    pub url: Option<Url>,
    /// A PEM file with who vouches for its certificate.
    pub ca: PathBuf,
    /// The agent's ServiceAccount token.
    pub token_file: PathBuf,
}

impl Default for ApiServerConfig {
    fn default() -> Self {
        Self { url: None, ca: PathBuf::from(CLUSTER_CA), token_file: PathBuf::from(OWN_TOKEN) }
    }
}

/// The instance-metadata road.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImdsConfig {
    /// The namespaces whose pods get credentials there; `*` is all. None, and no look at labels: the road is off, and no packet is
    /// redirected.
    pub namespaces: BTreeSet<String>,
    /// Whether those have it too that bear the label `lanyard.dev/instance-metadata=enabled`, which the API server is asked for.
    pub by_label: bool,
    /// The port that redirected requests come to, on the agent's addresses.
    pub port: u16,
    /// Where else that road is answered; 0 takes a free port.
    pub listen: Vec<SocketAddr>,
    /// Whether pods are kept from the node's metadata service where the road is off, too, by packet rules that end what they send to it.
    /// Where the road is on they are kept from it anyway.
    pub block: bool,
    /// Whether the agent writes the packet rules that redirect.
    pub manage_rules: bool,
    /// Where the kubelet has its pods' volumes.
    pub pods_folder: PathBuf,
    /// The region that pods are told.
    pub region: Option<Region>,
    /// The availability zone that pods are told.
    pub zone: Option<String>,
}

impl Default for ImdsConfig {
    fn default() -> Self {
        Self {
            namespaces: BTreeSet::new(),
            by_label: false,
            port: 2704,
            listen: Vec::new(),
            block: false,
            manage_rules: true,
            pods_folder: PathBuf::from("/var/lib/kubelet/pods"),
            region: None,
            zone: None,
        }
    }
}

impl ImdsConfig {
    /// Whether anybody may get credentials there.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.by_label || !self.namespaces.is_empty()
    }
}

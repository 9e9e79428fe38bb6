//! The command line: the published agent's flags under their names and with their meaning, and this one's own.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgAction, Subcommand};
use lanyard_kit::config::Sources;
use lanyard_kit::life;
use serde_json::{Map, Value, json};

use crate::config::{KubeletCheck, PodsFrom};
use crate::duration;

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum AgentCommand {
    /// Answers the pods of this node until it is told to stop.
    Server(Box<Args>),
    /// Sets the two addresses up, and ends: for an init container that alone may do so.
    Initialize(InitializeArgs),
    /// Prints packet rules for the node's boot, for `nft -f`: pods reach no instance-metadata service before the agent runs.
    BootRules,
    /// Takes away the packet rules of the instance-metadata road and of --imds-block, which stay when the agent ends.
    RemoveRules,
}

/// The flags of who only sets the addresses up.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct InitializeArgs {
    /// Accepted as the published agent has it: panic, error, info or trace. There is no log, only what went wrong.
    #[arg(short = 'v', long, value_name = "LEVEL", value_parser = level)]
    pub verbosity: Option<&'static str>,
}

/// The flags of the agent.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The cluster: its id at the hub, or its name at an EKS Auth endpoint.
    #[arg(short = 'c', long, value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// Addresses at which pods ask; again for each [default: 169.254.170.23 and fd00:ec2::23].
    #[arg(short = 'b', long, value_name = "ADDRESS", value_delimiter = ',', value_parser = parse_host)]
    pub bind_hosts: Vec<IpAddr>,
    /// The port of these [default: 80].
    #[arg(short = 'p', long, value_name = "PORT")]
    pub port: Option<u16>,
    /// More places to listen, each with a port; again for each.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// Whether the agent sets its two addresses up, and takes them down in the end [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub manage_addresses: Option<bool>,
    /// The port of /healthz and /readyz on 127.0.0.1 [default: 2703].
    #[arg(long, value_name = "PORT")]
    pub probe_port: Option<u16>,
    /// The address of /metrics [default: 0.0.0.0].
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_address: Option<IpAddr>,
    /// The port of /metrics [default: 2705].
    #[arg(long, value_name = "PORT")]
    pub metrics_port: Option<u16>,
    /// A Lanyard hub: its front door, as https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    pub hub: Option<String>,
    /// Who vouches for the hub's certificate, as PEM.
    #[arg(long, value_name = "FILE")]
    pub hub_ca: Option<PathBuf>,
    /// The agent's own projected token for the audience lanyard:node [default: /var/run/secrets/lanyard/token].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The hub's AWS wire, to which pods' calls to STS are relayed, as https://HOST:PORT; with --hub, or with --endpoint and its
    /// --endpoint-ca [default: no relay].
    #[arg(long, value_name = "URL")]
    pub hub_sts: Option<String>,
    /// An EKS Auth endpoint in place of a hub [default: AWS's own of the region].
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Who vouches for the endpoint's certificate, as PEM [default: the system's authorities].
    #[arg(long, value_name = "FILE")]
    pub endpoint_ca: Option<PathBuf>,
    /// The region: of the signature to EKS Auth, and what pods are told on the instance-metadata road.
    #[arg(long, value_name = "REGION", env = "AWS_REGION")]
    pub region: Option<String>,
    /// Longest time until credentials are renewed, like 3h; 0 keeps none [default: 3h].
    #[arg(long, value_name = "DURATION")]
    pub max_credential_retention_before_renewal: Option<String>,
    /// Most tokens whose credentials are kept; 0 keeps none [default: 2000].
    #[arg(long, value_name = "COUNT")]
    pub max_cache_size: Option<usize>,
    /// Most renewals a second [default: 3].
    #[arg(long, value_name = "COUNT")]
    pub max_service_qps: Option<u32>,
    /// Accepted as the published agent has it: the node's credential files are read anew as they change, always.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub rotate_credentials: Option<bool>,
    /// What a token is held against: its pod as the kubelet has it, the same without the address, or nothing [default: on; off with an
    /// EKS Auth endpoint, where nothing says where the kubelet is].
    #[arg(long, value_name = "WHAT")]
    pub kubelet_check: Option<KubeletCheck>,
    /// Who is asked about the node's pods [default: kubelet].
    #[arg(long, value_name = "WHO")]
    pub pods_from: Option<PodsFrom>,
    /// The kubelet, or the API server where that is asked [default: https://NODE_IP:10250, or the pod's own API server].
    #[arg(long, value_name = "URL")]
    pub kubelet_url: Option<String>,
    /// Who vouches for its certificate, as PEM [default: the cluster's authority].
    #[arg(long, value_name = "FILE")]
    pub kubelet_ca: Option<PathBuf>,
    /// The agent's ServiceAccount token, to ask with [default: the pod's].
    #[arg(long, value_name = "FILE")]
    pub kubelet_token_file: Option<PathBuf>,
    /// The node's name.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,
    /// The node's address.
    #[arg(long, value_name = "ADDRESS", env = "NODE_IP")]
    pub node_ip: Option<IpAddr>,
    /// A namespace whose pods get credentials on the instance-metadata road; again for each, * for all [default: none, the road is
    /// off].
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    pub imds_namespace: Vec<String>,
    /// Whether those have it too that bear the label lanyard.dev/instance-metadata=enabled; the API server is asked for them [default:
    /// false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub imds_by_label: Option<bool>,
    /// More places where that road is answered, each with a port.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',')]
    pub imds_listen: Vec<SocketAddr>,
    /// Whether pods are kept from the node's own metadata service, and so from its role, where that road is off too: packet rules end what
    /// they send to it, and stay when the agent ends. It needs CAP_NET_ADMIN [default: false, pods reach that service unless the road is on].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub imds_block: Option<bool>,
    /// Whether the agent writes the packet rules of that road, and of --imds-block [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub imds_manage_rules: Option<bool>,
    /// Where the kubelet has its pods' volumes [default: /var/lib/kubelet/pods].
    #[arg(long, value_name = "DIR")]
    pub pods_folder: Option<PathBuf>,
    /// The availability zone that pods are told on that road.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// A TOML file with all of this.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Written once everything answers, and removed at the end: one JSON object for scripts.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What is logged, such as `info,lanyard_agent=debug`.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// The same in the published agent's words: panic, error, info or trace.
    #[arg(short = 'v', long, value_name = "LEVEL")]
    pub verbosity: Option<String>,
    /// Shows the configuration as it would be used, and ends.
    #[arg(long, action = ArgAction::SetTrue)]
    pub print_config: bool,
}

const HELP: &str = "Credentials come from a hub, to which the agent proves itself by its own projected token, or from EKS Auth, \
                    signed with the node's credentials from where AWS's tools look for them.\n\nPods reach the node's own metadata service, and so \
                    its role, unless --imds-block or the instance-metadata road keeps them from it.\n\nExamples:\n  lanyard-agent \
                    server --cluster-name dev --hub https://hub.example:8444 --hub-sts https://hub.example:8445 --hub-ca \
                    /etc/lanyard/ca.pem --imds-block\n  lanyard-agent server --cluster-name prod --region eu-west-1\n  lanyard-agent server --config agent.toml --print-config\n\nEvery \
                    flag is a key of the configuration file, and of the environment: LANYARD_CLUSTER_NAME, \
                    LANYARD_CACHE__ENTRIES_MAX. docs/agent.md has the whole.";

impl Args {
    /// The file, the environment, and these flags, as keys of the configuration.
    ///
    /// # Errors
    /// A flag that is none, with what to write.
    pub fn sources(&self) -> Result<Sources, String> {
        Ok(life::sources(self.config.as_deref(), self.keys()?))
    }

    fn keys(&self) -> Result<Value, String> {
        let retention = self.max_credential_retention_before_renewal.as_deref();
        let retention = retention.map(duration::parse).transpose();
        let retention =
            retention.map_err(|error| format!("--max-credential-retention-before-renewal: {error}"))?;
        let verbosity = self.verbosity.as_deref().map(level).transpose()?;
        let filter = self.log.as_deref().or(verbosity);
        let mut metrics = None;
        if self.metrics_address.is_some() || self.metrics_port.is_some() {
            let address = self.metrics_address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
            metrics = Some(SocketAddr::new(address, self.metrics_port.unwrap_or(2705)));
        }
        // The hub is the endpoint, where that is what is given; else a hub is, which a file may name.
        let (of_endpoint, of_hub) = match &self.endpoint {
            Some(_) => (&self.hub_sts, &None),
            None => (&None, &self.hub_sts),
        };
        let hub = keys(vec![
            ("url", json!(self.hub)),
            ("ca", json!(self.hub_ca)),
            ("token_file", json!(self.token_file)),
            ("sts_url", json!(of_hub)),
        ]);
        let mut eks_auth = keys(vec![
            ("endpoint", json!(self.endpoint)),
            ("ca", json!(self.endpoint_ca)),
            ("sts_url", json!(of_endpoint)),
        ]);
        if self.hub.is_none() && (self.region.is_some() || !eks_auth.is_null()) {
            let region = keys(vec![("region", json!(self.region))]);
            eks_auth = merged(eks_auth, region);
        }
        Ok(keys(vec![
            ("cluster_name", json!(self.cluster_name)),
            ("bind_hosts", list(&self.bind_hosts)),
            ("port", json!(self.port)),
            ("listen", list(&self.listen)),
            ("manage_addresses", json!(self.manage_addresses)),
            ("probe_port", json!(self.probe_port)),
            ("hub", hub),
            ("eks_auth", eks_auth),
            (
                "cache",
                keys(vec![
                    ("retention_seconds", json!(retention.map(|retention| retention.as_secs()))),
                    ("entries_max", json!(self.max_cache_size)),
                    ("renewals_per_second", json!(self.max_service_qps)),
                ]),
            ),
            (
                "kubelet",
                keys(vec![
                    ("check", json!(self.kubelet_check)),
                    ("pods_from", json!(self.pods_from)),
                    ("node_name", json!(self.node_name)),
                    ("node_ip", json!(self.node_ip)),
                    ("url", json!(self.kubelet_url)),
                    ("ca", json!(self.kubelet_ca)),
                    ("token_file", json!(self.kubelet_token_file)),
                ]),
            ),
            (
                "imds",
                keys(vec![
                    ("namespaces", list(&self.imds_namespace)),
                    ("by_label", json!(self.imds_by_label)),
                    ("listen", list(&self.imds_listen)),
                    ("block", json!(self.imds_block)),
                    ("manage_rules", json!(self.imds_manage_rules)),
                    ("pods_folder", json!(self.pods_folder)),
                    ("region", json!(self.region)),
                    ("zone", json!(self.zone)),
                ]),
            ),
            ("ready_file", json!(self.ready_file)),
            ("log", keys(vec![("filter", json!(filter))])),
            ("metrics", keys(vec![("listen", json!(metrics))])),
        ]))
    }
}

/// An object of what was given; null where nothing was.
fn keys(pairs: Vec<(&str, Value)>) -> Value {
    // One after the other, and from a list of any length: what is collected is sorted first, by code for each kind of source.
    let mut given = Map::new();
    for (key, value) in pairs {
        if !value.is_null() {
            given.insert(key.to_owned(), value);
        }
    }
    if given.is_empty() { Value::Null } else { Value::Object(given) }
}

fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            Value::Object(first)
        }
        (Value::Null, other) | (other, _) => other,
    }
}

fn list<T: serde::Serialize>(values: &[T]) -> Value {
    if values.is_empty() { Value::Null } else { json!(values) }
}

/// An address, in brackets or not: the published agent's default has them for IPv6.
fn parse_host(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare {
        "localhost" => Ok(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        bare => bare.parse().map_err(|_| "it is no address".to_owned()),
    }
}

/// A level of the published agent's log.
fn level(word: &str) -> Result<&'static str, String> {
    match word {
        "panic" | "fatal" | "error" => Ok("error"),
        "warn" | "warning" => Ok("warn"),
        "info" => Ok("info"),
        "debug" => Ok("debug"),
        "trace" => Ok("trace"),
        _ => Err(format!("--verbosity: `{word}` is no level; write panic, error, info or trace")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lanyard_kit::config::load;

    use super::*;
    use crate::config::AgentConfig;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn config(line: &str) -> AgentConfig {
        let args = Cli::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap().args;
        load(&Sources::none().flags(args.keys().unwrap())).unwrap()
    }

    #[test]
    fn the_published_agents_command_line_means_the_same_here() {
        let config = config(
            "--cluster-name dev --port 80 --probe-port 2703 --bind-hosts 169.254.170.23 --bind-hosts [fd00:ec2::23] \
             --endpoint https://eks-auth.example --region eu-west-1 --max-credential-retention-before-renewal 1h30m \
             --max-cache-size 100 --max-service-qps 9 --rotate-credentials=true --metrics-address 127.0.0.1 --metrics-port 2705 \
             -v trace --node-ip 10.0.0.7",
        );
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.bind_hosts, AgentConfig::default().bind_hosts);
        assert_eq!((config.cluster_name.as_str(), config.port, config.probe_port), ("dev", 80, 2703));
        let endpoint = config.eks_auth.unwrap();
        assert_eq!(endpoint.endpoint.unwrap().as_str(), "https://eks-auth.example/");
        assert_eq!(endpoint.region.as_str(), "eu-west-1");
        let cache = &config.cache;
        assert_eq!((cache.retention_seconds, cache.entries_max, cache.renewals_per_second), (5400, 100, 9));
        assert_eq!(config.metrics.listen, Some("127.0.0.1:2705".parse().unwrap()));
        assert_eq!(config.log.filter, "trace");
    }

    #[derive(Parser)]
    struct Whole {
        #[command(subcommand)]
        command: AgentCommand,
    }

    /// Of the published chart with its default values, whose environment has AWS_REGION alone.
    #[test]
    fn the_published_daemon_set_is_taken_as_it_is() {
        let init = Whole::try_parse_from(["x", "initialize", "-v", "trace"]).unwrap();
        assert!(matches!(init.command, AgentCommand::Initialize(args) if args.verbosity == Some("trace")));
        assert!(Whole::try_parse_from(["x", "initialize", "--verbosity", "loud"]).is_err());
        let line = "--port 80 --cluster-name EKS_CLUSTER_NAME --probe-port 2703 --metrics-port 2705 -v trace";
        let server =
            Whole::try_parse_from(["x", "server"].into_iter().chain(line.split_whitespace())).unwrap();
        assert!(matches!(server.command, AgentCommand::Server(_)));
        for more in ["", "--rotate-credentials true", "--node-name ip-10-0-0-7.eu-west-1.compute.internal"] {
            let config = config(&format!("{line} {more} --region eu-west-1"));
            assert_eq!(config.validate(), Ok(()), "{more}");
            assert_eq!(config.kubelet_check(), KubeletCheck::Off, "{more}");
        }
    }

    #[test]
    fn the_kubelet_is_asked_unless_an_endpoints_agent_is_told_nothing_of_it() {
        use KubeletCheck::{Off, On, WithoutAddress};
        let endpoint = "-c dev --region eu-west-1";
        let hub = "-c dev --hub https://hub.example:8444 --hub-ca /ca.pem";
        let cases = [
            (endpoint, "", Off, true),
            (endpoint, "--node-ip 10.0.0.7", On, true),
            (endpoint, "--kubelet-url https://10.0.0.7:10250", On, true),
            (endpoint, "--pods-from api-server", On, false),
            (endpoint, "--pods-from api-server --node-name node-1", On, true),
            (endpoint, "--kubelet-check on", On, false),
            (endpoint, "--kubelet-check without-address --node-ip 10.0.0.7", WithoutAddress, true),
            (endpoint, "--imds-namespace shop", On, false),
            (hub, "", On, false),
            (hub, "--node-ip 10.0.0.7", On, true),
            (hub, "--kubelet-check off", Off, true),
        ];
        for (base, flags, check, is_valid) in cases {
            let config = config(&format!("{base} {flags}"));
            assert_eq!(
                (config.kubelet_check(), config.validate().is_ok()),
                (check, is_valid),
                "{base} {flags}"
            );
        }
    }

    #[test]
    fn the_least_that_the_published_agent_needs_is_enough() {
        let config = config("-c dev --region eu-west-1");
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.metrics.listen, Some("0.0.0.0:2705".parse().unwrap()));
        let cache = &config.cache;
        assert_eq!(
            (cache.retention_seconds, cache.entries_max, cache.renewals_per_second),
            (3 * 3600, 2000, 3),
            "the published agent's own"
        );
    }

    #[test]
    fn a_hub_is_no_endpoint_although_a_region_is_given() {
        let config =
            config("-c dev --hub https://hub.example --hub-ca /ca.pem --region eu-west-1 --node-ip 10.0.0.7");
        assert_eq!(config.validate(), Ok(()));
        assert!(config.eks_auth.is_none());
        assert_eq!(config.imds.region.unwrap().as_str(), "eu-west-1");
    }

    #[test]
    fn calls_to_sts_are_relayed_to_a_hub_by_whichever_of_its_doors_credentials_come() {
        let sts = "--hub-sts https://hub.example:8445";
        let hub = config(&format!(
            "-c dev --hub https://hub.example:8444 --hub-ca /ca.pem --node-ip 10.0.0.7 {sts}"
        ));
        assert_eq!(hub.validate(), Ok(()));
        assert_eq!(hub.hub.unwrap().sts_url.unwrap().as_str(), "https://hub.example:8445/");
        let endpoint = config(&format!(
            "-c dev --endpoint https://hub.example:8445 --endpoint-ca /ca.pem --region eu-west-1 --node-ip 10.0.0.7 {sts}"
        ));
        assert_eq!(endpoint.validate(), Ok(()));
        assert_eq!(endpoint.eks_auth.unwrap().sts_url.unwrap().as_str(), "https://hub.example:8445/");
    }

    /// The command line of the DaemonSet that is shipped, as its container has it.
    #[test]
    fn the_daemon_set_that_is_shipped_relays_calls_to_sts() {
        let manifest = include_str!("../../../deploy/agent.yaml");
        let lines = manifest.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let list = lines.skip_while(|line| *line != "args:").skip(1);
        let words: Vec<&str> = list.map_while(|line| line.strip_prefix("- ")).collect();
        let (command, flags) = words.split_first().unwrap();
        assert_eq!(*command, "server");
        // Its environment says where the node is.
        let config = config(&format!("{} --node-ip 10.0.0.7", flags.join(" ")));
        assert_eq!(config.validate(), Ok(()));
        let hub = config.hub.unwrap();
        assert_eq!((hub.url.scheme(), hub.sts_url.unwrap().scheme()), ("https", "https"));
        assert_eq!(hub.ca, PathBuf::from("/etc/lanyard/ca.pem"), "it vouches for both");
        assert!(config.imds.block && !config.imds.is_on(), "pods are kept from the node's metadata service");
    }

    #[test]
    fn the_instance_metadata_road_is_on_by_name_or_by_label_and_else_off() {
        let base = "-c dev --region eu-west-1 --node-ip 10.0.0.7";
        for (flags, is_on) in [
            ("", false),
            ("--imds-namespace shop", true),
            ("--imds-by-label", true),
            ("--imds-by-label=false", false),
        ] {
            assert_eq!(config(&format!("{base} {flags}")).imds.is_on(), is_on, "{flags}");
        }
    }

    #[test]
    fn immunity_47_the_nodes_metadata_service_is_closed_by_a_flag_that_opens_no_road_and_needs_no_kubelet() {
        let base = "-c dev --region eu-west-1";
        for (flags, is_blocked) in
            [("", false), ("--imds-block", true), ("--imds-block=true", true), ("--imds-block=false", false)]
        {
            let config = config(&format!("{base} {flags}"));
            assert_eq!((config.imds.block, config.imds.is_on()), (is_blocked, false), "{flags}");
            assert_eq!(config.validate(), Ok(()), "{flags}");
            assert_eq!(config.kubelet_check(), KubeletCheck::Off, "{flags}: the drop-in is told of none");
        }
        let config = config(&format!("{base} --imds-block --imds-manage-rules=false"));
        assert!(config.validate().unwrap_err().starts_with("imds.block"));
    }

    #[test]
    fn what_is_no_flag_of_its_kind_is_named() {
        for (line, named) in [
            ("--max-credential-retention-before-renewal 3", "--max-credential-retention-before-renewal"),
            ("--verbosity loud", "--verbosity"),
        ] {
            let args = Cli::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap().args;
            assert!(args.keys().unwrap_err().starts_with(named), "{line}");
        }
        assert!(Cli::try_parse_from(["x", "--bind-hosts", "nowhere"]).is_err());
    }
}

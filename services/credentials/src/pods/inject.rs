//! What is put into a pod: a projected token, where its containers find it, and the variables that tell SDKs so. Only what is not there
//! is added, so that a pod that has it all, as at a second look, is left alone; nothing is changed, and nothing taken away.
//!
//! The rules are those of the EKS Pod Identity webhook, but for the patch, which names what is added and not whole lists.

use std::collections::HashSet;

use lanyard_api::mapping::AgentAddress;
use serde_json::{Value, json};

use super::{
    identity::{Identity, Road},
    patch::Patch,
};

/// What must not go by a proxy: the node's agent, by either address.
const DIRECT_HOSTS: &str = "169.254.170.23,[fd00:ec2::23]";

/// The pod's containers that are left alone: one line of comma-separated names.
const SKIP_CONTAINERS: &str = "eks.amazonaws.com/skip-containers";
/// Pods of an association are found by it.
const LABEL: (&str, &str) = ("eks.amazonaws.com/pod-identity", "enabled");
/// The kubelet's picture of a pod that it runs by itself; it may have no token (Kubernetes, static pods).
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Proxies, in all their spellings.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// What is not for proxies. Programs disagree which of the two counts, so that adding one would end the other.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Where pods reach the node's agent, and by that the hub's STS, without a certificate authority of their own. It has no path: SDKs sign
/// host and path, and the agent changes neither.
pub(super) fn agent_sts_url(agent: AgentAddress) -> &'static str {
    match agent {
        AgentAddress::Ipv4 => "http://169.254.170.23",
        AgentAddress::Ipv6 => "http://[fd00:ec2::23]",
    }
}

/// Where SDKs ask for credentials (container credentials).
fn credentials_url(agent: AgentAddress) -> &'static str {
    match agent {
        AgentAddress::Ipv4 => "http://169.254.170.23/v1/credentials",
        AgentAddress::Ipv6 => "http://[fd00:ec2::23]/v1/credentials",
    }
}

/// The address that a pod's own list of what is not for proxies has to have. Programs disagree about the brackets.
fn agent_address(agent: AgentAddress) -> &'static str {
    match agent {
        AgentAddress::Ipv4 => "169.254.170.23",
        AgentAddress::Ipv6 => "fd00:ec2::23",
    }
}

/// What the hub knows beside the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// The cluster's region.
    pub(super) region: Option<String>,
    /// Where STS is, if not where SDKs look for it.
    pub(super) sts_url: Option<&'static str>,
    /// By which of its addresses the cluster's pods reach the node's agent.
    pub(super) agent: AgentAddress,
}

/// How a road's token is called and where it lies.
struct Token {
    volume: &'static str,
    file: &'static str,
    folder: &'static str,
}

const IRSA: Token = Token {
    volume: "aws-iam-token",
    file: "token",
    folder: "/var/run/secrets/eks.amazonaws.com/serviceaccount",
};

const POD_IDENTITY: Token = Token {
    volume: "eks-pod-identity-token",
    file: "eks-pod-identity-token",
    folder: "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount",
};

const CONTAINERS: &str = "containers";
const INIT_CONTAINERS: &str = "initContainers";
const EPHEMERAL_CONTAINERS: &str = "ephemeralContainers";

/// Whether nothing is put into a pod whatever its ServiceAccount has: the kubelet runs it by itself, or it was made without a token's
/// volume and gets ephemeral containers now.
pub(super) fn gets_nothing(pod: &Value, is_there_already: bool) -> bool {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    match is_there_already {
        true => ![&IRSA, &POD_IDENTITY].into_iter().any(|token| has_volume(spec, token)),
        false => is_mirror(pod),
    }
}

/// The patch of a new pod, and what its maker should know.
pub(super) fn into_new(pod: &Value, identity: &Identity, around: &Surroundings) -> (Patch, Vec<String>) {
    let mut injection = Injection::of(pod, identity, around);
    if is_mirror(pod) {
        return injection.done();
    }
    injection.containers(CONTAINERS, &HashSet::new());
    injection.containers(INIT_CONTAINERS, &HashSet::new());
    if injection.is_mounted {
        injection.volume();
        injection.label();
    }
    injection.done()
}

/// The patch of a pod that gets ephemeral containers: those that were not there before may be changed, and nothing else. Without the
/// volume, which a pod has from the start or never, they get nothing.
pub(super) fn into_ephemeral(
    pod: &Value,
    before: &Value,
    identity: &Identity,
    around: &Surroundings,
) -> (Patch, Vec<String>) {
    let mut injection = Injection::of(pod, identity, around);
    if injection.has_volume() {
        let there = list(before.get("spec").unwrap_or(&Value::Null), EPHEMERAL_CONTAINERS);
        let there = there.iter().filter_map(|container| name_of(container)).collect();
        injection.containers(EPHEMERAL_CONTAINERS, &there);
    }
    injection.done()
}

/// A patch in the making.
struct Injection<'a> {
    pod: &'a Value,
    spec: &'a Value,
    identity: &'a Identity,
    token: &'static Token,
    /// Variables that come together or not at all.
    pair: [(&'static str, String); 2],
    around: &'a Surroundings,
    patch: Patch,
    warnings: Vec<String>,
    /// Whether a container mounts the volume, now or then.
    is_mounted: bool,
}

impl<'a> Injection<'a> {
    fn of(pod: &'a Value, identity: &'a Identity, around: &'a Surroundings) -> Self {
        let spec = pod.get("spec").unwrap_or(&Value::Null);
        let (token, pair) = match &identity.road {
            Road::Irsa { role_arn } => {
                let file = token_file(&IRSA, is_windows(spec));
                (&IRSA, [("AWS_ROLE_ARN", role_arn.clone()), ("AWS_WEB_IDENTITY_TOKEN_FILE", file)])
            }
            Road::PodIdentity => {
                let file = token_file(&POD_IDENTITY, is_windows(spec));
                let url = credentials_url(around.agent).to_owned();
                let names = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
                let [first, second] = names;
                (&POD_IDENTITY, [(first, url), (second, file)])
            }
        };
        let (patch, warnings) = (Patch::default(), Vec::new());
        Self { pod, spec, identity, token, pair, around, patch, warnings, is_mounted: false }
    }

    fn done(self) -> (Patch, Vec<String>) {
        (self.patch, self.warnings)
    }

    fn containers(&mut self, kind: &str, there: &HashSet<&str>) {
        let skipped = self.pod.pointer("/metadata/annotations").and_then(|all| all.get(SKIP_CONTAINERS));
        let skipped = skipped.and_then(Value::as_str).map(names_in).unwrap_or_default();
        let spec = self.spec;
        for (container, at) in list(spec, kind).iter().zip(0usize..) {
            let Some(name) = name_of(container) else { continue };
            if skipped.contains(&name) || there.contains(name) {
                continue;
            }
            self.container(container, &format!("/spec/{kind}/{at}"));
        }
    }

    fn container(&mut self, container: &Value, place: &str) {
        // What is no list of objects is for the API server to refuse.
        if !is_list(container, "env") || !is_list(container, "volumeMounts") {
            return;
        }
        let env = list(container, "env");
        let has = |name: &str| env.iter().any(|variable| name_of(variable) == Some(name));
        let variables = self.variables(container, &has);
        let mounts = list(container, "volumeMounts");
        let is_mounted = mounts.iter().any(|mount| name_of(mount) == Some(self.token.volume));
        // Whoever has set all of it goes a way of their own.
        let is_own = variables.is_empty();
        // A path is mounted once (Kubernetes): what lies there was put there on purpose.
        let is_taken = mounts.iter().any(|mount| {
            mount
                .get("mountPath")
                .and_then(Value::as_str)
                .is_some_and(|path| path.trim_end_matches('/') == self.token.folder)
        });
        self.is_mounted |= is_mounted;
        let variables: Vec<Value> =
            variables.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.patch.append(container, place, "env", variables);
        if !is_mounted && !is_taken && !is_own {
            let mount =
                json!({ "name": self.token.volume, "mountPath": self.token.folder, "readOnly": true });
            self.patch.append(container, place, "volumeMounts", vec![mount]);
            self.is_mounted = true;
        }
    }

    /// What a container lacks, in the order of the EKS Pod Identity webhook.
    fn variables(&mut self, container: &Value, has: &impl Fn(&str) -> bool) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        if self.identity.regional_sts && !has("AWS_STS_REGIONAL_ENDPOINTS") {
            variables.push(("AWS_STS_REGIONAL_ENDPOINTS", "regional".to_owned()));
        }
        const REGION: [&str; 2] = ["AWS_DEFAULT_REGION", "AWS_REGION"];
        if let Some(region) = &self.around.region
            && !REGION.into_iter().any(has)
        {
            variables.extend(REGION.map(|name| (name, region.clone())));
        }
        let has_pair = self.pair.iter().any(|(name, _)| has(name));
        if has_pair {
            return variables;
        }
        variables.extend(self.pair.iter().cloned());
        // Whoever says where all of AWS is means STS too.
        const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];
        let mut asks_agent = self.identity.road == Road::PodIdentity;
        if let Some(url) = self.around.sts_url
            && !ENDPOINTS.into_iter().any(has)
        {
            variables.push(("AWS_ENDPOINT_URL_STS", url.to_owned()));
            asks_agent = true;
        }
        if asks_agent {
            variables.extend(self.beside_proxy(container, has));
        }
        variables
    }

    /// Keeps what is for the agent from a proxy that the container names. A list of its own is not ours to change.
    fn beside_proxy(
        &mut self,
        container: &Value,
        has: &impl Fn(&str) -> bool,
    ) -> Vec<(&'static str, String)> {
        if !PROXIES.into_iter().any(has) {
            return Vec::new();
        }
        let own = list(container, "env")
            .iter()
            .filter(|variable| name_of(variable).is_some_and(|name| NO_PROXY.contains(&name)));
        let own: Vec<&Value> = own.collect();
        let (is_missing, is_hidden) = (own.is_empty(), !list(container, "envFrom").is_empty());
        if is_missing && !is_hidden {
            return NO_PROXY.map(|name| (name, DIRECT_HOSTS.to_owned())).to_vec();
        }
        let address = agent_address(self.around.agent);
        let names_agent = |variable: &&Value| {
            let value = variable.get("value").and_then(Value::as_str);
            value.is_none_or(|value| value.contains(address) || value.trim() == "*")
        };
        if !is_missing && !own.iter().all(names_agent) {
            let name: String = name_of(container).unwrap_or_default().chars().take(40).collect();
            self.warnings.push(format!(
                "container {name}: add {address} to NO_PROXY, the node's agent is not behind a proxy"
            ));
        }
        Vec::new()
    }

    fn has_volume(&self) -> bool {
        has_volume(self.spec, self.token)
    }

    fn volume(&mut self) {
        if self.has_volume() || !is_list(self.spec, "volumes") {
            return;
        }
        let Identity { audience, expiration_seconds, .. } = self.identity;
        let token = json!({
            "audience": audience,
            "expirationSeconds": expiration_seconds,
            "path": self.token.file,
        });
        let volume = json!({
            "name": self.token.volume,
            "projected": { "sources": [{ "serviceAccountToken": token }] },
        });
        self.patch.append(self.spec, "/spec", "volumes", vec![volume]);
    }

    fn label(&mut self) {
        let (name, value) = LABEL;
        if self.identity.road == Road::PodIdentity
            && let Some(metadata) = self.pod.get("metadata").filter(|metadata| metadata.is_object())
        {
            self.patch.set(metadata, "/metadata", "labels", name, value.into());
        }
    }
}

/// The items of a list; none where there is none.
fn list<'v>(holder: &'v Value, member: &str) -> &'v [Value] {
    holder.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a member is a list, or not there.
fn is_list(holder: &Value, member: &str) -> bool {
    holder.get(member).is_none_or(|value| value.is_array() || value.is_null())
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

fn has_volume(spec: &Value, token: &Token) -> bool {
    list(spec, "volumes").iter().any(|volume| name_of(volume) == Some(token.volume))
}

fn is_mirror(pod: &Value) -> bool {
    pod.pointer("/metadata/annotations").and_then(|all| all.get(MIRROR)).is_some()
}

/// Windows by the selector that such pods have, or by their own word (Kubernetes 1.25).
fn is_windows(spec: &Value) -> bool {
    let selected = |key: &str| spec.get("nodeSelector").and_then(|all| all.get(key)).and_then(Value::as_str);
    let own = spec.pointer("/os/name").and_then(Value::as_str);
    ["kubernetes.io/os", "beta.kubernetes.io/os"].into_iter().any(|key| selected(key) == Some("windows"))
        || own == Some("windows")
}

/// Where a container finds the token. Mounts are written the same way on Windows; what programs open is not.
fn token_file(token: &Token, is_windows: bool) -> String {
    let path = format!("{}/{}", token.folder, token.file);
    match is_windows {
        true => format!("C:{}", path.replace('/', "\\")),
        false => path,
    }
}

/// The names in one line of comma-separated values (RFC 4180); none where it is not such a line.
fn names_in(line: &str) -> HashSet<&str> {
    let names = line.split(',').map(|field| {
        let field = field.trim();
        let inner = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(field);
        (!inner.contains(['"', '\n', '\r'])).then_some(inner.trim())
    });
    names.collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests;

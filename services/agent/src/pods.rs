//! Who runs on this node, as the kubelet says, and whether a token is with the pod that it is of. Pure.

mod watch;

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::net::IpAddr;

use foldhash::quality::RandomState;
use lanyard_kit::telemetry::names;
use serde::Deserialize;

pub use watch::{PodWatch, WatchOptions};

use crate::listed::{List, ListError};
use crate::token::PodClaims;

/// Most pods that are taken from one answer. Kubernetes supports 110 on a node, the largest of other people's settings is 1,000.
pub const PODS_MAX: usize = 4_096;

/// One pod of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its ServiceAccount.
    pub service_account: String,
    /// The node that it was put on.
    pub node: String,
    /// Whether it has the node's network, and so no address of its own.
    pub is_host_network: bool,
    /// Its addresses, one for each family; none until its sandbox is up.
    pub addresses: Vec<IpAddr>,
    /// Where it is in its life.
    pub stage: Stage,
}

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It starts or runs.
    Running,
    /// It is deleted, and its containers have their grace.
    Ending,
    /// Its containers have ended for good.
    Over,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address of the connection's other end.
    pub address: IpAddr,
    /// Whether that is an address of the node itself.
    pub is_node: bool,
}

/// Why a token is not with its pod. Every one of them is a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The token is of no pod: anybody's who got hold of it.
    #[error("the token is not bound to a pod; use the one that is projected into the pod")]
    Unbound,
    /// No such pod is on this node.
    #[error("the token's pod does not run on this node")]
    NoSuchPod,
    /// The pod is over.
    #[error("the token's pod has ended")]
    Over,
    /// The pod has another ServiceAccount.
    #[error("the token is of another service account than the pod that it names")]
    OtherServiceAccount,
    /// The token was made for another node.
    #[error("the token was issued for a pod of another node")]
    OtherNode,
    /// The request comes from elsewhere.
    #[error("the token's pod has another address than the one that this request came from")]
    OtherAddress,
    /// The pod has no address yet.
    #[error("the token's pod has no address yet; try again")]
    NoAddressYet,
}

impl Mismatch {
    /// A stable name, for logs.
    #[must_use]
    pub fn reason_code(self) -> &'static str {
        match self {
            Self::Unbound => "token_unbound",
            Self::NoSuchPod => "pod_unknown",
            Self::Over => "pod_over",
            Self::OtherServiceAccount => "other_service_account",
            Self::OtherNode => "other_node",
            Self::OtherAddress => "other_address",
            Self::NoAddressYet => "no_address_yet",
        }
    }

    /// Whether a newer list may say otherwise: the pod was just made, or its sandbox is just up.
    #[must_use]
    pub fn may_change(self) -> bool {
        matches!(self, Self::NoSuchPod | Self::NoAddressYet | Self::OtherAddress)
    }
}

/// Why no one pod is known by an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nobody {
    /// No running pod of this node has it.
    #[error("no pod of this node has the address that this request came from")]
    None,
    /// Two claim it: a list in the middle of a change, or an address that was given away twice.
    #[error("more than one pod has the address that this request came from")]
    Several,
    /// Its pod is being deleted, while another pod is about to have an address: it may be that one's by now.
    #[error("the pod of the address that this request came from is ending; try again")]
    Unsettled,
}

impl Nobody {
    /// A stable name, for logs.
    #[must_use]
    pub fn reason_code(self) -> &'static str {
        match self {
            Self::None => "no_pod",
            Self::Several => "several_pods",
            Self::Unsettled => "pod_ending",
        }
    }
}

/// The pods of this node.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    pods: HashMap<String, Pod, RandomState>,
    /// The uids of running pods with an address of their own.
    by_address: HashMap<IpAddr, Vec<String>, RandomState>,
    /// Whether a pod is to have an address of its own that is not in the list yet.
    has_young: bool,
}

impl Directory {
    /// Of these pods.
    #[must_use]
    pub fn of(pods: impl IntoIterator<Item = Pod>) -> Self {
        let mut directory = Self::default();
        for pod in pods {
            if pod.stage != Stage::Over && !pod.is_host_network {
                directory.has_young |= pod.addresses.is_empty();
                for address in &pod.addresses {
                    directory.by_address.entry(*address).or_default().push(pod.uid.clone());
                }
            }
            directory.pods.insert(pod.uid.clone(), pod);
        }
        directory
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// A pod by its uid.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        self.pods.get(uid)
    }

    /// The one running pod that has this address for its own.
    ///
    /// # Errors
    /// [`Nobody`]: none has, several say so, or it may be another's already.
    pub fn of_address(&self, address: IpAddr) -> Result<&Pod, Nobody> {
        match self.by_address.get(&address).map(Vec::as_slice) {
            None | Some([]) => Err(Nobody::None),
            Some([uid]) => match self.pods.get(uid).ok_or(Nobody::None)? {
                // A deleted pod is listed with its address until its volumes are cleared away, which is after its network.
                pod if pod.stage == Stage::Ending && self.has_young => Err(Nobody::Unsettled),
                pod => Ok(pod),
            },
            Some(_) => Err(Nobody::Several),
        }
    }

    /// Whether what a token claims is a pod of this node, and, where `peer` is given, whether the request came from there. The pod
    /// is given.
    ///
    /// # Errors
    /// [`Mismatch`] says what does not fit.
    pub fn check(&self, claims: &PodClaims, peer: Option<Peer>) -> Result<&Pod, Mismatch> {
        let uid = claims.pod_uid.as_deref().ok_or(Mismatch::Unbound)?;
        let pod = self.pods.get(uid).ok_or(Mismatch::NoSuchPod)?;
        if pod.stage == Stage::Over {
            return Err(Mismatch::Over);
        }
        if pod.namespace != claims.namespace || pod.service_account != claims.service_account {
            return Err(Mismatch::OtherServiceAccount);
        }
        // Before Kubernetes 1.30 tokens name no node; then the pod's being here has to do.
        if claims.node.as_ref().is_some_and(|node| *node != pod.node) {
            return Err(Mismatch::OtherNode);
        }
        let Some(peer) = peer else { return Ok(pod) };
        match (pod.is_host_network, peer.is_node) {
            (true, true) => Ok(pod),
            (true, false) | (false, true) => Err(Mismatch::OtherAddress),
            (false, false) if pod.addresses.contains(&peer.address) => Ok(pod),
            // An address that is another pod's stays another pod's.
            (false, false) if pod.addresses.is_empty() && !self.by_address.contains_key(&peer.address) => {
                Err(Mismatch::NoAddressYet)
            }
            (false, false) => Err(Mismatch::OtherAddress),
        }
    }
}

impl List for Directory {
    const WHAT: &'static str = "the node's pods";
    const ACCEPT: &'static str = "application/json";
    const QUESTIONS: &'static str = names::AGENT_POD_LISTS_TOTAL;
    const COUNT: &'static str = names::AGENT_PODS;

    /// Reads a `PodList`, as the kubelet's `/pods` and the API server answer.
    fn read(body: impl Read) -> Result<Self, ListError> {
        let list: wire::List = serde_json::from_reader(BufReader::new(body))?;
        // Go writes a list without elements as null.
        let items = list.items.unwrap_or_default();
        if items.len() > PODS_MAX {
            return Err(ListError::TooMany { count: items.len(), most: PODS_MAX });
        }
        Ok(Self::of(items.into_iter().map(wire::Item::pod)))
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn advice(status: u16) -> &'static str {
        match status {
            401 => ": it does not know the agent's token; the kubelet needs authentication.webhook.enabled",
            403 => {
                ": let the agent's service account get `nodes/pods` (Kubernetes 1.33 on), or give --pods-from=api-server and let it \
                 list pods"
            }
            _ => "",
        }
    }
}

/// The few members of a Pod that are read (Kubernetes API, `core/v1`).
mod wire {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct List {
        pub(super) items: Option<Vec<Item>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Item {
        metadata: Metadata,
        #[serde(default)]
        spec: Spec,
        #[serde(default)]
        status: Status,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        name: String,
        #[serde(default)]
        namespace: String,
        uid: String,
        deletion_timestamp: Option<serde::de::IgnoredAny>,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Spec {
        node_name: String,
        service_account_name: String,
        host_network: bool,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Status {
        phase: String,
        #[serde(rename = "podIP")]
        pod_ip: String,
        #[serde(rename = "podIPs")]
        pod_ips: Option<Vec<PodIp>>,
    }

    #[derive(Deserialize)]
    struct PodIp {
        #[serde(default)]
        ip: String,
    }

    impl Item {
        pub(super) fn pod(self) -> Pod {
            let Self { metadata, spec, status } = self;
            let stage = match (status.phase.as_str(), metadata.deletion_timestamp) {
                ("Succeeded" | "Failed", _) => Stage::Over,
                (_, Some(_)) => Stage::Ending,
                (_, None) => Stage::Running,
            };
            let all = status.pod_ips.unwrap_or_default().into_iter().map(|each| each.ip);
            let mut addresses: Vec<IpAddr> =
                all.chain([status.pod_ip]).filter_map(|ip| ip.parse().ok()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            Pod {
                uid: metadata.uid,
                name: metadata.name,
                namespace: metadata.namespace,
                service_account: spec.service_account_name,
                node: spec.node_name,
                is_host_network: spec.host_network,
                addresses,
                stage,
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::token::PodToken;
    use crate::token::tests::{NOW, payload, unsigned};

    /// A pod as the kubelet writes it.
    pub(crate) fn item(uid: &str, address: &str) -> Value {
        json!({
            "metadata": { "name": "cart-0", "namespace": "shop", "uid": uid },
            "spec": { "nodeName": "node-a", "serviceAccountName": "cart", "containers": [] },
            "status": { "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }, { "ip": "fd00::7" }] },
        })
    }

    fn list(items: &[Value]) -> Directory {
        Directory::parse(json!({ "kind": "PodList", "items": items }).to_string().as_bytes()).unwrap()
    }

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer { address: address.parse().unwrap(), is_node: false })
    }

    const NODE: Option<Peer> =
        Some(Peer { address: IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 23)), is_node: true });

    fn claims(uid: &str) -> PodClaims {
        PodToken::parse(&unsigned(&payload(uid)), NOW).unwrap().claims().clone()
    }

    fn changed(pointer: &str, value: Value) -> Value {
        let mut item = item("pod-1", "10.88.0.5");
        *item.pointer_mut(pointer).unwrap() = value;
        item
    }

    #[test]
    fn a_token_is_with_its_pod_or_refused_by_what_does_not_fit() {
        let mut deleted = item("pod-1", "10.88.0.5");
        deleted["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
        let mut host = item("pod-1", "10.89.0.2");
        host["spec"]["hostNetwork"] = json!(true);
        let mut young = item("pod-1", "10.88.0.5");
        young["status"] = json!({ "phase": "Pending" });
        let other = item("pod-2", "10.88.0.6");
        let cases = [
            (vec![item("pod-1", "10.88.0.5")], peer("10.88.0.5"), Ok(())),
            (vec![item("pod-1", "10.88.0.5")], peer("fd00::7"), Ok(())),
            (vec![item("pod-1", "10.88.0.5")], None, Ok(())),
            (vec![deleted], peer("10.88.0.5"), Ok(())),
            (vec![host.clone()], NODE, Ok(())),
            (vec![host], peer("10.88.0.5"), Err(Mismatch::OtherAddress)),
            (vec![item("pod-1", "10.88.0.5")], peer("10.88.0.6"), Err(Mismatch::OtherAddress)),
            (vec![item("pod-1", "10.88.0.5")], NODE, Err(Mismatch::OtherAddress)),
            (vec![young.clone()], peer("10.88.0.5"), Err(Mismatch::NoAddressYet)),
            (vec![young, other.clone()], peer("10.88.0.6"), Err(Mismatch::OtherAddress)),
            (vec![other], peer("10.88.0.6"), Err(Mismatch::NoSuchPod)),
            (vec![changed("/status/phase", json!("Failed"))], peer("10.88.0.5"), Err(Mismatch::Over)),
            (vec![changed("/status/phase", json!("Succeeded"))], peer("10.88.0.5"), Err(Mismatch::Over)),
            (
                vec![changed("/spec/serviceAccountName", json!("other"))],
                peer("10.88.0.5"),
                Err(Mismatch::OtherServiceAccount),
            ),
            (
                vec![changed("/metadata/namespace", json!("other"))],
                peer("10.88.0.5"),
                Err(Mismatch::OtherServiceAccount),
            ),
            (vec![changed("/spec/nodeName", json!("node-b"))], peer("10.88.0.5"), Err(Mismatch::OtherNode)),
        ];
        for (at, (items, peer, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                list(&items).check(&claims("pod-1"), peer).map(|_| ()),
                expected,
                "row {at}: {peer:?}"
            );
        }
    }

    #[test]
    fn an_unbound_token_is_nobodys() {
        let mut unbound = claims("pod-1");
        unbound.pod_uid = None;
        let directory = list(&[item("pod-1", "10.88.0.5")]);
        assert_eq!(directory.check(&unbound, None), Err(Mismatch::Unbound));
    }

    #[test]
    fn immunity_47_an_address_is_exactly_one_running_pods_or_nobodys() {
        let address: IpAddr = "10.88.0.5".parse().unwrap();
        let who = |items: &[Value]| list(items).of_address(address).map(|pod| pod.uid.clone());
        assert_eq!(who(&[item("pod-1", "10.88.0.5")]), Ok("pod-1".to_owned()));
        assert_eq!(who(&[item("pod-1", "10.88.0.6")]), Err(Nobody::None));
        // Given away anew while the list still has the one that had it.
        assert_eq!(who(&[item("pod-1", "10.88.0.5"), item("pod-2", "10.88.0.5")]), Err(Nobody::Several));
        // Recycled: the one that had it is over.
        let mut over = item("pod-1", "10.88.0.5");
        over["status"]["phase"] = json!("Succeeded");
        assert_eq!(who(&[over, item("pod-2", "10.88.0.5")]), Ok("pod-2".to_owned()));
        // Ending: it has its grace, unless another is about to have an address, which may be this one.
        let mut ending = item("pod-1", "10.88.0.5");
        ending["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
        let mut young = item("pod-2", "10.88.0.6");
        young["status"] = json!({ "phase": "Pending" });
        let mut young_on_host = young.clone();
        young_on_host["spec"]["hostNetwork"] = json!(true);
        assert_eq!(who(&[ending.clone(), item("pod-2", "10.88.0.6")]), Ok("pod-1".to_owned()));
        assert_eq!(who(&[ending.clone(), young_on_host]), Ok("pod-1".to_owned()));
        assert_eq!(who(&[ending, young.clone()]), Err(Nobody::Unsettled));
        assert_eq!(who(&[item("pod-1", "10.88.0.5"), young]), Ok("pod-1".to_owned()));
        // A host-network pod has the node's address, which is nobody's.
        assert_eq!(who(&[changed("/spec", json!({ "hostNetwork": true }))]), Err(Nobody::None));
    }

    #[test]
    fn a_list_may_be_empty_and_may_not_be_endless() {
        for body in [&br#"{"items":null}"#[..], br#"{"items":[]}"#] {
            assert!(Directory::parse(body).unwrap().is_empty());
        }
        for body in [&b""[..], b"[]", br#"{"items":[{"metadata":{}}]}"#, b"not json"] {
            assert!(matches!(Directory::parse(body), Err(ListError::Form(_))), "{body:?}");
        }
        let many = vec![json!({ "metadata": { "uid": "x" } }); PODS_MAX + 1];
        let many = json!({ "items": many }).to_string();
        assert!(matches!(Directory::parse(many.as_bytes()), Err(ListError::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Directory::parse(&body);
        }
    }
}

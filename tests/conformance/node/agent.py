"""The node agent as a DaemonSet of the cluster, and what it logs."""

from __future__ import annotations

import hashlib
import json
import pathlib

import yaml

import images
import kube
from pods import Pods

MANIFEST = pathlib.Path(__file__).parents[3] / "deploy" / "agent.yaml"
NAMESPACE, NAME = "kube-system", "lanyard-agent"
# For the metadata road: pods' tokens, and those of pods that start later.
PODS_FOLDER = "/var/lib/kubelet/pods"
FOLLOWING = {"mountPropagation": "HostToContainer"}
# Where pods ask it, and where SDKs look for credentials last.
CREDENTIALS_URL = "http://169.254.170.23/v1/credentials"
METADATA_URL = "http://169.254.169.254"
# Of a token's SHA-256, by which logs name it.
NAME_DIGITS = 12
AUDIT_SECONDS_MAX = 10


def token_name(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:NAME_DIGITS]


def objects(hub, cluster_id: str, kubelet_ca: pathlib.Path, api_server: str, *flags: str) -> list[dict]:
    """What an operator applies: the file as it is shipped, with the hub's address and authority, the metadata road's folder, and the
    right to see which namespaces bear a label. No kube-proxy runs here, so the API server is told by its own address."""
    shipped = {one["kind"]: one for one in yaml.safe_load_all(MANIFEST.read_text())}
    assert shipped["DaemonSet"]["metadata"] | {"labels": None} == {"name": NAME, "namespace": NAMESPACE, "labels": None}
    shipped["ConfigMap"]["data"] = {"ca.pem": pathlib.Path(hub.ca).read_text(), "kubelet.pem": kubelet_ca.read_text()}
    spec = shipped["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    told = {"--cluster-name": cluster_id, "--hub": hub.ready["grpc"], "--hub-sts": hub.ready["aws"]}
    named = [flag.partition("=")[0] for flag in container["args"]]
    assert set(told) <= set(named), named
    container["args"] = [f"{name}={told[name]}" if name in told else flag for name, flag in zip(named, container["args"])]
    container["args"] += ["--kubelet-ca=/etc/lanyard/kubelet.pem", *flags]
    container |= {"image": images.reference("agent"), "imagePullPolicy": "Never"}
    container["env"].append({"name": "LANYARD_API_SERVER__URL", "value": api_server})
    shipped["ClusterRole"]["rules"].append({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]})
    container["volumeMounts"].append({"name": "pods", "mountPath": PODS_FOLDER, "readOnly": True} | FOLLOWING)
    spec["volumes"].append({"name": "pods", "hostPath": {"path": PODS_FOLDER}})
    return list(shipped.values())


class Agent:
    """The one that runs on the node."""

    def __init__(self, server: kube.ApiServer, pods: Pods) -> None:
        self._server = server
        self.pod = pods.of_daemon_set(NAME, NAMESPACE, "app.kubernetes.io/name")

    def log(self) -> str:
        return self._server.admin("logs", self.pod, "--namespace", NAMESPACE)

    def audited(self, name: str, *any_of: str) -> dict:
        """The last line of its log about a token, or an address, that says one of these."""

        def look() -> dict | None:
            lines = [line for line in self.log().splitlines() if name in line and any(what in line for what in any_of)]
            return json.loads(lines[-1]) if lines else None

        return kube.wait_for(f"an audit line about {name} with {' or '.join(any_of)}", look, AUDIT_SECONDS_MAX)

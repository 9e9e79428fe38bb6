"""The node's agent asks a real API server which pods run on its node, where kubelets cannot be asked for that alone (before Kubernetes
1.33): with the right to list pods and no other, a pod gets its credentials while it is there."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest

import kube
from hub import REGION, unique
from spokes import Spoke, new_namespace, seen

AUDIENCE, OF_NODES = "pods.eks.amazonaws.com", "lanyard:node"
AGENTS = "kube-system"
# Nobody's kubelet: a pod's address is one of this machine's, which no other pod and not the node itself has.
ADDRESS, ANOTHERS = "127.0.0.2", "127.0.0.3"
# The program of its own where it is given, else the one that has it inside.
PROGRAM = [os.environ["LANYARD_TEST_AGENT"]] if os.environ.get("LANYARD_TEST_AGENT") else [os.environ["LANYARD_BIN"], "run", "agent"]
STOP_SECONDS_MAX = 20
# So often that the end of a pod is seen soon.
CONFIG = "[kubelet]\ninterval_ms = 500\n"


@dataclass
class Node:
    """A node that is an object of an API server and nothing more, with an agent that proves to the hub to be of it."""

    spoke: Spoke
    name: str
    namespace: str
    folder: pathlib.Path
    about: dict

    def pod(self, name: str, address: str) -> None:
        """A pod as its kubelet reports it."""
        made = pod(name, self.namespace, "bot", self.name)
        self.spoke.apply(made)
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        words = ("patch", "pod", name, "-n", self.namespace, "--subresource=status", "--type=merge")
        self.spoke.server.admin(*words, "--patch", json.dumps({"status": status}))

    def token(self, name: str) -> str:
        """The token that the kubelet would put into the pod."""
        return bound_token(self.spoke, "bot", self.namespace, name, AUDIENCE)

    def ask(self, token: str, source: str = ADDRESS) -> tuple[int, str]:
        """What the agent answers a pod at this address."""
        place = urllib.parse.urlsplit(self.about["credentials"][0])
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10, source_address=(source, 0))
        connection.request("GET", "/v1/credentials", headers={"Authorization": token})
        answer = connection.getresponse()
        status, body = answer.status, answer.read().decode()
        connection.close()
        if status == 200:
            for secret in ("SecretAccessKey", "Token"):
                self.spoke.hub.secrets.add("a pod's credentials", json.loads(body)[secret])
        return status, body

    def verdict(self, token: str, source: str = ADDRESS) -> tuple[int, str]:
        """The same once it can tell: 503 is no verdict, and comes of an API server that is slow to list its pods."""
        return seen("a verdict", lambda: (told := self.ask(token, source))[0] != 503 and told)

    def who(self, body: str) -> str:
        """Whose the credentials are, says the hub's STS."""
        keys, hub = json.loads(body), self.spoke.hub
        sts = boto3.client(
            "sts",
            endpoint_url=hub.ready["aws"],
            verify=hub.ca,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["Token"],
        )
        return sts.get_caller_identity()["Arn"]

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()


def pod(name: str, namespace: str, account: str, node: str) -> dict:
    spec = {"serviceAccountName": account, "nodeName": node, "containers": [{"name": "app", "image": "app"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def service_account(name: str, namespace: str) -> dict:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def bound_token(spoke: Spoke, account: str, namespace: str, to: str, audience: str) -> str:
    words = ("create", "token", account, "-n", namespace, "--audience", audience)
    token = spoke.server.admin(*words, "--bound-object-kind", "Pod", "--bound-object-name", to).strip()
    return spoke.hub.secrets.add("a projected token", token)


def associate(spoke: Spoke, namespace: str) -> str:
    """A role for the pods of `bot`; its name."""
    statement = {"Effect": "Allow", "Principal": {"Service": AUDIENCE}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = spoke.hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", stdin=policy)["value"]
    arn = f"arn:aws:iam::{spoke.hub.account}:role/{made['name']}"
    spoke.hub.cli("association", "create", spoke.cluster.id, f"{namespace}/bot", "--role", arn, "--allow-any-cluster")
    return made["name"]


@pytest.fixture
def node(spoke, tmp_path) -> Iterator[Node]:
    """The agent runs as a process here; everything that proves who it is, is of the API server."""
    server, hub, name, own = spoke.server, spoke.hub, unique("node"), unique("lanyard-agent")
    namespace = new_namespace(server)
    accounts = (service_account("bot", namespace), service_account("lanyard-agent", AGENTS))
    spoke.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}, *accounts)
    spoke.apply(pod(own, AGENTS, "lanyard-agent", name))
    seen("the issuer's keys", lambda: hub.run("workload", "issuer", spoke.cluster.id).returncode == 0)
    seen("the ServiceAccount", lambda: "bot" in spoke.service_accounts(namespace))

    def file(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    to_hub = bound_token(spoke, "lanyard-agent", AGENTS, own, OF_NODES)
    to_server = hub.secrets.add("the agent's token", server.admin("create", "token", "lanyard-agent", "-n", AGENTS).strip())
    ready = tmp_path / "ready.json"
    command = [
        *(*PROGRAM, "server", "--config", file("agent.toml", CONFIG), "--cluster-name", spoke.cluster.id),
        *("--hub", hub.ready["grpc"], "--hub-ca", hub.ca, "--token-file", file("to-hub", to_hub)),
        *("--pods-from", "api-server", "--node-name", name, "--kubelet-url", server.url, "--kubelet-ca", str(server.ca)),
        *("--kubelet-token-file", file("to-server", to_server), "--bind-hosts", "127.0.0.1", "--port", "0"),
        *("--probe-port", "0", "--metrics-address", "127.0.0.1", "--metrics-port", "0", "--ready-file", str(ready)),
    ]
    with (tmp_path / "agent.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=of_nobody())
    try:
        kube.wait_for("the agent", lambda: process.poll() is not None or ready.exists() and ready.read_text().endswith("}\n"))
        assert process.poll() is None, (tmp_path / "agent.log").read_text()
        yield Node(spoke, name, namespace, tmp_path, json.loads(ready.read_text()))
    finally:
        process.terminate()
        ended = process.wait(STOP_SECONDS_MAX)
        server.admin("delete", "pod", own, "-n", AGENTS, "--force", "--grace-period=0")
        server.admin("delete", "clusterrolebinding", "lanyard-agent", "--ignore-not-found")
    assert ended == 0, (tmp_path / "agent.log").read_text()
    assert not hub.secrets.seen_in((tmp_path / "agent.log").read_bytes()), "the agent's log shows a secret"


def of_nobody() -> dict[str, str]:
    """The environment without what would tell the agent of anything."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LANYARD_", "NODE_", "KUBERNETES_"))}


def let_list_pods(spoke: Spoke) -> None:
    role = kube.cluster_role("lanyard-agent", kube.rule("list", "pods"))
    spoke.apply(role, kube.bound("lanyard-agent", "lanyard-agent", f"system:serviceaccount:{AGENTS}:lanyard-agent", "User"))


def immunity_48_by_the_api_servers_pods_a_token_is_good_in_its_pods_hands_while_that_lives(node):
    role = associate(node.spoke, node.namespace)
    node.pod("web", ADDRESS)
    token = node.token("web")
    # It has not the right to ask yet, which is no refusal of the pod, and the log names what helps.
    status, body = node.ask(token)
    assert status == 503, body
    seen("what the agent lacks in its log", lambda: "403" in node.log() and "list pods" in node.log())

    let_list_pods(node.spoke)
    status, body = seen("credentials", lambda: (told := node.ask(token))[0] == 200 and told)
    assert json.loads(body)["AccountId"] == node.spoke.hub.account
    arn = node.who(body)
    assert arn.startswith(f"arn:aws:sts::{node.spoke.hub.account}:assumed-role/{role}/eks-{node.spoke.cluster.id}-web-"), arn

    # Another pod of this node has nothing of it, nor has who is no pod.
    node.pod("other", ANOTHERS)
    for source in (ANOTHERS, "127.0.0.1"):
        status, body = node.verdict(token, source)
        assert status == 403 and "another address" in body, (source, body)
    # A pod of another node is not among those that it is told of, whatever address it says to have.
    elsewhere = unique("node")
    node.spoke.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": elsewhere}})
    node.spoke.apply(pod("elsewhere", node.namespace, "bot", elsewhere))
    status, body = node.verdict(node.token("elsewhere"), "127.0.0.4")
    assert status == 403 and "does not run on this node" in body, body

    assert node.verdict(token)[0] == 200
    node.spoke.server.admin("delete", "pod", "web", "-n", node.namespace, "--force", "--grace-period=0")
    _, body = seen("the pod's end at the agent", lambda: (told := node.ask(token))[0] == 403 and told)
    assert "does not run on this node" in body, body
    # One of the same name is another pod, and gets what it should with a token of its own.
    node.pod("web", ADDRESS)
    assert node.verdict(token)[0] == 403
    assert node.verdict(node.token("web"))[0] == 200

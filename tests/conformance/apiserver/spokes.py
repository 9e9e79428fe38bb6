"""Spoke clusters with real API servers, for the tests of those who watch them and of those who push."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass

import requests

import kube
from cluster import Cluster
from hub import REGION, Hub, Principal, unique
from kube import kubeconfig

# A change that kubectl has made is in force here within this time.
SEEN_SECONDS_MAX = 20
# What the first API server calls itself, as any does by itself; and the second.
IN_CLUSTER_ISSUER = "https://kubernetes.default.svc"
OWN_ISSUER = "https://issuer.example/second"


@dataclass
class Spoke:
    """A cluster of the hub, and its API server, which knows nothing of the hub."""

    hub: Hub
    cluster: Cluster
    server: kube.ApiServer
    folder: pathlib.Path

    def add(self, *flags: str, **choices) -> dict:
        return self.hub.cli(*add(self.server, self.folder, self.cluster.id), *flags, **choices)

    def describe(self) -> dict:
        return self.hub.cli("cluster", "describe", self.cluster.id)

    def aws_auth(self, text: str | None) -> None:
        """What `kubectl edit` does; None deletes the ConfigMap."""
        if text is None:
            self.server.admin("delete", "configmap", "aws-auth", "-n", "kube-system")
            return
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "aws-auth", "namespace": "kube-system"},
            "data": {"mapUsers": text},
        }
        self.server.admin("apply", "-f", "-", stdin=json.dumps(config_map))

    def service_accounts(self, namespace: str) -> dict[str, dict]:
        """Those that the hub knows, by name."""
        listed = self.hub.cli("workload", "service-accounts", self.cluster.id, "--namespace", namespace)
        return {account["name"]: account for account in listed}

    def issuer(self) -> dict:
        return self.hub.cli("workload", "issuer", self.cluster.id)

    def watch(self) -> dict:
        return self.describe()["spoke"]["watch"]

    def revision(self) -> int:
        """The cluster's on the hub: what it has already is applied again, which is no change."""
        known = self.hub.cli("rbac", "list", self.cluster.id)["items"][0]
        words = ("rbac", "apply", self.cluster.id, "--file", "-")
        return self.hub.cli(*words, stdin=json.dumps(known))["revision"]

    def apply(self, *objects: dict) -> None:
        self.server.admin("apply", "-f", "-", stdin=kube.objects(*objects))

    def groups(self, who: Principal) -> list[str] | None:
        """The groups that somebody has here; None for who is not let in."""
        status = self.cluster.token_review(self.cluster.token(who))["status"]
        return status["user"].get("groups", []) if status["authenticated"] else None

    def may(self, who: Principal, verb: str, resource: str = "configmaps") -> bool:
        user = self.cluster.log_in(who)
        return self.cluster.verdict(user, verb=verb, resource=resource, namespace="default")[0] == "allowed"


def counted(hub: Hub, metric: str, **labels: str) -> float:
    """The sum of what a hub's metric has under these labels."""
    text = requests.get(f"{hub.url}/metrics", verify=hub.ca, timeout=10).text
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in text.splitlines() if line.startswith((f"{metric} ", f"{metric}{{"))]
    assert lines, f"there is no {metric}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(pair in line for pair in wanted))


def seen(what: str, check):
    return kube.wait_for(what, check, SEEN_SECONDS_MAX)


def line(user: Principal, *groups: str) -> str:
    return f"- userarn: {user.arn}\n  username: {user.name}\n  groups: [{', '.join(groups)}]\n"


def add(server: kube.ApiServer, folder: pathlib.Path, name: str) -> list[str]:
    file = kubeconfig(server, folder / "spoke.kubeconfig")
    return [
        *("cluster", "add", name, "--kubeconfig", str(file), "--out", str(folder / "files")),
        *("--region", REGION, "--authorizer-mode", "full"),
    ]


def new_spoke(hub: Hub, server: kube.ApiServer, folder: pathlib.Path, **choices) -> tuple[Spoke, dict]:
    """Adds a cluster to a hub by its kubeconfig, as a person does."""
    hub.secrets.add("the stage hand's token", server.admin_token)
    folder.mkdir(parents=True, exist_ok=True)
    name = unique("spoke")
    added = hub.cli(*add(server, folder, name), **choices)
    cluster = hub.cluster({"id": name, "uid": added["uid"]}, **choices)
    return Spoke(hub, cluster, server, folder), added


READERS = (
    kube.cluster_role("reader", kube.rule("get list", "configmaps")),
    kube.bound("readers", "reader", "devs"),
)


def holder(described: dict) -> str:
    return described["spoke"]["watch"]["holder"]


def new_namespace(server: kube.ApiServer) -> str:
    """Nobody takes it away: that is the controller manager's work, which there is not."""
    name = unique("team")
    server.admin("create", "namespace", name)
    return name


def nobody_is_mapped(server: kube.ApiServer) -> None:
    """As before any test: neither aws-auth nor the readers' binding."""
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    server.admin("delete", "clusterrolebinding", "readers", "--ignore-not-found")

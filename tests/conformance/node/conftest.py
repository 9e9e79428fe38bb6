"""One hub, one control plane and one node for all tests here, in namespaces that end with the tests."""

from __future__ import annotations

import contextlib
import pathlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import images
import kube
import namespaces
import network
from cluster import Cluster
from control_plane import ControlPlane
from hub import MAPPING_SETTINGS, REGION, Hub
from kubefiles import admission_files, webhook_files
from machine import Machine
from pods import Pods


# The hub's own address is a private one, and the issuer of the cluster is there.
ISSUER_SETTINGS = {"LANYARD_AUTHN__OIDC__PRIVATE_HOSTS": f'["{network.OUTSIDE}"]'}
# An agent that renews gets something new, however soon it asks again.
VEND_SETTINGS = {"LANYARD_CREDENTIALS__VEND__KEPT_SECONDS": "0"}


@dataclass
class Node:
    """A cluster of the hub with its one node."""

    hub: Hub
    cluster: Cluster
    control_plane: ControlPlane
    machine: Machine
    pods: Pods
    # Of its ServiceAccounts' tokens: what the hub would serve its keys as.
    issuer: str

    @property
    def server(self) -> kube.ApiServer:
        return self.control_plane.server

    @contextlib.contextmanager
    def hub_away(self) -> Iterator[None]:
        """The hub answers nobody, and its connections stay: what is worst for who waits for it."""
        self.hub.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.hub.signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def own_network():
    """The machine's network is left before anything is started: no address, route or name of ours is ever in it."""
    namespaces.leave_the_machines_network()


@pytest.fixture(scope="session")
def hub(own_network, tmp_path_factory) -> Hub:
    """A hub that pods and the control plane reach. Its address is there before the node's end of the link is."""
    namespaces.done("ip", "address", "add", f"{network.OUTSIDE}/32", "dev", "lo")
    hub = Hub(tmp_path_factory.mktemp("hub"), settings=MAPPING_SETTINGS | ISSUER_SETTINGS | VEND_SETTINGS)
    anywhere = f"{network.OUTSIDE}:0"
    try:
        hub.start(
            "--tls-san",
            network.OUTSIDE,
            "--administrator-on-public-listener",
            listen=anywhere,
            grpc_listen=anywhere,
            aws_listen=anywhere,
        )
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


@pytest.fixture(scope="session")
def node(hub, tmp_path_factory) -> Node:
    """The hub's cluster with all that it has for one: webhooks for people and for pods, the issuer, and a watch on it."""
    cluster = hub.create_cluster("node")
    files = tmp_path_factory.mktemp("files")
    admission, webhooks = admission_files(hub, cluster, files / "admission")
    flags = webhook_files(hub, cluster, files / "webhook") + admission
    issuer = hub.cli("cluster", "issuer", "show", cluster.id)["hub_url"]
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), flags, issuer)
    try:
        plane.server.admin("apply", "-f", str(webhooks))
        watch(hub, cluster, plane.server, files)
        machine = Machine(plane)
        try:
            machine.load(images.of_python())
            yield Node(hub, cluster, plane, machine, Pods(plane.server), issuer)
        finally:
            machine.stop()
    finally:
        plane.stop()


def watch(hub: Hub, cluster: Cluster, server: kube.ApiServer, folder: pathlib.Path) -> None:
    """The hub sees the cluster's ServiceAccounts and the keys of its issuer from here on."""
    hub.secrets.add("the stage hand's token", server.admin_token)
    file = kube.kubeconfig(server, folder / "spoke.kubeconfig")
    words = ("cluster", "add", cluster.id, "--kubeconfig", str(file), "--out", str(folder / "added"))
    hub.cli(*words, "--region", REGION)
    known = ("workload", "issuer", cluster.id)
    kube.wait_for("the issuer's keys at the hub", lambda: hub.run(*known).returncode == 0)

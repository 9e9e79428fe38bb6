"""An agent beside a kubelet and an EKS Auth endpoint that do as they are told."""

from __future__ import annotations

import pathlib

import pytest
from node_agent import Agent
from standins import Standins

from stack import REPLICAS

FOLDER = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items) -> None:
    """Most of these tests have no hub, so that the form of the hub changes nothing: the runs against one process have them."""
    if not REPLICAS:
        return
    for item in items:
        if item.path.parent == FOLDER and not {"hub", "new_hub"}.intersection(item.fixturenames):
            item.add_marker(pytest.mark.skip(reason="an agent without a hub, which the run against one process has"))


@pytest.fixture
def node(tmp_path):
    """A kubelet and an endpoint."""
    standins = Standins(tmp_path)
    yield standins
    standins.stop()


@pytest.fixture
def start(tmp_path, node):
    """Starts agents on loopback, and stops those that a test left."""
    agents = []

    def start(*flags: str, keys: dict[str, str] | None = None) -> Agent:
        hosts = {"kubelet": node.kubelet.host, "endpoint": node.endpoint.host}
        loopback = ["--bind-hosts", "127.0.0.1", "--port", "0", "--probe-port", "0"]
        agents.append(Agent(tmp_path, hosts, [*loopback, *flags], keys=keys))
        return agents[-1]

    yield start
    for agent in agents:
        assert agent.stop() in (0, -9), agent.log.read_text()


@pytest.fixture
def agent(start) -> Agent:
    return start()

"""One hub for the run, as the conformance tests have it: it has to end well, and to leave no secret where it may be read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import generated
from cluster import Cluster
from hub import Hub, Principal

EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


@pytest.fixture
def cluster(hub) -> Cluster:
    """A cluster of a test's own."""
    return hub.create_cluster("consumed")


@pytest.fixture
def operator(hub) -> Principal:
    """Who the consumers sign as: a user who may do everything in the account."""
    operator = hub.create_user("operator")
    hub.cli("iam", "policy", "put", "--user", operator.name, "all", "--document", "-", stdin=EVERYTHING)
    return operator


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> dict[str, list[str]]:
    """How each consumer is run, by its language."""
    return {
        "python": generated.python_consumer(tmp_path_factory.mktemp("python")),
        "go": generated.go_consumer(tmp_path_factory.mktemp("go")),
    }

"""What all stages share: one hub for the run, stopped at its end and searched for secrets.

With LANYARD_TEST_STACK, a number of replicas, that hub is separate processes on LANYARD_TEST_POSTGRES_URL.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

import pytest

from cluster import Cluster
from hub import AUTHN_SETTINGS, MAPPING_SETTINGS, Hub
from stack import REPLICAS, Stack, of_services


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Hub:
    """A hub that logs all it ever logs. It has to end well, and nothing of the run may be read in what it leaves."""
    folder = tmp_path_factory.mktemp("hub")
    url = os.environ.get("LANYARD_TEST_POSTGRES_URL", "")
    if REPLICAS:
        hub = Stack(folder, store=url, replicas=REPLICAS, own_programs=True)
    else:
        hub = Hub(folder, settings=AUTHN_SETTINGS | MAPPING_SETTINGS)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory) -> Iterator[Hub]:
    """A hub of a module's own, in the form of the run's: for what would be in the way of everybody else."""
    folder = tmp_path_factory.mktemp("own")
    yield from running(Stack(folder, store=None, replicas=REPLICAS) if REPLICAS else Hub(folder))


@pytest.fixture(scope="session")
def another_hub(tmp_path_factory) -> Iterator[Hub]:
    """A hub that has nothing to do with the run's, of which it is enough that it is another one: it is one process in any run."""
    yield from running(Hub(tmp_path_factory.mktemp("another")))


def running(hub: Hub) -> Iterator[Hub]:
    try:
        yield hub.start()
    finally:
        hub.stop()


@pytest.fixture(autouse=True)
def turn_of_doors(request) -> None:
    """Which replica of the doors a test asks: by its name, so that it is the same one whatever else is run."""
    if REPLICAS and "hub" in request.fixturenames:
        request.getfixturevalue("hub").turn_to(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def new_hub(tmp_path):
    """Makes hubs of a test's own, and stops those that it left. They are of one process, with settings that the test needs."""
    if REPLICAS:
        pytest.skip("a hub of its own, which the run against one process has")
    hubs = []

    def make(name: str = "hub", **choices) -> Hub:
        hubs.append(Hub(tmp_path / name, **choices))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.stop()


@pytest.fixture
def hub_beside(tmp_path):
    """The same for tests of either run: of the run's own form, which is one process of each service where that is a stack."""
    hubs = []

    def make(name: str = "hub", settings: dict[str, str] | None = None) -> Hub:
        if REPLICAS:
            hubs.append(Stack(tmp_path / name, store=None, replicas=1, settings=of_services(settings or {})))
        else:
            hubs.append(Hub(tmp_path / name, settings=settings))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.stop()


@pytest.fixture
def cluster(hub) -> Cluster:
    """A cluster of a test's own."""
    return hub.create_cluster()

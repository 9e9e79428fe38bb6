"""What all stages share: one hub for the run, stopped at its end and searched for secrets."""

from __future__ import annotations

import pytest

from cluster import Cluster
from hub import Hub


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Hub:
    """A hub that logs all it ever logs. It has to end well, and nothing of the run may be read in what it leaves."""
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


@pytest.fixture
def new_hub(tmp_path):
    """Makes hubs of a test's own, and stops those that it left."""
    hubs = []

    def make(name: str = "hub", **choices) -> Hub:
        hubs.append(Hub(tmp_path / name, **choices))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.stop()


@pytest.fixture
def cluster(hub) -> Cluster:
    """A cluster of a test's own."""
    return hub.create_cluster()

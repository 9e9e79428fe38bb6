"""One Docker, and one hub of containers on it, for all tests here."""

from __future__ import annotations

import pytest

from composed import Compose
from dockerd import Docker


@pytest.fixture(scope="session")
def docker():
    docker = Docker()
    try:
        # Where the containers' addresses and published ports are.
        docker.namespaces.enter_network()
        yield docker
    finally:
        docker.stop()


@pytest.fixture(scope="session")
def hub(tmp_path_factory, docker) -> Compose:
    hub = Compose(tmp_path_factory.mktemp("compose"), docker)
    try:
        yield hub.start()
    finally:
        hub.stop()

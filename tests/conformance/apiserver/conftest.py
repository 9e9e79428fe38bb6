"""What the stories at real API servers share."""

from __future__ import annotations

import pytest

import kube
from spokes import IN_CLUSTER_ISSUER, OWN_ISSUER, Spoke, new_spoke, nobody_is_mapped


@pytest.fixture(scope="session")
def etcd(tmp_path_factory):
    etcd = kube.start_etcd(tmp_path_factory.mktemp("etcd"))
    yield etcd
    kube.stop(etcd.process)


@pytest.fixture(scope="session")
def servers(etcd, tmp_path_factory):
    """Two API servers with nothing but their own RBAC."""
    started = []
    try:
        for name, issuer in (("first", IN_CLUSTER_ISSUER), ("second", OWN_ISSUER)):
            folder = tmp_path_factory.mktemp(name)
            started.append(kube.start(folder, etcd, ["--authorization-mode=RBAC"], issuer))
        yield started
    finally:
        for server in started:
            kube.stop(server.process)


@pytest.fixture
def spoke(new_hub, servers, tmp_path) -> Spoke:
    """A cluster of a hub of its own, with nobody in it."""
    server = servers[0]
    nobody_is_mapped(server)
    return new_spoke(new_hub().start(), server, tmp_path / "spoke")[0]

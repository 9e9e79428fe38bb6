"""The ports of service processes, which doors and services alone may knock at."""

from __future__ import annotations

import json
import pathlib

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from stack import REPLICAS, STORED

HEALTH = "/grpc.health.v1.Health/Check"
RESOLVE = "/lanyard.mapping.v1.Resolve/Resolve"
LEND = "/lanyard.mapping.v1.Spokes/LendSpoke"


@pytest.fixture
def ports(hub) -> dict[str, str]:
    """Where the first replica of each service listens."""
    if not REPLICAS:
        pytest.skip("one process has no ports between services")
    files = {service: hub.folder / f"{service}-0.ready.json" for service in STORED}
    return {service: json.loads(file.read_text())["grpc"].removeprefix("https://") for service, file in files.items()}


def knock(port: str, ca: pathlib.Path, shown: tuple[pathlib.Path, pathlib.Path] | None, method: str) -> StatusCode:
    """How a call ends on a connection that shows this certificate, or none."""
    certificate, key = (file.read_bytes() for file in shown) if shown else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, certificate)
    with grpc.secure_channel(port, credentials) as channel:
        call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        try:
            answer = call(b"", timeout=10)
        except grpc.RpcError as error:
            return error.code()
    assert health_pb2.HealthCheckResponse.FromString(answer).status == health_pb2.HealthCheckResponse.SERVING
    return StatusCode.OK


def immunity_41_no_certificate_but_a_services_own_opens_a_services_port(hub, cluster, ports, tmp_path):
    ana, ca = hub.create_user("ana"), pathlib.Path(hub.ca)
    flags = ["--data-dir", str(hub.data), "--out"]
    hub.cli("pki", "issue", "--principal", ana.arn, *flags, str(tmp_path / "ana"))
    hub.cli("pki", "issue-spoke", cluster.id, *flags, str(tmp_path / "spoke"))
    of = {name: (tmp_path / name / f"{stem}.crt", tmp_path / name / f"{stem}.key") for name, stem in (("ana", "principal"), ("spoke", "spoke"))}
    own = {name: (hub.folder / name / "service.crt", hub.folder / name / "service.key") for name in ("gateway", "authz")}
    for service, port in ports.items():
        assert knock(port, ca, None, HEALTH) == StatusCode.UNAVAILABLE, f"{service} speaks to who shows nothing"
        for who, shown in of.items():
            for method in (HEALTH, RESOLVE):
                assert knock(port, ca, shown, method) == StatusCode.PERMISSION_DENIED, (service, who, method)
        assert knock(port, ca, own["gateway"], HEALTH) == StatusCode.OK, service
    # Another service's own, for a method that is not that service's to call.
    for who, method in (("authz", RESOLVE), ("gateway", LEND)):
        assert knock(ports["mapping"], ca, own[who], method) == StatusCode.PERMISSION_DENIED, (who, method)

"""The ports of service processes, which doors and services alone may knock at; and the programs of their own behind them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import tls
from authorities import HOUR, Authority
from hub import COMMAND_SECONDS_MAX, YES
from metrics import Counted
from stack import REPLICAS, SERVICES, STORED

pytestmark = pytest.mark.skipif(not REPLICAS, reason="one process has no ports between services, and no program beside it")

HEALTH = "/grpc.health.v1.Health/Check"
RESOLVE = "/lanyard.mapping.v1.Resolve/Resolve"
LEND = "/lanyard.mapping.v1.Spokes/LendSpoke"
REVIEW = "/lanyard.spoke.v1.PodReviews/ReviewPod"
ANSWER_SECONDS_MAX = 10


@dataclass(frozen=True)
class Shown:
    """A certificate and its key."""

    certificate: pathlib.Path
    key: pathlib.Path


@pytest.fixture
def ports(hub) -> dict[str, str]:
    """Where each replica of each service that has such a port listens, by the process's name."""
    names = [f"{service}-{number}" for service in (*STORED, "spoke") for number in range(REPLICAS)]
    told = {name: json.loads((hub.folder / f"{name}.ready.json").read_text()) for name in names}
    return {name: ready["grpc"].removeprefix("https://") for name, ready in told.items()}


@pytest.fixture
def own(hub) -> dict[str, Shown]:
    """The certificate of each service."""
    folders = {service: hub.folder / service for service in SERVICES}
    return {service: Shown(folder / "service.crt", folder / "service.key") for service, folder in folders.items()}


@pytest.fixture
def of_others(hub, cluster, tmp_path) -> dict[str, Shown]:
    """What the hub has issued to people and spokes."""
    flags = ["--data-dir", str(hub.data), "--out"]
    hub.cli("pki", "issue", "--principal", hub.create_user("ana").arn, *flags, str(tmp_path / "ana"))
    hub.cli("pki", "issue-spoke", cluster.id, *flags, str(tmp_path / "spoke"))
    stems = {"ana": "principal", "spoke": "spoke"}
    return {name: Shown(tmp_path / name / f"{stem}.crt", tmp_path / name / f"{stem}.key") for name, stem in stems.items()}


def connected(hub, port: str, shown: Shown | None) -> grpc.Channel:
    """A connection that shows this certificate, or none."""
    certificate, key = (shown.certificate.read_bytes(), shown.key.read_bytes()) if shown else (None, None)
    return grpc.secure_channel(port, grpc.ssl_channel_credentials(pathlib.Path(hub.ca).read_bytes(), key, certificate))


def knock(hub, port: str, shown: Shown | None, method: str) -> StatusCode:
    """How a call ends; one that says how the service is has to say that it serves."""
    with connected(hub, port, shown) as channel:
        call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        try:
            answer = call(b"", timeout=ANSWER_SECONDS_MAX)
        except grpc.RpcError as error:
            return error.code()
    assert health_pb2.HealthCheckResponse.FromString(answer).status == health_pb2.HealthCheckResponse.SERVING
    return StatusCode.OK


def spoken(hub, port: str, shown: Shown | None) -> set[str] | StatusCode:
    """What a port speaks, by reflection as `grpcurl list` asks for it; or how that ends."""
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    with connected(hub, port, shown) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        try:
            answer = next(stub.ServerReflectionInfo(asked, timeout=ANSWER_SECONDS_MAX))
        except grpc.RpcError as error:
            return error.code()
    return {service.name for service in answer.list_services_response.service}


def counted_by(hub, name: str, metric: str, **labels: str) -> Counted:
    """What a process counts from now on."""
    return Counted(hub, [hub.ready["metrics"][name]], metric, **labels)


def denied_by(hub, name: str, method: str) -> Counted:
    return counted_by(hub, name, "lanyard_grpc_requests_total", method=method, code=StatusCode.PERMISSION_DENIED.name)


def immunity_41_no_certificate_but_a_services_own_opens_a_services_port(hub, ports, own, of_others, tmp_path):
    _, strange = tls.certificate(tmp_path, "stranger", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    for name, port in ports.items():
        unread, denied = counted_by(hub, name, "lanyard_connections_failed_total"), denied_by(hub, name, RESOLVE)
        for shown in (None, Shown(strange, strange)):
            who = "a stranger" if shown else "who shows nothing"
            assert knock(hub, port, shown, HEALTH) == StatusCode.UNAVAILABLE, f"{name} speaks to {who}"
            assert spoken(hub, port, shown) == StatusCode.UNAVAILABLE, f"{name} speaks to {who}"
        for who, shown in of_others.items():
            for method in (HEALTH, RESOLVE):
                assert knock(hub, port, shown, method) == StatusCode.PERMISSION_DENIED, (name, who, method)
            assert spoken(hub, port, shown) == StatusCode.PERMISSION_DENIED, (name, who)
        # Of the first two no request was read; each of the others asked once for that method.
        unread.expect(2)
        denied.expect(len(of_others))
    # Another service's own, for a method that is not that service's to call.
    wrong = [("mapping", "authz", RESOLVE), ("mapping", "gateway", LEND), ("spoke", "gateway", REVIEW), ("spoke", "authn", REVIEW)]
    for service, who, method in wrong:
        for number in range(REPLICAS):
            name = f"{service}-{number}"
            denied = denied_by(hub, name, method)
            assert knock(hub, ports[name], own[who], method) == StatusCode.PERMISSION_DENIED, (name, who, method)
            denied.expect(1)


def told_why(hub, port: str, shown: Shown) -> str:
    """What a port says to a certificate that it does not take."""
    host, number = port.rsplit(":", 1)
    context = ssl.create_default_context(cafile=hub.ca)
    context.load_cert_chain(shown.certificate, shown.key)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(number)), timeout=ANSWER_SECONDS_MAX) as connection:
        # By TLS 1.3 a client has shaken hands before the other side has looked at what it showed.
        with pytest.raises(ssl.SSLError) as told, context.wrap_socket(connection, server_hostname=host) as shaken:
            shaken.recv(1)
    return str(told.value).lower().replace("_", " ")


def test_a_services_own_certificate_opens_no_port_past_its_end(hub, ports, own, tmp_path):
    authority = Authority.of_the_hub(hub, "services")
    like = x509.load_pem_x509_certificates(own["gateway"].certificate.read_bytes())[0]
    issued = {name: authority.issue(tmp_path / name, like, ends_in) for name, ends_in in (("good", HOUR), ("expired", -HOUR / 2))}
    good, expired = (Shown(files.chain, files.key) for files in issued.values())
    for name, port in ports.items():
        # Nothing but its end is wrong with the other one.
        assert knock(hub, port, good, HEALTH) == StatusCode.OK, name
        refused = counted_by(hub, name, "lanyard_connections_failed_total", reason="certificate")
        assert knock(hub, port, expired, HEALTH) == StatusCode.UNAVAILABLE, name
        assert "certificate expired" in told_why(hub, port, expired), name
        refused.expect(2)


def test_every_service_tells_the_others_how_it_is_and_what_it_speaks(hub, ports, own):
    for name, port in ports.items():
        for who in ("gateway", "authz", "spoke"):
            assert knock(hub, port, own[who], HEALTH) == StatusCode.OK, (name, who)
            said = spoken(hub, port, own[who])
            assert {RESOLVE.split("/")[1], REVIEW.split("/")[1], "grpc.health.v1.Health"} <= said, (name, who, said)


# Programs of their own


def own_program(service: str) -> pathlib.Path:
    """It lies beside the one that has them all."""
    return pathlib.Path(os.environ["LANYARD_BIN"]).with_name(f"lanyard-{service}")


def said_by(tmp_path, *command: str) -> str:
    """What a program says of itself, whoever starts it; it has to end well."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=variables)
    assert done.returncode == YES, (command, done.stderr)
    return done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_every_second_replica_is_its_services_own_program(hub, service):
    running = [pathlib.Path(os.readlink(f"/proc/{process}/exe")).name for process in hub.processes_of(service)]
    wanted = [own_program(service).name if number % 2 else "lanyard" for number in range(REPLICAS)]
    # A program that was built anew meanwhile is another file.
    assert [name.removesuffix(" (deleted)") for name in running] == wanted


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_own_program_is_configured_as_the_one_that_has_them_all(tmp_path, service):
    own, whole = [str(own_program(service))], [os.environ["LANYARD_BIN"], "run", service]
    told = said_by(tmp_path, *own, "--print-config")
    assert told.strip() and told == said_by(tmp_path, *whole, "--print-config")
    flags, known = (set(re.findall(r"--[a-z-]+", said_by(tmp_path, *words, "--help"))) for words in (own, whole))
    assert "--tls-dir" in flags and flags - {"--version"} <= known
    assert said_by(tmp_path, *own, "--version").startswith(f"lanyard-{service} ")

"""Replicas of the spoke service: one watches a cluster at a time, and who comes too late changes nothing."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
import tomllib

import pytest
import requests

import kube
from databases import own_database
from proxy import Proxy
from spokes import READERS, holder, line, new_spoke, nobody_is_mapped, seen
from stack import Stack

# In which a replica has sent what it saw.
PUSHED_SECONDS = 3


@pytest.mark.skipif(not os.environ.get("LANYARD_TEST_POSTGRES_URL"), reason="separate services share a PostgreSQL")
def test_two_replicas_of_the_spoke_service_and_the_other_takes_over(servers, tmp_path):
    server = servers[0]
    nobody_is_mapped(server)
    hub = Stack(tmp_path / "stack", store=own_database(os.environ["LANYARD_TEST_POSTGRES_URL"]), replicas=1)
    second = None
    try:
        hub.start()
        spoke, added = new_spoke(hub, server, tmp_path / "spoke")
        assert added["spoke"]["watch"]["fault"] is None, added
        ana = hub.create_user("ana")
        spoke.aws_auth(line(ana, "devs"))
        spoke.apply(*READERS)
        seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
        seen("the binding", lambda: spoke.may(ana, "get"))
        first = holder(spoke.describe())
        second = replica(hub, tmp_path / "second.json")
        # Who has the lease is stopped in the middle of everything: when it ends, the other one watches.
        own = the_stacks_own(hub)
        os.kill(own, signal.SIGSTOP)
        try:
            spoke.aws_auth(line(ana, "ops"))
            kube.wait_for("the change, by the other", lambda: spoke.groups(ana) == ["ops"], 40)
            kube.wait_for("another holder", lambda: holder(spoke.describe()) != first, 20)
        finally:
            os.kill(own, signal.SIGCONT)
        second.send_signal(signal.SIGTERM)
        assert second.wait(kube.STOP_SECONDS_MAX) == 0
        spoke.aws_auth(line(ana, "last"))
        # Told to stop, it gave its lease back: nobody waits for the end of that.
        seen("the change, by the first again", lambda: spoke.groups(ana) == ["last"])
        kube.wait_for("the first holder", lambda: holder(spoke.describe()) == first, 20)
    finally:
        if second is not None and second.poll() is None:
            second.kill()
            second.wait()
        hub.stop()
    nobody_is_mapped(server)


@pytest.mark.skipif(not os.environ.get("LANYARD_TEST_POSTGRES_URL"), reason="separate services share a PostgreSQL")
def test_what_a_paused_replica_had_sent_comes_too_late_and_nothing_is_mixed(servers, tmp_path):
    """Its pushes are on their way when it is stopped, and arrive when another has watched for a while."""
    server = servers[0]
    nobody_is_mapped(server)
    hub = Stack(tmp_path / "stack", store=own_database(os.environ["LANYARD_TEST_POSTGRES_URL"]), replicas=1)
    ways: list[Proxy] = []
    second = None
    try:
        hub.start()
        spoke, _ = new_spoke(hub, server, tmp_path / "spoke")
        ana = hub.create_user("ana")
        spoke.aws_auth(line(ana, "devs"))
        seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
        first, own = holder(spoke.describe()), the_stacks_own(hub)
        config = behind_proxies(hub, tmp_path / "second.toml", ways)
        second = replica(hub, tmp_path / "second.json", config)
        os.kill(own, signal.SIGSTOP)
        try:
            kube.wait_for("the second's turn", lambda: holder(spoke.describe()) != first, 40)
        finally:
            os.kill(own, signal.SIGCONT)
        spoke.aws_auth(line(ana, "turn"))
        seen("a push of the second", lambda: spoke.groups(ana) == ["turn"])
        before, refused = holder(spoke.describe()), late_writes(hub)
        # It sees the change and sends it; that is on its way when it is stopped.
        for way in ways:
            way.hold()
        spoke.aws_auth(line(ana, "devs", "late"))
        spoke.apply(*READERS)
        # Changes are pushed once a second; the lease lasts for longer.
        time.sleep(PUSHED_SECONDS)
        assert any(way.waiting for way in ways), "nothing is on its way"
        second.send_signal(signal.SIGSTOP)
        kube.wait_for("another holder", lambda: holder(spoke.describe()) != before, 40)
        spoke.aws_auth(line(ana, "devs", "ops"))
        server.admin("delete", "clusterrolebinding", "readers")
        seen("the change, by the other", lambda: sorted(spoke.groups(ana)) == ["devs", "ops"])
        seen("the end of the binding, by the other", lambda: not spoke.may(ana, "get"))
        in_force, bindings = spoke.describe()["aws_auth"]["in_force"], hub.cli("rbac", "list", spoke.cluster.id)
        # Now it arrives.
        for way in ways:
            way.release()
        seen("the refusal", lambda: late_writes(hub) > refused)
        second.send_signal(signal.SIGCONT)
        # Whoever goes on now has nothing to put over that.
        spoke.aws_auth(line(ana, "devs", "last"))
        seen("the change after it", lambda: sorted(spoke.groups(ana)) == ["devs", "last"])
        assert spoke.describe()["aws_auth"]["in_force"] == in_force + 1, "one version, and no late one before it"
        assert not spoke.may(ana, "get") and hub.cli("rbac", "list", spoke.cluster.id) == bindings
        assert holder(spoke.describe()) != before
    finally:
        if second is not None:
            second.send_signal(signal.SIGCONT)
            second.kill()
            second.wait()
        for way in ways:
            way.close()
        hub.stop()
    nobody_is_mapped(server)


def behind_proxies(hub: Stack, config: pathlib.Path, ways: list[Proxy]) -> pathlib.Path:
    """The stack's configuration of the spoke service, with a proxy in front of each service that takes pushes."""
    peers = tomllib.loads((hub.folder / "spoke.toml").read_text())["peers"]
    for service in ("mapping", "authz"):
        (url,) = peers[service]
        host, port = url.removeprefix("https://").rsplit(":", 1)
        ways.append(Proxy(host, int(port)))
        peers[service] = [f"https://{host}:{ways[-1].port}"]
    # Longer than the lease: what was sent is not called back when it goes on.
    lines = ["call_timeout_ms = 60000", "[peers]", *(f"{name} = {json.dumps(urls)}" for name, urls in peers.items())]
    config.write_text("\n".join(lines) + "\n")
    return config


def late_writes(hub: Stack) -> float:
    """Pushes that mapping and authz refused for the state that they met."""
    methods = {"mapping-0": "lanyard.mapping.v1.Clusters/PushAwsAuth", "authz-0": "lanyard.authz.v1.Objects/ApplyObjects"}
    count = 0.0
    for process, method in methods.items():
        text = requests.get(hub.ready["metrics"][process] + "/metrics", timeout=10).text
        for line in text.splitlines():
            if method in line and "lanyard_grpc_requests_total" in line and 'code="FAILED_PRECONDITION"' in line:
                count += float(line.rsplit(" ", 1)[1])
    return count


def replica(hub: Stack, ready_file: pathlib.Path, config: pathlib.Path | None = None) -> subprocess.Popen:
    """Another process of the spoke service beside the stack's own, with the same folder, ready."""
    command = [os.environ["LANYARD_BIN"], "run", "spoke", "--config", str(config or hub.folder / "spoke.toml")]
    command += ["--tls-dir", str(hub.folder / "spoke"), "--ready-file", str(ready_file), "--log", "debug"]
    with (hub.folder / "logs" / "second.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=hub._environment()
        )
    kube.wait_for("the second replica", ready_file.exists, 30)
    assert json.loads(ready_file.read_text())["service"] == "spoke"
    return process


def the_stacks_own(hub: Stack) -> int:
    """The number of the stack's process of the spoke service."""
    wanted = str(hub.folder / "spoke-0.ready.json").encode()
    for place in pathlib.Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes() if place.name.isdigit() else b""
        except OSError:
            continue  # It has ended meanwhile.
        if wanted in words.split(b"\0"):
            return int(place.name)
    raise AssertionError("the stack has no process of the spoke service")

"""New versions of the hub's keys, while it works and while it rests; and an issuing key of its authority made anew."""

from __future__ import annotations

import os
import pathlib
import socket
import ssl
import threading
import time

import pytest

from hub import USAGE, unique
from stack import REPLICAS, STORED

# What processes have as a rule to hear of a new version, and nothing at all: who has not heard of it asks.
OVERLAPS_SECONDS = (5, 0)
# Twice as long as a process polls.
POLLED_SECONDS = 5
FOLLOWED_SECONDS_MAX = 60
PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


class Busy:
    """Asks again and again, in a thread of its own, and keeps what was not as it should be."""

    def __init__(self, ask) -> None:
        self._ask, self._stop = ask, threading.Event()
        self.asked, self.wrong = 0, []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._ask()
            except Exception as error:  # noqa: BLE001 - whatever it was, somebody was not answered
                answer = repr(error)
            self.asked += 1
            if answer is not None:
                self.wrong.append(answer)

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()


def states(hub, *words: str, **choices) -> dict[str, list[tuple[int, str]]]:
    """Of each purpose the versions and what they are good for."""
    told: dict[str, list[tuple[int, str]]] = {}
    for one in hub.cli("keys", *words, "--data-dir", str(hub.data), **choices):
        told.setdefault(one["purpose"], []).append((one["version"], one["state"]))
    return told


@pytest.mark.skipif(not REPLICAS, reason="one process has its file for itself: see the next test")
@pytest.mark.parametrize("overlap", OVERLAPS_SECONDS)
def test_nobody_is_refused_while_every_key_of_a_stack_is_rotated(hub, cluster, overlap):
    store = {"LANYARD_STORE": os.environ["LANYARD_TEST_POSTGRES_URL"]}
    ana = hub.create_user("ana")
    role = hub.create_role("ci", trusts=ana.arn)
    for principal in (ana, role):
        hub.cli("entry", "create", cluster.id, principal.arn, "--group", "devs")
        hub.cli("entry", "associate", cluster.id, principal.arn, "AmazonEKSViewPolicy")
    before = hub.assume_role(ana, role, "before")
    badge = cluster.log_in(before)
    folders = [part for service in STORED for part in ("--service-dir", str(hub.folder / service))]
    # Without the keys of a service nothing is made.
    named = hub.refused("keys", "rotate", "proofs", *folders[:2], "--data-dir", str(hub.data), code=USAGE, environment=store)
    assert "mapping" in named, named

    def knocks():
        for credentials in (ana.credentials, before):
            status = cluster.token_review(cluster.token(credentials))["status"]
            if not status.get("authenticated"):
                return status
        return None

    def opens():
        status = cluster.access_review(badge, **PODS)["status"]
        return None if status["allowed"] else status

    def manages():
        hub.cli("entry", "list", cluster.id)
        session = hub.assume_role(ana, role, unique("during"))
        status = cluster.token_review(cluster.token(session))["status"]
        return None if status.get("authenticated") else status

    with Busy(knocks) as knocking, Busy(opens) as opening, Busy(manages) as managing:
        rotated = states(
            hub,
            *("rotate", "--all", *folders, "--overlap-seconds", str(overlap), "--reason", "a test"),
            environment=store,
        )
        assert all(versions[-1][1] == ("waits" if overlap else "seals") for versions in rotated.values()), rotated
        newest = {purpose: versions[-1][0] for purpose, versions in rotated.items()}
        deadline = time.monotonic() + FOLLOWED_SECONDS_MAX
        while any(versions[-1][1] != "seals" for versions in states(hub, "list", environment=store).values()):
            assert time.monotonic() < deadline
        time.sleep(POLLED_SECONDS)
    for busy in (knocking, opening, managing):
        assert busy.asked > 1 and not busy.wrong, busy.wrong[:3]
    # By the new keys too, and what was made under the old ones lives on.
    assert cluster.access_review(cluster.log_in(hub.assume_role(ana, role, "after")), **PODS)["status"]["allowed"]
    assert cluster.access_review(cluster.log_in(before), **PODS)["status"]["allowed"]
    assert states(hub, "list", environment=store)["proof"][-1] == (newest["proof"], "seals")


def test_a_hub_that_rests_gets_new_keys_and_goes_on_as_before(new_hub):
    hub = new_hub().start()
    cluster = hub.create_cluster("kept")
    ana = hub.create_user("ana")
    role = hub.create_role("ci", trusts=ana.arn)
    for principal in (ana, role):
        hub.cli("entry", "create", cluster.id, principal.arn, "--group", "devs")
        hub.cli("entry", "associate", cluster.id, principal.arn, "AmazonEKSViewPolicy")
    session = hub.assume_role(ana, role, "before")
    badge = cluster.log_in(session)
    in_use = hub.refused("keys", "rotate", "--all", "--data-dir", str(hub.data), code=USAGE)
    assert "in use by a running `lanyard serve`" in in_use and "stop that first" in in_use, in_use
    hub.stop()
    rotated = states(hub, "rotate", "--all", "--overlap-seconds", "0", "--reason", "a test")
    assert set(map(tuple, rotated.values())) == {((1, "opens"), (2, "seals"))}, rotated
    hub.start()
    for credentials in (ana.credentials, session, hub.assume_role(ana, role, "after")):
        assert cluster.access_review(cluster.log_in(credentials), **PODS)["status"]["allowed"]
    assert cluster.access_review(badge, **PODS)["status"]["allowed"], "a proof of the old key"


def test_old_secrets_are_sealed_anew_and_versions_that_are_needed_stay(new_hub):
    hub = new_hub().start()
    cluster = hub.create_cluster("kept")
    ana, bob = hub.create_user("ana"), hub.create_user("bob")
    for user in (ana, bob):
        hub.cli("entry", "create", cluster.id, user.arn, "--group", "devs")
    hub.stop()
    folder = ("--data-dir", str(hub.data))
    states(hub, "rotate", "--all", "--overlap-seconds", "0")
    # The administrator's key, ana's and bob's.
    resealed = {one["keys"]: (one["resealed"], one["unopened"]) for one in hub.cli("keys", "reseal", *folder)}
    assert resealed == {"access-keys": (3, 0), "kubeconfigs": (0, 0), "issuers": (0, 0)}, resealed
    assert {one["resealed"] for one in hub.cli("keys", "reseal", *folder)} == {0}, "all of it is new"
    # Sessions and proofs of the old versions count still, and a write under an old one may be on its way.
    assert hub.cli("keys", "retire", "--all", *folder) == []
    assert set(map(tuple, states(hub, "list").values())) == {((1, "opens"), (2, "seals"))}
    hub.start()
    for user in (ana, bob):
        assert cluster.token_review(cluster.token(user.credentials))["status"]["authenticated"]


def test_a_running_hub_takes_an_issuing_key_that_was_made_anew(new_hub):
    hub = new_hub().start()

    def shown() -> tuple[str, bytes]:
        """The issuer's key id in the certificate that a new connection sees, which is verified by the root."""
        context = ssl.create_default_context(cafile=hub.ca)
        address = hub.url.removeprefix("https://").rsplit(":", 1)
        with socket.create_connection((address[0], int(address[1])), timeout=10) as stream:
            with context.wrap_socket(stream, server_hostname="localhost") as tls:
                return tls.version() or "", tls.getpeercert(binary_form=True) or b""

    before = shown()
    renewed = hub.cli("pki", "renew", "services", "--data-dir", str(hub.data))
    assert renewed["hub_id"] == hub.ready["hub_id"]
    assert pathlib.Path(renewed["file"]).exists()
    deadline = time.monotonic() + FOLLOWED_SECONDS_MAX
    while (now := shown()) == before:
        assert time.monotonic() < deadline, "the listener goes on with the certificate of the old key"
    assert now[1] != before[1]
    # Who trusted the root trusts it still, and the hub answers.
    hub.create_cluster("after")
    unknown = hub.run("pki", "renew", "nobody", "--data-dir", str(hub.data))
    assert unknown.returncode == USAGE, unknown.stderr

"""A spoke that floods the hub with changes: it is told to come again, nothing is half done, and nobody else notices."""

from __future__ import annotations

import functools
import json
import time

import pytest
import requests
from grpc import StatusCode

from certificates import Certificate, CertificateDoor
from hub import unique
from management import FrontDoor
from oidc import Key

WORKLOADS = "/lanyard.credentials.v1.Workloads"
PUSH, APPLY = "/lanyard.mapping.v1.Clusters/PushAwsAuth", "/lanyard.authz.v1.Objects/ApplyObjects"
# Ours push once a second at most; so few that the flood need not be a long one.
PER_SECOND, BURST, FLOOD = 2, 20, 300
KIB_PER_SECOND, KIB_BURST = 1, 30
PATIENCE_SECONDS = 20


def config_of(**quota: int) -> str:
    shown = "{ " + ", ".join(f"{key} = {value}" for key, value in quota.items()) + " }"
    return f"[mapping.limits]\nspoke_pushes = {shown}\n[authz]\nspoke_pushes = {shown}\n[credentials]\nspoke_pushes = {shown}\n"


def aws_auth(cluster, number: int) -> dict:
    role = {"rolearn": "arn:aws:iam::111122223333:role/ops", "username": f"version-{number}", "groups": ["devs"]}
    return {"cluster": cluster.id, "content": json.dumps({"mapRoles": json.dumps([role])})}


def role(cluster, number: int) -> dict:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    document = kind | {"metadata": {"name": f"version-{number}"}, "rules": rules}
    return {"cluster": cluster.id, "documents": json.dumps(document), "replace": True, "partial": True}


def service_account(cluster, number: int) -> dict:
    one = {"namespace": "team-a", "name": f"version-{number}", "uid": f"uid-{number}"}
    return {"cluster": cluster.id, "service_accounts": [one]}


@functools.cache
def key_of(cluster: str) -> Key:
    """A key counts for one cluster of a hub alone."""
    return Key(cluster)


def issuer(cluster, number: int) -> dict:
    """What changes is its name, so that each push would be written."""
    url = f"https://version-{number}.{cluster.id}.example"
    return {"cluster": cluster.id, "issuer_url": url, "jwks": json.dumps({"keys": [key_of(cluster.id).jwk()]})}


PUSHES = [
    (PUSH, aws_auth, "aws-auth"),
    (APPLY, role, "RBAC objects"),
    (f"{WORKLOADS}/ApplyServiceAccounts", service_account, "ServiceAccounts"),
    (f"{WORKLOADS}/PushIssuer", issuer, "the issuer of ServiceAccount tokens"),
]


def door_of(hub, cluster, tmp_path) -> CertificateDoor:
    """The front door, for the spoke of a cluster."""
    folder = tmp_path / unique("credential")
    hub.cli("pki", "issue-spoke", cluster.id, "--out", str(folder), "--data-dir", str(hub.data))
    return CertificateDoor(hub, Certificate(folder, "spoke"))


@pytest.mark.parametrize(("path", "made", "what"), PUSHES)
def test_immunity_28_what_a_spoke_leaves_in_the_chain_of_changes_is_held_to_a_rate(new_hub, tmp_path, path, made, what):
    """Each push is one that the rate of pushes lets in, and changes something, of which the chain keeps a KiB or more."""
    quota = {"kib_per_second": KIB_PER_SECOND, "kib_burst": KIB_BURST}
    hub = new_hub(config=config_of(per_second=1000, burst=1000, **quota)).start()
    own, other = hub.create_cluster("own"), hub.create_cluster("other")
    door, begun = door_of(hub, own, tmp_path), time.monotonic()
    answers = [door.signed(path, made(own, number)) for number in range(FLOOD)]
    passed = time.monotonic() - begun
    codes = [answer.code for answer in answers]
    assert set(codes) == {StatusCode.OK, StatusCode.RESOURCE_EXHAUSTED}, set(codes)
    assert 1 <= codes.count(StatusCode.OK) <= KIB_BURST + KIB_PER_SECOND * passed + 1, codes
    refused = next(answer for answer in answers if answer.code is StatusCode.RESOURCE_EXHAUSTED)
    limit = f"what this cluster's spoke may change of {what} ({KIB_BURST} KiB at once, then {KIB_PER_SECOND} KiB a second)"
    assert limit in refused.details, refused
    others, operator = door_of(hub, other, tmp_path), FrontDoor(hub)
    assert others.signed(path, made(other, 0)).code is StatusCode.OK
    assert operator.call(path, made(own, FLOOD), hub.administrator()).code is StatusCode.OK
    for opened in (door, others, operator):
        opened.close()


@pytest.mark.parametrize(("path", "made", "what"), PUSHES)
def test_immunity_28_a_spoke_that_floods_changes_is_told_to_come_again(new_hub, tmp_path, path, made, what):
    hub = new_hub(config=config_of(per_second=PER_SECOND, burst=BURST)).start()
    own, other = hub.create_cluster("own"), hub.create_cluster("other")
    doors = {cluster.id: door_of(hub, cluster, tmp_path) for cluster in (own, other)}
    door, begun = doors[own.id], time.monotonic()
    answers = [door.signed(path, made(own, number)) for number in range(FLOOD)]
    passed = time.monotonic() - begun
    codes = [answer.code for answer in answers]
    taken = codes.count(StatusCode.OK)
    assert set(codes) == {StatusCode.OK, StatusCode.RESOURCE_EXHAUSTED}, set(codes)
    assert BURST <= taken <= BURST + PER_SECOND * passed + 1, f"{taken} of {FLOOD} taken in {passed} s"
    refused = next(answer for answer in answers if answer.code is StatusCode.RESOURCE_EXHAUSTED)
    assert f"what this cluster's spoke may push of {what} ({BURST} pushes at once, then {PER_SECOND} a second)" in refused.details
    assert "try again in" in refused.details
    text = requests.get(f"{hub.url}/metrics", verify=hub.ca, timeout=10).text
    counted = [line for line in text.splitlines() if line.startswith("lanyard_store_pushes_throttled_total ")]
    assert [float(line.rsplit(" ", 1)[1]) for line in counted] == [FLOOD - taken]
    # Another cluster's spoke is not held up, nor whoever manages this one.
    assert doors[other.id].signed(path, made(other, 0)).code is StatusCode.OK
    operator = FrontDoor(hub)
    for number in range(BURST + 5):
        answer = operator.call(path, made(own, FLOOD + number), hub.administrator())
        assert answer.code is StatusCode.OK, answer
    # What it sees last is taken once its time has come.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := door.signed(path, made(own, 999))).code is not StatusCode.OK:
        assert answer.code is StatusCode.RESOURCE_EXHAUSTED and time.monotonic() < deadline, answer
        time.sleep(1 / PER_SECOND)
    if path == PUSH:
        assert "version-999" in hub.cli("aws-auth", "get", own.id)[-1]["content"]
    for opened in (operator, *doors.values()):
        opened.close()

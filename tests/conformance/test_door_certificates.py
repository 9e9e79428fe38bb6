"""An API server that shows a certificate at its cluster's door, in place of a bearer token: `lanyard pki issue-spoke`."""

from __future__ import annotations

import pathlib

import pytest
import requests

from authorities import HOUR, Authority, Files
from cluster import access_review_of
from management import FrontDoor

REGISTER = "/lanyard.mapping.v1.Spokes/RegisterSpokeCertificate"
DOORS = ["tokenreview", "subjectaccessreview"]


def post(cluster, door: str, body: dict, files: Files | None) -> requests.Response:
    """On a connection of its own, for a certificate is its connection's; without a bearer token."""
    session = requests.Session()
    session.trust_env = False
    session.verify = cluster.hub.ca
    session.cert = (str(files.chain), str(files.key)) if files else None
    with session:
        return session.post(cluster.url(door), json=body, timeout=10)


def shut_out(cluster, door: str, body: dict, files: Files) -> None:
    """Whoever shows a certificate that does not verify gets no connection, and so no answer."""
    with pytest.raises(requests.exceptions.ConnectionError):
        post(cluster, door, body, files)


@pytest.fixture(scope="module")
def world(hub):
    cluster, ana = hub.create_cluster("by-certificate"), hub.create_user("ana")
    cluster.entry(ana, policy="AmazonEKSViewPolicy")
    user = cluster.log_in(ana)
    bodies = {
        "tokenreview": {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": cluster.token(ana)},
        },
        "subjectaccessreview": access_review_of(user, verb="get", resource="pods"),
    }
    return cluster, bodies


@pytest.fixture
def own(hub, world, tmp_path) -> Files:
    return issued(hub, world[0], tmp_path / "own")


def issued(hub, cluster, folder: pathlib.Path) -> Files:
    made = hub.cli("pki", "issue-spoke", cluster.id, "--out", str(folder), "--data-dir", str(hub.data))
    files = Files(folder)
    assert made["value"]["credential"] == files.sha256[:12]
    hub.settle()
    return files


def register(hub, cluster, files: Files) -> None:
    """Makes a certificate count as far as that goes: all that is left to refuse it is what it is itself."""
    door = FrontDoor(hub)
    request = {"cluster": cluster.id, "certificate_sha256": files.sha256}
    answer = door.call(REGISTER, request, hub.administrator())
    door.close()
    assert answer.code.name == "OK", answer
    hub.settle()


def test_an_api_server_is_known_by_its_certificate_and_by_nothing_beside_it(world, own):
    cluster, bodies = world
    reviewed = post(cluster, "tokenreview", bodies["tokenreview"], own)
    assert reviewed.status_code == 200 and reviewed.json()["status"]["authenticated"], reviewed.text
    reviewed = post(cluster, "subjectaccessreview", bodies["subjectaccessreview"], own)
    assert reviewed.status_code == 200 and reviewed.json()["status"]["allowed"], reviewed.text
    for door in DOORS:
        assert post(cluster, door, bodies[door], None).status_code == 401, "without it, it is nobody"


@pytest.mark.parametrize("door", DOORS)
def test_a_certificate_opens_the_door_of_its_own_cluster_alone(hub, world, own, tmp_path, door):
    cluster, bodies = world
    neighbour = hub.create_cluster("neighbour")
    its = issued(hub, neighbour, tmp_path / "neighbour")
    assert post(neighbour, door, bodies[door], its).status_code == 200
    somebody = hub.create_user("somebody")
    flags = ["--out", str(tmp_path / "somebody"), "--data-dir", str(hub.data)]
    hub.cli("pki", "issue", "--principal", somebody.arn, *flags)
    unknown = type(cluster)(hub, "nobody-knows-this-one", "", "")
    strangers = {
        "no certificate": post(cluster, door, bodies[door], None),
        "the neighbour's": post(cluster, door, bodies[door], its),
        "its own at the neighbour's": post(neighbour, door, bodies[door], own),
        "a person's": post(cluster, door, bodies[door], Files(tmp_path / "somebody", "principal")),
        "its own where there is no cluster": post(unknown, door, bodies[door], own),
    }
    assert {who: answer.status_code for who, answer in strangers.items()} == dict.fromkeys(strangers, 401)
    assert len({answer.text for answer in strangers.values()}) == 1, "who knocks in vain learns nothing"


@pytest.mark.parametrize("door", DOORS)
def immunity_39_a_certificate_that_is_not_registered_or_no_more_opens_nothing(hub, world, own, tmp_path, door):
    cluster, bodies = world
    # Of the hub's own authority and for this cluster: somebody had the key, and nobody knows of it.
    unknown = Authority.of_the_hub(hub).issue(tmp_path / "unknown", own.leaf, HOUR)
    assert post(cluster, door, bodies[door], unknown).status_code == 401
    register(hub, cluster, unknown)
    assert post(cluster, door, bodies[door], unknown).status_code == 200, "that alone was missing"
    assert post(cluster, door, bodies[door], own).status_code == 200
    hub.cli("cluster", "spoke-credential", "delete", cluster.id, own.sha256[:12])
    hub.settle()
    assert post(cluster, door, bodies[door], own).status_code == 401
    hub.cli("cluster", "spoke-credential", "delete", cluster.id, unknown.sha256[:12])
    hub.settle()


@pytest.mark.parametrize("door", DOORS)
def test_a_certificate_past_its_end_or_of_another_authority_gets_no_connection(hub, world, own, tmp_path, door):
    cluster, bodies = world
    authority = Authority.of_the_hub(hub)
    expired = authority.issue(tmp_path / "expired", own.leaf, -HOUR / 2)
    # Of somebody who calls themselves what the hub's authority is called.
    forged = Authority.of_a_stranger(authority).issue(tmp_path / "forged", own.leaf, HOUR)
    for files in (expired, forged):
        register(hub, cluster, files)
        shut_out(cluster, door, bodies[door], files)
        hub.cli("cluster", "spoke-credential", "delete", cluster.id, files.sha256[:12])
    hub.settle()
    # It was they, and not the door.
    assert post(cluster, door, bodies[door], own).status_code == 200


@pytest.mark.parametrize("door", DOORS)
def test_another_hubs_certificate_of_the_same_cluster_gets_no_connection(hub, world, own, another_hub, tmp_path, door):
    cluster, bodies = world
    forged = Authority.of_the_hub(another_hub).issue(tmp_path / "of-another-hub", own.leaf, HOUR)
    register(hub, cluster, forged)
    shut_out(cluster, door, bodies[door], forged)
    hub.cli("cluster", "spoke-credential", "delete", cluster.id, forged.sha256[:12])
    assert post(cluster, door, bodies[door], own).status_code == 200

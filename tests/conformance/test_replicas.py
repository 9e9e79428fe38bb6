"""Whichever replica of the doors is asked, it is one hub: what one did counts at the other, and nothing counts twice."""

from __future__ import annotations

import json

import pytest
from grpc import StatusCode

from cluster import with_id
from hub import unique
from management import FrontDoor
from stack import REPLICAS

pytestmark = pytest.mark.skipif(REPLICAS < 2, reason="two doors, which the run against a stack has")

CREATE_USER = "/lanyard.authn.v1.Accounts/CreateUser"
CREATE_ACCESS_KEY = "/lanyard.authn.v1.Accounts/CreateAccessKey"
LIST_USERS = "/lanyard.authn.v1.Accounts/ListUsers"
NO_SECOND_TIME = (StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE, StatusCode.ABORTED)
PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.fixture
def gateways(hub):
    """A client of each gateway. All are asked under one name, so that a call is as good at one as at another."""
    opened = [FrontDoor(hub, at=doors["grpc"]) for doors in hub.doors]
    yield opened
    for door in opened:
        door.close()


def immunity_32_a_signature_counts_once_whichever_gateway_it_comes_to(hub, gateways):
    first, *others = gateways
    admin, name = hub.administrator(), unique("once")
    body = first.encode(CREATE_USER, {"name": name})
    metadata = first.sign(CREATE_USER, body, admin)
    made = first.send(CREATE_USER, body, metadata)
    assert made.code == StatusCode.OK, made
    hub.settle()
    for other in others:
        again = other.send(CREATE_USER, body, metadata)
        assert (again.code, again.message.get("user")) == (StatusCode.OK, made.message["user"]), "while it is as it was"
    hub.cli("iam", "user", "delete", name)
    for door in gateways:
        assert door.send(CREATE_USER, body, metadata).code in NO_SECOND_TIME
    assert "does not exist" in hub.refused("iam", "user", "get", name), "a replay made it again"


def immunity_32_an_answer_that_held_a_secret_is_given_again_by_no_gateway(hub, gateways):
    first, *others = gateways
    user = hub.create_user("secretive")
    body = first.encode(CREATE_ACCESS_KEY, {"user": user.name})
    metadata = first.sign(CREATE_ACCESS_KEY, body, hub.administrator())
    made = first.send(CREATE_ACCESS_KEY, body, metadata)
    assert made.code == StatusCode.OK, made
    hub.secrets.add("a user's secret access key", made.message["secret"])
    for other in others:
        again = other.send(CREATE_ACCESS_KEY, body, metadata)
        assert again.code in NO_SECOND_TIME and not again.message, again.code
    hub.settle()
    assert len(hub.cli("iam", "access-key", "list", user.name)) == 2


def test_a_page_of_one_gateway_goes_on_at_the_other(hub, gateways):
    admin, path = hub.administrator(), f"/{unique('paged')}/"
    names = sorted(hub.create_user("paged", path=path).name for _ in range(2 * REPLICAS))
    listed, token = [], ""
    while len(listed) == 0 or token:
        door = gateways[len(listed) % REPLICAS]
        page = door.call(LIST_USERS, {"path_prefix": path, "page": {"items_max": 1, "token": token}}, admin)
        assert page.code == StatusCode.OK, page
        (user,) = page.message["items"]
        listed.append(user["name"])
        token = page.message.get("next_token", "")
    assert sorted(listed) == names


def test_a_badge_of_one_gateway_is_good_at_the_other_and_a_block_ends_it_at_both(hub, cluster):
    ana = hub.create_user("ana")
    hub.turn_to(0)
    cluster.entry(ana, policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    badges = []
    for number in range(REPLICAS):
        hub.turn_to(number)
        badges.append(cluster.log_in(ana))
    for number in range(REPLICAS):
        hub.turn_to(number)
        for badge in badges:
            assert cluster.verdict(badge, **PODS)[0] == "allowed", number
    hub.turn_to(0)
    block = hub.cli("block", "create", "--principal", ana.arn, "--reason", "x")["value"]
    for number in range(REPLICAS):
        hub.turn_to(number)
        assert cluster.refusal(ana) == "blocked", number
        for badge in badges:
            assert cluster.verdict(badge, **PODS)[0] == "denied", number
    hub.cli("block", "delete", block["id"])
    for number in range(REPLICAS):
        hub.turn_to(number)
        assert cluster.log_in(ana)["username"] == badges[0]["username"], number


def test_a_decision_of_one_gateway_is_explained_by_the_other(hub, cluster):
    for number in range(REPLICAS):
        hub.turn_to(number)
        stranger = hub.create_user("stranger")
        reason, decision = with_id(cluster.token_review(cluster.token(stranger))["status"]["error"])
        assert reason == "unmapped"
        hub.turn_to(number + 1)
        told = hub.explain_decision(decision)
        assert told["verdict"] == "unauthorized" and stranger.arn in json.dumps(told), told


def test_a_cluster_that_one_gateway_made_has_its_doors_at_the_other(hub):
    for number in range(REPLICAS):
        hub.turn_to(number)
        made, ana = hub.create_cluster("made"), hub.create_user("ana")
        hub.turn_to(number + 1)
        assert made.refusal(ana) == "unmapped"
        hub.cli("cluster", "delete", made.id)
        for other in range(REPLICAS):
            hub.turn_to(other)
            assert made.post("tokenreview", {"spec": {"token": made.token(ana)}}).status_code == 401, other

"""An answer is given again while it is the answer: whatever it was made from changes, the next review is another.

The same tests run against one process, and against two of each service, whose gateways hear of changes from mapping.
"""

from __future__ import annotations

import json
import re

import pytest
import requests

from cluster import with_id
from hub import unique
from lab import ACCOUNT, FORMS, of_either_form

GIVEN_AGAIN = "lanyard_gateway_given_again_total"


@pytest.fixture(scope="module", params=FORMS)
def lab(request, tmp_path_factory):
    with of_either_form(request.param, tmp_path_factory.mktemp("again"), "authn") as both:
        yield both


@pytest.fixture
def world(lab):
    """Somebody of the lab in a cluster of a test's own, and a token of theirs that was answered and is known by now."""
    hub, sts = lab
    cluster = hub.create_cluster("again", "--trust", f"sts:lab/{ACCOUNT}")
    lea = sts.person(unique("lea"), ACCOUNT)
    hub.secrets.add("a lab key", lea.credentials.secret)
    hub.cli("entry", "create", cluster.id, lea.arn, "--group", "lab")
    token = cluster.token(lea.credentials, host=sts.host)
    assert cluster.token_review(token)["status"]["authenticated"]
    assert given_again(hub, cluster, token), "what nothing has changed of is asked for anew"
    return hub, cluster, lea, token


def count(hub) -> float:
    """How often the process at the door has given an answer again."""
    text = requests.get(f"{hub.url}/metrics", verify=hub.ca, timeout=10).text
    return sum(float(found) for found in re.findall(rf"^{GIVEN_AGAIN} (\S+)$", text, re.MULTILINE))


def given_again(hub, cluster, token) -> bool:
    """Whether the review of a token is answered as before, which it has to be by the second time."""
    for _ in range(3):
        before = count(hub)
        assert cluster.token_review(token)["status"]["authenticated"]
        if count(hub) == before + 1:
            return True
    return False


CHANGES = {
    "a block in the cluster": (
        lambda hub, cluster, lea: ["block", "create", "--cluster", cluster.id, "--principal", lea.arn, "--reason", "x"],
        "blocked",
    ),
    "a block in the hub": (
        lambda hub, cluster, lea: ["block", "create", "--principal", lea.arn, "--reason", "x"],
        "blocked",
    ),
    "a block of the access key": (
        lambda hub, cluster, lea: [
            *("block", "create", "--access-key", lea.credentials.access_key_id, "--reason", "x"),
        ],
        "blocked",
    ),
    "the entry is gone": (
        lambda hub, cluster, lea: ["entry", "delete", cluster.id, lea.arn],
        "unmapped",
    ),
    "the account is trusted no more": (
        lambda hub, cluster, lea: ["cluster", "update", cluster.id, "--trust", f"local/{hub.account}"],
        "token_host",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def immunity_42_what_is_taken_away_is_given_to_nobody_again(world, name):
    hub, cluster, lea, token = world
    change, code = CHANGES[name]
    made = hub.cli(*change(hub, cluster, lea))
    assert cluster.refusal(token) == code
    assert cluster.refusal(token) == code, "the second time"
    if name.startswith("a block"):
        where = ["--cluster", cluster.id] if "cluster" in name else []
        hub.cli("block", "delete", made["value"]["id"], *where)
        assert given_again(hub, cluster, token)


def test_another_badge_is_given_at_once(world):
    hub, cluster, lea, token = world
    for groups in (["lab", "more"], ["less"]):
        hub.cli("entry", "update", cluster.id, lea.arn, *(word for group in groups for word in ("--group", group)))
        for _ in range(2):
            assert cluster.token_review(token)["status"]["user"]["groups"] == groups
    # What happens in another cluster ends nothing here.
    assert given_again(hub, cluster, token)
    other = hub.create_cluster("elsewhere", "--trust", f"sts:lab/{ACCOUNT}")
    assert given_again(hub, cluster, token)
    before = count(hub)
    hub.cli("entry", "create", other.id, lea.arn)
    assert cluster.token_review(token)["status"]["authenticated"]
    assert count(hub) == before + 1


def test_a_question_that_differs_has_an_answer_of_its_own(world):
    hub, cluster, _, token = world
    own = cluster.token_review(token)["status"]["user"]
    for version in ("v1", "v1beta1", "v1"):
        answer = cluster.token_review(token, version=version)
        assert answer["apiVersion"] == f"authentication.k8s.io/{version}"
        assert answer["status"]["user"]["username"] == own["username"] and "audiences" not in answer["status"]
    (audience, *_) = hub.cli("cluster", "describe", cluster.id)["cluster"]["audiences"]
    for audiences in ([audience], [audience, "another"], [audience]):
        assert cluster.token_review(token, audiences=audiences)["status"]["audiences"] == [audience]
    refused = cluster.token_review(token, audiences=["another"])["status"]
    assert not refused["authenticated"] and with_id(refused["error"])[0] == "audience"


def test_each_answer_is_a_decision_of_its_own(world):
    hub, cluster, lea, token = world
    assert given_again(hub, cluster, token)
    log = [line for line in hub.log().splitlines() if "a review is answered" in line and cluster.id in line]
    ids = re.findall(r"decision\\?\.id\\?\"?[=:]\\?\"?([0-9a-z-]+)", "\n".join(log))
    assert len(ids) >= 3 and len(set(ids)) == len(ids), log
    explained = hub.explain_decision(ids[-1])
    assert lea.arn in json.dumps(explained), explained

"""Roles that AWS keeps: `lanyard associate` prints what they have to trust, and the hub tries them before it writes anything.

AWS is an STS on loopback that weighs trust policies; the hub calls it with credentials of its own, as it would AWS.
"""

from __future__ import annotations

import json

import pytest

from hub import REGION, USAGE, Hub, Refused, unique
from road import ACCOUNT, HUB_USER, hub_in_aws_mode
from sts_roles import Role


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """An STS, and a hub in AWS mode with an account that AWS keeps."""
    with hub_in_aws_mode(tmp_path_factory.mktemp("aws-road")) as both:
        yield both


@pytest.fixture
def cluster(aws):
    hub, _ = aws
    made = hub.cli("cluster", "create", unique("aws"), "--region", REGION)["value"]
    return made["id"]


@pytest.fixture
def role(aws):
    _, sts = aws
    role = Role(f"arn:aws:iam::{ACCOUNT}:role/team/{unique('app')}")
    sts.roles[role.arn] = role
    return role


def trust_of(hub: Hub, cluster: str, role: Role, *flags: str) -> dict:
    words = ("associate", cluster, "team-a/bot", "--role", role.arn, "--print-trust-policy", *flags)
    return hub.cli(*words)


def test_the_printed_trust_policy_is_what_the_role_needs(aws, cluster, role):
    hub, sts = aws
    assert "--print-trust-policy" in hub.refused("associate", cluster, "team-a/bot", "--role", role.arn, code=USAGE)
    proposal = trust_of(hub, cluster, role)
    assert (proposal["aws_road"], proposal["principal"]) == ("hub-principal", HUB_USER)
    asked = len(sts.asked)
    printed = hub.run("associate", cluster, "team-a/bot", "--role", role.arn, "--print-trust-policy", output=None)
    assert json.loads(printed.stdout) == json.loads(proposal["trust_policy"]), "for people it is the policy alone"
    assert len(sts.asked) == asked, "printing asks nothing of the role"
    role.trust = json.loads(proposal["trust_policy"])
    made = hub.cli("associate", cluster, "team-a/bot", "--role", role.arn)
    association = made["value"]["association"]
    assert (association["aws_road"], made["notices"]) == ("hub-principal", [])
    with_id = [asked for asked in sts.asked if asked["RoleArn"] == role.arn and "ExternalId" in asked]
    assert {asked["ExternalId"] for asked in with_id} > {proposal["external_id"]}, "a wrong one was tried too"
    assert all(asked["RoleSessionName"] == "lanyard-probe" and "Deny" in asked["Policy"] for asked in with_id)


@pytest.mark.parametrize(
    ("condition", "rule"),
    [
        (None, "without an external id"),
        ({"StringLike": {"sts:ExternalId": "lanyard-*"}}, "external id of another"),
        ({"StringEquals": {"sts:ExternalId": "of-somebody-else"}}, "does not let the hub assume"),
    ],
)
def test_immunity_50_a_role_that_does_not_demand_the_hubs_external_id_is_refused(aws, cluster, role, condition, rule):
    hub, _ = aws
    role.trust = json.loads(trust_of(hub, cluster, role)["trust_policy"])
    for statement in role.trust["Statement"]:
        statement.pop("Condition")
        if condition:
            statement["Condition"] = condition
    refused = hub.refused("associate", cluster, "team-a/bot", "--role", role.arn, code=USAGE)
    assert rule in refused and "--print-trust-policy" in refused, refused
    assert hub.cli("association", "list", cluster) == []


def test_immunity_50_another_tenants_role_is_refused(aws, cluster, role):
    hub, _ = aws
    # It is of their cluster's ServiceAccount of the same name, and trusts the hub for that.
    theirs = hub.cli("cluster", "create", unique("theirs"), "--region", REGION)["value"]["id"]
    role.trust = json.loads(trust_of(hub, theirs, role)["trust_policy"])
    refused = hub.refused("associate", cluster, "team-a/bot", "--role", role.arn, code=USAGE)
    assert "does not let the hub assume" in refused
    elsewhere = f"arn:aws:iam::444455556666:role/{unique('app')}"
    assert "is not of the cluster's account" in hub.refused(
        "associate", cluster, "team-a/bot", "--role", elsewhere, code=USAGE
    )
    hub.cli("associate", theirs, "team-a/bot", "--role", role.arn)


def test_a_role_may_be_made_later_and_says_so(aws, cluster, role):
    hub, sts = aws
    asked = len(sts.asked)
    made = hub.cli("associate", cluster, "team-a/bot", "--role", role.arn, "--unprobed")
    assert made["value"]["association"]["unprobed"] and "not tried" in made["notices"][0]
    assert len(sts.asked) == asked
    role.trust = json.loads(trust_of(hub, cluster, role)["trust_policy"])
    named = made["value"]["association"]["id"]
    changed = hub.cli("association", "update", cluster, named, "--role", role.arn)["value"]["association"]
    assert not changed.get("unprobed")


def test_a_tag_names_the_road_where_there_is_no_flag(aws, cluster, role):
    hub, _ = aws
    words = ("associate", cluster, "team-a/bot", "--role", role.arn, "--tag", "lanyard:aws-road=elsewhere")
    assert "lanyard:aws-road" in hub.refused(*words, code=USAGE)
    with pytest.raises(Refused):
        hub.cli("associate", cluster, "team-a/bot", "--role", role.arn, "--road", "elsewhere")

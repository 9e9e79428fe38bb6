"""What is taken away is gone at the next request, though a proof of before is still about."""

import datetime
import json
import time

import pytest

import tokens
from cluster import access_review_of
from stack import REPLICAS

PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}
ADMIN = "AmazonEKSClusterAdminPolicy"


@pytest.fixture
def ana(hub, cluster):
    """A user who views the cluster, and the badge of her last log-in."""
    ana = hub.create_user("ana")
    cluster.entry(ana, groups=["devs", "on-call"], policy="AmazonEKSViewPolicy")
    return ana


def immunity_42_a_deleted_entry_denies_its_living_proof_at_once(hub, cluster, ana):
    token, user = cluster.token(ana), cluster.log_in(ana)
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    answer = hub.cli("entry", "delete", cluster.id, ana.arn)
    assert answer["confirmed"] is hub.confirms and answer["pending"] == []
    verdict, reason = cluster.verdict(user, **PODS)
    assert verdict == "denied" and "gone" in reason, reason
    # Also for what RBAC in the cluster would have allowed by group.
    assert cluster.verdict(user, verb="get", resource="configmaps", namespace="elsewhere")[0] == "denied"
    assert cluster.refusal(token) == "unmapped"


def immunity_42_deleting_an_entry_says_what_its_principal_still_is(hub, cluster, ana):
    text = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: ana-from-aws-auth\n    groups: [system:masters]\n"
    assert cluster.push_aws_auth(text).returncode == 0
    before = cluster.log_in(ana)
    assert before["username"] == ana.arn
    notices = " ".join(hub.cli("entry", "delete", cluster.id, ana.arn)["notices"])
    assert "aws-auth" in notices and "ana-from-aws-auth" in notices, notices
    assert cluster.verdict(before, **PODS)[0] == "denied"
    assert cluster.log_in(ana)["username"] == "ana-from-aws-auth"
    # Only a block beats every mapping.
    block = hub.cli("block", "create", "--cluster", cluster.id, "--principal", ana.arn, "--reason", "left")[
        "value"
    ]
    assert cluster.refusal(ana) == "blocked"
    hub.cli("block", "delete", block["id"], "--cluster", cluster.id)
    assert cluster.log_in(ana)["username"] == "ana-from-aws-auth"


def immunity_60_a_lost_group_denies_until_the_next_token_review(hub, cluster, ana):
    before = cluster.log_in(ana)
    hub.cli("entry", "update", cluster.id, ana.arn, "--group", "devs")
    assert cluster.verdict(before, **PODS)[0] == "denied"
    after = cluster.log_in(ana)
    assert after["groups"] == ["devs", "system:authenticated"]
    assert cluster.verdict(after, **PODS)[0] == "allowed"
    assert cluster.verdict(before, **PODS)[0] == "denied"


def immunity_60_an_entry_that_only_gained_denies_nobody(hub, cluster, ana):
    before = cluster.log_in(ana)
    hub.cli(
        "entry", "update", cluster.id, ana.arn, "--group", "devs", "--group", "on-call", "--group", "admins"
    )
    assert cluster.verdict(before, **PODS)[0] == "allowed"
    assert "admins" in cluster.log_in(ana)["groups"]


def test_another_username_counts_after_the_next_token_review_and_denies_until_then(hub, cluster, ana):
    before = cluster.log_in(ana)
    hub.cli("entry", "update", cluster.id, ana.arn, "--username", "ana")
    assert cluster.verdict(before, **PODS)[0] == "denied"
    assert cluster.verdict(cluster.log_in(ana), **PODS)[0] == "allowed"


def immunity_17_a_policy_that_was_added_or_taken_off_counts_at_once_without_a_new_token_review(
    hub, cluster, ana
):
    user = cluster.log_in(ana)
    delete = PODS | {"verb": "delete"}
    assert cluster.verdict(user, **delete)[0] == "no opinion"
    cluster.associate(ana, "AmazonEKSEditPolicy", ["team-a"])
    assert cluster.verdict(user, **delete)[0] == "allowed"
    hub.cli("entry", "disassociate", cluster.id, ana.arn, "AmazonEKSEditPolicy")
    assert cluster.verdict(user, **delete)[0] == "no opinion"


def test_an_entry_made_again_is_another_one(hub, cluster, ana):
    before = cluster.log_in(ana)
    hub.cli("entry", "delete", cluster.id, ana.arn)
    cluster.entry(ana, groups=["devs", "on-call"], policy="AmazonEKSViewPolicy")
    assert cluster.verdict(before, **PODS)[0] == "denied"
    assert cluster.verdict(cluster.log_in(ana), **PODS)[0] == "allowed"


@pytest.mark.parametrize(
    ("whom", "where"),
    [
        ("principal", "cluster"),
        ("principal", "account"),
        ("principal", "hub"),
        ("access-key", "cluster"),
        ("access-key", "account"),
        ("access-key", "hub"),
        ("account", "cluster"),
    ],
)
def immunity_42_a_block_beats_every_mapping_wherever_it_stands(blocked, whom, where):
    hub, cluster, ana = blocked
    target = {"principal": ana.arn, "account": hub.account, "access-key": ana.credentials.access_key_id}[whom]
    scope = {"cluster": ["--cluster", cluster.id], "account": ["--in-account", hub.account], "hub": []}[where]
    token, user = cluster.token(ana), cluster.log_in(ana)
    words = [f"--{whom}", target, "--reason", "stolen laptop", "--allow-lockout"]
    block = hub.cli("block", "create", *scope, *words)["value"]
    try:
        assert cluster.refusal(token) == "blocked"
        verdict, reason = cluster.verdict(user, **PODS)
        assert verdict == "denied" and "block" in reason
        listed = hub.cli("block", "list", *scope)
        assert [(b["id"], b["reason"]) for b in listed] == [(block["id"], "stolen laptop")]
    finally:
        hub.cli("block", "delete", block["id"], *scope)
    assert cluster.token_review(token)["status"]["authenticated"]
    assert cluster.verdict(user, **PODS)[0] == "allowed"


@pytest.fixture(scope="module")
def blocked(hub):
    cluster = hub.create_cluster("blocked")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy="AmazonEKSViewPolicy")
    return hub, cluster, ana


def immunity_39_a_key_switched_off_is_refused_at_once_with_its_proof(hub, cluster, ana):
    token, user = cluster.token(ana), cluster.log_in(ana)
    key = ana.credentials.access_key_id
    hub.cli("iam", "access-key", "update", ana.name, key, "--inactive")
    assert cluster.refusal(token) == "inactive_key"
    verdict, reason = cluster.verdict(user, **PODS)
    assert verdict == "denied" and "the access key was deactivated or deleted" in reason, reason
    hub.cli("iam", "access-key", "update", ana.name, key, "--active")
    assert cluster.token_review(token)["status"]["authenticated"]
    hub.cli("iam", "access-key", "delete", ana.name, key)
    assert cluster.refusal(token) == "unknown_key"
    assert cluster.verdict(user, **PODS)[0] == "denied"


def immunity_39_a_user_made_again_under_the_same_name_is_another_one(hub, cluster, ana):
    user = cluster.log_in(ana)
    hub.cli("iam", "user", "delete", ana.name)
    verdict, reason = cluster.verdict(user, **PODS)
    assert verdict == "denied" and "the principal was deleted" in reason, reason
    hub.cli("iam", "user", "create", ana.name)
    again = hub.create_key(ana.name)
    assert cluster.refusal(again) == "stale_entry"
    listed = hub.cli("entry", "get", cluster.id, ana.arn)
    assert listed["state"] == "stale"
    hub.cli("entry", "update", cluster.id, ana.arn, "--rebind")
    assert cluster.verdict(cluster.log_in(again), **PODS)[0] == "allowed"
    assert cluster.verdict(user, **PODS)[0] == "denied"


def immunity_37_a_cluster_deleted_takes_its_doors_and_proofs_with_it(hub):
    cluster = hub.create_cluster("short-lived")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy=ADMIN)
    user = cluster.log_in(ana)
    hub.cli("cluster", "delete", cluster.id)
    assert cluster.post("tokenreview", {"spec": {"token": "x"}}).status_code == 401
    # Whoever takes the name takes nothing else.
    made = hub.cli("cluster", "create", cluster.id, "--region", "us-east-1")["value"]
    assert made["id"] == cluster.id and made["uid"] != cluster.uid
    assert cluster.post("tokenreview", {"spec": {"token": "x"}}).status_code == 401
    again = hub.cluster(made)
    assert again.refusal(ana) == "unmapped"
    assert again.verdict(user, **PODS)[0] == "denied"


def immunity_39_a_deleted_spoke_credential_opens_no_door_at_the_next_request(hub):
    cluster = hub.create_cluster("two-servers")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy=ADMIN)
    second = hub.cluster({"id": cluster.id, "uid": cluster.uid})
    user = cluster.log_in(ana)
    listed = hub.cli("cluster", "spoke-credential", "list", cluster.id)
    assert len(listed) == 2 and cluster.spoke not in json.dumps(listed)
    first = listed[0]["id"]
    ended = hub.cli("cluster", "spoke-credential", "delete", cluster.id, first, "--reason", "sold")
    assert ended["confirmed"] is hub.confirms and ended["value"]["id"] == first
    for door, body in (
        ("tokenreview", {"spec": {"token": cluster.token(ana)}}),
        ("subjectaccessreview", access_review_of(user, **PODS)),
    ):
        assert cluster.post(door, body).status_code == 401, door
        assert second.post(door, body).status_code in (200, 201), door
    assert "does not exist" in hub.refused("cluster", "spoke-credential", "delete", cluster.id, first)


def test_a_deleted_node_is_nobody_at_the_next_request(hub, cluster):
    instance, name = "i-0123456789abcdef0", "ip-10-0-0-1.ec2.internal"
    machine = hub.create_user("machine")
    role = hub.create_role("node", trusts=machine.arn)
    session = hub.assume_role(machine, role, instance)
    cluster.entry(role, "--type", "EC2_LINUX")
    hub.cli("node", "set", cluster.id, instance, name)
    node = cluster.log_in(session)
    assert node["username"] == f"system:node:{name}"
    assert cluster.verdict(node, verb="get", resource="nodes", name=name)[0] == "no opinion"
    hub.cli("node", "delete", cluster.id, instance)
    assert cluster.verdict(node, verb="get", resource="nodes", name=name)[0] == "denied"
    assert cluster.refusal(session) == "unknown_node"
    assert hub.cli("node", "list", cluster.id) == []


def immunity_16_an_end_counts_when_it_comes_and_not_when_somebody_looks(hub, cluster, ana):
    # Every replica of a stack has seen it before anybody logs in.
    end = tokens.now() + datetime.timedelta(seconds=10 if REPLICAS else 2)
    hub.cli("entry", "update", cluster.id, ana.arn, "--ends-at", end.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    token, user = cluster.token(ana), cluster.log_in(ana)
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    while tokens.now() <= end:
        time.sleep(0.05)
    assert cluster.verdict(user, **PODS)[0] == "denied"
    assert cluster.refusal(token) == "entry_ended"
    assert hub.cli("entry", "get", cluster.id, ana.arn)["state"] == "ended"

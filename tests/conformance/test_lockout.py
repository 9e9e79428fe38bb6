"""The guard against locking everybody out, over every kind of write that could."""

import json

import pytest

from hub import NO, unique
from stack import REPLICAS

ADMIN = "AmazonEKSClusterAdminPolicy"


@pytest.fixture
def guarded(hub):
    """A cluster with one administrator, ana, who is not its creator."""
    cluster = hub.create_cluster("guarded", "--no-creator-admin")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy=ADMIN)
    return cluster, ana


def test_the_creator_is_an_ordinary_entry_that_can_be_removed_once_somebody_else_is_there(hub, cluster):
    entries = hub.cli("entry", "list", cluster.id)
    assert len(entries) == 1 and entries[0]["associations"][0]["policy_arn"].endswith(ADMIN)
    creator = entries[0]["entry"]["principal_arn"]
    assert "administrator" in hub.refused("entry", "delete", cluster.id, creator, code=NO)
    ana = hub.create_user("ana")
    cluster.entry(ana, policy=ADMIN)
    hub.cli("entry", "delete", cluster.id, creator)
    assert [e["entry"]["principal_arn"] for e in hub.cli("entry", "list", cluster.id)] == [ana.arn]


def writes(hub, cluster, ana):
    """Every kind of write by which the last administrator could go."""
    key = ana.credentials.access_key_id
    return {
        "delete the entry": ["entry", "delete", cluster.id, ana.arn],
        "take the policy off": ["entry", "disassociate", cluster.id, ana.arn, ADMIN],
        "narrow the policy": ["entry", "associate", cluster.id, ana.arn, ADMIN, "--namespace", "team-a"],
        "switch the key off": ["iam", "access-key", "update", ana.name, key, "--inactive"],
        "delete the key": ["iam", "access-key", "delete", ana.name, key],
        "delete the user": ["iam", "user", "delete", ana.name],
        "block the principal": [
            "block",
            "create",
            "--cluster",
            cluster.id,
            "--principal",
            ana.arn,
            "--reason",
            "x",
        ],
        "block the key": ["block", "create", "--cluster", cluster.id, "--access-key", key, "--reason", "x"],
        "block the account": [
            "block",
            "create",
            "--cluster",
            cluster.id,
            "--account",
            hub.account,
            "--reason",
            "x",
        ],
    }


def test_no_write_takes_the_last_administrator_away_unless_it_says_so(hub, guarded):
    cluster, ana = guarded
    for name, words in writes(hub, cluster, ana).items():
        why = hub.refused(*words, code=NO)
        assert "administrator" in why and "--allow-lockout" in why, (name, why)
        assert cluster.verdict(cluster.log_in(ana), verb="delete", resource="nodes")[0] == "allowed", name
    hub.cli("entry", "delete", cluster.id, ana.arn, "--allow-lockout")
    assert cluster.refusal(ana) == "unmapped"


def test_an_administrator_whose_key_is_off_does_not_count(hub, guarded):
    cluster, ana = guarded
    ben = hub.create_user("ben")
    cluster.entry(ben, policy=ADMIN)
    hub.cli("iam", "access-key", "update", ben.name, ben.credentials.access_key_id, "--inactive")
    assert "administrator" in hub.refused("entry", "delete", cluster.id, ana.arn, code=NO)
    hub.cli("iam", "access-key", "update", ben.name, ben.credentials.access_key_id, "--active")
    hub.cli("entry", "delete", cluster.id, ana.arn)


def test_a_cluster_can_be_told_that_nobody_minds(hub, guarded):
    cluster, ana = guarded
    assert "--allow-lockout" in hub.refused("entry", "delete", cluster.id, ana.arn, code=NO)
    hub.cli("cluster", "update", cluster.id, "--tag", "lanyard:allow-lockout=true")
    hub.cli("entry", "delete", cluster.id, ana.arn)
    assert cluster.refusal(ana) == "unmapped"


def test_an_aws_auth_that_would_lock_everybody_out_is_treated_like_a_bad_one(hub, guarded):
    cluster, ana = guarded
    masters = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: ana\n    groups: [system:masters]\n"
    assert cluster.push_aws_auth(masters).returncode == 0
    hub.cli("entry", "delete", cluster.id, ana.arn)
    done = cluster.push_aws_auth(masters.replace("system:masters", "devs"))
    assert done.returncode == NO and "administrator" in done.stdout + done.stderr
    assert "system:masters" in cluster.log_in(ana)["groups"]


def test_who_can_never_be_given_a_username_is_no_administrator(hub, guarded):
    cluster, ana = guarded
    why = hub.refused("entry", "update", cluster.id, ana.arn, "--username", "ops:{{SessionName}}", code=2)
    assert "which a user never has" in why and ana.arn in why
    masters = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: ana\n    groups: [system:masters]\n"
    assert cluster.push_aws_auth(masters).returncode == 0
    hub.cli("entry", "delete", cluster.id, ana.arn)
    for name in ("ops:{{SessionName}}", "{{EC2PrivateDNSName}}"):
        done = cluster.push_aws_auth(masters.replace("username: ana", f"username: '{name}'"))
        said = done.stdout + done.stderr
        assert done.returncode == NO and "without an administrator" in said and "mapUsers[0].username" in said, said
        assert cluster.log_in(ana)["username"] == "ana"


def test_moving_to_entries_alone_counts_entries_alone(hub, guarded):
    cluster, ana = guarded
    masters = f"mapUsers: |\n  - userarn: {ana.arn}\n    username: ana\n    groups: [system:masters]\n"
    assert cluster.push_aws_auth(masters).returncode == 0
    hub.cli("entry", "delete", cluster.id, ana.arn)
    why = hub.refused("cluster", "update", cluster.id, "--authentication-mode", "API", code=NO)
    assert "administrator" in why


def sts(effect: str, resource: str) -> str:
    statement = {"Effect": effect, "Action": "sts:AssumeRole", "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def guarded_by_a_chain(hub):
    """A cluster with one administrator, a role that another role may assume, which ana may."""
    cluster = hub.create_cluster("chained", "--no-creator-admin")
    ana = hub.create_user("ana")
    between = hub.create_role("between", trusts=ana.arn)
    last = hub.create_role("last", trusts=between.arn)
    cluster.entry(last, policy=ADMIN)
    return cluster, ana, between, last


def immunity_56_a_role_counts_while_somebody_can_assume_it(hub, guarded_by_a_chain):
    cluster, ana, between, last = guarded_by_a_chain
    # Without a key nobody can be it.
    keyless = hub.cli("iam", "user", "create", unique("keyless"))["value"]["name"]
    nobody = f"arn:aws:iam::{hub.account}:user/{keyless}"
    key = ana.credentials.access_key_id
    block = ["block", "create", "--cluster", cluster.id, "--reason", "x"]
    deny = ["--document", "-"]
    writes = [
        (["iam", "role", "update-trust", last.name, "--trust", nobody], None),
        (["iam", "role", "update-trust", between.name, "--trust", nobody], None),
        (["iam", "role", "delete", between.name], None),
        (["iam", "policy", "put", "--user", ana.name, "no", *deny], sts("Deny", "*")),
        (["iam", "policy", "put", "--role", between.name, "no", *deny], sts("Deny", last.arn)),
        (["iam", "access-key", "update", ana.name, key, "--inactive"], None),
        (["iam", "user", "delete", ana.name], None),
        ([*block, "--principal", ana.arn], None),
        ([*block, "--principal", between.arn], None),
        ([*block, "--access-key", key], None),
    ]
    for words, stdin in writes:
        why = hub.refused(*words, stdin=stdin, code=NO)
        assert "administrator" in why and "--allow-lockout" in why, (words, why)
    hub.cli("iam", "policy", "put", "--user", ana.name, "no", *deny, stdin=sts("Deny", nobody))
    ben = hub.create_user("ben")
    hub.cli("iam", "role", "update-trust", last.name, "--trust", between.arn, "--trust", ben.arn)
    hub.cli("iam", "user", "delete", ana.name)
    assert "administrator" in hub.refused("iam", "user", "delete", ben.name, code=NO)


def immunity_56_no_block_stops_everybody_who_may_lift_it(own_hub):
    hub = own_hub
    operator = f"arn:aws:iam::{hub.account}:user/administrator"
    account = ["--in-account", hub.account]
    cases = [
        ["--account", hub.account],
        ["--account", hub.account, *account],
        ["--principal", operator],
        ["--principal", operator, *account],
        ["--access-key", hub.administrator().access_key_id],
    ]
    for words in cases:
        why = hub.refused("block", "create", *words, "--reason", "x", code=NO)
        assert "lanyard:DeleteBlock" in why and "--allow-lockout" in why, (words, why)
    # Whoever says so is stopped, and the way back is the hub's own folder.
    hub.cli("block", "create", "--account", hub.account, "--reason", "x", "--allow-lockout")
    assert "blocked" in hub.refused("block", "list", code=NO)
    if REPLICAS:
        # It leads through `lanyard serve`.
        return
    hub.stop()
    hub.start("--renew-administrator")
    assert hub.cli("block", "list") == []
    changes = hub.log()
    assert "lifted a block that stopped the administrator" in changes

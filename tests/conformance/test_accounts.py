"""Several accounts on one hub: what is one tenant's does not exist for another."""

import json

import pytest

from hub import NO, REGION, Hub, Principal, unique
from kube import bound

OTHER = "222233334444"
PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@pytest.fixture(scope="module")
def bob(hub: Hub) -> Principal:
    """Another account's administrator: everything on everything, which is that account's everything."""
    hub.cli("iam", "account", "create", OTHER, "--authority", "local", "--name", "the others")
    bob = hub.create_user("bob", account=OTHER)
    document = json.dumps(EVERYTHING)
    hub.cli(
        *("iam", "policy", "put", "--user", bob.name, "all", "--account", OTHER, "--document", "-"),
        stdin=document,
    )
    return bob


def immunity_04_two_clusters_of_one_name_in_two_accounts_are_two(hub, bob):
    name = unique("same")
    ours = hub.cluster(hub.cli("cluster", "create", name, "--region", REGION)["value"])
    made = hub.cli("cluster", "create", name, "--region", REGION, credentials=bob.credentials)["value"]
    assert (made["name"], made["account"]) == (name, OTHER)
    assert ours.id == name and made["id"] != name, "an id names one cluster of a hub"
    theirs = hub.cluster(made, credentials=bob.credentials)
    ana, ben = hub.create_user("ana"), hub.create_user("ben", account=OTHER)
    ours.entry(ana, policy="AmazonEKSViewPolicy")
    hub.cli("entry", "create", theirs.id, ben.arn, credentials=bob.credentials)
    user = ours.log_in(ana)
    assert ours.verdict(user, **PODS)[0] == "allowed"
    assert theirs.refusal(ours.token(ana)) == "signature_or_cluster"
    assert theirs.refusal(ana) == "account_not_trusted"
    assert theirs.verdict(user, **PODS)[0] == "denied"
    assert theirs.token_review(theirs.token(ben))["status"]["authenticated"]
    assert not ours.token_review(ours.token(ben))["status"]["authenticated"]


def immunity_33_everything_on_everything_is_ones_own_accounts_everything(hub, bob, tmp_path):
    cluster = hub.create_cluster("ours")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy="AmazonEKSClusterAdminPolicy")
    decision = cluster.token_review(cluster.token(hub.create_user("x")))["status"]["error"].rsplit("(", 1)[1][
        :-1
    ]
    masters = f"mapUsers: |\n  - userarn: {bob.arn}\n    username: bob\n    groups: [system:masters]\n"
    id = cluster.id
    credential = hub.cli("cluster", "spoke-credential", "list", id)[0]["id"]
    attempts = [
        ["cluster", "get", id],
        ["cluster", "update", id, "--token-cache-seconds", "60"],
        ["cluster", "delete", id, "--allow-lockout"],
        ["cluster", "spoke-credential", "create", id],
        ["cluster", "spoke-credential", "list", id],
        ["cluster", "spoke-credential", "delete", id, credential],
        ["cluster", "webhook-config", id, "--out", str(tmp_path / "out")],
        ["cluster", "break-glass", "arm", id],
        ["cluster", "break-glass", "disarm", id],
        ["kubeconfig", id],
        ["entry", "list", id],
        ["entry", "get", id, ana.arn],
        ["entry", "create", id, bob.arn],
        ["entry", "update", id, ana.arn, "--group", "bobs"],
        ["entry", "delete", id, ana.arn, "--allow-lockout"],
        ["entry", "associate", id, ana.arn, "AmazonEKSViewPolicy"],
        ["entry", "disassociate", id, ana.arn, "AmazonEKSClusterAdminPolicy", "--allow-lockout"],
        ["aws-auth", "get", id],
        ["aws-auth", "push", id, "-"],
        ["node", "list", id],
        ["node", "set", id, "i-0123456789abcdef0", "ip-10-0-0-1.ec2.internal"],
        ["node", "delete", id, "i-0123456789abcdef0"],
        ["block", "list", "--cluster", id],
        ["block", "create", "--cluster", id, "--principal", ana.arn, "--authority", "local", "--reason", "x"],
        [
            "block",
            "create",
            "--in-account",
            hub.account,
            "--principal",
            ana.arn,
            "--authority",
            "local",
            "--reason",
            "x",
        ],
        ["block", "create", "--principal", ana.arn, "--authority", "local", "--reason", "x"],
        ["rbac", "list", id],
        ["rbac", "apply", id, "-f", "-"],
        ["rbac", "delete", id, "ClusterRole/view"],
        ["explain", "--as", ana.arn, "--cluster", id],
        ["explain", "--id", decision],
        ["rules", "--as", ana.arn, "--cluster", id],
        ["who-can", "list", "pods", "--cluster", id],
        ["iam", "user", "get", ana.name],
        ["iam", "user", "get", ana.name, "--account", hub.account],
        ["iam", "user", "delete", ana.name, "--account", hub.account],
        ["iam", "access-key", "create", ana.name, "--account", hub.account],
        ["iam", "policy", "list", "--user", ana.name, "--account", hub.account],
        ["iam", "account", "create", "333344445555", "--authority", "local", "--name", "x"],
        ["iam", "account", "delete", hub.account],
    ]
    for words in attempts:
        # The CLI sends RBAC objects alone, so that these have to be some.
        given = json.dumps(bound("x", "cluster-admin", bob.arn, "User")) if words[0] == "rbac" else masters
        done = hub.run(*words, credentials=bob.credentials, stdin=given)
        assert done.returncode == NO, (words, done.returncode, done.stdout, done.stderr)
        assert ana.principal_id not in done.stdout + done.stderr, words
        # Of what bob may not see he is told that it does not exist; of what is the hub's, that it is not his.
        if "--account" not in words and words[0] in (
            "cluster",
            "entry",
            "aws-auth",
            "node",
            "rbac",
            "rules",
            "who-can",
        ):
            assert "does not exist" in done.stderr, (words, done.stderr)
    missing = [word.replace(id, "no-such-cluster") for word in ("cluster", "get", id)]
    ours = hub.refused("cluster", "get", id, credentials=bob.credentials)
    assert ours.replace(id, "X") == hub.refused(*missing, credentials=bob.credentials).replace(
        "no-such-cluster", "X"
    )
    for listing in (
        ["cluster", "list"],
        ["iam", "user", "list"],
        ["iam", "role", "list"],
        ["cluster", "break-glass", "list"],
    ):
        listed = hub.run(*listing, credentials=bob.credentials)
        assert listed.returncode == 0, listed.stderr
        assert hub.account not in listed.stdout and cluster.uid not in listed.stdout, listing
    accounts = hub.cli("iam", "account", "list", credentials=bob.credentials)
    assert [account["id"] for account in accounts] == [OTHER]
    assert cluster.verdict(cluster.log_in(ana), verb="delete", resource="nodes")[0] == "allowed", (
        "something counted"
    )


def test_another_account_is_reached_by_assuming_a_role_there(hub, bob):
    cluster = hub.create_cluster("shared")
    role = hub.create_role("guests", trusts=bob.arn)
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "eks:DescribeCluster",
                "Resource": f"arn:aws:eks:*:{hub.account}:cluster/*",
            }
        ],
    }
    hub.cli(
        "iam", "policy", "put", "--role", role.name, "look", "--document", "-", stdin=json.dumps(document)
    )
    session = hub.assume_role(bob, role, "bob-as-guest")
    assert hub.cli("cluster", "get", cluster.id, credentials=session)["account"] == hub.account
    assert hub.run("cluster", "delete", cluster.id, credentials=session).returncode == NO
    # A cluster lets in whom it trusts: the role is of its own account, bob is not.
    cluster.entry(role)
    assert cluster.token_review(cluster.token(session))["status"]["authenticated"]
    assert not cluster.token_review(cluster.token(bob))["status"]["authenticated"]


def test_a_cluster_lets_in_the_accounts_that_it_trusts(hub, bob):
    cluster = hub.create_cluster("trusting", "--trust", f"local/{OTHER}")
    cluster.entry(bob, groups=["guests"])
    assert cluster.log_in(bob)["groups"] == ["guests", "system:authenticated"]
    user = cluster.log_in(bob)
    hub.cli("cluster", "update", cluster.id, "--trust", f"local/{hub.account}")
    assert not cluster.token_review(cluster.token(bob))["status"]["authenticated"]
    assert cluster.verdict(user, **PODS)[0] == "denied"


def immunity_31_a_number_is_registered_once(hub, bob):
    for authority in ("aws", "local"):
        for number in (OTHER, hub.account):
            why = hub.refused("iam", "account", "create", number, "--authority", authority, code=NO)
            assert "exists" in why, why

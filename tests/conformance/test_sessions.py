"""Role sessions, from `lanyard iam assume-role` to the door of a cluster."""

import json

import pytest

from hub import NO

PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.fixture
def world(hub, cluster):
    """ana may assume a role that views the cluster."""
    ana = hub.create_user("ana")
    role = hub.create_role("viewer", trusts=ana.arn, path="/team/")
    cluster.entry(role, groups=["viewers"], policy="AmazonEKSViewPolicy")
    return ana, role


def test_a_session_is_its_role_with_the_name_that_its_caller_chose(hub, cluster, world):
    ana, role = world
    session = hub.assume_role(ana, role, "ana-at-work")
    assert session.access_key_id.startswith("LSIA")
    user = cluster.log_in(session)
    arn = f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/ana-at-work"
    assert user["username"] == arn and user["groups"] == ["viewers", "system:authenticated"]
    assert user["extra"]["arn"] == [arn]
    # STS leaves a role's path out, so the badge of one has none.
    assert user["extra"]["canonicalarn"] == [f"arn:aws:iam::{hub.account}:role/{role.name}"]
    assert user["extra"]["principalid"] == [role.principal_id]
    assert user["uid"] == f"aws-iam-authenticator:{hub.account}:{role.principal_id}"
    assert cluster.verdict(user, **PODS)[0] == "allowed"


def test_ana_herself_is_not_the_role(cluster, world):
    ana, _ = world
    assert cluster.refusal(ana) == "unmapped"


def test_nobody_assumes_a_role_that_does_not_trust_them(hub, world):
    _, role = world
    ben = hub.create_user("ben")
    why = hub.refused(
        "iam", "assume-role", role.arn, "--session-name", "ben", credentials=ben.credentials, code=NO
    )
    assert f"may not `sts:AssumeRole` on `{role.arn}`" in why and "its trust policy does not let the caller" in why
    missing = role.arn + "-that-is-not-there"
    unknown = hub.refused(
        "iam", "assume-role", missing, "--session-name", "ben", credentials=ben.credentials, code=NO
    )
    assert unknown.replace(missing, "X") == why.replace(role.arn, "X"), (
        "who may not assume learns which roles exist"
    )


def test_a_session_key_signs_nothing_without_its_own_token(hub, cluster, world):
    ana, role = world
    first, second = (hub.assume_role(ana, role, name) for name in ("first", "second"))
    bare = type(first)(first.access_key_id, first.secret)
    assert cluster.refusal(bare) == "session_token_missing"
    swapped = type(first)(first.access_key_id, first.secret, second.session_token)
    assert cluster.refusal(swapped) == "session_of_other_key"
    spoilt = type(first)(first.access_key_id, first.secret, first.session_token[:-8] + "AAAAAAAA")
    assert cluster.refusal(spoilt) in (
        "session_token_sealed",
        "session_token_forged",
        "session_token_malformed",
    )
    spare = type(first)(ana.credentials.access_key_id, ana.credentials.secret, first.session_token)
    assert cluster.refusal(spare) == "session_token_unexpected"


def immunity_35_the_secret_of_a_session_is_not_in_its_token(hub, cluster, world):
    ana, role = world
    session = hub.assume_role(ana, role, "ana")
    for guess in (session.session_token, session.session_token[:40], session.access_key_id):
        assert (
            cluster.refusal(type(session)(session.access_key_id, guess, session.session_token))
            == "signature_or_cluster"
        )


def immunity_36_a_session_ends_with_what_it_descends_from(hub, cluster, world):
    ana, role = world
    session = hub.assume_role(ana, role, "ana")
    user = cluster.log_in(session)
    key = ana.credentials.access_key_id
    hub.cli("iam", "access-key", "update", ana.name, key, "--inactive")
    assert cluster.refusal(session) == "session_ancestor_gone"
    assert cluster.verdict(user, **PODS)[0] == "denied"
    hub.cli("iam", "access-key", "update", ana.name, key, "--active")
    assert cluster.token_review(cluster.token(session))["status"]["authenticated"]
    hub.cli("iam", "user", "delete", ana.name)
    assert cluster.refusal(session) == "session_ancestor_gone"


def immunity_36_a_role_made_again_is_not_the_role_of_old_sessions_nor_of_old_entries(hub, cluster, world):
    ana, role = world
    session = hub.assume_role(ana, role, "ana")
    user = cluster.log_in(session)
    hub.cli("iam", "role", "delete", role.name)
    assert cluster.refusal(session) == "session_role_gone"
    assert cluster.verdict(user, **PODS)[0] == "denied"
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": ana.arn}, "Action": "sts:AssumeRole"}],
        }
    )
    hub.cli("iam", "role", "create", role.name, "--path", "/team/", "--trust-policy", "-", stdin=document)
    assert cluster.refusal(session) == "session_role_gone"
    again = hub.assume_role(ana, role, "ana")
    assert cluster.refusal(again) == "stale_entry"


def test_revoked_sessions_are_refused_and_new_ones_are_not(hub, cluster, world):
    ana, role = world
    session = hub.assume_role(ana, role, "ana")
    user = cluster.log_in(session)
    hub.cli("iam", "revoke-sessions", role.name)
    assert cluster.refusal(session) == "session_revoked"
    assert cluster.verdict(user, **PODS)[0] == "denied"


def test_one_session_can_be_blocked_by_its_name(hub, cluster, world):
    ana, role = world
    stolen, other = (hub.assume_role(ana, role, name) for name in ("stolen", "other"))
    user = cluster.log_in(stolen)
    arn = f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/stolen"
    hub.cli("block", "create", "--cluster", cluster.id, "--session", arn, "--reason", "laptop lost")
    assert cluster.refusal(stolen) == "blocked"
    assert cluster.verdict(user, **PODS)[0] == "denied"
    assert cluster.verdict(cluster.log_in(other), **PODS)[0] == "allowed"


@pytest.fixture
def chain(hub, cluster):
    """ana may assume one role, and that one a second, which views the cluster."""
    ana = hub.create_user("ana")
    first = hub.create_role("first", trusts=ana.arn)
    last = hub.create_role("last", trusts=first.arn)
    cluster.entry(last, policy="AmazonEKSViewPolicy")
    session = hub.assume_role(ana, first, "ana")
    chained = hub.assume_role(type(ana)("first", first.arn, first.principal_id, session), last, "ana-further")
    return ana, first, chained


def end_link(hub, first, how) -> None:
    words = {"deleted": ["role", "delete"], "revoked": ["revoke-sessions"]}[how]
    hub.cli("iam", *words, first.name)


@pytest.mark.parametrize(
    ("how", "code"), [("deleted", "session_ancestor_gone"), ("revoked", "session_revoked")]
)
def immunity_36_a_chain_ends_with_any_of_its_links(hub, cluster, chain, how, code):
    _, first, chained = chain
    assert cluster.token_review(cluster.token(chained))["status"]["authenticated"]
    end_link(hub, first, how)
    assert cluster.refusal(chained) == code


def test_a_chained_session_may_do_what_its_last_role_may(cluster, chain):
    _, _, chained = chain
    verdict, why = cluster.verdict(cluster.log_in(chained), **PODS)
    assert verdict == "allowed", why


@pytest.mark.parametrize("how", ["deleted", "revoked"])
def immunity_36_a_chains_proof_ends_with_any_of_its_links(hub, cluster, chain, how):
    _, first, chained = chain
    user = cluster.log_in(chained)
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    end_link(hub, first, how)
    assert cluster.verdict(user, **PODS)[0] == "denied"


@pytest.mark.parametrize("whom", ["user", "middle role", "middle role's session"])
def test_a_block_on_any_link_stops_the_chain(hub, cluster, chain, whom):
    ana, first, chained = chain
    user = cluster.log_in(chained)
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    session = f"arn:aws:sts::{hub.account}:assumed-role/{first.name}/ana"
    target = {
        "user": ("--principal", ana.arn),
        "middle role": ("--principal", first.arn),
        "middle role's session": ("--session", session),
    }[whom]
    hub.cli("block", "create", "--cluster", cluster.id, *target, "--reason", "left")
    assert cluster.refusal(chained) == "blocked"
    assert cluster.verdict(user, **PODS)[0] == "denied"


def test_lanyard_token_assumes_a_role_of_the_hub_itself(hub, cluster, world):
    ana, role = world
    words = [
        "token",
        "--cluster-name",
        cluster.id,
        "--role-arn",
        role.arn,
        "--session-name",
        "by-token",
        "--raw",
    ]
    done = hub.run(*words, credentials=ana.credentials, output=None)
    assert done.returncode == 0, done.stderr
    token = hub.secrets.add("a client token", done.stdout.strip())
    user = cluster.token_review(token)["status"]["user"]
    assert user["extra"]["sessionname"] == ["by-token"]


@pytest.mark.parametrize("whom", ["access-key", "principal", "session-key"])
def test_a_block_on_who_assumed_a_role_stops_the_session_too(hub, cluster, world, whom):
    ana, role = world
    session = hub.assume_role(ana, role, "ana")
    user = cluster.log_in(session)
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    targets = {
        "access-key": ("--access-key", ana.credentials.access_key_id),
        "principal": ("--principal", ana.arn),
        "session-key": ("--access-key", session.access_key_id),
    }
    hub.cli("block", "create", "--cluster", cluster.id, *targets[whom], "--reason", "left")
    assert cluster.refusal(session) == "blocked"
    assert cluster.verdict(user, **PODS)[0] == "denied"


def test_a_session_policy_narrows_what_the_role_may(hub, world):
    ana, role = world
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    hub.cli(
        *("iam", "policy", "put", "--role", role.name, "all", "--document", "-"),
        stdin=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    narrow = json.dumps({"Version": "2012-10-17", "Statement": [everything | {"Action": "iam:GetUser"}]})
    answer = hub.cli(
        *("iam", "assume-role", role.arn, "--session-name", "narrow", "--session-policy", "-"),
        credentials=ana.credentials,
        stdin=narrow,
    )
    session = type(ana.credentials)(
        answer["access_key_id"], answer["secret_access_key"], answer["session_token"]
    )
    hub.secrets.add("a session's secret access key", session.secret)
    hub.secrets.add("a session token", session.session_token)
    assert hub.cli("iam", "user", "get", ana.name, credentials=session)["name"] == ana.name
    assert hub.run("iam", "user", "list", credentials=session).returncode == NO
    whole = hub.assume_role(ana, role, "whole")
    assert hub.run("iam", "user", "list", credentials=whole).returncode == 0

"""Web identities: a CI job's token becomes a session of a role, and the session opens a cluster; everybody else is refused as STS
refuses them."""

from __future__ import annotations

import json

import pytest

from hub import NO, NO_ANSWER, Principal, audit_line, logged, unique
from oidc import Issuer, Key

AUDIENCE = "sts.amazonaws.com"
PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}
SUBJECT = "repo:octo-org/octo-repo:environment:prod"
NO_SESSION = "a web identity was given no session"


@pytest.fixture
def issuer(hub, tmp_path_factory):
    """An issuer that is an OIDC provider of the hub's account."""
    issuer = Issuer(tmp_path_factory.mktemp("ci"), path=f"/{unique('ci')}").start()
    provider_of(hub, issuer)
    yield issuer
    issuer.stop()


def provider_of(hub, issuer) -> None:
    words = ["iam", "oidc-provider", "create", issuer.url, "--client-id", AUDIENCE, "--ca-bundle", str(issuer.ca)]
    hub.cli(*words)


def trust(hub, issuer, subject: str | None, *actions: str) -> str:
    name = issuer.url.removeprefix("https://")
    condition = {"StringEquals": {f"{name}:aud": AUDIENCE}}
    if subject:
        condition["StringLike"] = {f"{name}:sub": subject}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{hub.account}:oidc-provider/{name}"},
        "Action": ["sts:AssumeRoleWithWebIdentity", *actions],
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def role(hub, issuer):
    return role_of(hub, issuer)


def role_of(hub, issuer, subject: str = "repo:octo-org/octo-repo:*") -> Principal:
    """A role for the jobs of one repository, or for whom it is told."""
    name = unique("ci")
    policy = trust(hub, issuer, subject, "sts:TagSession")
    words = ["iam", "role", "create", name, "--path", "/ci/", "--trust-policy", "-", "--description", "CI jobs"]
    made = hub.cli(*words, stdin=policy)["value"]
    assert made["description"] == "CI jobs"
    return Principal(name, f"arn:aws:iam::{hub.account}:role/ci/{name}", made["principal_id"])


def words_of(role, session="run-17"):
    return ["iam", "assume-role-with-web-identity", role.arn, "--session-name", session, "--token-file", "-"]


def token_of(hub, issuer, **claims) -> str:
    return hub.secrets.add("a web identity token", issuer.token(**{"aud": AUDIENCE, "sub": SUBJECT} | claims))


def exchange(hub, issuer, role, **claims):
    made = hub.cli(*words_of(role), stdin=token_of(hub, issuer, **claims))
    return made, hub.session(made)


def refused(hub, issuer, role, *, code=NO, **claims) -> str:
    """Why whoever shows such a token gets no session; a line of the log tells of it too."""
    token = token_of(hub, issuer, **claims)
    told = hub.refused(*words_of(role), stdin=token, code=code)
    assert role.arn in audit_line(hub, token, NO_SESSION)
    return told


def test_a_jobs_token_becomes_a_session_that_opens_a_cluster(hub, cluster, issuer, role):
    cluster.entry(role, groups=["ci"], policy="AmazonEKSViewPolicy")
    made, session = exchange(hub, issuer, role)
    assert made["arn"] == f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/run-17"
    assert (made["provider"], made["audience"], made["subject"]) == (issuer.url, AUDIENCE, SUBJECT)
    user = cluster.log_in(session)
    assert user["username"] == made["arn"] and "ci" in user["groups"]
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    assert cluster.verdict(user, verb="delete", resource="pods", namespace="team-a")[0] != "allowed"


def test_no_credentials_are_needed_and_a_session_signs_calls(hub, issuer, role):
    environment = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    made = hub.cli(*words_of(role), stdin=token_of(hub, issuer), environment=environment)
    hub.secrets.add("a session's secret access key", made["secret_access_key"])
    hub.secrets.add("a session token", made["session_token"])
    _, session = exchange(hub, issuer, role)
    assert "implicit_deny" in hub.refused("iam", "user", "list", credentials=session)


def test_whoever_is_not_meant_gets_nothing(hub, issuer, role):
    other = refused(hub, issuer, role, sub="repo:octo-org-evil/octo-repo:environment:prod")
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in other
    assert "Incorrect token audience" in refused(hub, issuer, role, aud="kubernetes")
    assert "expired" in refused(hub, issuer, role, exp=1_700_000_000)
    stranger = hub.refused(*words_of(role), stdin=issuer.token(key=Key("one"), aud=AUDIENCE, sub=SUBJECT))
    assert "signature" in stranger
    unsigned = hub.secrets.add("an unsigned token", issuer.unsigned(aud=AUDIENCE, sub=SUBJECT))
    assert "invalid_identity_token" in hub.refused(*words_of(role), stdin=unsigned)
    line = audit_line(hub, unsigned, NO_SESSION)
    assert "invalid_identity_token" in line and role.arn in line
    elsewhere = refused(hub, issuer, role, iss="https://issuer.example")
    assert "No OpenIDConnect provider found in your account for https://issuer.example" in elsewhere


def immunity_10_a_subject_that_looks_like_a_service_accounts_is_another(hub, issuer):
    own = "system:serviceaccount:team-a:bot"
    role = role_of(hub, issuer, own)
    exchange(hub, issuer, role, sub=own)
    for sub in (f"{own}2", f"{own}:x", own[:-1], "system:serviceaccount:team-b:bot", "system:serviceaccount:team-a:*", own.upper()):
        told = refused(hub, issuer, role, sub=sub)
        assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in told, (sub, told)


def immunity_26_an_issuer_that_points_inside_or_whose_keys_have_no_end_is_no_answer(hub, tmp_path_factory):
    """What is heard of it first, so that there are no keys from before to count on."""
    inside = "https://169.254.169.254/latest/meta-data/"

    def described(issuer) -> str:
        own = {"issuer": issuer.url, "jwks_uri": inside, "id_token_signing_alg_values_supported": ["ES256"]}
        return json.dumps(own | {"response_types_supported": ["id_token"], "subject_types_supported": ["public"]})

    def at_discovery(issuer) -> str:
        return f"{issuer.path}/.well-known/openid-configuration"

    many = {"keys": [Key(f"k{n}").jwk() for n in range(101)]}
    attacks = {
        "issuer_redirects": lambda issuer: {at_discovery(issuer): (302, "", {"Location": inside})},
        "issuer_address_refused": lambda issuer: {at_discovery(issuer): (200, described(issuer), {})},
        "issuer_too_many_keys": lambda _: {"/keys": (200, json.dumps(many), {})},
        "issuer_document_too_large": lambda _: {"/keys": (200, json.dumps({"keys": [], "more": "x" * (256 * 1024)}), {})},
    }
    for reason, instead in attacks.items():
        issuer = Issuer(tmp_path_factory.mktemp("odd"), path=f"/{unique('ci')}").start()
        try:
            issuer.instead = instead(issuer)
            provider_of(hub, issuer)
            role = role_of(hub, issuer)
            told = refused(hub, issuer, role, code=NO_ANSWER)
            assert issuer.url in told and reason in told and "169.254" not in told, (reason, told)
            assert issuer.asked > 0, reason
            line = logged(hub, "an issuer is not followed", issuer.url)
            assert reason in line, line
        finally:
            issuer.stop()


def test_an_issuer_that_is_away_is_no_refusal(hub, tmp_path_factory):
    """One whose keys were never heard: those that were count on."""
    issuer = Issuer(tmp_path_factory.mktemp("away"), path=f"/{unique('ci')}").start()
    issuer.away = True
    provider_of(hub, issuer)
    role = role_of(hub, issuer)
    assert issuer.url in refused(hub, issuer, role, code=NO_ANSWER)
    issuer.stop()


def immunity_36_a_session_ends_with_its_provider_and_blocks_reach_its_subject(hub, cluster, issuer, role):
    cluster.entry(role, groups=["ci"], policy="AmazonEKSViewPolicy")
    _, session = exchange(hub, issuer, role)
    user = cluster.log_in(session)
    words = ["block", "create", "--oidc-issuer", issuer.url, "--oidc-subject", SUBJECT]
    block = hub.cli(*words, "--reason", "test")["value"]
    hub.settle()
    assert cluster.refusal(session) == "blocked"
    assert cluster.verdict(user, **PODS)[0] == "denied", "whatever the API server has cached"
    assert "idp_rejected_claim" in refused(hub, issuer, role)
    hub.cli("block", "delete", block["id"])
    hub.settle()
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    hub.cli("iam", "oidc-provider", "delete", issuer.url)
    hub.settle()
    assert cluster.refusal(session) == "session_ancestor_gone"
    assert cluster.verdict(user, **PODS)[0] == "denied"
    hub.cli("iam", "oidc-provider", "create", issuer.url, "--client-id", AUDIENCE, "--ca-bundle", str(issuer.ca))
    hub.settle()
    assert cluster.refusal(session) == "session_ancestor_gone", "one made anew is another"


def immunity_11_an_issuer_is_trusted_without_a_subject_only_by_force(hub, issuer):
    name = unique("open")
    words = ["iam", "role", "create", name, "--trust-policy", "-"]
    why = hub.refused(*words, stdin=trust(hub, issuer, None), code=2)
    assert ":sub`" in why and "allow_any_subject" in why
    wide = hub.refused(*words, stdin=trust(hub, issuer, "*"), code=2)
    assert "for subjects that" in wide and "allow_any_subject" in wide, wide
    made = hub.cli(*words, "--allow-any-subject", stdin=trust(hub, issuer, None))
    assert any(":sub`" in notice for notice in made["notices"])


def test_a_users_own_session_is_its_user(hub, cluster):
    ana = hub.create_user("ana")
    cluster.entry(ana, groups=["people"], policy="AmazonEKSViewPolicy")
    session = hub.get_session_token(ana, "--duration-seconds", "900")
    user = cluster.log_in(session)
    assert user["username"] == ana.arn
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    assert "session" in hub.refused("iam", "get-session-token", credentials=session)
    hub.cli("iam", "access-key", "update", ana.name, ana.credentials.access_key_id, "--inactive")
    hub.settle()
    assert cluster.refusal(session) == "session_ancestor_gone"
    assert cluster.verdict(user, **PODS)[0] == "denied"

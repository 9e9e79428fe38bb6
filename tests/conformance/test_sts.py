"""Identities that an STS vouches for: verified, refused and no answer are three things up to the API server's wire."""

import collections
import contextlib
import json
import re

import pytest
import requests

import tokens
from cluster import with_id
from hub import NO
from lab import ACCOUNT, hub_of
from metrics import Counted, pages_of
from stack import REPLICAS
from tokens import minutes

PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    # A slow STS takes longer than that (`sts.SLOW_SECONDS`).
    settings = ["authn:LANYARD_AUTHN__STS__BACKOFF_MILLISECONDS=1", "gateway:LANYARD_GATEWAY__REVIEW_TIMEOUT_MS=1500"]
    if REPLICAS:
        # A machine that has other things to do is no Redis that hangs.
        redis = "authn:LANYARD_AUTHN__TOKEN_CACHE__REDIS"
        settings += [f"{redis}__GET_MILLISECONDS=1000", f"{redis}__PUT_MILLISECONDS=10000"]
    with hub_of(tmp_path_factory.mktemp("lab"), *settings) as both:
        yield both


@pytest.fixture
def world(lab):
    """Somebody of the lab in a cluster of a test's own, each with keys that no limit or breaker has seen."""
    hub, sts = lab
    sts.ill = None
    cluster = hub.create_cluster("lab", "--trust", f"sts:lab/{ACCOUNT}")
    lea = sts.person(f"lea-{cluster.id}", ACCOUNT)
    hub.secrets.add("a lab key", lea.credentials.secret)
    hub.cli("entry", "create", cluster.id, lea.arn, "--group", "lab")
    hub.cli("entry", "associate", cluster.id, lea.arn, "AmazonEKSViewPolicy")
    return hub, sts, cluster, lea


def token_for(cluster, sts, who, **choices):
    return cluster.token(who.credentials, host=sts.host, **choices)


def review(cluster, token):
    """Status of the response, and of the review."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    response = cluster.post("tokenreview", body)
    return response.status_code, response.json()["status"]


@contextlib.contextmanager
def shared(hub):
    """What the STS says meanwhile is known to every replica of authn at the end: it is put where they share it behind the answer."""
    stored = Counted(hub, pages_of(hub, "authn"), "lanyard_authn_redis_puts_total", outcome="stored")
    yield
    if REPLICAS:
        stored.expect(1)


def test_whom_the_sts_vouches_for_is_let_in_and_asked_for_once(world):
    hub, sts, cluster, lea = world
    token, asked = token_for(cluster, sts, lea), sts.asked
    for meanwhile in (shared(hub), contextlib.nullcontext(), contextlib.nullcontext()):
        with meanwhile:
            status = cluster.token_review(token)["status"]
        assert status["authenticated"], status
        assert status["user"]["username"] == lea.arn
        assert status["user"]["uid"] == f"aws-iam-authenticator:{ACCOUNT}:{lea.user_id}"
    assert sts.asked == asked + 1, "the answer was not kept"
    assert cluster.verdict(cluster.log_in(lea.credentials, host=sts.host), **PODS)[0] == "allowed"


def test_an_explanation_says_who_vouched_and_whether_that_was_kept(world):
    hub, sts, cluster, lea = world
    token, asked = token_for(cluster, sts, lea), sts.asked
    for kept, meanwhile in (("no", shared(hub)), ("yes", contextlib.nullcontext())):
        with meanwhile:
            told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=token)
        stage = told["stages"][0]
        assert stage["name"] == "token", told
        assert f"verified by: STS lab {sts.host}" in stage["lines"], told
        assert f"from the token cache: {kept}" in stage["lines"], told
    assert sts.asked == asked + 1


def test_a_definite_no_is_a_refusal(world):
    _, sts, cluster, lea = world
    token = token_for(cluster, sts, lea)
    spoilt = tokens.tampered(
        token, X_Amz_Signature=tokens.other_digit(tokens.parameter(token, "X-Amz-Signature"))
    )
    assert cluster.refusal(spoilt) == "signature_or_cluster"
    assert cluster.token_review(token)["status"]["authenticated"], "the refusal was for that very token"


def immunity_04_the_sts_is_asked_with_this_clusters_own_id(world):
    hub, sts, cluster, lea = world
    other = hub.create_cluster("other", "--trust", f"sts:lab/{ACCOUNT}")
    hub.cli("entry", "create", other.id, lea.arn)
    assert other.refusal(token_for(cluster, sts, lea)) == "signature_or_cluster"


THROTTLED = (400, json.dumps({"Error": {"Code": "Throttling", "Message": "Rate exceeded", "Type": "Sender"}}))


ILL = {
    "a fault of its own": ((500, "{}"), 503, "unavailable"),
    "busy": ((503, "busy"), 503, "unavailable"),
    "throttled as AWS does": (THROTTLED, 429, "throttled"),
    "throttled": ((429, "{}"), 429, "throttled"),
    "half an answer": ("garbage", 503, "unavailable"),
    "a redirect": ("redirect", 503, "unavailable"),
    "an endless answer": ((200, "x" * 100_000), 503, "unavailable"),
    "slow": ("slow", 504, "timed_out"),
}


def counted(hub) -> dict[tuple[str, str], float]:
    """How often an answer about a token came to what, and why; of every replica together."""
    counts = collections.Counter()
    for url in pages_of(hub, "authn"):
        text = requests.get(f"{url}/metrics", verify=hub.ca, timeout=10).text
        line = r'^lanyard_authn_answers_total\{outcome="(\w+)",reason="(\w+)"\} (\S+)$'
        counts.update({(outcome, reason): float(count) for outcome, reason, count in re.findall(line, text, re.MULTILINE)})
    return dict(counts)


def test_refusals_and_faults_are_counted_apart(world):
    hub, sts, cluster, lea = world
    token = token_for(cluster, sts, lea)
    spoilt = tokens.tampered(
        token, X_Amz_Signature=tokens.other_digit(tokens.parameter(token, "X-Amz-Signature"))
    )
    before = counted(hub)
    sts.ill = THROTTLED
    assert review(cluster, token)[0] == 429
    sts.ill = None
    assert cluster.refusal(spoilt) == "signature_or_cluster"
    assert cluster.token_review(token)["status"]["authenticated"]
    more = {which: count - before[which] for which, count in counted(hub).items() if count != before[which]}
    assert more == {("fault", "throttled"): 1, ("refused", "signature_or_cluster"): 1, ("verified", "none"): 1}


@pytest.mark.parametrize("name", ILL)
def immunity_14_no_answer_is_no_refusal_and_is_not_remembered_as_one(world, name):
    ill, status, code = ILL[name]
    hub, sts, cluster, lea = world
    token = token_for(cluster, sts, lea)
    sts.ill = ill
    answered, said = review(cluster, token)
    assert answered == status, (answered, said)
    assert said["authenticated"] is False
    text, decision = with_id(said["error"])
    assert text == f"no_answer: {code}"
    assert hub.explain_decision(decision)["verdict"] == "no_answer"
    sts.ill = None
    answered, said = review(cluster, token)
    assert answered == 200 and said["authenticated"], said


def immunity_02_the_answer_of_the_sts_is_for_the_accounts_it_owns(world):
    """An STS of one's own that says somebody of another account signed."""
    hub, sts, cluster, lea = world
    cases = [(hub.account, "account_of_other_authority"), ("444455556666", "account_not_registered")]
    for number, (account, code) in enumerate(cases):
        sts.ill = type(lea)(lea.credentials, f"arn:aws:iam::{account}:user/administrator", lea.user_id)
        assert cluster.refusal(token_for(cluster, sts, lea, expires=str(100 + number))) == code, account


def immunity_31_an_account_has_one_authority_and_only_the_trusted_pair_gets_in(world):
    hub, sts, cluster, lea = world
    for authority in ("aws", "local", "sts:lab"):
        assert "exist" in hub.refused("iam", "account", "create", ACCOUNT, "--authority", authority, code=NO)
    # The same key at a cluster that does not trust the lab, with an entry that cannot even be made.
    stranger = hub.create_cluster("stranger")
    assert "trust" in hub.refused("entry", "create", stranger.id, lea.arn, code=2)
    asked = sts.asked
    assert stranger.token_review(token_for(stranger, sts, lea))["status"]["authenticated"] is False
    assert sts.asked == asked, "a cluster that does not trust the lab asks it all the same"
    # A Lanyard key signs for any host, also for the lab's, and is never sent there.
    ana = hub.create_user("ana")
    cluster.entry(ana)
    assert cluster.token_review(cluster.token(ana, host=sts.host))["status"]["authenticated"]
    assert sts.asked == asked


def test_a_key_of_aws_is_not_asked_about_where_no_account_of_aws_is_trusted(world):
    _, _, cluster, lea = world
    assert cluster.refusal(lea.credentials) == "authority_not_trusted"


def test_dates_and_blocks_count_although_the_answer_is_kept(world):
    hub, sts, cluster, lea = world
    token = token_for(cluster, sts, lea)
    assert cluster.token_review(token)["status"]["authenticated"]
    block = hub.cli("block", "create", "--access-key", lea.credentials.access_key_id, "--reason", "found")[
        "value"
    ]
    assert cluster.refusal(token) == "blocked"
    hub.cli("block", "delete", block["id"])
    assert cluster.token_review(token)["status"]["authenticated"]
    asked = sts.asked
    assert cluster.refusal(token_for(cluster, sts, lea, at=tokens.now() - minutes(16))) == "token_expired"
    assert sts.asked == asked

"""Services of a running stack that hang: what goes on, what is answered meanwhile, and that it comes back.

A process is paused, which to those who ask it is worse than one that died: its connections stay open and nothing answers.
"""

from __future__ import annotations

import itertools
import json
import time

import pytest

from cluster import ANSWER_SECONDS_MAX, WITH_ID, with_id
from outages import eventually, paused
from stack import REPLICAS

pytestmark = pytest.mark.skipif(not REPLICAS, reason="separate processes, which the run against a stack has")

# Makes tokens of one second differ, so that no kept answer is given.
LIFETIMES = itertools.cycle(range(60, 900))
PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.fixture(scope="module")
def world(hub):
    """A cluster and ana, who may view a namespace of it."""
    cluster, ana = hub.create_cluster("outage"), hub.create_user("ana")
    cluster.entry(ana, policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    return cluster, ana


def unseen(cluster, who) -> dict:
    """What is said of a token that nobody has seen yet; that there is no answer has a status of HTTP too."""
    token = cluster.token(who, expires=str(next(LIFETIMES)))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    response = cluster.post("tokenreview", body)
    status = response.json()["status"]
    assert response.status_code == 200 or status["error"].startswith("no_answer"), response.text
    return status


def lets_in(cluster, who) -> bool:
    """Whether a token that nobody has seen yet is let in; a fault is no refusal."""
    return unseen(cluster, who)["authenticated"]


def asks_without_an_answer(cluster, who) -> str:
    """What is said to somebody who asks what they may, past the API server as kubectl would, while nobody knows."""
    token = cluster.token(who, expires=str(next(LIFETIMES)))
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": PODS}}
    response = cluster.post("apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, bearer=token)
    assert response.status_code in (503, 504), response.text
    return response.json()["message"]


def allows(cluster, user) -> bool:
    """Whether a door opens; while nobody answers, whoever bears a proof is denied."""
    return cluster.verdict(user, **PODS)[0] == "allowed"


@pytest.mark.parametrize("service", ["authn", "mapping", "authz"])
def test_one_replica_that_hangs_is_given_up_and_nobody_is_refused_by_it(hub, world, service):
    cluster, ana = world
    user = cluster.log_in(ana)
    replicas = hub.processes_of(service)
    assert len(replicas) == REPLICAS
    with paused(replicas[:1]):
        eventually(f"one {service} hangs, and nobody is let in", lambda: lets_in(cluster, ana))
        eventually(f"one {service} hangs, and nothing is decided", lambda: allows(cluster, user))
        # From then on the other has all of it.
        eventually(
            f"one {service} hangs, and it is asked again and again",
            lambda: all(lets_in(cluster, ana) and allows(cluster, user) for _ in range(10)),
        )
    eventually(f"{service} is not back", lambda: lets_in(cluster, ana) and allows(cluster, user))


def test_while_no_authz_answers_whoever_bears_a_proof_is_denied_and_never_let_through_to_the_clusters_rbac(hub, world):
    cluster, ana = world
    user = cluster.log_in(ana)
    assert allows(cluster, user)
    with paused(hub.processes_of("authz")):
        for _ in range(2):
            begun = time.monotonic()
            verdict, why = cluster.verdict(user, **PODS)
            assert verdict == "denied", why
            assert time.monotonic() - begun < ANSWER_SECONDS_MAX
    eventually("authz is not back", lambda: allows(cluster, user))


def test_while_no_authn_answers_nobody_is_refused_for_good(hub, world):
    cluster, ana = world
    with paused(hub.processes_of("authn")):
        status = unseen(cluster, ana)
        assert status["authenticated"] is False and status["error"].startswith("no_answer"), status
        # Whose token this is nobody knows: it would be a record that any stranger can have made.
        assert not WITH_ID.match(asks_without_an_answer(cluster, ana))
    eventually("authn is not back", lambda: lets_in(cluster, ana))


def test_while_no_mapping_answers_a_persons_own_review_is_a_decision_that_can_be_explained(hub, world):
    cluster, ana = world
    with paused(hub.processes_of("mapping")):
        decision = with_id(asks_without_an_answer(cluster, ana))[1]
    eventually("mapping is not back", lambda: lets_in(cluster, ana))
    told = hub.explain_decision(decision)
    assert told["verdict"] == "no_answer" and told["stages"][0]["name"] == "token review", told
    assert ana.arn in json.dumps(told), told

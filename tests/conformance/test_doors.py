"""Who may knock at a cluster's doors, and what becomes of what is no review."""

import http.client
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from cluster import PROOF, access_review_of
from hub import unique
from kube import wait_for
from lab import ACCOUNT, hub_of

DOORS = ["tokenreview", "subjectaccessreview"]
# More than any review that the hub reads.
TOO_MANY_BYTES = 5 << 20
# A body may take a review's time; far above it, so that a hang is a failure rather than a wait.
STALLED_SECONDS_MAX = 30


@pytest.fixture(scope="module")
def world(hub):
    cluster = hub.create_cluster("doors")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy="AmazonEKSViewPolicy")
    return cluster, ana, cluster.log_in(ana)


def body_of(door, user):
    if door == "tokenreview":
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}}
    return access_review_of(user, verb="get", resource="pods")


def status_of(response) -> dict:
    """Kubernetes' Status object, whose code is the response's."""
    status = response.json()
    assert (
        status["kind"] == "Status"
        and status["status"] == "Failure"
        and status["code"] == response.status_code
    )
    return status


@pytest.mark.parametrize("door", DOORS)
def test_no_credential_a_wrong_one_another_clusters_and_an_unknown_cluster_answer_alike(hub, world, door):
    cluster, ana, user = world
    other = hub.create_cluster("neighbour")
    body = body_of(door, user)
    answers = [
        cluster.post(door, body, bearer=""),
        cluster.post(door, body, bearer="wrong"),
        cluster.post(door, body, bearer=other.spoke),
        cluster.post(door, body, bearer=cluster.token(ana)),
        cluster.post(door, body, bearer="", headers={"Authorization": f"Basic {cluster.spoke}"}),
    ]
    unknown = type(cluster)(hub, "nobody-knows-this-one", "", cluster.spoke)
    answers.append(unknown.post(door, body))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1, "who knocks in vain learns which clusters there are"
    assert status_of(answers[0])["reason"] == "Unauthorized"
    assert cluster.post(door, body).status_code == 200


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "header",
    [
        "Impersonate-User",
        "impersonate-group",
        "Impersonate-Uid",
        "IMPERSONATE-EXTRA-lanyard.dev%2Fproof",
        "Impersonate-Extra-Scopes",
    ],
)
def immunity_24_impersonation_headers_are_refused_by_name(world, door, header):
    cluster, _, user = world
    response = cluster.post(door, body_of(door, user), headers={header: "system:admin"})
    assert response.status_code == 403
    assert header.lower() in status_of(response)["message"].lower()


@pytest.mark.parametrize("header", ["Impersonate-User", "Impersonate-Extra-X"])
@pytest.mark.parametrize(
    "path", ["apis/authentication.k8s.io/v1/selfsubjectreviews", "api", "version", "api/v1/pods"]
)
@pytest.mark.parametrize("more", [{}, {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}])
def immunity_24_impersonation_passes_no_path_of_the_self_reviews_either(world, header, path, more):
    cluster, ana, _ = world
    for method in ("GET", "POST"):
        response = cluster.post(
            path, {}, bearer=cluster.token(ana), headers={header: "ben"} | more, method=method
        )
        assert response.status_code == 403, (method, path)
        assert header.lower() in response.text.lower()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_reviews_are_posted(world, door, method):
    cluster, _, user = world
    response = cluster.post(door, body_of(door, user), method=method)
    assert response.status_code == 405 and response.headers["Allow"] == "POST"


BODIES = {
    "nothing": b"",
    "no JSON": b"token=abc",
    "half": b'{"spec":{"token":"abc',
    "an array": b"[]",
    "null": b"null",
    "a number": b"1e999",
    "no UTF-8": b'{"spec":{"token":"\xff\xfe"}}',
    "depth": b'{"spec":' * 5000,
    "another kind": b'{"apiVersion":"v1","kind":"Pod"}',
    "another version": b'{"apiVersion":"authentication.k8s.io/v3","kind":"TokenReview"}',
    "types": b'{"spec":{"token":7,"user":7,"audiences":7,"groups":"x"}}',
    "both attributes": b'{"spec":{"user":"a","resourceAttributes":{},"nonResourceAttributes":{}}}',
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_review_is_a_client_error_that_repeats_nothing(world, door, name):
    cluster, _, _ = world
    response = cluster.post(door, BODIES[name])
    if door == "tokenreview" and name == "both attributes":
        # A review without a token is a token of another kind.
        assert response.status_code == 200 and response.json()["status"] == {"authenticated": False}
        return
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    assert "abc" not in status_of(response)["message"]


# The doors of people, as `kubectl auth` knocks there, and in which of its two forms.
SELF_DOORS = [
    "apis/authentication.k8s.io/v1/selfsubjectreviews",
    "apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
]
PROTOBUF = "application/vnd.kubernetes.protobuf"

PROTOBUF_BODIES = {
    "the magic number alone": b"k8s\0",
    "no magic number": b"\n\x02\n\0",
    "no message": b"k8s\0\xff\xff",
    "JSON": b'{"spec":{"token":"abc"}}',
    "another kind": b"k8s\0\n\x09\n\x02v1\x12\x03Pod",
    "cut": b"k8s\0\n-\n\x18authentication.k8s.io/v1\x12\x11SelfSubjectRev",
    "a spec that is no text": b"k8s\0\n\x18\x12\x16SelfSubjectRulesReview\x12\x06\x12\x04\n\x02\xff\xfe",
}


# What is wrong with these only the door that asks for attributes reads.
ATTRIBUTES = ("types", "both attributes")


@pytest.mark.parametrize(
    ("door", "name"),
    [(door, name) for door in SELF_DOORS for name in BODIES if "access" in door or name not in ATTRIBUTES],
)
def test_what_is_no_review_of_oneself_is_a_client_error_that_repeats_nothing(world, door, name):
    cluster, ana, _ = world
    response = cluster.post(door, BODIES[name], bearer=cluster.token(ana))
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    assert "abc" not in status_of(response)["message"]


@pytest.mark.parametrize("door", SELF_DOORS)
@pytest.mark.parametrize("name", PROTOBUF_BODIES)
def test_what_is_no_review_of_oneself_in_protobuf_is_a_client_error_too(world, door, name):
    cluster, ana, _ = world
    sent = {"bearer": cluster.token(ana), "headers": {"Content-Type": PROTOBUF}}
    response = cluster.post(door, PROTOBUF_BODIES[name], **sent)
    assert response.status_code == 400, (response.status_code, response.text)
    assert "abc" not in status_of(response)["message"]


@pytest.mark.parametrize("door", SELF_DOORS)
def immunity_28_a_body_without_an_end_is_cut_off_at_the_doors_of_people_too(world, door):
    cluster, ana, _ = world
    for headers in ({}, {"Content-Type": PROTOBUF}):
        response = cluster.post(door, b"x" * TOO_MANY_BYTES, bearer=cluster.token(ana), headers=headers)
        assert response.status_code == 413, (headers, response.status_code)


def immunity_28_a_body_that_does_not_come_is_not_waited_for(hub, world):
    cluster, *_ = world
    trust = ssl.create_default_context(cafile=hub.ca)

    def stalled(door: str, *authorization: str) -> tuple[int, dict]:
        to = urlsplit(cluster.url(door))
        connection = http.client.HTTPSConnection(to.netloc, context=trust, timeout=STALLED_SECONDS_MAX)
        connection.putrequest("POST", to.path)
        for value in authorization:
            connection.putheader("Authorization", value)
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    expected = {(door,): 401 for door in [*SELF_DOORS, *DOORS]}
    # Anybody may say that they bear a token.
    expected |= {(door, "Bearer x"): 408 for door in SELF_DOORS}
    expected[("tokenreview", f"Bearer {cluster.spoke}")] = 408
    # What has not come may bear a proof: an error status would leave it to RBAC and the groups in the API server's cache.
    access = ("subjectaccessreview", f"Bearer {cluster.spoke}")
    expected[access] = 200
    with ThreadPoolExecutor(len(expected)) as pool:
        answers = dict(zip(expected, pool.map(lambda case: stalled(*case), expected), strict=True))
    assert {case: status for case, (status, _) in answers.items()} == expected
    status = answers[access][1]["status"]
    assert status["denied"] is True and status["allowed"] is False, status
    assert status["evaluationError"] == "the review has not come whole in time", status


def immunity_28_who_bears_no_token_is_told_so_before_their_body_is_read(world):
    cluster, *_ = world
    for door in SELF_DOORS:
        for sent in (b"no review", b"x" * TOO_MANY_BYTES):
            response = cluster.post(door, sent, bearer="")
            assert response.status_code == 401 and "lanyard token" in status_of(response)["message"], door


def immunity_28_a_body_without_an_end_is_cut_off(world):
    cluster, _, _ = world
    long_token = json.dumps({"spec": {"token": "k8s-aws-v1." + "a" * TOO_MANY_BYTES}}).encode()
    assert cluster.post("tokenreview", long_token).status_code == 413
    # An access review may hold a proof anywhere in what was not read.
    response = cluster.post("subjectaccessreview", b"x" * TOO_MANY_BYTES)
    assert response.status_code == 200 and response.json()["status"]["denied"]


def immunity_28_a_head_without_an_end_is_cut_off(world):
    cluster, _, user = world
    try:
        response = cluster.post("tokenreview", {}, headers={"X-Long": "a" * (1 << 20)})
    except requests.exceptions.ConnectionError:
        pass  # Cut off in the middle of it.
    else:
        assert response.status_code == 431, response.text
    # That connection alone: the hub goes on.
    assert cluster.post("tokenreview", body_of("tokenreview", user)).status_code == 200


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def immunity_59_a_review_with_a_proof_is_denied_whatever_is_wrong_with_it(world, version):
    cluster, _, user = world
    proof = user["extra"][PROOF]
    good = access_review_of(user, version=version, verb="get", resource="pods")
    groups = "groups" if version == "v1" else "group"
    named = f'{{"apiVersion":"authorization.k8s.io/{version}","spec":'.encode()

    def changed(change):
        review = json.loads(json.dumps(good))
        change(review)
        return json.dumps(review).encode()

    spoilt = {
        "no attributes": changed(lambda review: review["spec"].pop("resourceAttributes")),
        "both attributes": changed(
            lambda review: review["spec"].update(nonResourceAttributes={"path": "/x"})
        ),
        "a verb of another type": changed(lambda review: review["spec"]["resourceAttributes"].update(verb=7)),
        "groups of another type": changed(lambda review: review["spec"].update({groups: {"a": "b"}})),
        "another version": changed(lambda review: review.update(apiVersion="authorization.k8s.io/v9")),
        "another kind": changed(lambda review: review.update(kind="SelfSubjectAccessReview")),
        "cut": json.dumps(good).encode()[:-20],
        "a key with escapes": named + b'{"extra":{"l\\u0061nyard.dev/proof":["'
        + proof[0].encode()
        + b'"]},"user":7}}',
        "a key in capitals": named + b'{"extra":{"LANYARD.DEV/PROOF":["'
        + proof[0].encode()
        + b'"]},"user":7}}',
        "5 MiB of groups": changed(lambda review: review["spec"][groups].append("g" * TOO_MANY_BYTES)),
        "1 MiB of headers": changed(
            lambda review: review["spec"]["extra"].update({"long": ["x" * (1 << 20)]})
        ),
        "100 000 extras": changed(
            lambda review: review["spec"]["extra"].update({f"k{n}": ["v"] for n in range(100_000)})
        ),
    }
    assert cluster.post("subjectaccessreview", good).json()["status"]["allowed"]
    for name, body in spoilt.items():
        response = cluster.post("subjectaccessreview", body)
        assert response.status_code == 200, (name, response.status_code)
        # An API server that speaks the older version cannot read an answer in the newer one, and would ask RBAC.
        answered = "v1" if name == "another version" else version
        assert response.json()["apiVersion"] == f"authorization.k8s.io/{answered}", name
        status = response.json()["status"]
        if name in ("1 MiB of headers", "100 000 extras"):
            # Read whole, and answered as ever: only what cannot be answered is denied.
            assert status["allowed"], (name, status)
            continue
        assert status["denied"] is True and status["allowed"] is False, (name, status)
        assert status["evaluationError"], name


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A hub whose doors work on one review at a time, and an STS that can make it a long one."""
    with hub_of(tmp_path_factory.mktemp("narrow"), "gateway:LANYARD_GATEWAY__REVIEWS_IN_FLIGHT_MAX=1") as both:
        yield both


def immunity_59_a_hub_that_sheds_denies_what_bears_a_proof_and_asks_the_rest_to_come_again(narrow):
    hub, sts = narrow
    cluster = hub.create_cluster("shedding", "--trust", f"sts:lab/{ACCOUNT}")
    lea = sts.person(unique("lea"), ACCOUNT)
    hub.secrets.add("a lab key", lea.credentials.secret)
    hub.cli("entry", "create", cluster.id, lea.arn)
    hub.cli("entry", "associate", cluster.id, lea.arn, "AmazonEKSClusterAdminPolicy")
    user = cluster.log_in(lea.credentials, host=sts.host)
    assert cluster.verdict(user, verb="get", resource="pods")[0] == "allowed"

    def review(seconds: int) -> dict:
        """Of a token that nobody has seen."""
        return body_of("tokenreview", user) | {"spec": {"token": cluster.token(lea.credentials, host=sts.host, expires=str(seconds))}}

    other = type(cluster)(hub, cluster.id, cluster.uid, cluster.spoke)
    asked, sts.ill = sts.asked, threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            held = pool.submit(other.post, "tokenreview", review(101))
            wait_for("a review that asks the STS", lambda: sts.asked > asked)
            response = cluster.post("subjectaccessreview", access_review_of(user, verb="get", resource="pods"))
            assert response.status_code == 200
            assert response.json()["status"]["denied"] and response.json()["status"]["evaluationError"]
            bare = access_review_of({"username": "ben", "groups": []}, verb="get", resource="pods")
            response = cluster.post("subjectaccessreview", bare)
            assert response.status_code == 429 and response.headers["Retry-After"]
            assert cluster.post("tokenreview", review(102)).status_code == 429
        finally:
            sts.ill.set()
    sts.ill = None
    assert held.result().status_code == 200
    assert cluster.verdict(user, verb="get", resource="pods")[0] == "allowed", "it goes on"


def immunity_59_under_a_flood_a_review_with_a_proof_is_decided_or_denied_and_never_an_error(narrow):
    hub, _ = narrow
    cluster = hub.create_cluster()
    ana = hub.create_user()
    cluster.entry(ana, policy="AmazonEKSClusterAdminPolicy")
    review = json.dumps(access_review_of(cluster.log_in(ana), verb="get", resource="pods")).encode()

    def ask(_):
        own = type(cluster)(hub, cluster.id, cluster.uid, cluster.spoke)
        return [own.post("subjectaccessreview", review) for _ in range(10)]

    with ThreadPoolExecutor(16) as pool:
        answers = [answer for answers in pool.map(ask, range(16)) for answer in answers]
    assert {answer.status_code for answer in answers} == {200}
    statuses = [answer.json()["status"] for answer in answers]
    assert any(status["allowed"] for status in statuses)
    for status in statuses:
        assert status["allowed"] or (status["denied"] and status["evaluationError"]), status


def test_operators_see_life_readiness_version_and_counts_without_names(hub, world):
    cluster, ana, _ = world
    session = requests.Session()
    session.trust_env = False
    session.verify = hub.ca

    def get(path):
        return session.get(hub.url + path, timeout=10)

    assert get("/livez").status_code == 200
    assert get("/readyz").json()["ready"] is True
    assert get("/version").json()["hubId"] == hub.ready["hub_id"]
    metrics = get("/metrics").text
    assert 'lanyard_gateway_requests_total{route="tokenreview",code="2xx"}' in metrics
    assert ana.arn not in metrics and cluster.id not in metrics
    assert get("/clusters").status_code == 404
    assert get("/../../etc/passwd").status_code == 404

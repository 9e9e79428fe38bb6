"""Who may change things: the gRPC front door, met by a client and a signer of another make."""

import errno
import http.client
import json
import os
import secrets
import socket
import ssl

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import tokens
from hub import NO, REGION, unique
from management import FrontDoor
from metrics import Counted, pages_of

CREATE_USER = "/lanyard.authn.v1.Accounts/CreateUser"
GET_USER = "/lanyard.authn.v1.Accounts/GetUser"
DELETE_USER = "/lanyard.authn.v1.Accounts/DeleteUser"
LIST_CLUSTERS = "/lanyard.mapping.v1.Clusters/ListClusters"
DESCRIBE_CLUSTER = "/lanyard.mapping.v1.Clusters/DescribeCluster"
PUT_SPOKE_KUBECONFIG = "/lanyard.mapping.v1.Spokes/PutSpokeKubeconfig"
DESCRIBE_SPOKE = "/lanyard.mapping.v1.Spokes/DescribeSpoke"


@pytest.fixture(scope="module")
def door(hub):
    door = FrontDoor(hub)
    yield door
    door.close()


@pytest.fixture(scope="module")
def admin(hub):
    return hub.administrator()


def answered(hub, path: str, code: StatusCode) -> Counted:
    """Calls of a method that the doors answer so from now on."""
    return Counted(hub, pages_of(hub, "gateway"), "lanyard_grpc_requests_total", method=path, code=code.name)


def test_a_signature_of_another_make_is_a_signature(hub, door, admin):
    name = unique("by-grpc")
    made = door.call(CREATE_USER, {"name": name}, admin)
    assert made.code == StatusCode.OK, made
    assert made.message["user"]["account"] == hub.account and made.message["mutated"].get("confirmed", False) is hub.confirms
    hub.settle()
    assert hub.cli("iam", "user", "get", name)["principal_id"] == made.message["user"]["principal_id"]


def test_health_and_reflection_are_open_and_nothing_between_services_is(door):
    health = door.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=bytes,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    assert health(b"", timeout=10).status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(door.channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    names = {
        s.name for s in next(stub.ServerReflectionInfo(asked, timeout=10)).list_services_response.service
    }
    assert {"lanyard.authn.v1.Accounts", "lanyard.mapping.v1.Entries", "lanyard.gateway.v1.Explain"} <= names
    info = door.send("/lanyard.gateway.v1.Explain/Hub", b"", [])
    assert info.message["hub_id"] == door.hub.ready["hub_id"]


@pytest.mark.parametrize(
    "path",
    [
        "/lanyard.authn.v1.Authenticate/Authenticate",
        "/lanyard.authn.v1.Admit/Admit",
        "/lanyard.mapping.v1.Resolve/Resolve",
        "/lanyard.mapping.v1.Resolve/ResolveBreakGlass",
        "/lanyard.mapping.v1.Clusters/WatchDirectory",
        "/lanyard.authz.v1.Authorize/Authorize",
        "/lanyard.authz.v1.Decisions/RecordDecisions",
        "/no.such.Service/Method",
    ],
)
def test_what_services_ask_each_other_passes_no_front_door_even_signed(door, admin, path):
    answer = door.send(path, b"", door.sign(path, b"", admin))
    assert answer.code in (StatusCode.PERMISSION_DENIED, StatusCode.UNIMPLEMENTED), answer
    assert door.send(path, b"", []).code in (StatusCode.UNAUTHENTICATED, StatusCode.UNIMPLEMENTED)


def test_nothing_is_changed_or_told_without_a_signature(door):
    for path, request in ((CREATE_USER, {"name": "x"}), (LIST_CLUSTERS, {})):
        assert door.send(path, door.encode(path, request), []).code == StatusCode.UNAUTHENTICATED, path


def immunity_32_a_users_cluster_token_is_no_management_proof(hub, door):
    ana = hub.create_user("ana")
    hub.cli("iam", "policy", "put", "--user", ana.name, "all", "--document", "-", stdin=everything())
    assert door.call(LIST_CLUSTERS, {}, ana.credentials).code == StatusCode.OK
    cluster = hub.create_cluster()
    token = cluster.token(ana)
    body = door.encode(LIST_CLUSTERS, {})
    part = {
        name: tokens.parameter(token, f"X-Amz-{name}")
        for name in ("Credential", "Date", "SignedHeaders", "Signature")
    }
    as_header = "AWS4-HMAC-SHA256 " + ", ".join(
        f"{name}={part[name]}" for name in ("Credential", "SignedHeaders", "Signature")
    )
    for authorization in (f"Bearer {token}", token, as_header):
        metadata = [
            ("authorization", authorization),
            ("x-amz-date", part["Date"]),
            ("x-k8s-aws-id", cluster.id),
            ("x-lanyard-hub-id", hub.ready["hub_id"]),
            ("x-lanyard-nonce", "1"),
        ]
        assert door.send(LIST_CLUSTERS, body, metadata).code == StatusCode.UNAUTHENTICATED, authorization[:20]
    # And the other way round: what signs management calls signs no cluster token.
    assert cluster.refusal(ana, service="lanyard") == "scope_service"


def immunity_32_a_captured_signature_is_good_for_one_method_message_and_host(hub, door, admin):
    name = unique("captured")
    body = door.encode(CREATE_USER, {"name": name})
    metadata = door.sign(CREATE_USER, body, admin)

    def refused(path, body, metadata):
        answer = door.send(path, body, metadata)
        assert answer.code == StatusCode.UNAUTHENTICATED, answer
        return answer.details

    refused(DELETE_USER, body, metadata)
    refused(CREATE_USER, door.encode(CREATE_USER, {"name": name + "-other"}), metadata)
    refused(CREATE_USER, body, door.sign(CREATE_USER, body, admin, host="elsewhere.example"))
    for left_out in ("x-lanyard-nonce", "x-lanyard-hub-id", "x-amz-content-sha256", "x-amz-date"):
        refused(CREATE_USER, body, [pair for pair in metadata if pair[0] != left_out])
    changed = [(key, "other" if key == "x-lanyard-nonce" else value) for key, value in metadata]
    refused(CREATE_USER, body, changed)
    assert "does not exist" in hub.refused("iam", "user", "get", name, code=NO), "one of them counted"


def immunity_32_a_signature_for_another_hub_is_none_for_this_one(hub, door, admin, another_hub):
    name = unique("elsewhere")
    body = door.encode(CREATE_USER, {"name": name})
    answer = door.send(CREATE_USER, body, door.sign(CREATE_USER, body, admin, hub_id=another_hub.ready["hub_id"]))
    assert answer.code == StatusCode.UNAUTHENTICATED and "hub" in answer.details, answer
    assert "does not exist" in hub.refused("iam", "user", "get", name, code=NO), "it counted"


def immunity_32_a_mutating_signature_counts_once(hub, door, admin):
    name = unique("once")
    body = door.encode(CREATE_USER, {"name": name})
    metadata = door.sign(CREATE_USER, body, admin)
    first = door.send(CREATE_USER, body, metadata)
    assert first.code == StatusCode.OK
    # While the object is as that call left it, the same call gets the same answer, and nothing is made twice.
    again = door.send(CREATE_USER, body, metadata)
    assert (again.code, again.message.get("user")) == (StatusCode.OK, first.message["user"])
    hub.cli("iam", "user", "delete", name)
    after = door.send(CREATE_USER, body, metadata)
    assert after.code in (StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE, StatusCode.ABORTED), after
    assert "does not exist" in hub.refused("iam", "user", "get", name, code=NO), "a replay made it again"


def immunity_32_an_answer_that_held_a_secret_is_never_given_again(hub, door, admin):
    user = hub.create_user("secretive")
    path = "/lanyard.authn.v1.Accounts/CreateAccessKey"
    body = door.encode(path, {"user": user.name})
    metadata = door.sign(path, body, admin)
    first = door.send(path, body, metadata)
    hub.secrets.add("a user's secret access key", first.message["secret"])
    again = door.send(path, body, metadata)
    assert again.code in (StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE, StatusCode.ABORTED), (
        again.code
    )
    assert not again.message
    hub.settle()
    assert len(hub.cli("iam", "access-key", "list", user.name)) == 2


def test_a_signature_is_for_this_service_region_and_time(door, admin, hub):
    for other in ({"service": "eks"}, {"service": "sts"}, {"region": "eu-west-1"}):
        assert door.call(LIST_CLUSTERS, {}, admin, **other).code == StatusCode.UNAUTHENTICATED, other
    wrong = type(admin)(admin.access_key_id, "w" * 40)
    assert door.call(LIST_CLUSTERS, {}, wrong).code == StatusCode.UNAUTHENTICATED
    unknown = type(admin)("AKIAIOSFODNN7EXAMPLE", admin.secret)
    assert door.call(LIST_CLUSTERS, {}, unknown).code == StatusCode.UNAUTHENTICATED


def test_what_a_user_may_is_in_policy_documents_and_a_refusal_names_the_lack(hub, door):
    ana = hub.create_user("ana")
    cluster = hub.create_cluster()
    asked = {"cluster": cluster.id}
    arn = f"arn:aws:eks:us-east-1:{hub.account}:cluster/{cluster.id}"

    def refusal(path, action):
        """Why she may not, behind the words that say what."""
        refused = door.call(path, asked, ana.credentials)
        assert refused.code == StatusCode.PERMISSION_DENIED, refused
        who = f"`{ana.arn}` may not `{action}` on `{arn}`: "
        assert who in refused.details, refused
        return refused.details.split(who)[1]

    assert refusal(DESCRIBE_CLUSTER, "eks:DescribeCluster") == "no statement of its policies allows the action"
    allow = {"Effect": "Allow", "Action": "eks:Describe*", "Resource": arn}
    hub.cli("iam", "policy", "put", "--user", ana.name, "describe", "--document", "-", stdin=document(allow))
    hub.settle()
    assert door.call(DESCRIBE_CLUSTER, asked, ana.credentials).code == StatusCode.OK
    delete = ("/lanyard.mapping.v1.Clusters/DeleteCluster", "eks:DeleteCluster")
    assert refusal(*delete) == "no statement of its policies allows the action"
    other = {"Sid": "Other", "Effect": "Allow", "Action": "eks:DeleteCluster", "Resource": f"{arn}-other"}
    hub.cli("iam", "policy", "put", "--user", ana.name, "elsewhere", "--document", "-", stdin=document(other))
    hub.settle()
    assert refusal(*delete) == "statement `Other` of policy `elsewhere` allows the action, on other resources"
    deny = {"Effect": "Deny", "Action": "*", "Resource": arn}
    hub.cli(
        "iam", "policy", "put", "--user", ana.name, "not-this", "--document", "-", stdin=document(allow, deny)
    )
    hub.settle()
    assert refusal(DESCRIBE_CLUSTER, "eks:DescribeCluster") == "statement 2 of policy `not-this` denies it"


def test_a_key_switched_off_or_blocked_manages_nothing_any_more(hub, door):
    ana = hub.create_user("ana")
    hub.cli("iam", "policy", "put", "--user", ana.name, "all", "--document", "-", stdin=everything())
    assert door.call(LIST_CLUSTERS, {}, ana.credentials).code == StatusCode.OK
    key = ana.credentials.access_key_id
    hub.cli("iam", "access-key", "update", ana.name, key, "--inactive")
    assert door.call(LIST_CLUSTERS, {}, ana.credentials).code == StatusCode.UNAUTHENTICATED
    hub.cli("iam", "access-key", "update", ana.name, key, "--active")
    block = hub.cli("block", "create", "--access-key", key, "--reason", "x")["value"]
    assert door.call(LIST_CLUSTERS, {}, ana.credentials).code == StatusCode.PERMISSION_DENIED
    hub.cli("block", "delete", block["id"])
    assert door.call(LIST_CLUSTERS, {}, ana.credentials).code == StatusCode.OK


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe", b"a" * 100_000, b"\x1a\x05\x00"]
)
def test_any_bytes_as_a_message_are_a_wrong_argument_and_never_a_fault(door, admin, body):
    for path in (CREATE_USER, DESCRIBE_CLUSTER, "/lanyard.mapping.v1.Entries/CreateAccessEntry"):
        answer = door.send(path, body, door.sign(path, body, admin))
        assert answer.code in (
            StatusCode.INVALID_ARGUMENT,
            StatusCode.NOT_FOUND,
            StatusCode.PERMISSION_DENIED,
        ), (path, answer)


LIKE_SQL = ("o'hara", "a'; DROP TABLE users; --", 'a" OR "1"="1', "a\\'; --", "$1")


def test_what_reads_like_sql_stays_as_it_is_or_is_refused_by_the_rule_of_its_field(hub, door, admin, cluster):
    ana = hub.create_user("ana")

    def users():
        return {user["name"] for user in hub.cli("iam", "user", "list")}

    hub.settle()
    before = users()
    for text in LIKE_SQL:
        answer = door.call(CREATE_USER, {"name": text}, admin)
        assert answer.code == StatusCode.INVALID_ARGUMENT and "is not a name" in answer.details, (text, answer)
    # IAM's names have `-`, twice in a row too.
    name = unique("--")
    assert door.call(CREATE_USER, {"name": name}, admin).code == StatusCode.OK
    tags = {f"{text} {number}": text for number, text in enumerate(LIKE_SQL) if "=" not in text}
    flags = [flag for key, value in tags.items() for flag in ("--tag", f"{key}={value}")]
    cluster.entry(ana, *flags, groups=LIKE_SQL)
    whose = ("--oidc-issuer", "https://issuer.example")
    for text in LIKE_SQL:
        hub.cli("block", "create", "--cluster", cluster.id, *whose, "--oidc-subject", text, "--reason", text)
    hub.settle()
    entry = hub.cli("entry", "get", cluster.id, ana.arn)["entry"]
    assert set(entry["groups"]) == set(LIKE_SQL) and entry["tags"] == tags
    blocks = hub.cli("block", "list", "--cluster", cluster.id)
    assert sorted((block["reason"], block["target"]["subject"]) for block in blocks) == sorted((t, t) for t in LIKE_SQL)
    assert set(LIKE_SQL) <= set(cluster.log_in(ana)["groups"])
    assert before | {name} <= users(), "one of them did more than be a text"


def test_a_value_that_an_enumeration_does_not_have_is_named_and_nothing_is_made(hub, door, admin):
    name, path = unique("unknown"), "/lanyard.mapping.v1.Clusters/CreateCluster"
    known = {"name": name, "region": REGION}
    refused = answered(hub, path, StatusCode.INVALID_ARGUMENT)
    for field in ("authentication_mode", "authorizer_mode"):
        body = door.encode(path, known | {field: 99})
        answer = door.send(path, body, door.sign(path, body, admin))
        assert answer.code == StatusCode.INVALID_ARGUMENT and field in answer.details, answer
    refused.expect(2)
    assert name not in [cluster["name"] for cluster in hub.cli("cluster", "list")]


def immunity_28_a_message_that_nests_without_end_is_refused(hub, door, admin):
    begin, end = b"\x7b" * 100_000, b"\x7c" * 100_000
    paths = (CREATE_USER, LIST_CLUSTERS, "/lanyard.mapping.v1.Entries/CreateAccessEntry")
    refused = [answered(hub, path, StatusCode.INVALID_ARGUMENT) for path in paths]
    for body in (begin, begin + end):
        for path in paths:
            answer = door.send(path, body, door.sign(path, body, admin))
            assert answer.code == StatusCode.INVALID_ARGUMENT, (path, answer)
    for counted in refused:
        counted.expect(2)
    assert door.call(LIST_CLUSTERS, {}, admin).code == StatusCode.OK, "it goes on"


@pytest.fixture
def nobody():
    """A port that somebody would be heard knocking at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.mark.parametrize(
    ("place", "more"),
    [
        ("users[u].user.exec", {"command": "touch", "args": ["TOUCHED"], "apiVersion": "client.authentication.k8s.io/v1"}),
        ("users[u].user.tokenFile", "PIPE"),
        ("users[u].user.client-key", "PIPE"),
        ("users[u].user.client-certificate", "PIPE"),
        ("clusters[c].cluster.certificate-authority", "PIPE"),
        ("clusters[c].cluster.proxy-url", "http://NOBODY"),
        ("clusters[c].cluster.insecure-skip-tls-verify", True),
    ],
)
def immunity_34_a_kubeconfig_makes_the_hub_run_open_and_dial_nothing(hub, door, admin, cluster, nobody, tmp_path, place, more):
    pipe, touched = tmp_path / "pipe", tmp_path / "touched"
    os.mkfifo(pipe)
    address = "{}:{}".format(*nobody.getsockname())
    secret = hub.secrets.add("a spoke's token", f"token-of-{unique('spoke')}-{secrets.token_hex(8)}")
    config = {
        "kind": "Config",
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"https://{address}"}}],
        "users": [{"name": "u", "user": {"token": secret}}],
    }
    told = json.loads(json.dumps(more).replace("TOUCHED", str(touched)).replace("PIPE", str(pipe)).replace("NOBODY", address))
    whose, member = place.split("].")
    part, field = member.split(".", 1)
    config[whose.split("[")[0]][0][part][field] = told
    answer = door.call(PUT_SPOKE_KUBECONFIG, {"cluster": cluster.id, "kubeconfig": json.dumps(config)}, admin)
    assert answer.code == StatusCode.INVALID_ARGUMENT and f"`{place}` is refused" in answer.details, answer
    assert secret not in answer.details
    spoke = door.call(DESCRIBE_SPOKE, {"cluster": cluster.id}, admin)
    assert spoke.code == StatusCode.OK and "kubeconfig" not in spoke.message, "nothing of it is kept"
    assert not touched.exists()
    with pytest.raises(BlockingIOError):
        nobody.accept()
    # Nobody has the pipe open, nor waits for somebody to write to it.
    with pytest.raises(OSError) as error:
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    assert error.value.errno == errno.ENXIO


def immunity_28_a_message_without_an_end_is_cut_off(hub, door, admin):
    cut_off = {code: answered(hub, CREATE_USER, code) for code in (StatusCode.RESOURCE_EXHAUSTED, StatusCode.OUT_OF_RANGE)}
    body = b"\x22" + b"\x80\x80\xc0\x02" + b"a" * (5 << 20)
    answer = door.send(CREATE_USER, body, door.sign(CREATE_USER, body, admin))
    assert answer.code in cut_off, answer
    cut_off[answer.code].expect(1)


def test_a_caller_who_stalls_is_answered_at_the_deadline_that_they_gave(hub, door):
    def stalled(timeout: str, **headers: str) -> str:
        trust = ssl.create_default_context(cafile=hub.ca)
        connection = http.client.HTTPSConnection(door.authority, context=trust, timeout=10)
        connection.putrequest("POST", CREATE_USER)
        for name, value in (("content-type", "application/grpc"), ("grpc-timeout", timeout), ("content-length", "100"), *headers.items()):
            connection.putheader(name, value)
        # Ninety-five bytes of the message never come.
        connection.endheaders(b"\0\0\0\0\x5f")
        status = connection.getresponse().getheader("grpc-status")
        connection.close()
        return status

    deadline_exceeded, invalid_argument, unauthenticated = "4", "3", "16"
    assert stalled("50m", authorization="AWS4-HMAC-SHA256 x") == deadline_exceeded
    assert stalled("soon") == invalid_argument
    # Immunity 28: whoever shows nothing is not waited for.
    assert stalled("60S") == unauthenticated


def test_the_door_speaks_tls_alone(door):
    with grpc.insecure_channel(door.authority) as plain:
        call = plain.unary_unary(
            "/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes
        )
        with pytest.raises(grpc.RpcError):
            call(b"", timeout=2)


def document(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def everything() -> str:
    return document({"Effect": "Allow", "Action": "*", "Resource": "*"})

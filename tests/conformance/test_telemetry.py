"""One request, one trace: through separate services and into PostgreSQL, Redis and STS; and the same in logs and metrics."""

import base64
import functools
import itertools
import json
import os
import pathlib
import re
import secrets
import signal
import time
from dataclasses import dataclass

import boto3
import botocore.config
import pytest
import requests
from cryptography.x509.oid import ExtendedKeyUsageOID

import tls
from cluster import with_id
from hub import REGION, unique
from lab import ACCOUNT, as_authn_is_told, running
from management import FrontDoor
from metrics import value
from otlp import Collector
from stack import REPLICAS, SERVICES, Stack, of_service
from sts import Sts

PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}
DOCUMENTATION = pathlib.Path(__file__).parents[2] / "docs/telemetry.md"
# How often a process with PostgreSQL looks for changes that it was not told of: `POLL_INTERVAL` of the store.
POLL_SECONDS = 1.0
# Users that are made to see how others hear of them.
USERS = 8
HEADER_SECRET = "Bearer of-the-collector-" + secrets.token_hex(12)
SETTINGS = {
    "TELEMETRY__TRACES__SAMPLE_RATIO": "1.0",
    "TELEMETRY__TRACES__BATCH_WAIT_MS": "50",
    "TELEMETRY__TRACES__HEADERS__AUTHORIZATION": HEADER_SECRET,
    "LOG__FORMAT": "json",
}


@pytest.fixture(scope="module")
def collector():
    collector = Collector().start()
    yield collector
    collector.stop()


@pytest.fixture(scope="module")
def traced(tmp_path_factory, collector):
    """The suite as separate processes that trace every request, with an STS of their own."""
    if REPLICAS:
        pytest.skip("a stack of its own, which the run against one process has")
    folder = tmp_path_factory.mktemp("traced")
    sts = Sts(folder, REGION).start()
    told = ", ".join(f"{key}={json.dumps(value)}" for key, value in as_authn_is_told(sts).items())
    settings = SETTINGS | {"TELEMETRY__TRACES__ENDPOINT": collector.endpoint}
    # One cluster at a time in memory, so that who comes back to another is answered from PostgreSQL.
    memory = ["authn:LANYARD_AUTHN__SNAPSHOTS__CLUSTERS_MAX=1", "mapping:LANYARD_MAPPING__MEMORY__CLUSTERS_MAX=1"]
    settings = [f"{service}:{of_service(service, name)}={value}" for service in SERVICES for name, value in settings.items()]
    stack = Stack(
        folder / "stack",
        store=None,
        replicas=1,
        settings=[*settings, *memory, f"authn:LANYARD_AUTHN__SELF_HOSTED_STS=[{{{told}}}]"],
    )
    stack.secrets.add("the collector's header", HEADER_SECRET)
    with running(stack, sts):
        yield stack, sts
    everything = b"".join(collector.raw)
    assert everything, "nothing was traced, so that no secret was seen says nothing"
    assert not (seen := stack.secrets.seen_in(everything)), f"spans hold {seen}"
    # Nor who somebody is: their ARN would have the session's name.
    assert b"arn:aws" not in everything and b"AKIA" not in everything and b"LKIA" not in everything


@pytest.fixture
def world(traced):
    """Somebody of the lab in a cluster of a test's own, which no process has in memory."""
    stack, sts = traced
    cluster = stack.create_cluster("traced", "--trust", f"sts:lab/{ACCOUNT}")
    lea = sts.person(unique("lea"), ACCOUNT)
    stack.secrets.add("a lab key", lea.credentials.secret)
    stack.cli("entry", "create", cluster.id, lea.arn, "--group", "lab")
    stack.cli("entry", "associate", cluster.id, lea.arn, "AmazonEKSViewPolicy")
    return stack, sts, cluster, lea


def review(cluster, token, **headers):
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    response = cluster.post("tokenreview", body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["status"]


def traceparent(*, sampled: bool = True) -> tuple[str, str, str]:
    """A trace, a span, and the header that names both."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-{int(sampled):02x}"


def tree_of(collector, trace, *wanted):
    """The spans of a trace once all of `wanted` (service and beginning of the name) are there and none is open."""

    def found(spans):
        own = [span for span in spans if span.trace == trace]
        have = all(
            any(span.service == service and span.name.startswith(name) for span in own) for service, name in wanted
        )
        ids = {span.id for span in own}
        roots = [span for span in own if span.parent not in ids]
        return own if have and len(roots) == 1 and roots[0].kind == "server" else None

    return collector.wait_for(f"the tree of {trace} with {wanted}", found, of=trace)


def assert_tree(spans, *, root_parent="", door="lanyard-gateway"):
    """One root, every parent present, nobody their own ancestor, and each hop a client's span above a server's."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans), "a span came twice"
    (root,) = [span for span in spans if span.parent not in by_id]
    assert (root.parent, root.service, root.kind) == (root_parent, door, "server"), root
    for span in spans:
        assert span.begun <= span.ended, span
        if span is root:
            continue
        above, steps = by_id[span.parent], 0
        if above.service != span.service:
            assert (above.kind, span.kind, above.name) == ("client", "server", span.name), (above, span)
        while above is not root:
            above, steps = by_id[above.parent], steps + 1
            assert steps < len(spans), f"{span} is its own ancestor"
    return root


def below(spans, top):
    """The spans that descend from one."""
    found, ids = [], {top.id}
    for _ in spans:
        found = [span for span in spans if span.parent in ids]
        ids |= {span.id for span in found}
    return found


AUTHENTICATE = ("lanyard-authn", "lanyard.authn.v1.Authenticate/Authenticate")
RESOLVE = ("lanyard-mapping", "lanyard.mapping.v1.Resolve/Resolve")
AUTHORIZE = ("lanyard-authz", "lanyard.authz.v1.Authorize/Authorize")


def test_a_token_review_is_one_tree_through_the_services_into_postgresql_redis_and_sts(world, collector):
    stack, sts, cluster, lea = world
    # Another cluster takes this one's place in the memory of authn and mapping.
    other = stack.create_cluster("other", "--trust", f"sts:lab/{ACCOUNT}")
    assert not review(other, other.token(lea.credentials, host=sts.host))["authenticated"]
    trace, caller, header = traceparent()
    token = cluster.token(lea.credentials, host=sts.host)
    assert review(cluster, token, traceparent=header, tracestate="lab=1")["authenticated"]
    wanted = [
        AUTHENTICATE,
        RESOLVE,
        ("lanyard-authn", "GETRANGE"),
        ("lanyard-authn", "SET"),
        ("lanyard-authn", "sts/"),
        ("lanyard-authn", "SELECT"),
        ("lanyard-mapping", "SELECT"),
    ]
    spans = tree_of(collector, trace, *wanted)
    root = assert_tree(spans, root_parent=caller)
    assert root.name == "POST /clusters/{id}/tokenreview"
    assert root.attributes["cluster.name"] == cluster.id
    assert (root.attributes["http.response.status_code"], root.attributes["outcome"]) == (200, "authenticated")
    assert {span.service for span in spans} == {"lanyard-gateway", "lanyard-authn", "lanyard-mapping"}
    (asked,) = [span for span in spans if span.name == "sts/GetCallerIdentity"]
    assert asked.attributes["cloud.region"] == "self_hosted" and asked.attributes["outcome"] == "answered"
    (authenticate,) = [span for span in spans if (span.service, span.name) == AUTHENTICATE]
    assert authenticate.attributes["rpc.grpc.status_code"] == 0
    assert asked in below(spans, authenticate)
    systems = {(span.service, span.attributes["db.system.name"]) for span in spans if "db.system.name" in span.attributes}
    assert systems == {
        ("lanyard-authn", "redis"),
        ("lanyard-authn", "postgresql"),
        ("lanyard-mapping", "postgresql"),
    }
    assert not [span for span in spans if span.failed]


def stir(stack, cluster, who) -> None:
    """Another group: then the gateway's answer is none any more, and authn's is."""
    stack.cli("entry", "update", cluster.id, who.arn, "--group", "lab", "--group", unique("group"))


def test_what_is_known_is_one_tree_without_them(world, collector):
    stack, sts, cluster, lea = world
    token = cluster.token(lea.credentials, host=sts.host)
    review(cluster, token)
    trace, caller, header = traceparent()
    review(cluster, token, traceparent=header)
    (alone,) = tree_of(collector, trace, ("lanyard-gateway", "POST"))
    assert (alone.parent, alone.attributes["outcome"]) == (caller, "authenticated"), "what the gateway gives again"
    stir(stack, cluster, lea)
    trace, caller, header = traceparent()
    review(cluster, token, traceparent=header)
    spans = tree_of(collector, trace, AUTHENTICATE, RESOLVE)
    assert_tree(spans, root_parent=caller)
    # The request, and for each of the two services the call as it was sent and as it was answered.
    assert len(spans) == 5, [span.name for span in spans]


def test_a_request_that_names_no_trace_begins_one(world, collector):
    _, sts, cluster, lea = world
    badge = cluster.log_in(lea.credentials, host=sts.host)
    status = cluster.access_review(badge, **PODS)["status"]
    decision = with_id(status["reason"])[1]
    (root,) = collector.wait_for(
        "the root of the decision", lambda spans: [s for s in spans if s.attributes.get("decision.id") == decision]
    )
    spans = tree_of(collector, root.trace, AUTHORIZE, ("lanyard-authz", "SELECT"))
    root = assert_tree(spans)
    assert root.attributes["outcome"] == "allow" and root.attributes["reason.code"] == "access_policy"


def test_a_management_call_is_one_tree_to_its_commit(world, collector):
    stack, _, cluster, lea = world
    stack.cli("entry", "delete", cluster.id, lea.arn)
    method = "lanyard.mapping.v1.Entries/DeleteAccessEntry"

    def root(spans):
        return [s for s in spans if s.name == method and s.service == "lanyard-gateway" and s.kind == "server"]

    trace = collector.wait_for("the call", root)[-1].trace
    wanted = [("lanyard-authn", "lanyard.authn.v1.Admit/Admit"), ("lanyard-mapping", method), ("lanyard-mapping", "COMMIT")]
    spans = tree_of(collector, trace, *wanted)
    assert_tree(spans)
    kinds = {span.attributes.get("db.operation.name") for span in spans}
    assert {"BEGIN", "SELECT", "INSERT", "DELETE", "COMMIT"} <= kinds, kinds


def aws_client(stack, service, **headers):
    """A client of AWS whose calls have more headers, which it signs with the others."""
    administrator = stack.administrator()
    client = boto3.client(
        service,
        endpoint_url=stack.ready["aws"],
        verify=stack.ca,
        region_name=REGION,
        aws_access_key_id=administrator.access_key_id,
        aws_secret_access_key=administrator.secret,
        config=botocore.config.Config(retries={"max_attempts": 1, "mode": "standard"}),
    )

    def add(request, **_):
        for name, said in headers.items():
            request.headers[name] = said

    client.meta.events.register("before-sign.*.*", add)
    return client


@pytest.mark.parametrize(
    ("service", "operation", "asked", "wanted"),
    [
        (
            "eks",
            "UpdateAccessEntry",
            lambda client, cluster, lea: client.update_access_entry(
                clusterName=cluster.id, principalArn=lea.arn, kubernetesGroups=["lab", unique("group")]
            ),
            [
                ("lanyard-mapping", "lanyard.mapping.v1.Entries/UpdateAccessEntry"),
                ("lanyard-mapping", "COMMIT"),
            ],
        ),
        (
            "eks",
            "ListPodIdentityAssociations",
            lambda client, cluster, lea: client.list_pod_identity_associations(clusterName=cluster.id),
            [("lanyard-credentials", "lanyard.credentials.v1.Associations/")],
        ),
        (
            "sts",
            "GetSessionToken",
            lambda client, cluster, lea: client.get_session_token(),
            [("lanyard-credentials", "lanyard.credentials.v1.Sessions/")],
        ),
    ],
)
def test_a_call_of_the_aws_wire_is_one_tree_and_its_lines_have_the_trace(world, collector, service, operation, asked, wanted):
    stack, _, cluster, lea = world
    trace, caller, header = traceparent()
    answer = asked(aws_client(stack, service, traceparent=header), cluster, lea)
    number = answer["ResponseMetadata"]["RequestId"]
    admit = ("lanyard-authn", "lanyard.authn.v1.AdmitAws/AdmitAws")
    spans = tree_of(collector, trace, admit, *wanted)
    root = assert_tree(spans, root_parent=caller, door="lanyard-awsapi")
    assert root.name == f"{service}/{operation}" and not root.failed
    assert (root.attributes["rpc.service"], root.attributes["rpc.method"]) == (service, operation)
    assert (root.attributes["http.response.status_code"], root.attributes["reason.code"]) == (200, "ok")
    assert root.attributes["aws.request_id"] == number
    assert {span.service for span in spans} == {"lanyard-awsapi", "lanyard-authn", wanted[0][0]}
    told = [json.loads(line) for file in (stack.folder / "logs").glob("awsapi-*.log") for line in file.read_text().splitlines()]
    (line,) = [line for line in told if line.get("request_id") == number and "AWS wire is answered" in line["message"]]
    assert line["trace_id"] == trace and line["span_id"] == root.id


def test_spans_have_the_attributes_that_are_documented_and_no_others(world, collector):
    _, sts, cluster, lea = world
    review(cluster, cluster.token(lea.credentials, host=sts.host))
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", DOCUMENTATION.read_text(), re.M))
    spans = collector.wait_for("a span", lambda spans: spans)
    used = {name for span in spans for name in span.attributes}
    assert used <= documented, used - documented
    assert {header["authorization"] for header in collector.headers} == {HEADER_SECRET}


# What the table of spans tells in words beside the names.
BESIDE = [("SELECT", "client"), (r"grpc\.\S+|other", "server"), ("GET|POST|_OTHER", "server")]


def test_spans_are_called_as_is_documented_and_are_of_that_kind(world, collector):
    _, sts, cluster, lea = world
    assert cluster.verdict(cluster.log_in(lea.credentials, host=sts.host), **PODS)[0] == "allowed"
    rows = re.findall(r"^\| (`[^|]+`) \| (server|client|internal)\b", DOCUMENTATION.read_text(), re.M)
    names = [(name, kind) for listed, kind in rows for name in re.findall("`([^`]+)`", listed)]
    assert len(names) > 20, "the table of spans is not found any more"
    documented = [(re.sub(r"<\w+>", r"\\S+", re.escape(name)), kind) for name, kind in names] + BESIDE

    def fits(span):
        return any(kind == span.kind and re.fullmatch(pattern, span.name) for pattern, kind in documented)

    spans = collector.wait_for("a span", lambda spans: spans)
    assert not (strange := {(span.service, span.name, span.kind) for span in spans if not fits(span)}), strange


def test_the_logs_of_two_services_have_the_trace_and_the_decision(world):
    stack, sts, cluster, lea = world
    trace, _, header = traceparent()
    assert review(cluster, cluster.token(lea.credentials, host=sts.host), traceparent=header)["authenticated"]

    def lines(service):
        for file in (stack.folder / "logs").glob(f"{service}-*.log"):
            for line in file.read_text().splitlines():
                told = json.loads(line)
                assert {"timestamp", "level", "target", "message"} <= told.keys(), line
                if told.get("trace_id") == trace:
                    yield told

    (answered,) = [line for line in lines("gateway") if line["message"] == "a review is answered"]
    (looked,) = [line for line in lines("authn") if line["message"] == "a token is looked at"]
    assert answered["span_id"] != looked["span_id"]
    assert answered["cluster.name"] == cluster.id and answered["outcome"] == "authenticated"
    explained = stack.explain_decision(answered["decision_id"])
    assert explained["verdict"] == "allowed"
    assert f"trace: {trace}" in explained["stages"][0]["lines"], "by which the collector and the log have the rest"


def metrics_of(url: str) -> str:
    for path in ("/livez", "/readyz"):
        response = requests.get(url + path, timeout=10)
        assert response.status_code == 200, (url, path, response.text)
    return requests.get(f"{url}/metrics", timeout=10).text


@dataclass(frozen=True)
class Applied:
    """How many changes of others a process has heard of, in how many seconds together, and how many it has found by polling."""

    heard: float
    heard_seconds: float
    found: float

    def __sub__(self, other: "Applied") -> "Applied":
        return Applied(
            self.heard - other.heard, self.heard_seconds - other.heard_seconds, self.found - other.found
        )


def applied(url: str) -> Applied:
    text, name = metrics_of(url), "lanyard_store_apply_seconds"
    return Applied(
        heard=value(text, f"{name}_count", source="notification"),
        heard_seconds=value(text, f"{name}_sum", source="notification"),
        found=value(text, f"{name}_count", source="poll"),
    )


def test_every_process_shows_what_it_does_by_method_and_the_gateway_by_cluster(world):
    stack, sts, cluster, lea = world
    token = cluster.token(lea.credentials, host=sts.host)
    assert review(cluster, token)["authenticated"]
    stir(stack, cluster, lea)
    assert review(cluster, token)["authenticated"]
    assert not review(cluster, "k8s-aws-v1.bm90IGEgdG9rZW4")["authenticated"]
    urls = stack.ready["metrics"]
    assert sorted(urls) == sorted(f"{service}-0" for service in SERVICES)
    shown = {process: metrics_of(url) for process, url in urls.items()}
    gateway, authn = shown["gateway-0"], shown["authn-0"]
    of_cluster = {"cluster": cluster.id, "route": "tokenreview"}
    assert value(gateway, "lanyard_gateway_reviews_total", **of_cluster, outcome="authenticated") == 2
    assert value(gateway, "lanyard_gateway_reviews_total", **of_cluster, outcome="refused") == 1
    assert value(gateway, "lanyard_gateway_review_seconds_count", **of_cluster) == 3
    method = "/lanyard.authn.v1.Authenticate/Authenticate"
    assert value(gateway, "lanyard_grpc_client_requests_total", method=method, code="OK") >= 3
    assert value(gateway, "lanyard_grpc_client_seconds_count", method=method) >= 3
    # Calls travel together from when the services have said that they take them so, which is soon after the gateway is ready.
    carried = value(gateway, "lanyard_grpc_together_calls_total")
    assert carried >= 1
    assert 1 <= value(gateway, "lanyard_grpc_together_writes_total") <= carried * 2, "cancelled calls are written too"
    assert value(authn, "lanyard_grpc_requests_total", method=method, code="OK") >= 3
    assert value(authn, "lanyard_grpc_seconds_count", method=method) >= 3
    assert value(authn, "lanyard_authn_cache_hits_total", level="memory") >= 1
    assert value(authn, "lanyard_authn_cache_misses_total") >= 1
    assert value(authn, "lanyard_authn_redis_gets_total", outcome="miss") >= 1
    assert value(authn, "lanyard_aws_sts_calls_total", region="self_hosted", outcome="answered") >= 1
    assert value(authn, "lanyard_aws_sts_seconds_count", region="self_hosted") >= 1
    assert value(authn, "lanyard_aws_sts_breaker_open", region="self_hosted") == 0
    for process in ("authn-0", "mapping-0", "authz-0", "credentials-0"):
        text = shown[process]
        assert value(text, "lanyard_store_connections_max") >= 2, process
        assert value(text, "lanyard_store_begins_total", outcome="begun") >= 1, process
        assert abs(value(text, "lanyard_store_caught_up_at") - time.time()) < 30, process
        # What changed a moment ago may still be on its way; it does not stay there.
        until = time.monotonic() + 10
        while value(metrics_of(urls[process]), "lanyard_snapshot_revision_lag") > 0:
            assert time.monotonic() < until, f"{process} lags behind the store"
            time.sleep(0.1)
    revisions = {process: value(metrics_of(urls[process]), "lanyard_store_revisions") for process in ("authn-0", "mapping-0")}
    assert len(set(revisions.values())) == 1, revisions
    # Mapping says every five seconds that the directory is current.
    assert abs(value(gateway, "lanyard_directory_heard_at") - time.time()) < 15
    # What mapping committed itself, authn heard of.
    assert value(shown["mapping-0"], "lanyard_store_apply_seconds_count", source="own") >= 1
    assert value(authn, "lanyard_store_apply_seconds_count", source="notification") >= 1
    assert value(authn, "lanyard_store_looks_total", source="notification") >= 1
    # And so do the others of what authn commits, and sooner than they would find it, although a poll may come first now and then.
    others = [urls[process] for process in ("mapping-0", "authz-0", "credentials-0")]
    before = [applied(url) for url in others]
    for _ in range(USERS):
        stack.create_user("heard-of")
    for url, earlier in zip(others, before):
        until = time.monotonic() + 20
        # A user and their key are a change each.
        while (now := applied(url) - earlier).heard + now.found < 2 * USERS:
            assert time.monotonic() < until, f"{url} has {now} of {2 * USERS} changes"
            time.sleep(0.1)
        assert now.heard > now.found, f"{url} finds changes by polling: {now}"
        assert now.heard_seconds / now.heard < POLL_SECONDS, f"{url} hears no sooner than it would find: {now}"
    public = requests.get(f"{stack.url}/metrics", verify=stack.ca, timeout=10).text
    assert "lanyard_gateway_requests_total" in public and cluster.id not in public


def test_while_redis_hangs_whom_the_sts_vouches_for_is_let_in_and_it_is_shown(world):
    stack, sts, cluster, lea = world
    url = stack.ready["metrics"]["authn-0"]
    gets = "lanyard_authn_redis_gets_total"

    def shown(name, *outcomes):
        """Of one metric, or of these outcomes of it together."""
        text = metrics_of(url)
        return sum(value(text, name, outcome=outcome) for outcome in outcomes) if outcomes else value(text, name)

    def wait_for(up, tries):
        """How often something was tried until Redis is asked, or left alone."""
        until = time.monotonic() + 30
        for times, attempt in enumerate(tries):
            if shown("lanyard_authn_redis_up") == up:
                return times
            assert time.monotonic() < until, f"Redis is {'left alone' if up else 'asked'} all the time"
            attempt()

    def log_in(lifetime):
        """With another token, which nobody has seen yet; whoever it is is let in."""
        cluster.log_in(lea.credentials, host=sts.host, expires=str(lifetime))

    pauses = itertools.repeat(lambda: time.sleep(0.1))
    wait_for(1, pauses)
    (redis,) = [process for process, words in stack.processes() if "redis-server" in words[0]]
    unanswered, asked = shown(gets, "timeout", "fault", "skipped"), sts.asked
    os.kill(redis, signal.SIGSTOP)
    try:
        times = wait_for(0, (functools.partial(log_in, lifetime) for lifetime in itertools.count(60)))
        assert times, "nobody was let in meanwhile"
        # Each of them cost a question to the STS, and none had an answer from Redis.
        assert shown(gets, "timeout", "fault", "skipped") >= unanswered + times
        assert sts.asked >= asked + times
        until = time.monotonic() + 10
        while "Redis is left alone until it answers again" not in (stack.folder / "logs/authn-0.log").read_text():
            assert time.monotonic() < until, "the log does not say that Redis is left alone"
            time.sleep(0.05)
        log_in(50)
    finally:
        os.kill(redis, signal.SIGCONT)
    wait_for(1, pauses)


def test_what_a_service_does_by_itself_is_a_trace_of_its_own(world, collector):
    stack, sts, cluster, lea = world
    stack.cli("entry", "update", cluster.id, lea.arn, "--username", unique("lea"))

    def alone(service, name):
        """The spans of the newest trace that begins so."""

        def found(spans):
            roots = [s for s in spans if (s.service, s.name) == (service, name)]
            own = [[s for s in spans if s.trace == root.trace] for root in reversed(roots)]
            return next((spans for spans in own if len(spans) > 1), None)

        return collector.wait_for(f"{name} of {service}", found)

    # mapping's commit is fetched by the others; decisions are stored behind the answers.
    cluster.log_in(lea.credentials, host=sts.host)
    for service, name in (("lanyard-authz", "store/follow"), ("lanyard-authn", "store/follow"), ("lanyard-authz", "authz/decisions")):
        spans = alone(service, name)
        (root,) = [span for span in spans if not span.parent]
        assert (root.name, root.kind, root.failed) == (name, "internal", False)
        assert {span.service for span in spans} == {service}
        assert all(span.parent == root.id for span in spans if span is not root)
        assert any(span.name.split(" ")[0] in ("SELECT", "INSERT") for span in spans), spans


LISTS = {
    "/api/v1/namespaces/kube-system/configmaps": [],
    "/api/v1/serviceaccounts": [],
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": [
        {"metadata": {"name": "seen"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}
    ],
    "/apis/rbac.authorization.k8s.io/v1/roles": [],
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": [],
    "/apis/rbac.authorization.k8s.io/v1/rolebindings": [],
}


@dataclass
class ApiServer(tls.StandIn):
    """What an API server lists once, and nothing more: it has no watch, no issuer and no reviews."""

    NAME = "api-server"
    folder: pathlib.Path

    def _answer(self, request):
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        path, _, query = request.path.partition("?")
        if "watch=true" in query or path not in LISTS:
            return tls.send(request, 404, "{}")
        return tls.send(request, 200, json.dumps({"metadata": {"resourceVersion": "1"}, "items": LISTS[path]}))


def test_what_the_spoke_service_brings_is_one_tree_from_there_to_who_takes_it(world, collector, tmp_path):
    stack, _, cluster, _ = world
    api_server, door = ApiServer(tmp_path).start(), FrontDoor(stack)
    ca = base64.b64encode(api_server.ca.read_bytes()).decode()
    token = stack.secrets.add("a spoke's token", "of-the-api-server-" + secrets.token_hex(12))
    config = {
        "kind": "Config",
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"https://{api_server.host}", "certificate-authority-data": ca}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }

    def called(method, **request):
        answer = door.call(f"/lanyard.mapping.v1.Spokes/{method}", {"cluster": cluster.id} | request, stack.administrator())
        assert answer.code.name == "OK", answer

    taken = ("lanyard-authz", "lanyard.authz.v1.Objects/ApplyObjects", "server")
    through = {"lanyard-spoke", "lanyard-authn", "lanyard-authz"}

    def found(spans):
        """A push that authz has taken, once all of it is there: each process sends its own part, when it comes to that."""
        for root in (span for span in spans if (span.service, span.name) == ("lanyard-spoke", "spoke/push")):
            own = [span for span in spans if span.trace == root.trace]
            ids = {span.id for span in own}
            whole = all(span.parent in ids for span in own if span is not root) and through <= {span.service for span in own}
            if whole and not root.failed and any((span.service, span.name, span.kind) == taken for span in own):
                return root, own
        return None

    try:
        called("PutSpokeKubeconfig", kubeconfig=json.dumps(config))
        root, spans = collector.wait_for("a push of the spoke service, through authn to authz", found)
    finally:
        called("DeleteSpokeKubeconfig")
        door.close()
        api_server.stop()
    assert (root.parent, root.kind) == ("", "internal")
    (sent,) = [span for span in spans if (span.service, span.name, span.kind) == ("lanyard-spoke", taken[1], "client")]
    (answered,) = [span for span in spans if (span.service, span.name, span.kind) == taken]
    assert (sent.parent, answered.parent) == (root.id, sent.id)


def test_a_collector_that_asks_for_a_certificate_is_shown_one(new_hub, tmp_path):
    ca, own = tls.certificate(tmp_path, "collector")
    clients, shown = tls.certificate(tmp_path, "hub", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    asking = Collector().start(key_and_chain=own, clients=clients)
    files = {"certificate_file": str(shown), "key_file": str(shown)}
    for choices, outcome in ((files, "exported"), ({}, "failed")):
        hub = new_hub(outcome, config=traces(asking.endpoint, sample_ratio=1.0, ca_file=str(ca), **choices)).start()
        hub.create_cluster()
        url, deadline = hub.ready["metrics"]["serve"], time.monotonic() + 20
        while not value(text := metrics_of(url), "lanyard_trace_spans_total", outcome=outcome):
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        others = sum(value(text, "lanyard_trace_spans_total", outcome=other) for other in ("exported", "dropped", "failed"))
        assert others == value(text, "lanyard_trace_spans_total", outcome=outcome)
        hub.stop()
    asking.stop()


def traces(endpoint: str, **settings) -> str:
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    return f'[telemetry.traces]\nendpoint = "{endpoint}"\nbatch_wait_ms = 20\n{lines}[metrics]\nlisten = "127.0.0.1:0"\n'


def test_an_api_server_cannot_have_more_recorded_than_is_granted(new_hub, collector):
    hub = new_hub(config=traces(collector.endpoint, sample_ratio=0.0, honoured_per_second_max=2)).start()
    cluster, ana = hub.create_cluster(), hub.create_user("ana")
    token, begun = cluster.token(ana), time.monotonic()
    named = [traceparent() for _ in range(60)]
    for _, _, header in named:
        review(cluster, token, traceparent=header)
    passed = time.monotonic() - begun
    hub.stop()
    asked = {trace for trace, _, _ in named}
    recorded = {span.trace for span in collector.spans() if span.trace in asked}
    assert 1 <= len(recorded) <= 2 + 2 * passed, f"{len(recorded)} in {passed} s"
    # What was ended and not yet sent when it was told to stop came too.
    roots = [span for span in collector.spans() if span.trace in recorded and span.kind == "server"]
    assert len(roots) == len(recorded)


def test_a_collector_that_is_gone_costs_nothing_but_spans(new_hub):
    gone = Collector().start()
    gone.stop()
    hub = new_hub(config=traces(gone.endpoint, sample_ratio=1.0, flush_timeout_ms=500)).start()
    cluster, ana = hub.create_cluster(), hub.create_user("ana")
    cluster.entry(ana, groups=["lab"])
    assert cluster.log_in(ana)["username"] == ana.arn
    deadline = time.monotonic() + 20
    while not value(text := metrics_of(hub.ready["metrics"]["serve"]), "lanyard_trace_spans_total", outcome="failed"):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    assert value(text, "lanyard_trace_spans_total", outcome="exported") == 0
    assert cluster.log_in(ana)["username"] == ana.arn
    begun = time.monotonic()
    hub.stop()
    assert time.monotonic() - begun < 10, "the stop waited for a collector that is not there"
    assert hub.log().count("the collector does not take spans") == 1

"""What the logs say of the AWS wire: in each line the request's number, which its caller was told; and what was verified of a signature
that does not fit, to whoever debugs and to nobody else."""

from __future__ import annotations

import json
import uuid

import pytest

from hub import Hub, unique
from stack import REPLICAS, SERVICES, Stack, of_service
from wire import API, CLUSTER_ROLE, Wire, code_of, create, raw

FORMS = ("one process", "separate processes")
ANSWERED, WEIGHED, HAS_COME = (
    "a request of the AWS wire is answered",
    "a call of the AWS wire is weighed",
    "a call has come to its service",
)


@pytest.fixture(scope="module", params=FORMS)
def logged(request, tmp_path_factory):
    """A hub in either form that logs all it ever logs, as JSON."""
    if REPLICAS:
        pytest.skip("hubs of their own, which the run against one process has")
    folder = tmp_path_factory.mktemp("logged")
    if request.param == FORMS[0]:
        hub = Hub(folder, settings={"LANYARD_LOG__FORMAT": "json"})
    else:
        settings = [f"{service}:{of_service(service, 'LOG__FORMAT')}=json" for service in SERVICES]
        hub = Stack(folder, store=None, replicas=1, settings=settings)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


def lines(hub: Hub, number: str, service: str | None = None) -> list[dict]:
    """The lines of a request; of a service's process, where there is one."""
    files = (hub.folder / "logs").glob(f"{service}-*.log") if service and isinstance(hub, Stack) else [None]
    texts = [hub.log() if file is None else file.read_text() for file in files]
    told = [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]
    return [line for line in told if line.get("request_id") == number]


def test_each_line_has_the_number_that_the_caller_was_told_in_the_door_and_in_the_services(logged):
    eks, name = Wire(logged).eks, unique("logged")
    made = eks.create_cluster(name=name, roleArn="arn:aws:iam::111122223333:role/c", resourcesVpcConfig={})
    number = made["ResponseMetadata"]["RequestId"]
    (answered,) = [line for line in lines(logged, number, "awsapi") if line["message"] == ANSWERED]
    assert answered["reason.code"] == "ok"
    (weighed,) = [line for line in lines(logged, number, "authn") if line["message"] == WEIGHED]
    assert weighed["outcome"] == "admitted"
    (come,) = [line for line in lines(logged, number, "mapping") if line["message"] == HAS_COME]
    assert come["rpc.method"] == "/lanyard.mapping.v1.Clusters/CreateCluster" and come["admitted"]
    if isinstance(logged, Stack):
        assert not lines(logged, number, "credentials"), "whom nothing was asked"
    # Another request has another.
    logged.settle()
    other = eks.describe_cluster(name=name)["ResponseMetadata"]["RequestId"]
    assert other != number
    methods = {line["rpc.method"] for line in lines(logged, other) if line["message"] == HAS_COME}
    assert methods == {"/lanyard.mapping.v1.Clusters/DescribeCluster"}


def test_immunity_41_a_number_that_a_caller_makes_up_is_in_no_line(logged):
    made_up = str(uuid.uuid4())
    answer = Wire(logged).send("GET", "/clusters", headers={"lanyard-request-id": made_up})
    assert answer.status_code == 200, answer.text
    assert not lines(logged, made_up)
    assert lines(logged, answer.headers["x-amzn-RequestId"])


def spoilt(hub: Hub) -> tuple[str, str]:
    """A call of a session whose query was changed after it was signed: the request's number, and what it asked."""
    ana = hub.create_user()
    role = hub.create_role(trusts=ana.arn)
    session = hub.assume_role(ana, role, "debugging")
    asked = f"maxResults=1&x={unique('asked')}"

    def changed(sent: dict) -> None:
        sent["url"] += f"?{asked}"

    answer = Wire(hub, session).send("GET", "/clusters", alter=changed)
    assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), answer.text
    assert asked not in answer.text
    return answer.headers["x-amzn-RequestId"], asked


def test_immunity_27_what_was_verified_is_told_to_who_debugs_without_its_secrets(logged):
    number, asked = spoilt(logged)
    (line,) = [line for line in lines(logged, number, "authn") if "canonical_request" in line]
    assert line["level"] == "DEBUG"
    method, path, query, *headers, _, _, payload = line["canonical_request"].split("\n")
    assert (method, path, query) == ("GET", "/clusters", asked)
    (token,) = [header for header in headers if header.startswith("x-amz-security-token:")]
    # That neither the token nor the secret key is anywhere, the hub's end sees to.
    assert token.startswith("x-amz-security-token:<sha256:") and len(token.split(":")[-1]) == 13
    assert len(payload) == 64


def test_what_was_verified_is_not_in_a_log_of_a_working_day(new_hub):
    hub = new_hub(log="info").start()
    _, asked = spoilt(hub)
    log = hub.log()
    assert "canonical_request" not in log and asked not in log
    create(Wire(hub).eks, "still")


def test_each_call_is_one_line_of_a_working_day_with_who_asked_what(tmp_path_factory):
    """Its operation, caller, status and number, also of who is refused; of people who look, that they did; of probes nothing."""
    if REPLICAS:
        pytest.skip("a hub of its own, which the run against one process has")
    hub = Hub(tmp_path_factory.mktemp("working"), log="info", settings={"LANYARD_LOG__FORMAT": "json"})
    try:
        hub.start()
        ana = hub.create_user("ana")
        made = Wire(hub).eks.create_cluster(name="dev", roleArn=CLUSTER_ROLE, resourcesVpcConfig={}, accessConfig=API)
        (line,) = lines(hub, made["ResponseMetadata"]["RequestId"])
        assert (line["level"], line["message"], line["rpc.method"]) == ("INFO", ANSWERED, "CreateCluster"), line
        assert line["principal.arn"].endswith(":user/administrator"), line
        assert (line["http.response.status_code"], line["reason.code"], line["service"]) == (200, "ok", "eks"), line

        refused = Wire(hub, ana.credentials).send("GET", "/clusters")
        told = {line["message"]: line for line in lines(hub, refused.headers["x-amzn-RequestId"])}
        assert told[ANSWERED]["http.response.status_code"] == refused.status_code == 403
        assert told[ANSWERED]["rpc.method"] == "ListClusters"
        assert told["a call of the AWS wire is refused to who has signed it"]["principal.arn"] == ana.arn

        looked = raw(hub, "GET", f"{hub.ready['aws']}/", headers={"User-Agent": "Mozilla/5.0"})
        (line,) = lines(hub, looked.headers["x-amzn-RequestId"])
        assert line["reason.code"] == "unsigned"
        assert not lines(hub, raw(hub, "GET", f"{hub.ready['aws']}/livez").headers["x-amzn-RequestId"])
        (ready,) = [json.loads(line) for line in hub.log().splitlines() if '"message":"ready"' in line]
        assert ready["aws"] == hub.ready["aws"]
    finally:
        hub.stop()
    hub.assert_no_leaks()

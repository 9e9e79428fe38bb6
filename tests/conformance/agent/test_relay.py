"""The relay to the hub's STS: what SDKs signed for the agent's address has to arrive as it was signed, and nothing else gets through."""

from __future__ import annotations

import socket
import urllib.parse

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"
POLICIES = "Action=GetCallerPolicies&Version=2011-06-15"
WEB_IDENTITY = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=x"


@pytest.fixture
def agent(start, node, tmp_path):
    """Of a hub whose front door is away, and whose AWS wire is there."""
    ca = str(tmp_path / "endpoint-ca.pem")
    return start("--hub", "https://localhost:1", "--hub-ca", ca, "--hub-sts", f"https://{node.endpoint.host}")


def test_without_a_relay_sdks_are_told_what_the_agent_lacks(start, tmp_path):
    """In STS' own words, so that boto3 shows them; said at the start and in the metrics too."""
    agent = start("--hub", "https://localhost:1", "--hub-ca", str(tmp_path / "endpoint-ca.pem"))
    keys = {"aws_access_key_id": "LSIAEXAMPLEEXAMPLE01", "aws_secret_access_key": "hush"}
    sts = boto3.client("sts", endpoint_url=agent.about["credentials"][0], region_name="eu-west-1", **keys)
    with pytest.raises(ClientError) as refused:
        sts.get_caller_identity()
    error = refused.value.response
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (501, "NotImplemented")
    assert "--hub-sts" in error["Error"]["Message"]
    assert "no --hub-sts" in agent.log.read_text()
    assert "lanyard_agent_sts_relay 0" in requests.get(agent.about["metrics"] + "/metrics", timeout=5).text
    base = agent.about["credentials"][0]
    assert requests.post(base + "/", headers={"Host": "evil.example"}, timeout=5).status_code == 403
    assert requests.get(base + "/", timeout=5).status_code == 404


def test_an_agent_of_a_hubs_eks_auth_endpoint_relays_too(start, node):
    """Its endpoint, and the authority of that, are what each agent here has."""
    agent = start("--hub-sts", f"https://{node.endpoint.host}")
    answer = requests.post(agent.about["credentials"][0] + "/", data=WEB_IDENTITY, headers=FORM, timeout=5)
    assert (answer.status_code, answer.json()) == (200, {"body": WEB_IDENTITY})
    assert "lanyard_agent_sts_relay 1" in requests.get(agent.about["metrics"] + "/metrics", timeout=5).text


def relayed(node) -> list[dict]:
    """What came to the hub's AWS wire, beside what the kubelet was asked."""
    return [call for call in node.calls() if call["path"] != "/pods"]


def signed(url: str, body: str, service: str) -> dict[str, str]:
    request = AWSRequest("POST", url, data=body, headers=dict(FORM))
    SigV4Auth(Credentials("LSIAEXAMPLEEXAMPLE01", "hush", "session"), service, "eu-west-1").add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize("asked", [IDENTITY, POLICIES])
def test_a_signed_call_arrives_with_its_host_its_path_and_its_signature(agent, node, asked):
    base = agent.about["credentials"][0] + "/"
    headers = signed(base, asked, "sts")
    answer = requests.post(base, data=asked, headers=headers, timeout=5)
    assert (answer.status_code, answer.json()) == (200, {"body": asked})
    (call,) = relayed(node)
    came = {name.lower(): value for name, value in call["headers"].items()}
    assert call["path"] == "/"
    assert came["host"] == urllib.parse.urlsplit(base).netloc
    for name, value in headers.items():
        assert came[name.lower()] == value, name


def test_a_web_identity_is_exchanged_at_either_path(agent, node):
    base = agent.about["credentials"][0]
    for path in ("/", "/sts", "/sts/"):
        answer = requests.post(base + path, data=WEB_IDENTITY, headers=FORM, timeout=5)
        assert (answer.status_code, answer.json()) == (200, {"body": WEB_IDENTITY}), path
    assert {call["path"] for call in relayed(node)} == {"/"}


def immunity_28_nothing_but_sts_and_nothing_long_is_relayed(agent, node):
    base = agent.about["credentials"][0]
    cases = {
        "another service": (base + "/", "Action=CreateUser", signed(base + "/", "Action=CreateUser", "iam"), 403),
        "signed for another path": (base + "/sts", IDENTITY, signed(base + "/sts", IDENTITY, "sts"), 403),
        "an unsigned call of another kind": (base + "/", IDENTITY, FORM, 403),
        "an unsigned call of Lanyard's own": (base + "/", POLICIES, FORM, 403),
        "a body without end": (base + "/", WEB_IDENTITY + "x" * 70_000, FORM, 413),
        "another host": (base + "/", WEB_IDENTITY, FORM | {"Host": "evil.example"}, 403),
        "another path": (base + "/clusters", WEB_IDENTITY, FORM, 404),
    }
    for name, (url, body, headers, status) in cases.items():
        assert requests.post(url, data=body, headers=headers, timeout=5).status_code == status, name
    assert not relayed(node)
    lines = [line for line in agent.log.read_text().splitlines() if "a request was refused" in line]
    assert [code for line in lines for code in ("not_relayed", "other_host") if code in line] == ["not_relayed"] * 5 + ["other_host"], lines


def immunity_28_a_body_that_never_comes_is_not_waited_for(agent, node):
    place = urllib.parse.urlsplit(agent.about["credentials"][0])
    with socket.create_connection((place.hostname, place.port), 10) as connection:
        head = f"POST / HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 1000\r\n\r\nAction="
        connection.sendall(head.encode())
        connection.settimeout(20)
        assert connection.recv(100).split()[1:2] == [b"408"]
    assert not relayed(node)


def test_a_hub_that_is_away_is_no_refusal(agent, node):
    node.endpoint.stop()
    base = agent.about["credentials"][0]
    assert requests.post(base + "/", data=WEB_IDENTITY, headers=FORM, timeout=10).status_code == 503
    node.endpoint = node.kubelet

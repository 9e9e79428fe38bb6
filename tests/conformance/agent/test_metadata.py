"""The instance-metadata road, asked by hand and by botocore's own provider; each pod is another address of loopback."""

from __future__ import annotations

import hashlib
import http.client
import json
import pathlib
import shutil
import urllib.parse

import botocore.httpsession
import pytest
import requests
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher
from standins import pod, project, token

# Seconds for an answer: a busy machine is no failure.
PATIENCE = 20

ROLES = "/latest/meta-data/iam/security-credentials/"
TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}


def ask(agent, method: str, path: str, headers: dict | None = None, source: str = "127.0.0.2") -> tuple[int, str]:
    place = urllib.parse.urlsplit(agent.about["metadata"][0])
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=5, source_address=(source, 0))
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def session(agent, source: str = "127.0.0.2") -> dict:
    status, text = ask(agent, "PUT", "/latest/api/token", TTL, source)
    assert status == 200
    return {"X-aws-ec2-metadata-token": text.strip()}


@pytest.fixture
def agent(start, node, tmp_path):
    folder = tmp_path / "pods"
    node.pods([pod("p1", "127.0.0.2"), pod("p2", "127.0.0.3"), pod("p3", "127.0.0.4", namespace="closed")])
    for uid in ("p1", "p3"):
        project(folder, uid, token(uid, namespace="closed" if uid == "p3" else "shop"))
    return start(
        *("--imds-namespace", "shop", "--manage-addresses", "false", "--imds-manage-rules", "false", "--pods-folder", str(folder)),
        *("--config", str(no_redirected_port(tmp_path)), "--zone", "eu-west-1a"),
    )


def no_redirected_port(folder: pathlib.Path) -> pathlib.Path:
    """Any port: what redirects to the fixed one is the network's affair."""
    file = folder / "own.toml"
    file.write_text("[imds]\nport = 0\n")
    return file


def test_a_pod_reads_its_role_and_its_credentials(agent):
    headers = session(agent)
    assert ask(agent, "GET", ROLES, headers) == (200, "cart")
    status, text = ask(agent, "GET", ROLES + "cart", headers)
    body = json.loads(text)
    assert status == 200
    assert (body["Code"], body["Type"]) == ("Success", "AWS-HMAC")
    assert {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "LastUpdated"} < set(body)
    assert ask(agent, "GET", ROLES + "other", headers)[0] == 404
    assert ask(agent, "GET", "/latest/meta-data/placement/region", headers) == (200, "eu-west-1")
    assert ask(agent, "GET", "/latest/meta-data/placement/availability-zone", headers) == (200, "eu-west-1a")
    status, text = ask(agent, "GET", "/latest/dynamic/instance-identity/document", headers)
    assert (status, json.loads(text)) == (200, {"region": "eu-west-1", "availabilityZone": "eu-west-1a"})
    assert ask(agent, "GET", "/latest/user-data", headers)[0] == 404


def test_version_1_is_off_and_sessions_have_their_bounds(agent):
    assert ask(agent, "GET", ROLES)[0] == 401
    assert ask(agent, "GET", "/latest/dynamic/instance-identity/document")[0] == 401
    assert ask(agent, "GET", ROLES, {"X-aws-ec2-metadata-token": "made-up"})[0] == 401
    for seconds in ("0", "21601", "x", ""):
        assert ask(agent, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": seconds})[0] == 400, seconds
    assert ask(agent, "PUT", "/latest/api/token")[0] == 400
    assert ask(agent, "POST", "/latest/api/token", TTL)[0] == 405


def immunity_47_another_pods_session_or_address_is_worth_nothing(agent, node):
    mine = session(agent)
    assert ask(agent, "GET", ROLES, mine)[0] == 200
    assert ask(agent, "GET", ROLES, mine, source="127.0.0.3")[0] == 401, "a session is its address's"
    # Nobody's address, and the node's own.
    for source in ("127.0.0.9", "127.0.0.1"):
        assert ask(agent, "GET", ROLES, session(agent, source), source)[0] == 403, source
    # Two pods with one address, and a host-network pod.
    node.pods([pod("p1", "127.0.0.2"), pod("p2", "127.0.0.2"), pod("p4", "127.0.0.5", host=True)])
    for source in ("127.0.0.2", "127.0.0.5"):
        assert ask(agent, "GET", ROLES, session(agent, source), source)[0] == 403, source


def immunity_47_an_address_that_is_given_away_is_its_new_pods_at_once_and_never_the_old_ones(start, node, tmp_path):
    """The list that the agent keeps is of before; it is read here when somebody asks, and else after an hour."""
    folder, old, new = tmp_path / "pods", token("p1"), token("p9")
    node.pods([pod("p1", "127.0.0.2")])
    project(folder, "p1", old)
    file = tmp_path / "seldom.toml"
    file.write_text("[imds]\nport = 0\n[kubelet]\ninterval_ms = 3600000\n")
    flags = ("--imds-namespace", "shop", "--manage-addresses", "false", "--imds-manage-rules", "false", "--pods-folder", str(folder))
    agent = start(*flags, "--config", str(file))

    def key() -> tuple[int, str]:
        status, text = ask(agent, "GET", ROLES + "cart", session(agent))
        return status, json.loads(text)["AccessKeyId"] if status == 200 else text

    def of(one: str) -> tuple[int, str]:
        """What the endpoint's stand-in gives for a token."""
        return 200, f"ASIA{hashlib.sha256(one.encode()).hexdigest()[:12].upper()}0001"

    assert key() == of(old)
    # The pod ends and its address goes to another, which has no token, while the folder of the one before is still there: the kubelet
    # clears volumes after the network.
    node.pods([pod("p9", "127.0.0.2")])
    status, said = key()
    assert (status, "no projected token" in said) == (404, True), said
    shutil.rmtree(folder / "p1")
    assert key()[0] == 404
    project(folder, "p9", new)
    assert key() == of(new)
    # Once more, to one whose token is there when it asks first.
    third = token("p10")
    project(folder, "p10", third)
    node.pods([pod("p10", "127.0.0.2")])
    assert key() == of(third)
    # A list of before says nothing of whose the address is now.
    node.pods(None)
    assert key()[0] == 503


def immunity_47_no_token_no_answer_and_no_role_by_default(agent):
    status, text = ask(agent, "GET", ROLES, session(agent, "127.0.0.3"), "127.0.0.3")
    assert (status, "no projected token" in text) == (404, True)
    status, text = ask(agent, "GET", ROLES, session(agent, "127.0.0.4"), "127.0.0.4")
    assert (status, "namespace" in text) == (404, True)


def immunity_21_who_comes_through_a_proxy_is_answered_by_nobody(agent):
    headers = TTL | {"X-Forwarded-For": "127.0.0.3"}
    assert ask(agent, "PUT", "/latest/api/token", headers)[0] == 403
    assert ask(agent, "GET", ROLES, session(agent) | {"X-Forwarded-For": "127.0.0.3"})[0] == 403
    assert ask(agent, "PUT", "/latest/api/token", TTL | {"Host": "evil.example"})[0] == 403


def immunity_21_each_refusal_of_the_road_is_a_line_of_the_log(agent):
    mine = session(agent)
    assert ask(agent, "GET", ROLES, mine | {"Host": "evil.example"})[0] == 403
    assert ask(agent, "GET", ROLES, mine | {"X-Forwarded-For": "127.0.0.3"})[0] == 403
    assert ask(agent, "GET", ROLES, mine, source="127.0.0.3")[0] == 401, "another pod's session"
    assert ask(agent, "GET", ROLES)[0] == 401
    for number in (3, 4):
        assert status_from(agent, number) == 404
    lines = [line for line in agent.log.read_text().splitlines() if "the metadata road was refused" in line]
    for code, source, pod_uid in (
        ("other_host", 2, ""),
        ("forwarded", 2, ""),
        ("other_session", 3, ""),
        ("no_session", 2, ""),
        ("no_token", 3, "p2"),
        ("closed_namespace", 4, "p3"),
    ):
        of_code = [line for line in lines if code in line]
        assert len(of_code) == 1 and f"127.0.0.{source}" in of_code[0] and pod_uid in of_code[0], (code, lines)
    assert not [line for line in lines if mine["X-aws-ec2-metadata-token"] in line], "a session stays out of the log"


LABEL = {"lanyard.dev/instance-metadata": "enabled"}


def by_label(start, node, folder: pathlib.Path):
    """An agent that looks at the labels of namespaces, and is told of one namespace beside."""
    pods = folder / "pods"
    node.pods([pod(f"p{n}", f"127.0.0.{n}", namespace=name) for n, name in ((2, "shop"), (3, "quiet"), (4, "told"))])
    for number, name in ((2, "shop"), (3, "quiet"), (4, "told")):
        project(pods, f"p{number}", token(f"p{number}", namespace=name))
    file = folder / "labels.toml"
    own = {"url": f"https://{node.kubelet.host}", "ca": str(folder / "kubelet-ca.pem"), "token_file": str(folder / "kubelet-token")}
    file.write_text("[imds]\nport = 0\n[api_server]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in own.items()))
    flags = ("--imds-by-label", "--imds-namespace", "told", "--imds-manage-rules", "false", "--manage-addresses", "false")
    return start(*flags, "--pods-folder", str(pods), "--config", str(file))


def status_from(agent, number: int) -> int:
    source = f"127.0.0.{number}"
    return ask(agent, "GET", ROLES, session(agent, source), source)[0]


def immunity_47_a_namespace_has_the_road_by_its_label_and_another_has_not(start, node, tmp_path):
    node.namespaces({"shop": LABEL, "quiet": {"lanyard.dev/instance-metadata": "disabled"}, "told": {}})
    agent = by_label(start, node, tmp_path)
    assert [status_from(agent, number) for number in (2, 3, 4)] == [200, 404, 200]
    asked = {call["path"] for call in node.calls("namespaces")}
    assert asked == {"/api/v1/namespaces?labelSelector=lanyard.dev%2Finstance-metadata%3Denabled&resourceVersion=0"}
    metrics = requests.get(agent.about["metrics"] + "/metrics", timeout=5).text
    assert "lanyard_agent_namespaces 1" in metrics


def test_while_nobody_knows_the_labels_there_is_no_answer_and_no_refusal(start, node, tmp_path):
    node.namespaces(None)
    agent = by_label(start, node, tmp_path)
    assert (status_from(agent, 2), status_from(agent, 4)) == (503, 200), "who was named needs no label"
    node.namespaces({"shop": LABEL})
    assert status_from(agent, 2) == 200


def test_without_the_flag_the_api_server_is_asked_for_nothing(agent, node):
    node.namespaces({"closed": LABEL})
    assert ask(agent, "GET", ROLES, session(agent, "127.0.0.4"), "127.0.0.4")[0] == 404
    assert not node.calls("namespaces")


def test_botocore_reads_it_as_the_metadata_service(agent):
    """With nothing changed in it but the address that its connections come from, which is a pod's here."""
    base = agent.about["metadata"][0] + "/"

    class Bound(botocore.httpsession.URLLib3Session):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            self._manager.connection_pool_kw["source_address"] = ("127.0.0.2", 0)

    # Without the variable that keeps other tests off this machine's own metadata service.
    how = {"timeout": PATIENCE, "num_attempts": 3, "env": {}, "base_url": base, "config": {"ec2_metadata_v1_disabled": True}}
    fetcher, region = InstanceMetadataFetcher(**how), InstanceMetadataRegionFetcher(**how)
    fetcher._session = region._session = Bound(timeout=PATIENCE)
    found = fetcher.retrieve_iam_role_credentials()
    assert found["role_name"] == "cart" and found["access_key"].startswith("ASIA")
    assert region.retrieve_region() == "eu-west-1"

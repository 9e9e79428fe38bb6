"""The container-credentials address, held to the published agent's behaviour row by row (contract of eks-pod-identity-agent), and
asked by botocore's and boto3's own provider."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import json
import select
import socket
import subprocess
import time
import urllib.parse

import boto3
import botocore.session
import pytest
import requests
from node_agent import NODE_KEYS, PROGRAM, of_nobody
from standins import pod, token

# By then whoever is to be hung up on has been, on a busy machine too.
HUNG_UP_SECONDS_MAX = 120


def get(agent, text: str | None, **more):
    headers = more.pop("headers", {}) | ({} if text is None else {"Authorization": text})
    return requests.request(more.pop("method", "GET"), more.pop("url", agent.url), headers=headers, timeout=10, **more)


def from_address(agent, text: str, source: str) -> tuple[int, str]:
    """A request from another address of loopback, which stands for a pod's."""
    place = urllib.parse.urlsplit(agent.url)
    with socket.create_connection((place.hostname, place.port), 5, (source, 0)) as connection:
        head = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {text}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    return int(answer.split()[1]), answer


def test_the_body_of_an_answer(agent, node):
    node.pods([pod("p1", host=True)])
    answer = get(agent, token("p1"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json()
    assert set(body) == {"AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration"}
    assert body["AccountId"] == "111122223333"
    ends = datetime.datetime.fromisoformat(body["Expiration"].replace("Z", "+00:00"))
    assert 5.9 < (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 3600 <= 6


def test_the_path_and_no_method(agent, node):
    node.pods([pod("p1", host=True)])
    for method in ("GET", "POST", "PUT"):
        assert get(agent, token("p1"), method=method).status_code == 200, method
    base = agent.about["credentials"][0]
    for path in ("/", "/v1", "/v1/credentials/", "/metrics", "/sts"):
        assert get(agent, token("p1"), url=base + path).status_code == 404, path


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("169.254.170.23", 200),
        ("169.254.170.23:80", 200),
        ("[fd00:ec2::23]", 200),
        ("[fd00:ec2::23]:80", 200),
        ("evil.example", 403),
        ("localhost", 403),
        ("169.254.170.2", 403),
        ("169.254.170.23.example", 403),
    ],
)
def test_the_host(agent, node, host, status):
    node.pods([pod("p1", host=True)])
    answer = get(agent, token("p1"), headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or answer.headers["content-type"].startswith("text/plain")
    assert ("other_host" in agent.log.read_text()) == (status == 403), "a line of the log tells of it"


def test_the_authorization_is_the_token_alone(agent, node):
    node.pods([pod("p1", host=True)])
    good = token("p1")
    cases = {
        "none": None,
        "empty": "",
        "a prefix": f"Bearer {good}",
        "no JWT": "hello",
        "two parts": good.rsplit(".", 1)[0],
        "expired": token("p1", seconds=-1),
        "without an end": token("p1", exp=None),
        "not yet": token("p1", nbf=int(time.time()) + 60),
        "too long": "x" * 9000,
    }
    for name, text in cases.items():
        answer = get(agent, text)
        assert answer.status_code == 400, name
        assert answer.headers["content-type"].startswith("text/plain"), name
        assert good not in answer.text, name
    assert not node.calls("assume-role"), "the endpoint was asked about none of them"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("AccessDeniedException", 400),
        ("ExpiredTokenException", 400),
        ("InvalidTokenException", 400),
        ("InvalidParameterException", 400),
        ("InvalidRequestException", 400),
        ("ResourceNotFoundException", 404),
        ("ThrottlingException", 429),
        ("InternalServerException", 500),
        ("ServiceUnavailableException", 503),
    ],
)
def test_an_upstream_error_passes_with_its_status(agent, node, error, status):
    node.pods([pod("p1", host=True)])
    node.vends(status=status, error=error)
    answer = get(agent, token("p1"))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert error in answer.text


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "OddException"),
        (400, ""),
        (403, "UnrecognizedClientException"),
        (403, "InvalidSignatureException"),
        (403, "ExpiredTokenException"),
        (403, ""),
        (404, ""),
        (408, ""),
        (413, ""),
        (418, ""),
        (502, ""),
        (504, ""),
    ],
)
def test_an_error_that_is_none_of_the_models_passes_with_its_status_and_drops_nothing(start, node, status, error):
    node.pods([pod("p1", host=True)])
    agent = start("--max-credential-retention-before-renewal", "1s")
    kept = token("p1")
    first = get(agent, kept).json()
    node.vends(status=status, error=error)
    asked = len(node.calls("assume-role"))
    for _ in range(100):
        if len(node.calls("assume-role")) > asked:
            break
        time.sleep(0.1)
    else:
        raise AssertionError("nothing was renewed")
    # Another token of the pod was vouched for by nobody.
    answer = get(agent, token("p1", seconds=3_000))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert error in answer.text and "as it was told" not in answer.text
    assert get(agent, kept).json()["AccessKeyId"] == first["AccessKeyId"], "what is kept is served"


def test_an_endpoint_that_sends_elsewhere_is_500(agent, node):
    node.pods([pod("p1", host=True)])
    node.vends(status=302)
    assert get(agent, token("p1")).status_code == 500


def test_an_endpoint_that_says_nothing_ends_in_time(agent, node):
    node.pods([pod("p1", host=True)])
    node.vends(wait=5)
    began = time.monotonic()
    assert get(agent, token("p1")).status_code == 500
    assert time.monotonic() - began < 2.5


def test_one_question_for_many_who_ask_at_once(agent, node):
    node.pods([pod("p1", host=True)])
    node.vends(wait=0.5)
    text = token("p1")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        bodies = {answer.text for answer in pool.map(lambda _: get(agent, text), range(20))}
    assert len(bodies) == 1
    assert len(node.calls("assume-role")) == 1


def test_an_association_made_a_moment_ago_is_found_at_once(agent, node):
    node.pods([pod("p1", host=True)])
    node.vends(status=404, error="ResourceNotFoundException")
    text = token("p1")
    assert get(agent, text).status_code == 404
    node.vends()
    assert get(agent, text).status_code == 200


def test_what_is_kept_is_served_while_the_endpoint_is_away(agent, node):
    node.pods([pod("p1", host=True)])
    text = token("p1")
    first = get(agent, text).text
    node.vends(status=503, error="ServiceUnavailableException")
    assert get(agent, text).text == first
    assert get(agent, token("p1", seconds=3_000)).status_code == 503, "another token was never vouched for"


def test_credentials_are_renewed_ahead_of_their_end(start, node):
    node.pods([pod("p1", host=True)])
    node.vends(20)
    agent = start("--max-credential-retention-before-renewal", "2s")
    text = token("p1")
    first = get(agent, text).json()
    for _ in range(100):
        if len(node.calls("assume-role")) > 1:
            break
        time.sleep(0.1)
    time.sleep(0.2)
    assert get(agent, text).json()["Expiration"] > first["Expiration"]
    # A pod that is gone is renewed no more.
    node.pods([])
    for _ in range(100):
        if get(agent, text).status_code == 403:
            break
        time.sleep(0.1)
    asked = len(node.calls("assume-role"))
    time.sleep(4)
    assert len(node.calls("assume-role")) == asked


def test_nothing_is_kept_where_the_size_is_none(start, node):
    node.pods([pod("p1", host=True)])
    agent = start("--max-cache-size", "0")
    text = token("p1")
    assert get(agent, text).text != get(agent, text).text
    assert len(node.calls("assume-role")) == 2


def test_a_refused_renewal_drops_what_was_kept(start, node):
    node.pods([pod("p1", host=True)])
    agent = start("--max-credential-retention-before-renewal", "1s")
    text = token("p1")
    assert get(agent, text).status_code == 200
    node.vends(status=404, error="ResourceNotFoundException")
    for _ in range(60):
        if get(agent, text).status_code == 404:
            break
        time.sleep(0.1)
    assert get(agent, text).status_code == 404


def immunity_28_a_pod_that_asks_too_often_is_told_so_and_no_other_is(agent, node):
    node.pods([pod("p1", "127.0.0.2"), pod("p2", "127.0.0.3")])
    # Fewer at once than one address may have connections.
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda _: from_address(agent, token("p9"), "127.0.0.2")[0], range(80)))
    assert set(statuses) == {403, 429}
    assert from_address(agent, token("p2"), "127.0.0.3")[0] == 200


def opened(place, source: str) -> socket.socket:
    return socket.create_connection((place.hostname, place.port), 5, (source, 0))


def is_closed(connection: socket.socket) -> bool:
    """Whether the agent has hung up, or does so at once."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def immunity_28_a_pod_that_holds_connections_keeps_no_other_out(start, node, tmp_path):
    """Connections that ask nothing, far fewer than the agent has and as many as one pod may."""
    most = 8
    file = tmp_path / "few.toml"
    file.write_text(f"[limits]\npod_connections = {most}\n")
    agent = start("--config", str(file))
    node.pods([pod("p1", "127.0.0.2"), pod("p2", "127.0.0.3")])
    place = urllib.parse.urlsplit(agent.url)
    with contextlib.ExitStack() as held:
        mine = [held.enter_context(opened(place, "127.0.0.2")) for _ in range(most)]
        for _ in range(3):
            assert is_closed(held.enter_context(opened(place, "127.0.0.2")))
        assert from_address(agent, token("p2"), "127.0.0.3")[0] == 200, "another pod has its own"
        refused = requests.get(agent.about["metrics"] + "/metrics", timeout=5).text
        assert "lanyard_connections_refused_total 3" in refused
        mine[0].close()
        for _ in range(100):
            # Until the agent has seen that it is gone.
            with contextlib.suppress(ConnectionError, IndexError):
                if from_address(agent, token("p1"), "127.0.0.2")[0] == 200:
                    break
            time.sleep(0.05)
        else:
            raise AssertionError("what is given back is there again")


def immunity_28_long_heads_and_endless_ones_are_cut(agent, node):
    """The connection is ended, with an answer or, where the rest of the head met a closed door, without; nobody else notices."""
    node.pods([pod("p1", host=True)])
    place = urllib.parse.urlsplit(agent.url)
    said = b""
    with socket.create_connection((place.hostname, place.port), 5) as connection:
        # A reset is an end too; a connection that stays open is a TimeoutError.
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 40_000)
            while piece := connection.recv(1_000):
                said += piece
    assert said.split()[1:2] in ([b"431"], [b"400"], []), said
    assert get(agent, token("p1")).status_code == 200


def test_pods_are_answered_wherever_it_is_told_to_listen(start, node):
    # Linux comes to all of loopback from 127.0.0.1: the first listener's own address, and to the other one a pod's.
    node.pods([pod("p1", host=True), pod("p2", "127.0.0.1")])
    agent = start("--listen", "127.0.0.2:0")
    first, more = agent.about["credentials"]
    assert urllib.parse.urlsplit(more).hostname == "127.0.0.2"
    assert get(agent, token("p2"), url=more + "/v1/credentials").status_code == 200
    assert get(agent, token("p1"), url=more + "/v1/credentials").status_code == 403
    assert get(agent, token("p1"), url=first + "/v1/credentials").status_code == 200
    assert get(agent, token("p2"), url=more + "/v1/credentials", headers={"Host": "evil.example"}).status_code == 403
    assert requests.get(agent.about["probes"] + "/readyz", timeout=5).status_code == 200


def gets_no_reader(place, text: str) -> float:
    """Asks without an end and reads nothing; the seconds until the agent hangs up, from when it was asked first."""
    asked = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {text}\r\n\r\n".encode()
    with socket.socket() as connection:
        # So that little of the answers has room.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((place.hostname, place.port))
        connection.setblocking(False)
        began, ready, rest = time.monotonic(), select.poll(), b""
        ready.register(connection, select.POLLOUT)
        while time.monotonic() - began < HUNG_UP_SECONDS_MAX:
            # What it has not read when it hangs up makes that a reset, which shows without reading.
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in ready.poll(1_000)):
                return time.monotonic() - began
            rest = rest or asked
            try:
                rest = rest[connection.send(rest) :]
            except BlockingIOError:
                continue
            except ConnectionError:
                return time.monotonic() - began
    raise AssertionError("who reads nothing holds a connection")


def immunity_28_who_does_not_end_a_head_or_reads_no_answer_is_hung_up_on_after_thirty_seconds(start, node, tmp_path):
    file = tmp_path / "many.toml"
    file.write_text("[limits]\npod_per_second = 1000000\npod_burst = 1000000\n")
    node.pods([pod("p1", host=True)])
    agent = start("--config", str(file))
    assert get(agent, token("p1")).status_code == 200
    place = urllib.parse.urlsplit(agent.url)
    with contextlib.ExitStack() as held:
        no_reader = held.enter_context(concurrent.futures.ThreadPoolExecutor(1)).submit(gets_no_reader, place, token("p1"))
        silent, half = (held.enter_context(opened(place, "127.0.0.1")) for _ in range(2))
        half.sendall(f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\n".encode())
        began = time.monotonic()
        for connection in (silent, half):
            connection.settimeout(60)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4_096):
                    pass
            assert 29 < time.monotonic() - began < 40
        # Longer where its buffers were filled slowly; no sooner.
        assert no_reader.result() > 29
    assert get(agent, token("p1")).status_code == 200


def immunity_48_a_token_from_another_pod_or_after_the_end_is_refused_and_told_of(agent, node):
    node.pods([pod("p1", "127.0.0.2"), pod("p2", "127.0.0.3")])
    text = token("p1")
    assert from_address(agent, text, "127.0.0.2")[0] == 200
    assert from_address(agent, text, "127.0.0.3")[0] == 403
    assert get(agent, text).status_code == 403, "the node's own processes have no pod's address"
    elsewhere = token("p1", **{"kubernetes.io": {"pod": {"name": "x", "uid": "p1"}, "node": {"name": "node-b"}}})
    assert from_address(agent, elsewhere, "127.0.0.2")[0] == 403
    assert from_address(agent, token("p1", account="admin"), "127.0.0.2")[0] == 403
    assert from_address(agent, token("p1", **{"kubernetes.io": {}}), "127.0.0.2")[0] == 403
    node.pods([pod("p2", "127.0.0.3")])
    time.sleep(6)
    assert from_address(agent, text, "127.0.0.2")[0] == 403
    log = agent.log.read_text()
    for code in ("other_address", "other_node", "other_service_account", "token_unbound", "pod_unknown"):
        assert code in log, code
    assert text not in log and text.split(".")[1] not in log


def immunity_21_forwarded_headers_make_nobody_another_pod(agent, node):
    node.pods([pod("p1", "127.0.0.2")])
    answer = get(agent, token("p1"), headers={"X-Forwarded-For": "127.0.0.2", "Forwarded": "for=127.0.0.2"})
    assert answer.status_code == 403


def test_without_a_kubelet_nobody_is_refused_for_good(agent, node):
    node.pods(None)
    assert get(agent, token("p1")).status_code == 503
    node.pods([pod("p1", host=True)])
    assert get(agent, token("p1")).status_code == 200


def test_the_check_can_be_off_and_is_said_to_be(start, node):
    agent = start("--kubelet-check", "off")
    assert get(agent, token("p1")).status_code == 200
    assert not node.calls("/pods")
    assert "--kubelet-check=off" in agent.log.read_text()
    assert "lanyard_agent_kubelet_check 0" in requests.get(agent.about["metrics"] + "/metrics", timeout=5).text


def test_the_published_daemon_sets_command_line_is_enough(tmp_path, node):
    """What its chart says and no word of a kubelet, but for ports that are free here, and the endpoint with its authority."""
    log, ready = tmp_path / "published.log", tmp_path / "published.json"
    published = ["server", "--port", "0", "--cluster-name", "EKS_CLUSTER_NAME", "--probe-port", "0", "--metrics-port", "0", "-v", "trace"]
    here = ["--bind-hosts", "127.0.0.1", "--endpoint", f"https://{node.endpoint.host}", "--ready-file", str(ready)]
    here += ["--endpoint-ca", str(tmp_path / "endpoint-ca.pem")]
    environment = of_nobody() | NODE_KEYS | {"AWS_REGION": "eu-west-1"}
    with log.open("w") as file:
        process = subprocess.Popen([*PROGRAM, *published, *here], stderr=file, env=environment)
    try:
        for _ in range(200):
            if ready.exists() and ready.read_text().endswith("}\n"):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        about = json.loads(ready.read_text())
        answer = requests.get(about["credentials"][0] + "/v1/credentials", headers={"Authorization": token("p1")}, timeout=5)
        assert answer.status_code == 200, answer.text
        metrics = about["metrics"].replace("0.0.0.0", "127.0.0.1")
        assert "lanyard_agent_kubelet_check 0" in requests.get(metrics + "/metrics", timeout=5).text
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert "nothing says where the kubelet is" in log.read_text()
    assert "keeps pods from the node's own metadata service" in log.read_text(), "and how to close it"
    assert not node.calls("/pods")


def test_the_kubelet_is_asked_for_its_pods_alone(agent, node):
    node.pods([pod("p1", host=True)])
    get(agent, token("p1"))
    assert {call["path"] for call in node.calls("pods")} == {"/pods"}


def test_the_request_to_the_endpoint_is_signed_for_it(agent, node):
    node.pods([pod("p1", host=True)])
    get(agent, token("p1"))
    (call,) = node.calls("assume-role")
    assert call["path"] == "/clusters/dev/assume-role-for-pod-identity"
    assert "/eu-west-1/eks-auth/aws4_request" in {name.lower(): value for name, value in call["headers"].items()}["authorization"]


def signed_by(call: dict) -> str:
    """The id of the key that a question to the endpoint was signed with."""
    headers = {name.lower(): value for name, value in call["headers"].items()}
    return headers["authorization"].split("Credential=")[1].split("/")[0]


def test_the_nodes_credential_file_is_read_anew(start, node, tmp_path):
    file = tmp_path / "credentials"

    def write(text: str) -> None:
        draft = tmp_path / "credentials.draft"
        draft.write_text(text)
        draft.rename(file)

    def profile(key: str) -> str:
        return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = of-the-node\n"

    old, new = "AKIAOLDOLDOLDOLDOLD1", "AKIANEWNEWNEWNEWNEW1"
    write(profile(old))
    keys = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_EC2_METADATA_DISABLED": "true"}
    agent = start(keys=keys)
    node.pods([pod("p1", host=True)])
    assert get(agent, token("p1")).status_code == 200
    write(profile(new))
    # The endpoint takes the old key no more.
    node.vends(status=403, error="UnrecognizedClientException")
    time.sleep(1.1)
    assert get(agent, token("p1", seconds=3_000)).status_code == 403
    node.vends()
    assert get(agent, token("p1", seconds=3_000)).status_code == 200
    assert [signed_by(call) for call in node.calls("assume-role")] == [old, old, new]


def test_a_node_without_certificate_authorities_is_told_what_to_set():
    loopback = ["--bind-hosts", "127.0.0.1", "--port", "0", "--probe-port", "0", "--metrics-address", "127.0.0.1", "--metrics-port", "0"]
    command = [*PROGRAM, "server", "--cluster-name", "dev", "--region", "eu-west-1", "--kubelet-check", "off", *loopback]
    environment = of_nobody() | NODE_KEYS | {"SSL_CERT_FILE": "/there/is/none.pem"}
    environment.pop("SSL_CERT_DIR", None)
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20)
    assert ended.returncode not in (0, 101), ended.stderr
    assert "SSL_CERT_FILE" in ended.stderr and "panicked" not in ended.stderr


def test_probes_and_metrics(agent):
    probes = agent.about["probes"]
    for path in ("/healthz", "/readyz"):
        assert requests.get(probes + path, timeout=5).status_code == 200, path
    assert requests.get(probes + "/v1/credentials", timeout=5).status_code == 404
    assert "lanyard_agent_answers_total" in requests.get(agent.about["metrics"] + "/metrics", timeout=5).text


def test_the_first_answer_comes_soon(start, node):
    node.pods([pod("p1", host=True)])
    agent = start()
    began = time.monotonic()
    assert get(agent, token("p1")).status_code == 200
    assert time.monotonic() - began < 1


def test_open_requests_are_answered_when_it_stops(start, node):
    node.pods([pod("p1", host=True)])
    node.vends(wait=1)
    agent = start()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, agent, token("p1"))
        time.sleep(0.4)
        assert agent.stop() == 0
        assert answer.result().status_code == 200


def test_boto3_finds_credentials_with_a_stock_container_provider(agent, node, tmp_path, monkeypatch):
    node.pods([pod("p1", host=True)])
    file = tmp_path / "token"
    file.write_text(token("p1"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    credentials = boto3.Session(region_name="eu-west-1").get_credentials()
    assert credentials.method == "container-role"
    frozen = credentials.get_frozen_credentials()
    assert frozen.access_key.startswith("ASIA") and frozen.secret_key == "hush"
    assert botocore.session.Session().get_credentials().get_frozen_credentials() == frozen


def test_boto3_refreshes_across_an_end(start, node, tmp_path, monkeypatch):
    """Credentials of twenty seconds: each use finds them about to end, and gets what the agent has renewed meanwhile."""
    node.pods([pod("p1", host=True)])
    node.vends(20)
    agent = start("--max-credential-retention-before-renewal", "1s")
    file = tmp_path / "token"
    file.write_text(token("p1"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    credentials = boto3.Session(region_name="eu-west-1").get_credentials()
    first = credentials.get_frozen_credentials().token
    time.sleep(3)
    assert credentials.get_frozen_credentials().token != first


def test_print_config_is_a_configuration(start, tmp_path, node):
    flags = ["server", "--cluster-name", "dev", "--region", "eu-west-1", "--kubelet-check", "off", "--print-config"]
    environment = of_nobody()
    shown = subprocess.run([*PROGRAM, *flags], capture_output=True, text=True, check=True, env=environment).stdout
    file = tmp_path / "agent.toml"
    file.write_text(shown)
    command = [*PROGRAM, "server", "--config", str(file), "--print-config"]
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert again.stdout == shown
    assert json.dumps("dev") in shown

"""How AWS's clients may put a good request on the wire: in chunks, on a kept connection, one behind the other, after asking whether to
go on, over HTTP/2; and what they are told whose clock is wrong."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import json
import shutil
import socket
import ssl
import subprocess
import uuid
from urllib.parse import urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from hub import unique
from wire import Wire, code_of, create, raw

SECONDS_MAX = 10
LIST = "/clusters"


@pytest.fixture(scope="module")
def cluster(hub, wire) -> str:
    name = create(wire.eks, "transport")
    hub.settle()
    return name


def head(wire: Wire, method: str, path: str, body: bytes = b"", **more: str) -> list[str]:
    """The lines of a signed request, without its length."""
    request = botocore.awsrequest.AWSRequest(method, f"{wire.url}{path}", data=body, headers=dict(more))
    own = botocore.credentials.Credentials(wire.credentials.access_key_id, wire.credentials.secret)
    botocore.auth.SigV4Auth(own, "eks", wire.region).add_auth(request)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(wire.url).netloc}"]
    return lines + [f"{name}: {value}" for name, value in request.headers.items() if name != "Content-Length"]


def request_of(lines: list[str], body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.contextmanager
def connected(wire: Wire):
    """A TLS connection, and a file to read answers from."""
    to = urlsplit(wire.url)
    trust = ssl.create_default_context(cafile=wire.hub.ca)
    with socket.create_connection((to.hostname, to.port), timeout=SECONDS_MAX) as plain:
        with trust.wrap_socket(plain, server_hostname=to.hostname) as connection, connection.makefile("rb") as answers:
            yield connection, answers


def answer(answers) -> tuple[int, dict[str, str], bytes]:
    """The next answer: its status, head and body."""
    status = int(answers.readline().split()[1])
    headers = {}
    while line := answers.readline().strip().decode():
        name, value = line.split(": ", 1)
        headers[name.lower()] = value
    return status, headers, answers.read(int(headers.get("content-length", 0)))


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def entry_of(hub, cluster: str) -> tuple[str, str, bytes]:
    """Somebody new, the path that makes them an entry, and its body."""
    arn = hub.create_user(unique("sent")).arn
    hub.settle()
    return arn, f"/clusters/{cluster}/access-entries", json.dumps({"principalArn": arn}).encode()


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_body_in_chunks_is_the_body(hub, wire, cluster, size):
    arn, path, body = entry_of(hub, cluster)
    lines = [*head(wire, "POST", path, body), "Transfer-Encoding: chunked"]
    with connected(wire) as (connection, answers):
        connection.sendall(request_of(lines, chunked(body, size)))
        status, _, said = answer(answers)
    assert status == 200 and json.loads(said)["accessEntry"]["principalArn"] == arn, said


def immunity_45_the_hash_of_a_body_in_chunks_is_computed_from_the_bytes_received(hub, wire, cluster):
    arn, path, body = entry_of(hub, cluster)
    other = body.replace(b"principalArn", b"principalarn")
    lines = [*head(wire, "POST", path, body), "Transfer-Encoding: chunked"]
    with connected(wire) as (connection, answers):
        connection.sendall(request_of(lines, chunked(other, 5)))
        status, headers, said = answer(answers)
    assert (status, headers["x-amzn-errortype"]) == (403, "InvalidSignatureException"), said
    hub.settle()
    assert arn not in wire.eks.list_access_entries(clusterName=cluster)["accessEntries"]


def test_a_client_that_asks_whether_to_go_on_is_told(hub, wire, cluster):
    arn, path, body = entry_of(hub, cluster)
    lines = [*head(wire, "POST", path, body), f"Content-Length: {len(body)}", "Expect: 100-continue"]
    with connected(wire) as (connection, answers):
        connection.sendall(request_of(lines))
        assert answer(answers)[0] == 100, "before anything of the body is there"
        connection.sendall(body)
        status, _, said = answer(answers)
    assert status == 200 and json.loads(said)["accessEntry"]["principalArn"] == arn, said


def test_a_connection_is_kept_whatever_was_answered(wire, cluster):
    with connected(wire) as (connection, answers):
        for path, expected in [(LIST, 200), ("/clusters/absent", 404), ("/nothing", 404), (f"/clusters/{cluster}", 200)]:
            connection.sendall(request_of(head(wire, "GET", path)))
            status, headers, said = answer(answers)
            assert status == expected and headers["x-amzn-requestid"], (path, said)


def test_requests_one_behind_the_other_are_answered_in_their_order(wire, cluster):
    paths = [f"/clusters/{cluster}", "/clusters/absent", LIST] * 5
    with connected(wire) as (connection, answers):
        connection.sendall(b"".join(request_of(head(wire, "GET", path)) for path in paths))
        numbers = set()
        for path in paths:
            status, headers, said = answer(answers)
            assert (status == 404) is path.endswith("absent"), (path, said)
            assert ("cluster" in json.loads(said)) is path.endswith(cluster), (path, said)
            numbers.add(headers["x-amzn-requestid"])
    assert len(numbers) == len(paths), "each answer has a number of its own"


def test_http_2_is_spoken(wire, cluster):
    curl = shutil.which("curl")
    about = subprocess.run([curl, "--version"], capture_output=True, text=True, timeout=SECONDS_MAX).stdout if curl else ""
    if "HTTP2" not in about:
        pytest.skip("no curl that speaks HTTP/2")
    for path, expected in [(f"/clusters/{cluster}", "200"), ("/clusters/absent", "404")]:
        lines = [word for line in head(wire, "GET", path)[2:] for word in ("-H", line)]
        shown = ["--cacert", wire.hub.ca, "-o", "-", "-w", "\n%{http_version} %{http_code}"]
        command = [curl, "-sS", "--http2", *shown, *lines, f"{wire.url}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
        assert done.returncode == 0, done.stderr
        said, versions = done.stdout.rsplit("\n", 1)
        assert versions == f"2 {expected}", done.stdout
        assert cluster in said or expected == "404", said


@pytest.mark.parametrize("minutes", [-16, -6, 6, 600])
def test_who_has_a_wrong_clock_is_told_the_time_here(hub, wire, monkeypatch, minutes):
    """In words, and in the answer's Date, by which SDKs set theirs and sign anew."""
    now = datetime.datetime.now(datetime.UTC)
    theirs = now + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: theirs.replace(tzinfo=None))
    said = wire.send("GET", LIST)
    assert (said.status_code, code_of(said)) == (403, "InvalidSignatureException"), said.text
    message = said.json()["message"]
    assert f"{theirs:%Y-%m-%dT%H:%M:%SZ}" in message, message
    assert f"here it is {now:%Y-%m-%dT%H:%M}:" in message or now.second > 50, message
    date = email.utils.parsedate_to_datetime(said.headers["date"])
    assert abs((date - now).total_seconds()) < SECONDS_MAX


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x01 / HTTP/1.1\r\n\r\n", 400),
        (b"GET /clusters HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET /clusters HTTP/1.1\r\n" + b"x: y\r\n" * 101 + b"\r\n", 431),
    ],
    ids=["no method", "no header", "too many headers"],
)
def test_a_head_that_no_service_has_seen_is_answered_with_a_number(hub, wire, sent, expected):
    """Which the log has too: whoever asks about it can be answered."""
    numbers = set()
    for _ in range(2):
        with connected(wire) as (connection, answers):
            connection.sendall(sent)
            status, headers, said = answer(answers)
        assert (status, said) == (expected, b"")
        numbers.add(headers["x-amzn-requestid"])
    assert len(numbers) == 2
    for number in numbers:
        assert str(uuid.UUID(number)) == number
        assert number in hub.log()


def test_a_long_header_is_read_and_a_longer_one_than_a_head_may_be_refused(hub, wire, cluster):
    for length, expected in [(30_000, {200}), (200_000, {400, 413, 431})]:
        lines = head(wire, "GET", f"/clusters/{cluster}", **{"User-Agent": "a" * length})
        with connected(wire) as (connection, answers):
            try:
                connection.sendall(request_of(lines))
            except OSError:
                # Refused before it was whole: what was answered has come already, or the connection is gone.
                assert length > 100_000
                continue
            assert answer(answers)[0] in expected, length
    assert raw(hub, "GET", f"{wire.url}/livez").status_code == 200

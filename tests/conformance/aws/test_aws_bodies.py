"""Bodies of requests that do not come, or that nobody wants: the door lets go of them, holds nothing of them, and stays open to others."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import struct
import subprocess
from urllib.parse import urlsplit

import pytest

from hub import Hub
from stack import REPLICAS
from wire import Wire, code_of, create, raw

BODY_MILLISECONDS = 1500
PATIENCE_SECONDS = 30
MEGABYTE = 1 << 20
HELP = "This is the AWS endpoint"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A hub that waits for bodies a little alone."""
    if REPLICAS:
        pytest.skip("a hub of its own, which the run against one process has")
    settings = {"LANYARD_AWSAPI__BODY_TIMEOUT_MS": str(BODY_MILLISECONDS), "LANYARD_LOG__FORMAT": "json"}
    hub = Hub(tmp_path_factory.mktemp("impatient"), settings=settings)
    try:
        hub.start()
        # Somebody whose secret could be seen.
        hub.create_user()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


@contextlib.contextmanager
def connected(hub: Hub, *protocols: str):
    to = urlsplit(hub.ready["aws"])
    trust = ssl.create_default_context(cafile=hub.ca)
    trust.set_alpn_protocols(list(protocols) or ["http/1.1"])
    with socket.create_connection((to.hostname, to.port), timeout=PATIENCE_SECONDS) as plain:
        with trust.wrap_socket(plain, server_hostname=to.hostname) as connection:
            yield connection


def until_closed(connection) -> str:
    """All that comes until the door ends the connection: a wait for longer than it may take is a failure."""
    came = b""
    while part := connection.recv(65536):
        came += part
    return came.decode()


def lines(hub: Hub, level: str) -> list[dict]:
    told = [json.loads(line) for line in hub.log().splitlines() if line.startswith("{")]
    return [line for line in told if line["level"] == level]


STALLED = [
    ("", 403, HELP),
    ("Authorization: AWS4-HMAC-SHA256 x\r\n", 408, "RequestTimeoutException"),
    ("X-Amz-Date: x\r\n", 408, "RequestTimeoutException"),
    ("Content-Type: application/x-www-form-urlencoded\r\n", 408, "<Code>RequestTimeout</Code>"),
]


@pytest.mark.parametrize(("head", "status", "text"), STALLED)
def immunity_28_a_body_that_stalls_is_the_callers_fault_and_is_ended(impatient, head, status, text):
    with connected(impatient) as connection:
        connection.sendall(f"POST /clusters HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 100\r\n\r\nabc".encode())
        answer = until_closed(connection)
    assert answer.startswith(f"HTTP/1.1 {status} ") and text in answer, answer
    assert "x-amzn-requestid: " in answer
    assert not lines(impatient, "WARN"), "the hub is not ill"


@pytest.mark.parametrize("head", [head for head, _, _ in STALLED])
def immunity_28_a_body_that_drips_is_ended(impatient, head):
    """Whoever goes on sending a little gains no time by it."""
    with connected(impatient) as connection:
        connection.sendall(f"POST /clusters HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 100000\r\n\r\n".encode())
        connection.settimeout(0.1)
        answer = b""
        for _ in range(PATIENCE_SECONDS * 10):
            try:
                connection.sendall(b"a")
                part = connection.recv(65536)
                answer += part
                if not part:
                    break
            except TimeoutError:
                continue
            except (ConnectionError, ssl.SSLError):
                break
        else:
            raise AssertionError("it is still open")
    assert answer.startswith(b"HTTP/1.1 4"), answer


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2 (RFC 9113)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header as HPACK has one that is in no table (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


DATA, HEADERS, SETTINGS, END_HEADERS = 0, 1, 4, 4


def immunity_28_bodies_that_stall_are_ended_over_http_2(impatient):
    streams = range(1, 101, 2)
    head = literal(":method", "POST") + literal(":scheme", "https") + literal(":path", "/clusters") + literal(":authority", "x")
    kinds = [b"", literal("x-amz-date", "x"), literal("authorization", "AWS4-HMAC-SHA256 x")]
    with connected(impatient, "h2") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b""))
        for number, stream in enumerate(streams):
            headers = frame(HEADERS, END_HEADERS, stream, head + kinds[number % len(kinds)])
            connection.sendall(headers + frame(DATA, 0, stream, b"abc"))
        answered, came = set(), b""
        while answered != set(streams):
            part = connection.recv(65536)
            assert part, f"closed with {len(answered)} answers"
            came += part
            while len(came) >= 9 and len(came) >= 9 + (length := int.from_bytes(came[:3], "big")):
                kind, stream = came[3], int.from_bytes(came[5:9], "big")
                answered |= {stream} if kind == HEADERS else set()
                came = came[9 + length :]
    assert not lines(impatient, "WARN")


@pytest.mark.parametrize("head", [head for head, _, _ in STALLED])
def immunity_28_bodies_of_strangers_fill_no_memory(impatient, head):
    """Thirty of fifteen megabytes each, which do not end."""
    part = b"a" * MEGABYTE
    before = impatient.resident_bytes()
    with contextlib.ExitStack() as open_ones:
        for _ in range(30):
            connection = open_ones.enter_context(connected(impatient))
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection.sendall(f"POST /x HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {16 * MEGABYTE}\r\n\r\n".encode())
                for _ in range(15):
                    connection.sendall(part)
        grown = impatient.resident_bytes() - before
        assert raw(impatient, "GET", f"{impatient.ready['aws']}/livez").status_code == 200
        create(Wire(impatient).eks, "still")
    assert grown < 100 * MEGABYTE, f"{grown} bytes more"


def test_head_is_answered_over_http_2(impatient):
    curl = shutil.which("curl")
    about = subprocess.run([curl, "--version"], capture_output=True, text=True).stdout if curl else ""
    if "HTTP2" not in about:
        pytest.skip("no curl that speaks HTTP/2")
    for path, status in (("/livez", 200), ("/readyz", 200), ("/", 403)):
        command = [curl, "-sS", "-I", "--http2", "--cacert", impatient.ca, f"{impatient.ready['aws']}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0 and done.stdout.startswith(f"HTTP/2 {status}"), (done.stdout, done.stderr)


def test_curl_and_browsers_are_helped_and_sdks_get_their_error(impatient):
    url, form = impatient.ready["aws"], {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"Action=ListUsers&Version=2010-05-08"
    for agent in ("curl/7.88.1", "Mozilla/5.0 (X11; Linux x86_64)"):
        for answer in (
            raw(impatient, "POST", f"{url}/", body, headers={**form, "User-Agent": agent}),
            raw(impatient, "GET", f"{url}/?{body.decode()}", headers={"User-Agent": agent}),
        ):
            assert (answer.status_code, HELP in answer.text) == (403, True), answer.text
    answer = raw(impatient, "POST", f"{url}/", body, headers={**form, "User-Agent": "Boto3/1.43", "amz-sdk-request": "attempt=1"})
    assert code_of(answer) == "MissingAuthenticationToken" and "lanyard iam access-key create" in answer.text


def test_a_header_that_cannot_be_signed_is_refused_in_the_code_of_its_service(impatient):
    def noted(sent: dict) -> None:
        sent["headers"]["X-Note"] = "é".encode()

    for service, code in (("eks", "InvalidSignatureException"), ("sts", "SignatureDoesNotMatch"), ("iam", "SignatureDoesNotMatch")):
        answer = Wire(impatient).send("GET", "/", service=service, alter=noted)
        assert (answer.status_code, code_of(answer)) == (403, code), answer.text

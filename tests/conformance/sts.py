"""An STS of one's own on loopback: it checks signatures as STS does, and misbehaves when it is told to."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import tokens

HOST = "localhost"


@dataclass
class Identity:
    """Somebody with an AWS-style key."""

    credentials: tokens.Credentials
    arn: str
    user_id: str

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


@dataclass
class Sts:
    """The stand-in. `ill` is what it does in place of an answer: status and body, a word, or another identity."""

    folder: pathlib.Path
    region: str
    people: dict[str, Identity] = field(default_factory=dict)
    ill: object = None
    asked: int = 0

    def start(self) -> Sts:
        self.ca, chain = certificate(self.folder, "sts")
        sts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                sts._answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """What its clients sign for."""
        return f"{HOST}:{self._server.server_port}"

    def person(self, name: str, account: str) -> Identity:
        number = f"{len(self.people):012d}"
        keys = tokens.Credentials(f"AKIALAB{number}A", f"secret-of-{name}-at-the-lab-{number}")
        self.people[keys.access_key_id] = Identity(
            keys, f"arn:aws:iam::{account}:user/{name}", f"AIDALAB{number}AA"
        )
        return self.people[keys.access_key_id]

    def session(self, role: str, name: str, account: str, principal_id: str | None = None) -> Identity:
        """Somebody who signs as a session of a role."""
        who = self.person(f"{role}-{len(self.people)}", account)
        arn = f"arn:aws:sts::{account}:assumed-role/{role}/{name}"
        user_id = f"{principal_id or 'AROALAB' + who.credentials.access_key_id[7:]}:{name}"
        self.people[who.credentials.access_key_id] = Identity(who.credentials, arn, user_id)
        return self.people[who.credentials.access_key_id]

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        if isinstance(self.ill, tuple):
            status, body = self.ill
            return _send(request, status, body)
        if self.ill == "slow":
            time.sleep(1)
        if self.ill == "redirect":
            return _send(request, 307, "", Location=f"https://{self.host}/elsewhere")
        if self.ill == "garbage":
            return _send(request, 200, '{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Arn": 7')
        who = self.ill if isinstance(self.ill, Identity) else self._signer(request)
        if who is None:
            fault = {"Error": {"Code": "SignatureDoesNotMatch", "Message": "no", "Type": "Sender"}}
            return _send(request, 403, json.dumps(fault))
        result = {"Account": who.account, "Arn": who.arn, "UserId": who.user_id}
        answer = {"GetCallerIdentityResponse": {"GetCallerIdentityResult": result}}
        return _send(request, 200, json.dumps(answer))

    def _signer(self, request: http.server.BaseHTTPRequestHandler) -> Identity | None:
        """Who signed this very request: the same signature comes out with their secret."""
        said = dict(parse_qsl(urlsplit(request.path).query))
        who = self.people.get(said["X-Amz-Credential"].split("/")[0])
        if who is None:
            return None
        at = datetime.datetime.strptime(said["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
        header = tokens.CLUSTER_HEADER
        url = tokens.presigned(
            who.credentials,
            request.headers[header],
            region=self.region,
            host=request.headers["Host"],
            at=at,
            expires=said["X-Amz-Expires"],
        )
        return (
            who
            if tokens.parameter(tokens.encode(url), "X-Amz-Signature") == said["X-Amz-Signature"]
            else None
        )


def _send(request: http.server.BaseHTTPRequestHandler, status: int, body: str, **headers: str) -> None:
    data = body.encode()
    request.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        **headers,
    }.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(data)


def certificate(folder: pathlib.Path, stem: str) -> tuple[pathlib.Path, pathlib.Path]:
    """An authority's certificate, and a file with the server's key and chain."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )

    def built(subject, issuer, key, signer, *extensions):
        def name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        for extension, critical in extensions:
            certificate = certificate.add_extension(extension, critical)
        return certificate.sign(signer, hashes.SHA256())

    authority = built(
        "lab", "lab", authority_key, authority_key, (x509.BasicConstraints(ca=True, path_length=0), True)
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
    server = built(
        HOST,
        "lab",
        server_key,
        authority_key,
        (names, False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, False),
    )
    pem = serialization.Encoding.PEM
    key = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ca, chain = folder / f"{stem}-ca.pem", folder / f"{stem}.pem"
    ca.write_bytes(authority.public_bytes(pem))
    chain.write_bytes(key + server.public_bytes(pem))
    return ca, chain

"""A server on loopback with a certificate of an authority of its own: what stand-ins of other people's services run on."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import pathlib
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "localhost"
LOOPBACK = "127.0.0.1"


class TlsServer:
    """Answers every GET and POST by `answer`; `ca` is what its clients have to trust."""

    def __init__(self, folder: pathlib.Path, stem: str, answer, *, whole: bool = False):
        self.ca, chain = certificate(folder, stem)
        if whole:
            # As an authority's own root behind the server's certificate: what a thumbprint is taken of.
            chain.write_bytes(chain.read_bytes() + self.ca.read_bytes())

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                answer(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """Name and port."""
        return f"{HOST}:{self._server.server_port}"


class StandIn:
    """Somebody's service on loopback: its class says its name, and how it answers."""

    NAME: str
    # Whether it shows its authority's certificate too.
    WHOLE = False
    folder: pathlib.Path

    def start(self):
        self._server = TlsServer(self.folder, self.NAME, self._answer, whole=self.WHOLE)
        return self

    def stop(self) -> None:
        self._server.stop()

    @property
    def ca(self) -> pathlib.Path:
        return self._server.ca

    @property
    def thumbprint(self) -> str:
        """The SHA-1 of its authority's certificate, as IAM wants it."""
        authority = x509.load_pem_x509_certificate(self.ca.read_bytes())
        return authority.fingerprint(hashes.SHA1()).hex()

    @property
    def host(self) -> str:
        """Name and port: what clients sign for."""
        return self._server.host

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        raise NotImplementedError


def send(request: http.server.BaseHTTPRequestHandler, status: int, body: str, **headers: str) -> None:
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


def certificate(
    folder: pathlib.Path,
    stem: str,
    *,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    name: str = HOST,
    address: str = LOOPBACK,
) -> tuple[pathlib.Path, pathlib.Path]:
    """An authority's certificate, and a file with the key and chain of a server, on loopback unless it says otherwise, or of a client;
    for its owner alone."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )

    def built(subject, issuer, key, signer, *extensions):
        def common_name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        certificate = (
            x509.CertificateBuilder()
            .subject_name(common_name(subject))
            .issuer_name(common_name(issuer))
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
        [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    )
    server = built(
        name,
        "lab",
        server_key,
        authority_key,
        (names, False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([usage]), False),
    )
    pem = serialization.Encoding.PEM
    key = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ca, chain = folder / f"{stem}-ca.pem", folder / f"{stem}.pem"
    ca.write_bytes(authority.public_bytes(pem))
    chain.touch(0o600)
    chain.write_bytes(key + server.public_bytes(pem))
    return ca, chain

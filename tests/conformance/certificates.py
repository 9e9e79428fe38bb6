"""Who is known by a certificate at the gRPC front door: its folder as `lanyard pki` writes it, and a signer of another make."""

from __future__ import annotations

import base64
import datetime
import hashlib
import pathlib
import uuid

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub import REGION
from management import FrontDoor

ALGORITHM = "AWS4-X509-ECDSA-SHA256"


class Certificate:
    """A folder of `lanyard pki issue --principal`, or of `issue-spoke`. It signs as AWS IAM Roles Anywhere has it."""

    def __init__(self, folder: pathlib.Path, name: str = "principal") -> None:
        self.files = (str(folder / f"{name}.crt"), str(folder / f"{name}.key"))
        self.chain_pem, self.key_pem = (pathlib.Path(file).read_bytes() for file in self.files)
        self.chain = x509.load_pem_x509_certificates(self.chain_pem)
        self.key = serialization.load_pem_private_key(self.key_pem, None)

    def flags(self) -> list[str]:
        return ["--client-cert", self.files[0], "--client-key", self.files[1]]

    def sign(self, door: FrontDoor, path: str, body: bytes, /, **other: str) -> list[tuple[str, str]]:
        now = other.get("now", datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ"))
        leaf, *above = [base64.b64encode(c.public_bytes(serialization.Encoding.DER)).decode() for c in self.chain]
        digest = hashlib.sha256(body).hexdigest()
        headers = {
            "host": door.authority,
            "x-amz-content-sha256": digest,
            "x-amz-date": now,
            "x-amz-x509": leaf,
            "x-amz-x509-chain": ",".join(above),
            "x-lanyard-hub-id": door.hub.ready["hub_id"],
            "x-lanyard-nonce": other.get("nonce", str(uuid.uuid4())),
        }
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join(["POST", other.get("path", path), "", lines, names, digest])
        scope = f"{now[:8]}/{REGION}/lanyard/aws4_request"
        text = "\n".join([ALGORITHM, now, scope, hashlib.sha256(request.encode()).hexdigest()])
        signature = self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())).hex()
        credential = f"{self.chain[0].serial_number}/{scope}"
        own = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return [(name, value) for name, value in headers.items() if name != "host"] + [("authorization", own)]


class CertificateDoor(FrontDoor):
    """The same door, on connections that show a certificate."""

    def __init__(self, hub, certificate: Certificate) -> None:
        super().__init__(hub)
        ca = pathlib.Path(hub.ca).read_bytes()
        shown = grpc.ssl_channel_credentials(ca, certificate.key_pem, certificate.chain_pem)
        # What messages look like is asked on the other, which needs no certificate.
        self._plain, self.channel = self.channel, grpc.secure_channel(self.authority, shown)
        self.certificate = certificate

    def close(self) -> None:
        super().close()
        self._plain.close()

    def signed(self, path: str, request: dict, **other: str):
        body = self.encode(path, request)
        return self.send(path, body, self.certificate.sign(self, path, body, **other))

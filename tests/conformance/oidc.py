"""An OIDC issuer on loopback, with keys of its own: discovery and key set over TLS, and tokens signed as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tls import StandIn, send

TOKEN_SECONDS = 600


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value) -> str:
    return encode(json.dumps(value).encode())


@dataclass
class Key:
    """A key for ES256."""

    ALGORITHM = "ES256"
    kid: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    def jwk(self) -> dict:
        numbers = self.private.public_key().public_numbers()
        x, y = (encode(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": self.ALGORITHM, "x": x, "y": y}

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass
class RsaKey(Key):
    """A key for RS256, which GitHub, GitLab and most others sign with."""

    ALGORITHM = "RS256"
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False)

    def jwk(self) -> dict:
        numbers = self.private.public_key().public_numbers()
        n, e = (encode(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
        return {"kty": "RSA", "kid": self.kid, "use": "sig", "alg": self.ALGORITHM, "n": n, "e": e}

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


@dataclass
class Issuer(StandIn):
    """The stand-in. While it is `away` it answers 503 to everything; `instead` has other answers by path, each a status, a body and
    headers."""

    NAME = "oidc"
    WHOLE = True
    folder: pathlib.Path
    path: str = ""
    keys: list[Key] = field(default_factory=lambda: [Key("one")])
    away: bool = False
    asked: int = 0
    instead: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://{self.host}{self.path}"

    def claims(self, **claims) -> dict:
        """What stands in a token: of somebody called `ana`, for the audience `kubernetes`, unless said otherwise."""
        now = int(time.time())
        usual = {"iss": self.url, "sub": "ana", "aud": "kubernetes", "iat": now - 5, "exp": now + TOKEN_SECONDS}
        return {name: value for name, value in (usual | claims).items() if value is not None}

    def token(self, *, header: dict | None = None, key: Key | None = None, **claims) -> str:
        key = key or self.keys[-1]
        whole = {"alg": key.ALGORITHM, "kid": key.kid, "typ": "JWT"} | (header or {})
        signed = f"{_json(whole)}.{_json(self.claims(**claims))}"
        return f"{signed}.{encode(key.sign(signed.encode()))}"

    def unsigned(self, **claims) -> str:
        return f"{_json({'alg': 'none'})}.{_json(self.claims(**claims))}."

    def by_public_key(self, **claims) -> str:
        """Signed by an HMAC whose secret is the published key."""
        signed = f"{_json({'alg': 'HS256', 'kid': self.keys[-1].kid})}.{_json(self.claims(**claims))}"
        secret = json.dumps(self.keys[-1].jwk()).encode()
        return f"{signed}.{encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        documents = {
            f"{self.path}/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"https://{self.host}/keys",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": sorted({key.ALGORITHM for key in self.keys}),
            },
            "/keys": {"keys": [key.jwk() for key in self.keys]},
        }
        if request.path in self.instead:
            status, body, headers = self.instead[request.path]
            send(request, status, body, **headers)
            return
        document = documents.get(request.path)
        status = 503 if self.away else 200 if document else 404
        send(request, status, json.dumps(document or {}))

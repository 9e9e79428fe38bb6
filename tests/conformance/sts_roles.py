"""Roles of an STS of one's own on loopback: who may assume them, by the trust policies that they have.

`GetCallerIdentity` and `AssumeRole` signed in headers as AWS's SDKs sign them, and `AssumeRoleWithWebIdentity` by the keys that the
token's issuer publishes; trust policies with `StringEquals` and `StringLike` alone, which is what the tests write.
"""

from __future__ import annotations

import base64
import fnmatch
import http.server
import json
import pathlib
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import leaks
import tokens
from sts import Identity
from tls import StandIn, send


SLOW_SECONDS = 3
THROTTLED = (400, json.dumps({"Error": {"Code": "Throttling", "Message": "Rate exceeded", "Type": "Sender"}}))
DOWN = (500, json.dumps({"Error": {"Code": "InternalFailure", "Message": "oops", "Type": "Receiver"}}))


@dataclass
class Provider:
    """An OIDC provider of an account: the audience that it takes, and who vouches for where the issuer's keys are."""

    client_id: str
    ca: str


@dataclass
class Role:
    """A role with the trust policy that its owner has put there."""

    arn: str
    trust: dict | None = None
    seconds_max: int = 3600


@dataclass
class RoleSts(StandIn):
    """The stand-in. `asked` has the parameters of all that was asked of roles; `ill` is what it does in place of an answer: a status and
    a body, or `slow`."""

    NAME = "role-sts"
    folder: pathlib.Path
    region: str
    people: dict[str, Identity] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    made: list[tokens.Credentials] = field(default_factory=list)
    # Where the secrets of what it gives are told, so that they are looked for.
    secrets: leaks.Secrets = field(default_factory=leaks.Secrets)
    # By account and issuer.
    providers: dict[tuple[str, str], Provider] = field(default_factory=dict)
    ill: object = None

    def person(self, arn: str, principal_id: str) -> Identity:
        number = f"{len(self.people):09d}"
        keys = tokens.Credentials(f"AKIAROLES{number}AA", f"secret-of-the-hub-at-aws-{number}")
        self.people[keys.access_key_id] = Identity(keys, arn, principal_id)
        return self.people[keys.access_key_id]

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        said = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = said.get("Action")
        if isinstance(self.ill, tuple):
            return send(request, *self.ill)
        if self.ill == "slow":
            time.sleep(SLOW_SECONDS)
        if action == "AssumeRoleWithWebIdentity":
            self.asked.append(said)
            if (claims := self._proven(said)) is None:
                return refuse(request, 400, "InvalidIdentityToken")
            return self._session(request, action, said, *web_identity(said["RoleArn"], claims))
        who = self._signer(request, body)
        if who is None:
            return refuse(request, 403, "SignatureDoesNotMatch")
        if action == "GetCallerIdentity":
            return tell(request, who)
        self.asked.append(said)
        return self._session(request, action, said, {"AWS": principal_of(who)}, {"sts:ExternalId": said.get("ExternalId")})

    def _session(self, request, action: str, said: dict[str, str], principal: dict, context: dict) -> None:
        role = self.roles.get(said["RoleArn"])
        tag_keys = tags_of(said)
        actions = [f"sts:{action}", *(["sts:TagSession"] if tag_keys else [])]
        if role is None or not all(lets(role, action, principal, context) for action in actions):
            return refuse(request, 403, "AccessDenied")
        seconds = int(said.get("DurationSeconds", "3600"))
        if not 900 <= seconds <= role.seconds_max:
            return refuse(request, 400, "ValidationError")
        number = f"{len(self.made):09d}"
        keys = tokens.Credentials(
            f"ASIAPODS{number}AAA", f"secret-of-a-pod-at-aws-{number}", f"token-of-a-pod-at-aws-{number}"
        )
        self.made.append(keys)
        self.secrets.add("a session's secret at AWS", keys.secret)
        self.secrets.add("a session's token at AWS", keys.session_token)
        account, name = said["RoleArn"].split(":")[4], said["RoleArn"].rsplit("/", 1)[1]
        session = said["RoleSessionName"]
        arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
        self.people[keys.access_key_id] = RoleSession(keys, arn, f"AROAROLES{account}:{session}", role.arn)
        result = {
            "AssumedRoleUser": {"Arn": arn, "AssumedRoleId": f"AROAROLES{account}:{session}"},
            "Credentials": {
                "AccessKeyId": keys.access_key_id,
                "SecretAccessKey": keys.secret,
                "SessionToken": keys.session_token,
                "Expiration": time.time() + seconds,
            },
        }
        send(request, 200, json.dumps({f"{action}Response": {f"{action}Result": result}}))

    def _proven(self, said: dict[str, str]) -> dict | None:
        """The claims of a token by a provider of the role's account, verified by the keys that its issuer publishes now."""
        head, payload, signature = said["WebIdentityToken"].split(".")
        header, claims = json.loads(decoded(head)), json.loads(decoded(payload))
        provider = self.providers.get((said["RoleArn"].split(":")[4], claims["iss"]))
        if provider is None or claims["aud"] != provider.client_id or header["alg"] != "RS256":
            return None
        with requests.Session() as session:
            session.trust_env = False
            keys = session.get(f"{claims['iss']}/keys", verify=provider.ca, timeout=5).json()["keys"]
        own = [key for key in keys if key["kid"] == header["kid"]]
        is_good = any(verifies(key, f"{head}.{payload}", decoded(signature)) for key in own)
        return claims if is_good and claims["nbf"] <= time.time() < claims["exp"] else None

    def _signer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> Identity | None:
        """Who signed these headers and this body: botocore makes the same signature with their secret."""
        claimed = request.headers.get("Authorization", "")
        scope = claimed.partition("Credential=")[2].partition(",")[0]
        who = self.people.get(scope.split("/")[0])
        if who is None:
            return None
        signed = claimed.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        again = AWSRequest("POST", f"https://{request.headers['Host']}/", data=body)
        for name in signed:
            again.headers[name] = request.headers[name]
        keys = BotoCredentials(who.credentials.access_key_id, who.credentials.secret, who.credentials.session_token)
        auth = SigV4Auth(keys, "sts", self.region)
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        text = auth.string_to_sign(again, auth.canonical_request(again))
        return who if claimed.endswith(f"Signature={auth.signature(text, again)}") else None


@dataclass
class RoleSession(Identity):
    """Somebody who signs as a session of a role."""

    role_arn: str = ""


def tell(request: http.server.BaseHTTPRequestHandler, who: Identity) -> None:
    """Who somebody is, in JSON for those who ask for it and else in XML, as STS has it."""
    result = {"Account": who.account, "Arn": who.arn, "UserId": who.user_id}
    if "application/json" in request.headers.get("Accept", ""):
        return send(request, 200, json.dumps({"GetCallerIdentityResponse": {"GetCallerIdentityResult": result}}))
    members = "".join(f"<{name}>{text}</{name}>" for name, text in result.items())
    body = f"<GetCallerIdentityResult>{members}</GetCallerIdentityResult>"
    answer = f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{body}</GetCallerIdentityResponse>'
    return send(request, 200, answer, **{"Content-Type": "text/xml"})


def principal_of(who: Identity) -> str:
    """As trust policies name them: a session by its role."""
    return who.role_arn if isinstance(who, RoleSession) else who.arn


def tags_of(said: dict[str, str]) -> dict[str, str]:
    """The session tags that are asked for, in the request or in its token."""
    if "WebIdentityToken" in said:
        claims = json.loads(decoded(said["WebIdentityToken"].split(".")[1]))
        tags = claims.get("https://aws.amazon.com/tags", {}).get("principal_tags", {})
        return {key: values[0] for key, values in tags.items()}
    keys = {name.removesuffix(".Key"): value for name, value in said.items() if name.startswith("Tags.") and name.endswith(".Key")}
    return {key: said[f"{member}.Value"] for member, key in keys.items()}


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verifies(jwk: dict, signed: str, signature: bytes) -> bool:
    """Whether a signature of RS256 is the key's (RFC 7518, section 3.3)."""
    exponent, modulus = (int.from_bytes(decoded(jwk[name]), "big") for name in ("e", "n"))
    try:
        rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def web_identity(role_arn: str, claims: dict) -> tuple[dict, dict]:
    """Whom a token is of, as a trust policy names them, and its condition keys."""
    issuer = claims["iss"].removeprefix("https://")
    provider = f"arn:aws:iam::{role_arn.split(':')[4]}:oidc-provider/{issuer}"
    return {"Federated": provider}, {f"{issuer}:sub": claims["sub"], f"{issuer}:aud": claims["aud"]}


def lets(role: Role, action: str, principal: dict, context: dict) -> bool:
    for statement in (role.trust or {}).get("Statement", []):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if action in actions and statement["Principal"] == principal and holds(statement, context):
            return True
    return False


def holds(statement: dict, context: dict) -> bool:
    compare = {"StringEquals": lambda have, want: have == want, "StringLike": fnmatch.fnmatchcase}
    for operator, pairs in statement.get("Condition", {}).items():
        if operator == "ForAllValues:StringEquals":
            continue
        for key, want in pairs.items():
            if context.get(key) is None or not compare[operator](context[key], want):
                return False
    return True


def refuse(request, status: int, code: str) -> None:
    send(request, status, json.dumps({"Error": {"Code": code, "Message": "no", "Type": "Sender"}}))

"""Roles of an STS of one's own on loopback: who may assume them, by the trust policies that they have.

`GetCallerIdentity` and `AssumeRole` signed in headers as AWS's SDKs sign them, and `AssumeRoleWithWebIdentity`; trust policies with
`StringEquals` and `StringLike` alone, which is what the tests write.
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

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

import tokens
from sts import Identity
from tls import StandIn, send


@dataclass
class Role:
    """A role with the trust policy that its owner has put there."""

    arn: str
    trust: dict | None = None
    seconds_max: int = 3600


@dataclass
class RoleSts(StandIn):
    """The stand-in. `asked` has the parameters of all that was asked of roles."""

    NAME = "role-sts"
    folder: pathlib.Path
    region: str
    people: dict[str, Identity] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    made: list[tokens.Credentials] = field(default_factory=list)

    def person(self, arn: str, principal_id: str) -> Identity:
        number = f"{len(self.people):09d}"
        keys = tokens.Credentials(f"AKIAROLES{number}AA", f"secret-of-the-hub-at-aws-{number}")
        self.people[keys.access_key_id] = Identity(keys, arn, principal_id)
        return self.people[keys.access_key_id]

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        said = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = said.get("Action")
        if action == "AssumeRoleWithWebIdentity":
            self.asked.append(said)
            return self._session(request, action, said, *web_identity(said))
        who = self._signer(request, body)
        if who is None:
            return refuse(request, 403, "SignatureDoesNotMatch")
        if action == "GetCallerIdentity":
            result = {"Account": who.account, "Arn": who.arn, "UserId": who.user_id}
            return send(request, 200, json.dumps({"GetCallerIdentityResponse": {"GetCallerIdentityResult": result}}))
        self.asked.append(said)
        return self._session(request, action, said, {"AWS": who.arn}, {"sts:ExternalId": said.get("ExternalId")})

    def _session(self, request, action: str, said: dict[str, str], principal: dict, context: dict) -> None:
        role = self.roles.get(said["RoleArn"])
        tag_keys = [value for name, value in said.items() if name.startswith("Tags.") and name.endswith(".Key")]
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
        account, name = said["RoleArn"].split(":")[4], said["RoleArn"].rsplit("/", 1)[1]
        session = said["RoleSessionName"]
        arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
        self.people[keys.access_key_id] = Identity(keys, arn, f"AROAROLES{account}:{session}")
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


def web_identity(said: dict[str, str]) -> tuple[dict, dict]:
    """Whom a token is of. Its signature is not looked at: the hub's is tested where there is an STS that knows its keys."""
    payload = said["WebIdentityToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    issuer = claims["iss"].removeprefix("https://")
    account = said["RoleArn"].split(":")[4]
    provider = f"arn:aws:iam::{account}:oidc-provider/{issuer}"
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

"""An STS of one's own on loopback: it checks signatures as STS does, and misbehaves when it is told to."""

from __future__ import annotations

import datetime
import http.server
import json
import pathlib
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import tokens
from tls import StandIn, send


SLOW_SECONDS = 2
# Nobody is kept waiting for longer, whatever becomes of the test.
HELD_SECONDS_MAX = 10


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
class Sts(StandIn):
    """The stand-in. `ill` is what it does in place of an answer: status and body, a word, or another identity; an event is what it
    waits for before it answers as ever."""

    NAME = "sts"
    folder: pathlib.Path
    region: str
    people: dict[str, Identity] = field(default_factory=dict)
    ill: object = None
    asked: int = 0

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
            return send(request, status, body)
        if self.ill == "slow":
            time.sleep(SLOW_SECONDS)
        if isinstance(self.ill, threading.Event):
            self.ill.wait(HELD_SECONDS_MAX)
        if self.ill == "redirect":
            return send(request, 307, "", Location=f"https://{self.host}/elsewhere")
        if self.ill == "garbage":
            return send(request, 200, '{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Arn": 7')
        who = self.ill if isinstance(self.ill, Identity) else self._signer(request)
        if who is None:
            fault = {"Error": {"Code": "SignatureDoesNotMatch", "Message": "no", "Type": "Sender"}}
            return send(request, 403, json.dumps(fault))
        result = {"Account": who.account, "Arn": who.arn, "UserId": who.user_id}
        answer = {"GetCallerIdentityResponse": {"GetCallerIdentityResult": result}}
        return send(request, 200, json.dumps(answer))

    def _signer(self, request: http.server.BaseHTTPRequestHandler) -> Identity | None:
        """Who signed this very request: the same signature comes out with their secret."""
        said = dict(parse_qsl(urlsplit(request.path).query))
        who = self.people.get(said["X-Amz-Credential"].split("/")[0])
        if who is None:
            return None
        at = datetime.datetime.strptime(said["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
        header = said["X-Amz-SignedHeaders"].removeprefix("host;")
        url = tokens.presigned(
            who.credentials,
            request.headers.get(header, ""),
            region=self.region,
            host=request.headers["Host"],
            at=at,
            expires=said["X-Amz-Expires"],
            header=header,
        )
        return (
            who
            if tokens.parameter(tokens.encode(url), "X-Amz-Signature") == said["X-Amz-Signature"]
            else None
        )

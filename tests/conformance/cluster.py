"""One cluster of a hub, and its API server's side of the wire."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import requests

import tokens

if TYPE_CHECKING:
    from hub import Hub, Principal

# The one key of `extra` that makes a badge worth more than its words.
PROOF = "lanyard.dev/proof"
# An API server allows its webhooks 3 s.
ANSWER_SECONDS_MAX = 10
# "reason (decision id)", as it stands in the API server's log and in kubectl's message.
WITH_ID = re.compile(r"^(?P<text>.*) \((?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)$")


def with_id(text: str) -> tuple[str, str]:
    """A reason and its decision id."""
    match = WITH_ID.match(text)
    assert match, f"no decision id at the end of {text!r}"
    return match["text"], match["id"]


@dataclass
class Cluster:
    """A registered cluster with a credential of its API server."""

    hub: Hub
    id: str
    uid: str
    spoke: str = field(repr=False)

    # The wire

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = self.hub.ca
        return session

    def url(self, door: str) -> str:
        return f"{self.hub.url}/clusters/{self.id}/{door}"

    def post(self, door: str, body, *, bearer: str | None = None, headers: dict | None = None, method="POST"):
        """Sends bytes, or an object as JSON, with this cluster's credential unless another is given."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        bearer = self.spoke if bearer is None else bearer
        sent = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {bearer}"} if bearer else {}
        )
        return self._session.request(
            method, self.url(door), data=data, headers=sent | (headers or {}), timeout=ANSWER_SECONDS_MAX
        )

    def token_review(self, token: str, *, version: str = "v1", audiences: list[str] | None = None) -> dict:
        """The whole answer to a TokenReview."""
        spec = {"token": token} | ({} if audiences is None else {"audiences": audiences})
        body = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "TokenReview", "spec": spec}
        response = self.post("tokenreview", body)
        assert response.status_code == 200, response.text
        return response.json()

    def access_review(self, user: dict, *, version: str = "v1", **attributes) -> dict:
        """The whole answer to a SubjectAccessReview, asked as an API server asks that let `user` in."""
        response = self.post("subjectaccessreview", access_review_of(user, version=version, **attributes))
        assert response.status_code == 200, response.text
        return response.json()

    # What tests ask most

    def token(self, who: tokens.Credentials | Principal, **choices) -> str:
        credentials = getattr(who, "credentials", who)
        token = tokens.token(credentials, self.id, **choices)
        return self.hub.secrets.add("a client token", token)

    def log_in(self, who: tokens.Credentials | Principal, **choices) -> dict:
        """The badge that the API server gets, with the group that it adds itself."""
        status = self.token_review(self.token(who, **choices))["status"]
        assert status["authenticated"], status
        user = status["user"]
        return user | {"groups": [*user.get("groups", []), "system:authenticated"]}

    def refusal(self, who: tokens.Credentials | Principal | str, **choices) -> str:
        """The reason code by which a token is refused: the one thing that an API server is told."""
        token = who if isinstance(who, str) else self.token(who, **choices)
        status = self.token_review(token)["status"]
        assert status["authenticated"] is False and status.keys() == {"authenticated", "error"}, status
        return with_id(status["error"])[0]

    def verdict(self, user: dict, **attributes) -> tuple[str, str]:
        """`allowed`, `denied` or `no opinion`, and the reason without its id."""
        status = self.access_review(user, **attributes)["status"]
        assert not (status["allowed"] and status.get("denied")), status
        verdict = "allowed" if status["allowed"] else "denied" if status.get("denied") else "no opinion"
        return verdict, with_id(status["reason"])[0]

    # What tests set up

    def entry(self, principal: Principal, *flags: str, groups=(), policy=None, namespaces=()) -> dict:
        """An access entry, with an access policy if one is named."""
        words = [flag for group in groups for flag in ("--group", group)]
        made = self.hub.cli("entry", "create", self.id, principal.arn, *words, *flags)
        if policy:
            self.associate(principal, policy, namespaces)
        return made["value"]

    def associate(self, principal: Principal, policy: str, namespaces=()) -> dict:
        scope = [flag for namespace in namespaces for flag in ("--namespace", namespace)]
        return self.hub.cli("entry", "associate", self.id, principal.arn, policy, *scope)

    def push_aws_auth(self, text: str):
        return self.hub.run("aws-auth", "push", self.id, "-", stdin=text)


def access_review_of(user: dict, *, version: str = "v1", path: str | None = None, **attributes) -> dict:
    """A SubjectAccessReview; v1beta1 calls the groups `group`."""
    named = dict(user)
    spec = {
        "user": named.pop("username"),
        ("groups" if version == "v1" else "group"): named.pop("groups", []),
    }
    spec |= named
    if path is not None:
        spec["nonResourceAttributes"] = {"path": path, **attributes}
    else:
        spec["resourceAttributes"] = {"version": "v1", **attributes}
    return {"apiVersion": f"authorization.k8s.io/{version}", "kind": "SubjectAccessReview", "spec": spec}

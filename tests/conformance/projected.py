"""Projected ServiceAccount tokens, as a cluster's API server signs them, and how a hub is told of their keys."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field

from hub import Hub
from management import FrontDoor
from oidc import Issuer, Key

AUDIENCE = "pods.eks.amazonaws.com"
OF_NODES = "lanyard:node"
PUSH = "/lanyard.credentials.v1.Workloads/PushIssuer"
TOKEN_SECONDS = 3600


@dataclass
class Pod:
    """A pod, and whose it is."""

    name: str = "web-1"
    namespace: str = "team-a"
    service_account: str = "bot"
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Signer:
    """An issuer of a cluster's tokens. Pods without a name of their own are another one each time."""

    issuer: str
    key: Key
    node: str

    @property
    def node_uid(self) -> str:
        """The same for each token of the node."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.node))

    def claims(self, pod: Pod | None = None, **changed) -> dict:
        """What stands in the token of a pod for Pod Identity; what is changed to None is left out."""
        now, pod = int(time.time()), pod or Pod()
        bound = {
            "namespace": pod.namespace,
            "node": {"name": self.node, "uid": self.node_uid},
            "pod": {"name": pod.name, "uid": pod.uid},
            "serviceaccount": {"name": pod.service_account, "uid": "0b8e9c2d-1d1f-4a6e-8b3e-5f6a7b8c9d0e"},
        }
        usual = {
            "iss": self.issuer,
            "aud": [AUDIENCE],
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + TOKEN_SECONDS,
            "sub": f"system:serviceaccount:{pod.namespace}:{pod.service_account}",
            "kubernetes.io": bound,
        }
        return {name: value for name, value in (usual | changed).items() if value is not None}

    def token(self, pod: Pod | None = None, **changed) -> str:
        return self._signing(pod).token(**changed)

    def unsigned(self, **changed) -> str:
        return self._signing(None).unsigned(**changed)

    def by_public_key(self) -> str:
        """Signed by an HMAC whose secret is the published key."""
        return self._signing(None).by_public_key()

    def agents_token(self, **changed) -> str:
        """That of a node's agent, by which it proves itself to the hub."""
        agent = Pod("lanyard-agent-x2x5p", "kube-system", "lanyard-agent")
        return self.token(agent, **{"aud": [OF_NODES]} | changed)

    def _signing(self, pod: Pod | None) -> Issuer:
        issuer = Issuer(folder=None, keys=[self.key])
        issuer.claims = lambda **claims: self.claims(pod, **claims)
        return issuer


def push(hub: Hub, cluster: str, issuer: str, *keys: Key) -> None:
    """As the spoke service does, of what the cluster's API server serves."""
    door = FrontDoor(hub)
    jwks = json.dumps({"keys": [key.jwk() for key in keys]})
    asked = {"cluster": cluster, "issuer_url": issuer, "jwks": jwks}
    pushed = door.call(PUSH, asked, hub.administrator())
    door.close()
    assert pushed.code.name == "OK", pushed
    hub.settle()

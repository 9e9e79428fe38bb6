"""The issuer that a hub serves for a cluster whose API server signs with a key that Lanyard made, and tokens as that signs them."""

from __future__ import annotations

import functools
import json
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cluster import Cluster
from hub import Hub
from oidc import encode

AUDIENCE = "sts.amazonaws.com"
# A provider's URL may have a port where its host is named: the hub of a test listens on one of its own.
SETTINGS = {"LANYARD_AUTHN__OIDC__PRIVATE_HOSTS": '["127.0.0.1"]'}
TOKEN_SECONDS = 600


def generate(hub: Hub, cluster: Cluster, *flags: str) -> dict:
    made = hub.cli("cluster", "issuer", "generate", cluster.id, "--stdout", *flags)
    hub.secrets.add("a ServiceAccount signing key", made["private_key"])
    return made


@functools.cache
def _key(pem: str):
    """Read once: a key is looked through as it is read, which takes longer than signing."""
    return load_pem_private_key(pem.encode(), None)


def token_of(hub: Hub, made: dict, *, subject: str, **claims) -> str:
    """What the API server would sign with the key."""
    now = int(time.time())
    body = {"iss": made["issuer_url"], "sub": subject, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS}
    header = {"alg": "RS256", "kid": made["key"], "typ": "JWT"}
    signed = ".".join(encode(json.dumps(part).encode()) for part in (header, body | claims))
    signature = _key(made["private_key"]).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return hub.secrets.add("a ServiceAccount's token", f"{signed}.{encode(signature)}")


def trust(hub: Hub, issuer: str, *subjects: str) -> str:
    """The trust policy of a role for these subjects of an issuer that is a provider of the hub's account."""
    name = issuer.removeprefix("https://")
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{hub.account}:oidc-provider/{name}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{name}:aud": AUDIENCE, f"{name}:sub": list(subjects)}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

"""Client tokens by a signer that is nobody's library: every part of one can be chosen, wrong ones too."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
HUB_HEADER = "x-lanyard-hub-id"


@dataclass(frozen=True)
class Credentials:
    """What AWS tools sign with. Its text shows no secret, for pytest prints what a failed test held."""

    access_key_id: str
    secret: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"

    def environment(self) -> dict[str, str]:
        variables = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret}
        if self.session_token:
            variables["AWS_SESSION_TOKEN"] = self.session_token
        return variables


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def minutes(count: float) -> datetime.timedelta:
    return datetime.timedelta(minutes=count)


def presigned(
    credentials: Credentials,
    cluster: str,
    *,
    region: str = "us-east-1",
    host: str | None = None,
    at: datetime.datetime | None = None,
    service: str = "sts",
    action: str = "GetCallerIdentity",
    expires: str = "60",
    header: str = CLUSTER_HEADER,
) -> str:
    """The presigned URL that signs the cluster's id."""
    host = host or f"sts.{region}.amazonaws.com"
    stamp = (at or now()).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    parameters = {
        "Action": action,
        "Version": "2011-06-15",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": f"host;{header}",
    }
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    query = "&".join(
        f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(parameters.items())
    )
    request = f"GET\n/\n{query}\nhost:{host}\n{header}:{cluster}\n\nhost;{header}\n{hashlib.sha256(b'').hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return f"https://{host}/?{query}&X-Amz-Signature={signature}"


def encode(url: str) -> str:
    return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def decode(token: str) -> str:
    encoded = token.removeprefix(PREFIX)
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()


def token(credentials: Credentials, cluster: str, **choices) -> str:
    """A client token for a cluster's id; `choices` are those of `presigned`."""
    return encode(presigned(credentials, cluster, **choices))


def tampered(token: str, **parameters: str) -> str:
    """The same token with other values of parameters (`_` in their names stands for `-`), and the old signature."""
    wanted = {name.replace("_", "-"): value for name, value in parameters.items()}
    parts = urlsplit(decode(token))
    pairs = [(key, wanted.get(key, value)) for key, value in parse_qsl(parts.query)]
    assert wanted.keys() <= dict(pairs).keys(), "a parameter that the token does not have was tampered with"
    query = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in pairs)
    return encode(urlunsplit(parts._replace(query=query)))


def other_digit(hexadecimal: str) -> str:
    """The same digits but for the last."""
    return hexadecimal[:-1] + ("0" if hexadecimal[-1] != "0" else "1")


def parameter(token: str, name: str) -> str:
    return dict(parse_qsl(urlsplit(decode(token)).query))[name]

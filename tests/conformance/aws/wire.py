"""AWS's clients on a hub's AWS wire: boto3 and the AWS CLI, unchanged but for their endpoint.

Every answer that boto3 takes is held against the service's model as well: no member that the model has not, none missing
that it requires.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import subprocess
import uuid

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.model
import requests

from hub import REGION, Hub
from tokens import Credentials

# What lets the pods of any cluster of the account use a role.
PODS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
)

# The tag by which a role says that it means all of them.
ANY_CLUSTER = [{"Key": "lanyard:any-cluster", "Value": "true"}]

COMMAND_SECONDS_MAX = 60

# Operation -> what of {ok, errors, pagination, idempotency} some test has seen of it.
SEEN: dict[str, set[str]] = collections.defaultdict(set)


def seen(operation: str, what: str) -> None:
    SEEN[operation].add(what)


class Wire:
    """The AWS wire of a hub, for one caller."""

    def __init__(self, hub: Hub, credentials: Credentials | None = None, region: str = REGION) -> None:
        self.hub = hub
        self.url = hub.ready["aws"]
        self.credentials = credentials or hub.administrator()
        self.region = region

    def client(self, service: str, **config):
        retries = {"max_attempts": 1, "mode": "standard"}
        client = boto3.client(
            service,
            endpoint_url=self.url,
            verify=self.hub.ca,
            region_name=self.region,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret,
            aws_session_token=self.credentials.session_token,
            config=botocore.config.Config(retries=retries, **config),
        )
        client.meta.events.register("after-call.*", judge)
        # Two calls of one second can bear one signature, and the second is then answered as the first: the tests are faster than
        # whoever would notice, and each of their calls is one of its own.
        client.meta.events.register("before-sign.*.*", make_its_own)
        return client

    @property
    def eks(self):
        return self.client("eks")

    @property
    def sts(self):
        return self.client("sts")

    def aws(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess:
        """Runs the AWS CLI."""
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.hub.folder),
            "AWS_CA_BUNDLE": self.hub.ca,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_MAX_ATTEMPTS": "1",
            **self.credentials.environment(),
        }
        command = [os.environ["AWS_CLI"], *words]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=variables
        )

    def aws_json(self, *words: str):
        done = self.aws(*words, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: str = "",
        service: str = "eks",
        region: str | None = None,
        headers: dict[str, str] | None = None,
        alter=None,
        at: str | None = None,
    ) -> requests.Response:
        """A request signed by botocore; `alter` changes it after that."""
        url = f"{self.url}{path}" + (f"?{query}" if query else "")
        request = botocore.awsrequest.AWSRequest(method, url, data=body, headers=headers or {})
        own = botocore.credentials.Credentials(
            self.credentials.access_key_id, self.credentials.secret, self.credentials.session_token
        )
        botocore.auth.SigV4Auth(own, service, region or self.region).add_auth(request)
        sent = {"method": method, "url": url, "data": body, "headers": dict(request.headers.items())}
        if alter:
            alter(sent)
        return raw(self.hub, **sent)


def raw(hub: Hub, method: str, url: str, data: bytes = b"", headers: dict | None = None) -> requests.Response:
    """A request as it is: no library puts the path in order."""
    with requests.Session() as session:
        session.trust_env = False
        prepared = session.prepare_request(requests.Request(method, url.split("?")[0], data=data, headers=headers))
        prepared.url = url
        answer = session.send(prepared, verify=hub.ca, timeout=30)
    assert answer.headers["x-amzn-RequestId"], "every answer has a number"
    assert answer.status_code < 500, answer.text
    return answer


def code_of(answer: requests.Response) -> str:
    """The error's code, from wherever the protocol has it."""
    if "x-amzn-ErrorType" in answer.headers:
        assert "message" in answer.json(), answer.text
        return answer.headers["x-amzn-ErrorType"]
    assert answer.headers["content-type"] == "text/xml", (answer.headers, answer.text)
    return answer.text.split("<Code>")[1].split("</Code>")[0]


@contextlib.contextmanager
def refused(client, code: str, text: str = "", status: int = 400):
    """Inside, the call has to fail with this code, as the typed exception that the SDK has for it, if it has one."""
    typed = getattr(client.exceptions, code, botocore.exceptions.ClientError)
    try:
        yield
    except botocore.exceptions.ClientError as error:
        assert isinstance(error, typed), error
        said = error.response
        assert said["Error"]["Code"] == code, said
        assert text in said["Error"]["Message"], said
        assert said["ResponseMetadata"]["HTTPStatusCode"] == status, said
        assert said["ResponseMetadata"]["RequestId"], said
        seen(f"{client.meta.service_model.service_name}:{error.operation_name}", "errors")
        return
    raise AssertionError(f"no {code}")


def make_its_own(request, **_) -> None:
    request.headers["X-Test-Number"] = str(uuid.uuid4())


def judge(http_response, parsed, model: botocore.model.OperationModel, **_):
    """An answer has the members of the model: none unknown, none of the required ones missing."""
    if http_response.status_code >= 300:
        return
    seen(f"{model.service_model.service_name}:{model.name}", "ok")
    if model.service_model.protocol == "rest-json":
        members("$", json.loads(http_response.content), model.output_shape)


def members(place: str, value, shape: botocore.model.Shape) -> None:
    if shape.type_name == "structure":
        assert isinstance(value, dict), f"{place} is {value!r}"
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            assert name in names, f"{place}.{name} is not in the model"
            assert inner is not None, f"{place}.{name} is null"
            members(f"{place}.{name}", inner, names[name])
        missing = [name for name in shape.required_members if name not in value]
        assert not missing, f"{place} lacks {missing}"
    elif shape.type_name == "list":
        assert isinstance(value, list), f"{place} is {value!r}"
        for number, inner in enumerate(value):
            members(f"{place}[{number}]", inner, shape.member)
    elif shape.type_name == "map":
        assert isinstance(value, dict), f"{place} is {value!r}"
        for key, inner in value.items():
            members(f"{place}.{key}", inner, shape.value)
    elif shape.type_name == "timestamp":
        assert isinstance(value, int | float) and value > 1_600_000_000, f"{place} is {value!r}"
    elif shape.type_name == "boolean":
        assert isinstance(value, bool), f"{place} is {value!r}"
    elif shape.type_name in ("integer", "long"):
        assert isinstance(value, int), f"{place} is {value!r}"
    else:
        assert isinstance(value, str), f"{place} is {value!r}"
        if getattr(shape, "enum", None):
            assert value in shape.enum, f"{place} is {value!r}, none of {shape.enum}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""AWS's clients on a hub's AWS wire: boto3 and the AWS CLI, unchanged but for their endpoint.

Every answer and error that boto3 takes is held against the service's model as well (`answers.py`).
"""

from __future__ import annotations

import contextlib
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
import requests

import answers
from hub import REGION, Hub, unique
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

# What a cluster's makers have to name, and the hub has no use for.
CLUSTER_ROLE = "arn:aws:iam::111122223333:role/cluster"
API = {"authenticationMode": "API"}

COMMAND_SECONDS_MAX = 60
# Longer than the hub takes to say that it has no answer.
ANSWER_SECONDS_MAX = 45


class Wire:
    """The AWS wire of a hub, for one caller."""

    def __init__(self, hub: Hub, credentials: Credentials | None = None, region: str = REGION) -> None:
        self.hub = hub
        self.url = hub.ready["aws"]
        self.credentials = credentials or hub.administrator()
        self.region = region

    def client(self, service: str, **config):
        """A client of boto3 that leaves it to the hub to judge parameters."""
        retries = {"max_attempts": 1, "mode": "standard"}
        client = boto3.client(
            service,
            endpoint_url=self.url,
            verify=self.hub.ca,
            region_name=self.region,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret,
            aws_session_token=self.credentials.session_token,
            config=botocore.config.Config(retries=retries, parameter_validation=False, **config),
        )
        client.meta.events.register("after-call.*", answers.judge)
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

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: str = "",
        service: str = "eks",
        region: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict:
        """A request signed by botocore, in its parts."""
        url = f"{self.url}{path}" + (f"?{query}" if query else "")
        request = botocore.awsrequest.AWSRequest(method, url, data=body, headers=headers or {})
        own = botocore.credentials.Credentials(
            self.credentials.access_key_id, self.credentials.secret, self.credentials.session_token
        )
        botocore.auth.SigV4Auth(own, service, self.region if region is None else region).add_auth(request)
        return {"method": method, "url": url, "data": body, "headers": dict(request.headers.items())}

    def send(self, method: str, path: str, body: bytes = b"", *, alter=None, **choices) -> requests.Response:
        """Such a request; `alter` changes it after it was signed."""
        sent = self.signed(method, path, body, **choices)
        if alter:
            alter(sent)
        return raw(self.hub, **sent)


def create(eks, stem: str) -> str:
    """A cluster of entries alone; its name."""
    name = unique(stem)
    eks.create_cluster(name=name, roleArn=CLUSTER_ROLE, resourcesVpcConfig={}, accessConfig=API)
    return name


def let(hub: Hub, user: str, *statements: dict, account: str | None = None) -> None:
    """Gives a user of the hub these statements as its policy."""
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    of_account = ["--account", account] if account else []
    hub.cli("iam", "policy", "put", "p", "--user", user, *of_account, "--document", "-", stdin=document)
    hub.settle()


def raw(hub: Hub, method: str, url: str, data: bytes = b"", headers: dict | None = None) -> requests.Response:
    """A request as it is, and as the hub can answer it."""
    answer = delivered(hub, method, url, data, headers)
    assert answer.status_code < 500, answer.text
    return answer


def delivered(hub: Hub, method: str, url: str, data: bytes = b"", headers: dict | None = None) -> requests.Response:
    """A request as it is, whatever comes of it: no library puts the path in order."""
    with requests.Session() as session:
        session.trust_env = False
        prepared = session.prepare_request(requests.Request(method, url.split("?")[0], data=data, headers=headers))
        prepared.url = url
        answer = session.send(prepared, verify=hub.ca, timeout=ANSWER_SECONDS_MAX)
    assert answer.headers["x-amzn-RequestId"], "every answer has a number"
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
    """Inside, the call has to fail with this code, as the typed exception that the SDK has for it, if it has one. What it
    said is told afterwards."""
    typed, told = client.exceptions.from_code(code), {}
    try:
        yield told
    except botocore.exceptions.ClientError as error:
        assert isinstance(error, typed), error
        said = error.response
        assert said["Error"]["Code"] == code, said
        assert text in said["Error"]["Message"], said
        assert said["ResponseMetadata"]["HTTPStatusCode"] == status, said
        assert said["ResponseMetadata"]["RequestId"], said
        told |= said["Error"]
        return
    raise AssertionError(f"no {code}")


def make_its_own(request, **_) -> None:
    request.headers["X-Test-Number"] = str(uuid.uuid4())

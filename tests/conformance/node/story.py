"""Workloads with roles: what an operator sets up at the hub and in the cluster before pods get credentials."""

from __future__ import annotations

import json
import textwrap

import kube
from agent import Agent
from hub import REGION, Hub, unique
from pods import pod

# Of the clusters' tokens for web identities (EKS User Guide, IAM roles for service accounts).
WEB_AUDIENCE = "sts.amazonaws.com"
POD_AUDIENCE = "pods.eks.amazonaws.com"
# Where the published webhook puts the token of Pod Identity, and what it calls the volume.
POD_TOKEN_FOLDER = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
POD_TOKEN_NAME = "eks-pod-identity-token"
POD_TOKEN = f"{POD_TOKEN_FOLDER}/{POD_TOKEN_NAME}"

# Who boto3 is, and where it has its credentials from.
WHO = textwrap.dedent("""
    import boto3, json
    session = boto3.Session()
    found = session.get_credentials()
    identity = session.client("sts").get_caller_identity()
    print(json.dumps({"method": found.method, "arn": identity["Arn"], "key": found.get_frozen_credentials().access_key}))
""")
# Status and body of what the agent answers to a token, from an address of one's own where one is given.
ASK = textwrap.dedent("""
    import http.client, json, sys
    token, source = sys.argv[1], sys.argv[2:]
    connection = http.client.HTTPConnection("169.254.170.23", 80, timeout=5, source_address=(source[0], 0) if source else None)
    try:
        connection.request("GET", "/v1/credentials", headers={"Authorization": token})
        answer = connection.getresponse()
        print(json.dumps([answer.status, answer.read().decode()]))
    except OSError as error:
        print(json.dumps([0, str(error)]))
""")


class Story:
    """A cluster whose pods may have roles of the hub's account."""

    def __init__(self, node, agent: Agent) -> None:
        self.node, self.agent = node, agent
        self.hub: Hub = node.hub
        self.pods = node.pods

    @property
    def cluster_arn(self) -> str:
        return f"arn:aws:eks:{REGION}:{self.hub.account}:cluster/{self.node.cluster.id}"

    def role(self, stem: str, principal: dict, condition: dict, *actions: str) -> tuple[str, str]:
        """A role's name and ARN."""
        statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Condition": condition}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        name = unique(stem)
        made = self.hub.cli("iam", "role", "create", name, "--trust-policy", "-", stdin=document)["value"]
        return name, f"arn:aws:iam::{made['account']}:role{made['path']}{made['name']}"

    def pod_role(self, stem: str = "app") -> tuple[str, str]:
        """One that pods of this cluster alone may have."""
        condition = {"ArnEquals": {"aws:SourceArn": self.cluster_arn}}
        return self.role(
            stem, {"Service": POD_AUDIENCE}, condition, "sts:AssumeRole", "sts:TagSession"
        )

    def web_role(self, issuer: str, subject: str) -> tuple[str, str]:
        """One for the ServiceAccount that an issuer calls so."""
        name = issuer.removeprefix("https://")
        principal = {"Federated": f"arn:aws:iam::{self.hub.account}:oidc-provider/{name}"}
        condition = {"StringEquals": {f"{name}:aud": WEB_AUDIENCE, f"{name}:sub": subject}}
        return self.role("web", principal, condition, "sts:AssumeRoleWithWebIdentity")

    def associate(self, namespace: str, account: str, role: str) -> str:
        words = ("association", "create", self.node.cluster.id, f"{namespace}/{account}", "--role", role)
        return self.hub.cli(*words)["value"]["association"]["id"]

    def run(self, manifest: dict) -> dict:
        return self.pods.run(manifest)

    def who(self, name: str, namespace: str) -> dict:
        """Whom boto3 says that a pod is."""
        return json.loads(self.pods.python(name, namespace, WHO))

    def who_by_cli(self, name: str, namespace: str) -> str:
        """The ARN that the AWS CLI prints there."""
        words = ("aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
        return self.pods.says(name, namespace, *words).strip()

    def ask(self, name: str, namespace: str, token: str, *source: str) -> tuple[int, str]:
        """What the agent answers a pod that shows a token."""
        status, body = json.loads(self.pods.python(name, namespace, ASK, token, *source))
        if status == 200:
            self.hub.secrets.add("a pod's secret access key", json.loads(body)["SecretAccessKey"])
        return status, body

    def token(self, name: str, namespace: str, path: str = POD_TOKEN) -> str:
        token = self.pods.python(name, namespace, f"print(open({path!r}).read())")
        return self.hub.secrets.add("a projected token", token)


def with_token(name: str, namespace: str, account: str, **spec) -> dict:
    """A pod with the token of Pod Identity and nothing that points to it: what the webhook left out is done by hand."""
    source = {"audience": POD_AUDIENCE, "expirationSeconds": 3600, "path": POD_TOKEN_NAME}
    volume = {"name": POD_TOKEN_NAME, "projected": {"sources": [{"serviceAccountToken": source}]}}
    mount = {"name": POD_TOKEN_NAME, "mountPath": POD_TOKEN_FOLDER, "readOnly": True}
    return pod(
        name,
        namespace,
        account,
        labels={"eks.amazonaws.com/skip-pod-identity-webhook": "true"},
        volumes=[volume],
        container={"volumeMounts": [mount]},
        **spec,
    )


def variables(made: dict) -> dict[str, str]:
    """What the API server has in a pod's container, whoever put it there."""
    return {one["name"]: one.get("value", "") for one in made["spec"]["containers"][0].get("env", [])}


def namespaces(*names: str) -> list[dict]:
    return [kube.namespace(name) for name in names]



"""The agent's own client of EKS Auth at a hub's AWS wire, where what it signs is verified: with a node's session, and after its end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import boto3
import botocore.config
import pytest
import requests
from node_agent import Agent
from standins import Standins, pod

from hub import REGION, Hub, Principal, unique
from oidc import Key
from projected import Pod, Signer, push
from tokens import Credentials

NODE, INSTANCE = "node-a", "i-0123456789abcdef0"
NAMESPACE, ACCOUNT = "shop", "cart"
DROPPED_SECONDS_MAX = 20


def policy(**statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@dataclass
class Spoke:
    """A cluster with an association of `shop/cart`, and a machine whose key makes the sessions of its node."""

    hub: Hub
    name: str
    signer: Signer
    role: str
    association: str
    machine: Principal
    caller: Credentials

    def token(self, pod: Pod) -> str:
        return self.hub.secrets.add("a pod's token", self.signer.token(pod))

    def switch(self, word: str) -> None:
        """Sets the machine's key active or inactive."""
        self.hub.cli("iam", "access-key", "update", self.machine.name, self.machine.credentials.access_key_id, word)
        self.hub.settle()

    def who(self, keys: Credentials) -> str:
        """Who the hub's STS says that bears these."""
        sts = boto3.client(
            "sts",
            endpoint_url=self.hub.ready["aws"],
            verify=self.hub.ca,
            region_name=REGION,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret,
            aws_session_token=keys.session_token,
            config=botocore.config.Config(retries={"max_attempts": 2, "mode": "standard"}),
        )
        return sts.get_caller_identity()["Arn"]


@pytest.fixture
def spoke(hub) -> Spoke:
    name = hub.create_cluster("endpoint").id
    signer = Signer(f"https://{name}.example", Key(unique("k")), NODE)
    push(hub, name, signer.issuer, signer.key)
    trust = policy(Principal={"Service": "pods.eks.amazonaws.com"}, Action=["sts:AssumeRole", "sts:TagSession"])
    any_cluster = ("--tag", "lanyard:any-cluster=true")
    made = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", *any_cluster, stdin=trust)["value"]
    role = f"arn:aws:iam::{made['account']}:role{made['path']}{made['name']}"
    hub.settle()
    made = hub.cli("association", "create", name, f"{NAMESPACE}/{ACCOUNT}", "--role", role)["value"]
    machine = hub.create_user("machine")
    nodes = hub.create_role("nodes", trusts=machine.arn)
    may_vend = policy(Action="eks-auth:AssumeRoleForPodIdentity", Resource="*")
    hub.cli("iam", "policy", "put", "vend", "--role", nodes.name, "--document", "-", stdin=may_vend)
    hub.settle()
    bind = ["--role", nodes.arn, "--access-key", machine.credentials.access_key_id]
    hub.cli("node", "set", name, INSTANCE, NODE, *bind)
    caller = hub.assume_role(machine, nodes, INSTANCE)
    hub.settle()
    return Spoke(hub, name, signer, role, made["association"]["id"], machine, caller)


@pytest.fixture
def agent(spoke, start) -> Agent:
    """The agent of that node, which asks the hub as it would ask AWS, and renews after a second."""
    endpoint = ["--endpoint", spoke.hub.ready["aws"], "--endpoint-ca", spoke.hub.ca, "--region", REGION]
    soon = ["--max-credential-retention-before-renewal", "1s"]
    keys = spoke.caller.environment() | {"AWS_EC2_METADATA_DISABLED": "true"}
    return start("--cluster-name", spoke.name, *endpoint, *soon, keys=keys)


def runs(node: Standins, *pods: Pod) -> None:
    """The kubelet has these, each with the host's own address."""
    node.pods([pod(one.uid, host=True, account=one.service_account, namespace=one.namespace) for one in pods])


def get(agent: Agent, token: str) -> requests.Response:
    return requests.get(agent.url, headers={"Authorization": token}, timeout=10)


def keys_of(spoke: Spoke, answer: requests.Response) -> Credentials:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["AccountId"] == spoke.hub.account
    for secret in ("SecretAccessKey", "Token"):
        spoke.hub.secrets.add("a pod's credentials", body[secret])
    return Credentials(body["AccessKeyId"], body["SecretAccessKey"], body["Token"])


def test_a_nodes_key_that_ends_takes_nothing_from_pods_and_an_association_that_ends_does(spoke, agent, node):
    kept, late = (Pod(name, NAMESPACE, ACCOUNT) for name in ("kept", "late"))
    runs(node, kept, late)
    token, token_of_late = spoke.token(kept), spoke.token(late)
    keys = keys_of(spoke, get(agent, token))
    name = spoke.role.rsplit("/", 1)[1]
    session = f"arn:aws:sts::{spoke.hub.account}:assumed-role/{name}/eks-"
    assert spoke.who(keys).startswith(session)

    spoke.switch("--inactive")
    refused = get(agent, token_of_late)
    assert refused.status_code == 403, refused.text
    assert refused.headers["content-type"].startswith("text/plain")
    assert "UnrecognizedClientException" in refused.text
    # Its renewal has met that as well by now.
    time.sleep(3)
    again = keys_of(spoke, get(agent, token))
    assert again.access_key_id == keys.access_key_id, "what was vended is good, and served"
    assert spoke.who(again).startswith(session)

    spoke.switch("--active")
    assert keys_of(spoke, get(agent, token_of_late)).access_key_id != keys.access_key_id
    # No association any more: that is about the pod.
    spoke.hub.cli("association", "delete", spoke.name, spoke.association)
    spoke.hub.settle()
    deadline = time.monotonic() + DROPPED_SECONDS_MAX
    while (dropped := get(agent, token_of_late)).status_code != 404:
        assert time.monotonic() < deadline, dropped.text
        time.sleep(0.2)
    assert "ResourceNotFoundException" in dropped.text


def test_a_signature_that_does_not_fit_is_the_nodes_affair(spoke, start, node):
    """A secret that is another one: 403, and nothing of what was signed is told."""
    one = Pod("one", NAMESPACE, ACCOUNT)
    runs(node, one)
    keys = spoke.caller.environment() | {"AWS_SECRET_ACCESS_KEY": "of-somebody-else", "AWS_EC2_METADATA_DISABLED": "true"}
    endpoint = ["--endpoint", spoke.hub.ready["aws"], "--endpoint-ca", spoke.hub.ca, "--region", REGION]
    agent = start("--cluster-name", spoke.name, *endpoint, keys=keys)
    refused = get(agent, spoke.token(one))
    assert refused.status_code == 403, refused.text
    assert refused.text.strip() == "InvalidSignatureException: status 403"
    assert spoke.caller.session_token not in agent.log.read_text()

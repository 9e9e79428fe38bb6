"""The AWS road, whole: `lanyard associate` prints what a role has to trust and tries it, botocore's `eks-auth` client and the node's
agent hand its credentials out, and an STS on loopback under the trust policy says who they are.

Everything is real but for AWS and the kubelet: the hub is in AWS mode with a user of AWS's, pods have tokens of their cluster's issuer.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from dataclasses import dataclass

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests
from node_agent import Agent
from standins import Standins, pod

from hub import REGION, Hub, Principal, unique
from oidc import Key
from projected import Pod, Signer, push
from road import ACCOUNT, hub_in_aws_mode
from sts_roles import DOWN, THROTTLED, Provider, Role, RoleSts, tags_of
from tokens import Credentials

CLUSTER, NODE, INSTANCE = "dev", "node-a", "i-0123456789abcdef0"
NAMESPACE = "shop"
HOUR = 3600
ROADS = ("hub-principal", "issuer")
TAGS = {
    "eks-cluster-arn",
    "eks-cluster-name",
    "kubernetes-namespace",
    "kubernetes-service-account",
    "kubernetes-pod-name",
    "kubernetes-pod-uid",
}


@dataclass
class Stage:
    """A hub with the cluster `dev`, a node of it that is bound, and AWS."""

    hub: Hub
    sts: RoleSts
    signer: Signer
    caller: Credentials

    def role(self, stem: str = "app", *, seconds_max: int = HOUR) -> Role:
        role = Role(f"arn:aws:iam::{ACCOUNT}:role/team/{unique(stem)}", seconds_max=seconds_max)
        self.sts.roles[role.arn] = role
        return role

    def proposal(self, account: str, role: Role, *flags: str) -> dict:
        words = ("associate", CLUSTER, f"{NAMESPACE}/{account}", "--role", role.arn)
        return self.hub.cli(*words, "--print-trust-policy", *flags)

    def associate(self, account: str, role: Role, road: str = ROADS[0], *flags: str) -> dict:
        """Gives the role the trust policy that is printed for it, makes the provider that this names, and associates it."""
        proposal = self.proposal(account, role, "--road", road)
        assert proposal["aws_road"] == road
        role.trust = json.loads(proposal["trust_policy"])
        if issuer := proposal.get("issuer_url"):
            self.sts.providers[ACCOUNT, issuer] = Provider("sts.amazonaws.com", self.hub.ca)
        words = ("associate", CLUSTER, f"{NAMESPACE}/{account}", "--role", role.arn, "--road", road)
        made = self.hub.cli(*words, *flags)
        assert made["value"]["association"]["aws_road"] == road
        return proposal

    def token(self, pod: Pod, **changed) -> str:
        return self.hub.secrets.add("a pod's token", self.signer.token(pod, **changed))

    @property
    def auth(self):
        """EKS Auth as the node's role has it."""
        return client(self.caller, "eks-auth", self.hub.ready["aws"], self.hub.ca)

    def vend(self, pod: Pod) -> dict:
        return self.auth.assume_role_for_pod_identity(clusterName=CLUSTER, token=self.token(pod))

    def asked(self, role: Role) -> list[dict]:
        """What STS was asked of a role for pods; the hub's tries left out."""
        return [said for said in self.sts.asked if said["RoleArn"] == role.arn and said["RoleSessionName"] != "lanyard-probe"]

    def who(self, credentials: Credentials) -> str:
        """Who AWS says that bears these."""
        return client(credentials, "sts", f"https://{self.sts.host}", str(self.sts.ca)).get_caller_identity()["Arn"]

    @contextlib.contextmanager
    def ill(self, how: object):
        self.sts.ill = how
        try:
            yield
        finally:
            self.sts.ill = None


def client(credentials: Credentials, service: str, url: str, ca: str):
    return boto3.client(
        service,
        endpoint_url=url,
        verify=ca,
        region_name=REGION,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret,
        aws_session_token=credentials.session_token,
        config=botocore.config.Config(retries={"max_attempts": 1, "mode": "standard"}, read_timeout=30),
    )


def keys_of(made: dict) -> Credentials:
    own = made["credentials"]
    return Credentials(own["accessKeyId"], own["secretAccessKey"], own["sessionToken"])


def life(made: dict) -> float:
    return made["credentials"]["expiration"].timestamp() - time.time()


def a_pod(account: str, name: str = "web-1") -> Pod:
    return Pod(name, NAMESPACE, account)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with hub_in_aws_mode(tmp_path_factory.mktemp("road")) as (hub, sts):
        hub.cli("cluster", "create", CLUSTER, "--region", REGION)
        signer = Signer("https://dev.example", Key("k"), NODE)
        push(hub, CLUSTER, signer.issuer, signer.key)
        machine = hub.create_user("machine")
        nodes = hub.create_role("nodes", trusts=machine.arn)
        may_vend(hub, nodes)
        bind = ["--role", nodes.arn, "--access-key", machine.credentials.access_key_id]
        hub.cli("node", "set", CLUSTER, INSTANCE, NODE, *bind)
        yield Stage(hub, sts, signer, hub.assume_role(machine, nodes, INSTANCE))


def may_vend(hub: Hub, role: Principal) -> None:
    statement = {"Effect": "Allow", "Action": "eks-auth:AssumeRoleForPodIdentity", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "vend", "--role", role.name, "--document", "-", stdin=policy)


@pytest.fixture
def agent(stage, start, tmp_path) -> Agent:
    """The node's agent, which asks the hub over gRPC."""
    own = tmp_path / "agents-token"
    own.write_text(stage.hub.secrets.add("an agent's token", stage.signer.agents_token()))
    return start("--hub", stage.hub.ready["grpc"], "--hub-ca", stage.hub.ca, "--token-file", str(own))


def runs(node: Standins, *pods: Pod) -> None:
    """The kubelet has these, each with the host's own address."""
    node.pods([pod(one.uid, host=True, account=one.service_account, namespace=one.namespace) for one in pods])


def get(agent: Agent, token: str) -> requests.Response:
    return requests.get(agent.url, headers={"Authorization": token}, timeout=10)


@pytest.mark.parametrize("road", ROADS)
def test_a_pod_gets_credentials_of_aws_whole_by_eks_auth(stage, road):
    role, account = stage.role(seconds_max=12 * HOUR), unique("bot")
    proposal = stage.associate(account, role, road)
    bot = a_pod(account)
    made = stage.vend(bot)
    assert made["subject"] == {"namespace": NAMESPACE, "serviceAccount": account}
    # They are AWS's own, of this role, for this pod.
    name = role.arn.rsplit("/", 1)[1]
    assert stage.who(keys_of(made)) == made["assumedRoleUser"]["arn"]
    assert made["assumedRoleUser"]["arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/eks-{CLUSTER}-web-1-")
    # A user of AWS's is no session, and the issuer is none: six hours.
    assert 6 * HOUR - 60 < life(made) <= 6 * HOUR
    said = stage.asked(role)[-1]
    assert said["DurationSeconds"] == str(6 * HOUR)
    tags = tags_of(said)
    assert set(tags) == TAGS
    assert (tags["kubernetes-service-account"], tags["kubernetes-pod-uid"]) == (account, bot.uid)
    assert said.get("ExternalId") == proposal.get("external_id")
    assert ("WebIdentityToken" in said) == (road == "issuer")


@pytest.mark.parametrize("road", ROADS)
def test_a_pod_gets_credentials_of_aws_whole_by_the_nodes_agent(stage, agent, node, road, tmp_path, monkeypatch):
    role, account = stage.role(), unique("bot")
    stage.associate(account, role, road)
    bot = a_pod(account)
    runs(node, bot)
    token = stage.token(bot)
    body = get(agent, token)
    assert body.status_code == 200, body.text
    assert body.json()["AccountId"] == ACCOUNT
    # boto3's own provider of container credentials, as it is in pods.
    file = tmp_path / "token"
    file.write_text(token)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    credentials = boto3.Session(region_name=REGION).get_credentials()
    assert credentials.method == "container-role"
    frozen = credentials.get_frozen_credentials()
    own = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
    name = role.arn.rsplit("/", 1)[1]
    assert stage.who(own).startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/eks-{CLUSTER}-web-1-")
    # One session for one pod, whichever door it came by.
    assert keys_of(stage.vend(bot)).access_key_id == own.access_key_id
    assert len(stage.asked(role)) <= 2, "six hours are refused where IAM does not tell, and asked for once"


def test_a_target_role_is_a_second_hop_of_less_than_an_hour(stage):
    role, target, account = stage.role(seconds_max=12 * HOUR), stage.role("data", seconds_max=12 * HOUR), unique("bot")
    stage.associate(account, role, ROADS[0], "--target-role", target.arn)
    statement = {"Effect": "Allow", "Principal": {"AWS": role.arn}, "Action": "sts:AssumeRole"}
    target.trust = {"Version": "2012-10-17", "Statement": [statement]}
    made = stage.vend(a_pod(account))
    assert f":assumed-role/{target.arn.rsplit('/', 1)[1]}/" in stage.who(keys_of(made))
    assert 58 * 60 < life(made) <= 59 * 60, "a session assumes it: an hour at most"
    (first,), (second,) = stage.asked(role), stage.asked(target)
    assert (first["DurationSeconds"], second["DurationSeconds"]) == ("900", "3540")
    assert set(tags_of(first)) == TAGS and tags_of(second) == {}, "the first one's are transitive"
    # It trusts the first role no more.
    target.trust = None
    refused(stage, a_pod(account), "AccessDeniedException", "target_trust")


def test_a_changed_trust_policy_counts_with_the_next_vend(stage):
    role, account = stage.role(), unique("bot")
    stage.associate(account, role)
    stage.vend(a_pod(account))
    role.trust = None
    told = refused(stage, a_pod(account), "AccessDeniedException", "role_trust")
    assert "Unauthorized Exception! EKS does not have permissions to assume the associated role." in told
    explained = json.dumps(stage.hub.explain_decision(told.rsplit("decision ", 1)[1]))
    assert "pod_identity_denied" in explained and "role_trust" in explained


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (None, "aws_external_id_missing"),
        ({"StringLike": {"sts:ExternalId": "lanyard-*"}}, "aws_external_id_any"),
        ({"StringEquals": {"sts:ExternalId": "of-somebody-else"}}, "aws_role_closed"),
    ],
)
def test_immunity_50_a_role_that_does_not_demand_the_external_id_vends_nothing(stage, condition, code):
    role, account = stage.role(), unique("bot")
    # It was not there when the association was written: it is tried before its first use.
    stage.hub.cli("associate", CLUSTER, f"{NAMESPACE}/{account}", "--role", role.arn, "--unprobed")
    good = json.loads(stage.proposal(account, role)["trust_policy"])
    role.trust = json.loads(json.dumps(good))
    for statement in role.trust["Statement"]:
        statement.pop("Condition")
        if condition:
            statement["Condition"] = condition
    refused(stage, a_pod(account), "AccessDeniedException", code)
    assert stage.asked(role) == [], "nothing but tries, which can do nothing"
    role.trust = good
    stage.vend(a_pod(account))


def test_immunity_50_a_role_that_lets_in_all_of_the_issuer_is_refused(stage):
    role, account = stage.role(), unique("bot")
    proposal = stage.proposal(account, role, "--road", "issuer")
    words = ("associate", CLUSTER, f"{NAMESPACE}/{account}", "--role", role.arn, "--road", "issuer")
    stage.sts.providers.pop((ACCOUNT, proposal["issuer_url"]), None)
    role.trust = json.loads(proposal["trust_policy"])
    assert "has no OIDC provider" in stage.hub.refused(*words, code=2)
    stage.sts.providers[ACCOUNT, proposal["issuer_url"]] = Provider("sts.amazonaws.com", stage.hub.ca)
    for statement in role.trust["Statement"]:
        statement.pop("Condition")
    assert "other ServiceAccounts" in stage.hub.refused(*words, code=2)
    stage.associate(account, role, "issuer")


def test_immunity_50_a_role_that_trusts_the_issuer_and_lets_the_hub_in_openly_is_refused(stage):
    role, account = stage.role(), unique("bot")
    issuer, hub = (json.loads(stage.proposal(account, role, "--road", road)["trust_policy"]) for road in ("issuer", "hub-principal"))
    stage.associate(account, role, "issuer")
    words = ("associate", CLUSTER, f"{NAMESPACE}/{unique('bot')}", "--role", role.arn, "--road", "issuer", "--allow-any-cluster")
    for statement in issuer["Statement"]:
        # Any ServiceAccount, so that this one is let in by the issuer.
        statement.pop("Condition")
    opened = [{name: value for name, value in statement.items() if name != "Condition"} for statement in hub["Statement"]]
    role.trust = issuer | {"Statement": [*issuer["Statement"], *opened]}
    assert "without an external id" in stage.hub.refused(*words, code=2)
    role.trust = issuer | {"Statement": [*issuer["Statement"], *hub["Statement"]]}
    stage.hub.cli(*words)


@pytest.mark.parametrize(
    ("ill", "error", "statuses"),
    [
        (THROTTLED, "ThrottlingException", {429}),
        (DOWN, "ServiceUnavailableException", {503}),
        ("slow", "ServiceUnavailableException", {500, 503}),
    ],
)
def test_an_sts_that_does_not_answer_refuses_nobody_and_what_is_kept_is_served(stage, agent, node, ill, error, statuses):
    role, account = stage.role(), unique("bot")
    stage.associate(account, role)
    kept, new = a_pod(account, "kept"), a_pod(account, "new")
    runs(node, kept, new)
    token = stage.token(kept)
    made, by_agent = stage.vend(kept), get(agent, token).json()
    with stage.ill(ill):
        refused(stage, new, error, "")
        # Who has some keeps it: at the hub by the pod, though it has another token by now, and at the agent.
        assert keys_of(stage.vend(kept)) == keys_of(made)
        assert get(agent, token).json() == by_agent
        assert get(agent, stage.token(new)).status_code in statuses
    # It is no refusal: nothing of it is kept.
    deadline = time.monotonic() + 20
    while True:
        try:
            assert f":assumed-role/{role.arn.rsplit('/', 1)[1]}/" in stage.who(keys_of(stage.vend(new)))
            break
        except botocore.exceptions.ClientError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def refused(stage: Stage, pod: Pod, code: str, text: str) -> str:
    """What a pod's node is told; it has to be this error."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        stage.vend(pod)
    said = error.value.response["Error"]
    assert said["Code"] == code, said
    assert text in said["Message"], said
    return said["Message"]

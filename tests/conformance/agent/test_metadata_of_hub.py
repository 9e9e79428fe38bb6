"""The roads to a hub's own STS, as AWS's tools have them: who a pod is and the tags of its session, by the instance-metadata road and by
container credentials, and how the SDK goes on across the end of what it was given."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
from dataclasses import dataclass

import boto3
import botocore.credentials
import botocore.exceptions
import botocore.httpsession
import botocore.session
import botocore.utils
import pytest
import requests
from node_agent import Agent
from standins import pod, project

import kube
from hub import AUTHN_SETTINGS, REGION, YES, Hub, unique
from oidc import Issuer, Key
from projected import Pod, Signer, push

NODE, NAMESPACE, ACCOUNT = "node-a", "shop", "cart"
# A pod is an address of loopback here.
ADDRESS = "127.0.0.2"
# Seconds for an answer: a busy machine is no failure.
PATIENCE = 20
COMMAND_SECONDS_MAX = 60
HOUR = 3600
# An agent that renews gets something new, however soon it asks again; and an issuer of web identities may be on this machine.
SETTINGS = AUTHN_SETTINGS | {"LANYARD_CREDENTIALS__VEND__KEPT_SECONDS": "0"}
ENDED = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)


@dataclass
class House:
    """A hub's cluster with one pod that has a role, and the agent of its node."""

    hub: Hub
    cluster: str
    pod: Pod
    role: str
    agent: Agent
    token_file: pathlib.Path
    association: str

    @property
    def relay(self) -> dict[str, str]:
        """What a pod is told that knows no STS but the relay of its node's agent, and nobody who vouches for the hub."""
        return {"AWS_ENDPOINT_URL_STS": self.agent.about["credentials"][0], "AWS_CA_BUNDLE": ""}

    @property
    def its_own(self) -> str:
        """How the ARN of the pod's session begins."""
        return f"arn:aws:sts::{self.hub.account}:assumed-role/{self.role}/eks-{self.cluster}-{self.pod.name}-"

    def is_the_pods(self, session: boto3.Session) -> None:
        """It is the pod's role, with the pod's tags and no others."""
        sts, iam = self.client(session, "sts"), self.client(session, "iam")
        assert sts.get_caller_identity()["Arn"].startswith(self.its_own)
        assert "Users" in iam.list_users(), "its tags are the pod's"
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            iam.list_roles()
        assert refused.value.response["Error"]["Code"] == "AccessDenied", "and no others"

    def session(self) -> boto3.Session:
        """boto3 with botocore's own provider, in which nothing is changed but the address that its connections come from."""

        class Bound(botocore.httpsession.URLLib3Session):
            def __init__(self, *arguments, **more):
                super().__init__(*arguments, **more)
                self._manager.connection_pool_kw["source_address"] = (ADDRESS, 0)

        how = {"timeout": PATIENCE, "num_attempts": 3, "env": {}, "config": {"ec2_metadata_v1_disabled": True}}
        fetcher = botocore.utils.InstanceMetadataFetcher(base_url=self.agent.about["metadata"][0] + "/", **how)
        fetcher._session = Bound(timeout=PATIENCE)
        own = botocore.session.Session()
        own._credentials = botocore.credentials.InstanceMetadataProvider(iam_role_fetcher=fetcher).load()
        return boto3.Session(botocore_session=own, region_name=REGION)

    def client(self, session: boto3.Session, service: str):
        return session.client(service, endpoint_url=self.hub.ready["aws"], verify=self.hub.ca)

    def keys(self, session: boto3.Session) -> botocore.credentials.ReadOnlyCredentials:
        keys = session.get_credentials().get_frozen_credentials()
        self.hub.secrets.add("a pod's secret access key", keys.secret_key)
        self.hub.secrets.add("a pod's session token", keys.token)
        return keys


    def whoami(self, folder: pathlib.Path, **told: str) -> dict:
        """What `lanyard whoami` says that is told no more than this and where the hub's STS is."""
        own = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_REGION": REGION}
        own |= {"AWS_ENDPOINT_URL_STS": self.hub.ready["aws"], "AWS_CA_BUNDLE": self.hub.ca}
        command = [os.environ["LANYARD_BIN"], "whoami", "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=own | told, check=False)
        assert done.returncode == YES, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    def says_whose_and_how_long(self, said: dict) -> None:
        who = said["identity"]
        assert who["arn"].startswith(self.its_own) and who["kind"] == "role session", said
        left = (datetime.datetime.fromisoformat(who["expires_at"].replace("Z", "+00:00")) - now()).total_seconds()
        assert 0 < left <= HOUR, said
        (note,) = [note for note in said["notes"] if note.startswith("they last ")]
        # Whole minutes of what was left, which is less by now.
        assert left // 60 <= int(note.split()[2]) <= HOUR // 60, (note, left)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def document(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def where(**tags: str) -> dict:
    """A condition on the tags of whoever calls."""
    return {"StringEquals": {f"aws:PrincipalTag/{key.replace('_', '-')}": value for key, value in tags.items()}}


def role_of_pods(hub: Hub, cluster: str, pod: Pod) -> tuple[str, str]:
    """A role whose sessions may list users where they are this pod's, and roles where they are of another namespace; its name and ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    any_cluster = ("--tag", "lanyard:any-cluster=true")
    name = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", *any_cluster, stdin=document(trust))["value"]["name"]
    its_own = where(
        eks_cluster_name=cluster,
        kubernetes_namespace=pod.namespace,
        kubernetes_service_account=pod.service_account,
        kubernetes_pod_name=pod.name,
        kubernetes_pod_uid=pod.uid,
    )
    others = where(kubernetes_namespace="elsewhere")
    may = document(
        {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": its_own},
        {"Effect": "Allow", "Action": "iam:ListRoles", "Resource": "*", "Condition": others},
    )
    hub.cli("iam", "policy", "put", "tagged", "--role", name, "--document", "-", stdin=may)
    return name, f"arn:aws:iam::{hub.account}:role/{name}"


@pytest.fixture
def house(new_hub, start, node, tmp_path) -> House:
    hub = new_hub("metadata", settings=SETTINGS).start()
    cluster = hub.create_cluster("metadata").id
    signer = Signer(f"https://{cluster}.example", Key(unique("k")), NODE)
    push(hub, cluster, signer.issuer, signer.key)
    own = Pod("old-1", NAMESPACE, ACCOUNT)
    name, arn = role_of_pods(hub, cluster, own)
    made = hub.cli("association", "create", cluster, f"{NAMESPACE}/{ACCOUNT}", "--role", arn)["value"]
    node.pods([pod(own.uid, ADDRESS, account=ACCOUNT, namespace=NAMESPACE)])
    folder = tmp_path / "pods"
    token_file = folder / own.uid / "volumes/kubernetes.io~projected/eks-pod-identity-token/eks-pod-identity-token"
    project(folder, own.uid, hub.secrets.add("a pod's token", signer.token(own)))
    agents_token, config = tmp_path / "agents-token", tmp_path / "own.toml"
    agents_token.write_text(hub.secrets.add("an agent's token", signer.agents_token()))
    # Any port: what redirects to the fixed one is the network's affair. At the second address whoever says nothing else comes from
    # another one than that, as pods do.
    config.write_text('[imds]\nport = 0\nlisten = ["127.0.0.2:0"]\n')
    agent = start(
        *("--cluster-name", cluster, "--hub", hub.ready["grpc"], "--hub-ca", hub.ca, "--token-file", str(agents_token)),
        *("--imds-namespace", NAMESPACE, "--manage-addresses", "false", "--imds-manage-rules", "false"),
        *("--pods-folder", str(folder), "--config", str(config), "--region", REGION),
        *("--max-credential-retention-before-renewal", "1s", "--hub-sts", hub.ready["aws"]),
    )
    return House(hub, cluster, own, name, agent, token_file, made["association"]["id"])


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch, tmp_path):
    """Nothing of whoever runs the tests has credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(pathlib.Path(tmp_path) / "none"))


def test_boto3_is_its_pod_with_its_tags_and_goes_on_across_the_end_of_its_credentials(house):
    session = house.session()
    found = session.get_credentials()
    assert found.method == "iam-role"
    first = house.keys(session)
    left = (found._expiry_time - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert HOUR - 60 < left <= HOUR, "the role's maximum"
    house.is_the_pods(session)
    assert house.keys(session) == first, "what is good is not asked for again"

    def next_ones() -> bool:
        # As if their time were over: the next use asks the metadata service, which the agent has renewed for meanwhile.
        found._expiry_time = ENDED
        return house.keys(session).access_key != first.access_key

    kube.wait_for("the agent's renewal", next_ones, PATIENCE)
    assert (found._expiry_time - datetime.datetime.now(datetime.timezone.utc)).total_seconds() > HOUR - 300
    house.is_the_pods(session)
    # What was given before is good to its own end.
    before = boto3.Session(first.access_key, first.secret_key, first.token, region_name=REGION)
    assert house.client(before, "sts").get_caller_identity()["Arn"].startswith(house.its_own)


def test_boto3_and_the_aws_cli_are_their_pod_with_its_tags_by_container_credentials(house, node, tmp_path, monkeypatch):
    """Unmodified, and told what the webhook puts into pods. They come from the node's own address, as in a pod with the node's network."""
    node.pods([pod(house.pod.uid, host=True, account=ACCOUNT, namespace=NAMESPACE)])
    told = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": house.agent.url,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(house.token_file),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": REGION,
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(region_name=REGION)
    found = session.get_credentials()
    assert found.method == "container-role"
    house.keys(session)
    left = (found._expiry_time - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert HOUR - 60 < left <= HOUR, "the role's maximum"
    house.is_the_pods(session)

    def by_cli(*words: str) -> subprocess.CompletedProcess:
        own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_CA_BUNDLE": house.hub.ca}
        command = [os.environ["AWS_CLI"], "--endpoint-url", house.hub.ready["aws"], "--output", "json", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=told | own, check=False)

    who, users, roles = by_cli("sts", "get-caller-identity"), by_cli("iam", "list-users"), by_cli("iam", "list-roles")
    assert who.returncode == 0 and json.loads(who.stdout)["Arn"].startswith(house.its_own), who.stderr
    assert users.returncode == 0 and "Users" in json.loads(users.stdout), users.stderr
    assert roles.returncode != 0 and "AccessDenied" in roles.stderr, roles.stderr


def test_whoami_says_whose_credentials_a_container_has_and_for_how_long(house, node, tmp_path):
    node.pods([pod(house.pod.uid, host=True, account=ACCOUNT, namespace=NAMESPACE)])
    told = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": house.agent.url,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(house.token_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    # The agent has them from here on: what is asked below waits no longer than an SDK does.
    assert requests.get(house.agent.url, headers={"Authorization": house.token_file.read_text()}, timeout=PATIENCE).status_code == 200
    said = house.whoami(tmp_path, **told)
    assert said["source"] == "container", said
    house.says_whose_and_how_long(said)
    assert any("lanyard association list" in note for note in said["notes"]), said


def container(house: House, node) -> dict[str, str]:
    """What the webhook tells the pod, which has its credentials from here on."""
    node.pods([pod(house.pod.uid, host=True, account=ACCOUNT, namespace=NAMESPACE)])
    answer = requests.get(house.agent.url, headers={"Authorization": house.token_file.read_text()}, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    for secret in ("SecretAccessKey", "Token"):
        house.hub.secrets.add("a pod's credentials", answer.json()[secret])
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": house.agent.url,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(house.token_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def is_told_its_policies(house: House, said: dict, role: str) -> dict:
    """The role's statements, without any permission for it."""
    assert said["identity"]["sts"] == house.agent.about["credentials"][0], said
    may = said["permissions"]
    assert (may["owner_kind"], may["owner"], may["outcome"], may["not_told"]) == ("role", role, "listed", None), may
    assert (may["policies"], [policy["name"] for policy in may["documents"]]) == (["tagged"], ["tagged"]), may
    return may


def test_whoami_behind_the_relay_says_by_which_statements_a_pods_credentials_are_weighed(house, node, tmp_path):
    said = house.whoami(tmp_path, **container(house, node), **house.relay)
    house.says_whose_and_how_long(said)
    may = is_told_its_policies(house, said, house.role)
    first, second = may["documents"][0]["statements"]
    assert (first["effect"], first["actions"], first["resources"]) == ("Allow", ["iam:ListUsers"], ["*"])
    assert len(first["condition_keys"]) == 5 and "aws:PrincipalTag/kubernetes-pod-uid" in first["condition_keys"]
    assert second["condition_keys"] == ["aws:PrincipalTag/kubernetes-namespace"]
    assert may["session_policy"] == "none"
    line = "`tagged` allows iam:ListRoles on *, depending on aws:PrincipalTag/kubernetes-namespace"
    assert line in said["notes"], said


def test_whoami_behind_the_relay_shows_the_session_policy_of_the_pods_association(house, node, tmp_path):
    narrowing = document({"Sid": "Narrow", "Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"})
    words = (house.cluster, house.association, "--disable-session-tags", "true", "--policy", "-")
    house.hub.cli("association", "update", *words, stdin=narrowing)
    said = house.whoami(tmp_path, **container(house, node), **house.relay)
    may = is_told_its_policies(house, said, house.role)
    assert json.loads(may["session_policy"]["document"]) == json.loads(narrowing)
    statement = {"sid": "Narrow", "effect": "Allow", "actions": ["iam:ListUsers"], "resources": ["*"]}
    assert may["session_policy"]["statements"] == [statement]
    assert any("both have to allow a call" in note for note in said["notes"]), said
    assert "the session policy (`Narrow`) allows iam:ListUsers on *" in said["notes"], said


def test_whoami_behind_the_relay_says_by_which_statements_a_web_identity_is_weighed(house, tmp_path, tmp_path_factory):
    """The relay passes the exchange of the token, and then what the session asks of itself."""
    hub = house.hub
    issuer = Issuer(tmp_path_factory.mktemp("irsa"), path=f"/{unique('irsa')}").start()
    try:
        hub.cli("iam", "oidc-provider", "create", issuer.url, "--client-id", "sts.amazonaws.com", "--ca-bundle", str(issuer.ca))
        name = issuer.url.removeprefix("https://")
        subject = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{hub.account}:oidc-provider/{name}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{name}:aud": "sts.amazonaws.com", f"{name}:sub": subject}},
        }
        role = hub.cli("iam", "role", "create", unique("irsa"), "--trust-policy", "-", stdin=document(trust))["value"]["name"]
        may = document({"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"})
        hub.cli("iam", "policy", "put", "tagged", "--role", role, "--document", "-", stdin=may)
        token = tmp_path / "web-identity"
        token.write_text(hub.secrets.add("a web identity token", issuer.token(aud="sts.amazonaws.com", sub=subject)))
        told = {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ROLE_ARN": f"arn:aws:iam::{hub.account}:role/{role}",
            "AWS_ROLE_SESSION_NAME": "app",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        said = house.whoami(tmp_path, **told, **house.relay)
    finally:
        issuer.stop()
    assert (said["source"], said["identity"]["kind"]) == ("web-identity", "role session"), said
    assert is_told_its_policies(house, said, role)["session_policy"] == "none"
    assert "`tagged` allows iam:ListUsers on *" in said["notes"], said


def test_whoami_says_whose_credentials_the_metadata_service_has_and_for_how_long(house, node, tmp_path):
    # Linux comes to all of loopback from 127.0.0.1, which is the pod's address here.
    node.pods([pod(house.pod.uid, "127.0.0.1", account=ACCOUNT, namespace=NAMESPACE)])
    _, second = house.agent.about["metadata"]
    begun = requests.put(f"{second}/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}, timeout=PATIENCE)
    session = {"X-aws-ec2-metadata-token": begun.text}
    role = requests.get(f"{second}/latest/meta-data/iam/security-credentials/", headers=session, timeout=PATIENCE)
    assert (role.status_code, role.text) == (200, house.role)
    said = house.whoami(tmp_path, AWS_EC2_METADATA_SERVICE_ENDPOINT=second)
    assert said["source"] == "instance-metadata", said
    house.says_whose_and_how_long(said)

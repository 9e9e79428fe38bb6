"""The way out at a real API server: it signs with a key that Lanyard made, tells pods of roles by the webhook, and its pods' tokens open
roles of the hub."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from dataclasses import dataclass

import pytest
import requests

import kube
from cluster import Cluster
from hub import REGION, Hub, unique

AUDIENCE = "sts.amazonaws.com"
SEEN_SECONDS_MAX = 20
# A provider's URL may have a port where its host is named: this hub listens on one of its own.
SETTINGS = {"LANYARD_AUTHN__OIDC__PRIVATE_HOSTS": '["127.0.0.1"]'}
# Namespaces by what becomes of their pods while the hub is away.
USUAL, REQUIRED, OFF = "team-a", "payments", "sandbox"


@dataclass
class World:
    """A hub, a cluster of it, and that cluster's API server."""

    hub: Hub
    cluster: Cluster
    server: kube.ApiServer
    issuer: str
    role: str

    def create(self, name: str, where: str, account: str, **spec) -> subprocess.CompletedProcess:
        """A pod, as kubectl makes it."""
        container = {"name": "app", "image": "app"}
        spec = {"serviceAccountName": account, "containers": [container]} | spec
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": where}, "spec": spec}
        return self.server.kubectl("create", "-f", "-", token=self.server.admin_token, stdin=json.dumps(pod))

    def pod(self, name: str, where: str = USUAL) -> dict:
        return json.loads(self.server.admin("get", "pod", name, "-n", where, "-o", "json"))

    def made(self, name: str, account: str, where: str = USUAL, **spec) -> dict:
        done = self.create(name, where, account, **spec)
        assert done.returncode == 0, done.stderr
        return self.pod(name, where)

    def token(self, pod: str, account: str, audience: str = AUDIENCE) -> str:
        """The token that the kubelet would put into the pod."""
        words = ["create", "token", account, "-n", USUAL, "--audience", audience]
        token = self.server.admin(*words, "--bound-object-kind", "Pod", "--bound-object-name", pod).strip()
        return self.hub.secrets.add("a pod's token", token)


def service_account(name: str, where: str, **annotations: str) -> dict:
    metadata = {"name": name, "namespace": where, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def labelled(name: str, value: str) -> dict:
    return kube.namespace(name) | {"metadata": {"name": name, "labels": {"lanyard.dev/pod-identity": value}}}


def role_for(hub: Hub, issuer: str, subject: str) -> str:
    """A role that trusts one ServiceAccount of the issuer."""
    hub.cli("iam", "oidc-provider", "create", issuer, "--client-id", AUDIENCE)
    name = issuer.removeprefix("https://")
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{hub.account}:oidc-provider/{name}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{name}:aud": AUDIENCE, f"{name}:sub": subject}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", stdin=policy)["value"]
    return f"arn:aws:iam::{hub.account}:role/{made['name']}"


def kubeconfig(server: kube.ApiServer, path: pathlib.Path) -> pathlib.Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server.url, "certificate-authority-data": _base64(server.ca)}}],
        "users": [{"name": "u", "user": {"token": server.admin_token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def _base64(path: pathlib.Path) -> str:
    import base64

    return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Everything as an operator sets it up, with what the commands write and show."""
    folder = tmp_path_factory.mktemp("identity")
    hub = Hub(folder / "hub", settings=SETTINGS).start()
    etcd = server = None
    try:
        cluster = hub.create_cluster("identity")
        issuer = hub.cli("cluster", "issuer", "generate", cluster.id, "--out", str(folder / "issuer"))
        admission = hub.cli("cluster", "admission-config", cluster.id, "--out", str(folder / "admission"))
        etcd = kube.start_etcd(folder / "etcd")
        flags = ["--authorization-mode=RBAC", *admission["flags"]]
        server = kube.start(folder / "server", etcd, flags, issuer_flags=issuer["flags"])
        hub.secrets.add("the stage hand's token", server.admin_token)
        role = role_for(hub, issuer["issuer_url"], f"system:serviceaccount:{USUAL}:irsa")
        annotated = {"eks.amazonaws.com/role-arn": role}
        objects = [kube.namespace(USUAL), labelled(REQUIRED, "required"), labelled(OFF, "off")]
        objects += [service_account("irsa", where, **annotated) for where in (USUAL, REQUIRED, OFF)]
        objects += [service_account("associated", USUAL), service_account("plain", USUAL), service_account("plain", REQUIRED)]
        server.admin("apply", "-f", "-", stdin=kube.objects(*objects))
        add = ["cluster", "add", cluster.id, "--kubeconfig", str(kubeconfig(server, folder / "spoke.kubeconfig"))]
        hub.cli(*add, "--out", str(folder / "files"), "--region", REGION)
        associate(hub, cluster)
        world = World(hub, cluster, server, issuer["issuer_url"], role)
        kube.wait_for("the watch", lambda: knows(world, "irsa"), SEEN_SECONDS_MAX)
        server.admin("apply", "-f", str(folder / "admission/mutating-webhook.yaml"))
        kube.wait_for("the webhook", lambda: is_asked(world), SEEN_SECONDS_MAX)
        yield world
    finally:
        kube.stop(server.process if server else None)
        kube.stop(etcd.process if etcd else None)
        hub.stop()
    hub.assert_no_leaks()


def associate(hub: Hub, cluster: Cluster) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = hub.cli("iam", "role", "create", unique("pods"), "--trust-policy", "-", stdin=policy)["value"]
    arn = f"arn:aws:iam::{hub.account}:role/{made['name']}"
    hub.cli("association", "create", cluster.id, f"{USUAL}/associated", "--role", arn, "--allow-any-cluster")


def knows(world: World, account: str) -> bool:
    listed = world.hub.cli("workload", "service-accounts", world.cluster.id, "--namespace", USUAL)
    return account in [one["name"] for one in listed]


def is_asked(world: World) -> bool:
    """The API server takes a moment to notice a webhook."""
    name = unique("probe")
    done = world.create(name, USUAL, "irsa")
    return done.returncode == 0 and bool(variables(world.pod(name)))


def variables(pod: dict, of: str = "containers") -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod["spec"][of][0].get("env", [])}


def test_the_issuer_that_the_api_server_signs_for_is_the_one_that_the_hub_serves(world):
    own = json.loads(world.server.admin("get", "--raw", "/.well-known/openid-configuration"))
    with requests.Session() as session:
        session.trust_env = False
        served = session.get(f"{world.issuer}/.well-known/openid-configuration", verify=world.hub.ca, timeout=10).json()
        keys = session.get(served["jwks_uri"], verify=world.hub.ca, timeout=10).json()["keys"]
    assert (own["issuer"], own["jwks_uri"]) == (served["issuer"], served["jwks_uri"])
    theirs = json.loads(world.server.admin("get", "--raw", "/openid/v1/jwks"))["keys"]
    identity = lambda key: (key["kid"], key["n"], key["e"])  # noqa: E731
    assert [identity(key) for key in keys] == [identity(key) for key in theirs]
    described = world.hub.cli("workload", "issuer", world.cluster.id)
    assert (described["issuer_url"], described["irsa_obstacle"]) == (world.issuer, None)


def test_a_pod_of_an_annotated_service_account_gets_what_irsa_needs(world):
    pod = world.made(unique("irsa"), "irsa", initContainers=[{"name": "init", "image": "init"}])
    for containers in ("containers", "initContainers"):
        found = variables(pod, containers)
        assert found["AWS_ROLE_ARN"] == world.role
        assert found["AWS_WEB_IDENTITY_TOKEN_FILE"].endswith("/token")
        assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == REGION
        assert found["AWS_ENDPOINT_URL_STS"] == "http://169.254.170.23"
        mounts = [mount["name"] for mount in pod["spec"][containers][0]["volumeMounts"]]
        assert "aws-iam-token" in mounts
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    source = volumes["aws-iam-token"]["projected"]["sources"][0]["serviceAccountToken"]
    assert source == {"audience": AUDIENCE, "expirationSeconds": 86400, "path": "token"}


def test_a_pod_with_an_association_gets_what_pod_identity_needs(world):
    pod = world.made(unique("associated"), "associated")
    assert variables(pod)["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.23/v1/credentials"
    assert pod["metadata"]["labels"]["eks.amazonaws.com/pod-identity"] == "enabled"
    assert not variables(world.made(unique("plain"), "plain"))


def test_a_service_account_that_is_made_with_its_pod_is_not_missed(world):
    name = unique("late")
    account = service_account(name, USUAL, **{"eks.amazonaws.com/role-arn": world.role})
    world.server.admin("apply", "-f", "-", stdin=kube.objects(account))
    assert variables(world.made(name, name))["AWS_ROLE_ARN"] == world.role


def test_an_ephemeral_container_gets_the_same_and_nothing_else_is_touched(world):
    name = unique("debugged")
    before = world.made(name, "irsa")
    words = ["debug", name, "-n", USUAL, "--image=busybox", "--container=tool", "--profile=general", "--attach=false"]
    world.server.admin(*words)
    after = world.pod(name)
    tool = after["spec"]["ephemeralContainers"][0]
    assert {one["name"]: one["value"] for one in tool["env"]}["AWS_ROLE_ARN"] == world.role
    assert "aws-iam-token" in [mount["name"] for mount in tool["volumeMounts"]]
    assert after["spec"]["containers"] == before["spec"]["containers"]


def test_a_namespace_may_want_none_of_it_and_a_pod_too(world):
    assert not variables(world.made(unique("off"), "irsa", OFF))
    name = unique("skipped")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": USUAL, "labels": {"eks.amazonaws.com/skip-pod-identity-webhook": ""}},
        "spec": {"serviceAccountName": "irsa", "containers": [{"name": "app", "image": "app"}]},
    }
    world.server.admin("create", "-f", "-", stdin=json.dumps(pod))
    assert not variables(world.pod(name))


def aws(world: World, *words: str) -> subprocess.CompletedProcess:
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.server.folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CA_BUNDLE": world.hub.ca,
        "AWS_REGION": REGION,
    }
    command = [os.environ["AWS_CLI"], "--endpoint-url", world.hub.ready["aws"], "--output", "json", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables)


def test_a_pods_token_opens_its_role_by_the_aws_cli_and_no_other(world):
    pod, other = unique("irsa"), unique("plain")
    world.made(pod, "irsa")
    world.made(other, "plain")

    def assume(token: str) -> subprocess.CompletedProcess:
        words = ["--role-arn", world.role, "--role-session-name", "app", "--web-identity-token", token]
        return aws(world, "sts", "assume-role-with-web-identity", *words)

    done = assume(world.token(pod, "irsa"))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    for name in ("SecretAccessKey", "SessionToken"):
        world.hub.secrets.add(f"a session's {name}", answer["Credentials"][name])
    assert answer["AssumedRoleUser"]["Arn"].endswith("/app")
    assert answer["SubjectFromWebIdentityToken"] == f"system:serviceaccount:{USUAL}:irsa"
    for token, error in (
        (world.token(other, "plain"), "AccessDenied"),
        (world.token(pod, "irsa", "somebody-else"), "InvalidIdentityToken"),
    ):
        refused = assume(token)
        assert refused.returncode != 0 and error in refused.stderr, refused.stderr


def test_with_the_hub_away_pods_are_made_without_but_where_a_namespace_asks_for_none(world):
    """Last, for the hub does not come back."""
    assert world.create(unique("before"), REQUIRED, "plain").returncode == 0
    world.hub.stop()
    assert not variables(world.made(unique("away"), "irsa"))
    refused = world.create(unique("away"), REQUIRED, "plain")
    assert refused.returncode != 0 and "required.pods.lanyard.dev" in refused.stderr, refused.stderr

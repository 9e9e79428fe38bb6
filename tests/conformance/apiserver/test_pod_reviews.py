"""A pod's end at a real API server counts at the hub itself, with the agent passed by: its node is proven, its token is signed and good
by the clock, and it gets nothing."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass

import pytest

import kube
from databases import own_database
from hub import REGION, Hub, audit_line, unique
from spokes import Spoke, new_namespace, new_spoke, nobody_is_mapped, seen
from stack import Stack
from tokens import Credentials

AUDIENCE = "pods.eks.amazonaws.com"
POSTGRES = os.environ.get("LANYARD_TEST_POSTGRES_URL")
# What an API server says of a token counts for no time at the hub; it is asked about each.
VENDING = {"LANYARD_CREDENTIALS__VEND__POD_REVIEWED_SECONDS": "0"}
# The watch looks each moment whether it may ask.
WATCHING = {"LANYARD_SPOKE__ISSUER_SECONDS": "1"}
# An API server keeps its own word on a token that it found good for 10 s (kube-apiserver, TokenSuccessCacheTTL).
FORGOTTEN_SECONDS_MAX = 30


@dataclass
class World:
    """A cluster of a hub with an API server of its own, a node whose key the hub knows, and an association of `bot`."""

    spoke: Spoke
    namespace: str
    node: str
    caller: Credentials

    @property
    def hub(self) -> Hub:
        return self.spoke.hub

    @property
    def server(self) -> kube.ApiServer:
        return self.spoke.server

    def pod(self, name: str) -> None:
        """A pod as one that the scheduler has put on the node; no kubelet has to run it."""
        spec = {"serviceAccountName": "bot", "nodeName": self.node, "containers": [{"name": "app", "image": "app"}]}
        metadata = {"name": name, "namespace": self.namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.server.admin("create", "-f", "-", stdin=json.dumps(pod))

    def end(self, name: str) -> None:
        """Without a kubelet nobody else takes its object away."""
        self.server.admin("delete", "pod", name, "-n", self.namespace, "--force", "--grace-period=0")

    def token(self, pod: str) -> str:
        """The token that the kubelet would put into the pod."""
        words = ["create", "token", "bot", "-n", self.namespace, "--audience", AUDIENCE]
        token = self.server.admin(*words, "--bound-object-kind", "Pod", "--bound-object-name", pod).strip()
        return self.hub.secrets.add("a pod's token", token)

    def ask(self, token: str) -> subprocess.CompletedProcess:
        """EKS Auth, as the published agent asks it with its node's session."""
        variables = {
            "PATH": f"{os.path.dirname(os.environ['AWS_CLI'])}:{os.environ['PATH']}",
            "HOME": str(self.hub.folder),
            "AWS_CA_BUNDLE": self.hub.ca,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        } | self.caller.environment()
        command = [os.environ["AWS_CLI"], "--endpoint-url", self.hub.ready["aws"], "--output", "json"]
        command += ["eks-auth", "assume-role-for-pod-identity", "--cluster-name", self.spoke.cluster.id, "--token", token]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables)

    def vended(self, token: str) -> str:
        """The session's ARN."""
        done = self.ask(token)
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        for secret in ("secretAccessKey", "sessionToken"):
            self.hub.secrets.add("a pod's credentials", made["credentials"][secret])
        return made["assumedRoleUser"]["arn"]

    def confirmed(self, token: str) -> str | None:
        """The same; None where nobody has confirmed that the pod is there."""
        session = self.vended(token)
        line = self.audited(session)
        return session if 'unconfirmed=""' in line or '"unconfirmed":""' in line else None

    def refused(self, token: str) -> str | None:
        """Why a token gets nothing; None where it gets something."""
        done = self.ask(token)
        return done.stderr if done.returncode else None

    def audited(self, session: str) -> str:
        """The line of the log about a vend."""
        lines = [line for line in self.hub.log().splitlines() if "a pod was vended credentials" in line and session in line]
        assert lines, f"no audit line about {session}"
        return lines[-1]


@pytest.fixture(params=["one process", "separate processes"])
def hub(request, tmp_path):
    if request.param == "one process":
        hub = Hub(tmp_path / "hub", settings=VENDING | WATCHING)
    elif POSTGRES:
        settings = ["credentials:{}={}".format(*setting) for setting in VENDING.items()]
        settings += ["spoke:{}={}".format(*setting) for setting in WATCHING.items()]
        hub = Stack(tmp_path / "stack", store=own_database(POSTGRES), replicas=1, settings=settings)
    else:
        pytest.skip("separate services share a PostgreSQL")
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
    hub.assert_no_leaks()


def furnished(spoke: Spoke) -> World:
    """What an operator sets up for the pods of a cluster."""
    hub, server, name = spoke.hub, spoke.server, spoke.cluster.id
    namespace, node = new_namespace(server), unique("node")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bot", "namespace": namespace}}
    machine_object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
    server.admin("apply", "-f", "-", stdin=kube.objects(account, machine_object))
    role = role_of_pods(hub)
    hub.cli("association", "create", name, f"{namespace}/bot", "--role", role, "--allow-any-cluster")
    machine = hub.create_user("machine")
    nodes = hub.create_role("nodes", trusts=machine.arn)
    may_vend = {"Effect": "Allow", "Action": "eks-auth:AssumeRoleForPodIdentity", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may_vend]})
    hub.cli("iam", "policy", "put", "vend", "--role", nodes.name, "--document", "-", stdin=document)
    instance = "i-0123456789abcdef0"
    bound = ["--role", nodes.arn, "--access-key", machine.credentials.access_key_id]
    hub.cli("node", "set", name, instance, node, *bound)
    caller = hub.assume_role(machine, nodes, instance)
    seen("the issuer's keys", lambda: hub.run("workload", "issuer", name).returncode == 0)
    seen("the ServiceAccount", lambda: "bot" in spoke.service_accounts(namespace))
    hub.settle()
    return World(spoke, namespace, node, caller)


def role_of_pods(hub: Hub) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": AUDIENCE}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", stdin=policy)["value"]
    return f"arn:aws:iam::{hub.account}:role/{made['name']}"


def reviews_pods(spoke: Spoke) -> bool | None:
    return (spoke.describe()["spoke"]["watch"] or {}).get("reviews_pods")


def immunity_48_a_pod_that_is_gone_gets_nothing_at_the_hub_itself(hub, servers, tmp_path):
    nobody_is_mapped(servers[0])
    spoke, _ = new_spoke(hub, servers[0], tmp_path / "spoke")
    seen("whether pods are reviewed", lambda: reviews_pods(spoke))
    world = furnished(spoke)
    world.pod("mortal")
    shown, other, never_shown = (world.token("mortal") for _ in range(3))
    # Separate services find each other within seconds; until then nobody asks.
    session = seen("a vend to a pod that is there, says its API server", lambda: world.confirmed(shown))
    assert "/eks-" in session and world.confirmed(other)

    world.end("mortal")
    # The agent is passed by: the node is proven, and signature, audience and dates of the token are as good as before.
    told = world.refused(never_shown)
    assert told and "ExpiredTokenException" in told and "refuses the token" in told, told
    assert never_shown not in told
    line = audit_line(hub, never_shown, "a pod was vended nothing")
    assert "pod_token_expired" in line and spoke.cluster.id in line, line
    # So is one that has been vended to, whose credentials the hub still keeps for its pod.
    for token in (shown, other):
        memory = "the end of the API server's own memory"
        told_later = kube.wait_for(memory, lambda token=token: world.refused(token), FORGOTTEN_SECONDS_MAX)
        assert "ExpiredTokenException" in told_later, told_later
    if not isinstance(hub, Stack):
        decision = told.rsplit("decision ", 1)[1].split()[0]
        explained = json.dumps(hub.explain_decision(decision))
        assert "pod_token_expired" in explained and "refuses the token" in explained, explained

    # Another pod of the same name is another one, and gets what it should.
    world.pod("mortal")
    assert "ExpiredTokenException" in world.refused(never_shown)
    assert world.vended(world.token("mortal")) != session


def test_where_the_hub_may_not_ask_it_says_so_and_vends_by_the_token_until_it_may(hub, servers, tmp_path):
    server = servers[0]
    nobody_is_mapped(server)
    watcher = unique("watcher")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": watcher, "namespace": "default"}}
    rbac = kube.rule("get list watch", "roles clusterroles rolebindings clusterrolebindings", kube.RBAC_GROUP)
    core = kube.rule("get list watch", "serviceaccounts configmaps")
    issuer = {"nonResourceURLs": ["/.well-known/openid-configuration", "/openid/v1/jwks"], "verbs": ["get"]}
    user = f"system:serviceaccount:default:{watcher}"
    granted = [account, kube.cluster_role(watcher, rbac, core, issuer), kube.bound(watcher, watcher, user, "User")]
    server.admin("apply", "-f", "-", stdin=kube.objects(*granted))
    token = hub.secrets.add("the watch's token", server.admin("create", "token", watcher).strip())
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        file = kube.kubeconfig(server, pathlib.Path(folder) / "spoke.kubeconfig", token=token)
        name = unique("spoke")
        words = ["cluster", "add", name, "--kubeconfig", str(file), "--out", str(tmp_path / "files"), "--region", REGION]
        uid = hub.cli(*words)["uid"]
        spoke = Spoke(hub, hub.cluster({"id": name, "uid": uid}), server, tmp_path)
        seen("that pods are not reviewed", lambda: reviews_pods(spoke) is False)
        again = hub.run(*words, output=None)
        assert again.returncode == 0 and "may not `create` `tokenreviews`" in again.stdout, again.stdout + again.stderr

    world = furnished(spoke)
    world.pod("unasked")
    asked = world.token("unasked")
    line = world.audited(world.vended(asked))
    assert "`create` `tokenreviews` of `authentication.k8s.io`" in line, line
    world.end("unasked")
    world.vended(asked)

    reviews = kube.rule("create", "tokenreviews", "authentication.k8s.io")
    server.admin("apply", "-f", "-", stdin=kube.objects(kube.cluster_role(watcher, rbac, core, issuer, reviews)))
    seen("that pods are reviewed", lambda: reviews_pods(spoke))
    # It was left alone for a moment, after the refusals.
    seen("the end of the pod", lambda: world.refused(asked))
    assert "ExpiredTokenException" in world.refused(asked)

"""Stock kubectl against Lanyard alone, with `lanyard token` as its exec plugin."""

import json
import os
import subprocess
import textwrap

import pytest
import yaml

COMMAND_SECONDS_MAX = 60


class Person:
    """Somebody with a kubeconfig of `lanyard kubeconfig` and keys in the environment."""

    def __init__(self, hub, cluster, credentials, folder):
        self.hub, self.credentials, self.folder = hub, credentials, folder
        done = hub.run("kubeconfig", cluster.id, output=None)
        assert done.returncode == 0, done.stderr
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(done.stdout)

    def kubectl(self, *words: str) -> subprocess.CompletedProcess:
        folder = os.path.dirname(os.environ["LANYARD_BIN"])
        environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig),
        }
        environment |= {
            "KUBECTL_KUBERC": "false",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | self.credentials.environment()
        done = subprocess.run(
            [os.environ["KUBECTL"], *words],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env=environment,
        )
        assert not self.hub.secrets.seen_in(done.stdout + done.stderr)
        return done

    def said(self, *words: str) -> str:
        done = self.kubectl(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def may(self, *words: str) -> bool:
        """`kubectl auth can-i`: by word and by exit code."""
        done = self.kubectl("auth", "can-i", *words)
        word = done.stdout.split()[0] if done.stdout.split() else done.stderr
        assert (word, done.returncode) in (("yes", 0), ("no", 1)), (words, done.stdout, done.stderr)
        return word == "yes"


RBAC = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: config-reader}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list]}
- {apiGroups: [apps], resources: [deployments/scale], verbs: [update]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [list]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: devs-read-config}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: config-reader}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}
"""


@pytest.fixture(scope="module")
def world(hub):
    cluster = hub.create_cluster("stock", "--authorizer-mode", "full")
    ana = hub.create_user("ana")
    cluster.entry(ana, groups=["devs"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    hub.cli("rbac", "apply", cluster.id, "-f", "-", stdin=RBAC)
    return cluster, ana


@pytest.fixture
def ana(hub, world, tmp_path):
    return Person(hub, world[0], world[1].credentials, tmp_path)


def test_a_kubeconfig_holds_no_secret_and_calls_lanyard_token(hub, world, ana):
    text = ana.kubeconfig.read_text()
    assert not hub.secrets.seen_in(text)
    execute = yaml.safe_load(text)["users"][0]["user"]["exec"]
    assert execute["args"][0] == "token" and world[0].id in execute["args"]
    assert execute["args"][-2:] == ["--ready-file", str(hub.ready_file)], "where AWS tools find nobody, the hub's administrator is"
    assert execute["apiVersion"] == "client.authentication.k8s.io/v1"
    done = hub.run("kubeconfig", world[0].id, "--server", "https://kube.example:6443", output=None)
    assert "no CA is known for `https://kube.example:6443`" in done.stderr, done.stderr
    handed_out = yaml.safe_load(done.stdout)
    assert "--ready-file" not in handed_out["users"][0]["user"]["exec"]["args"], "another machine has no such file"


def test_whoami(world, ana):
    cluster, user = world
    told = json.loads(ana.said("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert told["username"] == user.arn
    assert told["groups"] == ["devs", "system:authenticated"]
    assert told["uid"] == f"aws-iam-authenticator:{cluster.hub.account}:{user.principal_id}"
    assert told["extra"]["arn"] == [user.arn]
    assert not any("proof" in key for key in told["extra"]), "the proof is for API servers, not for screens"
    table = ana.said("auth", "whoami")
    assert user.arn in table and "system:authenticated" in table


def test_can_i_by_access_policy_and_by_rbac(ana):
    for words, expected in [
        (["list", "pods", "-n", "team-a"], True),
        (["get", "pods/web-0", "-n", "team-a"], True),
        (["get", "pods", "--subresource=log", "-n", "team-a"], True),
        (["watch", "deployments.apps", "-n", "team-a"], True),
        (["list", "pods", "-n", "team-b"], False),
        (["list", "pods", "--all-namespaces"], False),
        (["delete", "pods", "-n", "team-a"], False),
        (["get", "secrets", "-n", "team-a"], False),
        (["list", "configmaps", "-n", "anywhere"], True),
        (["list", "configmaps", "--all-namespaces"], True),
        (["update", "deployments.apps", "--subresource=scale", "-n", "anywhere"], True),
        (["update", "deployments.apps", "-n", "anywhere"], False),
        (["update", "deploy", "--subresource=scale", "-n", "anywhere"], True),
        (["list", "cm", "-n", "anywhere"], True),
        (["list", "crds"], True),
        (["list", "csr"], False),
        (["get", "/metrics"], True),
        (["get", "/logs"], False),
    ]:
        assert ana.may(*words) is expected, words


def test_can_i_list_names_rules_of_both(ana):
    table = ana.said("auth", "can-i", "--list", "-n", "team-a")
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    assert "get" in rows["configmaps"] and "list" in rows["configmaps"]
    assert "watch" in rows["pods"], table
    assert "/metrics" in table
    elsewhere = ana.said("auth", "can-i", "--list", "-n", "team-b")
    assert "configmaps" in elsewhere and "pods/log" not in elsewhere


def test_whoever_is_not_mapped_is_unauthorized(hub, world, tmp_path):
    stranger = Person(hub, world[0], hub.create_user("stranger").credentials, tmp_path)
    done = stranger.kubectl("auth", "whoami")
    assert done.returncode == 1 and "Unauthorized" in done.stderr, done.stderr
    assert "unmapped" in done.stderr


def test_a_session_is_somebody_too(hub, world, tmp_path):
    cluster, user = world
    role = hub.create_role("viewer", trusts=user.arn)
    cluster.entry(role, policy="AmazonEKSClusterAdminPolicy")
    session = Person(hub, cluster, hub.assume_role(user, role, "ana-at-work"), tmp_path)
    told = json.loads(session.said("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert told["extra"]["sessionname"] == ["ana-at-work"]
    assert session.may("delete", "nodes") and session.may("*", "*")


def test_a_block_counts_at_the_next_command(hub, world, tmp_path):
    cluster, _ = world
    ben = hub.create_user("ben")
    cluster.entry(ben, groups=["devs"])
    person = Person(hub, cluster, ben.credentials, tmp_path)
    assert person.may("list", "configmaps")
    block = hub.cli("block", "create", "--cluster", cluster.id, "--principal", ben.arn, "--reason", "left")[
        "value"
    ]
    done = person.kubectl("auth", "can-i", "list", "configmaps")
    assert done.returncode == 1 and "blocked" in done.stderr, done.stderr
    hub.cli("block", "delete", block["id"], "--cluster", cluster.id)
    assert person.may("list", "configmaps")


def immunity_24_kubectl_as_somebody_else_is_refused_by_name(ana):
    for flags in (["--as=system:admin"], ["--as=x", "--as-group=system:masters"], ["--as=x", "--as-uid=1"]):
        done = ana.kubectl(*flags, "auth", "can-i", "list", "pods", "-n", "team-a")
        assert done.returncode == 1 and "yes" not in done.stdout, done.stdout
        assert "header `impersonate-" in done.stderr and "--as" in done.stderr, done.stderr
        # Here kubectl has words of its own for a 403.
        assert ana.kubectl(*flags, "auth", "whoami").returncode == 1


def test_what_is_not_served_says_where_to_go(ana):
    done = ana.kubectl("get", "pods")
    assert done.returncode == 1
    where = "Lanyard answers `kubectl auth whoami` and `kubectl auth can-i`, a cluster's API server the rest"
    assert where in done.stderr, textwrap.shorten(done.stderr, 500)

"""The story through the AWS wire: cluster, people, role and entries by `aws` commands only, `aws eks update-kubeconfig`, and then stock
kubectl with `aws eks get-token` at a real kube-apiserver, allowed and refused."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass

import pytest
import yaml

import kube
from hub import REGION, Hub, unique
from tokens import Credentials

COMMAND_SECONDS_MAX = 60
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


@dataclass
class Aws:
    """The AWS CLI for one caller. Of STS it knows the hub only where it is told to, by `--endpoint-url`: what `get-token` signs is a
    request to AWS's own."""

    hub: Hub
    credentials: Credentials

    def environment(self) -> dict[str, str]:
        url = self.hub.ready["aws"]
        return {
            "PATH": f"{os.path.dirname(os.environ['AWS_CLI'])}:{os.environ['PATH']}",
            "AWS_CA_BUNDLE": self.hub.ca,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_EKS": url,
            "AWS_ENDPOINT_URL_IAM": url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            **self.credentials.environment(),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess:
        environment = self.environment() | {"HOME": str(self.hub.folder)}
        command = [os.environ["AWS_CLI"], *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=environment)

    def __call__(self, *words: str):
        done = self.run(*words, "--output", "json")
        assert done.returncode == 0, done.stderr
        self.hub.settle()
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode != 0, done.stdout
        return done.stderr


class Stage:
    """A cluster of which the AWS CLI has made everything, and its API server."""

    def __init__(self, hub: Hub, aws: Aws) -> None:
        self.hub, self.aws, self.name = hub, aws, unique("aws")
        role = aws("iam", "create-role", "--role-name", unique("cluster"), "--assume-role-policy-document", TRUST_EKS)
        made = aws(
            *("eks", "create-cluster", "--name", self.name, "--role-arn", role["Role"]["Arn"]),
            *("--resources-vpc-config", "subnetIds=subnet-1,subnet-2"),
            *("--access-config", "authenticationMode=API,bootstrapClusterCreatorAdminPermissions=true"),
        )["cluster"]
        assert made["status"] == "ACTIVE"
        aws("eks", "wait", "cluster-active", "--name", self.name)

    def person(self, stem: str, *statements: dict) -> Person:
        """A user with a key, who may look at the cluster, and what else is said."""
        name = unique(stem)
        arn = self.aws("iam", "create-user", "--user-name", name)["User"]["Arn"]
        key = self.aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
        secret = self.hub.secrets.add("a user's secret access key", key["SecretAccessKey"])
        look = {"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [look, *statements]})
        words = ("iam", "put-user-policy", "--user-name", name, "--policy-name", "own", "--policy-document", document)
        self.aws(*words)
        return Person(self, arn, Aws(self.hub, Credentials(key["AccessKeyId"], secret)))

    def entry(self, arn: str, *scope: str) -> None:
        own = ("--cluster-name", self.name, "--principal-arn", arn)
        self.aws("eks", "create-access-entry", *own)
        if scope:
            self.aws("eks", "associate-access-policy", *own, "--policy-arn", VIEW, "--access-scope", *scope)


TRUST_EKS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


@dataclass
class Person:
    """Somebody with keys, and the kubeconfig that the AWS CLI writes for them."""

    stage: Stage
    arn: str
    aws: Aws

    def update_kubeconfig(self, folder: pathlib.Path) -> pathlib.Path:
        path = folder / f"{unique('kubeconfig')}.yaml"
        done = self.aws.run("eks", "update-kubeconfig", "--name", self.stage.name, "--kubeconfig", str(path))
        assert done.returncode == 0, done.stderr
        return path

    def kubectl(self, kubeconfig: pathlib.Path, *words: str, **more: str) -> subprocess.CompletedProcess:
        environment = self.aws.environment() | more
        done = self.stage.server.kubectl(*words, kubeconfig=kubeconfig, environment=environment)
        assert not self.stage.hub.secrets.seen_in(done.stdout + done.stderr)
        return done


@pytest.fixture(scope="module")
def stage(hub, tmp_path_factory):
    """The API server is the cluster operator's, who gives it the hub's files; where it is, the hub is told once."""
    stage = Stage(hub, Aws(hub, hub.administrator()))
    out = tmp_path_factory.mktemp("files") / "webhook"
    hub.cli("cluster", "webhook-config", stage.name, "--out", str(out))
    for path in out.glob("*.kubeconfig"):
        for token in re.findall(r"token: [\"']?([^\s\"']+)", path.read_text()):
            hub.secrets.add("a webhook file's token", token)
    lines = [line.strip() for line in (out / "flags.txt").read_text().splitlines()]
    flags = [line.rstrip("\\").strip() for line in lines if line.startswith("--")]
    etcd = kube.start_etcd(tmp_path_factory.mktemp("etcd"))
    try:
        server = kube.start(tmp_path_factory.mktemp("aws"), etcd, flags)
        try:
            objects = kube.objects(kube.namespace("team-a"), kube.config_map("settings", "team-a"))
            server.admin("apply", "-f", "-", stdin=objects)
            where = ("--endpoint", server.url, "--certificate-authority", str(server.ca))
            hub.cli("cluster", "update", stage.name, *where)
            stage.server = server
            yield stage
        finally:
            kube.stop(server.process)
    finally:
        kube.stop(etcd.process)


GET = ("get", "configmap", "settings", "-n", "team-a", "-o", "jsonpath={.data.a}")


def test_a_user_whom_the_aws_cli_lets_in_reads_by_kubectl_and_writes_not(stage, tmp_path):
    ana = stage.person("ana")
    stage.entry(ana.arn, "type=namespace,namespaces=team-a")
    kubeconfig = ana.update_kubeconfig(tmp_path)
    written = yaml.safe_load(kubeconfig.read_text())
    assert written["clusters"][0]["cluster"]["server"] == stage.server.url
    assert written["users"][0]["user"]["exec"]["command"] == "aws", "nothing of Lanyard's is on this machine"
    done = ana.kubectl(kubeconfig, *GET)
    assert (done.returncode, done.stdout) == (0, "b"), done.stderr
    done = ana.kubectl(kubeconfig, "auth", "whoami", "-o", "json")
    assert json.loads(done.stdout)["status"]["userInfo"]["username"] == ana.arn
    done = ana.kubectl(kubeconfig, "delete", "configmap", "settings", "-n", "team-a")
    assert done.returncode == 1 and "Forbidden" in done.stderr, done.stderr
    done = ana.kubectl(kubeconfig, "get", "configmaps", "-n", "default")
    assert done.returncode == 1 and "Forbidden" in done.stderr, done.stderr


def test_who_has_no_entry_is_nobody_and_who_lost_it_is_refused_at_once(stage, tmp_path):
    ben = stage.person("ben")
    kubeconfig = ben.update_kubeconfig(tmp_path)
    done = ben.kubectl(kubeconfig, *GET)
    assert done.returncode == 1 and "Unauthorized" in done.stderr, done.stderr
    stage.entry(ben.arn, "type=cluster")
    assert ben.kubectl(kubeconfig, *GET).stdout == "b"
    stage.aws("eks", "delete-access-entry", "--cluster-name", stage.name, "--principal-arn", ben.arn)
    done = ben.kubectl(kubeconfig, *GET)
    # As the API server has it: denied where it still knows the token, and nobody where it asks anew.
    assert done.returncode == 1 and not done.stdout, done.stdout
    assert "Forbidden" in done.stderr or "Unauthorized" in done.stderr, done.stderr


def test_a_role_that_is_assumed_by_the_aws_cli_opens_what_it_may(stage, tmp_path):
    name = unique("deployer")
    cid = stage.person("cid", {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::*:role/{name}"})
    statement = {"Effect": "Allow", "Principal": {"AWS": cid.arn}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    words = ("iam", "create-role", "--role-name", name, "--assume-role-policy-document", trust)
    role = stage.aws(*words)["Role"]["Arn"]
    look = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": "*"}]}
    words = ("iam", "put-role-policy", "--role-name", name, "--policy-name", "look", "--policy-document", json.dumps(look))
    stage.aws(*words)
    stage.entry(role, "type=cluster")
    url = ("--endpoint-url", stage.hub.ready["aws"])
    made = cid.aws("sts", "assume-role", "--role-arn", role, "--role-session-name", "night", *url)["Credentials"]
    secret = stage.hub.secrets.add("a session's secret access key", made["SecretAccessKey"])
    token = stage.hub.secrets.add("a session token", made["SessionToken"])
    session = Person(stage, role, Aws(stage.hub, Credentials(made["AccessKeyId"], secret, token)))
    kubeconfig = session.update_kubeconfig(tmp_path)
    done = session.kubectl(kubeconfig, *GET)
    assert (done.returncode, done.stdout) == (0, "b"), done.stderr
    # She herself is not the role.
    done = cid.kubectl(kubeconfig, *GET)
    assert done.returncode == 1 and "Unauthorized" in done.stderr, done.stderr
    # With one URL for all services the token names the hub as its STS, which it is to its own keys; and nobody else is.
    for url, code in [(stage.hub.ready["aws"], 0), (stage.hub.ready["gateway"], 1), ("https://sts.example", 1)]:
        done = session.kubectl(kubeconfig, *GET, AWS_ENDPOINT_URL=url)
        assert done.returncode == code and (code == 0 or "Unauthorized" in done.stderr), (url, done.stderr)


def test_what_the_aws_cli_may_not_it_is_told(stage):
    dan = stage.person("dan")
    own = ("--cluster-name", stage.name, "--principal-arn", dan.arn)
    assert "AccessDeniedException" in dan.aws.refused("eks", "create-access-entry", *own)
    assert "AccessDenied" in dan.aws.refused("iam", "create-role", "--role-name", "x", "--assume-role-policy-document", "{}")
    assert "ResourceNotFoundException" in stage.aws.refused("eks", "describe-access-entry", *own)

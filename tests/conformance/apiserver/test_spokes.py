"""Spoke clusters that are watched, with real API servers: what kubectl changes there decides here."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import tomllib
import uuid
from dataclasses import dataclass

import pytest
import requests

import kube
from cluster import Cluster
from hub import NO, NO_ANSWER, REGION, USAGE, Hub, Principal, unique
from proxy import Proxy
from stack import Stack

# A change that kubectl has made is in force here within this time.
SEEN_SECONDS_MAX = 20
# Changes in a row, as fast as they go.
FLOOD = 200
OTHER_ACCOUNT = "222233334444"
# What the first API server calls itself, as any does by itself; and the second.
IN_CLUSTER_ISSUER = "https://kubernetes.default.svc"
OWN_ISSUER = "https://issuer.example/second"


@dataclass
class Spoke:
    """A cluster of the hub, and its API server, which knows nothing of the hub."""

    hub: Hub
    cluster: Cluster
    server: kube.ApiServer
    folder: pathlib.Path

    def add(self, *flags: str, **choices) -> dict:
        return self.hub.cli(*add(self.server, self.folder, self.cluster.id), *flags, **choices)

    def describe(self) -> dict:
        return self.hub.cli("cluster", "describe", self.cluster.id)

    def aws_auth(self, text: str | None) -> None:
        """What `kubectl edit` does; None deletes the ConfigMap."""
        if text is None:
            self.server.admin("delete", "configmap", "aws-auth", "-n", "kube-system")
            return
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "aws-auth", "namespace": "kube-system"},
            "data": {"mapUsers": text},
        }
        self.server.admin("apply", "-f", "-", stdin=json.dumps(config_map))

    def service_accounts(self, namespace: str) -> dict[str, dict]:
        """Those that the hub knows, by name."""
        listed = self.hub.cli("workload", "service-accounts", self.cluster.id, "--namespace", namespace)
        return {account["name"]: account for account in listed}

    def issuer(self) -> dict:
        return self.hub.cli("workload", "issuer", self.cluster.id)

    def watch(self) -> dict:
        return self.describe()["spoke"]["watch"]

    def revision(self) -> int:
        """The cluster's on the hub: what it has already is applied again, which is no change."""
        known = self.hub.cli("rbac", "list", self.cluster.id)[0]
        words = ("rbac", "apply", self.cluster.id, "--file", "-")
        return self.hub.cli(*words, stdin=json.dumps(known))["revision"]

    def apply(self, *objects: dict) -> None:
        self.server.admin("apply", "-f", "-", stdin=kube.objects(*objects))

    def groups(self, who: Principal) -> list[str] | None:
        """The groups that somebody has here; None for who is not let in."""
        status = self.cluster.token_review(self.cluster.token(who))["status"]
        return status["user"].get("groups", []) if status["authenticated"] else None

    def may(self, who: Principal, verb: str, resource: str = "configmaps") -> bool:
        user = self.cluster.log_in(who)
        return self.cluster.verdict(user, verb=verb, resource=resource, namespace="default")[0] == "allowed"


def seen(what: str, check):
    return kube.wait_for(what, check, SEEN_SECONDS_MAX)


def line(user: Principal, *groups: str) -> str:
    return f"- userarn: {user.arn}\n  username: {user.name}\n  groups: [{', '.join(groups)}]\n"


def kubeconfig(server: kube.ApiServer, path: pathlib.Path, **user) -> pathlib.Path:
    """A kubeconfig of the stage hand, with everything written out, unless `user` says otherwise."""
    authority = base64.b64encode(server.ca.read_bytes()).decode()
    cluster = {"server": server.url, "certificate-authority-data": authority}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {"token": server.admin_token}}],
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "a",
    }
    path.write_text(json.dumps(config))
    return path


def add(server: kube.ApiServer, folder: pathlib.Path, name: str) -> list[str]:
    file = kubeconfig(server, folder / "spoke.kubeconfig")
    return [
        *("cluster", "add", name, "--kubeconfig", str(file), "--out", str(folder / "files")),
        *("--region", REGION, "--authorizer-mode", "full"),
    ]


@pytest.fixture(scope="module")
def etcd(tmp_path_factory):
    etcd = kube.start_etcd(tmp_path_factory.mktemp("etcd"))
    yield etcd
    kube.stop(etcd.process)


@pytest.fixture(scope="module")
def servers(etcd, tmp_path_factory):
    """Two API servers with nothing but their own RBAC."""
    started = []
    try:
        for name, issuer in (("first", IN_CLUSTER_ISSUER), ("second", OWN_ISSUER)):
            folder = tmp_path_factory.mktemp(name)
            started.append(kube.start(folder, etcd, ["--authorization-mode=RBAC"], issuer))
        yield started
    finally:
        for server in started:
            kube.stop(server.process)


def new_spoke(hub: Hub, server: kube.ApiServer, folder: pathlib.Path, **choices) -> tuple[Spoke, dict]:
    """Adds a cluster to a hub by its kubeconfig, as a person does."""
    hub.secrets.add("the stage hand's token", server.admin_token)
    folder.mkdir(parents=True, exist_ok=True)
    name = unique("spoke")
    added = hub.cli(*add(server, folder, name), **choices)
    cluster = hub.cluster({"id": name, "uid": added["uid"]}, **choices)
    return Spoke(hub, cluster, server, folder), added


@pytest.fixture
def spoke(new_hub, servers, tmp_path):
    """A cluster of a hub of its own, with nobody in it."""
    server = servers[0]
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    server.admin("delete", "clusterrolebinding", "readers", "--ignore-not-found")
    return new_spoke(new_hub().start(), server, tmp_path / "spoke")[0]


READERS = (
    kube.cluster_role("reader", kube.rule("get list", "configmaps")),
    kube.bound("readers", "reader", "devs"),
)


def test_one_command_registers_a_cluster_whole_and_run_again_changes_nothing(new_hub, servers, tmp_path):
    hub = new_hub().start()
    spoke, added = new_spoke(hub, servers[0], tmp_path / "spoke")
    assert added["registration"] == "created" and added["files_are"] == "written", added
    assert "reviews tokens" in added["check"], added
    assert any(flag.startswith("--authentication-token-webhook-config-file=") for flag in added["flags"])
    assert all(pathlib.Path(file).stat().st_mode & 0o777 == 0o600 for file in added["files"])
    watch = added["spoke"]["watch"]
    assert watch["fault"] is None and watch["objects"] > 10 and watch["listed_at"], watch
    assert watch["aws_auth"] == "missing" and watch["aws_auth_missing_since"], watch
    again = spoke.add()
    assert again["registration"] == "unchanged" and again["files_are"] == "kept", again
    same = ("uid", "credential", "kubeconfig_version", "files", "flags")
    assert {key: again[key] for key in same} == {key: added[key] for key in same}
    told = hub.run("cluster", "describe", spoke.cluster.id, output=None).stdout
    assert "spoke.watch.holder" in told and spoke.server.admin_token not in told


def test_a_kubeconfig_that_would_run_something_is_refused_by_name(new_hub, servers, tmp_path):
    hub, touched = new_hub().start(), tmp_path / "touched"
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(touched)]}
    file = kubeconfig(servers[0], tmp_path / "bad.kubeconfig", exec=program)
    words = ["cluster", "add", "bad", "--kubeconfig", str(file), "--region", REGION, "--out", str(tmp_path / "x")]
    why = hub.refused(*words, code=USAGE)
    assert "users[u].user.exec" in why and "runs no command" in why, why
    assert not touched.exists()
    assert hub.cli("cluster", "list") == []


def test_what_kubectl_changes_there_decides_here(spoke):
    ana = spoke.hub.create_user("ana")
    assert spoke.groups(ana) is None
    spoke.aws_auth(line(ana, "devs"))
    seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
    assert not spoke.may(ana, "get")
    spoke.apply(*READERS)
    seen("the binding", lambda: spoke.may(ana, "get"))
    assert not spoke.may(ana, "delete")
    spoke.apply(kube.cluster_role("reader", kube.rule("get list delete", "configmaps")))
    seen("the changed role", lambda: spoke.may(ana, "delete"))
    # As in Kubernetes, a binding gives another role only where it is made anew.
    spoke.server.admin("delete", "clusterrolebinding", "readers")
    spoke.apply(kube.cluster_role("nothing"), kube.bound("readers", "nothing", "devs"))
    seen("another role by the same binding", lambda: not spoke.may(ana, "get"))
    spoke.server.admin("delete", "clusterrolebinding", "readers")
    spoke.apply(*READERS)
    seen("the binding again", lambda: spoke.may(ana, "get"))
    spoke.server.admin("delete", "clusterrolebinding", "readers")
    seen("the binding's end", lambda: not spoke.may(ana, "get"))


def test_a_bad_aws_auth_and_a_deleted_one_leave_the_last_good_one_in_force_and_show(spoke):
    ana = spoke.hub.create_user("ana")
    spoke.aws_auth(line(ana, "devs"))
    seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
    good = spoke.describe()["aws_auth"]
    assert good["rejected"] is None and good["in_force_since"]
    spoke.aws_auth("- userarn: [\n")
    bad = seen("the fault", lambda: (state := spoke.describe()["aws_auth"])["rejected"] and state)
    assert bad["in_force"] == good["in_force"] and bad["rejected_since"]
    assert any(finding["fatal"] and finding["line"] > 0 for finding in bad["findings"]), bad
    assert spoke.groups(ana) == ["devs"]
    spoke.aws_auth(line(ana, "ops"))
    seen("the mended mapping", lambda: spoke.groups(ana) == ["ops"])
    spoke.aws_auth(None)
    watch = seen("the deletion", lambda: (w := spoke.describe()["spoke"]["watch"])["aws_auth"] == "missing" and w)
    assert watch["aws_auth_missing_since"]
    assert spoke.groups(ana) == ["ops"]
    spoke.aws_auth(line(ana, "back"))
    seen("the ConfigMap again", lambda: spoke.groups(ana) == ["back"])
    assert spoke.describe()["spoke"]["watch"]["aws_auth_missing_since"] is None or seen(
        "that it is there", lambda: spoke.describe()["spoke"]["watch"]["aws_auth"] == "present"
    )


def test_a_cluster_that_changes_all_the_time_is_taken_once_a_second(spoke):
    ana = spoke.hub.create_user("ana")
    spoke.aws_auth(line(ana, "devs"))
    seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
    before, begun = spoke.describe()["aws_auth"]["in_force"], time.monotonic()
    url = spoke.server.url + "/api/v1/namespaces/kube-system/configmaps/aws-auth"
    with requests.Session() as session:
        session.verify, session.trust_env = str(spoke.server.ca), False
        session.headers.update(
            {
                "Authorization": f"Bearer {spoke.server.admin_token}",
                "Content-Type": "application/merge-patch+json",
            }
        )
        for n in range(FLOOD):
            change = {"data": {"mapUsers": line(ana, f"group-{n}")}}
            assert session.patch(url, json=change, timeout=30).ok
    seen("the last change", lambda: spoke.groups(ana) == [f"group-{FLOOD - 1}"])
    versions = spoke.describe()["aws_auth"]["in_force"] - before
    assert versions <= time.monotonic() - begun + 2 and versions < FLOOD / 2, versions


def test_what_happens_while_nobody_looks_is_seen_afterwards_and_nothing_twice(spoke):
    hub, ana = spoke.hub, spoke.hub.create_user("ana")
    namespace = new_namespace(spoke.server)
    spoke.server.admin("create", "serviceaccount", "bot", "-n", namespace)
    seen("the ServiceAccount", lambda: "bot" in spoke.service_accounts(namespace))
    spoke.aws_auth(line(ana, "devs"))
    spoke.apply(*READERS)
    seen("mapping and binding", lambda: spoke.groups(ana) == ["devs"] and spoke.may(ana, "get"))
    issuer = seen("the issuer", lambda: hub.run("workload", "issuer", spoke.cluster.id).returncode == 0 and spoke.issuer())
    before = spoke.describe()
    # Paused: the connections stay, and what they bring waits.
    hub._process.send_signal(signal.SIGSTOP)
    spoke.server.admin("delete", "clusterrolebinding", "readers")
    time.sleep(1)
    hub._process.send_signal(signal.SIGCONT)
    seen("what was deleted meanwhile", lambda: not spoke.may(ana, "get"))
    spoke.apply(*READERS)
    seen("the binding again", lambda: spoke.may(ana, "get"))
    # Killed: another replica takes over when the lease has ended, and lists anew.
    hub._process.kill()
    hub._process.wait()
    hub._process = None
    spoke.server.admin("delete", "clusterrolebinding", "readers")
    spoke.server.admin("delete", "serviceaccount", "bot", "-n", namespace)
    spoke.server.admin("create", "serviceaccount", "later", "-n", namespace)
    # Listeners are on other ports now.
    hub.start()
    spoke.cluster.__dict__.pop("_session", None)
    kube.wait_for("the next holder", lambda: spoke.describe()["spoke"]["watch"]["holder"] != holder(before), 40)
    seen("what was deleted meanwhile", lambda: not spoke.may(ana, "get"))
    seen("ServiceAccounts", lambda: list(spoke.service_accounts(namespace)) == ["later"])
    assert spoke.issuer() == issuer, "the same keys are no new ones"
    after = spoke.describe()
    assert after["aws_auth"]["in_force"] == before["aws_auth"]["in_force"], "the same map is no new version"
    assert after["spoke"]["kubeconfig"] == before["spoke"]["kubeconfig"]


def holder(described: dict) -> str:
    return described["spoke"]["watch"]["holder"]


def new_namespace(server: kube.ApiServer) -> str:
    """Nobody takes it away: that is the controller manager's work, which there is not."""
    name = unique("team")
    server.admin("create", "namespace", name)
    return name


def header_of(token: str) -> dict:
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_service_accounts_of_a_cluster_are_known_here_as_kubectl_changes_them(spoke):
    server = spoke.server
    namespace = new_namespace(server)
    known = lambda: spoke.service_accounts(namespace)  # noqa: E731
    server.admin("create", "serviceaccount", "bot", "-n", namespace)
    first = seen("the ServiceAccount", lambda: known().get("bot"))
    there = json.loads(server.admin("get", "serviceaccount", "bot", "-n", namespace, "-o", "json"))
    assert first["uid"] == there["metadata"]["uid"] and first["annotations"] == {}, first
    role = f"arn:aws:iam::{spoke.hub.account}:role/bot"
    annotations = (f"eks.amazonaws.com/role-arn={role}", "example.com/other=x")
    server.admin("annotate", "serviceaccount", "bot", "-n", namespace, *annotations)
    seen("the annotation", lambda: known()["bot"]["annotations"] == {"eks.amazonaws.com/role-arn": role})
    # What means nothing here is no change.
    before = spoke.revision()
    server.admin("annotate", "serviceaccount", "bot", "-n", namespace, "example.com/other=y", "--overwrite")
    server.admin("create", "serviceaccount", "other", "-n", namespace)
    seen("another one", lambda: "other" in known())
    assert spoke.revision() == before + 1
    server.admin("delete", "serviceaccount", "bot", "-n", namespace)
    seen("its end", lambda: "bot" not in known())
    server.admin("create", "serviceaccount", "bot", "-n", namespace)
    assert seen("one of the same name", lambda: known().get("bot"))["uid"] != first["uid"]
    assert spoke.watch()["service_accounts"] >= 2


def test_the_issuer_and_its_keys_are_the_api_servers_own(new_hub, servers, tmp_path):
    hub = new_hub().start()
    expected = ((servers[0], IN_CLUSTER_ISSUER, "in_cluster_name"), (servers[1], OWN_ISSUER, None))
    for number, (server, issuer, obstacle) in enumerate(expected):
        spoke, _ = new_spoke(hub, server, tmp_path / str(number))
        seen("the issuer", lambda: spoke.watch()["issuer_url"])
        known = seen("its keys", lambda: hub.run("workload", "issuer", spoke.cluster.id).returncode == 0 and spoke.issuer())
        assert (known["issuer_url"], known["irsa_obstacle"]) == (issuer, obstacle), known
        served = server.request("/openid/v1/jwks", token=server.admin_token).json()["keys"]
        public = [{name: key[name] for name in ("kid", "kty", "n", "e")} for key in served]
        kept = [json.loads(key["jwk"]) for key in known["keys"]]
        assert [{name: key[name] for name in ("kid", "kty", "n", "e")} for key in kept] == public
        # The key that signs the tokens of its ServiceAccounts is among them.
        namespace = new_namespace(server)
        server.admin("create", "serviceaccount", "bot", "-n", namespace)
        token = server.admin("create", "token", "bot", "-n", namespace).strip()
        assert header_of(token)["kid"] in [key["kid"] for key in known["keys"]]
        told = hub.run("workload", "issuer", spoke.cluster.id, output=None).stdout
        assert ("of no use for IRSA" in told) == (obstacle is not None), told


def test_immunity_49_two_clusters_of_one_hub_do_not_share_a_signing_key(new_hub, servers, tmp_path):
    hub = new_hub().start()
    first, _ = new_spoke(hub, servers[0], tmp_path / "first")
    seen("the issuer", lambda: hub.run("workload", "issuer", first.cluster.id).returncode == 0)
    second, _ = new_spoke(hub, servers[0], tmp_path / "second")
    fault = seen("the refusal", lambda: (fault := second.watch()["fault"]) and "signing key" in fault and fault)
    assert first.cluster.id not in fault and "another cluster's" in fault, fault
    assert "does not exist" in hub.refused("workload", "issuer", second.cluster.id, code=NO)
    # Nothing else waits for that.
    assert second.watch()["objects"] > 10 and len(second.service_accounts("default")) == len(
        first.service_accounts("default")
    )


def test_an_object_that_the_hub_cannot_take_is_named_and_holds_nothing_back(spoke):
    ana = spoke.hub.create_user("ana")
    spoke.aws_auth(line(ana, "devs"))
    seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
    # Kubernetes sets no limit to the names of RBAC objects; the store's index has one.
    long = "x" * 1200
    try:
        spoke.apply(kube.cluster_role(long, kube.rule("get", "configmaps")), *READERS)
        seen("the binding beside it", lambda: spoke.may(ana, "get"))
        refused = seen("its name", lambda: spoke.watch()["refused"])
        assert len(refused) == 1 and refused[0].startswith("ClusterRole/xxx") and "1024" in refused[0], refused
        spoke.apply(kube.cluster_role("reader", kube.rule("get list delete", "configmaps")))
        seen("what changes later", lambda: spoke.may(ana, "delete"))
        assert spoke.watch()["refused"] == refused and spoke.watch()["fault"] is None
    finally:
        spoke.server.admin("delete", "clusterrole", long)
        spoke.server.admin("delete", "clusterrolebinding", "readers", "--ignore-not-found")
    seen("its end", lambda: spoke.watch()["refused"] == [])


def test_the_rules_that_the_help_prints_are_enough_and_what_lacks_is_named(new_hub, servers, tmp_path):
    hub, server = new_hub().start(), servers[1]
    told = hub.run("cluster", "add", "--help", output=None).stdout
    rules = told[told.index("  - {apiGroups") : told.index("Run again")]
    name = unique("watcher")
    role = f"apiVersion: {kube.RBAC_GROUP}/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules:\n{rules}"
    server.admin("apply", "-f", "-", stdin=role)
    server.admin("create", "serviceaccount", name, "-n", "default")
    server.admin("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount=default:{name}")
    token = hub.secrets.add("the watcher's token", server.admin("create", "token", name, "-n", "default").strip())
    file = kubeconfig(server, tmp_path / "watcher.kubeconfig", token=token)
    words = ["cluster", "add", name, "--kubeconfig", str(file), "--region", REGION, "--out", str(tmp_path / "x")]
    hub.cli(*words)
    watch = lambda: hub.cli("cluster", "describe", name)["spoke"]["watch"]  # noqa: E731
    first = seen("all of it", lambda: (w := watch())["listed_at"] and w["issuer_read_at"] and w)
    assert first["fault"] is None and first["aws_auth"] == "missing" and first["service_accounts"] > 0, first
    # Without the rule on ServiceAccounts that alone is not seen, and the advice says what to do.
    lacking = [rule for rule in rules.splitlines() if "serviceaccounts" not in rule]
    server.admin("apply", "-f", "-", stdin=role.replace(rules, "\n".join(lacking) + "\n"))
    other = unique("lacking")
    words[2] = other
    words[-1] = str(tmp_path / "y")
    added = hub.cli(*words)
    fault = added["spoke"]["watch"]["fault"] or seen(
        "the refusal", lambda: hub.cli("cluster", "describe", other)["spoke"]["watch"]["fault"]
    )
    assert "403" in fault and "serviceaccounts" in fault and "lanyard cluster add --help" in fault, fault
    server.admin("delete", "clusterrole,clusterrolebinding", name)


def test_a_credential_that_does_not_count_any_more_shows(new_hub, servers, tmp_path):
    hub = new_hub().start()
    file = kubeconfig(servers[0], tmp_path / "old.kubeconfig", token="a-token-of-nobody")
    words = ["cluster", "add", "old", "--kubeconfig", str(file), "--region", REGION, "--out", str(tmp_path / "x")]
    added = hub.cli(*words)
    assert "401" in added["spoke"]["watch"]["fault"] and added["spoke"]["watch"]["listed_at"] is None, added


def test_two_spokes_of_two_accounts_and_one_person_with_different_rights_in_both(new_hub, servers, tmp_path):
    hub = new_hub().start()
    first, _ = new_spoke(hub, servers[0], tmp_path / "first")
    hub.cli("iam", "account", "create", OTHER_ACCOUNT, "--authority", "local", "--name", "the others")
    bob = hub.create_user("bob", account=OTHER_ACCOUNT)
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    hub.cli(
        *("iam", "policy", "put", "--user", bob.name, "all", "--account", OTHER_ACCOUNT, "--document", "-"),
        stdin=document,
    )
    second, _ = new_spoke(hub, servers[1], tmp_path / "second", credentials=bob.credentials)
    hub.cli(
        *("cluster", "update", second.cluster.id, "--trust", f"local/{hub.account}"),
        *("--trust", f"local/{OTHER_ACCOUNT}"),
        credentials=bob.credentials,
    )
    ana = hub.create_user("ana")
    for spoke, groups, verbs in ((first, "devs", "get"), (second, "admins", "get delete")):
        spoke.aws_auth(line(ana, groups))
        spoke.apply(kube.cluster_role("theirs", kube.rule(verbs, "configmaps")), kube.bound("theirs", "theirs", groups))
    seen("both mappings", lambda: (first.groups(ana), second.groups(ana)) == (["devs"], ["admins"]))
    seen("both bindings", lambda: first.may(ana, "get") and second.may(ana, "delete"))
    assert not first.may(ana, "delete")
    # Each account sees its own alone.
    assert second.cluster.id in hub.refused("cluster", "describe", second.cluster.id, code=NO)
    first.aws_auth(None)
    for spoke in (first, second):
        spoke.server.admin("delete", "clusterrolebinding", "theirs")


def pushing(hub: Hub, server: kube.ApiServer, cluster: str, credential: pathlib.Path, log) -> subprocess.Popen:
    file = kubeconfig(server, credential / "spoke.kubeconfig")
    command = [os.environ["LANYARD_BIN"], "spoke", "push", "--cluster", cluster, "--hub", hub.ready["grpc"]]
    command += ["--credential", str(credential), "--kubeconfig", str(file), "--log", "debug"]
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def test_a_cluster_that_the_hub_cannot_reach_pushes_by_itself_and_nothing_but_its_own(new_hub, servers, tmp_path):
    hub, server = new_hub().start(), servers[1]
    hub.secrets.add("the stage hand's token", server.admin_token)
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    own, other = hub.create_cluster("own", "--authorizer-mode", "full"), hub.create_cluster("other")
    folder, log = tmp_path / "credential", tmp_path / "push.log"
    made = hub.cli("pki", "issue-spoke", own.id, "--out", str(folder), "--data-dir", str(hub.data))["value"]
    assert made["cluster_uid"] == own.uid
    assert (folder / "spoke.key").stat().st_mode & 0o777 == 0o600
    spoke, ana = Spoke(hub, own, server, tmp_path), hub.create_user("ana")
    with log.open("wb") as file:
        pusher = pushing(hub, server, own.id, folder, file)
        try:
            spoke.aws_auth(line(ana, "devs"))
            spoke.apply(*READERS)
            seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
            seen("the binding", lambda: spoke.may(ana, "get"))
            version = hub.cli("aws-auth", "get", own.id)[-1]
            assert version["pushed_by"] == f"spoke:{own.uid}", version
            namespace = new_namespace(server)
            server.admin("create", "serviceaccount", "bot", "-n", namespace)
            seen("the ServiceAccount", lambda: "bot" in spoke.service_accounts(namespace))
            assert spoke.issuer()["issuer_url"] == OWN_ISSUER
            assert spoke.issuer()["pushed_by"] == f"spoke:{own.uid}"
            # Its certificate is no key to another cluster, and the attempt is in the hub's log.
            theft = pushing(hub, server, other.id, folder, file)
            assert theft.wait(kube.COMMAND_SECONDS_MAX) == NO
            assert "a spoke's call was refused" in hub.log()
            assert hub.cli("aws-auth", "get", other.id) == []
            # It is told the decision, which names it to those who may know.
            told = log.read_text(errors="replace")
            refusal(hub, told, own, "other_cluster", f"DescribeCluster of cluster `{other.id}`")
            by_it = ("--client-cert", str(folder / "spoke.crt"), "--client-key", str(folder / "spoke.key"))
            told = hub.refused(*by_it, "iam", "user", "list")
            refusal(hub, told, own, "spoke_call", "/lanyard.authn.v1.Accounts/ListUsers")
            # Once its certificate does not count any more nothing of it is taken.
            hub.cli("cluster", "spoke-credential", "delete", own.id, made["credential"])
            spoke.aws_auth(line(ana, "later"))
            seen("the refusal", lambda: "does not count" in log.read_text(errors="replace"))
            assert spoke.groups(ana) == ["devs"]
        finally:
            pusher.send_signal(signal.SIGTERM)
            assert pusher.wait(kube.STOP_SECONDS_MAX) in (0, NO_ANSWER)
    assert not hub.secrets.seen_in(log.read_bytes())
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    server.admin("delete", "clusterrolebinding", "readers", "--ignore-not-found")


def refusal(hub: Hub, told: str, spoke: Cluster, code: str, asked: str) -> None:
    """A refused call of a spoke was told a decision, which says who asked what."""
    explained = hub.explain_decision(re.search(r"; decision ([0-9a-f-]{36})", told)[1])
    assert explained["verdict"] == "refused", explained
    stage = explained["stages"][0]
    assert (stage["name"], stage["code"]) == ("management call", code), stage
    assert f"who: spoke:{spoke.uid}" in stage["lines"], stage
    assert any(line.startswith("asked: ") and line.endswith(asked) for line in stage["lines"]), stage


def own_database(url: str) -> str:
    """A database of a test's own on the server that the tests have."""
    name = f"spokes_{uuid.uuid4().hex}"
    psql = shutil.which("psql") or str(max(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql")))
    done = subprocess.run([psql, url, "-qc", f"CREATE DATABASE {name}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return url.rsplit("/", 1)[0] + "/" + name


@pytest.mark.skipif(not os.environ.get("LANYARD_TEST_POSTGRES_URL"), reason="separate services share a PostgreSQL")
def test_two_replicas_of_the_spoke_service_and_the_other_takes_over(servers, tmp_path):
    server = servers[0]
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    hub = Stack(tmp_path / "stack", store=own_database(os.environ["LANYARD_TEST_POSTGRES_URL"]), replicas=1)
    second = None
    try:
        hub.start()
        spoke, added = new_spoke(hub, server, tmp_path / "spoke")
        assert added["spoke"]["watch"]["fault"] is None, added
        ana = hub.create_user("ana")
        spoke.aws_auth(line(ana, "devs"))
        spoke.apply(*READERS)
        seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
        seen("the binding", lambda: spoke.may(ana, "get"))
        first = holder(spoke.describe())
        second = replica(hub, tmp_path / "second.json")
        # Who has the lease is stopped in the middle of everything: when it ends, the other one watches.
        own = the_stacks_own(hub)
        os.kill(own, signal.SIGSTOP)
        try:
            spoke.aws_auth(line(ana, "ops"))
            kube.wait_for("the change, by the other", lambda: spoke.groups(ana) == ["ops"], 40)
            kube.wait_for("another holder", lambda: holder(spoke.describe()) != first, 20)
        finally:
            os.kill(own, signal.SIGCONT)
        second.send_signal(signal.SIGTERM)
        assert second.wait(kube.STOP_SECONDS_MAX) == 0
        spoke.aws_auth(line(ana, "last"))
        # Told to stop, it gave its lease back: nobody waits for the end of that.
        seen("the change, by the first again", lambda: spoke.groups(ana) == ["last"])
        kube.wait_for("the first holder", lambda: holder(spoke.describe()) == first, 20)
    finally:
        if second is not None and second.poll() is None:
            second.kill()
            second.wait()
        hub.stop()
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    server.admin("delete", "clusterrolebinding", "readers", "--ignore-not-found")


@pytest.mark.skipif(not os.environ.get("LANYARD_TEST_POSTGRES_URL"), reason="separate services share a PostgreSQL")
def test_what_a_paused_replica_had_sent_comes_too_late_and_nothing_is_mixed(servers, tmp_path):
    """Its pushes are on their way when it is stopped, and arrive when another has watched for a while."""
    server = servers[0]
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    hub = Stack(tmp_path / "stack", store=own_database(os.environ["LANYARD_TEST_POSTGRES_URL"]), replicas=1)
    ways: list[Proxy] = []
    second = None
    try:
        hub.start()
        spoke, _ = new_spoke(hub, server, tmp_path / "spoke")
        ana = hub.create_user("ana")
        spoke.aws_auth(line(ana, "devs"))
        seen("the mapping", lambda: spoke.groups(ana) == ["devs"])
        first, own = holder(spoke.describe()), the_stacks_own(hub)
        config = behind_proxies(hub, tmp_path / "second.toml", ways)
        second = replica(hub, tmp_path / "second.json", config)
        os.kill(own, signal.SIGSTOP)
        try:
            kube.wait_for("the second's turn", lambda: holder(spoke.describe()) != first, 40)
        finally:
            os.kill(own, signal.SIGCONT)
        spoke.aws_auth(line(ana, "turn"))
        seen("a push of the second", lambda: spoke.groups(ana) == ["turn"])
        before, refused = holder(spoke.describe()), late_writes(hub)
        # It sees the change and sends it; that is on its way when it is stopped.
        for way in ways:
            way.hold()
        spoke.aws_auth(line(ana, "devs", "late"))
        spoke.apply(*READERS)
        # Changes are pushed once a second; the lease lasts for longer.
        time.sleep(PUSHED_SECONDS)
        assert any(way.waiting for way in ways), "nothing is on its way"
        second.send_signal(signal.SIGSTOP)
        kube.wait_for("another holder", lambda: holder(spoke.describe()) != before, 40)
        spoke.aws_auth(line(ana, "devs", "ops"))
        server.admin("delete", "clusterrolebinding", "readers")
        seen("the change, by the other", lambda: sorted(spoke.groups(ana)) == ["devs", "ops"])
        seen("the end of the binding, by the other", lambda: not spoke.may(ana, "get"))
        in_force, bindings = spoke.describe()["aws_auth"]["in_force"], hub.cli("rbac", "list", spoke.cluster.id)
        # Now it arrives.
        for way in ways:
            way.release()
        seen("the refusal", lambda: late_writes(hub) > refused)
        second.send_signal(signal.SIGCONT)
        # Whoever goes on now has nothing to put over that.
        spoke.aws_auth(line(ana, "devs", "last"))
        seen("the change after it", lambda: sorted(spoke.groups(ana)) == ["devs", "last"])
        assert spoke.describe()["aws_auth"]["in_force"] == in_force + 1, "one version, and no late one before it"
        assert not spoke.may(ana, "get") and hub.cli("rbac", "list", spoke.cluster.id) == bindings
        assert holder(spoke.describe()) != before
    finally:
        if second is not None:
            second.send_signal(signal.SIGCONT)
            second.kill()
            second.wait()
        for way in ways:
            way.close()
        hub.stop()
    server.admin("delete", "configmap", "aws-auth", "-n", "kube-system", "--ignore-not-found")
    server.admin("delete", "clusterrolebinding", "readers", "--ignore-not-found")


# In which a replica has sent what it saw.
PUSHED_SECONDS = 3


def behind_proxies(hub: Stack, config: pathlib.Path, ways: list[Proxy]) -> pathlib.Path:
    """The stack's configuration of the spoke service, with a proxy in front of each service that takes pushes."""
    peers = tomllib.loads((hub.folder / "spoke.toml").read_text())["peers"]
    for service in ("mapping", "authz"):
        (url,) = peers[service]
        host, port = url.removeprefix("https://").rsplit(":", 1)
        ways.append(Proxy(host, int(port)))
        peers[service] = [f"https://{host}:{ways[-1].port}"]
    # Longer than the lease: what was sent is not called back when it goes on.
    lines = ["call_timeout_ms = 60000", "[peers]", *(f"{name} = {json.dumps(urls)}" for name, urls in peers.items())]
    config.write_text("\n".join(lines) + "\n")
    return config


def late_writes(hub: Stack) -> float:
    """Pushes that mapping and authz refused for the state that they met."""
    methods = {"mapping-0": "lanyard.mapping.v1.Clusters/PushAwsAuth", "authz-0": "lanyard.authz.v1.Objects/ApplyObjects"}
    count = 0.0
    for process, method in methods.items():
        text = requests.get(hub.ready["metrics"][process] + "/metrics", timeout=10).text
        for line in text.splitlines():
            if method in line and "lanyard_grpc_requests_total" in line and 'code="FAILED_PRECONDITION"' in line:
                count += float(line.rsplit(" ", 1)[1])
    return count


def replica(hub: Stack, ready_file: pathlib.Path, config: pathlib.Path | None = None) -> subprocess.Popen:
    """Another process of the spoke service beside the stack's own, with the same folder, ready."""
    command = [os.environ["LANYARD_BIN"], "run", "spoke", "--config", str(config or hub.folder / "spoke.toml")]
    command += ["--tls-dir", str(hub.folder / "spoke"), "--ready-file", str(ready_file), "--log", "debug"]
    with (hub.folder / "logs" / "second.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=hub._environment()
        )
    kube.wait_for("the second replica", ready_file.exists, 30)
    assert json.loads(ready_file.read_text())["service"] == "spoke"
    return process


def the_stacks_own(hub: Stack) -> int:
    """The number of the stack's process of the spoke service."""
    wanted = str(hub.folder / "spoke-0.ready.json").encode()
    for place in pathlib.Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes() if place.name.isdigit() else b""
        except OSError:
            continue  # It has ended meanwhile.
        if wanted in words.split(b"\0"):
            return int(place.name)
    raise AssertionError("the stack has no process of the spoke service")

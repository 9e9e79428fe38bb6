"""A cluster that the hub cannot reach: it pushes by itself, and nothing but its own."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess

import kube
from cluster import Cluster
from hub import NO, NO_ANSWER, Hub
from spokes import OWN_ISSUER, READERS, Spoke, kubeconfig, line, new_namespace, nobody_is_mapped, seen

# It looks every ten seconds, and again where it came upon one that is not registered yet.
CERTIFICATE_SECONDS_MAX = 40


def pushing(hub: Hub, server: kube.ApiServer, cluster: str, credential: pathlib.Path, log) -> subprocess.Popen:
    file = kubeconfig(server, credential / "spoke.kubeconfig")
    command = [os.environ["LANYARD_BIN"], "spoke", "push", "--cluster", cluster, "--hub", hub.ready["grpc"]]
    command += ["--credential", str(credential), "--kubeconfig", str(file), "--log", "debug"]
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def test_a_cluster_that_the_hub_cannot_reach_pushes_by_itself_and_nothing_but_its_own(new_hub, servers, tmp_path):
    hub, server = new_hub().start(), servers[1]
    hub.secrets.add("the stage hand's token", server.admin_token)
    nobody_is_mapped(server)
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
            # How the watch goes shows on the hub, as that of one from there does.
            told = seen("its watch", lambda: (w := spoke.watch()) and w["aws_auth"] == "present" and w)
            assert told["holder"] == f"spoke:{own.uid}" and told["objects"] >= 2 and told["fault"] is None, told
            assert spoke.describe()["spoke"]["silent_since"] is None
            long = "x" * 1200
            spoke.apply(kube.cluster_role(long, kube.rule("get", "configmaps")))
            try:
                seen("what is not taken", lambda: any(one.startswith("ClusterRole/xxx") for one in spoke.watch()["refused"]))
            finally:
                server.admin("delete", "clusterrole", long)
            spoke.aws_auth(None)
            seen("the deletion", lambda: spoke.watch()["aws_auth"] == "missing")
            assert spoke.groups(ana) == ["devs"]
            spoke.aws_auth(line(ana, "devs"))
            seen("that it is there", lambda: spoke.watch()["aws_auth"] == "present")
            # Another certificate in its folder is taken while it runs, so that the first one may go.
            again = hub.cli("pki", "issue-spoke", own.id, "--out", str(folder), "--data-dir", str(hub.data))["value"]
            taken = lambda: "took a new certificate" in log.read_text(errors="replace")  # noqa: E731
            kube.wait_for("the new certificate", taken, CERTIFICATE_SECONDS_MAX)
            hub.cli("cluster", "spoke-credential", "delete", own.id, made["credential"])
            spoke.aws_auth(line(ana, "renewed"))
            seen("what it pushes by the new one", lambda: spoke.groups(ana) == ["renewed"])
            spoke.aws_auth(line(ana, "devs"))
            seen("the mapping as it was", lambda: spoke.groups(ana) == ["devs"])
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
            hub.cli("cluster", "spoke-credential", "delete", own.id, again["credential"])
            spoke.aws_auth(line(ana, "later"))
            seen("the refusal", lambda: "does not count" in log.read_text(errors="replace"))
            assert spoke.groups(ana) == ["devs"]
            since = seen("its silence", lambda: spoke.describe()["spoke"]["silent_since"])
            assert since == spoke.watch()["reported_at"]
        finally:
            pusher.send_signal(signal.SIGTERM)
            assert pusher.wait(kube.STOP_SECONDS_MAX) in (0, NO_ANSWER)
    assert not hub.secrets.seen_in(log.read_bytes())
    nobody_is_mapped(server)


def refusal(hub: Hub, told: str, spoke: Cluster, code: str, asked: str) -> None:
    """A refused call of a spoke was told a decision, which says who asked what."""
    explained = hub.explain_decision(re.search(r"; decision ([0-9a-f-]{36})", told)[1])
    assert explained["verdict"] == "refused", explained
    stage = explained["stages"][0]
    assert (stage["name"], stage["code"]) == ("management call", code), stage
    assert f"who: spoke:{spoke.uid}" in stage["lines"], stage
    assert any(line.startswith("asked: ") and line.endswith(asked) for line in stage["lines"]), stage

"""A real kube-apiserver pointed at a hub with the very files of `lanyard cluster webhook-config`: the seed story."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass

import pytest
import requests

import kube
from cluster import PROOF, Cluster, with_id
from hub import Hub, Principal, unique
from kubefiles import webhook_files
from stack import REPLICAS

# What an API server that is told nothing takes: long enough for the token to be in its cache through a whole test.
TOKEN_CACHE_SECONDS = 120
OWN_AUDIENCE = "https://kubernetes.default.svc"


@dataclass
class Stage:
    """One cluster: the hub's record of it, and its API server."""

    hub: Hub
    cluster: Cluster
    server: kube.ApiServer

    def token_reviews(self) -> int:
        """How many TokenReviews of any API server the hub has answered."""
        counts = re.findall(
            r'^lanyard_gateway_requests_total\{route="tokenreview",code="\w+"\} (\d+)',
            self.hub.gateway_metrics(),
            re.M,
        )
        assert sum(map(int, counts)) > 0, "what is not counted cannot be seen to stand still"
        return sum(map(int, counts))

    def person(self, *flags: str, entry: bool = True, **choices) -> Person:
        user = self.hub.create_user("person")
        if entry:
            self.cluster.entry(user, *flags, **choices)
        return Person(self, user, self.cluster.token(user))


@dataclass
class Person:
    """Somebody with one token, which the API server has in its cache after the first request."""

    stage: Stage
    user: Principal
    token: str

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.stage.server.request(path, token=self.token, headers=headers)

    def kubectl(self, *words: str, stdin: str | None = None):
        return self.stage.server.kubectl(*words, token=self.token, stdin=stdin)


def config_maps(where: str) -> str:
    return f"/api/v1/namespaces/{where}/configmaps"


@pytest.fixture(scope="module")
def stage(hub, etcd, tmp_path_factory):
    """A cluster with what its own administrators put there: namespaces, objects, roles of its own."""
    cluster = hub.create_cluster("kube", "--token-cache-seconds", str(TOKEN_CACHE_SECONDS))
    flags = webhook_files(hub, cluster, tmp_path_factory.mktemp("files") / "webhook")
    assert f"--authentication-token-webhook-cache-ttl={TOKEN_CACHE_SECONDS}s" in flags
    server = kube.start(tmp_path_factory.mktemp("kube"), etcd, flags)
    try:
        server.admin(
            "apply",
            "-f",
            "-",
            stdin=kube.objects(
                kube.namespace("team-a"),
                kube.namespace("team-b"),
                kube.config_map("settings", "team-a"),
                kube.config_map("settings", "team-b"),
                # Nobody runs the controllers that would make it, and those that fill aggregated roles.
                {
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "metadata": {"name": "helper", "namespace": "team-b"},
                },
                kube.cluster_role("config-reader", kube.rule("get list", "configmaps")),
                kube.bound("ops-read", "config-reader", "ops"),
                kube.cluster_role("looker", {"nonResourceURLs": ["/*"], "verbs": ["get"]}),
                kube.bound("ops-look", "looker", "ops"),
                kube.bound("more-read", "config-reader", "more"),
                kube.cluster_role(
                    "helper",
                    kube.rule("impersonate", "users groups"),
                    kube.rule("impersonate", "*", "authentication.k8s.io"),
                ),
                kube.bound("helpers-impersonate", "helper", "helpers"),
                kube.bound("helping-account", "helper", "system:serviceaccount:team-b:helper", "User"),
            ),
        )
        yield Stage(hub, cluster, server)
    finally:
        kube.stop(server.process)


def forbidden(response: requests.Response) -> str:
    """The message of a 403, as kubectl shows it."""
    assert response.status_code == 403, response.text
    status = response.json()
    assert status["reason"] == "Forbidden"
    return status["message"]


def reason_of(message: str) -> tuple[str, str]:
    """Our part of kubectl's message, and the decision id in it."""
    return with_id(message.rsplit('": ', 1)[-1])


def test_a_server_set_up_so_lets_no_stranger_in(stage):
    assert stage.server.request(config_maps("team-a"), token="a-token-of-nobody").status_code == 401
    anonymous = requests.get(
        stage.server.url + config_maps("team-a"), verify=str(stage.server.ca), timeout=10
    )
    assert anonymous.status_code in (401, 403)


def test_an_access_policy_opens_its_namespace_and_no_other(stage):
    ana = stage.person(policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    done = ana.kubectl("get", "configmaps", "-n", "team-a", "-o", "name")
    assert done.returncode == 0 and "configmap/settings" in done.stdout, done.stderr
    done = ana.kubectl("get", "configmaps", "-n", "team-b")
    assert done.returncode == 1 and "Error from server (Forbidden)" in done.stderr, done.stderr
    done = ana.kubectl("create", "configmap", "new", "-n", "team-a", "--from-literal=a=b")
    assert done.returncode == 1 and "Forbidden" in done.stderr.title()
    assert ana.kubectl("get", "secrets", "-n", "team-a").returncode == 1


def test_the_clusters_own_rbac_opens_by_group(stage):
    ben = stage.person(groups=["ops"])
    done = ben.kubectl("get", "configmap", "settings", "-n", "team-b", "-o", "jsonpath={.data.a}")
    assert (done.returncode, done.stdout) == (0, "b"), done.stderr
    assert ben.kubectl("get", "pods", "-n", "team-b").returncode == 1


def test_kubectl_with_the_kubeconfig_and_the_exec_plugin_that_lanyard_gives(stage, tmp_path):
    ana = stage.person(groups=["ops"], policy="AmazonEKSAdminPolicy", namespaces=["team-a"])
    hub, cluster, server = stage.hub, stage.cluster, stage.server
    hub.cli(
        "cluster", "update", cluster.id, "--endpoint", server.url, "--certificate-authority", str(server.ca)
    )
    done = hub.run("kubeconfig", cluster.id, "--server", server.url, output=None)
    assert done.returncode == 0, done.stderr
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(done.stdout)
    folder = os.path.dirname(os.environ["LANYARD_BIN"])
    keys = ana.user.credentials.environment() | {"PATH": f"{folder}:{os.environ['PATH']}"}

    def kubectl(*words):
        done = server.kubectl(*words, kubeconfig=kubeconfig, environment=keys)
        assert not hub.secrets.seen_in(done.stdout + done.stderr)
        return done

    told = json.loads(kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert told["username"] == ana.user.arn and told["groups"] == ["ops", "system:authenticated"]
    made = kubectl("create", "configmap", "from-kubectl", "-n", "team-a", "--from-literal=a=b")
    assert made.returncode == 0, made.stderr
    assert kubectl("auth", "can-i", "delete", "configmaps", "-n", "team-a").stdout.startswith("yes")
    assert kubectl("auth", "can-i", "delete", "configmaps", "-n", "team-b").stdout.startswith("no")


def test_forbidden_shows_the_reason_and_an_id_that_explain_finds(stage):
    cid = stage.person(policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    done = cid.kubectl("delete", "configmap", "settings", "-n", "team-a")
    assert done.returncode == 1 and "Forbidden" in done.stderr
    why, decision = reason_of(done.stderr.strip())
    assert re.search(
        r"access policy AmazonEKS\w+ would allow it, associated for namespace team-a or the cluster", why
    ), done.stderr
    told = stage.hub.explain_decision(decision)
    assert told["verdict"] == "left_to_cluster" and cid.user.arn in json.dumps(told)


def test_unauthorized_is_for_whoever_is_not_mapped_and_the_servers_log_says_why(stage):
    stranger = stage.person(entry=False)
    done = stranger.kubectl("get", "configmaps", "-n", "team-a")
    assert done.returncode == 1 and "Unauthorized" in done.stderr, done.stderr
    found = re.findall(r"unmapped \(([0-9a-f-]{36})\)", stage.server.log())
    assert found, "the API server's log does not say why"
    assert stranger.user.arn in json.dumps(stage.hub.explain_decision(found[-1]))
    # A refusal is not cached there: a new entry counts at the next request.
    stage.cluster.entry(stranger.user, groups=["ops"])
    assert stranger.get(config_maps("team-a")).status_code == 200


def test_a_broken_aws_auth_keeps_the_last_good_one_in_force(stage):
    ana = stage.person(entry=False)
    good = f"mapUsers: |\n  - userarn: {ana.user.arn}\n    username: ana-by-aws-auth\n    groups: [ops]\n"
    assert stage.cluster.push_aws_auth(good).returncode == 0
    assert ana.get(config_maps("team-a")).status_code == 200
    broken = "mapUsers: |\n  - userarn: [\n"
    assert stage.cluster.push_aws_auth(broken).returncode == 1
    assert ana.get(config_maps("team-a")).status_code == 200
    again = Person(stage, ana.user, stage.cluster.token(ana.user.credentials, expires="61"))
    done = again.kubectl("auth", "whoami", "-o", "json")
    assert json.loads(done.stdout)["status"]["userInfo"]["username"] == "ana-by-aws-auth"
    assert stage.cluster.push_aws_auth(good.replace("ops", "nobodies")).returncode == 0
    assert "denied" in forbidden(ana.get(config_maps("team-a")))


def test_a_node_is_the_node_that_was_bound_to_its_key_and_no_other(stage):
    hub, cluster = stage.hub, stage.cluster
    owner, thief = hub.create_user("kubelet"), hub.create_user("thief")
    role = hub.create_role("nodes", trusts=f"arn:aws:iam::{hub.account}:root")
    for user in (owner, thief):
        allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role.arn}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        hub.cli("iam", "policy", "put", "--user", user.name, "assume", "--document", "-", stdin=document)
    cluster.entry(role, "--type", "EC2_LINUX")
    instance, name = "i-0123456789abcdef0", "ip-10-0-0-1.ec2.internal"
    hub.cli(
        "node",
        "set",
        cluster.id,
        instance,
        name,
        "--role",
        role.arn,
        "--access-key",
        owner.credentials.access_key_id,
    )
    stage.server.admin(
        "apply",
        "-f",
        "-",
        stdin=kube.objects(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "another-node"}},
        ),
    )
    token = cluster.token(hub.assume_role(owner, role, instance))
    done = stage.server.kubectl("auth", "whoami", "-o", "json", token=token)
    told = json.loads(done.stdout)["status"]["userInfo"]
    assert told["username"] == f"system:node:{name}"
    assert told["groups"] == ["system:nodes", "system:authenticated"]
    # The API server's own Node authorizer goes on from there.
    assert stage.server.request(f"/api/v1/nodes/{name}", token=token).status_code == 200
    assert stage.server.request("/api/v1/nodes/another-node", token=token).status_code == 403
    # Whoever may assume a node role chooses the session's name, and is the node all the same only with the node's key.
    for session in (
        hub.assume_role(thief, role, instance),
        hub.assume_role(owner, role, "i-0fedcba9876543210"),
    ):
        stolen = cluster.token(session)
        assert stage.server.request(f"/api/v1/nodes/{name}", token=stolen).status_code == 401


def test_impersonation_loses_access_policies(stage):
    ana = stage.person(policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    helper = stage.person(groups=["helpers"])
    assert ana.get(config_maps("team-a")).status_code == 200
    assert helper.get(config_maps("team-a")).status_code == 403
    done = helper.kubectl(f"--as={ana.user.arn}", "get", "configmaps", "-n", "team-a")
    assert done.returncode == 1 and "Forbidden" in done.stderr, done.stderr
    assert f'"{ana.user.arn}"' in done.stderr, "it was not ana who was refused"
    # What the cluster's RBAC gives to a group it gives to whoever may impersonate it: that is the cluster's affair.
    assert helper.kubectl("--as=x", "--as-group=ops", "get", "configmaps", "-n", "team-a").returncode == 0


def proof_of(person: Person) -> str:
    """A proof as it might be read in a CertificateSigningRequest or an audit line."""
    return person.stage.cluster.log_in(person.user)["extra"][PROOF][0]


SPELLINGS = [
    "Impersonate-Extra-lanyard.dev%2Fproof",
    "Impersonate-Extra-lanyard.dev%2fproof",
    "IMPERSONATE-EXTRA-LANYARD.DEV%2FPROOF",
    "Impersonate-Extra-%6Canyard.dev%2Fproof",
    "Impersonate-Extra-l%41nyard%2Edev%2Fpr%6Fof",
    "Impersonate-Extra-%4C%41nyard.dev%2Fproof",
]


@pytest.mark.parametrize("header", SPELLINGS)
def immunity_40_a_copied_proof_cannot_be_impersonated_in_any_spelling(stage, header):
    ana = stage.person(groups=["viewers"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    helper = stage.person(groups=["helpers"])
    # Two helpers: one of the hub's people, and a service account, of whom the hub knows nothing.
    own_token = stage.server.admin("create", "token", "helper", "-n", "team-b").strip()
    as_ana = {"Impersonate-User": ana.user.arn, "Impersonate-Group": "viewers", header: proof_of(ana)}
    assert ana.get(config_maps("team-a")).status_code == 200
    for token in (helper.token, own_token):
        plain = {"Impersonate-User": ana.user.arn, "Impersonate-Extra-Scopes": "x"}
        allowed_so_far = stage.server.request("/api", token=token, headers=plain)
        assert allowed_so_far.status_code == 200, "impersonating as such is refused, so nothing is shown"
        why = forbidden(stage.server.request(config_maps("team-a"), token=token, headers=as_ana))
        assert "userextras" in why and "cannot be impersonated" in why, why


def immunity_40_a_copied_proof_is_not_impersonated_among_many_keys_at_once(hub, etcd, tmp_path):
    """Constrained impersonation asks once about all extra keys where these have four values or more, and about none of them if that is
    allowed."""
    cluster = hub.create_cluster("constrained")
    flags = webhook_files(hub, cluster, tmp_path / "webhook")
    gate = "--feature-gates=ConstrainedImpersonation=true"
    server = kube.start(tmp_path / unique("constrained"), etcd, [*flags, gate])
    try:
        constrained = Stage(hub, cluster, server)
        role = kube.cluster_role(
            "helper",
            kube.rule("impersonate:user-info", "*", "authentication.k8s.io"),
            kube.rule("impersonate-on:user-info:list", "configmaps"),
            {"nonResourceURLs": ["/api"], "verbs": ["impersonate-on:user-info:get"]},
        )
        server.admin("apply", "-f", "-", stdin=kube.objects(role, kube.bound("helpers", "helper", "helpers")))
        ana = constrained.person(groups=["viewers"], policy="AmazonEKSViewPolicy", namespaces=["default"])
        helper = constrained.person(groups=["helpers"])
        as_ana = {"Impersonate-User": ana.user.arn, "Impersonate-Group": "viewers"}
        as_ana |= {f"Impersonate-Extra-example.com%2F{key}": "x" for key in "abcd"}

        def status(path: str, **more: str) -> int:
            return server.request(path, token=helper.token, headers=as_ana | more).status_code

        # Refused at once, these keys are asked about one by one.
        kube.wait_for("the helper's role", lambda: status("/api") == 200)
        assert ana.get(config_maps("default")).status_code == 200
        assert status(config_maps("default"), **{SPELLINGS[0]: proof_of(ana)}) == 403
    finally:
        kube.stop(server.process)


def immunity_29_a_foreign_audience_gets_nobody(stage):
    ana = stage.person(groups=["ops"])

    def review(*audiences):
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": ana.token}}
        body["spec"] |= {"audiences": list(audiences)} if audiences else {}
        answer = stage.server.request(
            "/apis/authentication.k8s.io/v1/tokenreviews", token=stage.server.admin_token, body=body
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["status"]

    assert review()["user"]["username"] == ana.user.arn
    own = review(OWN_AUDIENCE)
    assert own["authenticated"] and own["audiences"] == [OWN_AUDIENCE]
    for foreign in (["vault"], ["vault", "other"]):
        status = review(*foreign)
        assert not status.get("authenticated") and not status.get("user", {}).get("username"), status
    both = review("vault", OWN_AUDIENCE)
    assert both["authenticated"] and both["audiences"] == [OWN_AUDIENCE]


def immunity_42_a_revoked_entry_is_refused_at_the_very_next_request_though_the_token_is_cached(stage):
    cid = stage.person(groups=["ops"])
    assert cid.get(config_maps("team-a")).status_code == 200
    reviews = stage.token_reviews()
    assert cid.get(config_maps("team-a")).status_code == 200
    stage.hub.cli("entry", "delete", stage.cluster.id, cid.user.arn)
    why = forbidden(cid.get(config_maps("team-a")))
    assert stage.token_reviews() == reviews, (
        "the API server asked again, so its cache was not what was tested"
    )
    # RBAC still gives the group what it asks; the answer is the hub's, and stands.
    assert "denied" in why and reason_of(why)[1]
    assert "yes" in stage.server.admin(
        "auth", "can-i", "get", "configmaps", "-n", "team-a", "--as=x", "--as-group=ops"
    )
    done = cid.kubectl("get", "configmaps", "-n", "team-a")
    assert done.returncode == 1 and "orbidden" in done.stderr


def immunity_42_a_block_is_in_force_at_the_very_next_request(stage):
    dan = stage.person(groups=["ops"])
    assert dan.get(config_maps("team-a")).status_code == 200
    reviews = stage.token_reviews()
    scope = ["--cluster", stage.cluster.id]
    block = stage.hub.cli("block", "create", *scope, "--principal", dan.user.arn, "--reason", "left")["value"]
    assert "block" in forbidden(dan.get(config_maps("team-a")))
    stage.hub.cli("block", "delete", block["id"], *scope)
    assert dan.get(config_maps("team-a")).status_code == 200
    assert stage.token_reviews() == reviews


def immunity_60_an_entry_that_lost_a_group_is_refused_until_a_fresh_token_review(stage):
    eve = stage.person(groups=["ops", "more"])
    assert eve.get(config_maps("team-a")).status_code == 200
    reviews = stage.token_reviews()
    stage.hub.cli("entry", "update", stage.cluster.id, eve.user.arn, "--group", "more")
    assert "denied" in forbidden(eve.get(config_maps("team-a")))
    assert stage.token_reviews() == reviews
    fresh = Person(stage, eve.user, stage.cluster.token(eve.user, expires="61"))
    assert fresh.get(config_maps("team-a")).status_code == 200, "what is left is not given"
    # One that only gained is not denied for what it had.
    stage.hub.cli("entry", "update", stage.cluster.id, eve.user.arn, "--group", "more", "--group", "third")
    assert fresh.get(config_maps("team-a")).status_code == 200


def immunity_39_a_key_switched_off_is_refused_at_the_very_next_request(stage):
    fay = stage.person(groups=["ops"])
    assert fay.get(config_maps("team-a")).status_code == 200
    reviews = stage.token_reviews()
    stage.hub.cli(
        "iam", "access-key", "update", fay.user.name, fay.user.credentials.access_key_id, "--inactive"
    )
    assert "denied" in forbidden(fay.get(config_maps("team-a")))
    assert stage.token_reviews() == reviews


def immunity_59_a_review_made_too_long_does_not_bring_the_cached_groups_back(stage):
    gus, stays = stage.person(groups=["ops"]), stage.person(groups=["ops"])
    # In JSON each of them takes six bytes: a request that an API server takes, a review that the hub does not read.
    long = "/" + "<" * 900_000

    def looks(person, path):
        return stage.server.get_as_written(path, token=person.token)

    assert looks(gus, "/<")[0] == 404 and looks(stays, "/<")[0] == 404, "RBAC lets ops look anywhere"
    status, why = looks(stays, long)
    assert status == 403 and "could not be evaluated" in why[-400:], (status, why[-400:])
    stage.hub.cli("entry", "delete", stage.cluster.id, gus.user.arn)
    selector = ",".join(f"k{n}!=v{n}" for n in range(20_000))
    for path in (long, f"{config_maps('team-a')}?labelSelector={selector}", "/<"):
        status, why = looks(gus, path)
        assert status == 403 and "denied" in why[-400:], (status, why[-400:])
    assert looks(stays, "/<")[0] == 404


def test_a_right_that_was_added_counts_at_once_by_policy(stage):
    hal = stage.person(groups=["nothing"])
    assert hal.get(config_maps("team-a")).status_code == 403
    stage.cluster.associate(hal.user, "AmazonEKSViewPolicy", ["team-a"])
    assert hal.get(config_maps("team-a")).status_code == 200


def test_break_glass_opens_the_real_door_once(stage):
    armed = stage.hub.cli("cluster", "break-glass", "arm", stage.cluster.id)["value"]
    credential = stage.hub.secrets.add("a break-glass credential", armed["token"])
    assert stage.server.request("/api/v1/nodes", token=credential).status_code == 200
    listed = stage.hub.cli("cluster", "break-glass", "list")
    assert [b["used_at"] for b in listed if b["cluster"] == stage.cluster.uid]
    stage.hub.cli("cluster", "break-glass", "disarm", stage.cluster.id)
    assert stage.server.request("/api/v1/nodes", token=credential).status_code == 403


def test_another_clusters_token_is_unauthorized(stage):
    ana = stage.hub.create_user("ana")
    other = stage.hub.create_cluster("other")
    for cluster in (other, stage.cluster):
        cluster.entry(ana, groups=["ops"])
    assert stage.server.request(config_maps("team-a"), token=other.token(ana)).status_code == 401
    assert stage.server.request(config_maps("team-a"), token=stage.cluster.token(ana)).status_code == 200


def test_a_server_that_speaks_v1beta1_and_knows_no_authorization_configuration(stage, hub, etcd, tmp_path):
    """Older servers, and newer ones that were told no version: flags in place of the file, both webhooks v1beta1."""
    cluster = hub.create_cluster("older")
    flags = webhook_files(hub, cluster, tmp_path / "webhook")
    review = tmp_path / "webhook" / "subjectaccessreview.kubeconfig"
    kept = [flag for flag in flags if "version" not in flag and "authorization-config" not in flag]
    older = [
        f"--authorization-webhook-config-file={review}",
        "--authorization-mode=Webhook,RBAC",
        "--authorization-webhook-cache-authorized-ttl=1s",
        "--authorization-webhook-cache-unauthorized-ttl=1s",
    ]
    server = kube.start(tmp_path / unique("older"), etcd, [*kept, *older])
    try:
        old = Stage(hub, cluster, server)
        ana = old.person(policy="AmazonEKSViewPolicy", namespaces=["default"])
        assert ana.get(config_maps("default")).status_code == 200
        assert "access policy" in forbidden(ana.get(config_maps("kube-system")))
        assert (
            server.request(
                config_maps("default"), token=hub.secrets.add("x", "no-token-of-anybody")
            ).status_code
            == 401
        )
    finally:
        kube.stop(server.process)


def test_a_server_with_a_mode_of_before_does_not_start_with_the_flags_and_the_command_says_so(hub, etcd, tmp_path):
    """kubeadm's manifest has that mode."""
    cluster = hub.create_cluster("kubeadm")
    out = tmp_path / "webhook"
    told = hub.run("cluster", "webhook-config", cluster.id, "--out", str(out), output=None).stdout
    assert "replaced: --authorization-config takes the place of --authorization-mode" in told, told
    flags = ["--authorization-mode=Node,RBAC", *webhook_files(hub, cluster, out)]
    with pytest.raises(AssertionError, match="can not be specified when --authorization-mode"):
        kube.start(tmp_path / unique("kubeadm"), etcd, flags)


def immunity_40_the_proof_cannot_be_impersonated_while_the_hub_is_away_and_the_rest_goes_on(stage):
    """Last in this file: the hub stops in it, and, of one process, starts again where it was."""
    ana = stage.person(groups=["viewers"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    ops = stage.person(groups=["ops"])
    own_token = stage.server.admin("create", "token", "helper", "-n", "team-b").strip()
    as_ana = {"Impersonate-User": ana.user.arn, "Impersonate-Group": "viewers", SPELLINGS[0]: proof_of(ana)}
    assert ana.get(config_maps("team-a")).status_code == 200
    assert ops.get(config_maps("team-a")).status_code == 200
    listen = {
        name: stage.hub.ready[url].removeprefix("https://")
        for name, url in (("listen", "gateway"), ("grpc_listen", "grpc"))
    }
    stage.hub.stop()
    try:
        refused = stage.server.request(config_maps("team-a"), token=own_token, headers=as_ana)
        assert refused.status_code in (403, 500), refused.text
        # What the cluster's own RBAC gives goes on, by the token cache's time; what a policy gave does not.
        assert ops.get(config_maps("team-a")).status_code == 200
        assert ana.get(config_maps("team-a")).status_code in (403, 500)
        assert "settings" in stage.server.admin("get", "configmaps", "-n", "team-a", "-o", "name")
    finally:
        if not REPLICAS:
            stage.hub.start(**listen)
    # A stack's ports are new each time, and its run is over with this.
    if REPLICAS:
        return
    assert ana.get(config_maps("team-a")).status_code == 200
    assert stage.server.request(config_maps("team-a"), token=own_token, headers=as_ana).status_code == 403

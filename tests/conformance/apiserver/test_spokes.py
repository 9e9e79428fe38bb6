"""Spoke clusters that are watched, with real API servers: what kubectl changes there decides here."""

from __future__ import annotations

import json
import pathlib
import signal
import time

import requests

import kube
from hub import NO, REGION, USAGE, unique
from kubefiles import hide_tokens
from spokes import READERS, add, counted, holder, kubeconfig, line, new_namespace, new_spoke, seen

# Changes in a row, as fast as they go.
FLOOD = 200
OTHER_ACCOUNT = "222233334444"
# Nobody here reads these, and they come with each list. An object has at most 256 KiB of them.
ANNOTATION_BYTES = 200_000


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
    assert counted(hub, "lanyard_spoke_clusters") == 1
    for part in ("aws_auth", "cluster_roles", "roles", "cluster_role_bindings", "role_bindings", "service_accounts", "issuer"):
        seen(f"the list of {part}", lambda part=part: counted(hub, "lanyard_spoke_lists_total", part=part) >= 1)
    for part in ("rbac", "service_accounts", "issuer"):
        seen(f"the push of {part}", lambda part=part: counted(hub, "lanyard_spoke_pushes_total", part=part, outcome="taken") >= 1)
    assert counted(hub, "lanyard_spoke_read_faults_total") == counted(hub, "lanyard_spoke_lease_losses_total") == 0
    again = spoke.add()
    assert again["registration"] == "unchanged" and again["files_are"] == "kept", again
    same = ("uid", "credential", "kubeconfig_version", "files", "flags")
    assert {key: again[key] for key in same} == {key: added[key] for key in same}
    told = hub.run("cluster", "describe", spoke.cluster.id, output=None).stdout
    assert "spoke.watch.holder" in told and spoke.server.admin_token not in told


def test_flags_of_a_command_that_is_run_again_count_as_the_first_time(new_hub, servers, tmp_path):
    hub = new_hub().start()
    spoke, added = new_spoke(hub, servers[0], tmp_path / "spoke")
    assert added["changed"] == added["kept"] == [], added
    # The hub comes by another address than people do.
    public = "https://api.public.example"
    flags = ("--endpoint", public, "--trust", "aws/444455556666", "--authentication-mode", "API", "--tag", "team=a")
    updated = spoke.add(*flags)
    changed = ["endpoint", "authentication_mode", "trusted_accounts", "tags"]
    assert updated["registration"] == "updated" and updated["changed"] == changed, updated
    for _ in range(2):
        again = spoke.add(*flags)
        assert again["registration"] == "unchanged" and again["changed"] == [], again
    known = spoke.describe()["cluster"]
    assert known["endpoint"] == public and known["authentication_mode"] == "API", known
    assert {"authority": "aws", "account": "444455556666"} in known["trusted_accounts"], known
    hub.cli("cluster", "update", spoke.cluster.id, "--tag", "team=a", "--tag", "stage=live")
    words = add(spoke.server, spoke.folder, spoke.cluster.id)
    told = hub.run(*words, *flags, output=None).stdout
    assert "tag stage" in told and "lanyard cluster update" in told, told
    why = hub.refused(*words, "--authentication-mode", "CONFIG_MAP", code=USAGE)
    assert "from API to CONFIG_MAP" in why, why


def test_an_api_server_starts_with_what_was_written_for_its_release_or_a_named_one(new_hub, servers, etcd, tmp_path):
    hub, asked = new_hub().start(), servers[0]
    spoke, added = new_spoke(hub, asked, tmp_path / "spoke")
    said = asked.request("/version", token=asked.admin_token).json()
    current = f"{said['major']}.{said['minor'].rstrip('+')}"
    assert added["kubernetes"] == {"said_by": "api_server", "version": current}, added
    assert any(flag.startswith("--authorization-config=") for flag in added["flags"]), added
    # What goes by flags alone a newer server understands as well.
    (tmp_path / "older").mkdir()
    words = [*add(asked, tmp_path / "older", spoke.cluster.id), "--kubernetes-version", "1.28"]
    older = hub.cli(*words)
    assert older["kubernetes"] == {"said_by": "flag", "version": "1.28"} and older["registration"] == "unchanged", older
    assert not any(file.endswith("authorization-config.yaml") for file in older["files"]), older
    assert "--authorization-mode=Webhook,Node,RBAC" in older["flags"], older
    kept = hub.cli(*words)
    assert kept["files_are"] == "kept" and kept["credential"] == older["credential"], kept
    ana = hub.create_user("ana")
    spoke.cluster.entry(ana, policy="AmazonEKSViewPolicy")
    for name, written in (("said", added), ("named", older)):
        hide_tokens(hub, pathlib.Path(written["files"][0]).parent)
        server = kube.start(tmp_path / name, etcd, written["flags"])
        try:
            configmaps = "/api/v1/namespaces/default/configmaps"
            may = server.request(configmaps, token=spoke.cluster.token(ana))
            assert may.status_code == 200, may.text
            may_not = server.request("/api/v1/namespaces/default/secrets", token=spoke.cluster.token(ana))
            assert may_not.status_code == 403, may_not.text
        finally:
            kube.stop(server.process)
    # Files for another release than the one that the server says are no good to it.
    again = hub.cli(*words[:-2])
    assert again["files_are"] == "written" and again["flags"] != older["flags"], again


def test_of_an_api_server_that_does_not_say_its_release_the_newest_is_taken_with_a_warning(new_hub, tmp_path):
    hub = new_hub().start()
    nobody = kube.ApiServer(tmp_path / "nobody", kube.free_port(), "a-token-of-nobody")
    nobody.ca.parent.mkdir(parents=True)
    nobody.ca.write_text(pathlib.Path(hub.ca).read_text())
    done = hub.run(*add(nobody, tmp_path, "away"))
    assert done.returncode == 0 and "--kubernetes-version 1.NN" in done.stderr, done.stderr
    added = json.loads(done.stdout)
    assert added["kubernetes"]["said_by"] == "nobody" and added["kubernetes"]["why"], added
    # Of what was written for a release that somebody named, no newer one is made by a guess.
    older = hub.cli(*add(nobody, tmp_path, "away"), "--kubernetes-version", "1.28")
    assert older["files_are"] == "written", older
    guessed = hub.cli(*add(nobody, tmp_path, "away"))
    assert guessed["files_are"] == "kept" and guessed["flags"] == older["flags"], guessed


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


def test_what_the_hub_lists_kubectl_applies_as_it_is(spoke):
    def listed() -> list[dict]:
        return spoke.hub.cli("rbac", "list", spoke.cluster.id)["items"]

    seen("the objects", lambda: len(listed()) > 10)
    text = spoke.hub.run("rbac", "list", spoke.cluster.id).stdout
    said = spoke.server.admin("apply", "--dry-run=client", "-f", "-", stdin=text).splitlines()
    assert len(said) == len(json.loads(text)["items"]), said
    assert all(answer.endswith(" (dry run)") for answer in said), said


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


def test_a_list_that_is_too_long_for_one_answer_is_read_in_smaller_parts(new_hub, servers, tmp_path):
    server = servers[0]
    namespace = new_namespace(server)
    role = {"apiGroup": kube.RBAC_GROUP, "kind": "ClusterRole", "name": "view"}
    long = [
        {
            "apiVersion": f"{kube.RBAC_GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"long-{number}", "namespace": namespace, "annotations": {"note": "x" * ANNOTATION_BYTES}},
            "roleRef": role,
        }
        for number in range(12)
    ]
    server.admin("create", "-f", "-", stdin=kube.objects(*long))
    try:
        hub = new_hub(settings={"LANYARD_SPOKE__ANSWER_BYTES_MAX": str(4 * ANNOTATION_BYTES)}).start()
        spoke, _ = new_spoke(hub, server, tmp_path / "spoke")
        seen("the list", lambda: counted(hub, "lanyard_spoke_lists_total", part="role_bindings") >= 1)
        assert counted(hub, "lanyard_spoke_read_faults_total") == 0
        assert spoke.watch()["fault"] is None, spoke.watch()
    finally:
        server.admin("delete", "rolebindings", "--all", "-n", namespace)


def test_the_rules_that_the_help_prints_are_enough_and_what_lacks_is_named(new_hub, servers, tmp_path):
    hub, server = new_hub().start(), servers[1]
    told = hub.run("cluster", "add", "--help", output=None).stdout
    start = told.index("  - {apiGroups")
    rules = told[start : told.index("\n\n", start) + 1]
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
    seen("what is counted", lambda: counted(hub, "lanyard_spoke_read_faults_total", part="roles", reason="denied") >= 1)
    assert counted(hub, "lanyard_spoke_lists_total") == 0


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

"""The life of `lanyard serve`: what it leaves, what it keeps, what it never shows."""

import json
import os
import pathlib
import subprocess
from urllib.parse import urlsplit

import pytest

from cluster import Cluster, with_id
from databases import own_database
from hub import NO_ANSWER, USAGE

PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.mark.parametrize("store", ["sqlite", "postgres", "moved from sqlite to postgres"])
def test_a_restart_keeps_everything(new_hub, store):
    url = os.environ.get("LANYARD_TEST_POSTGRES_URL")
    if store != "sqlite" and not url:
        pytest.skip("LANYARD_TEST_POSTGRES_URL names no server")
    url = own_database(url) if store != "sqlite" else ""
    settings = {"LANYARD_STORE": url} if store == "postgres" else {}
    hub = new_hub(settings=settings)
    if store != "sqlite":
        hub.secrets.add("the store's password", urlsplit(url).password or "")
    before = dict(hub.start().ready)
    cluster = hub.create_cluster("kept")
    ana = hub.create_user("ana")
    role = hub.create_role("viewer", trusts=ana.arn)
    cluster.entry(ana, groups=["devs"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    cluster.entry(role)
    session = hub.assume_role(ana, role, "ana")
    ben = hub.create_user("ben")
    cluster.push_aws_auth(f"mapUsers: |\n  - userarn: {ben.arn}\n    username: ben\n")
    cid = hub.create_user("cid")
    hub.cli("block", "create", "--cluster", cluster.id, "--principal", cid.arn, "--reason", "left")
    token, user = cluster.token(ana), cluster.log_in(ana)
    assert cluster.verdict(user, **PODS)[0] == "allowed"
    _, decision = cluster.access_review(user, **PODS)["status"]["reason"].rsplit("(", 1)
    lists = [
        ["cluster", "list"],
        ["entry", "list", cluster.id],
        ["iam", "user", "list"],
        ["block", "list", "--cluster", cluster.id],
        ["aws-auth", "get", cluster.id],
        ["iam", "account", "list"],
    ]
    listed = [hub.cli(*words) for words in lists]
    hub.stop()
    if store.startswith("moved"):
        moved = hub.cli("db", "copy", "--from", str(hub.data), environment={"LANYARD_STORE": url})
        assert moved["lines"] > 0 and urlsplit(url).password not in str(moved), moved
        settings["LANYARD_STORE"] = url
    after = hub.start().ready
    for same in ("account", "region", "hub_id", "ca", "credentials"):
        assert after[same] == before[same], same
    cluster = Cluster(hub, cluster.id, cluster.uid, cluster.spoke)
    assert [hub.cli(*words) for words in lists] == listed
    assert cluster.token_review(token)["status"]["user"]["username"] == ana.arn
    assert cluster.verdict(user, **PODS)[0] == "allowed", "a proof of before holds"
    assert cluster.token_review(cluster.token(session))["status"]["authenticated"], (
        "a session of before holds"
    )
    assert cluster.log_in(ben)["username"] == "ben"
    assert cluster.refusal(cid) == "blocked"
    assert hub.explain_decision(decision.rstrip(")"))["verdict"] == "allowed", "decisions are found again"
    hub.cli("entry", "delete", cluster.id, ana.arn)
    assert cluster.verdict(user, **PODS)[0] == "denied"
    hub.stop()
    hub.assert_no_leaks()
    assert (hub.data / "lanyard.db").exists() == (store != "postgres")


def test_the_url_by_which_a_hub_is_known_is_the_first_that_it_was_told(new_hub):
    first, other = "https://hub.example:8443", "https://other.example"
    hub = new_hub().start()
    stored = lambda *words: hub.cli("db", "external-url", *words, "--data-dir", str(hub.data))  # noqa: E731
    hub.stop()
    assert stored()["external_url"] is None, "where it listened is nobody's word"
    hub.start("--external-url", first)
    hub.stop()
    assert hub.start().ready["gateway"] == first
    hub.stop()
    assert "since it was first told" not in hub.log()
    assert hub.start("--external-url", f"{other}/").ready["gateway"] == other, "the configuration's word counts"
    hub.stop()
    warnings = [line for line in hub.log().splitlines() if "since it was first told" in line]
    assert len(warnings) == 1 and first in warnings[0] and other in warnings[0], warnings
    assert stored()["external_url"] == first
    assert stored(other, "--reason", "it moved") | {"store": ""} == {"store": "", "external_url": other, "before": first}
    assert hub.start().ready["gateway"] == other
    hub.stop()
    assert stored("--forget")["external_url"] is None
    assert hub.start().ready["gateway"].startswith("https://127.0.0.1:")
    assert "https" in hub.refused("db", "external-url", "http://hub.example", code=USAGE)


def test_the_administrators_key_is_renewed_when_its_file_is_lost_and_not_unasked(new_hub):
    hub = new_hub().start()
    lost = hub.administrator()
    hub.create_cluster("kept")
    hub.stop()
    file = pathlib.Path(hub.ready["credentials"])
    # As it is when the first start dies between its commit and its last step.
    file.rename(file.with_name("credentials.staged"))
    hub.start()
    assert hub.administrator().access_key_id == lost.access_key_id
    hub.stop()
    file.unlink()
    hub.start("--renew-administrator")
    renewed = hub.administrator()
    assert renewed.access_key_id != lost.access_key_id
    assert file.stat().st_mode & 0o777 == 0o600 and not file.with_name("credentials.staged").exists()
    assert len(hub.cli("cluster", "list")) == 1
    assert hub.run("cluster", "list", credentials=lost).returncode != 0
    assert [key["id"] for key in hub.cli("iam", "access-key", "list", "administrator")] == [renewed.access_key_id]
    hub.stop()
    hub.assert_no_leaks()


def test_what_was_decided_right_before_a_stop_is_found_after_it(new_hub):
    hub = new_hub().start()
    cluster = hub.create_cluster("stopping")
    ana = hub.create_user("ana")
    tokens = [cluster.token(ana) for _ in range(20)]
    errors = [cluster.token_review(token)["status"]["error"] for token in tokens]
    hub.stop()
    hub.start()
    for code, decision in map(with_id, errors):
        found = hub.explain_decision(decision)
        assert code == "unmapped" and found["verdict"] == "unauthorized", found


def test_a_hub_that_is_killed_has_lost_nothing_that_it_answered(new_hub):
    hub = new_hub().start()
    cluster = hub.create_cluster("killed")
    ana = hub.create_user("ana")
    cluster.entry(ana)
    hub._process.kill()
    hub._process.wait()
    hub._process = None
    hub.start()
    cluster = Cluster(hub, cluster.id, cluster.uid, cluster.spoke)
    assert cluster.log_in(ana)["username"] == ana.arn


def immunity_57_folder_and_files_are_their_owners_alone(hub):
    assert hub.data.stat().st_mode & 0o777 == 0o700
    modes = {str(path.relative_to(hub.data)): path.stat().st_mode & 0o777 for path in hub.data.rglob("*")}
    secret = {
        name
        for name in modes
        if name.startswith(("credentials", "envelope", "lanyard.db")) or name.endswith(".key")
    }
    assert hub.own_files <= secret, modes
    for name in secret:
        assert modes[name] == 0o600, name
    loose = {name: oct(mode) for name, mode in modes.items() if mode & 0o022}
    assert not loose, loose


def immunity_57_a_folder_that_others_may_write_is_refused(new_hub, tmp_path):
    hub = new_hub("loose")
    hub.data.mkdir(mode=0o777)
    hub.data.chmod(0o777)
    done = subprocess.run(
        [
            os.environ["LANYARD_BIN"],
            "serve",
            "--data-dir",
            str(hub.data),
            "--listen",
            "127.0.0.1:0",
            "--grpc-listen",
            "127.0.0.1:0",
            "--aws-listen",
            "127.0.0.1:0",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode != 0 and str(hub.data) in done.stderr + done.stdout
    assert not (hub.data / "lanyard.db").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--listen", "0.0.0.0:0"], "loopback"),
        (["--grpc-listen", "0.0.0.0:0"], "loopback"),
        (["--aws-listen", "0.0.0.0:0"], "loopback"),
        (["--listen", "localhost:0"], "`localhost:0` is no address: write IP:PORT"),
        (["--external-url", "http://hub.example"], "https"),
        (["--account", "12"], "account"),
        (["--region", "no region"], "region"),
        (["--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (["--log", "=="], "log"),
    ],
)
def test_a_wrong_setting_is_named_before_any_port_is_bound(tmp_path, words, named):
    command = [os.environ["LANYARD_BIN"], "serve", "--data-dir", str(tmp_path / "data"), *words]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 64, (done.returncode, done.stderr)
    assert named in done.stderr, done.stderr
    assert not (tmp_path / "data").exists()


def test_an_unknown_key_is_refused_with_the_nearest_right_one(tmp_path):
    config = tmp_path / "lanyard.toml"
    config.write_text("[gateway]\nreview_timout_ms = 5\n")
    command = [os.environ["LANYARD_BIN"], "serve", "--config", str(config)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 64 and "review_timeout_ms" in done.stderr, done.stderr


def test_file_environment_and_flags_are_read_in_this_order_and_print_config_shows_it(tmp_path):
    config = tmp_path / "lanyard.toml"
    config.write_text('region = "eu-west-1"\naccount = "111122223333"\n[gateway]\nreview_timeout_ms = 100\n')
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "LANYARD_GATEWAY__REVIEW_TIMEOUT_MS": "200",
        "LANYARD_REGION": "eu-west-2",
    }
    command = [
        os.environ["LANYARD_BIN"],
        "serve",
        "--config",
        str(config),
        "--region",
        "eu-west-3",
        "--print-config",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode == 0, done.stderr
    assert 'region = "eu-west-3"' in done.stdout and "review_timeout_ms = 200" in done.stdout
    assert 'account = "111122223333"' in done.stdout


def immunity_27_no_secret_of_a_whole_run_reaches_the_log_or_the_files(new_hub, tmp_path):
    """Everything that handles a secret, with every crate logging all it has; then log and folder are read."""
    hub = new_hub("verbose", log="trace").start()
    cluster = hub.create_cluster("verbose")
    ana = hub.create_user("ana")
    role = hub.create_role("viewer", trusts=ana.arn)
    cluster.entry(ana, policy="AmazonEKSViewPolicy")
    cluster.entry(role)
    session = hub.assume_role(ana, role, "ana")
    for who in (ana, session):
        token = cluster.token(who)
        assert cluster.token_review(token)["status"]["authenticated"]
        assert hub.explain("--token", "-", "--cluster", cluster.id, stdin=token)["verdict"] == "allowed"
        hub.run("token", "inspect", "-", stdin=token)
    self_review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    cluster.post("apis/authentication.k8s.io/v1/selfsubjectreviews", self_review, bearer=cluster.token(ana))
    armed = hub.cli("cluster", "break-glass", "arm", cluster.id)["value"]
    credential = hub.secrets.add("a break-glass credential", armed["token"])
    assert cluster.token_review(credential)["status"]["authenticated"]
    # What is refused is logged most.
    wrong = hub.secrets.add("a wrong bearer token", "not-the-credential-of-any-spoke")
    cluster.post("tokenreview", {}, bearer=wrong)
    spoilt = hub.secrets.add("a spoilt token", cluster.token(ana) + "%")
    cluster.token_review(spoilt)
    cluster.post("tokenreview", b'{"spec":{"token":"' + spoilt.encode())
    cluster.refusal(type(session)(session.access_key_id, "wrong-secret-of-a-session", session.session_token))
    out = tmp_path / "webhook"
    hub.cli("cluster", "webhook-config", cluster.id, "--out", str(out))
    for path in out.iterdir():
        for line in path.read_text().splitlines():
            if line.strip().startswith("token:"):
                hub.secrets.add("a webhook file's token", line.split(":", 1)[1].strip().strip("'\""))
    hub.stop()
    assert len(hub.secrets) > 15
    assert len(hub.log()) > 10_000, "the log says too little to be looked through"
    hub.assert_no_leaks()


def test_webhook_files_are_their_owners_alone(hub, cluster, tmp_path):
    out = tmp_path / "webhook"
    hub.cli("cluster", "webhook-config", cluster.id, "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in out.iterdir()}
    assert set(modes) >= {
        "tokenreview.kubeconfig",
        "subjectaccessreview.kubeconfig",
        "authorization-config.yaml",
        "flags.txt",
    }
    assert set(modes.values()) == {0o600}, modes
    # Each run makes a credential, and says that those before it count on.
    before = hub.cli("cluster", "spoke-credential", "list", cluster.id)
    again = hub.run("cluster", "webhook-config", cluster.id, "--out", str(out))
    assert again.returncode == 0, again.stderr
    assert f"has {len(before)} more, made before" in again.stderr, again.stderr
    assert f"lanyard cluster spoke-credential delete {cluster.id} ID" in again.stderr, again.stderr
    # This hub is on loopback.
    assert "leads an API server on another machine to itself" in again.stderr, again.stderr


def test_the_ready_file_says_where_everything_is(hub):
    ready = json.loads(pathlib.Path(hub.ready_file).read_text())
    assert ready.keys() >= {"gateway", "grpc", "ca", "credentials", "account", "region", "hub_id"}
    for url in ("gateway", "grpc"):
        assert ready[url].startswith("https://127.0.0.1:")
    assert "BEGIN CERTIFICATE" in pathlib.Path(ready["ca"]).read_text()


def test_the_ready_files_are_there_as_long_as_the_hub_answers(new_hub):
    hub = new_hub().start()
    files = [hub.ready_file, hub.data / "ready.json"]
    assert [json.loads(file.read_text()) for file in files] == [hub.ready] * 2
    second = [os.environ["LANYARD_BIN"], "serve", "--data-dir", str(hub.data), "--ready-file", str(hub.ready_file)]
    done = subprocess.run(second, capture_output=True, text=True, timeout=60, env={"HOME": str(hub.folder)})
    assert done.returncode == 1 and "is in use by a running" in done.stderr, done.stderr
    assert [json.loads(file.read_text()) for file in files] == [hub.ready] * 2, "who may not have the folder takes nothing from it"
    hub.stop()
    assert not any(file.exists() for file in files)
    assert "ready.json" in hub.refused("cluster", "list", code=NO_ANSWER)

"""Access entries that name several principals, and those that are pinned to whoever comes first."""

import json

import pytest

from hub import NO
from lab import ACCOUNT, hub_of

SET = f"arn:aws:sso::{ACCOUNT}:permission-set"
PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """An account that has roles of IAM Identity Center."""
    with hub_of(tmp_path_factory.mktemp("sso")) as both:
        yield both


@pytest.fixture
def world(lab):
    hub, sts = lab
    cluster = hub.create_cluster("sso", "--trust", f"sts:lab/{ACCOUNT}")

    def session(role, principal_id=None):
        who = sts.session(role, "ana", ACCOUNT, principal_id)
        hub.secrets.add("a lab key", who.credentials.secret)
        return who

    return hub, sts, cluster, session


def sso(name, suffix="0123456789abcdef"):
    return f"AWSReservedSSO_{name}_{suffix}"


def outcome(world, who):
    """Whom the cluster takes somebody for, or the code of the refusal."""
    _, sts, cluster, _ = world
    status = cluster.token_review(cluster.token(who.credentials, host=sts.host))["status"]
    return status["user"]["username"] if status["authenticated"] else status["error"].split(" ")[0]


def immunity_06_whoever_has_the_permission_set_gets_in_and_nobody_whose_role_is_named_alike(world):
    hub, sts, cluster, session = world
    made = hub.cli("entry", "create", cluster.id, f"{SET}/Dev", "--group", "devs")
    assert any("name the suffix too" in notice for notice in made["notices"]), made
    hub.cli("entry", "associate", cluster.id, f"{SET}/Dev", "AmazonEKSViewPolicy")
    dev = session(sso("Dev"))
    assert outcome(world, dev) == dev.arn
    assert cluster.verdict(cluster.log_in(dev.credentials, host=sts.host), **PODS)[0] == "allowed"
    # Who would vouch for an ARN is whom the cluster trusts for its account.
    supposed = hub.explain("--as", dev.arn, "--cluster", cluster.id, "list", "pods", "-n", "team-a")
    assert supposed["verdict"] == "allowed" and "sts:lab" in json.dumps(supposed), supposed
    for other in (sso("Dev_Admin"), sso("dev"), sso("Dev", "0123456789ABCDEF"), "AWSReservedSSO_Dev"):
        assert outcome(world, session(other)).rstrip(":") == "unmapped", other
    token = cluster.token(session(sso("dev")).credentials, host=sts.host)
    told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=token)
    assert "letter case" in json.dumps(told), told


def test_an_entry_for_one_goes_before_a_pattern_and_overlaps_are_refused(world):
    hub, _, cluster, session = world
    pattern = f"arn:aws:iam::{ACCOUNT}:role/dev-*"
    hub.cli("entry", "create", cluster.id, pattern, "--username", "dev:{{PrincipalName}}:{{SessionName}}")
    hub.cli("entry", "create", cluster.id, f"arn:aws:iam::{ACCOUNT}:role/dev-lead", "--username", "lead")
    assert outcome(world, session("dev-1")) == "dev:dev-1:ana"
    assert outcome(world, session("dev-lead")) == "lead"
    refused = hub.refused("entry", "create", cluster.id, f"arn:aws:iam::{ACCOUNT}:role/*-1", code=2)
    assert pattern in refused and "narrow" in refused
    for bad in (f"arn:aws:iam::{ACCOUNT}:role/team/dev-*", "arn:aws:iam::*:role/dev", f"{SET}/D*", f"{SET}/Dev/xyz"):
        assert hub.refused("entry", "create", cluster.id, bad, code=2), bad
    preview = hub.cli("entry", "preview", cluster.id, f"arn:aws:iam::{ACCOUNT}:role/*-1")
    assert preview["overlaps"] == [pattern] and preview["complete"] is False
    gone = hub.cli("entry", "delete", cluster.id, f"arn:aws:iam::{ACCOUNT}:role/dev-lead")
    assert "still resolves, by the access entry for" in gone["notices"][0]


def immunity_43_the_first_who_logs_in_has_the_pinned_entry_and_a_role_made_anew_does_not(world):
    hub, _, cluster, session = world
    role = f"arn:aws:iam::{ACCOUNT}:role/admin"
    hub.cli("entry", "create", cluster.id, role, "--pin-until", "2100-01-01T00:00:00Z")
    assert hub.cli("entry", "get", cluster.id, role)["state"] == "unpinned"
    first, anew = session("admin", "AROAFIRST"), session("admin", "AROAANEW")
    assert outcome(world, first) == first.arn
    assert outcome(world, anew).rstrip(":") == "stale_entry"
    hub.settle()
    entry = hub.cli("entry", "get", cluster.id, role)
    assert entry["entry"]["principal_id"] == "AROAFIRST" and "pin_until" not in entry["entry"]
    assert "waits" not in json.dumps(entry)
    refused = hub.refused("entry", "create", cluster.id, f"{role}-*", "--pin-until", "2100-01-01T00:00:00Z", code=2)
    assert "only what means one principal" in refused
    hub.refused("entry", "create", cluster.id, f"{role}2", "--pin-until", "2001-01-01T00:00:00Z", code=2)


def test_an_entry_whose_role_was_made_anew_is_stale_in_explanations_too_until_it_is_bound_again(world):
    hub, _, cluster, session = world
    role = f"arn:aws:iam::{ACCOUNT}:role/made-anew"
    hub.cli("entry", "create", cluster.id, role, "--principal-id", "AROAOLD")
    anew = session("made-anew", "AROAANEW")
    supposed = lambda: hub.explain("--as", anew.arn, "--cluster", cluster.id)["stages"][-1].get("code")  # noqa: E731
    state = lambda: hub.cli("entry", "get", cluster.id, role)["state"]  # noqa: E731
    assert state() == "active" and supposed() != "stale_entry"
    for _ in range(2):
        assert outcome(world, anew).rstrip(":") == "stale_entry"
    assert state() == "stale" and supposed() == "stale_entry"
    hub.cli("entry", "update", cluster.id, role, "--rebind")
    assert state() == "active" and supposed() != "stale_entry"
    assert outcome(world, anew) == anew.arn


def test_a_preview_names_the_users_and_roles_of_an_account_that_the_hub_keeps(world):
    hub, _, cluster, _ = world
    for name in ("team-a-reader", "team-a-writer", "team-b-reader"):
        hub.cli("iam", "role", "create", name, "--trust", f"arn:aws:iam::{hub.account}:root")
    shown = hub.cli("entry", "preview", cluster.id, f"arn:aws:iam::{hub.account}:role/team-a-*")
    names = [one["principal_arn"].rsplit("/", 1)[1] for one in shown["principals"]]
    assert names == ["team-a-reader", "team-a-writer"] and shown["complete"]
    assert all(one["principal_id"].startswith("AROA") for one in shown["principals"])
    told = hub.refused("entry", "create", cluster.id, f"arn:aws:sso::{hub.account}:permission-set/Dev", code=2)
    assert "name the role" in told


class Watch:
    """`lanyard entry watch` of somebody, event by event."""

    def __init__(self, hub, cluster, who):
        self.process = hub.start_cli("entry", "watch", cluster.id, credentials=who.credentials)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def next(self):
        line = self.process.stdout.readline()
        assert line, f"the watch ended: {self.process.stderr.read()}"
        return json.loads(line)

    def told(self):
        event = self.next()
        return event["kind"], event["entry"]["entry"]["principal_arn"] if "entry" in event else None

    def end(self):
        """The exit code and what it said."""
        rest, said = self.process.communicate(timeout=20)
        return self.process.returncode, rest, said


def test_a_watch_tells_each_change_until_its_caller_may_no_longer_look(world):
    hub, _, cluster, _ = world
    ana = hub.create_user("watcher")
    allow = {"Effect": "Allow", "Action": "lanyard:WatchAccessEntries", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    hub.cli("iam", "policy", "put", "--user", ana.name, "watch", "--document", "-", stdin=document)
    dev, ops = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("dev", "ops"))
    with Watch(hub, cluster, ana) as watch:
        seen = [watch.told() for _ in range(2)]
        assert [kind for kind, _ in seen] == ["added", "bookmark"], seen
        hub.cli("entry", "create", cluster.id, dev)
        assert watch.told() == ("added", dev)
        hub.cli("entry", "associate", cluster.id, dev, "AmazonEKSViewPolicy")
        event = watch.next()
        assert event["kind"] == "changed" and len(event["entry"]["associations"]) == 1
        hub.cli("entry", "delete", cluster.id, dev)
        assert watch.told() == ("deleted", dev)
        hub.cli("iam", "policy", "delete", "--user", ana.name, "watch")
        hub.cli("entry", "create", cluster.id, ops)
        code, rest, said = watch.end()
        assert code == NO and rest == "" and "lanyard:WatchAccessEntries" in said, (code, rest, said)


def test_a_watch_of_somebody_who_may_not_look_never_begins(world):
    hub, _, cluster, _ = world
    eve = hub.create_user("eve")
    with Watch(hub, cluster, eve) as watch:
        code, rest, said = watch.end()
        assert code == NO and rest == "" and "lanyard:WatchAccessEntries" in said, (code, rest, said)

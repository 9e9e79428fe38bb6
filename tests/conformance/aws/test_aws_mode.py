"""AWS mode: people whom an STS of another make vouches for act on the hub with stock tools, through `lanyard credential-process`.

An operator registers their account and attaches policies to them; the AWS CLI, boto3 and `lanyard` itself sign with what the
command prints. The same tests run against one process, and against two of each service.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import stat
import subprocess
import uuid

import boto3
import botocore.exceptions
import pytest

import tokens
from hub import NO, REGION, USAGE, unique
from lab import ACCOUNT, FORMS, of_either_form
from management import FrontDoor

EXCHANGE = "/lanyard.credentials.v1.Sessions/ExchangeCallerIdentity"
COMMAND_SECONDS_MAX = 60
OTHER_ACCOUNT = "444455556666"


@pytest.fixture(scope="module", params=FORMS)
def lab(request, tmp_path_factory):
    with of_either_form(request.param, tmp_path_factory.mktemp("aws-mode"), "authn", "credentials") as both:
        yield both


class Person:
    """Somebody of the lab, whose `~/.aws` has their keys as profile `work`, and the hub as profile `hub`."""

    def __init__(self, hub, sts, who, folder: pathlib.Path) -> None:
        self.hub, self.sts, self.who, self.folder = hub, sts, who, folder
        folder.mkdir()
        (folder / "credentials").write_text(
            f"[work]\naws_access_key_id = {who.credentials.access_key_id}\n"
            f"aws_secret_access_key = {who.credentials.secret}\n"
        )
        (folder / "config").write_text(
            f"[profile hub]\nregion = {REGION}\nca_bundle = {hub.ca}\nendpoint_url = {hub.ready['aws']}\n"
            f"credential_process = {' '.join(self.command())}\n"
        )

    def command(self, profile: str = "work") -> list[str]:
        words = [os.environ["LANYARD_BIN"], "credential-process", "--hub", self.hub.ready["grpc"], "--ca", self.hub.ca]
        return [*words, "--profile", profile, "--region", REGION, "--sts-host", self.sts.host]

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            **more,
        }

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env=self.environment(**environment),
        )
        assert not self.hub.secrets.seen_in(done.stderr), "standard error shows a secret"
        return done

    def aws(self, *words: str) -> subprocess.CompletedProcess:
        return self.run([os.environ["AWS_CLI"], "--profile", "hub", *words])

    def session(self, *flags: str) -> dict:
        """What the command prints."""
        done = self.run([*self.command(), *flags])
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        self.hub.secrets.add("an exchanged session's secret", said["SecretAccessKey"])
        self.hub.secrets.add("an exchanged session's token", said["SessionToken"])
        return said

    def refused(self, code: int = NO) -> str:
        done = self.run([*self.command(), "--renew"])
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stderr

    def attach(self, *actions: str, name: str = "p", resource: str = "*") -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.hub.cli("iam", "policy", "put", "--principal", self.principal, name, "--document", "-", stdin=document)

    @property
    def principal(self) -> str:
        """The canonical ARN."""
        if ":assumed-role/" not in self.who.arn:
            return self.who.arn
        return f"arn:aws:iam::{self.who.account}:role/{self.who.arn.split('/')[1]}"

    def proof(self, **choices) -> str:
        wanted = {"host": self.sts.host, "header": tokens.HUB_HEADER, "expires": "300"} | choices
        hub_id = wanted.pop("hub_id", self.hub.ready["hub_id"])
        return tokens.presigned(self.who.credentials, hub_id, region=REGION, **wanted)


@pytest.fixture
def person(lab, tmp_path):
    hub, sts = lab
    sts.ill = None
    return Person(hub, sts, known(hub, sts.session(unique("Dev"), "ana@example.com", ACCOUNT)), tmp_path / "ana")


def known(hub, who):
    hub.secrets.add("a lab key", who.credentials.secret)
    return who


@pytest.fixture
def door(lab):
    hub, _ = lab
    door = FrontDoor(hub)
    yield door
    door.close()


def exchange(door, url: str):
    """Without a signature: the URL is the proof."""
    return door.send(EXCHANGE, door.encode(EXCHANGE, {"presigned_url": url}), [])


@pytest.fixture
def founder(lab, tmp_path) -> tokens.Credentials:
    """A session of somebody of the lab who makes clusters in its account: nobody of another account may, hub operators neither."""
    hub, sts = lab
    sts.ill = None
    founder = Person(hub, sts, known(hub, sts.person(unique("founder"), ACCOUNT)), tmp_path / "founder")
    founder.attach("eks:*", "lanyard:*")
    said = founder.session()
    return tokens.Credentials(said["AccessKeyId"], said["SecretAccessKey"], said["SessionToken"])


def cluster_of_the_lab(hub, founder) -> dict:
    """A cluster in the lab's account, which lets its people in."""
    return hub.cli("cluster", "create", unique("lab"), "--region", REGION, credentials=founder)["value"]


def test_the_whole_story_with_the_aws_cli(lab, person, founder):
    hub, _ = lab
    cluster = cluster_of_the_lab(hub, founder)["id"]
    person.attach("eks:CreateAccessEntry", "eks:DescribeAccessEntry")
    bob = f"arn:aws:iam::{ACCOUNT}:user/bob"
    entry = ["--cluster-name", cluster, "--principal-arn", bob]

    who = person.aws("sts", "get-caller-identity", "--output", "json")
    assert who.returncode == 0, who.stderr
    assert json.loads(who.stdout)["Arn"] == person.who.arn

    made = person.aws("eks", "create-access-entry", *entry, "--kubernetes-groups", "devs", "--output", "json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["accessEntry"]["principalArn"] == bob
    refused = person.aws("eks", "delete-access-entry", *entry)
    assert refused.returncode != 0 and "AccessDeniedException" in refused.stderr, refused.stderr
    assert "eks:DeleteAccessEntry" in refused.stderr, refused.stderr

    # `lanyard` itself signs with the same profile; and the change is theirs.
    ours = [os.environ["LANYARD_BIN"], "--hub", hub.ready["grpc"], "--ca", hub.ca, "--profile", "hub", "--output", "json"]
    shown = person.run([*ours, "iam", "account", "list"])
    assert shown.returncode == NO and "lanyard:ListAccounts" in shown.stderr, shown.stderr
    person.attach("eks:ListAccessEntries", name="list")
    shown = person.run([*ours, "entry", "list", cluster])
    assert shown.returncode == 0 and bob in shown.stdout, (shown.stdout, shown.stderr)
    hub.cli("iam", "policy", "delete", "--principal", person.principal, "list")

    # An operator takes it away: with the next call, whatever session was kept.
    hub.cli("iam", "policy", "delete", "--principal", person.principal, "p")
    gone = person.aws("eks", "describe-access-entry", *entry)
    assert gone.returncode != 0 and "UnrecognizedClientException" in gone.stderr, gone.stderr


def test_whoami_says_that_a_session_was_exchanged_and_which_policies_it_has(lab, person):
    hub, _ = lab
    person.attach("eks:ListClusters")

    def may(*flags: str) -> dict:
        done = person.run([os.environ["LANYARD_BIN"], "whoami", "--profile", "hub", "--output", "json", *flags])
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["source"], said["identity"]["arn"]) == ("credential-process", person.who.arn)
        return said["permissions"]

    told = may()
    assert (told["outcome"], told["owner_kind"], told["owner"]) == ("listed", "principal", person.principal), told
    (policy,) = told["documents"]
    assert (policy["name"], policy["statements"][0]["actions"]) == ("p", ["eks:ListClusters"])
    assert told["session_policy"] == "none"
    # Where a statement keeps that from them, they are told what the hub's IAM and the hub itself let them list.
    deny = {"Effect": "Deny", "Action": "lanyard:GetCallerPolicies", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    hub.cli("iam", "policy", "put", "--principal", person.principal, "no", "--document", "-", stdin=document)
    assert may()["outcome"] == "not-allowed"
    person.attach("iam:ListRolePolicies", name="list")
    # IAM's operations know roles of the hub alone; the hub itself names whom another authority keeps.
    exchanged = may()
    assert exchanged["outcome"] == "exchanged" and person.principal in exchanged["explained"], exchanged
    listed = may("--hub", hub.ready["grpc"], "--ca", hub.ca)
    assert (listed["outcome"], listed["owner_kind"], listed["owner"]) == ("listed", "principal", person.principal)
    assert sorted(listed["policies"]) == ["list", "no", "p"]


def test_boto3_signs_with_the_profile(lab, person, founder, monkeypatch):
    """By its name alone: keys, endpoint, authority and region are what it says."""
    hub, _ = lab
    cluster = cluster_of_the_lab(hub, founder)["id"]
    person.attach("eks:DescribeCluster")
    for name in [name for name in os.environ if name.startswith(("AWS_", "LANYARD_"))]:
        monkeypatch.delenv(name)
    for name, value in person.environment().items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(profile_name="hub")
    credentials = session.get_credentials()
    assert credentials.method == "custom-process"
    frozen = credentials.get_frozen_credentials()
    hub.secrets.add("an exchanged session's secret", frozen.secret_key)
    hub.secrets.add("an exchanged session's token", frozen.token)
    assert session.client("sts").get_caller_identity()["Arn"] == person.who.arn
    eks = session.client("eks")
    assert eks.describe_cluster(name=cluster)["cluster"]["name"] == cluster
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        eks.delete_cluster(name=cluster)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def immunity_32_an_exchanged_session_opens_no_cluster(lab, person, founder):
    """It manages the hub. At the cluster's door people show what their authority vouches for, and can end at once."""
    hub, _ = lab
    cluster = hub.cluster(cluster_of_the_lab(hub, founder), credentials=founder)
    person.attach("*")
    hub.cli("entry", "create", cluster.id, person.principal, "--group", "devs", credentials=founder)
    ours = [os.environ["LANYARD_BIN"], "--hub", hub.ready["grpc"], "--ca", hub.ca]
    for profile, is_let_in in [("hub", False), ("work", True)]:
        host = ["--sts-host", person.sts.host] if is_let_in else []
        made = person.run([*ours, "--profile", profile, "token", "--cluster-name", cluster.id, "--region", REGION, *host])
        assert made.returncode == 0, made.stderr
        token = json.loads(made.stdout)["status"]["token"]
        hub.secrets.add("a client token", token)
        status = cluster.token_review(token)["status"]
        assert status.get("authenticated", False) is is_let_in, (profile, status)
        if not is_let_in:
            assert "exchanged_session" in status["error"], status
    stock = ["--profile", "hub", "eks", "get-token", "--cluster-name", cluster.id, "--output", "json"]
    for environment in ({}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}):
        made = person.run([os.environ["AWS_CLI"], *stock], **environment)
        assert made.returncode == 0, made.stderr
        token = hub.secrets.add("a client token", json.loads(made.stdout)["status"]["token"])
        # It names the hub's own host as its STS, which separate processes are not told of.
        expected = "exchanged_session" if environment or hub.replicas == 1 else "token_host"
        assert cluster.refusal(token) == expected, environment


def test_a_session_is_kept_for_its_owner_and_made_by_one_process_at_a_time(lab, person):
    _, sts = lab
    person.attach("eks:*")
    asked = sts.asked
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        sessions = [future.result() for future in [pool.submit(person.session) for _ in range(6)]]
    assert sts.asked == asked + 1, "one exchange for all of them"
    assert len({said["AccessKeyId"] for said in sessions}) == 1
    assert sessions[0]["Version"] == 1 and sessions[0]["AccessKeyId"].startswith("LSIA")
    (kept,) = (person.folder / ".cache" / "lanyard" / "sessions").glob("*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert person.session("--renew")["AccessKeyId"] != sessions[0]["AccessKeyId"]
    assert sts.asked >= asked + 2


def immunity_57_a_kept_session_that_others_could_read_is_made_anew_or_refused(lab, person):
    person.attach("eks:*")
    first = person.session()
    (kept,) = (person.folder / ".cache" / "lanyard" / "sessions").glob("*.json")
    kept.chmod(0o644)
    done = person.run(person.command())
    assert done.returncode == USAGE and "0600" in done.stderr, done.stderr
    assert first["SecretAccessKey"] not in done.stdout


def test_a_session_is_kept_nowhere_but_in_a_folder_of_ones_own(lab, person):
    _, sts = lab
    person.attach("eks:*")
    asked = sts.asked
    for environment in ({"HOME": ""}, {"HOME": "here", "XDG_CACHE_HOME": "here"}):
        done = person.run(person.command(), **environment)
        assert done.returncode == USAGE and "set HOME, or XDG_CACHE_HOME" in done.stderr, done.stderr
        assert done.stdout == ""
    assert sts.asked == asked, "nothing is exchanged that could not be kept"


def test_a_command_that_would_call_itself_is_named(lab, person):
    for environment, profile in [({}, "hub"), ({"AWS_PROFILE": "hub"}, None)]:
        command = person.command(profile or "work")
        if profile is None:
            command = [word for word in command if word not in ("--profile", "work")]
        done = person.run(command, **environment)
        assert done.returncode == USAGE and "never end" in done.stderr and "--profile" in done.stderr, done.stderr
    (person.folder / "wrapper").write_text(f"#!/bin/sh\nexec {' '.join(person.command('round'))}\n")
    (person.folder / "wrapper").chmod(0o700)
    with (person.folder / "config").open("a") as config:
        config.write(f"[profile round]\ncredential_process = {person.folder / 'wrapper'}\n")
    done = person.run(person.command("round"))
    assert done.returncode == USAGE and "never end" in done.stderr, done.stderr


def test_what_is_in_the_way_is_said_with_the_next_step(lab, person, tmp_path):
    hub, sts = lab
    assert f"--principal {person.principal}" in person.refused(), "who has no policies is told how to get some"
    stranger = Person(hub, sts, known(hub, sts.person(unique("eve"), OTHER_ACCOUNT)), tmp_path / "eve")
    assert "is not registered on this hub" in stranger.refused()
    # Nobody but its authority vouches for an account.
    posing = Person(hub, sts, known(hub, sts.person("administrator", hub.account)), tmp_path / "posing")
    assert "belongs to another authority" in posing.refused()
    sts.ill = (500, "{}")
    assert "no answer" in person.refused(code=69)
    sts.ill = None
    ours = person.run([*person.command(), "--renew"], AWS_ACCESS_KEY_ID="x")
    assert ours.returncode == NO, "the named profile counts, whatever the environment has"


def immunity_36_a_session_ends_with_its_account(lab, tmp_path):
    hub, sts = lab
    number = f"{uuid.uuid4().int % 10**12:012d}"
    hub.cli("iam", "account", "create", number, "--authority", "sts:lab")
    lea = Person(hub, sts, known(hub, sts.person(unique("lea"), number)), tmp_path / "lea")
    lea.attach("eks:*")
    assert lea.aws("sts", "get-caller-identity").returncode == 0
    hub.cli("iam", "account", "delete", number)
    gone = lea.aws("sts", "get-caller-identity")
    assert gone.returncode != 0 and "InvalidClientTokenId" in gone.stderr, gone.stderr
    assert "is not registered" in lea.refused()
    hub.cli("iam", "account", "create", number, "--authority", "sts:lab")
    lea.attach("eks:*")
    again = lea.aws("sts", "get-caller-identity")
    assert again.returncode != 0, "a session of before the account was registered anew counts again"
    lea.session("--renew")
    assert lea.aws("sts", "get-caller-identity").returncode == 0


def immunity_20_a_block_on_the_aws_key_ends_its_sessions(lab, person):
    hub, _ = lab
    person.attach("eks:*")
    assert person.aws("eks", "list-clusters").returncode == 0
    block = hub.cli("block", "create", "--access-key", person.who.credentials.access_key_id, "--reason", "found")
    refused = person.aws("eks", "list-clusters")
    assert refused.returncode != 0 and "AccessDeniedException" in refused.stderr, refused.stderr
    hub.cli("block", "delete", block["value"]["id"])
    assert person.aws("eks", "list-clusters").returncode == 0


def immunity_32_a_proof_is_good_once_and_for_this_hub_alone(lab, person, door):
    person.attach("eks:*")
    url = person.proof()
    first = exchange(door, url)
    assert first.code.name == "OK" and first.message["arn"] == person.who.arn, first
    session = first.message["session"]
    person.hub.secrets.add("an exchanged session's secret", session["secret_access_key"])
    person.hub.secrets.add("an exchanged session's token", session["session_token"])
    for again in (url, url.replace("https://", "HTTPS://")):
        for _ in range(4):  # by whichever replica
            answer = exchange(door, again)
            assert answer.code.name != "OK", answer
    elsewhere = exchange(door, person.proof(hub_id=str(uuid.uuid4())))
    assert elsewhere.code.name == "PERMISSION_DENIED" and "another hub" in elsewhere.details, elsewhere


def immunity_32_a_clusters_token_is_no_proof_and_a_proof_is_no_token(lab, person, founder, door):
    hub, sts = lab
    person.attach("eks:*")
    cluster = hub.cluster(cluster_of_the_lab(hub, founder), credentials=founder)
    hub.cli("entry", "create", cluster.id, person.principal, "--group", "devs", credentials=founder)
    asked = sts.asked
    for signed in (cluster.id, hub.ready["hub_id"]):
        answer = exchange(door, person.proof(header=tokens.CLUSTER_HEADER, hub_id=signed))
        assert answer.code.name == "PERMISSION_DENIED" and tokens.CLUSTER_HEADER in answer.details, answer
    assert sts.asked == asked, "nobody was asked about a cluster's token"
    assert cluster.refusal(tokens.encode(person.proof())) == "cluster_id_not_signed"


def immunity_05_an_old_proof_and_one_from_the_future_are_refused(lab, person, door):
    _, sts = lab
    asked = sts.asked
    for shift in (-6, 6):
        answer = exchange(door, person.proof(at=tokens.now() + tokens.minutes(shift)))
        assert answer.code.name == "PERMISSION_DENIED", answer
    assert sts.asked == asked


def immunity_31_the_number_of_a_registered_account_is_taken(lab):
    hub, _ = lab
    for authority in ("aws", "local", "sts:lab"):
        assert "exist" in hub.refused("iam", "account", "create", ACCOUNT, "--authority", authority, code=NO)

"""boto3 and the AWS CLI as they are in a pod with a web identity (IRSA), told nothing but what the webhook puts there: they go on across the
end of a session, with the token that the kubelet has projected meanwhile, and the session's tags are those of that token."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess

import boto3
import botocore.credentials
import botocore.exceptions
import botocore.session
import botocore.utils
import pytest

from hub import REGION, unique
from oidc import Issuer

AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:shop:cart"
TAGS = "https://aws.amazon.com/tags"
# The least and the usual life of a session, in seconds.
SHORTEST, USUAL = 900, 3600
COMMAND_SECONDS_MAX = 60
METHOD = "assume-role-with-web-identity"


class Clock:
    """botocore's, which shows another time until STS is asked."""

    def __init__(self) -> None:
        self.ahead = datetime.timedelta()

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc) + self.ahead

    def is_right_again(self, **_) -> None:
        self.ahead = datetime.timedelta()


class App:
    """A pod's application: its role may list users while its session has the tag `team` = `a`."""

    def __init__(self, hub, issuer: Issuer, folder: pathlib.Path) -> None:
        self.hub, self.issuer, self.folder = hub, issuer, folder
        self.token = folder / "token"
        hub.cli("iam", "oidc-provider", "create", issuer.url, "--client-id", AUDIENCE, "--ca-bundle", str(issuer.ca))
        name = issuer.url.removeprefix("https://")
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{hub.account}:oidc-provider/{name}"},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
            "Condition": {"StringEquals": {f"{name}:aud": AUDIENCE, f"{name}:sub": SUBJECT}},
        }
        role = hub.cli("iam", "role", "create", unique("irsa"), "--trust-policy", "-", stdin=document(trust))["value"]
        self.role = f"arn:aws:iam::{hub.account}:role/{role['name']}"
        self.arn = f"arn:aws:sts::{hub.account}:assumed-role/{role['name']}/app"
        tagged = {"StringEquals": {"aws:PrincipalTag/team": "a"}}
        may = document({"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": tagged})
        hub.cli("iam", "policy", "put", "tagged", "--role", role["name"], "--document", "-", stdin=may)
        hub.settle()

    def project(self, team: str = "a", **claims) -> None:
        """Another token at the same place, as the kubelet swings it there."""
        tags = {"principal_tags": {"team": [team]}, "transitive_tag_keys": []}
        token = self.issuer.token(**{"aud": AUDIENCE, "sub": SUBJECT, "jti": unique("token"), TAGS: tags} | claims)
        draft = self.folder / "draft"
        draft.write_text(self.hub.secrets.add("a web identity token", token))
        draft.rename(self.token)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_CA_BUNDLE": self.hub.ca,
            "AWS_ENDPOINT_URL": self.hub.ready["aws"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ROLE_ARN": self.role,
            "AWS_ROLE_SESSION_NAME": "app",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.token),
        }

    def keep(self, keys) -> tuple[str, str, str]:
        """What an SDK signs with, as secrets of the run."""
        self.hub.secrets.add("a session's secret access key", keys.secret_key)
        self.hub.secrets.add("a session token", keys.token)
        return keys.access_key, keys.secret_key, keys.token

    def who(self, keys: tuple[str, str, str]) -> str:
        """Whose these keys are, by themselves."""
        return boto3.Session(*keys).client("sts").get_caller_identity()["Arn"]

    # The AWS CLI, which keeps sessions in a file

    def aws(self, *words: str) -> subprocess.CompletedProcess:
        command = [os.environ["AWS_CLI"], "--output", "json", *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=self.environment()
        )

    def kept_by_cli(self) -> tuple[pathlib.Path, dict]:
        (file,) = (self.folder / ".aws" / "cli" / "cache").glob("*.json")
        kept = json.loads(file.read_text())
        for name in ("SecretAccessKey", "SessionToken"):
            self.hub.secrets.add(f"a session's {name}", kept["Credentials"][name])
        return file, kept


def document(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def seconds_left(text: datetime.datetime) -> float:
    return (text - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


@pytest.fixture
def app(hub, tmp_path, tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("irsa"), path=f"/{unique('irsa')}").start()
    app = App(hub, issuer, tmp_path)
    app.project()
    yield app
    hub.cli("iam", "oidc-provider", "delete", issuer.url)
    issuer.stop()


@pytest.fixture
def in_pod(app, monkeypatch):
    """This process has the environment of the pod, and no other of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        # Where the CLI is, is the tests' own affair.
        if name != "AWS_CLI":
            monkeypatch.delenv(name)
    for name, value in app.environment().items():
        monkeypatch.setenv(name, value)
    return app


def refused(client, operation: str) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as error:
        getattr(client, operation)()
    return error.value.response["Error"]["Code"]


def test_boto3_goes_on_across_the_end_of_a_session_with_the_tags_of_its_next_token(in_pod, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(botocore.credentials, "_local_now", clock.now)
    own = botocore.session.Session()
    own.get_component("event_emitter").register("before-call.sts.AssumeRoleWithWebIdentity", clock.is_right_again)
    session = boto3.Session(botocore_session=own)
    found = session.get_credentials()
    assert found.method == METHOD
    found._time_fetcher = clock.now
    sts, iam = session.client("sts"), session.client("iam")

    first = in_pod.keep(found.get_frozen_credentials())
    assert USUAL - 60 < seconds_left(found._expiry_time) <= USUAL
    assert sts.get_caller_identity()["Arn"] == in_pod.arn
    assert "Users" in iam.list_users()
    assert found.get_frozen_credentials().access_key == first[0], "what is good is not asked for again"

    # The session has ended by now, and the kubelet has projected another token, with which the next call goes on.
    in_pod.project(team="b")
    clock.ahead = datetime.timedelta(seconds=USUAL + 1)
    assert sts.get_caller_identity()["Arn"] == in_pod.arn
    assert not clock.ahead, "STS was asked"
    second = in_pod.keep(found.get_frozen_credentials())
    assert second[0] != first[0] and USUAL - 60 < seconds_left(found._expiry_time) <= USUAL
    assert refused(iam, "list_users") == "AccessDenied", "the tag is the next token's"
    in_pod.project(team="a")
    clock.ahead = datetime.timedelta(seconds=USUAL + 1)
    assert "Users" in iam.list_users()

    # Whose token the role does not trust any more goes on with nothing.
    in_pod.project(sub="system:serviceaccount:shop:other")
    clock.ahead = datetime.timedelta(seconds=USUAL + 1)
    assert refused(sts, "get_caller_identity") == "AccessDenied"


def test_a_session_of_the_shortest_life_is_renewed_ahead_and_the_one_before_lives_on(in_pod):
    """botocore renews what has less than a quarter of an hour, which such a session always has."""
    own = botocore.session.Session()
    fetcher = botocore.credentials.AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=own.create_client,
        web_identity_token_loader=botocore.utils.FileWebIdentityTokenLoader(str(in_pod.token)),
        role_arn=in_pod.role,
        extra_args={"RoleSessionName": "app", "DurationSeconds": SHORTEST},
    )
    found = botocore.credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, METHOD)
    keys = []
    for _ in range(3):
        in_pod.project()
        keys.append(in_pod.keep(found.get_frozen_credentials()))
        assert SHORTEST - 60 < seconds_left(found._expiry_time) <= SHORTEST
    assert len({key for key, _, _ in keys}) == len(keys), "each use has found them about to end"
    assert [in_pod.who(one) for one in keys] == [in_pod.arn] * len(keys)


def test_the_aws_cli_goes_on_across_the_end_of_the_session_that_it_keeps(app):
    def who() -> str:
        done = app.aws("sts", "get-caller-identity")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["Arn"]

    assert who() == app.arn
    assert app.aws("iam", "list-users").returncode == 0
    file, first = app.kept_by_cli()
    # Another command keeps to it,
    assert who() == app.arn and app.kept_by_cli()[1] == first
    # until it has ended.
    first["Credentials"]["Expiration"] = "2020-01-01T00:00:00UTC"
    file.write_text(json.dumps(first))
    assert who() == app.arn
    _, second = app.kept_by_cli()
    assert second["Credentials"]["AccessKeyId"] != first["Credentials"]["AccessKeyId"]
    # It keeps sessions by their token too: the next token's is another one.
    app.project(team="b")
    done = app.aws("iam", "list-users")
    assert done.returncode != 0 and "AccessDenied" in done.stderr, "the tag is the next token's"


def test_whoami_says_whose_session_a_web_identity_has_and_for_how_long(app):
    """It exchanges the token by AWS's SDK for Rust, which trusts whom the system trusts."""
    for name in ("config", "credentials"):
        (app.folder / name).touch()
    done = subprocess.run(
        [os.environ["LANYARD_BIN"], "whoami", "--output", "json"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        env=app.environment() | {"SSL_CERT_FILE": app.hub.ca},
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    said = json.loads(done.stdout)
    who = said["identity"]
    assert (said["source"], who["arn"], who["kind"]) == ("web-identity", app.arn, "role session"), said
    left = seconds_left(datetime.datetime.fromisoformat(who["expires_at"].replace("Z", "+00:00")))
    assert 0 < left <= USUAL, said
    (note,) = [note for note in said["notes"] if note.startswith("they last ")]
    # Whole minutes of what was left, which is less by now.
    assert left // 60 <= int(note.split()[2]) <= USUAL // 60, (note, left)

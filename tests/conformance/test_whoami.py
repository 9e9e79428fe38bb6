"""`lanyard whoami`: the place that wins is the one that botocore takes its credentials from, and the STS says whose they are."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import botocore.credentials
import botocore.session
import botocore.utils
import pytest
import yaml

from hub import NO, NO_ANSWER, REGION, USAGE, YES

COMMAND_SECONDS_MAX = 60
SECRET = "secret-that-whoami-never-shows"
KEYS = f"aws_access_key_id = AKIAWHOAMIWHOAMIWHOA\naws_secret_access_key = {SECRET}\n"
PROCESS_ANSWER = json.dumps({"Version": 1, "AccessKeyId": "AKIAPROCESSPROCESSPR", "SecretAccessKey": SECRET})
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENTENVIR", "AWS_SECRET_ACCESS_KEY": SECRET}
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/v1/credentials"}
ROLE = "role_arn = arn:aws:iam::111122223333:role/app\n"
SSO = "sso_account_id = 111122223333\nsso_role_name = r\nsso_region = eu-west-1\nsso_start_url = https://x.example/\n"
# Botocore's names of the places (`Credentials.method`).
PLACES = {
    "env": "environment",
    "assume-role": "assume-role",
    "assume-role-with-web-identity": "web-identity",
    "sso": "sso",
    "shared-credentials-file": "credentials-file",
    "custom-process": "credential-process",
    "config-file": "config-file",
    "container-role": "container",
    "iam-role": "instance-metadata",
    None: None,
}


class Place:
    """A home folder with the shared files, and an environment."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.credentials, self.config = folder / "credentials", folder / "config"
        self.credentials.write_text("")
        self.config.write_text("")
        self.process = folder / "answer.json"
        self.process.write_text(PROCESS_ANSWER)
        self.token = folder / "token"
        self.token.write_text("e30.e30.e30")

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials),
            "AWS_CONFIG_FILE": str(self.config),
            **more,
        }

    def whoami(self, *flags: str, code: int = YES, **environment: str) -> dict:
        command = [os.environ["LANYARD_BIN"], "whoami", "--output", "json", *flags]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env=self.environment(**environment),
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert SECRET not in done.stdout + done.stderr, "a secret is shown"
        return json.loads(done.stdout)

    def botocore(self, monkeypatch, profile: str | None, **environment: str) -> str | None:
        """Where botocore takes its credentials from. What would be called over the network answers at once."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in self.environment(**environment).items():
            monkeypatch.setenv(name, value)
        given = {"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", "Expiration": "2999-01-01T00:00:00Z"}
        monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "retrieve_full_uri", lambda *_, **__: given)
        role = {"role_name": "r", "access_key": "A", "secret_key": "S", "token": "T", "expiry_time": given["Expiration"]}
        off = environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        monkeypatch.setattr(
            botocore.utils.InstanceMetadataFetcher, "retrieve_iam_role_credentials", lambda _: {} if off else role
        )
        session = botocore.session.Session(profile=profile)
        found = session.get_credentials()
        return found and found.method


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


CASES = {
    "nothing": ({"AWS_EC2_METADATA_DISABLED": "true"}, None, "", ""),
    "metadata": ({}, None, "", ""),
    "container": (CONTAINER, None, "", ""),
    "environment over all": ({**ENVIRONMENT, **CONTAINER}, None, KEYS, ROLE),
    "a flag's profile over the environment": (ENVIRONMENT, "p", KEYS, ""),
    "a flag's profile without keys, and a container": ({**ENVIRONMENT, **CONTAINER}, "p", "", "region = eu-west-1\n"),
    "a named profile under the environment": ({**ENVIRONMENT, "AWS_PROFILE": "p"}, None, KEYS, ""),
    "credentials file": ({"AWS_PROFILE": "p", **CONTAINER}, None, KEYS, ""),
    "config file": ({"AWS_PROFILE": "p", **CONTAINER}, None, "", KEYS),
    "process over config file": ({"AWS_PROFILE": "p"}, None, "", f"credential_process = cat ANSWER\n{KEYS}"),
    "credentials file over process": ({"AWS_PROFILE": "p"}, None, KEYS, "credential_process = cat ANSWER\n"),
    "role over keys": ({"AWS_PROFILE": "p"}, None, KEYS, f"{ROLE}source_profile = p\n"),
    "web identity of the profile": ({"AWS_PROFILE": "p"}, None, KEYS, f"{ROLE}web_identity_token_file = TOKEN\n"),
    "web identity over keys": (
        {"AWS_PROFILE": "p", "AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/w"},
        None,
        KEYS,
        "",
    ),
    "a process that goes on in the next line": ({"AWS_PROFILE": "p"}, None, "", "credential_process = cat\n  ANSWER\n"),
    "colons, and a role below a bare key": (
        {"AWS_PROFILE": "p"},
        None,
        "",
        f"s3 =\n  role_arn = x\nregion: eu-west-1\n{KEYS.replace(' =', ':')}",
    ),
    "sso over keys": ({"AWS_PROFILE": "p"}, None, KEYS, SSO),
}


@pytest.mark.parametrize("name", CASES)
def test_the_place_that_wins_is_botocores(place, monkeypatch, name):
    environment, profile, credentials, config = CASES[name]

    def filled(text: str) -> str:
        return text.replace("ANSWER", str(place.process)).replace("TOKEN", str(place.token))

    environment = {key: value.replace("TOKEN", str(place.token)) for key, value in environment.items()}
    place.credentials.write_text(f"[p]\n{credentials}" if credentials else "")
    place.config.write_text(f"[profile p]\n{filled(config)}" if config else "")
    flags = ["--profile", profile] if profile else []
    expected = PLACES[place.botocore(monkeypatch, profile, **environment)]
    said = place.whoami("--no-call", *flags, code=YES if expected else NO, **environment)
    assert said["source"] == expected, said
    assert [where["source"] for where in said["places"] if where["standing"] == "used"] == ([expected] if expected else [])
    assert all(where["why"] for where in said["places"])


def test_the_sts_in_effect_says_whose_they_are(hub, place):
    user = hub.create_user("whoami")
    place.credentials.write_text(
        f"[p]\naws_access_key_id = {user.credentials.access_key_id}\naws_secret_access_key = {user.credentials.secret}\n"
    )
    at_hub = {"AWS_PROFILE": "p", "AWS_ENDPOINT_URL_STS": hub.ready["aws"], "AWS_CA_BUNDLE": hub.ca, "AWS_REGION": REGION}
    said = place.whoami(**at_hub)
    assert said["identity"]["arn"] == user.arn and said["identity"]["kind"] == "user"
    assert said["identity"]["sts"] == hub.ready["aws"] and said["identity"]["expires_at"] is None
    assert any("long-term key" in note for note in said["notes"]), said
    assert any("at AWS nothing" in note for note in said["notes"]), said
    table = subprocess.run(
        [os.environ["LANYARD_BIN"], "whoami"], capture_output=True, text=True, env=place.environment(**at_hub), check=True
    ).stdout
    assert f"you are {user.arn}" in table and user.credentials.secret not in table


def test_a_named_ready_file_says_which_sts_knows_a_hubs_own_key(hub, place):
    user = hub.create_user("whoami")
    hub.settle()
    named = ("--ready-file", str(hub.ready_file))
    said = place.whoami(*named, **user.credentials.environment())
    assert (said["identity"]["arn"], said["identity"]["sts"]) == (user.arn, hub.ready["aws"]), said
    # Without it nothing says where that hub is.
    environment = place.environment(AWS_REGION=REGION, **user.credentials.environment())
    done = subprocess.run([os.environ["LANYARD_BIN"], "whoami"], capture_output=True, text=True, env=environment)
    assert done.returncode == USAGE and "--ready-file" in done.stderr, done.stderr
    missing = ("--ready-file", str(place.folder / "none.json"))
    done = subprocess.run(
        [os.environ["LANYARD_BIN"], "whoami", *missing], capture_output=True, text=True, env=environment
    )
    assert done.returncode == NO_ANSWER and "none.json" in done.stderr, done.stderr


def test_who_names_a_ready_file_and_has_no_credentials_is_told_where_the_hub_has_some(hub, place):
    named = ("--ready-file", str(hub.ready_file))
    nothing = {"AWS_EC2_METADATA_DISABLED": "true"}
    said = place.whoami(*named, code=NO, **nothing)
    assert said["source"] is None and any(hub.ready["credentials"] in note for note in said["notes"]), said
    assert not any(hub.ready["credentials"] in note for note in place.whoami(code=NO, **nothing)["notes"])
    # What it says to do does it.
    said = place.whoami(*named, AWS_SHARED_CREDENTIALS_FILE=hub.ready["credentials"], **nothing)
    assert said["source"] == "credentials-file" and said["identity"]["kind"] == "user", said


def test_a_session_is_told_from_its_user_and_an_ended_key_from_a_good_one(hub, place):
    user = hub.create_user("whoami")
    role = hub.create_role("whoami", trusts=user.arn)
    session = hub.assume_role(user, role, "who")
    at_hub = {"AWS_ENDPOINT_URL": hub.ready["aws"], "AWS_CA_BUNDLE": hub.ca, "AWS_REGION": REGION}
    said = place.whoami(**at_hub, **session.environment())
    assert said["source"] == "environment" and said["identity"]["kind"] == "role session"
    assert said["identity"]["arn"].endswith(f"assumed-role/{role.name}/who")
    refused = place.environment(**at_hub, **session.environment() | {"AWS_SECRET_ACCESS_KEY": "another"})
    done = subprocess.run([os.environ["LANYARD_BIN"], "whoami"], capture_output=True, text=True, env=refused)
    assert done.returncode == NO_ANSWER and "does not say who this is" in done.stderr, done.stderr


def at(hub, who) -> dict[str, str]:
    """The environment of whoever has these credentials, with the hub's AWS wire for all services."""
    return {"AWS_ENDPOINT_URL": hub.ready["aws"], "AWS_CA_BUNDLE": hub.ca, "AWS_REGION": REGION} | who.environment()


def let_list(hub, kind: str, name: str, arn: str) -> None:
    """Lets a user or a role's sessions see which policies they have, and no more."""
    action = {"user": "iam:ListUserPolicies", "role": "iam:ListRolePolicies"}[kind]
    statement = {"Effect": "Allow", "Action": action, "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "reader", f"--{kind}", name, "--document", "-", stdin=document)
    hub.settle()


def keep_from(hub, kind: str, name: str) -> None:
    """A statement by which the hub itself does not tell them which policies they have."""
    statement = {"Effect": "Deny", "Action": "lanyard:GetCallerPolicies", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "silence", f"--{kind}", name, "--document", "-", stdin=document)
    hub.settle()


def shown(place, *flags: str, **environment: str) -> str:
    command = [os.environ["LANYARD_BIN"], "whoami", *flags]
    whole = place.environment(**environment)
    return subprocess.run(command, capture_output=True, text=True, env=whole, check=True).stdout


def test_everybody_is_told_by_which_statements_they_are_weighed(hub, place):
    user = hub.create_user("whoami", path="/team/")
    hub.settle()
    may = place.whoami(**at(hub, user.credentials))["permissions"]
    assert (may["owner_kind"], may["owner"], may["session_policy"]) == ("user", user.name, "none")
    assert (may["outcome"], may["policies"], may["documents"], may["not_told"]) == ("listed", [], [], None)
    assert "they may do nothing that has to be allowed" in may["explained"], may

    role = hub.create_role("whoami", trusts=user.arn)
    condition = {"StringEquals": {"aws:PrincipalTag/team": "a"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    reads = [f"eks:{verb}AccessEntr{end}" for verb, end in (("Create", "y"), ("Describe", "y"), ("Update", "y"), ("Delete", "y"), ("List", "ies"))]
    statements = [
        {"Sid": "Entries", "Effect": "Allow", "Action": reads, "Resource": "*"},
        {"Effect": "Deny", "NotAction": "eks:*", "Resource": "*", "Condition": condition},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
    hub.cli("iam", "policy", "put", "entries", "--role", role.name, "--document", "-", stdin=document)
    hub.settle()
    session = hub.assume_role(user, role, "who")
    said = place.whoami(**at(hub, session))
    may = said["permissions"]
    assert (may["owner_kind"], may["owner"], may["session_policy"]) == ("role", role.name, "none")
    assert (may["outcome"], may["policies"]) == ("listed", ["entries"])
    first, second = may["documents"][0]["statements"]
    assert first == {"sid": "Entries", "effect": "Allow", "actions": reads, "resources": ["*"]}
    assert (second["effect"], second["not_actions"]) == ("Deny", ["eks:*"])
    assert second["condition_keys"] == ["aws:PrincipalTag/team", "aws:SourceIp"]
    lines = [note for note in said["notes"] if note.startswith("`entries`")]
    assert lines == [
        f"`entries` (`Entries`) allows {', '.join(reads[:4])} and 1 more on *",
        "`entries` denies all but eks:* on *, depending on aws:PrincipalTag/team, aws:SourceIp",
    ]
    assert yaml.safe_load(shown(place, "--output", "yaml", **at(hub, session)))["permissions"] == may
    table = shown(place, **at(hub, session))
    assert all(line in table for line in (may["explained"], *lines)), table


def test_a_users_own_session_is_told_what_no_policy_gives_it(hub, place):
    user = hub.create_user("whoami")
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    hub.cli("iam", "policy", "put", "all", "--user", user.name, "--document", "-", stdin=document)
    hub.settle()
    session = hub.get_session_token(user)
    beyond = "a user's own session may do nothing in IAM"
    assert place.whoami(**at(hub, user.credentials))["permissions"]["is_users_session"] is False
    said = place.whoami(**at(hub, session))
    assert said["permissions"]["is_users_session"] is True and any(note.startswith(beyond) for note in said["notes"]), said


def test_a_session_policy_is_shown_beside_for_both_have_to_allow_a_call(hub, place):
    user = hub.create_user("whoami")
    role = hub.create_role("whoami", trusts=user.arn)
    hub.settle()
    statement = {"Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    file = place.folder / "session-policy.json"
    file.write_text(document)
    session = hub.assume_role(user, role, "who", "--session-policy", str(file))
    said = place.whoami(**at(hub, session))
    may = said["permissions"]["session_policy"]
    assert json.loads(may["document"]) == json.loads(document)
    assert may["statements"] == [{"effect": "Allow", "actions": ["eks:ListClusters"], "resources": ["*"]}]
    assert "the session policy allows eks:ListClusters on *" in said["notes"], said
    table = shown(place, **at(hub, session))
    assert "both have to allow a call" in table and "the session policy allows eks:ListClusters on *" in table, table


def test_where_a_statement_keeps_that_from_them_iam_tells_names_to_who_may_ask(hub, place):
    user = hub.create_user("whoami", path="/team/")
    keep_from(hub, "user", user.name)
    said = place.whoami(**at(hub, user.credentials))
    may = said["permissions"]
    assert (may["owner_kind"], may["owner"], may["session_policy"]) == ("user", user.name, "none")
    assert (may["outcome"], may["policies"], may["documents"]) == ("not-allowed", [], [])
    assert "`iam:ListUserPolicies` is not allowed to them" in may["explained"], may
    assert "does not tell them" in may["not_told"] and "policy `silence`" in may["not_told"], may
    assert may["not_told"] in said["notes"], said
    let_list(hub, "user", user.name, user.arn)
    may = place.whoami(**at(hub, user.credentials))["permissions"]
    assert (may["outcome"], sorted(may["policies"])) == ("listed", ["reader", "silence"])

    role = hub.create_role("whoami", trusts=user.arn)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role.arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    hub.cli("iam", "policy", "put", "assume", "--user", user.name, "--document", "-", stdin=document)
    keep_from(hub, "role", role.name)
    session = hub.assume_role(user, role, "who")
    may = place.whoami(**at(hub, session))["permissions"]
    assert (may["owner_kind"], may["owner"], may["outcome"]) == ("role", role.name, "not-allowed")
    let_list(hub, "role", role.name, role.arn)
    said = place.whoami(**at(hub, session))
    may = said["permissions"]
    assert (may["outcome"], sorted(may["policies"]), may["session_policy"]) == ("listed", ["reader", "silence"], "unknown")
    assert may["explained"] in said["notes"], said
    assert any("session policy" in note and "sealed token" in note for note in said["notes"]), said
    assert yaml.safe_load(shown(place, "--output", "yaml", **at(hub, session)))["permissions"] == may
    assert may["explained"] in shown(place, **at(hub, session))


def test_where_nothing_says_where_iam_is_or_nobody_answers_there_they_are_known_all_the_same(hub, place):
    user = hub.create_user("whoami")
    hub.settle()
    # The STS that says who they are says that too, wherever IAM is.
    for iam in ("http://169.254.170.23", "https://127.0.0.1:1"):
        assert place.whoami(**at(hub, user.credentials) | {"AWS_ENDPOINT_URL_IAM": iam})["permissions"]["outcome"] == "listed"
    keep_from(hub, "user", user.name)
    sts_alone = at(hub, user.credentials) | {"AWS_ENDPOINT_URL_IAM": "http://169.254.170.23"}
    said = place.whoami(**sts_alone)
    assert said["identity"]["arn"] == user.arn
    assert said["permissions"]["outcome"] == "not-asked" and "AWS_ENDPOINT_URL_IAM" in said["permissions"]["explained"]
    said = place.whoami(**at(hub, user.credentials) | {"AWS_ENDPOINT_URL_IAM": "https://127.0.0.1:1"})
    assert said["identity"]["arn"] == user.arn
    assert said["permissions"]["outcome"] == "no-answer" and "no refusal" in said["permissions"]["explained"]


def test_where_iam_is_need_make_sense_for_a_hubs_own_keys_alone(hub, place):
    user = hub.create_user("whoami")
    hub.settle()

    def ended(**environment: str) -> tuple[int, str]:
        whole = place.environment(AWS_ENDPOINT_URL_IAM="no url", **environment)
        done = subprocess.run([os.environ["LANYARD_BIN"], "whoami"], capture_output=True, text=True, env=whole)
        return done.returncode, done.stderr

    code, said = ended(**at(hub, user.credentials))
    assert code == USAGE and "`no url` is no URL of an IAM" in said, said
    # The STS is asked with a key of AWS's, and nobody is there.
    code, said = ended(AWS_ENDPOINT_URL_STS="http://127.0.0.1:1", AWS_REGION=REGION, **ENVIRONMENT)
    assert code == NO_ANSWER and "http://127.0.0.1:1 does not answer" in said, said

"""Tokens minted by the clients that people have: each is accepted as it comes."""

import base64
import datetime
import json
import os
import stat
import subprocess

import boto3
import botocore.session
import pytest
from botocore.signers import RequestSigner

import tokens
from hub import REGION, unique

# A minute less than a token lives.
EXPIRY = datetime.timedelta(minutes=14)
COMMAND_SECONDS_MAX = 60


@pytest.fixture(scope="module")
def world(hub):
    """A user in a cluster, and a role that the user may assume there."""
    cluster = hub.create_cluster("minted")
    ana = hub.create_user("ana")
    role = hub.create_role("deployer", trusts=ana.arn)
    cluster.entry(ana, groups=["devs"])
    cluster.entry(role)
    return cluster, ana, hub.assume_role(ana, role, "deploying")


def run(hub, command, credentials, **more) -> str:
    """A stock client with these keys and nothing else of anybody's."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(hub.folder), "AWS_EC2_METADATA_DISABLED": "true"}
    environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    environment |= (credentials.environment() if credentials else {}) | more
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def credential_of(hub, text: str) -> tuple[dict, str]:
    """An ExecCredential and its token."""
    credential = json.loads(text)
    assert credential["kind"] == "ExecCredential"
    expires = datetime.datetime.fromisoformat(
        credential["status"]["expirationTimestamp"].replace("Z", "+00:00")
    )
    assert abs(expires - tokens.now() - EXPIRY) < datetime.timedelta(minutes=1)
    return credential, hub.secrets.add("a client token", credential["status"]["token"])


def accepted(cluster, token, arn) -> None:
    status = cluster.token_review(token)["status"]
    assert status["authenticated"], status
    assert status["user"]["extra"]["arn"] == [arn]


@pytest.mark.parametrize("endpoints", ["regional", "legacy"])
@pytest.mark.parametrize("region", [REGION, "eu-central-1"])
def test_aws_eks_get_token(hub, world, region, endpoints):
    cluster, ana, _ = world
    command = [os.environ["AWS_CLI"], "eks", "get-token", "--cluster-name", cluster.id, "--region", region]
    text = run(hub, command, ana.credentials, AWS_STS_REGIONAL_ENDPOINTS=endpoints)
    _, token = credential_of(hub, text)
    accepted(cluster, token, ana.arn)


def test_aws_eks_get_token_with_a_session(hub, world):
    cluster, _, session = world
    command = [os.environ["AWS_CLI"], "eks", "get-token", "--cluster-name", cluster.id, "--region", REGION]
    _, token = credential_of(hub, run(hub, command, session))
    status = cluster.token_review(token)["status"]
    assert status["authenticated"] and status["user"]["extra"]["sessionname"] == ["deploying"]


def test_aws_eks_get_token_in_a_pod_that_has_its_sts_at_the_agent(hub, world):
    """The webhook's variable makes it a URL that is no https, which no token names; without it the CLI signs AWS's own."""
    cluster, _, session = world
    command = [os.environ["AWS_CLI"], "eks", "get-token", "--cluster-name", cluster.id, "--region", REGION]
    agent = {"AWS_ENDPOINT_URL_STS": "http://169.254.170.23"}
    _, token = credential_of(hub, run(hub, command, session, **agent))
    assert cluster.refusal(token) == "token_scheme"
    without = ["env", "-u", "AWS_ENDPOINT_URL_STS", *command]
    _, token = credential_of(hub, run(hub, without, session, **agent))
    assert cluster.token_review(token)["status"]["authenticated"]


def test_aws_eks_get_token_for_another_cluster_is_refused(hub, world):
    cluster, ana, _ = world
    command = [os.environ["AWS_CLI"], "eks", "get-token", "--cluster-name", "another", "--region", REGION]
    _, token = credential_of(hub, run(hub, command, ana.credentials))
    assert cluster.refusal(token) == "signature_or_cluster"


@pytest.mark.parametrize("who", ["user", "session"])
def test_aws_iam_authenticator_token(hub, world, who):
    cluster, ana, session = world
    keys = ana.credentials if who == "user" else session
    command = [os.environ["AWS_IAM_AUTHENTICATOR"], "token", "-i", cluster.id]
    credential, token = credential_of(
        hub, run(hub, command, keys, AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION)
    )
    assert credential["apiVersion"].startswith("client.authentication.k8s.io/")
    status = cluster.token_review(token)["status"]
    assert status["authenticated"], status
    assert status["user"]["extra"]["accesskeyid"] == [keys.access_key_id]


def test_an_id_that_is_a_domain_name_as_on_kops(hub, world):
    _, ana, _ = world
    id = f"{unique('dev')}.k8s.example.com"
    cluster = hub.create_cluster("kops", "--id", id)
    assert cluster.id == id
    cluster.entry(ana)
    for command in (
        [os.environ["AWS_IAM_AUTHENTICATOR"], "token", "-i", id],
        [os.environ["LANYARD_BIN"], "token", "--cluster-name", id, "--region", REGION],
    ):
        _, token = credential_of(
            hub, run(hub, command, ana.credentials, AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION)
        )
        accepted(cluster, token, ana.arn)


@pytest.mark.parametrize("who", ["user", "session"])
@pytest.mark.parametrize("region", [REGION, "ap-southeast-2"])
def test_a_url_presigned_by_boto3(hub, world, who, region):
    cluster, ana, session = world
    keys = ana.credentials if who == "user" else session
    made = boto3.Session(keys.access_key_id, keys.secret, keys.session_token, region_name=region)
    service_id = made.client("sts").meta.service_model.service_id
    signer = RequestSigner(
        service_id,
        region,
        "sts",
        "v4",
        made.get_credentials(),
        botocore.session.get_session().get_component("event_emitter"),
    )
    request = {
        "method": "GET",
        "url": f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster.id},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name=region, expires_in=60, operation_name="")
    token = hub.secrets.add(
        "a client token", tokens.PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    )
    status = cluster.token_review(token)["status"]
    assert status["authenticated"], status


def test_lanyard_token_says_what_aws_eks_get_token_says(hub, world):
    cluster, ana, _ = world
    ours, token = credential_of(
        hub,
        run(
            hub,
            [os.environ["LANYARD_BIN"], "token", "--cluster-name", cluster.id, "--region", REGION],
            ana.credentials,
        ),
    )
    accepted(cluster, token, ana.arn)
    command = [os.environ["AWS_CLI"], "eks", "get-token", "--cluster-name", cluster.id, "--region", REGION]
    theirs, _ = credential_of(hub, run(hub, command, ana.credentials))
    assert ours.keys() == theirs.keys() and ours["status"].keys() == theirs["status"].keys()
    assert ours["apiVersion"] == theirs["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    info = json.dumps({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": {}})
    command = [os.environ["LANYARD_BIN"], "token", "--cluster-name", cluster.id, "--region", REGION]
    newer, _ = credential_of(hub, run(hub, command, ana.credentials, KUBERNETES_EXEC_INFO=info))
    assert newer["apiVersion"] == "client.authentication.k8s.io/v1"


def test_lanyard_finds_credentials_where_aws_tools_find_them(hub, world, tmp_path):
    cluster, ana, session = world
    keys = ana.credentials
    process = tmp_path / "keys.sh"
    answer = {
        "Version": 1,
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret,
        "SessionToken": session.session_token,
    }
    process.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    process.chmod(stat.S_IRWXU)
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = nobody\n"
        f"[ana]\naws_access_key_id={keys.access_key_id}\naws_secret_access_key={keys.secret}\n"
    )
    (tmp_path / "config").write_text(
        f"[profile by-process]\ncredential_process = {process}\nregion = {REGION}\n"
    )
    command = [os.environ["LANYARD_BIN"], "token", "--cluster-name", cluster.id, "--region", REGION]
    for name, expected in (("ana", keys.access_key_id), ("by-process", session.access_key_id)):
        for more, flags in (({"AWS_PROFILE": name}, []), ({}, ["--profile", name])):
            _, token = credential_of(hub, run(hub, command + flags, None, **files, **more))
            status = cluster.token_review(token)["status"]
            assert status["authenticated"] and status["user"]["extra"]["accesskeyid"] == [expected], (
                name,
                flags,
            )


def immunity_27_a_stock_client_with_debug_output_shows_the_hub_nothing_to_log(hub, world):
    """The other side of CVE-2023-30610: a client may log what it likes, the hub may not."""
    cluster, ana, _ = world
    command = [
        os.environ["AWS_CLI"],
        "--debug",
        "eks",
        "get-token",
        "--cluster-name",
        cluster.id,
        "--region",
        REGION,
    ]
    _, token = credential_of(hub, run(hub, command, ana.credentials))
    accepted(cluster, token, ana.arn)
    assert not hub.secrets.seen_in(hub.log())

"""The AWS SDKs for JavaScript and Go, unmodified, find the agent's credentials by their default chains."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from standins import pod, token

SDKS = pathlib.Path(__file__).with_name("sdks")
BUILD_SECONDS_MAX = 600
PROGRAM_SECONDS_MAX = 60


@pytest.fixture
def found(agent, node, tmp_path):
    """Runs a program in a pod's place, told nothing but what the published webhook puts into pods; answers what it found."""
    node.pods([pod("p1", host=True)])
    file = tmp_path / "token"
    file.write_text(token("p1"))

    def run(command: list[str], **environment: str) -> dict:
        told = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
        }
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX, env=told | environment
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def is_the_pods(found: dict, node) -> None:
    """What a program found is what the endpoint vended, once, for that pod's token."""
    assert len(node.calls("assume-role")) == 1
    assert found["accessKeyId"].startswith("ASIA") and found["secretAccessKey"] == "hush"
    assert found["sessionToken"].startswith("x" * 1000)
    ends = datetime.datetime.fromisoformat(found["expiration"].replace("Z", "+00:00"))
    hours = (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 3600
    assert 5 < hours <= 6, found["expiration"]


def test_the_sdk_for_javascript_finds_credentials(found, node):
    sdk, program = os.environ.get("AWS_SDK_JS"), os.environ.get("NODE")
    if not sdk or not program:
        pytest.skip("NODE and AWS_SDK_JS are not set: the AWS SDK for JavaScript is installed by npm, and runs on node")
    is_the_pods(found([program, str(SDKS / "container.mjs")], AWS_SDK_JS=sdk), node)


@pytest.fixture(scope="module")
def go_program(tmp_path_factory) -> str:
    """Built of what go.mod and go.sum say; a toolchain download would be another build than the one asked for."""
    go = os.environ.get("GO")
    if not go:
        pytest.skip("GO is not set: a program with the AWS SDK for Go is built with Go")
    folder = tmp_path_factory.mktemp("go")
    shutil.copytree(SDKS / "go", folder, dirs_exist_ok=True)
    own = {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    done = subprocess.run(
        [go, "build", "-o", "container", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        env=os.environ | own,
    )
    assert done.returncode == 0, done.stderr
    return str(folder / "container")


def test_the_sdk_for_go_finds_credentials(go_program, found, node):
    told = found([go_program])
    assert "Endpoint" in told["source"], "the provider of container credentials"
    # Which the one for JavaScript does not read.
    assert told["accountId"] == "111122223333"
    is_the_pods(told, node)

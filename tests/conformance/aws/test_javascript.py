"""The AWS SDK for JavaScript, whose decoders are others than botocore's and stricter about shapes: one pass of the story, its errors
caught by their class names."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest

from hub import REGION, unique
from stack import REPLICAS

STORY = pathlib.Path(__file__).parent / "javascript" / "story.mjs"
STORY_SECONDS_MAX = 120
# Far above what a change takes to every replica of an idle machine.
SEEN_MILLISECONDS = 300


def test_the_story_in_javascript(hub, wire):
    sdk, node = os.environ.get("AWS_SDK_JS"), os.environ.get("NODE")
    if not sdk or not node:
        pytest.skip("NODE and AWS_SDK_JS are not set: the AWS SDK for JavaScript is installed by npm, and runs on node")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(hub.folder),
        "AWS_SDK_JS": sdk,
        "NODE_EXTRA_CA_CERTS": hub.ca,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": wire.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ACCOUNT": hub.account,
        "NAME": unique("javascript"),
        "SEEN_MILLISECONDS": str(SEEN_MILLISECONDS if REPLICAS else 0),
        **wire.credentials.environment(),
    }
    done = subprocess.run(
        [node, str(STORY)], capture_output=True, text=True, timeout=STORY_SECONDS_MAX, env=environment
    )
    # Secrets of its sessions come first, so that they are known whatever follows.
    lines = done.stdout.splitlines()
    for line in lines:
        if line.startswith("secret "):
            hub.secrets.add("a secret of the story in JavaScript", line.removeprefix("secret "))
    assert done.returncode == 0, done.stderr
    told = json.loads(lines[-1])
    assert told["caught"] == [
        "ResourceNotFoundException",
        "InvalidParameterException",
        "ResourceInUseException",
        "NotFoundException",
        "BadRequestException",
        "NoSuchEntityException",
        "EntityAlreadyExistsException",
        "MalformedPolicyDocumentException",
        "LimitExceededException",
        "InvalidIdentityTokenException",
    ]
    assert told["calls"] >= 40

"""The first example of docs/aws-compatibility.md, on a fresh hub as it is written there."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

from wire import COMMAND_SECONDS_MAX, Wire

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "aws-compatibility.md"


def test_the_first_example_works_on_a_fresh_hub(new_hub):
    hub = new_hub().start()
    (block, *_) = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    variables, commands = block.split("\n", 2)[:2], block.split("\n", 2)[2]
    assert all(line.startswith("export AWS_") for line in variables), variables
    assert commands.startswith("aws "), commands
    environment = {
        "PATH": f"{pathlib.Path(os.environ['AWS_CLI']).parent}:{os.environ['PATH']}",
        "HOME": str(hub.folder),
        "AWS_CA_BUNDLE": hub.ca,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": hub.ready["aws"],
        "AWS_PAGER": "",
        "AWS_SHARED_CREDENTIALS_FILE": hub.ready["credentials"],
    }
    done = subprocess.run(
        ["bash", "-euc", commands], capture_output=True, text=True, env=environment, timeout=COMMAND_SECONDS_MAX
    )
    assert done.returncode == 0, done.stderr
    hub.settle()
    entries = Wire(hub, region="us-east-1").eks.list_access_entries(clusterName="dev")["accessEntries"]
    assert f"arn:aws:iam::{hub.account}:role/team/Dev" in entries

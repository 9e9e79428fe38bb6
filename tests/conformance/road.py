"""A hub in AWS mode, with an account that AWS keeps: AWS is an STS on loopback, which the hub calls with credentials of its own."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator

from hub import REGION, Hub
from lab import ACCOUNT, running
from sts_roles import RoleSts

HUB_USER = f"arn:aws:iam::{ACCOUNT}:user/lanyard/hub"
CALLS = """
# IAM is not there: every try of it has to end soon.
deadline_milliseconds = 2000
connect_milliseconds = 500
attempt_milliseconds = 1000
role = { per_second = 1000, burst = 1000 }
"""


@contextlib.contextmanager
def hub_in_aws_mode(folder: pathlib.Path) -> Iterator[tuple[Hub, RoleSts]]:
    """Both, running. What they log and keep is looked through at the end."""
    sts = RoleSts(folder, REGION).start()
    own = sts.person(HUB_USER, "AIDAROLESHUB")
    place = {"host": sts.host, "private_address": True, "ca_file": str(sts.ca)}
    told = "\n".join(f"{key} = {json.dumps(value)}" for key, value in place.items())
    config = f"[aws]\nenabled = true\n[aws.sts]\n{told}\n[aws.calls]{CALLS}"
    hub = Hub(folder / "hub", config=config, settings=own.credentials.environment())
    hub.secrets.add("the hub's own secret at AWS", own.credentials.secret)
    sts.secrets = hub.secrets
    with running(hub, sts, "aws"):
        yield hub, sts

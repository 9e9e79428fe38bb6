"""A hub in AWS mode, with an account that AWS keeps: AWS is an STS on loopback, which the hub calls with credentials of its own."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator

from hub import REGION, Hub
from sts import Identity
from sts_roles import RoleSts

ACCOUNT = "111122223333"
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
    with running(hub, sts, own):
        yield hub, sts


@contextlib.contextmanager
def running(hub: Hub, sts: RoleSts, own: Identity) -> Iterator[None]:
    hub.secrets.add("the hub's own secret at AWS", own.credentials.secret)
    try:
        hub.start()
        hub.cli("iam", "account", "create", ACCOUNT, "--authority", "aws", "--name", "aws")
        yield
    finally:
        hub.stop()
        sts.stop()
    for keys in sts.made:
        hub.secrets.add("a session's secret at AWS", keys.secret)
        hub.secrets.add("a session's token at AWS", keys.session_token)
    hub.assert_no_leaks()

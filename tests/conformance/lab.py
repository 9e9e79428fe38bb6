"""A hub that knows an STS of one's own as `sts:lab`, with one account of it."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator

from hub import REGION, Hub
from sts import Sts

ACCOUNT = "111122223333"


def as_authn_is_told(sts: Sts) -> dict:
    """The STS as authn's configuration names it."""
    named = {"name": "lab", "host": sts.host, "region": REGION, "private_address": True}
    return named | {"ca_file": str(sts.ca)}


@contextlib.contextmanager
def running(hub: Hub, sts: Sts) -> Iterator[None]:
    """Both, with the account; what they log and keep is looked through at the end."""
    try:
        hub.start()
        hub.cli("iam", "account", "create", ACCOUNT, "--authority", "sts:lab", "--name", "lab")
        yield
    finally:
        hub.stop()
        sts.stop()
    hub.assert_no_leaks()


@contextlib.contextmanager
def hub_of(folder: pathlib.Path, config: str = "") -> Iterator[tuple[Hub, Sts]]:
    """Both, running. `config` is added to the hub's."""
    sts = Sts(folder, REGION).start()
    told = "\n".join(f"{key} = {json.dumps(value)}" for key, value in as_authn_is_told(sts).items())
    hub = Hub(folder / "hub", config=f"[[authn.self_hosted_sts]]\n{told}\n{config}")
    with running(hub, sts):
        yield hub, sts

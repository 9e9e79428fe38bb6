"""A hub that knows an STS of one's own as `sts:lab`, with one account of it."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

from hub import REGION, Hub
from sts import Sts

ACCOUNT = "111122223333"


@contextlib.contextmanager
def hub_of(folder: pathlib.Path, config: str = "") -> Iterator[tuple[Hub, Sts]]:
    """Both, running; what they log and keep is looked through at the end. `config` is added to the hub's."""
    sts = Sts(folder, REGION).start()
    config = f"""
        [[authn.self_hosted_sts]]
        name = "lab"
        host = "{sts.host}"
        region = "{REGION}"
        private_address = true
        ca_file = "{sts.ca}"
        {config}
    """
    hub = Hub(folder / "hub", config=config)
    try:
        hub.start()
        hub.cli("iam", "account", "create", ACCOUNT, "--authority", "sts:lab", "--name", "lab")
        yield hub, sts
    finally:
        hub.stop()
        sts.stop()
    hub.assert_no_leaks()

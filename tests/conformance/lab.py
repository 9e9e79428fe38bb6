"""A hub that knows an STS of one's own as `sts:lab`, with one account of it: of the form that the run has, or of either."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterable, Iterator

import pytest

from hub import REGION, Hub
from stack import REPLICAS, Stack
from sts import Sts
from sts_roles import RoleSts

ACCOUNT = "111122223333"
FORMS = ("one process", "two of each")


def as_authn_is_told(sts: Sts) -> dict:
    """The STS as authn's configuration names it."""
    named = {"name": "lab", "host": sts.host, "region": REGION, "private_address": True}
    return named | {"ca_file": str(sts.ca)}


@contextlib.contextmanager
def running(hub: Hub, sts: Sts | RoleSts, authority: str = "sts:lab") -> Iterator[None]:
    """Both, with the account; what they log and keep is looked through at the end."""
    try:
        hub.start()
        hub.cli("iam", "account", "create", ACCOUNT, "--authority", authority, "--name", "lab")
        yield
    finally:
        hub.stop()
        sts.stop()
    hub.assert_no_leaks()


def hub_of(folder: pathlib.Path, *settings: str) -> contextlib.AbstractContextManager[tuple[Hub, Sts]]:
    """Both, running: the hub as one process, or in a run against a stack as one of its own. A setting is `service:NAME=value`."""
    return stack_of(folder, "authn", settings=settings) if REPLICAS else process_of(folder, *settings)


@contextlib.contextmanager
def process_of(folder: pathlib.Path, *settings: str) -> Iterator[tuple[Hub, Sts]]:
    """Both, the hub as one process: what a service is told has the same name there."""
    sts = Sts(folder, REGION).start()
    told = "\n".join(f"{key} = {json.dumps(value)}" for key, value in as_authn_is_told(sts).items())
    variables = dict(setting.split(":", 1)[1].split("=", 1) for setting in settings)
    hub = Hub(folder / "hub", config=f"[[authn.self_hosted_sts]]\n{told}\n", settings=variables)
    with running(hub, sts):
        yield hub, sts


# The key of each service's configuration that tells it of an STS of one's own.
TOLD_OF_AN_STS = {
    "authn": "LANYARD_AUTHN__SELF_HOSTED_STS",
    "credentials": "LANYARD_CREDENTIALS__EXCHANGE__SELF_HOSTED_STS",
}


@contextlib.contextmanager
def stack_of(folder: pathlib.Path, *services: str, settings: Iterable[str] = ()) -> Iterator[tuple[Hub, Sts]]:
    """The same as two processes of each service, or as many as the run has; these are told of the STS."""
    sts = Sts(folder, REGION).start()
    told = ", ".join(f"{key}={json.dumps(value)}" for key, value in as_authn_is_told(sts).items())
    of_the_sts = [f"{service}:{TOLD_OF_AN_STS[service]}=[{{{told}}}]" for service in services]
    stack = Stack(folder / "stack", store=None, replicas=REPLICAS or 2, settings=[*of_the_sts, *settings])
    with running(stack, sts):
        yield stack, sts


def of_either_form(form: str, folder: pathlib.Path, *services: str) -> contextlib.AbstractContextManager:
    """A hub as one process, or as two of each service: one of `FORMS`."""
    if REPLICAS:
        pytest.skip("hubs of their own, which the run against one process has")
    return process_of(folder) if form == FORMS[0] else stack_of(folder, *services)

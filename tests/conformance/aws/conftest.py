"""What the tests of the AWS wire share; and at the end of a run, what was seen of each operation."""

from __future__ import annotations

import pathlib

import pytest

import operations
from wire import Wire

FOLDER = pathlib.Path(__file__).parent
# Looks back on what the others have seen.
LAST = "test_every_operation.py"


@pytest.fixture(scope="module")
def wire(hub) -> Wire:
    """The wire as the administrator's clients have it."""
    return Wire(hub)


@pytest.fixture(scope="module")
def eks(wire):
    return wire.eks


@pytest.fixture(scope="module")
def iam(wire):
    return wire.client("iam")


def pytest_collection_modifyitems(config, items) -> None:
    """What looks back comes last, and only where all of it is run."""
    looking_back = [item for item in items if item.path.name == LAST]
    items[:] = [item for item in items if item not in looking_back] + looking_back
    run = {item.path.name for item in items if item.path.parent == FOLDER}
    missing = {path.name for path in FOLDER.glob("test_*.py")} - run
    if missing or config.option.keyword or any("::" in word for word in config.args):
        for item in looking_back:
            item.add_marker(pytest.mark.skip(reason="only a part of the tests of the AWS wire is run"))


def pytest_terminal_summary(terminalreporter) -> None:
    if operations.SEEN:
        terminalreporter.section("the AWS wire")
        for line in operations.table():
            terminalreporter.write_line(line)

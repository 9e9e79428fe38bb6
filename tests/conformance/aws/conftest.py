"""What the tests of the AWS wire share; and at the end of a run, what was seen of each operation."""

from __future__ import annotations

import pytest

import wire as wires

COLUMNS = ("ok", "errors", "pagination", "idempotency")


@pytest.fixture(scope="module")
def wire(hub) -> wires.Wire:
    """The wire as the administrator's clients have it."""
    return wires.Wire(hub)


@pytest.fixture(scope="module")
def eks(wire):
    return wire.eks


def pytest_terminal_summary(terminalreporter) -> None:
    if not wires.SEEN:
        return
    terminalreporter.section("the AWS wire")
    terminalreporter.write_line(f"{'operation':44}" + "".join(f"{column:>13}" for column in COLUMNS))
    for operation in sorted(wires.SEEN):
        seen = wires.SEEN[operation]
        marks = "".join(f"{'yes' if column in seen else '-':>13}" for column in COLUMNS)
        terminalreporter.write_line(f"{operation:44}{marks}")

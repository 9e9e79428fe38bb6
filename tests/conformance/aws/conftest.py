"""At the end of a run: what was seen of each operation of the AWS wire."""

from __future__ import annotations

import wire

COLUMNS = ("ok", "errors", "pagination", "idempotency")


def pytest_terminal_summary(terminalreporter) -> None:
    if not wire.SEEN:
        return
    terminalreporter.section("the AWS wire")
    terminalreporter.write_line(f"{'operation':44}" + "".join(f"{column:>13}" for column in COLUMNS))
    for operation in sorted(wire.SEEN):
        seen = wire.SEEN[operation]
        marks = "".join(f"{'yes' if column in seen else '-':>13}" for column in COLUMNS)
        terminalreporter.write_line(f"{operation:44}{marks}")

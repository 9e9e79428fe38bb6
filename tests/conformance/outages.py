"""Processes that hang for a while, and waiting until what they have held up goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import time

# A replica that hangs is given up by its pings, or sooner; then a machine that has other things to do.
GIVEN_UP_SECONDS_MAX = 45
# In which a process that goes on has made its connections anew.
AWAKE_SECONDS = 3


@contextlib.contextmanager
def paused(pids: list[int]):
    assert pids, "nothing is there to be paused"
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        # Who was away for long finds its connections overdue, and closes them: the next test is not to be under way on one.
        time.sleep(AWAKE_SECONDS)


def eventually(what: str, holds) -> None:
    deadline = time.monotonic() + GIVEN_UP_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)

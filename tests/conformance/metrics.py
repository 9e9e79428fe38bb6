"""What processes show of themselves, read as Prometheus reads it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from hub import Hub

ANSWER_SECONDS_MAX = 10
# A call is counted when it has ended, which may be a moment after its caller has heard of it.
COUNTED_SECONDS_MAX = 10


def values(text: str, name: str, **labels: str) -> list[float]:
    """Of each line that has these labels, others besides."""
    pairs = [f'{key}="{word}"' for key, word in labels.items()]
    lines = [line for line in text.splitlines() if re.match(re.escape(name) + r"[ {]", line)]
    return [float(line.rsplit(" ", 1)[1]) for line in lines if all(pair in line for pair in pairs)]


def value(text: str, name: str, **labels: str) -> float:
    """The sum of what has these labels. What is not shown at all is no 0."""
    found = values(text, name, **labels)
    assert found, f"{name} with {labels} is not shown"
    return sum(found)


def pages_of(hub: Hub, service: str) -> list[str]:
    """Where each process of a service shows what it does; of one process that has all of them, what everybody may see."""
    told = hub.ready.get("metrics") or {}
    return [url for name, url in told.items() if name.rsplit("-", 1)[0] == service] or [hub.url]


class Counted:
    """How much more of something there is than there was when this was made, on these pages together."""

    def __init__(self, hub: Hub, pages: list[str], name: str, **labels: str) -> None:
        self._hub, self._pages = hub, pages
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self) -> float:
        texts = [requests.get(f"{url}/metrics", verify=self._hub.ca, timeout=ANSWER_SECONDS_MAX).text for url in self._pages]
        # Some counters are not shown before there is something to count.
        return sum(sum(values(text, self._name, **self._labels)) for text in texts)

    def expect(self, more: float) -> None:
        """Waits until it is so much more, or beyond."""
        deadline = time.monotonic() + COUNTED_SECONDS_MAX
        while (counted := self._now() - self._before) < more:
            assert time.monotonic() < deadline, f"{self._name} with {self._labels} is {counted} more, not {more}"
            time.sleep(0.05)

"""One hub of containers for all tests here."""

from __future__ import annotations

import pytest

from composed import Compose


@pytest.fixture(scope="session")
def hub(tmp_path_factory) -> Compose:
    hub = Compose(tmp_path_factory.mktemp("compose"))
    try:
        yield hub.start()
    finally:
        hub.stop()

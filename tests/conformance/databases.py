"""Databases of a test's own on the PostgreSQL that the run has."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import uuid


def own_database(url: str) -> str:
    """The URL of a new and empty one on the server of `url`."""
    name = f"test_{uuid.uuid4().hex}"
    psql = shutil.which("psql") or str(max(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql")))
    done = subprocess.run([psql, url, "-qc", f"CREATE DATABASE {name}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return url.rsplit("/", 1)[0] + "/" + name

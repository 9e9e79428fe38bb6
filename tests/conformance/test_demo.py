"""The tour that a newcomer runs first, from its first line to its last."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from hub import READY_SECONDS_MAX, STOP_SECONDS_MAX, YES
from stack import REPLICAS

TOUR_SECONDS_MAX = 120
# How shells say that a signal has ended a program.
INTERRUPTED, TERMINATED = 130, 143
# What each part comes to, in order, by the code that `explain` has for it.
PARTS = (
    ("Ana is let in, and may view team-a", "access_policy"),
    ("The same Ana may not delete there", "forbidden: kubectl says"),
    ("Bob has a key and no badge", "unmapped"),
    ("An expired token", "token_expired"),
    ("A token with one character changed", "signature"),
)
# What stock kubectl is asked, in order, and a line that it answers with.
KUBECTL = (
    ("auth whoami", r"Username +arn:aws:iam::\d{12}:user/ana"),
    ("auth can-i get pods -n team-a", "yes"),
    ("auth can-i delete pods -n team-a", r"no( - .*)?"),
    ("auth can-i list configmaps -n default", "yes"),
)
# A whole token; the tour names tokens, and shows none.
TOKEN = re.compile(r"k8s-aws-v1\.[A-Za-z0-9_-]{40}")


def environment(home: pathlib.Path) -> dict[str, str]:
    """A newcomer's, whose temporary folder one can look into."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    return kept | {"HOME": str(home), "TMPDIR": str(home / "tmp"), "AWS_EC2_METADATA_DISABLED": "true"}


def of_another_hub(folder: pathlib.Path) -> dict[str, str]:
    """What somebody has set for a real hub, of which the tour must take nothing."""
    return {
        "LANYARD_STORE": f"sqlite:{folder / 'real.db'}",
        "LANYARD_CONFIG": str(folder / "real.toml"),
        "LANYARD_CLIENT_CERT": str(folder / "real.crt"),
        "LANYARD_CLIENT_KEY": str(folder / "real.key"),
    }


def assert_whole(said: str) -> None:
    """Every part was told, in order, and nothing that opens a door."""
    at = 0
    for heading, outcome in PARTS:
        begin = said.find(f"== {heading}", at)
        assert begin >= at, f"no part `{heading}` after its predecessor: {said}"
        at = begin + 1
        part = said[begin : said.find("\n== ", at)]
        assert outcome in part, part
    assert_stock_kubectl(said[at:])
    assert "== That was it" in said[at:], said
    assert not TOKEN.search(said) and "aws_secret_access_key" not in said


def assert_stock_kubectl(said: str) -> None:
    """It was shown what Ana is and may where it is installed, and its part is left out in so many words where it is not."""
    begin = said.find("== Stock kubectl")
    if shutil.which("kubectl") is None:
        assert begin < 0 and "kubectl is not installed: its part is left out" in said, said
        return
    assert begin >= 0, said
    part = said[begin : said.find("\n== ", begin)]
    commands = {}
    for line in part.splitlines():
        if line.startswith("  $ kubectl "):
            command = line.removeprefix("  $ kubectl ")
            commands[command] = []
        elif commands:
            commands[command].append(line.strip())
    assert list(commands) == [command for command, _ in KUBECTL], part
    for command, answer in KUBECTL:
        assert any(re.fullmatch(answer, line) for line in commands[command]), (command, part)


@pytest.mark.skipif(bool(REPLICAS), reason="it starts a hub of its own, as the run against one process shows")
def test_the_tour_is_told_whole_and_leaves_nothing_behind(tmp_path):
    command = [os.environ["LANYARD_BIN"], "demo"]
    variables = environment(tmp_path) | of_another_hub(tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOUR_SECONDS_MAX, env=variables)
    assert done.returncode == YES, done.stdout + done.stderr
    assert_whole(done.stdout)
    assert not list(tmp_path.glob("real*")), "the tour's hub took another hub's settings"
    assert not list((tmp_path / "tmp").iterdir()), "the tour's folder, with its keys, is still there"


def test_the_tour_runs_on_a_hub_that_is_there(hub, tmp_path):
    command = [os.environ["LANYARD_BIN"], "demo", "--stack", "--ready-file", str(hub.ready_file)]
    variables = environment(tmp_path) | of_another_hub(tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOUR_SECONDS_MAX, env=variables)
    assert done.returncode == YES, done.stdout + done.stderr
    assert_whole(done.stdout)


@pytest.mark.skipif(bool(REPLICAS), reason="it starts a hub of its own, as the run against one process shows")
def test_what_is_kept_serves_until_ctrl_c_and_goes_with_it(tmp_path):
    command = [os.environ["LANYARD_BIN"], "demo", "--keep"]
    said = tmp_path / "said"
    with said.open("wb") as out:
        tour = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(tmp_path), start_new_session=True
        )
        try:
            deadline = time.monotonic() + TOUR_SECONDS_MAX + READY_SECONDS_MAX
            while "lanyard cluster list" not in said.read_text():
                assert tour.poll() is None and time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
            ready_file = re.search(r"--ready-file (\S+)'", said.read_text())[1]
            credentials = re.search(r"AWS_SHARED_CREDENTIALS_FILE=(\S+)", said.read_text())[1]
            # The lines to paste are good as they stand.
            listed = subprocess.run(
                [os.environ["LANYARD_BIN"], "--ready-file", ready_file, "cluster", "list"],
                capture_output=True,
                text=True,
                timeout=TOUR_SECONDS_MAX,
                env=environment(tmp_path) | {"AWS_SHARED_CREDENTIALS_FILE": credentials},
            )
            assert listed.returncode == YES and "demo" in listed.stdout, listed
            # As a terminal does: to all of them.
            os.killpg(tour.pid, signal.SIGINT)
            assert tour.wait(STOP_SECONDS_MAX) == YES, said.read_text()
        finally:
            if tour.poll() is None:
                os.killpg(tour.pid, signal.SIGKILL)
                tour.wait()
    assert not list((tmp_path / "tmp").iterdir()), "the tour's folder, with its keys, is still there"


@pytest.mark.skipif(bool(REPLICAS), reason="it starts a hub of its own, as the run against one process shows")
@pytest.mark.parametrize(
    ("shown", "told", "code"),
    [
        (None, signal.SIGTERM, TERMINATED),
        ("== A cluster", signal.SIGTERM, TERMINATED),
        ("== Badges", signal.SIGINT, INTERRUPTED),
    ],
)
def test_a_tour_that_is_told_to_stop_takes_its_hub_and_its_keys_along(tmp_path, shown, told, code):
    """The tour alone is told, as by a supervisor: while its hub starts, and in the midst of its parts."""
    command = [os.environ["LANYARD_BIN"], "demo"]
    said = tmp_path / "said"
    with said.open("wb") as out:
        tour = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(tmp_path), start_new_session=True
        )
        try:
            deadline = time.monotonic() + TOUR_SECONDS_MAX
            while not (shown in said.read_text() if shown else list((tmp_path / "tmp").glob("*/hub.log"))):
                assert tour.poll() is None and time.monotonic() < deadline, said.read_text()
                time.sleep(0.01)
            tour.send_signal(told)
            assert tour.wait(2 * STOP_SECONDS_MAX) == code, said.read_text()
            assert "told to stop before its end" in said.read_text()
            assert not list((tmp_path / "tmp").iterdir()), "the tour's folder, with its keys, is still there"
            with pytest.raises(ProcessLookupError):
                os.killpg(tour.pid, 0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tour.pid, signal.SIGKILL)
            tour.wait()

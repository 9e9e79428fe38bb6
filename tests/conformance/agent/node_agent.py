"""An agent as a process, with its log and what it says of itself."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time

from standins import KUBELET_TOKEN

# The program of its own where it is given, else the one that has it inside.
PROGRAM = [os.environ["LANYARD_TEST_AGENT"]] if os.environ.get("LANYARD_TEST_AGENT") else [os.environ.get("LANYARD_BIN", "lanyard"), "run", "agent"]
NODE_KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE01", "AWS_SECRET_ACCESS_KEY": "of-the-node", "AWS_EC2_METADATA_DISABLED": "true"}


def of_nobody() -> dict[str, str]:
    """The environment without what would tell the agent, or AWS's tools, of anything."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LANYARD_", "NODE_"))}


class Agent:
    """One agent; its log is kept, for audit lines are in it."""

    def __init__(
        self,
        folder: pathlib.Path,
        hosts: dict[str, str],
        flags: list[str],
        inside: list[str] | None = None,
        keys: dict[str, str] | None = None,
    ):
        self.log, self.ready = folder / "agent.log", folder / "ready.json"
        token = folder / "kubelet-token"
        token.write_text(KUBELET_TOKEN)
        endpoint = ["--endpoint", f"https://{hosts['endpoint']}", "--endpoint-ca", str(folder / "endpoint-ca.pem")]
        own = [
            "server",
            *([] if "--cluster-name" in flags else ["--cluster-name", "dev"]),
            *([] if "--region" in flags else ["--region", "eu-west-1"]),
            *([] if "--hub" in flags or "--endpoint" in flags else endpoint),
            *("--kubelet-url", f"https://{hosts['kubelet']}", "--kubelet-ca", str(folder / "kubelet-ca.pem")),
            *("--kubelet-token-file", str(token), "--ready-file", str(self.ready), "--metrics-address", "127.0.0.1", "--metrics-port", "0"),
        ]
        environment = of_nobody()
        with self.log.open("a") as log:
            command = [*(inside or []), *PROGRAM, *own, *flags]
            self.process = subprocess.Popen(command, stderr=log, env=environment | (NODE_KEYS if keys is None else keys))
        self.about = self._wait()

    def _wait(self) -> dict:
        for _ in range(3_000):
            if self.ready.exists() and (text := self.ready.read_text()).endswith("}\n"):
                return json.loads(text)
            if self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log.read_text()}")
            time.sleep(0.01)
        raise AssertionError(f"the agent was not ready:\n{self.log.read_text()}")

    @property
    def url(self) -> str:
        """Where credentials are."""
        return self.about["credentials"][0] + "/v1/credentials"

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(timeout=20)

"""The hub of deploy/docker-compose.yml, on a Docker that has its images."""

from __future__ import annotations

import json
import os
import pathlib
import re
import ssl
import subprocess
import time

import requests

from dockerd import BASES, IMAGES, ROOT, Docker
from hub import REGION, Hub
from kube import free_port

FILE = ROOT / "deploy" / "docker-compose.yml"
# How its image is built without a registry.
BUILD = {"services": {"setup": {"build": {"args": BASES, "network": "none"}}}}
# What has the databases' passwords.
KEEPERS = ("authn", "mapping", "authz", "credentials")
# Each of them in two replicas; the doors in one.
SERVICES = (*KEEPERS, "spoke")
DOORS = ("gateway", "awsapi")
RUNNING = (*(f"{service}-{number}" for service in SERVICES for number in (0, 1)), *DOORS, "postgres", "redis")
PORTS = ("LANYARD_PORT", "LANYARD_GRPC_PORT", "LANYARD_AWS_PORT")
# docker-compose itself takes seconds for each command, and minutes on a machine that has other things to do; the first one builds, too.
COMMAND_SECONDS_MAX = 480
HEALTHY_SECONDS_MAX = 180
# Twice the time in which every replica has to see a change: machines are shared.
SEEN_SECONDS_MAX = 0.5


def documented(file: pathlib.Path) -> list[str]:
    """The flags of the one command by which a file says that the suite is brought up."""
    found = re.findall(r"^[# ]*docker compose -f deploy/docker-compose\.yml up (.*)$", file.read_text(), re.MULTILINE)
    assert len(found) == 1, f"`{file}` does not say once how it is brought up"
    return found[0].split()


class Compose(Hub):
    """Containers of a project of their own; nothing of them is left in the end."""

    confirms = False

    def __init__(self, folder: pathlib.Path, docker: Docker) -> None:
        super().__init__(folder)
        self._docker = docker
        self._project = f"lanyard{os.getpid()}"
        self._label = f"label=com.docker.compose.project={self._project}"
        self._ports = [free_port() for _ in PORTS]
        # JSON is YAML.
        self._build = folder / "build.yml"
        self._build.write_text(json.dumps(BUILD))

    def start(self) -> Compose:
        self.up()
        ca = self.folder / "root.crt"
        ca.write_text(self.file("pki/root.crt"))
        credentials = self.folder / "credentials"
        credentials.write_text(self.file("credentials"))
        credentials.chmod(0o600)
        gateway, grpc, aws = (f"https://localhost:{port}" for port in self._ports)
        self.ready = {"gateway": gateway, "grpc": grpc, "aws": aws, "ca": str(ca), "credentials": str(credentials)}
        self.ready |= {"account": "111122223333", "region": REGION, "hub_id": self.version()["hubId"]}
        self.ready_file.write_text(json.dumps(self.ready))
        self.secrets.add("the administrator's secret access key", self.administrator().secret)
        return self

    def up(self) -> None:
        """As the file's first lines tell; where docker-compose is too old to wait (`--wait`), by waiting here."""
        known = self.compose("up", "--help").split()
        flags = [flag for flag in documented(FILE) if flag in known]
        assert {"--build", "--detach"} <= set(flags), flags
        self.compose("up", *flags)
        deadline = time.monotonic() + HEALTHY_SECONDS_MAX
        while (health := self.health()) != dict.fromkeys(RUNNING, "healthy"):
            assert time.monotonic() < deadline, f"{health}: {self.log()[-4000:]}"
            time.sleep(0.5)

    def stop(self) -> None:
        self.compose("down", "--volumes", "--timeout", "40")
        for kind in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
            assert not self._docker.run(*kind, "--quiet", "--filter", self._label), kind

    def certificate(self) -> str:
        """The one that the gateway shows to a new connection."""
        return ssl.get_server_certificate(("localhost", self._ports[0]))

    def health(self) -> dict[str, str]:
        states = {name: inspected["State"] for name, inspected in self.containers().items() if name in RUNNING}
        return {name: state["Health"]["Status"] for name, state in states.items()}

    def inspect(self, name: str) -> dict:
        return self.containers()[name]

    def containers(self) -> dict[str, dict]:
        """What Docker says of each, by its service."""
        ids = self._docker.run("ps", "--all", "--quiet", "--filter", self._label).split()
        told = json.loads(self._docker.run("inspect", *ids))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in told}

    def log(self) -> str:
        return self.compose("logs", "--no-color")

    def file(self, name: str) -> str:
        """A file of the hub's own folder."""
        return self.compose("run", "--rm", "--entrypoint", "cat", "cli", f"/var/lib/lanyard/hub/{name}")

    def version(self) -> dict:
        url = f"https://localhost:{self._ports[0]}/version"
        return requests.get(url, verify=str(self.folder / "root.crt"), timeout=10).json()

    def run(self, *words: str, **choices) -> subprocess.CompletedProcess:
        done = super().run(*words, **choices)
        time.sleep(SEEN_SECONDS_MAX)
        return done

    def compose(self, *words: str) -> str:
        set_ = dict(zip(PORTS, map(str, self._ports))) | IMAGES | {"DOCKER_HOST": self._docker.host}
        # The builder that every Docker has, asked without its client.
        set_ |= {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        files = [part for file in (FILE, self._build) for part in ("--file", str(file))]
        command = [os.environ["DOCKER_COMPOSE"], "--project-name", self._project, *files, *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=os.environ | set_, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

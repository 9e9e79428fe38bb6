"""A Docker of the tests' own, in namespaces that end with them, and images that come from no registry.

The machine's firewall, links and mounts stay as they are: what Docker makes of those, it makes in its namespaces.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

from kube import wait_for
from namespaces import Namespaces

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
# The daemon starts a containerd of its own first.
READY_SECONDS_MAX = 60
# The longest is that of a Debian with PostgreSQL.
COMMAND_SECONDS_MAX = 180

BASE, BUILD, POSTGRES, LANYARD = "lanyard-test-base", "lanyard-test-build", "lanyard-test-postgres", "lanyard-test"
# What the Dockerfile begins with.
BASES = {"BUILD_IMAGE": BUILD, "RUNTIME_IMAGE": BASE}
# What deploy/docker-compose.yml names. The first one is built when it is brought up.
IMAGES = {"LANYARD_IMAGE": LANYARD, "POSTGRES_IMAGE": POSTGRES, "REDIS_IMAGE": BASE}


class Docker:
    """One daemon, with the images of a registry that deploy/docker-compose.yml and the Dockerfile name."""

    def __init__(self) -> None:
        self.namespaces = Namespaces("docker")
        self.folder = self.namespaces.folder
        self._log = self.folder / "dockerd.log"
        try:
            self._start()
            self._make_images()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.namespaces.stop()

    @property
    def host(self) -> str:
        """A socket in the folder, which is the same inside and outside."""
        return f"unix://{self.folder}/socket"

    def _start(self) -> None:
        dockerd = pathlib.Path(os.environ["DOCKERD"])
        self._daemon = self.namespaces.spawn(
            self._log,
            str(dockerd),
            f"--host={self.host}",
            f"--data-root={self.folder / 'data'}",
            f"--cgroup-parent=/{self.namespaces.cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            # The suite has a network of its own.
            "--bridge=none",
            f"--userland-proxy-path={dockerd.with_name('docker-proxy')}",
        )
        wait_for("an answer of dockerd", self._answers, READY_SECONDS_MAX)

    def _answers(self) -> bool:
        assert self._daemon.poll() is None, f"dockerd ended: {self._log.read_text(errors='replace')[-3000:]}"
        return subprocess.run(self._command("info"), capture_output=True, check=False).returncode == 0

    def _command(self, *words: str) -> list[str]:
        return [os.environ["DOCKER"], "--host", self.host, *words]

    def run(self, *words: str) -> str:
        """What a command says; it has to succeed."""
        # The builder that every Docker has; the other one is a plugin, which may not be there.
        environment = os.environ | {"DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            self._command(*words), capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=environment, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def _make_images(self) -> None:
        """A Debian with PostgreSQL and Redis, and of it an image that builds; its `cargo` puts there what was built already."""
        self.run("import", os.environ["DOCKER_BASE"], BASE)
        context = self.folder / "images"
        context.mkdir()
        for script in ("cargo", "postgres"):
            file = context / script
            file.write_bytes((HERE / f"{script}.sh").read_bytes())
            file.chmod(0o755)
        # Without the symbols for debuggers, which are most of a program that was built for tests.
        subprocess.run(["strip", "-o", str(context / "lanyard"), os.environ["LANYARD_BIN"]], check=True)
        self._build(context, BUILD, f"FROM {BASE}\nCOPY cargo /usr/local/bin/cargo\nCOPY lanyard /opt/lanyard\n")
        entry = "/usr/local/bin/postgres.sh"
        self._build(context, POSTGRES, f'FROM {BASE}\nCOPY postgres {entry}\nENTRYPOINT ["{entry}"]\n')

    def _build(self, context: pathlib.Path, image: str, text: str) -> None:
        file = context / f"{image}.Dockerfile"
        file.write_text(text)
        self.run("build", "--quiet", "--network=none", f"--tag={image}", f"--file={file}", str(context))

    def build_image(self, image: str, *words: str) -> None:
        """The image of the project's Dockerfile, of these base images."""
        bases = [f"--build-arg={name}={base}" for name, base in BASES.items()]
        self.run("build", "--quiet", "--network=none", f"--tag={image}", *bases, *words, str(ROOT))

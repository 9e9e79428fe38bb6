"""Namespaces: what runs in them ends with them, and they with the tests, however those end."""

from __future__ import annotations

import ctypes
import pathlib
import subprocess
import tempfile

from kube import wait_for

JANITOR = pathlib.Path(__file__).with_name("janitor.sh")
READY_SECONDS_MAX = 20
# It waits at most ten seconds for cgroups to become empty.
STOP_SECONDS_MAX = 60
COMMAND_SECONDS_MAX = 60
# From <linux/sched.h>; Python knows it from version 3.12 on.
CLONE_NEWNET = 0x40000000


def leave_the_machines_network() -> None:
    """From here on this process, and whatever it starts, has a network of its own with nothing but a loopback in it."""
    _system_call("unshare", CLONE_NEWNET)
    done("ip", "link", "set", "lo", "up")


def _system_call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"cannot leave the machine's network by {name}")


def done(*command: str, stdin: str | None = None) -> str:
    """What a short command says; it has to succeed."""
    ended = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX
    )
    assert ended.returncode == 0, f"`{' '.join(command)}` ended with {ended.returncode}: {ended.stderr}"
    return ended.stdout


class Namespaces:
    """Of processes, mounts and network; and a folder and cgroups that go with them. They are named after what they are for."""

    def __init__(self, name: str = "node") -> None:
        # A short path: it is part of the names of sockets, which have 107 letters at most.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"lanyard-{name}-"))
        self.cgroup = self.folder.name
        command = ["sh", str(JANITOR), str(self.folder), self.cgroup]
        # In a session of its own, so that what ends the tests does not end it before it has cleaned up.
        self._janitor = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        wait_for(f"the {name}'s namespaces", self._ready, READY_SECONDS_MAX)
        self.pid = self._first_process()
        make_cgroups(self.cgroup)

    def _ready(self) -> bool:
        assert self._janitor.poll() is None, "the janitor has ended"
        return (self.folder / "ready").exists()

    def _first_process(self) -> int:
        holder = (self.folder / "holder").read_text().strip()
        (child,) = pathlib.Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
        return int(child)

    def inside(self, *command: str) -> list[str]:
        """The command, so that it runs in them."""
        # Not `ip netns exec`, which mounts /sys anew, so that a kubelet finds no cgroups.
        return ["nsenter", f"--target={self.pid}", "--pid", "--mount", "--net", "--", *command]

    def done(self, *command: str, stdin: str | None = None) -> str:
        return done(*self.inside(*command), stdin=stdin)

    def spawn(self, log: pathlib.Path, *command: str) -> subprocess.Popen:
        with log.open("ab") as file:
            return subprocess.Popen(
                self.inside(*command), stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def enter_network(self) -> None:
        """From here on this process, and whatever it starts, is in their network."""
        with open(f"/proc/{self.pid}/ns/net", "rb") as network:
            _system_call("setns", network.fileno(), CLONE_NEWNET)

    def stop(self) -> None:
        """Everything in them is killed, and nothing is left."""
        self._janitor.stdin.close()
        self._janitor.wait(STOP_SECONDS_MAX)
        assert not self.folder.exists(), f"{self.folder} is left"
        assert not (left := cgroups(self.cgroup)), f"{left} are left"


def cgroup_trees() -> list[pathlib.Path]:
    """The roots of all hierarchies: one for each controller of the first version, one alone of the second."""
    root = pathlib.Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root]
    return [tree for tree in root.iterdir() if (tree / "cgroup.procs").exists()]


def cgroups(name: str) -> list[pathlib.Path]:
    return [tree / name for tree in cgroup_trees() if (tree / name).exists()]


def make_cgroups(name: str) -> None:
    """One of this name in each hierarchy. A kubelet given it as root leaves all others alone."""
    for tree in cgroup_trees():
        controllers = tree / "cgroup.controllers"
        if controllers.exists():
            wanted = " ".join(f"+{controller}" for controller in controllers.read_text().split())
            (tree / "cgroup.subtree_control").write_text(wanted)
        (tree / name).mkdir()
        if controllers.exists():
            (tree / name / "cgroup.subtree_control").write_text(wanted)
        elif (tree / name / "cpuset.cpus").exists():
            # Of the first version, where a new one may use no processor and no memory.
            for file in ("cpuset.cpus", "cpuset.mems"):
                (tree / name / file).write_text((tree / file).read_text())



"""The program that the agent's image has: static, and able to find its hub by name where there is nothing else."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading

import pytest
import requests

if __name__ == "__main__":
    # What `tls` is in, as the tests' runner has it.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from node_agent import PROGRAM, Agent
from standins import Standins, pod, token

pytestmark = pytest.mark.skipif(
    not os.environ.get("LANYARD_TEST_AGENT"),
    reason="LANYARD_TEST_AGENT is not set: it is the program of its own that `cargo xtask agent` builds",
)
# What the image has, in deploy/agent.Dockerfile.
SWITCH = "hosts: files dns\n"
# The port of name servers, which a resolver is told no other of.
DNS_PORT = 53


def test_the_program_asks_for_no_loader_and_no_library():
    said = subprocess.run(["ldd", PROGRAM[0]], capture_output=True, text=True, check=False)
    assert "statically linked" in said.stdout or "not a dynamic executable" in said.stdout + said.stderr, said


def in_an_empty_root(node: Standins, folder: pathlib.Path, hosts: str, resolver: str) -> Agent:
    """An agent where there is nothing but itself, and what its image and a kubelet put into each container."""
    root = folder / "root"
    authorities = root / "etc/ssl/certs/ca-certificates.crt"
    authorities.parent.mkdir(parents=True)
    # The image has the system's, which AWS's own chain of credentials wants to read; whom they vouch for is not asked here.
    shutil.copy(folder / "endpoint-ca.pem", authorities)
    for name, text in (("nsswitch.conf", SWITCH), ("hosts", hosts), ("resolv.conf", resolver)):
        (root / "etc" / name).write_text(text)
    program, shown = (root / str(path).lstrip("/") for path in (PROGRAM[0], folder))
    program.parent.mkdir(parents=True)
    shutil.copy(PROGRAM[0], program)
    shown.mkdir(parents=True)
    # The test's own folder is shown to it, for it reads and writes there; the mount goes with the process.
    mounted = f'mount --bind "{folder}" "{shown}" && exec chroot "{root}" "$@"'
    flags = ["--bind-hosts", "127.0.0.1", "--port", "0", "--probe-port", "0"]
    return Agent(folder, {"kubelet": node.kubelet.host, "endpoint": node.endpoint.host}, flags, ["unshare", "--mount", "sh", "-c", mounted, "sh"])


@pytest.fixture
def bare(node, tmp_path):
    """Starts one, and stops it."""
    if os.geteuid() != 0:
        pytest.skip("only root may change the root of a program")
    agents = []

    def start(hosts: str, resolver: str) -> Agent:
        agents.append(in_an_empty_root(node, tmp_path, hosts, resolver))
        return agents[-1]

    yield start
    for agent in agents:
        assert agent.stop() == 0, agent.log.read_text()


def ask(agent) -> requests.Response:
    return requests.get(agent.url, headers={"Authorization": token("p1")}, timeout=10)


def test_in_an_empty_root_names_are_found_in_the_hosts_file(bare, node):
    node.pods([pod("p1", host=True)])
    agent = bare("127.0.0.1 localhost\n", "nameserver 192.0.2.1\noptions timeout:1 attempts:1\n")
    answer = ask(agent)
    assert answer.status_code == 200, answer.text + agent.log.read_text()


def test_in_an_empty_root_a_name_that_is_nowhere_is_a_fault(bare, node):
    node.pods([pod("p1", host=True)])
    agent = bare("", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    assert ask(agent).status_code == 503, "the kubelet is not found, which is no refusal"


def test_in_an_empty_root_names_are_found_by_the_name_server(tmp_path):
    """All of it runs in a network of its own, for a name server has to be at port 53."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may make a network of its own")
    said = subprocess.run(
        ["unshare", "--net", sys.executable, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout.splitlines()[-1])
    assert told["status"] == 200, told
    assert any("localhost" in name for name in told["asked"]), told


class NameServer:
    """Says 127.0.0.1 to whoever asks for an A record of `localhost`, and of nothing else (RFC 1035 section 4)."""

    def __init__(self):
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", DNS_PORT))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(512)
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1 : at + 1 + question[at]].decode())
                at += 1 + question[at]
            name, (kind,) = ".".join(labels), struct.unpack("!H", question[at + 1 : at + 3])
            self.asked.append(name)
            found = name == "localhost" and kind == 1
            head = question[:2] + struct.pack("!HHHHH", 0x8580, 1, int(found), 0, 0)
            record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if found else b""
            self._socket.sendto(head + question[12 : at + 5] + record, sender)


def in_a_network_of_its_own(folder: pathlib.Path) -> dict:
    """What the agent answers, and for which names the name server was asked."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    names, node = NameServer(), Standins(folder)
    node.pods([pod("p1", host=True)])
    agent = in_an_empty_root(node, folder, "", "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
    try:
        return {"status": ask(agent).status_code, "asked": sorted(set(names.asked)), "log": agent.log.read_text()}
    finally:
        agent.stop()


if __name__ == "__main__":
    print(json.dumps(in_a_network_of_its_own(pathlib.Path(sys.argv[1]))))

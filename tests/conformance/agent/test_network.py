"""The agent's addresses and packet rules, in a network that a test makes: a node, two pods that reach it by its bridge, and beyond the
node a metadata service that is the node's own affair. Root makes networks; nobody else can."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest
from node_agent import PROGRAM, Agent, of_nobody
from standins import pod, project, token

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nsenter"),
    reason="networks of their own need root, ip and nsenter",
)
STANDINS = pathlib.Path(__file__).with_name("standins.py")
CURL = "import sys, urllib.request as u\nr = u.Request(sys.argv[2], method=sys.argv[1], headers=dict(h.split('=', 1) for h in sys.argv[3:]))\ntry:\n    a = u.build_opener(u.ProxyHandler({})).open(r, timeout=2); print(a.status, a.read().decode())\nexcept u.HTTPError as e: print(e.code, e.read().decode())\nexcept Exception as e: print(0, type(e).__name__, e)"
# Asks once, and says over how many routers each piece of the answer might have gone: it looks at the packets that come to the pod.
HOPS = """
import socket, sys, urllib.error, urllib.request
heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
heard.settimeout(20)
try:
    status = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=20).status
except urllib.error.HTTPError as refused:
    status = refused.code
hops = set()
while True:
    try:
        packet = heard.recv(65536)
    except BlockingIOError:
        break
    head = (packet[0] & 15) * 4
    segment = packet[head : int.from_bytes(packet[2:4], "big")]
    # Of port 80, and with something in it: what has nothing may be of the kernel, after the connection is over.
    if packet[9] == 6 and segment[:2] == (80).to_bytes(2, "big") and len(segment) > (segment[12] >> 4) * 4:
        hops.add(packet[8])
        heard.setblocking(False)
print(status, *sorted(hops))
"""
CLOUD = "import http.server, socket, sys\nclass H(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200); self.end_headers(); self.wfile.write(b'the nodes own role')\n    def log_message(self, *a): pass\nclass S(http.server.HTTPServer):\n    address_family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\nS((sys.argv[1], 80), H).serve_forever()"
NO_IPV6 = pytest.mark.skipif(not pathlib.Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")


class Network:
    """Namespaces of this run's own, all gone at its end."""

    def __init__(self):
        self.mark = uuid.uuid4().hex[:6]
        self.made: list[str] = []
        self.processes: list[subprocess.Popen] = []

    def name(self, short: str) -> str:
        return f"lany-{self.mark}-{short}"

    def make(self, short: str) -> None:
        subprocess.run(["ip", "netns", "add", self.name(short)], check=True)
        self.made.append(short)
        self.ip(short, "link set lo up")

    def ip(self, short: str, words: str) -> None:
        subprocess.run(["ip", "-n", self.name(short), *words.split()], check=True)

    def inside(self, short: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name(short)}"]

    def join(self, one: str, link: str, other: str, other_link: str) -> None:
        command = ["ip", "link", "add", link, "netns", self.name(one), "type", "veth", "peer", "name", other_link, "netns", self.name(other)]
        subprocess.run(command, check=True)

    def start(self, short: str, *command: str) -> subprocess.Popen:
        process = subprocess.Popen([*self.inside(short), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def ask(self, short: str, method: str, url: str, **headers: str) -> tuple[int, str]:
        pairs = [f"{name.replace('_', '-')}={value}" for name, value in headers.items()]
        command = [*self.inside(short), sys.executable, "-c", CURL, method, url, *pairs]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
        status, _, text = said.partition(" ")
        return int(status), text.strip()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for short in self.made:
            subprocess.run(["ip", "netns", "del", self.name(short)], check=False)


@pytest.fixture
def network():
    network = Network()
    try:
        network.make("node")
        network.ip("node", "link add cni0 type bridge")
        network.ip("node", "addr add 10.88.0.1/16 dev cni0")
        network.ip("node", "link set cni0 up")
        for number, short in ((5, "one"), (6, "two")):
            network.make(short)
            network.join("node", f"veth{number}", short, "eth0")
            network.ip("node", f"link set veth{number} master cni0")
            network.ip("node", f"link set veth{number} up")
            network.ip(short, f"addr add 10.88.0.{number}/16 dev eth0")
            network.ip(short, "link set eth0 up")
            network.ip(short, "route add default via 10.88.0.1")
        network.make("cloud")
        network.join("node", "wan", "cloud", "eth0")
        network.ip("node", "addr add 10.90.0.2/24 dev wan")
        network.ip("node", "link set wan up")
        network.ip("node", "route add 169.254.169.254/32 via 10.90.0.1")
        network.ip("cloud", "addr add 10.90.0.1/24 dev eth0")
        network.ip("cloud", "addr add 169.254.169.254/32 dev eth0")
        network.ip("cloud", "link set eth0 up")
        network.ip("cloud", "route add 10.88.0.0/16 via 10.90.0.2")
        forward = "open('/proc/sys/net/ipv4/ip_forward', 'w').write('1')"
        subprocess.run([*network.inside("node"), sys.executable, "-c", forward], check=True)
        network.start("cloud", sys.executable, "-c", CLOUD, "169.254.169.254")
        yield network
    finally:
        network.close()


@pytest.fixture
def on_node(network, tmp_path):
    """Starts agents on the node, with a kubelet and an endpoint there."""
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "pods.json").write_text(json.dumps([pod("p1", "10.88.0.5"), pod("p2", "10.88.0.6")]))
    process = network.start("node", sys.executable, str(STANDINS), str(folder))
    hosts = json.loads(process.stdout.readline())
    agents = []

    def start(*flags: str) -> Agent:
        (folder / "ready.json").unlink(missing_ok=True)
        agents.append(Agent(folder, hosts, list(flags), network.inside("node")))
        return agents[-1]

    start.folder = folder
    yield start
    for agent in agents:
        agent.stop()


def links(network) -> str:
    return subprocess.run(["ip", "-n", network.name("node"), "addr"], capture_output=True, text=True, check=True).stdout


def test_the_addresses_come_and_go_with_the_agent(network, on_node):
    assert "169.254.170.23" not in links(network)
    agent = on_node()
    assert "169.254.170.23/32" in links(network)
    url = "http://169.254.170.23/v1/credentials"
    assert network.ask("one", "GET", url, Authorization=token("p1"))[0] == 200
    assert agent.stop() == 0
    assert "169.254.170.23" not in links(network)


def once(network, *words: str) -> None:
    """The agent's program on the node, for what it does and ends."""
    command = [*network.inside("node"), *PROGRAM, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=of_nobody(), check=False)
    assert done.returncode == 0, done.stderr


def test_initialize_sets_the_addresses_up_for_the_agent_that_follows(network, on_node):
    once(network, "initialize", "-v", "trace")
    assert "169.254.170.23/32" in links(network)
    once(network, "initialize")
    agent = on_node()
    url = "http://169.254.170.23/v1/credentials"
    assert network.ask("one", "GET", url, Authorization=token("p1"))[0] == 200
    assert agent.stop() == 0
    assert "169.254.170.23/32" in links(network), "what somebody else has set up is left there"


def immunity_48_a_token_carried_to_another_pod_is_refused_by_the_connections_address(network, on_node):
    on_node()
    url = "http://169.254.170.23/v1/credentials"
    assert network.ask("one", "GET", url, Authorization=token("p1"))[0] == 200
    assert network.ask("two", "GET", url, Authorization=token("p1"))[0] == 403
    assert network.ask("node", "GET", url, Authorization=token("p1"))[0] == 403


@NO_IPV6
def immunity_48_pods_are_answered_and_told_apart_by_ipv6_too(network, on_node):
    network.ip("node", "addr add fd00:88::1/64 dev cni0 nodad")
    for number, short in ((5, "one"), (6, "two")):
        network.ip(short, f"addr add fd00:88::{number}/64 dev eth0 nodad")
        network.ip(short, "-6 route add default via fd00:88::1")
    dual = [pod(f"p{n}", address, podIPs=[{"ip": address}, {"ip": f"fd00:88::{n + 4}"}]) for n, address in ((1, "10.88.0.5"), (2, "10.88.0.6"))]
    (on_node.folder / "pods.json").write_text(json.dumps(dual))
    agent = on_node()
    assert "fd00:ec2::23/128" in links(network)
    assert "http://[fd00:ec2::23]:80" in agent.about["credentials"]
    url = "http://[fd00:ec2::23]/v1/credentials"
    assert network.ask("one", "GET", url, Authorization=token("p1"))[0] == 200
    assert network.ask("two", "GET", url, Authorization=token("p2"))[0] == 200
    for carried_to in ("two", "node"):
        status, said = network.ask(carried_to, "GET", url, Authorization=token("p1"))
        assert (status, "another address" in said) == (403, True), f"{carried_to}: {said}"
    assert network.ask("one", "GET", "http://169.254.170.23/v1/credentials", Authorization=token("p1"))[0] == 200
    assert agent.stop() == 0
    assert "fd00:ec2::23" not in links(network)


METADATA = "http://169.254.169.254"
ROLES = METADATA + "/latest/meta-data/iam/security-credentials/"


def until_open(network, service: str = METADATA) -> None:
    """Until the node's metadata service answers pods, as it does without the agent's rules."""
    for _ in range(50):
        if network.ask("one", "GET", service)[0] == 200:
            break
        time.sleep(0.1)
    assert network.ask("one", "GET", service) == (200, "the nodes own role"), "without the agent's rules it is open"


def immunity_47_pods_never_reach_the_nodes_metadata_service_and_the_node_does(network, on_node):
    until_open(network)
    pods = on_node.folder / "pods"
    project(pods, "p1", token("p1"))
    agent = on_node("--imds-namespace", "shop", "--pods-folder", str(pods))
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    assert network.ask("one", "GET", ROLES)[0] == 401, "version 1 is off"
    status, session = network.ask("one", "PUT", METADATA + "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")
    assert status == 200
    assert network.ask("one", "GET", ROLES, X_aws_ec2_metadata_token=session) == (200, "cart")
    assert network.ask("two", "GET", ROLES, X_aws_ec2_metadata_token=session)[0] == 401
    assert network.ask("one", "GET", METADATA + ":8080/")[0] == 0, "no other port is there"
    # Killed, its rules stay; the node is left alone as before.
    agent.stop(signal.SIGKILL)
    assert network.ask("one", "GET", METADATA)[0] == 0
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    # Its successor without the road takes them away.
    on_node()
    assert network.ask("one", "GET", METADATA) == (200, "the nodes own role")


def metadata_by_ipv6(network) -> str:
    """The node's metadata service by IPv6 too, as the first pod reaches it."""
    forward = "open('/proc/sys/net/ipv6/conf/all/forwarding', 'w').write('1')"
    subprocess.run([*network.inside("node"), sys.executable, "-c", forward], check=True)
    for short, words in (
        ("node", "addr add fd00:88::1/64 dev cni0 nodad"),
        ("node", "addr add fd00:90::2/64 dev wan nodad"),
        ("node", "-6 route add fd00:ec2::254/128 via fd00:90::1"),
        ("cloud", "addr add fd00:90::1/64 dev eth0 nodad"),
        ("cloud", "addr add fd00:ec2::254/128 dev eth0 nodad"),
        ("cloud", "-6 route add fd00:88::/64 via fd00:90::2"),
        ("one", "addr add fd00:88::5/64 dev eth0 nodad"),
        ("one", "-6 route add default via fd00:88::1"),
    ):
        network.ip(short, words)
    network.start("cloud", sys.executable, "-c", CLOUD, "fd00:ec2::254")
    return "http://[fd00:ec2::254]"


@NO_IPV6
def immunity_47_pods_never_reach_the_nodes_metadata_service_by_ipv6_either(network, on_node):
    """Of an agent whose addresses somebody else has set up: it is answered where it listens."""
    once(network, "initialize")
    service = metadata_by_ipv6(network)
    until_open(network, service)
    dual = pod("p1", "10.88.0.5", podIPs=[{"ip": "10.88.0.5"}, {"ip": "fd00:88::5"}])
    (on_node.folder / "pods.json").write_text(json.dumps([dual]))
    pods = on_node.folder / "pods"
    project(pods, "p1", token("p1"))
    agent = on_node("--imds-namespace", "shop", "--pods-folder", str(pods), "--manage-addresses", "false")
    assert network.ask("node", "GET", service) == (200, "the nodes own role")
    status, session = network.ask("one", "PUT", service + "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")
    assert status == 200, session
    roles = ROLES.replace(METADATA, service)
    assert network.ask("one", "GET", roles)[0] == 401
    assert network.ask("one", "GET", roles, X_aws_ec2_metadata_token=session) == (200, "cart")
    assert network.ask("one", "GET", service + ":8080/")[0] == 0, "no other port is there"
    agent.stop(signal.SIGKILL)
    assert network.ask("one", "GET", service)[0] == 0
    assert network.ask("node", "GET", service) == (200, "the nodes own role")
    once(network, "remove-rules")
    assert network.ask("one", "GET", service) == (200, "the nodes own role")


def rules_in_metrics(network, agent: Agent) -> str:
    """What the agent says of its rules."""
    status, shown = network.ask("node", "GET", agent.about["metrics"] + "/metrics")
    assert status == 200, shown
    (line,) = [line for line in shown.splitlines() if line.startswith("lanyard_agent_metadata_rules ")]
    return line.rpartition(" ")[2]


OPEN = "keeps pods from the node's own metadata service"


def immunity_47_without_the_road_the_nodes_metadata_service_is_closed_to_pods_by_a_flag(network, on_node):
    """Agent or no agent. Nobody is asked about pods for it, and the other road answers as ever."""
    until_open(network)
    agent = on_node("--imds-block")
    assert (agent.about["metadata"], rules_in_metrics(network, agent)) == ([], "1")
    assert OPEN not in agent.log.read_text()
    for short in ("one", "two"):
        assert network.ask(short, "GET", METADATA)[0] == 0, short
        assert network.ask(short, "PUT", METADATA + "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")[0] == 0, short
        assert network.ask(short, "GET", METADATA + ":8080/")[0] == 0, short
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    assert network.ask("one", "GET", "http://169.254.170.23/v1/credentials", Authorization=token("p1"))[0] == 200
    assert agent.stop() == 0
    assert network.ask("one", "GET", METADATA)[0] == 0, "the rules outlive the agent"
    killed = on_node("--imds-block")
    killed.stop(signal.SIGKILL)
    assert network.ask("one", "GET", METADATA)[0] == 0
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    # A successor that is told nothing of it takes them away, and says what that means.
    successor = on_node()
    assert rules_in_metrics(network, successor) == "0"
    assert network.ask("one", "GET", METADATA) == (200, "the nodes own role")
    (line,) = [line for line in successor.log.read_text().splitlines() if OPEN in line]
    assert "--imds-block" in line and "hop limit" in line, line


def immunity_47_a_closed_metadata_service_is_closed_anew_and_gives_way_to_the_road(network, on_node):
    until_open(network)
    agent = on_node("--imds-block")
    once(network, "remove-rules")
    for _ in range(100):
        if "somebody has taken away the packet rules" in agent.log.read_text() and network.ask("one", "GET", METADATA)[0] == 0:
            break
        time.sleep(0.1)
    assert network.ask("one", "GET", METADATA)[0] == 0
    assert "somebody has taken away the packet rules" in agent.log.read_text()
    assert agent.stop() == 0
    # The flag beside the road changes nothing of the road.
    agent = on_node("--imds-block", "--imds-namespace", "shop", "--pods-folder", str(on_node.folder / "pods"))
    assert status_of_session(network) == 200
    assert network.ask("one", "GET", METADATA)[0] == 401
    assert agent.stop() == 0
    # And back: what the road's agent has left makes room at once.
    agent = on_node("--imds-block")
    assert status_of_session(network) == 0
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    assert agent.stop() == 0
    once(network, "remove-rules")
    assert network.ask("one", "GET", METADATA) == (200, "the nodes own role")


@NO_IPV6
def immunity_47_a_closed_metadata_service_is_closed_by_ipv6_too(network, on_node):
    service = metadata_by_ipv6(network)
    until_open(network, service)
    agent = on_node("--imds-block")
    assert network.ask("one", "GET", service)[0] == 0
    assert network.ask("one", "GET", METADATA)[0] == 0
    assert network.ask("node", "GET", service) == (200, "the nodes own role")
    assert agent.stop() == 0
    assert network.ask("one", "GET", service)[0] == 0, "the rules outlive the agent"
    once(network, "remove-rules")
    assert network.ask("one", "GET", service) == (200, "the nodes own role")


def immunity_47_answers_of_the_metadata_road_go_over_no_router(network, on_node):
    """A pod that forwards to others hands them nothing of it; the container-credentials address, which wants a token, has no such bound."""
    on_node("--imds-namespace", "shop", "--pods-folder", str(on_node.folder / "pods"))

    def hops(url: str) -> list[str]:
        command = [*network.inside("one"), sys.executable, "-c", HOPS, url]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()

    assert hops(ROLES) == ["401", "1"]
    status, *others = hops("http://169.254.170.23/v1/credentials")
    assert status == "400" and others and "1" not in others, others


def test_remove_rules_takes_away_what_an_agent_has_left(network, on_node):
    until_open(network)
    agent = on_node("--imds-namespace", "shop", "--pods-folder", str(on_node.folder / "pods"))
    assert agent.stop() == 0
    assert network.ask("one", "GET", METADATA)[0] == 0, "the rules outlive the agent"
    once(network, "remove-rules")
    assert network.ask("one", "GET", METADATA) == (200, "the nodes own role")
    once(network, "remove-rules")


def status_of_session(network) -> int:
    """What a pod gets that begins a session on the road."""
    return network.ask("one", "PUT", METADATA + "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")[0]


def immunity_47_rules_that_somebody_takes_away_are_written_anew(network, on_node):
    """As `nft flush ruleset` does, with which the node's own rules are loaded."""
    agent = on_node("--imds-namespace", "shop", "--pods-folder", str(on_node.folder / "pods"))
    assert status_of_session(network) == 200
    once(network, "remove-rules")
    for _ in range(100):
        if status_of_session(network) == 200:
            break
        time.sleep(0.1)
    assert status_of_session(network) == 200
    assert network.ask("one", "GET", METADATA)[0] == 401
    assert "somebody has taken away the packet rules" in agent.log.read_text()


def immunity_47_an_agent_that_cannot_start_lets_no_pod_reach_the_nodes_role(network):
    until_open(network)
    told = ["--cluster-name", "dev", "--region", "eu-west-1", "--node-ip", "10.88.0.1", "--imds-namespace", "shop"]
    command = [*network.inside("node"), *PROGRAM, "server", *told, "--kubelet-ca", "/nothing/here", "--metrics-port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=of_nobody(), check=False)
    assert done.returncode != 0 and "/nothing/here" in done.stderr, done.stderr
    assert network.ask("one", "GET", METADATA)[0] == 0
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    once(network, "remove-rules")
    assert network.ask("one", "GET", METADATA) == (200, "the nodes own role")


def immunity_47_an_agent_that_cannot_start_takes_the_road_from_no_agent_that_runs(network, on_node):
    """As a second one does, whose port is taken; here it is one of another port, so that its rules would lead nowhere."""
    on_node("--imds-namespace", "shop", "--pods-folder", str(on_node.folder / "pods"))
    assert status_of_session(network) == 200
    told = ["--cluster-name", "dev", "--region", "eu-west-1", "--node-ip", "10.88.0.1", "--imds-namespace", "shop"]
    command = [*network.inside("node"), *PROGRAM, "server", *told, "--kubelet-ca", "/nothing/here", "--metrics-port", "0"]
    environment = of_nobody() | {"LANYARD_IMDS__PORT": "2799"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment, check=False)
    assert done.returncode != 0 and "/nothing/here" in done.stderr, done.stderr
    assert status_of_session(network) == 200


@pytest.mark.skipif(not shutil.which("nft"), reason="nft loads the rules of the boot")
def immunity_47_rules_of_the_boot_keep_pods_out_before_the_agent_runs_and_give_way_to_its_own(network, on_node):
    until_open(network)
    printed = subprocess.run([*PROGRAM, "boot-rules"], capture_output=True, text=True, timeout=20, env=of_nobody(), check=True).stdout
    subprocess.run([*network.inside("node"), "nft", "-f", "-"], input=printed, text=True, check=True)
    assert network.ask("one", "GET", METADATA)[0] == 0
    assert network.ask("node", "GET", METADATA) == (200, "the nodes own role")
    agent = on_node("--imds-namespace", "shop", "--pods-folder", str(on_node.folder / "pods"))
    assert status_of_session(network) == 200
    assert agent.stop() == 0
    once(network, "remove-rules")
    assert network.ask("one", "GET", METADATA) == (200, "the nodes own role")


@pytest.mark.skipif(not shutil.which("setpriv"), reason="a right is taken away by setpriv")
def immunity_47_an_agent_that_cannot_write_its_rules_is_not_ready(network, on_node):
    """Pods would reach the node's own role. Its listeners answer: it is alive, and gives credentials by the other road."""
    once(network, "initialize")
    without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    told = ["--cluster-name", "dev", "--region", "eu-west-1", "--node-ip", "10.88.0.1", "--imds-namespace", "shop"]
    told += ["--bind-hosts", "169.254.170.23", "--kubelet-ca", str(on_node.folder / "kubelet-ca.pem"), "--metrics-port", "0"]
    agent = subprocess.Popen([*network.inside("node"), *without, *PROGRAM, "server", *told], env=of_nobody())
    network.processes.append(agent)
    for _ in range(50):
        status, said = network.ask("node", "GET", "http://127.0.0.1:2703/readyz")
        if "CAP_NET_ADMIN" in said:
            break
        time.sleep(0.1)
    assert status == 503 and "packet rules" in said and "CAP_NET_ADMIN" in said, said
    assert network.ask("node", "GET", "http://127.0.0.1:2703/healthz")[0] == 200
    agent.terminate()
    assert agent.wait(timeout=20) == 0


def immunity_47_a_spoofed_sender_ends_at_the_nodes_edge(network, on_node):
    """The second pod takes an address that lies behind another link of the node: nothing comes back, and nothing is answered."""
    pods = on_node.folder / "pods"
    project(pods, "p1", token("p1"))
    on_node("--imds-namespace", "shop", "--pods-folder", str(pods))

    def status() -> int:
        url = METADATA + "/latest/api/token"
        return network.ask("two", "PUT", url, X_aws_ec2_metadata_token_ttl_seconds="60")[0]

    assert status() == 200, "from its own address it is answered"
    network.ip("two", "addr add 10.90.0.1/32 dev eth0")
    network.ip("two", "route replace default via 10.88.0.1 src 10.90.0.1")
    way = subprocess.run(
        ["ip", "-n", network.name("two"), "route", "get", "169.254.169.254"], capture_output=True, text=True, check=True
    ).stdout
    assert "src 10.90.0.1" in way, "it does send from there"
    assert status() == 0
    network.ip("two", "route replace default via 10.88.0.1 src 10.88.0.6")
    assert status() == 200, "nothing but the address was in the way"

"""The node itself: what the tests of workload identity stand on is as on any other node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import kube
import namespaces
import network
from control_plane import NODE_NAME
from machine import KUBELET_PORT
from pods import claims, pod, projected, service_account

NAMESPACE = "house"
# The agent's address on a node, at which pods look for credentials.
LINK_LOCAL = "169.254.170.23"
TOKEN = "/var/run/secrets/test/token"
MOUNT = {"name": "token", "mountPath": "/var/run/secrets/test"}
# Status and body of a GET, with the token of a ServiceAccount or without, to a server that an authority vouches for.
GET = textwrap.dedent("""
    import ssl, sys, urllib.error, urllib.request
    url, token = sys.argv[1:3]
    headers = {"Authorization": "Bearer " + open(token).read()} if token else {}
    trust = ssl.create_default_context(cafile="/kubelet/ca.pem") if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=trust, timeout=10) as answer:
            print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read().decode())
""")
# Answers each request with the address that it comes from.
ECHO = textwrap.dedent("""
    import http.server, sys
    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.client_address[0].encode())
    http.server.HTTPServer((sys.argv[1], 80), Echo).serve_forever()
""")


@pytest.fixture(scope="module")
def house(node):
    """A namespace with a ServiceAccount that may see the pods of a kubelet, and one that may not."""
    kubelet_ca = kube.config_map("kubelet", NAMESPACE) | {
        "data": {"ca.pem": node.control_plane.kubelet_ca.read_text()}
    }
    node.pods.apply(
        kube.namespace(NAMESPACE),
        service_account("agent", NAMESPACE),
        service_account("stranger", NAMESPACE),
        kubelet_ca,
        kube.cluster_role("kubelet-pods", kube.rule("get", "nodes/pods")),
        kube.bound("agent-kubelet-pods", "kubelet-pods", f"system:serviceaccount:{NAMESPACE}:agent", "User"),
    )
    return node


def daemon_set(name: str, account: str) -> dict:
    """One on each node, in the node's own network, that may ask its kubelet."""
    template = pod(
        name,
        NAMESPACE,
        account,
        hostNetwork=True,
        volumes=[{"name": "kubelet", "configMap": {"name": "kubelet"}}],
        container={"volumeMounts": [{"name": "kubelet", "mountPath": "/kubelet"}]},
    )
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def test_a_projected_token_names_its_pod_and_its_node(house):
    manifest = pod(
        "bound",
        NAMESPACE,
        volumes=[projected("pods.eks.amazonaws.com")],
        container={"volumeMounts": [MOUNT]},
    )
    made = house.pods.run(manifest)
    token = house.pods.python("bound", NAMESPACE, f"print(open({TOKEN!r}).read())")
    house.hub.secrets.add("a projected token", token)
    said = claims(token)
    assert said["aud"] == ["pods.eks.amazonaws.com"] and said["iss"] == f"{house.hub.url}/id/{house.cluster.uid}"
    assert said["sub"] == f"system:serviceaccount:{NAMESPACE}:default"
    bound = said["kubernetes.io"]
    assert bound["namespace"] == NAMESPACE and bound["serviceaccount"]["name"] == "default"
    assert bound["pod"] == {"name": "bound", "uid": made["metadata"]["uid"]}
    assert bound["node"]["name"] == NODE_NAME and bound["node"]["uid"]
    assert made["status"]["podIP"] != made["status"]["hostIP"] == network.NODE


def test_the_kubelet_shows_its_pods_to_whom_the_api_server_lets(house):
    house.pods.apply(daemon_set("seer", "agent"), daemon_set("blind", "stranger"))
    url = f"https://{network.NODE}:{KUBELET_PORT}/pods"
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    seer, blind = (house.pods.of_daemon_set(name, NAMESPACE) for name in ("seer", "blind"))
    assert house.pods.get(seer, NAMESPACE)["status"]["podIP"] == network.NODE
    seen = house.pods.python(seer, NAMESPACE, GET, url, token)
    assert seen.startswith("200 ") and f'"name":"{seer}"' in seen
    refused = house.pods.python(blind, NAMESPACE, GET, url, token)
    assert refused.startswith("403 ") and "nodes, subresource(s)=[pods" in refused
    assert house.pods.python(blind, NAMESPACE, GET, url, "").startswith("401 ")


def test_an_address_of_the_nodes_loopback_is_reached_from_pods_and_shows_which(house):
    house.machine.namespaces.done("ip", "address", "add", f"{LINK_LOCAL}/32", "dev", "lo")
    try:
        listener = pod("listener", NAMESPACE, hostNetwork=True, container={"command": ["python", "-c", ECHO, LINK_LOCAL]})
        house.pods.run(listener)
        made = house.pods.run(pod("caller", NAMESPACE))
        url = f"http://{LINK_LOCAL}/"
        said = kube.wait_for("an answer of the listener", lambda: _asked(house, url), 20)
        assert said == f"200 {made['status']['podIP']}"
    finally:
        # The port is the agent's, in other tests.
        house.pods.delete("listener", NAMESPACE, "--ignore-not-found")
        house.machine.namespaces.done("ip", "address", "del", f"{LINK_LOCAL}/32", "dev", "lo")


def _asked(house, url: str) -> str | None:
    done = house.pods.execute("caller", NAMESPACE, "python", "-c", GET, url, "")
    return done.stdout.strip() if done.returncode == 0 else None


def test_people_of_the_hub_are_let_in_by_its_webhooks(node):
    user = node.hub.create_user("person")
    node.cluster.entry(user, policy="AmazonEKSClusterAdminPolicy")
    done = node.server.kubectl("get", "nodes", "--output=name", token=node.cluster.token(user))
    assert done.stdout.strip() == f"node/{NODE_NAME}", done.stderr
    stranger = node.hub.create_user("stranger")
    refused = node.server.kubectl("get", "nodes", token=node.cluster.token(stranger))
    assert refused.returncode == 1 and "Unauthorized" in refused.stderr.replace("You must be logged in", "Unauthorized")


def test_tests_that_are_killed_leave_nothing_of_a_node(own_network):
    program = textwrap.dedent("""
        import time, namespaces
        made = namespaces.Namespaces()
        made.spawn(made.folder / "log", "sleep", "600")
        mount = ("mount", "-t", "tmpfs", "none", str(made.folder / "mounted"))
        (made.folder / "mounted").mkdir()
        made.done(*mount)
        print(made.folder, made.pid, flush=True)
        time.sleep(600)
    """)
    here = os.path.dirname(__file__)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, os.path.dirname(here)])}
    tests = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    folder, pid = tests.stdout.readline().split()
    name = os.path.basename(folder)
    assert os.path.isdir(folder) and os.path.exists(f"/proc/{pid}") and namespaces.cgroups(name)
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    deadline = time.monotonic() + 20
    while os.path.exists(folder) or os.path.exists(f"/proc/{pid}") or namespaces.cgroups(name):
        assert time.monotonic() < deadline, "what a killed run has started is still there"
        time.sleep(0.05)

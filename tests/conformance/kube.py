"""A real kube-apiserver on a real etcd, both on loopback, both gone after the test."""

from __future__ import annotations

import base64
import http.client
import json
import os
import pathlib
import random
import secrets
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import requests

LOOPBACK = "127.0.0.1"
READY_SECONDS_MAX = 90
STOP_SECONDS_MAX = 20
COMMAND_SECONDS_MAX = 60
PORT_MIN = 20_000
PORTS_TRIED_MAX = 100
ETCD_STARTS_MAX = 3


def free_port() -> int:
    """A port of the loopback address for a program that is told its port. It is below those that the kernel gives by itself: one of
    those may be the source of somebody's connection by the time that the program is there."""
    given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(PORTS_TRIED_MAX):
        port = random.randrange(PORT_MIN, given)
        with socket.socket() as listener:
            try:
                listener.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
    raise AssertionError(f"{PORTS_TRIED_MAX} ports from {PORT_MIN} to {given} are taken")


def wait_for(what: str, check, seconds: float = READY_SECONDS_MAX):
    """Calls `check` until it returns something true; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


@dataclass
class Etcd:
    """The store of the API servers of one run."""

    process: subprocess.Popen
    url: str


@dataclass
class ApiServer:
    """One running API server. `admin` is in system:masters by a static token, to set the stage with."""

    folder: pathlib.Path
    port: int
    admin_token: str
    process: subprocess.Popen | None = field(default=None, repr=False)
    address: str = LOOPBACK

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def ca(self) -> pathlib.Path:
        return self.folder / "certs" / "apiserver.crt"

    def kubectl(
        self,
        *arguments: str,
        token: str | None = None,
        kubeconfig: pathlib.Path | None = None,
        stdin: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess:
        """Stock kubectl, with a bearer token or with a kubeconfig of somebody's own."""
        command = [
            os.environ["KUBECTL"],
            f"--kubeconfig={kubeconfig or '/dev/null'}",
            "--request-timeout=20s",
        ]
        if token is not None:
            command += [f"--server={self.url}", f"--certificate-authority={self.ca}", f"--token={token}"]
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECTL_KUBERC": "false"} | (
            environment or {}
        )
        return subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env=variables,
        )

    def admin(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.kubectl(*arguments, token=self.admin_token, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def request(
        self, path: str, *, token: str, headers: dict | None = None, body: dict | None = None
    ) -> requests.Response:
        """One request and no more, so that "the next request" is the next one."""
        with requests.Session() as session:
            session.trust_env = False
            sent = {"Authorization": f"Bearer {token}"} | (headers or {})
            method = "GET" if body is None else "POST"
            return session.request(
                method, self.url + path, headers=sent, json=body, verify=str(self.ca), timeout=30
            )

    def get_as_written(self, path: str, *, token: str) -> tuple[int, str]:
        """Status and body of a GET whose path no library has made tidy."""
        trust = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=30, context=trust)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def log(self) -> str:
        return (self.folder / "kube-apiserver.log").read_text(errors="replace")


def stop(process: subprocess.Popen | None) -> None:
    if process is None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_etcd(folder: pathlib.Path) -> Etcd:
    """An etcd that answers: an API server that does not find its own gives up after 20 s, and does not say why. One whose port
    somebody took meanwhile is started again on another."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "etcd.log"
    for _ in range(ETCD_STARTS_MAX):
        etcd = _spawn_etcd(folder, log)
        try:
            if wait_for("readiness of etcd", lambda: _became(etcd)) == "healthy":
                return etcd
        except BaseException:
            stop(etcd.process)
            raise
        said = log.read_text(errors="replace")
        assert "address already in use" in said, f"etcd ended: {said[-2000:]}"
    raise AssertionError(f"the ports of etcd were taken {ETCD_STARTS_MAX} times")


def _became(etcd: Etcd) -> str | None:
    """`healthy`, `ended`, or nothing yet."""
    if etcd.process.poll() is not None:
        return "ended"
    with requests.Session() as session:
        session.trust_env = False
        try:
            return "healthy" if session.get(f"{etcd.url}/health", timeout=5).ok else None
        except requests.exceptions.RequestException:
            return None


def _spawn_etcd(folder: pathlib.Path, log: pathlib.Path) -> Etcd:
    client = f"http://127.0.0.1:{free_port()}"
    peer = f"http://127.0.0.1:{free_port()}"
    command = [
        os.environ["ETCD"],
        f"--data-dir={folder / 'data'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
    ]
    command += [
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]
    return Etcd(spawn(log, [*command, "--unsafe-no-fsync"]), client)


def signing_key(path: pathlib.Path) -> pathlib.Path:
    """A key that signs ServiceAccount tokens."""
    subprocess.run(["openssl", "genrsa", "-out", str(path), "2048"], check=True, capture_output=True)
    return path


def start(
    folder: pathlib.Path,
    etcd: Etcd,
    flags: list[str],
    issuer: str = "https://kubernetes.default.svc",
    issuer_flags: list[str] | None = None,
    *,
    address: str = LOOPBACK,
    users: Iterable[str] = (),
) -> ApiServer:
    """Starts a kube-apiserver with the flags that `lanyard cluster webhook-config` writes. Each folder is a cluster. It has a signing
    key of its own, or the flags that `lanyard cluster issuer generate` shows. `users` are more lines of its static tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ApiServer(folder, free_port(), secrets.token_hex(16), address=address)
    if issuer_flags is None:
        key = signing_key(folder / "service-account.key")
        issuer_flags = [
            f"--service-account-issuer={issuer}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
        ]
    tokens = folder / "tokens.csv"
    lines = [f'{server.admin_token},stage-hand,1,"system:masters"', *users]
    tokens.write_text("".join(f"{line}\n" for line in lines))
    tokens.chmod(0o600)
    command = [
        os.environ["KUBE_APISERVER"],
        f"--etcd-servers={etcd.url}",
        f"--etcd-prefix=/{folder.name}",
        f"--cert-dir={folder / 'certs'}",
        f"--bind-address={address}",
        f"--secure-port={server.port}",
        f"--token-auth-file={tokens}",
        *issuer_flags,
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        *flags,
    ]
    server.process = spawn(folder / "kube-apiserver.log", command)
    try:
        wait_for("readiness of kube-apiserver", lambda: _ready(server))
    except BaseException:
        stop(server.process)
        raise
    return server


def spawn(log: pathlib.Path, command: list[str]) -> subprocess.Popen:
    """Starts a program that goes on, and writes what it says to a file."""
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def kubeconfig(server: ApiServer, path: pathlib.Path, **user) -> pathlib.Path:
    """A kubeconfig of the stage hand, with everything written out, unless `user` says otherwise."""
    authority = base64.b64encode(server.ca.read_bytes()).decode()
    cluster = {"server": server.url, "certificate-authority-data": authority}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {"token": server.admin_token}}],
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "a",
    }
    path.write_text(json.dumps(config))
    return path


def _ready(server: ApiServer) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"kube-apiserver ended: {server.log()[-2000:]}")
    if not server.ca.exists():
        return False
    try:
        return server.request("/readyz", token=server.admin_token).ok
    except requests.exceptions.ConnectionError:
        return False


def objects(*items: dict) -> str:
    """A List for `kubectl apply -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


RBAC_GROUP = "rbac.authorization.k8s.io"


def cluster_role(name: str, *rules: dict) -> dict:
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": list(rules),
    }


def rule(verbs: str, resources: str, group: str = "") -> dict:
    """A rule of words in lists."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def bound(name: str, role: str, subject: str, kind: str = "Group") -> dict:
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC_GROUP, "kind": kind, "name": subject}],
    }


def namespace(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name: str, where: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": where},
        "data": {"a": "b"},
    }

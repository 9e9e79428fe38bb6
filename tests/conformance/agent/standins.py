"""A kubelet and an EKS Auth endpoint that do as a folder says, for faults and for what a node has: run in this process, or as a program
inside of a node's network.

`pods.json` is the kubelet's list, `vend.json` what the endpoint answers; `calls.jsonl` is what they were asked. The kubelet's stand-in is
the API server's too, as far as that is asked for namespaces: `namespaces.json`, each name with its labels.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import sys
import threading
import time
import urllib.parse

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tls import TlsServer

KUBELET_TOKEN = "the-agents-own-token"
ROLE = "arn:aws:sts::111122223333:assumed-role/cart/eks-dev-cart-0-x"


class Standins:
    """Both, on TLS of one folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self._lock = threading.Lock()
        if not (folder / "pods.json").exists():
            self.pods([])
        if not (folder / "namespaces.json").exists():
            self.namespaces({})
        if not (folder / "vend.json").exists():
            self.vends()
        self.kubelet = TlsServer(folder, "kubelet", self._pods)
        self.endpoint = TlsServer(folder, "endpoint", self._vend)

    def stop(self) -> None:
        self.kubelet.stop()
        self.endpoint.stop()

    def pods(self, items: list[dict] | None) -> None:
        """What the kubelet lists; without a list it is away."""
        self._write("pods.json", items)

    def namespaces(self, labels: dict[str, dict[str, str]] | None) -> None:
        """Each namespace with its labels; without them the API server is away."""
        self._write("namespaces.json", labels)

    def vends(self, seconds: float = 21_600, *, status: int = 200, error: str = "", wait: float = 0) -> None:
        """What the endpoint answers from now on."""
        self._write("vend.json", {"seconds": seconds, "status": status, "error": error, "wait": wait})

    def calls(self, path: str = "") -> list[dict]:
        """What they were asked whose path has this in it, oldest first."""
        log = self.folder / "calls.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [call for call in map(json.loads, lines) if path in call["path"]]

    def _write(self, name: str, value) -> None:
        draft = self.folder / f"{name}.draft"
        draft.write_text(json.dumps(value))
        draft.rename(self.folder / name)

    def _read(self, name: str):
        return json.loads((self.folder / name).read_text())

    def _note(self, request) -> bytes:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        call = {"path": request.path, "headers": dict(request.headers.items()), "at": time.time()}
        with self._lock, (self.folder / "calls.jsonl").open("a") as log:
            log.write(json.dumps(call) + "\n")
        return body

    def _pods(self, request) -> None:
        self._note(request)
        path, _, query = request.path.partition("?")
        items = self._labelled(query) if path == "/api/v1/namespaces" else self._read("pods.json")
        if request.headers.get("authorization") != f"Bearer {KUBELET_TOKEN}":
            return _answer(request, 401, {})
        if items is None:
            return _answer(request, 503, {})
        _answer(request, 200, {"kind": "PodList", "items": items})

    def _labelled(self, query: str) -> list[dict] | None:
        """The namespaces that a label selector picks out."""
        namespaces = self._read("namespaces.json")
        if namespaces is None:
            return None
        key, _, value = urllib.parse.parse_qs(query)["labelSelector"][0].partition("=")
        return [{"metadata": {"name": name, "labels": own}} for name, own in namespaces.items() if own.get(key) == value]

    def _vend(self, request) -> None:
        body = self._note(request)
        if request.path.partition("?")[0] == "/":
            # A hub's STS, as the relay has it.
            return _answer(request, 200, {"body": body.decode()})
        plan = self._read("vend.json")
        time.sleep(plan["wait"])
        if plan["status"] != 200:
            headers = {"x-amzn-errortype": plan["error"]} if plan["error"] else {}
            return _answer(request, plan["status"], {"message": "as it was told"}, headers)
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            return _answer(request, 403, {"message": "unsigned"})
        # Each token has credentials of its own, and each answer too.
        token = json.loads(body)["token"]
        mark = hashlib.sha256(token.encode()).hexdigest()[:12].upper()
        _answer(
            request,
            200,
            {
                "subject": {"namespace": "shop", "serviceAccount": "cart"},
                "audience": "pods.eks.amazonaws.com",
                "podIdentityAssociation": {"associationArn": "arn", "associationId": "a-1"},
                "assumedRoleUser": {"arn": ROLE, "assumeRoleId": "AROA:x"},
                "credentials": {
                    "accessKeyId": f"ASIA{mark}0001",
                    "secretAccessKey": "hush",
                    "sessionToken": "x" * 1000 + str(time.time()),
                    "expiration": time.time() + plan["seconds"],
                },
            },
        )


def _answer(request, status: int, value: dict, headers: dict[str, str] | None = None) -> None:
    body = json.dumps(value).encode()
    request.send_response(status)
    for name, text in {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}.items():
        request.send_header(name, text)
    request.end_headers()
    request.wfile.write(body)


def pod(uid: str, address: str = "10.88.0.5", *, host: bool = False, account: str = "cart", namespace: str = "shop", **status) -> dict:
    """A running pod as the kubelet writes it."""
    return {
        "metadata": {"name": f"{account}-{uid}", "namespace": namespace, "uid": uid},
        "spec": {"nodeName": "node-a", "serviceAccountName": account, "hostNetwork": host},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], **status},
    }


def token(uid: str, *, account: str = "cart", namespace: str = "shop", seconds: float = 3_600, **claims) -> str:
    """A pod's projected token, signed by nobody: the agent verifies none."""

    def part(value) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    now = int(time.time())
    payload = {
        "aud": ["pods.eks.amazonaws.com"],
        "exp": now + seconds,
        "nbf": now - 5,
        "iss": "https://issuer.example",
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": account, "uid": "sa"},
            "pod": {"name": f"{account}-{uid}", "uid": uid},
            "node": {"name": "node-a", "uid": "n"},
        },
        **claims,
    }
    payload = {name: value for name, value in payload.items() if value is not None}
    return f"{part({'alg': 'RS256', 'kid': 'k'})}.{part(payload)}.c2lnbmF0dXJl"


def project(folder: pathlib.Path, uid: str, text: str) -> None:
    """A token where the kubelet projects it, behind the link that it swings."""
    volume = folder / uid / "volumes/kubernetes.io~projected/eks-pod-identity-token"
    (volume / "..1").mkdir(parents=True)
    (volume / "..1/eks-pod-identity-token").write_text(text)
    (volume / "..data").symlink_to("..1")
    (volume / "eks-pod-identity-token").symlink_to("..data/eks-pod-identity-token")


if __name__ == "__main__":
    both = Standins(pathlib.Path(sys.argv[1]))
    print(json.dumps({"kubelet": both.kubelet.host, "endpoint": both.endpoint.host}), flush=True)
    sys.stdin.read()

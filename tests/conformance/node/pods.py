"""Pods as tests write them, and what is done in them."""

from __future__ import annotations

import base64
import json
import subprocess

import images
from kube import ApiServer, wait_for

RUNNING_SECONDS_MAX = 60
# It waits for a signal, and ends at once when it comes: by itself the first process of a container takes none.
WAIT = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"


def service_account(name: str, namespace: str, **annotations: str) -> dict:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def pod(name: str, namespace: str, account: str = "default", environment: list[dict] | None = None, **spec) -> dict:
    """A pod of Python that waits to be told what to do. `spec` is its own, beside what every pod here has."""
    container = {
        "name": "main",
        "image": images.reference("python"),
        "imagePullPolicy": "Never",
        "command": ["python", "-c", WAIT],
    } | spec.pop("container", {})
    if environment:
        container["env"] = environment
    body = {"serviceAccountName": account, "terminationGracePeriodSeconds": 1, "containers": [container]}
    metadata = {"name": name, "namespace": namespace, "labels": spec.pop("labels", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body | spec}


def projected(audience: str, path: str = "token", seconds: int = 3600) -> dict:
    """A volume with a token for somebody, as kubelet projects and renews it."""
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": seconds, "path": path}}
    return {"name": "token", "projected": {"sources": [source]}}


class Pods:
    """The pods of a cluster."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def apply(self, *objects: dict) -> None:
        self._server.admin("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def run(self, manifest: dict) -> dict:
        """Makes a pod, and answers with what it is once it runs."""
        self.apply(manifest)
        return self.running(manifest["metadata"]["name"], manifest["metadata"]["namespace"])

    def running(self, name: str, namespace: str) -> dict:
        def look() -> dict | None:
            found = self.get(name, namespace)
            phase = found["status"]["phase"]
            assert phase in ("Pending", "Running"), f"pod {name} is {phase}: {found['status']}"
            return found if phase == "Running" else None

        try:
            return wait_for(f"the start of pod {name}", look, RUNNING_SECONDS_MAX)
        except AssertionError as error:
            told = self._server.admin("describe", "pod", name, "--namespace", namespace)
            raise AssertionError(f"{error}: {told}") from error

    def get(self, name: str, namespace: str) -> dict:
        return json.loads(self._server.admin("get", "pod", name, "--namespace", namespace, "--output=json"))

    def of_daemon_set(self, name: str, namespace: str, label: str = "app") -> str:
        """The name of its one pod, once that runs."""

        def look() -> str:
            words = ("get", "pods", "--namespace", namespace, f"--selector={label}={name}", "--output=name")
            return self._server.admin(*words).strip().removeprefix("pod/")

        found = wait_for(f"a pod of {name}", look, RUNNING_SECONDS_MAX)
        self.running(found, namespace)
        return found

    def delete(self, name: str, namespace: str, *flags: str) -> None:
        self._server.admin("delete", "pod", name, "--namespace", namespace, *flags)

    def execute(self, name: str, namespace: str, *command: str) -> subprocess.CompletedProcess:
        """`kubectl exec`, whatever it ends with."""
        words = ("exec", name, "--namespace", namespace, "--", *command)
        return self._server.kubectl(*words, token=self._server.admin_token)

    def says(self, name: str, namespace: str, *command: str) -> str:
        """What a command in a pod says; it has to succeed."""
        done = self.execute(name, namespace, *command)
        assert done.returncode == 0, f"{command[:3]} in pod {name} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def python(self, name: str, namespace: str, program: str, *arguments: str) -> str:
        return self.says(name, namespace, "python", "-c", program, *arguments).strip()


def claims(token: str) -> dict:
    """What a JWT says, whoever signed it."""
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

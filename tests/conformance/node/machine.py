"""A node: containerd and a kubelet in namespaces of their own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import time

import images
import network
from control_plane import NODE_NAME, ControlPlane, program
from kube import wait_for
from namespaces import Namespaces

READY_SECONDS_MAX = 90
SOCKET = "/run/containerd/containerd.sock"
KUBELET_PORT = 10250

# In the node's own memory: thousands of files of images take seconds to write to a disk, and half a minute to remove.
CONTAINERD = """
version = 2
root = "/run/images"
state = "/run/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# A machine may not let its root protect processes from running out of memory.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""
CNI = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": network.PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}


class Machine:
    """One node of a control plane. Its processes end with its namespaces."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.control_plane = control_plane
        self.namespaces = Namespaces()
        self.folder = self.namespaces.folder
        self._kubelet: subprocess.Popen | None = None
        try:
            network.connect(self.namespaces)
            self._start_containerd()
            self.load(images.of_pause(self.folder))
            self._start_kubelet()
            wait_for("readiness of the node", self._ready, READY_SECONDS_MAX)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.namespaces.stop()

    def _start_containerd(self) -> None:
        (self.folder / "cni").mkdir()
        (self.folder / "cni" / "pods.conflist").write_text(json.dumps(CNI))
        config = self.folder / "containerd.toml"
        config.write_text(
            CONTAINERD.format(
                folder=self.folder,
                socket=SOCKET,
                pause=images.reference("pause"),
                plugins=os.environ["CNI_PLUGINS"],
            )
        )
        self.namespaces.spawn(self.folder / "containerd.log", "containerd", "--config", str(config))
        answers = self.namespaces.inside("ctr", "--address", SOCKET, "version")
        wait_for(
            "an answer of containerd",
            lambda: subprocess.run(answers, capture_output=True, check=False).returncode == 0,
        )

    def load(self, image: pathlib.Path) -> None:
        """Puts an image there, in the place of one of the same name."""
        self._ctr("images", "import", str(image))

    def _ctr(self, *words: str) -> str:
        return self.namespaces.done("ctr", "--address", SOCKET, "--namespace", "k8s.io", *words)

    def _start_kubelet(self) -> None:
        plane = self.control_plane
        certificate = shutil.copy(plane.kubelet_certificate, self.folder / "kubelet.pem")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network.NODE,
            "port": KUBELET_PORT,
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(certificate),
            "authentication": {
                "anonymous": {"enabled": False},
                # Who was given a right a moment ago is not refused for the old answer.
                "webhook": {"enabled": True, "cacheTTL": "1s"},
                "x509": {"clientCAFile": str(plane.client_ca)},
            },
            "authorization": {
                "mode": "Webhook",
                "webhook": {"cacheAuthorizedTTL": "1s", "cacheUnauthorizedTTL": "1s"},
            },
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.namespaces.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            # The machine is everybody's: what is full or busy on it is no reason to send pods away.
            "localStorageCapacityIsolation": False,
            "evictionHard": {
                "memory.available": "20Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "resolvConf": "",
        }
        self.namespaces.done("mkdir", "-p", "/var/lib/kubelet")
        file = self.folder / "kubelet.json"
        file.write_text(json.dumps(config))
        self._kubelet = self.namespaces.spawn(
            self.folder / "kubelet.log",
            program("kubelet"),
            f"--config={file}",
            f"--kubeconfig={plane.kubelet_kubeconfig}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={network.NODE}",
        )

    def _ready(self) -> bool:
        assert self._kubelet.poll() is None, f"the kubelet ended: {self.log()[-3000:]}"
        # Not at each tenth of a second: a kubectl is a process, on a machine that has others to start now.
        time.sleep(0.4)
        nodes = json.loads(self.control_plane.server.admin("get", "nodes", "--output=json"))["items"]
        conditions = [condition for node in nodes for condition in node["status"].get("conditions", [])]
        return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)

    def log(self) -> str:
        return (self.folder / "kubelet.log").read_text(errors="replace")

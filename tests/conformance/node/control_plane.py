"""A control plane: etcd, kube-apiserver with the hub's webhooks, kube-controller-manager and kube-scheduler."""

from __future__ import annotations

import os
import pathlib
import secrets
import subprocess

from cryptography.x509.oid import ExtendedKeyUsageOID

import kube
import network
import tls

# Whom kube-apiserver is to the kubelet.
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
# A node's user, by which the Node authorizer knows it.
NODE_NAME = "node-1"


def program(name: str) -> str:
    return str(pathlib.Path(os.environ["KUBERNETES"]) / name)


class ControlPlane:
    """Outside of the node. `kubelet_ca` vouches for the certificate of the node's kubelet, `client_ca` for who calls it."""

    def __init__(self, folder: pathlib.Path, flags: list[str], issuer: str) -> None:
        self.folder = folder
        self.kubelet_ca, self.kubelet_certificate = tls.certificate(
            folder, "kubelet", name=NODE_NAME, address=network.NODE
        )
        self.client_ca, client = tls.certificate(
            folder, "kubelet-client", usage=ExtendedKeyUsageOID.CLIENT_AUTH, name=KUBELET_CLIENT
        )
        tokens = {name: secrets.token_hex(16) for name in ("kubelet", "kube-controller-manager", "kube-scheduler")}
        users = [f'{tokens["kubelet"]},system:node:{NODE_NAME},2,"system:nodes"']
        users += [f"{token},system:{name},{name}" for name, token in tokens.items() if name != "kubelet"]
        self._processes: list[subprocess.Popen] = []
        try:
            etcd = kube.start_etcd(folder / "etcd")
            self._processes.append(etcd.process)
            own = [
                # By itself it would take the issuer for its audience, and ask the hub about people for that one.
                "--api-audiences=https://kubernetes.default.svc",
                "--allow-privileged=true",
                "--enable-admission-plugins=NodeRestriction",
                "--kubelet-preferred-address-types=InternalIP",
                f"--kubelet-certificate-authority={self.kubelet_ca}",
                f"--kubelet-client-certificate={client}",
                f"--kubelet-client-key={client}",
            ]
            self.server = kube.start(
                folder / "cluster", etcd, [*own, *flags], issuer, address=network.OUTSIDE, users=users
            )
            self._processes.append(self.server.process)
            self.server.admin(
                "apply",
                "-f",
                "-",
                stdin=kube.objects(kube.bound("kubelet-api", "system:kubelet-api-admin", KUBELET_CLIENT, "User")),
            )
            self.kubelet_kubeconfig = self._kubeconfig("kubelet", tokens)
            self._start_controllers(tokens)
        except BaseException:
            self.stop()
            raise

    def _kubeconfig(self, name: str, tokens: dict[str, str]) -> pathlib.Path:
        return kube.kubeconfig(self.server, self.folder / f"{name}.kubeconfig", token=tokens[name])

    def _start_controllers(self, tokens: dict[str, str]) -> None:
        key = self.server.folder / "service-account.key"
        flags = {
            "kube-controller-manager": [
                f"--service-account-private-key-file={key}",
                f"--root-ca-file={self.server.ca}",
                # Each controller has the role that Kubernetes has for it, and all together none.
                "--use-service-account-credentials=true",
            ],
            "kube-scheduler": [],
        }
        for name, own in flags.items():
            command = [program(name), f"--kubeconfig={self._kubeconfig(name, tokens)}", "--leader-elect=false"]
            # Nobody asks them, so they listen nowhere but on loopback.
            command += ["--bind-address=127.0.0.1", f"--secure-port={kube.free_port()}", *own]
            self._processes.append(kube.spawn(self.folder / f"{name}.log", command))

    def stop(self) -> None:
        """Nothing that they know is kept, so they are not asked to end well, which takes them half a minute."""
        for process in self._processes:
            process.kill()
        while self._processes:
            self._processes.pop().wait()

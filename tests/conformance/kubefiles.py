"""The files that a kube-apiserver is started with, as the CLI writes them."""

from __future__ import annotations

import pathlib
import re

from cluster import Cluster
from hub import Hub


def webhook_files(hub: Hub, cluster: Cluster, out: pathlib.Path) -> list[str]:
    """The files for reviews, and the flags that go with them as a person would paste them."""
    hub.cli("cluster", "webhook-config", cluster.id, "--out", str(out))
    hide_tokens(hub, out)
    lines = [line.strip() for line in (out / "flags.txt").read_text().splitlines()]
    return [line.rstrip("\\").strip() for line in lines if line.startswith("--")]


def admission_files(hub: Hub, cluster: Cluster, out: pathlib.Path) -> tuple[list[str], pathlib.Path]:
    """The flags by which it asks about pods, and what kubectl applies to it."""
    written = hub.cli("cluster", "admission-config", cluster.id, "--out", str(out))
    hide_tokens(hub, out)
    return written["flags"], out / "mutating-webhook.yaml"


def hide_tokens(hub: Hub, folder: pathlib.Path) -> None:
    """Has the tokens of these files looked for wherever none may stand."""
    for path in folder.glob("*.kubeconfig"):
        for token in re.findall(r"token: [\"']?([^\s\"']+)", path.read_text()):
            hub.secrets.add("a webhook file's token", token)

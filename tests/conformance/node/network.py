"""Where everything is: the hub and the control plane outside of the node, the node, and its pods."""

from __future__ import annotations

from namespaces import Namespaces, done

# The hub's and the control plane's, at the outer end of the node's link.
OUTSIDE = "10.89.0.1"
NODE = "10.89.0.2"
PREFIX = 24
PODS = "10.88.0.0/16"
# The two ends of the link. They are in namespaces of the run's own, so that no name is taken.
OUTER, INNER = "hub0", "eth0"


def connect(namespaces: Namespaces) -> None:
    """A link between the node and us, over which its pods are reached and reach us."""
    pid = str(namespaces.pid)
    done("ip", "link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", pid)
    done("ip", "address", "add", f"{OUTSIDE}/{PREFIX}", "dev", OUTER)
    done("ip", "link", "set", OUTER, "up")
    namespaces.done("ip", "address", "add", f"{NODE}/{PREFIX}", "dev", INNER)
    namespaces.done("ip", "link", "set", INNER, "up")
    namespaces.done("ip", "route", "add", "default", "via", OUTSIDE)
    done("ip", "route", "add", PODS, "via", NODE)

"""What the hub knows of a cluster's workloads: its ServiceAccounts, and who signs their tokens."""

from __future__ import annotations

import base64
import json

from hub import NO
from spokes import IN_CLUSTER_ISSUER, OWN_ISSUER, new_namespace, new_spoke, seen


def header_of(token: str) -> dict:
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_service_accounts_of_a_cluster_are_known_here_as_kubectl_changes_them(spoke):
    server = spoke.server
    namespace = new_namespace(server)
    known = lambda: spoke.service_accounts(namespace)  # noqa: E731
    server.admin("create", "serviceaccount", "bot", "-n", namespace)
    first = seen("the ServiceAccount", lambda: known().get("bot"))
    there = json.loads(server.admin("get", "serviceaccount", "bot", "-n", namespace, "-o", "json"))
    assert first["uid"] == there["metadata"]["uid"] and first["annotations"] == {}, first
    role = f"arn:aws:iam::{spoke.hub.account}:role/bot"
    annotations = (f"eks.amazonaws.com/role-arn={role}", "example.com/other=x")
    server.admin("annotate", "serviceaccount", "bot", "-n", namespace, *annotations)
    seen("the annotation", lambda: known()["bot"]["annotations"] == {"eks.amazonaws.com/role-arn": role})
    # What means nothing here is no change.
    before = spoke.revision()
    server.admin("annotate", "serviceaccount", "bot", "-n", namespace, "example.com/other=y", "--overwrite")
    server.admin("create", "serviceaccount", "other", "-n", namespace)
    seen("another one", lambda: "other" in known())
    assert spoke.revision() == before + 1
    server.admin("delete", "serviceaccount", "bot", "-n", namespace)
    seen("its end", lambda: "bot" not in known())
    server.admin("create", "serviceaccount", "bot", "-n", namespace)
    assert seen("one of the same name", lambda: known().get("bot"))["uid"] != first["uid"]
    assert spoke.watch()["service_accounts"] >= 2


def test_the_issuer_and_its_keys_are_the_api_servers_own(new_hub, servers, tmp_path):
    hub = new_hub().start()
    expected = ((servers[0], IN_CLUSTER_ISSUER, "in_cluster_name"), (servers[1], OWN_ISSUER, None))
    for number, (server, issuer, obstacle) in enumerate(expected):
        spoke, _ = new_spoke(hub, server, tmp_path / str(number))
        seen("the issuer", lambda: spoke.watch()["issuer_url"])
        known = seen("its keys", lambda: hub.run("workload", "issuer", spoke.cluster.id).returncode == 0 and spoke.issuer())
        assert (known["issuer_url"], known["irsa_obstacle"]) == (issuer, obstacle), known
        served = server.request("/openid/v1/jwks", token=server.admin_token).json()["keys"]
        public = [{name: key[name] for name in ("kid", "kty", "n", "e")} for key in served]
        kept = [json.loads(key["jwk"]) for key in known["keys"]]
        assert [{name: key[name] for name in ("kid", "kty", "n", "e")} for key in kept] == public
        # The key that signs the tokens of its ServiceAccounts is among them.
        namespace = new_namespace(server)
        server.admin("create", "serviceaccount", "bot", "-n", namespace)
        token = server.admin("create", "token", "bot", "-n", namespace).strip()
        assert header_of(token)["kid"] in [key["kid"] for key in known["keys"]]
        told = hub.run("workload", "issuer", spoke.cluster.id, output=None).stdout
        assert ("of no use for IRSA" in told) == (obstacle is not None), told


def test_immunity_49_two_clusters_of_one_hub_do_not_share_a_signing_key(new_hub, servers, tmp_path):
    hub = new_hub().start()
    first, _ = new_spoke(hub, servers[0], tmp_path / "first")
    seen("the issuer", lambda: hub.run("workload", "issuer", first.cluster.id).returncode == 0)
    second, _ = new_spoke(hub, servers[0], tmp_path / "second")
    fault = seen("the refusal", lambda: (fault := second.watch()["fault"]) and "signing key" in fault and fault)
    assert first.cluster.id not in fault and "another cluster's" in fault, fault
    assert "does not exist" in hub.refused("workload", "issuer", second.cluster.id, code=NO)
    # Nothing else waits for that.
    assert second.watch()["objects"] > 10 and len(second.service_accounts("default")) == len(
        first.service_accounts("default")
    )

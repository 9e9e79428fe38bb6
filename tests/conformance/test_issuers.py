"""The issuers that the hub serves for clusters, and its webhook for pods, as strangers and API servers meet them."""

from __future__ import annotations

import base64
import json
import pathlib
import time
import uuid

import pytest
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from cluster_issuer import AUDIENCE, SETTINGS, generate, token_of, trust
from hub import NO, USAGE, unique
from oidc import Key
from tokens import Credentials

ANSWER_SECONDS_MAX = 10


@pytest.fixture
def own(new_hub):
    """A hub of the test's own, with a cluster."""
    hub = new_hub(settings=SETTINGS).start()
    return hub, hub.create_cluster("issuer")


def get(hub, path: str, **headers) -> requests.Response:
    """What a stranger sees."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(hub.url + path, headers=headers, verify=hub.ca, timeout=ANSWER_SECONDS_MAX)


def published(hub, cluster) -> list[str]:
    """Ids of the keys that strangers see; another document may be a second old."""
    response = get(hub, f"/id/{cluster.uid}/keys")
    return [key["kid"] for key in response.json()["keys"]] if response.ok else []


def test_a_generated_issuer_is_served_to_everybody_with_cache_headers(own):
    hub, cluster = own
    base = f"/id/{cluster.uid}"
    assert get(hub, f"{base}/keys").status_code == 404
    made = generate(hub, cluster)
    assert made["issuer_url"] == hub.url + base
    for flag in ("--service-account-issuer=", "--service-account-jwks-uri=", "--service-account-signing-key-file="):
        assert any(line.startswith(flag) for line in made["flags"]), made["flags"]
    public = load_pem_public_key(made["public_key"].encode()).public_numbers()
    assert load_pem_private_key(made["private_key"].encode(), None).public_key().public_numbers() == public

    configuration = None

    def there():
        nonlocal configuration
        configuration = get(hub, f"{base}/.well-known/openid-configuration")
        return configuration.ok

    wait(there)
    assert configuration.headers["Content-Type"] == "application/json"
    assert configuration.json()["issuer"] == made["issuer_url"]
    keys = get(hub, f"{base}/keys")
    assert configuration.json()["jwks_uri"] == f"{made['issuer_url']}/keys"
    assert [key["kid"] for key in keys.json()["keys"]] == [made["key"]]
    assert "max-age" in keys.headers["Cache-Control"]
    again = get(hub, f"{base}/keys", **{"If-None-Match": keys.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    modulus = base64.urlsafe_b64decode(keys.json()["keys"][0]["n"] + "==")
    assert int.from_bytes(modulus, "big") == public.n


def test_a_uid_of_no_cluster_tells_nothing(own):
    hub, cluster = own
    nobody = get(hub, f"/id/{uuid.uuid4()}/keys")
    without = get(hub, f"/id/{cluster.uid}/keys")
    assert (nobody.status_code, nobody.content) == (without.status_code, without.content) == (404, nobody.content)
    for path in ("/id/x/keys", f"/id/{cluster.uid.upper()}/keys", f"/id/{cluster.uid}/other"):
        assert get(hub, path).status_code == 404, path


def wait(check, seconds: float = 10) -> None:
    """What strangers see is a second old at most."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def test_keys_overlap_are_retired_and_go_with_their_cluster(own):
    hub, cluster = own
    first = generate(hub, cluster)
    assert "rotate" in hub.refused("cluster", "issuer", "generate", cluster.id, "--stdout", code=USAGE)
    second = hub.cli("cluster", "issuer", "rotate", cluster.id, "--stdout")
    hub.secrets.add("a ServiceAccount signing key", second["private_key"])
    wait(lambda: published(hub, cluster) == [first["key"], second["key"]])
    retire = ("cluster", "issuer", "retire", cluster.id, first["key"])
    assert "may be in use until" in hub.refused(*retire)
    hub.cli(*retire, "--early")
    wait(lambda: published(hub, cluster) == [second["key"]])
    hub.cli("cluster", "issuer", "rotate", cluster.id, "--hub-key")
    shown = hub.cli("cluster", "issuer", "show", cluster.id)
    assert [key["signer"] for key in shown["hosted"]["keys"]] == ["api_server", "hub"]
    hub.cli("cluster", "delete", cluster.id)
    assert get(hub, f"/id/{cluster.uid}/keys").status_code == 404


def test_documents_are_exported_for_a_place_of_ones_own(own, tmp_path):
    hub, cluster = own
    assert hub.refused("cluster", "issuer", "export", cluster.id, str(tmp_path / "none"), code=USAGE)
    made = hub.cli("cluster", "issuer", "generate", cluster.id, "--out", str(tmp_path / "keys"), "--issuer-url", "https://bucket.example/dev")
    private, public = (pathlib.Path(file) for file in made["files"])
    assert "private_key" not in made and private.stat().st_mode & 0o777 == 0o600
    assert "PUBLIC KEY" in public.read_text()
    hub.cli("cluster", "issuer", "export", cluster.id, str(tmp_path / "bucket"))
    configuration = json.loads((tmp_path / "bucket/.well-known/openid-configuration").read_text())
    assert configuration["issuer"] == "https://bucket.example/dev"
    keys = json.loads((tmp_path / "bucket/keys").read_text())
    assert [key["kid"] for key in keys["keys"]] == [made["key"]]
    assert get(hub, f"/id/{cluster.uid}/keys").status_code == 404, "it is elsewhere"


def test_immunity_49_a_key_is_one_clusters(own, tmp_path):
    hub, cluster = own
    other = hub.create_cluster("other")
    key = Key("shared")
    jwk = tmp_path / "key.jwk"
    jwk.write_text(json.dumps(key.jwk()))
    hub.cli("cluster", "issuer", "publish", cluster.id, str(jwk))
    assert "another cluster" in hub.refused("cluster", "issuer", "publish", other.id, str(jwk))
    elsewhere = ("--issuer-url", f"{hub.url}/id/{cluster.uid}")
    assert "under the hub's own URL" in hub.refused("cluster", "issuer", "publish", other.id, str(jwk), *elsewhere)


def test_immunity_49_the_credential_of_reviews_pushes_no_keys(own):
    hub, cluster = own
    generate(hub, cluster)
    before = hub.cli("cluster", "issuer", "show", cluster.id)["hosted"]
    for path in (f"/id/{cluster.uid}/keys", f"/id/{cluster.uid}/.well-known/openid-configuration"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            response = cluster._session.request(
                method, hub.url + path, json={"keys": []}, headers={"Authorization": f"Bearer {cluster.spoke}"}, timeout=ANSWER_SECONDS_MAX
            )
            assert response.status_code == 405, (method, path)
    assert hub.cli("cluster", "issuer", "show", cluster.id)["hosted"] == before


def test_a_role_trusts_the_issuer_and_the_hub_calls_itself_for_no_key(own):
    hub, cluster = own
    made = generate(hub, cluster)
    hub.cli("iam", "oidc-provider", "create", made["issuer_url"], "--client-id", AUDIENCE)
    policy = trust(hub, made["issuer_url"], "system:serviceaccount:team-a:bot")
    role = hub.cli("iam", "role", "create", unique("app"), "--trust-policy", "-", stdin=policy)["value"]
    arn = f"arn:aws:iam::{hub.account}:role/{role['name']}"
    words = ("iam", "assume-role-with-web-identity", arn, "--session-name", "app", "--token-file", "-")
    session = hub.cli(*words, stdin=token_of(hub, made, subject="system:serviceaccount:team-a:bot"))
    secret = hub.secrets.add("a session's secret access key", session["secret_access_key"])
    token = hub.secrets.add("a session token", session["session_token"])
    assert session["arn"].endswith(f":assumed-role/{role['name']}/app")
    hub.refused(*words, stdin=token_of(hub, made, subject="system:serviceaccount:team-a:bot-2"), code=NO)
    hub.refused(*words, stdin=token_of(hub, made, subject="system:serviceaccount:team-a:bot", exp=1), code=NO)
    hub.cli("cluster", "issuer", "retire", cluster.id, made["key"], "--early")
    gone = hub.refused(*words, stdin=token_of(hub, made, subject="system:serviceaccount:team-a:bot"), code=NO)
    assert "has no keys" in gone, gone
    # What was made by then lives on, and ends with the cluster wherever it is used.
    made_before, other = Credentials(session["access_key_id"], secret, token), hub.create_cluster("other")
    assert other.refusal(made_before) == "unmapped"
    hub.cli("cluster", "delete", cluster.id)
    assert other.refusal(made_before) == "session_ancestor_gone"


# The webhook


def review(pod: dict, *, version: str = "v1", **request) -> dict:
    asked = {
        "uid": str(uuid.uuid4()),
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "team-a",
        "operation": "CREATE",
        "object": pod,
    }
    return {"apiVersion": f"admission.k8s.io/{version}", "kind": "AdmissionReview", "request": asked | request}


POD = {
    "metadata": {"name": "app"},
    "spec": {"serviceAccountName": "bot", "containers": [{"name": "app", "image": "app"}]},
}


@pytest.fixture
def associated(hub):
    """A cluster with an association for team-a/bot."""
    cluster = hub.create_cluster("webhook")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = hub.cli("iam", "role", "create", unique("pods"), "--trust-policy", "-", stdin=policy)["value"]
    arn = f"arn:aws:iam::{hub.account}:role/{role['name']}"
    hub.cli("association", "create", cluster.id, "team-a/bot", "--role", arn, "--allow-any-cluster")
    hub.settle()
    return cluster


def patch_of(response: requests.Response) -> list[dict]:
    assert response.status_code == 200, response.text
    answer = response.json()["response"]
    assert answer["allowed"] is True
    if "patch" not in answer:
        return []
    assert answer["patchType"] == "JSONPatch"
    return json.loads(base64.b64decode(answer["patch"]))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_pod_with_an_association_gets_token_variables_and_mount(associated, version):
    asked = review(POD, version=version)
    response = associated.post("mutate", asked)
    patch = patch_of(response)
    answer = response.json()
    assert (answer["apiVersion"], answer["kind"]) == (f"admission.k8s.io/{version}", "AdmissionReview")
    assert answer["response"]["uid"] == asked["request"]["uid"]
    assert {step["op"] for step in patch} == {"add"}
    assert sorted(step["path"] for step in patch) == [
        "/metadata/labels",
        "/spec/containers/0/env",
        "/spec/containers/0/volumeMounts",
        "/spec/volumes",
    ]
    variables = {one["name"]: one["value"] for step in patch if step["path"].endswith("/env") for one in step["value"]}
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.23/v1/credentials"


def test_where_pods_have_no_ipv4_they_are_told_the_agents_other_address(associated, hub):
    words = ("cluster", "update", associated.id, "--tag")
    assert "lanyard:agent-address" in hub.refused(*words, "lanyard:agent-address=both", code=USAGE)
    hub.cli(*words, "lanyard:agent-address=ipv6")
    hub.settle()
    patch = patch_of(associated.post("mutate", review(POD)))
    variables = {one["name"]: one["value"] for step in patch if step["path"].endswith("/env") for one in step["value"]}
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://[fd00:ec2::23]/v1/credentials"
    assert variables["AWS_ENDPOINT_URL_STS"] == "http://[fd00:ec2::23]"


def test_what_is_not_for_the_webhook_is_let_through_as_it_is(associated):
    other = json.loads(json.dumps(POD))
    other["spec"]["serviceAccountName"] = "other"
    for body in (
        review(other),
        review(POD, namespace="elsewhere"),
        review(POD, operation="DELETE"),
        review(POD, resource={"group": "apps", "version": "v1", "resource": "deployments"}),
        review(POD, operation="UPDATE", subResource="status"),
        review(None),
        review({}),
    ):
        assert patch_of(associated.post("mutate", body)) == [], body


def refusal_of(response: requests.Response) -> dict:
    assert response.status_code == 200, response.text
    answer = response.json()["response"]
    assert answer["allowed"] is False and "patch" not in answer, answer
    return answer["status"]


def test_a_namespace_that_asks_for_it_has_no_pod_of_which_the_hub_cannot_say_what_it_gets(associated):
    """Nobody watches this cluster: of a ServiceAccount without an association nothing is known."""
    other = json.loads(json.dumps(POD))
    other["spec"]["serviceAccountName"] = "other"
    assert patch_of(associated.post("mutate/required", review(POD))) != []
    status = refusal_of(associated.post("mutate/required", review(other)))
    assert (status["status"], status["code"], status["reason"]) == ("Failure", 503, "ServiceUnavailable")
    assert "namespace team-a" in status["message"] and "lanyard.dev/pod-identity=required" in status["message"]
    assert "nothing tells the hub of the ServiceAccounts" in status["message"]
    # By the other door it is made as it is,
    assert patch_of(associated.post("mutate", review(other))) == []
    # and what is no pod, or no new one, is nobody's matter.
    for body in (review(other, operation="DELETE"), review({}), review(other, operation="UPDATE", subResource="status")):
        assert patch_of(associated.post("mutate/required", body)) == [], body
    # This door is the API server's as well.
    assert associated.post("mutate/required", review(POD), bearer="lsp_guess").status_code == 401
    assert associated.post("mutate/required", review(POD), method="GET").status_code == 405


@pytest.mark.parametrize("door", ["mutate", "mutate/required"])
def test_a_body_that_cannot_be_read_is_no_answer(associated, door):
    """Not a refusal, as the EKS webhook gives: what becomes of the pod is for the failure policy to say."""

    def code(body, **choices):
        response = associated.post(door, body, **choices)
        assert "response" not in response.json(), response.text
        return response.status_code

    assert code(review(POD), headers={"Content-Type": "text/plain"}) == 415
    assert code(b"{") == 400
    assert code(b"[]") == 400
    assert code({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}) == 400
    assert code(review(POD) | {"kind": "TokenReview"}) == 400
    assert code(review(POD) | {"apiVersion": "admission.k8s.io/v2"}) == 400
    assert code(b" " * (5 << 20)) == 413
    assert code(review(POD), method="GET") == 405


def test_immunity_51_who_is_not_the_api_server_is_told_no_role(associated, hub):
    other = hub.create_cluster("other")
    hub.settle()
    for bearer in ("", "lsp_guess", other.spoke):
        response = associated.post("mutate", review(POD), bearer=bearer)
        assert response.status_code == 401, bearer
        assert "patch" not in response.text and "role" not in response.json()
    response = associated.post("mutate", review(POD), headers={"Impersonate-User": "admin"})
    assert response.status_code == 403

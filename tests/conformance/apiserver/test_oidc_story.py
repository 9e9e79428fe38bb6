"""kubectl with an OIDC token through a real kube-apiserver, which knows nothing of the issuer: the hub does."""

from __future__ import annotations

import json

import pytest

import kube
from oidc import Issuer
from test_story import config_maps, forbidden, stage  # noqa: F401 (fixtures)


@pytest.fixture(scope="module")
def issuer(stage, tmp_path_factory):  # noqa: F811
    issuer = Issuer(tmp_path_factory.mktemp("issuer")).start()
    hub, cluster = stage.hub, stage.cluster
    words = ["identity-provider", "associate", cluster.id, "corp", "--issuer-url", issuer.url]
    words += ["--client-id", cluster.id, "--ca-bundle", str(issuer.ca)]
    hub.cli(*words, "--groups-claim", "groups", "--groups-prefix", "corp:", "--username-prefix", "corp:")
    stage.server.admin("apply", "-f", "-", stdin=kube.objects(kube.bound("corp-read", "config-reader", "corp:ops")))
    yield issuer
    issuer.stop()


@pytest.fixture
def token(stage, issuer):  # noqa: F811
    def make(**claims) -> str:
        made = issuer.token(**{"aud": stage.cluster.id, "groups": ["ops"]} | claims)
        return stage.hub.secrets.add("an OIDC token", made)

    return make


def test_kubectl_is_let_in_as_whom_the_claims_say(stage, token):  # noqa: F811
    login = token(sub="kim")
    told = json.loads(stage.server.kubectl("auth", "whoami", "-o", "json", token=login).stdout)["status"]["userInfo"]
    assert told["username"] == "corp:kim"
    assert told["groups"] == ["corp:ops", "system:authenticated"]
    done = stage.server.kubectl("get", "configmap", "settings", "-n", "team-b", "-o", "jsonpath={.data.a}", token=login)
    assert (done.returncode, done.stdout) == (0, "b"), done.stderr
    assert stage.server.kubectl("get", "secrets", "-n", "team-b", token=login).returncode == 1


def test_what_proves_nothing_is_unauthorized_and_the_servers_log_says_why(stage, token, issuer):  # noqa: F811
    for wrong, code in [
        (token(aud="another"), "audience"),
        (issuer.by_public_key(aud=stage.cluster.id), "jwt_symmetric"),
        (token(groups=7), "claim_type"),
    ]:
        done = stage.server.kubectl("get", "configmaps", "-n", "team-a", token=wrong)
        assert done.returncode == 1 and "Unauthorized" in done.stderr, done.stderr
        assert f"{code} (" in stage.server.log(), code


def test_the_servers_own_service_accounts_are_still_its_own(stage):  # noqa: F811
    made = stage.server.admin("create", "token", "helper", "-n", "team-b").strip()
    stage.hub.secrets.add("a ServiceAccount's token", made)
    told = json.loads(stage.server.kubectl("auth", "whoami", "-o", "json", token=made).stdout)
    assert told["status"]["userInfo"]["username"] == "system:serviceaccount:team-b:helper"


def test_immunity_42_a_block_on_a_subject_counts_with_the_next_request(stage, token, issuer):  # noqa: F811
    login = token(sub="lee")
    assert stage.server.request(config_maps("team-a"), token=login).status_code == 200
    hub, cluster = stage.hub, stage.cluster
    whom = ["--oidc-issuer", issuer.url, "--oidc-subject", "lee"]
    made = hub.cli("block", "create", "--cluster", cluster.id, *whom, "--reason", "left")["value"]
    # Its token cache knows the person for minutes to come.
    assert "denied" in forbidden(stage.server.request(config_maps("team-a"), token=login))
    hub.cli("block", "delete", made["id"], "--cluster", cluster.id)
    assert stage.server.request(config_maps("team-a"), token=login).status_code == 200


def test_immunity_39_a_disassociated_issuers_people_are_denied_with_the_next_request(stage, token):  # noqa: F811
    login = token(sub="mia")
    assert stage.server.request(config_maps("team-a"), token=login).status_code == 200
    stage.hub.cli("identity-provider", "disassociate", stage.cluster.id, "corp")
    assert "denied" in forbidden(stage.server.request(config_maps("team-a"), token=login))
    fresh = token(sub="mia", nonce="another")
    assert stage.server.request(config_maps("team-a"), token=fresh).status_code == 401

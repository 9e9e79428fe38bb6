"""People who log in by OIDC: an issuer's token becomes a badge by a cluster's configuration, or is refused by name."""

from __future__ import annotations

import json
import time

import pytest

from cluster import PROOF, with_id
from hub import NO, USAGE, logged
from metrics import Counted, pages_of
from oidc import Issuer, Key

PODS = {"verb": "list", "resource": "pods", "namespace": "team-a"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("issuer"), path="/realms/main").start()
    yield issuer
    issuer.stop()


@pytest.fixture
def client() -> str:
    """A client id of a test's own: an audience belongs to one cluster."""
    return f"kubernetes-{time.monotonic_ns()}"


def associate(hub, cluster, issuer, client, *flags, name="corp", **choices):
    words = ["identity-provider", "associate", cluster.id, name, "--issuer-url", issuer.url, "--client-id", client]
    return hub.cli(*words, "--ca-bundle", str(issuer.ca), *flags, **choices)


@pytest.fixture
def corp(hub, cluster, issuer, client):
    """A cluster that takes the issuer's tokens, and what makes them."""
    associate(hub, cluster, issuer, client, "--groups-claim", "groups", "--groups-prefix", "corp:")

    def token(**claims) -> str:
        return hub.secrets.add("an OIDC token", issuer.token(**{"aud": client} | claims))

    return cluster, token


def badge(cluster, token) -> dict:
    """What the API server gets, with the group that it adds itself."""
    status = cluster.token_review(token)["status"]
    assert status["authenticated"], status
    return status["user"] | {"groups": [*status["user"].get("groups", []), "system:authenticated"]}


def test_claims_become_username_and_groups(hub, corp, issuer):
    cluster, token = corp
    user = badge(cluster, token(groups=["devs", "ops"]))
    assert user["username"] == f"{issuer.url}#ana"
    assert user["groups"] == ["corp:devs", "corp:ops", "system:authenticated"]
    assert user["uid"] == f"oidc:{issuer.url}#ana"
    assert user["extra"]["lanyard.dev/oidc-issuer"] == [issuer.url]
    assert user["extra"]["lanyard.dev/oidc-subject"] == ["ana"]
    assert cluster.verdict(user, **PODS)[0] == "no opinion", "the cluster's own RBAC decides"
    audiences = cluster.token_review(token(), audiences=["https://kubernetes.default.svc"])["status"]["audiences"]
    assert audiences == ["https://kubernetes.default.svc"]
    # Of an issuer that the cluster takes tokens of, good or not: it is ours, and for others.
    for ours in (token(), token(aud="another")):
        foreign = cluster.token_review(ours, audiences=["vault"])["status"]
        assert foreign["authenticated"] is False and with_id(foreign["error"])[0] == "audience", foreign


def test_an_issuer_whose_keys_are_there_is_associated_without_a_word(hub, cluster, issuer, client):
    assert associate(hub, cluster, issuer, client)["notices"] == []


def test_it_is_described_and_listed(hub, corp, issuer):
    cluster, _ = corp
    described = hub.cli("identity-provider", "describe", cluster.id, "corp")
    assert described["config"]["settings"]["issuer_url"] == issuer.url
    assert described["arn"].endswith(f"identityproviderconfig/{cluster.id}/oidc/corp/{described['config']['id']}")
    assert hub.cli("identity-provider", "list", cluster.id) == [described]
    assert "does not exist" in hub.refused("identity-provider", "describe", cluster.id, "other")


def test_addresses_count_as_far_as_the_issuer_stands_by_them(hub, cluster, issuer, client):
    associate(hub, cluster, issuer, client, "--username-claim", "email", "--required-claim", "hd=example.com")

    def token(**claims) -> str:
        usual = {"aud": client, "email": "ana@example.com", "email_verified": True, "hd": "example.com"}
        return hub.secrets.add("an OIDC token", issuer.token(**usual | claims))

    assert badge(cluster, token())["username"] == "ana@example.com"
    cases = [
        ({"email_verified": False}, "email_not_verified"),
        ({"email_verified": None}, "email_verified_missing"),
        ({"email_verified": "true"}, "claim_type"),
        ({"email": None}, "claim_missing"),
        ({"hd": "example.org"}, "required_claim"),
        ({"hd": None}, "claim_missing"),
        ({"email": "system:admin"}, "reserved_username"),
        ({"email": "arn:aws:iam::111122223333:user/ana"}, "reserved_username"),
    ]
    for claims, code in cases:
        assert cluster.refusal(token(**claims)) == code, claims


def test_immunity_10_what_proves_nothing_is_refused_by_name(hub, corp, issuer, client):
    cluster, token = corp
    now = int(time.time())
    good = token()
    header, payload, signature = good.split(".")
    other_payload = token(sub="root").split(".")[1]
    cases = [
        (token(aud="another"), "audience"),
        (token(aud=None), "claim_missing"),
        (token(aud=[client, "another"], azp="another"), "authorized_party"),
        (token(exp=now - 1), "token_expired"),
        (token(exp=None), "claim_missing"),
        (token(nbf=now + 3600), "token_not_yet_valid"),
        (token(sub=None), "claim_missing"),
        (issuer.unsigned(aud=client), "jwt_unsigned"),
        (issuer.by_public_key(aud=client), "jwt_symmetric"),
        (f"{header}.{other_payload}.{signature}", "jwt_signature"),
        (issuer.token(aud=client, key=Key("one")), "jwt_signature"),
        (token(header={"alg": "RS256"}), "key_algorithm"),
        (token(header={"crit": ["x"]}), "jwt_critical"),
        (token(groups=["a", 7]), "claim_type"),
    ]
    for wrong, code in cases:
        assert cluster.refusal(wrong) == code, code
    assert badge(cluster, good)


def test_groups_of_kubernetes_itself_come_from_no_issuer(hub, cluster, issuer, client):
    associate(hub, cluster, issuer, client, "--groups-claim", "groups", "--username-prefix", "-")
    token = hub.secrets.add("an OIDC token", issuer.token(aud=client, groups=["devs", "system:masters"]))
    assert cluster.refusal(token) == "reserved_group"
    token = hub.secrets.add("an OIDC token", issuer.token(aud=client, sub="system:admin"))
    assert cluster.refusal(token) == "reserved_username"


def test_a_token_of_another_issuer_is_another_authenticators_affair(corp, issuer):
    cluster, token = corp
    for other in ("https://kubernetes.default.svc", issuer.url + "/", issuer.url.upper()):
        status = cluster.token_review(token(iss=other))["status"]
        assert status == {"authenticated": False}, other
    for none in ("eyJ.a.b", "ey..", "eyJhbGciOiJub25lIn0.e30."):
        assert cluster.token_review(none)["status"] == {"authenticated": False}, none


def test_immunity_26_a_storm_of_unknown_keys_asks_the_issuer_once(hub, corp, issuer, client):
    cluster, token = corp
    badge(cluster, token())
    asked = issuer.asked
    for number in range(20):
        made_up = issuer.token(aud=client, key=Key(f"made-up-{number}"))
        status = cluster.token_review(made_up)["status"]
        assert not status["authenticated"]
        assert with_id(status["error"])[0] == "unknown_key", status
    # Discovery and keys, once for each process that asks.
    assert issuer.asked - asked <= 2 * hub.replicas
    assert badge(cluster, token())


def test_immunity_39_who_is_disassociated_is_denied_with_the_next_request(hub, corp):
    cluster, token = corp
    login = token(groups=["devs"])
    user = badge(cluster, login)
    assert cluster.verdict(user, **PODS)[0] == "no opinion"
    more = user | {"groups": [*user["groups"], "corp:admins"]}
    assert cluster.verdict(more, **PODS)[0] == "denied", "a proof is for its own groups"
    hub.cli("identity-provider", "disassociate", cluster.id, "corp")
    verdict, reason = cluster.verdict(user, **PODS)
    assert verdict == "denied", reason
    assert cluster.token_review(login)["status"] == {"authenticated": False}


def test_people_of_two_issuers_are_in_one_cluster_and_those_of_one_stay_when_the_other_goes(hub, corp, issuer, client, tmp_path):
    cluster, token = corp
    partner = Issuer(tmp_path).start()
    try:
        flags = ["--groups-claim", "groups", "--groups-prefix", "partner:"]
        associate(hub, cluster, partner, f"partner-{client}", *flags, name="partner")
        ours = token(groups=["devs"])
        theirs = hub.secrets.add("an OIDC token", partner.token(aud=f"partner-{client}", groups=["devs"]))
        ana, other = badge(cluster, ours), badge(cluster, theirs)
        # Both issuers call somebody `ana`, and these are two people.
        assert (ana["username"], ana["groups"][0]) == (f"{issuer.url}#ana", "corp:devs")
        assert (other["username"], other["groups"][0]) == (f"{partner.url}#ana", "partner:devs")
        # Neither vouches for the other's, nor for the other's audience.
        forged = hub.secrets.add("an OIDC token", partner.token(iss=issuer.url, aud=client))
        assert cluster.refusal(forged) == "jwt_signature"
        assert cluster.refusal(hub.secrets.add("an OIDC token", partner.token(aud=client))) == "audience"
        hub.cli("identity-provider", "disassociate", cluster.id, "corp")
        assert cluster.token_review(ours)["status"] == {"authenticated": False}
        assert cluster.verdict(ana, **PODS)[0] == "denied"
        assert badge(cluster, theirs)["username"] == other["username"]
        assert cluster.verdict(other, **PODS)[0] == "no opinion", "their login goes on"
    finally:
        partner.stop()


@pytest.mark.parametrize("whole", [True, False], ids=["issuer", "subject"])
def test_immunity_42_a_block_holds_with_the_next_request(hub, corp, issuer, whole):
    cluster, token = corp
    login, other = token(), token(sub="bob")
    user, bob = badge(cluster, login), badge(cluster, other)
    whom = ["--oidc-issuer", issuer.url] + ([] if whole else ["--oidc-subject", "ana"])
    made = hub.cli("block", "create", "--cluster", cluster.id, *whom, "--reason", "left")["value"]
    assert cluster.refusal(login) == "blocked"
    assert cluster.verdict(user, **PODS)[0] == "denied"
    assert cluster.verdict(bob, **PODS)[0] == ("denied" if whole else "no opinion")
    hub.cli("block", "delete", made["id"], "--cluster", cluster.id)
    assert cluster.verdict(user, **PODS)[0] == "no opinion"
    assert badge(cluster, login)


def test_immunity_52_an_audience_is_one_clusters_unless_all_share_it(hub, corp, issuer, client):
    first, token = corp
    second = hub.create_cluster("second")
    words = ["identity-provider", "associate", second.id, "corp", "--issuer-url", issuer.url, "--client-id", client]
    for flags in ([], ["--shared-audience"]):
        why = hub.refused(*words, *flags)
        assert "taken by another cluster" in why, why
    assert second.token_review(token())["status"] == {"authenticated": False}
    hub.cli("identity-provider", "disassociate", first.id, "corp")
    associate(hub, first, issuer, client, "--shared-audience")
    made = associate(hub, second, issuer, client, "--shared-audience")
    assert any("shared" in notice for notice in made["notices"]), made
    assert badge(first, token()) and badge(second, token())


def test_immunity_56_an_issuer_takes_no_username_that_an_entry_gives(hub, cluster, issuer, client):
    role = hub.create_role("deployer", trusts=hub.create_user("ana").arn)
    cluster.entry(role, "--username", "corp:{{SessionName}}", groups=["deployers"])
    words = ["identity-provider", "associate", cluster.id, "corp", "--issuer-url", issuer.url, "--client-id", client]
    why = hub.refused(*words, "--username-prefix", "corp:", code=USAGE)
    assert role.arn in why and "corp:{{SessionName}}" in why, why
    associate(hub, cluster, issuer, client, "--username-prefix", "people:")


def test_rbac_of_the_hub_knows_people_of_an_issuer(hub, issuer, client):
    cluster = hub.create_cluster("full", "--authorizer-mode", "full")
    associate(hub, cluster, issuer, client, "--groups-claim", "groups", "--groups-prefix", "corp:")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "pods"}}
    role["rules"] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    binding = {"apiVersion": role["apiVersion"], "kind": "ClusterRoleBinding", "metadata": {"name": "devs"}}
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pods"}
    binding["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "corp:devs"}]
    text = "\n---\n".join(json.dumps(object) for object in (role, binding))
    hub.cli("rbac", "apply", cluster.id, "-f", "-", stdin=text)
    dev, guest = (issuer.token(aud=client, groups=groups) for groups in (["devs"], ["guests"]))
    assert cluster.verdict(badge(cluster, dev), **PODS)[0] == "allowed"
    assert cluster.verdict(badge(cluster, guest), **PODS)[0] == "no opinion"


def test_a_badge_is_no_proof_in_another_cluster(hub, corp):
    cluster, token = corp
    user = badge(cluster, token())
    other = hub.create_cluster("other")
    assert user["extra"][PROOF]
    assert other.verdict(user, **PODS)[0] == "denied"


def test_an_explanation_names_the_step_and_why(hub, corp, issuer):
    cluster, token = corp

    def explain(login, *question):
        return hub.explain("--token", "-", "--cluster", cluster.id, *question, stdin=login)

    told = explain(token(groups=["devs"]), "list", "pods")
    assert [stage["name"] for stage in told["stages"]] == ["token", "identity", "mapping", "decision"]
    text = json.dumps(told)
    for part in (issuer.url, "ana", "corp:devs", "identity-provider configuration corp", "matched by: issuer"):
        assert part in text, (part, text)
    cases = [
        (token(aud="another"), "token", "audience"),
        (token(sub=""), "token", "subject"),
        (token(groups=7), "mapping", "claim_type"),
        (token(iss="https://other.example"), "token", "not_ours"),
    ]
    for login, stage, code in cases:
        told = explain(login)
        assert told["verdict"] == "unauthorized"
        assert (told["stages"][-1]["name"], told["stages"][-1]["code"]) == (stage, code), told
        assert told["advice"], told


def explained_as(hub, cluster, login, stage, code, advice) -> None:
    told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=login)
    assert told["verdict"] == "unauthorized", (code, told)
    assert (told["stages"][-1]["name"], told["stages"][-1]["code"]) == (stage, code), told
    assert advice in " ".join(told["advice"]), (code, told)


def explained_by_id(hub, cluster, login, code) -> None:
    """The API server's log has the id alone, and the token is not kept."""
    reason, decision = with_id(cluster.token_review(login)["status"]["error"])
    assert reason == code
    told = hub.explain_decision(decision)
    assert (told["verdict"], told["stages"][0]["name"], told["stages"][0]["code"]) == ("unauthorized", "token review", code), told
    assert "lanyard explain --token" in " ".join(told["advice"]), told


def test_each_way_that_a_token_fails_is_explained_with_what_mends_it(hub, corp, issuer, client):
    cluster, token = corp
    now = int(time.time())
    header, _, signature = token().split(".")
    cases = [
        (token(exp=now - 60), "token_expired", "log in at the issuer again"),
        (token(nbf=now + 3600), "token_not_yet_valid", "clocks"),
        (token(aud=[client, "another"], azp="another"), "authorized_party", "client id"),
        (f"{header}.{token(sub='root').split('.')[1]}.{signature}", "jwt_signature", "whole and as it came"),
        (token(key=Key("nobodys")), "unknown_key", "publish the key"),
        (issuer.unsigned(aud=client), "jwt_unsigned", "key pair"),
        (issuer.by_public_key(aud=client), "jwt_symmetric", "key pair"),
        (token(header={"alg": "RS256"}), "key_algorithm", "`kid`"),
    ]
    for login, code, advice in cases:
        explained_as(hub, cluster, login, "token", code, advice)
    explained_by_id(hub, cluster, cases[0][0], "token_expired")
    login = token()
    for whom in (["--oidc-issuer", issuer.url], ["--oidc-issuer", issuer.url, "--oidc-subject", "ana"]):
        made = hub.cli("block", "create", "--cluster", cluster.id, *whom, "--reason", "left")["value"]
        explained_as(hub, cluster, login, "token", "blocked", "lanyard block list")
        explained_by_id(hub, cluster, login, "blocked")
        hub.cli("block", "delete", made["id"], "--cluster", cluster.id)
    assert badge(cluster, login)


def test_each_way_that_claims_make_nobody_is_explained_with_what_mends_it(hub, cluster, issuer, client):
    flags = ["--username-claim", "email", "--required-claim", "hd=example.com", "--groups-claim", "groups"]
    associate(hub, cluster, issuer, client, *flags)

    def token(**claims) -> str:
        usual = {"aud": client, "email": "ana@example.com", "email_verified": True, "hd": "example.com", "groups": []}
        return hub.secrets.add("an OIDC token", issuer.token(**usual | claims))

    assert badge(cluster, token())
    cases = [
        ({"email_verified": False}, "email_not_verified", "verified at the issuer"),
        ({"email_verified": None}, "email_verified_missing", "--email-verified-may-be-absent"),
        ({"hd": "example.org"}, "required_claim", "--required-claim"),
        ({"hd": None}, "claim_missing", f"identity-provider list {cluster.id}"),
        ({"email": "system:admin"}, "reserved_username", "--username-prefix"),
        ({"groups": ["system:masters"]}, "reserved_group", "--groups-prefix"),
        # Entra ID's overage, in both its forms.
        ({"groups": None, "_claim_names": {"groups": "src1"}}, "claim_distributed", "--groups-claim"),
        ({"groups": None, "hasgroups": True}, "claim_distributed", "--groups-claim"),
    ]
    for claims, code, advice in cases:
        explained_as(hub, cluster, token(**claims), "mapping", code, advice)
    # A claim in another is none that is named.
    nested = token(groups=None, realm_access={"groups": ["devs"]})
    told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=nested)
    lines = next(stage["lines"] for stage in told["stages"] if stage["name"] == "mapping")
    groups = next(line for line in lines if line.startswith("groups: "))
    assert groups.startswith("groups: none: ") and groups.endswith("has `email`, `email_verified`, `hd`"), told
    explained_by_id(hub, cluster, token(hd="example.org"), "required_claim")


def test_an_inspection_shows_claims_and_believes_none(hub, corp, issuer):
    _, token = corp
    login = token(groups=["devs"])
    shown = hub.cli("token", "inspect", "-", stdin=login)
    parts = {part["part"]: part for part in shown["parts"]}
    assert parts["iss"]["value"] == issuer.url
    assert parts["sub"]["value"] == "ana"
    assert parts["signature"]["state"] == "needs_issuer"
    assert all(part["state"] == "needs_issuer" for part in shown["parts"])
    assert login.split(".")[2] not in json.dumps(shown)
    expired = hub.run("token", "inspect", "-", stdin=token(exp=int(time.time()) - 60))
    assert expired.returncode == NO, expired
    assert json.loads(expired.stdout)["reason"] == "token_expired"
    assert hub.run("token", "inspect", "-", stdin="").returncode in (NO, USAGE)


DISCOVERY = "/.well-known/openid-configuration"


def keys_at(url: str):
    return lambda issuer: (200, json.dumps({"issuer": issuer.url, "jwks_uri": url}), {})


@pytest.mark.parametrize(
    ("path", "answer", "code"),
    [
        (DISCOVERY, lambda _: (302, "", {"Location": "https://10.0.0.1/"}), "issuer_redirects"),
        (DISCOVERY, keys_at("https://10.0.0.1/keys"), "issuer_address_refused"),
        ("/keys", lambda _: (302, "", {"Location": "https://169.254.169.254/"}), "issuer_redirects"),
        ("/keys", lambda _: (200, json.dumps({"keys": [{}] * 100_000}), {}), "issuer_document_too_large"),
        ("/keys", lambda _: (200, json.dumps({"keys": [{}] * 101}), {}), "issuer_too_many_keys"),
    ],
)
def immunity_26_what_an_issuer_does_wrong_is_no_answer_with_a_code_of_its_own_and_a_line_of_the_log(hub, tmp_path, client, path, answer, code):
    issuer = Issuer(tmp_path).start()
    issuer.instead[path] = answer(issuer)
    faults = Counted(hub, pages_of(hub, "authn"), "lanyard_oidc_fetches_total", outcome="fault")
    try:
        cluster = hub.create_cluster("wrong")
        (notice,) = associate(hub, cluster, issuer, client)["notices"]
        assert f"({code})" in notice, "whoever associates it hears of it, and it is associated"
        login = hub.secrets.add("an OIDC token", issuer.token(aud=client))
        told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=login)
        assert told["verdict"] == "no_answer", told
        assert code in json.dumps(told), told
        faults.expect(1)
        line = logged(hub, "an issuer is not followed", issuer.url)
        assert code in line, line
    finally:
        issuer.stop()


def test_an_issuer_that_cannot_be_asked_refuses_nobody(hub, tmp_path, client):
    issuer = Issuer(tmp_path).start()
    issuer.away = True
    try:
        cluster = hub.create_cluster("away")
        (notice,) = associate(hub, cluster, issuer, client)["notices"]
        assert "(issuer_status)" in notice, notice
        login = hub.secrets.add("an OIDC token", issuer.token(aud=client))
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": login}}
        answer = cluster.post("tokenreview", body)
        assert answer.status_code >= 500, answer.text
        status = answer.json()["status"]
        assert not status.get("authenticated") and status["error"].startswith("no_answer"), status
        told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=login)
        assert told["verdict"] == "no_answer", told
        assert "issuer_status" in json.dumps(told) or "cannot be reached" in json.dumps(told), told
    finally:
        issuer.stop()


def test_an_issuer_of_no_known_authority_is_associated_and_has_no_answer(hub, cluster, issuer, client):
    words = ["identity-provider", "associate", cluster.id, "corp", "--issuer-url", issuer.url, "--client-id", client]
    (notice,) = hub.cli(*words)["notices"]
    assert "(issuer_certificate)" in notice, notice
    login, asked = hub.secrets.add("an OIDC token", issuer.token(aud=client)), issuer.asked
    told = hub.explain("--token", "-", "--cluster", cluster.id, stdin=login)
    assert told["verdict"] == "no_answer" and "issuer_certificate" in json.dumps(told), told
    assert issuer.asked == asked, "nothing is asked of who does not prove who they are"

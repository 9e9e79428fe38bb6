"""TokenReview on the wire: whole objects, in both versions."""

import hashlib

import pytest

from cluster import PROOF, with_id

VERSIONS = ["v1", "v1beta1"]
OWN_AUDIENCE = "https://kubernetes.default.svc"


@pytest.fixture(scope="module")
def world(hub):
    """A cluster and a user in it, for tests that change neither."""
    cluster = hub.create_cluster("reviewed")
    ana = hub.create_user("ana", path="/team/")
    cluster.entry(ana, groups=["devs", "on-call"])
    return cluster, ana


@pytest.mark.parametrize("version", VERSIONS)
def test_a_token_becomes_the_user_of_its_entry(world, version):
    cluster, ana = world
    answer = cluster.token_review(cluster.token(ana), version=version)
    proof = answer["status"]["user"]["extra"].pop(PROOF)
    assert answer == {
        "apiVersion": f"authentication.k8s.io/{version}",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "user": {
                "username": ana.arn,
                "uid": f"aws-iam-authenticator:{cluster.hub.account}:{ana.principal_id}",
                "groups": ["devs", "on-call"],
                "extra": {
                    "arn": [ana.arn],
                    "canonicalarn": [ana.arn],
                    "accesskeyid": [ana.credentials.access_key_id],
                    "principalid": [ana.principal_id],
                    "sigs.k8s.io/aws-iam-authenticator/principalid": [ana.principal_id],
                },
            },
        },
    }
    assert len(proof) == 1 and proof[0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "token", ["", "abc", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "K8S-AWS-V1.aHR0cHM", "k8s-aws-v2.aHR0cHM"]
)
def test_a_token_of_another_kind_is_nobody_here_which_the_api_server_caches(world, version, token):
    cluster, _ = world
    assert cluster.token_review(token, version=version) == {
        "apiVersion": f"authentication.k8s.io/{version}",
        "kind": "TokenReview",
        "status": {"authenticated": False},
    }


@pytest.mark.parametrize("token", ["", "abc", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "K8S-AWS-V1.aHR0cHM"])
def test_a_token_of_another_kind_is_nobody_here_for_whatever_audience(world, token):
    cluster, _ = world
    assert cluster.token_review(token, audiences=["vault"])["status"] == {"authenticated": False}


def test_the_record_of_a_refused_token_names_it_by_its_digest_and_the_part_that_failed(world, hub):
    cluster, ana = world
    token = cluster.token(ana, header="x-other")
    code, decision = with_id(cluster.token_review(token)["status"]["error"])
    digest = hashlib.sha256(token.encode()).hexdigest()[:12]
    [was] = hub.explain_decision(decision)["stages"]
    assert was["code"] == code and f"asked: token {digest}" in was["lines"], was


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_token_gets_a_reason_code_and_a_decision_id_which_is_not_cached(world, hub, version):
    cluster, _ = world
    stranger = hub.create_user("stranger")
    answer = cluster.token_review(cluster.token(stranger), version=version)
    code, decision = with_id(answer["status"].pop("error"))
    assert code == "unmapped"
    assert answer == {
        "apiVersion": f"authentication.k8s.io/{version}",
        "kind": "TokenReview",
        "status": {"authenticated": False},
    }
    explained = hub.explain_decision(decision)
    assert explained["verdict"] == "unauthorized"
    assert stranger.arn in str(explained["stages"]), explained


def test_a_new_entry_counts_for_a_token_that_was_just_refused(hub, cluster):
    ben = hub.create_user("ben")
    token = cluster.token(ben)
    assert cluster.refusal(token) == "unmapped"
    cluster.entry(ben)
    assert cluster.token_review(token)["status"]["authenticated"]


def test_a_review_without_version_and_kind_is_read_as_v1(world):
    cluster, ana = world
    response = cluster.post("tokenreview", {"spec": {"token": cluster.token(ana)}})
    assert response.status_code == 200 and response.json()["apiVersion"] == "authentication.k8s.io/v1"
    assert response.json()["status"]["authenticated"]


def immunity_29_audiences_are_the_common_ones_never_an_echo(hub, world):
    cluster, ana = world
    token = cluster.token(ana)

    def audiences(asked):
        return cluster.token_review(token, audiences=asked)["status"]

    assert "audiences" not in audiences(None)
    assert "audiences" not in audiences([])
    assert audiences([OWN_AUDIENCE])["audiences"] == [OWN_AUDIENCE]
    assert audiences(["vault", OWN_AUDIENCE, "other"])["audiences"] == [OWN_AUDIENCE]
    for foreign in (["vault"], ["vault", "other"], [OWN_AUDIENCE + "/"], [OWN_AUDIENCE.upper()], [""]):
        status = audiences(foreign)
        assert status["authenticated"] is False and status.keys() == {"authenticated", "error"}, foreign
        reason, decision = with_id(status["error"])
        assert reason == "audience"
        explained = hub.explain_decision(decision)
        [was] = explained["stages"]
        assert f"audiences of the cluster: `{OWN_AUDIENCE}`" in was["lines"], was
        assert any(line.startswith(f"audiences asked for: `{foreign[0]}`") for line in was["lines"]), was
        assert "--api-audiences" in str(explained["advice"]), explained
    # Of our kind it is, whoever made it up.
    assert with_id(cluster.token_review("k8s-aws-v1.aHR0cHM", audiences=["vault"])["status"]["error"])[0] == "audience"


def test_a_cluster_has_the_audiences_it_was_given(hub):
    cluster = hub.create_cluster("audienced", "--audience", "https://api.example", "--audience", "second")
    ana = hub.create_user("ana")
    cluster.entry(ana)
    status = cluster.token_review(cluster.token(ana), audiences=["second", OWN_AUDIENCE])["status"]
    assert status["authenticated"] and status["audiences"] == ["second"]
    status = cluster.token_review(cluster.token(ana), audiences=[OWN_AUDIENCE])["status"]
    assert status["authenticated"] is False


def test_the_same_user_gets_the_same_badge_each_time_so_that_the_api_server_can_cache_it(world):
    cluster, ana = world
    token = cluster.token(ana)
    badges = [cluster.token_review(token)["status"]["user"] for _ in range(3)]
    for badge in badges:
        badge["extra"].pop(PROOF)  # It names an end, which moves on.
    assert badges[0] == badges[1] == badges[2]


def test_a_template_fills_in_what_was_verified_and_refuses_what_imitates(hub, cluster):
    ana = hub.create_user("ana")
    role = hub.create_role("deployer", trusts=ana.arn)
    cluster.entry(role, "--username", "deploy:{{SessionName}}", groups=["deployers"])
    session = hub.assume_role(ana, role, "ana@example.com")
    user = cluster.log_in(session)
    assert user["username"] == "deploy:ana-example.com"
    assert user["extra"]["sessionname"] == ["ana@example.com"]
    assert user["extra"]["canonicalarn"] == [role.arn]
    # Whoever assumes the role chooses its session's name, and would choose the name of somebody else.
    victim = hub.create_user("victim")
    cluster.entry(victim, "--username", "deploy:victim")
    assert cluster.refusal(hub.assume_role(ana, role, "victim")) == "template_refused"


def test_names_of_clusters_come_from_the_signature_and_not_from_the_path(hub, world):
    cluster, ana = world
    other = hub.create_cluster("other")
    other.entry(ana)
    assert other.refusal(cluster.token(ana)) == "signature_or_cluster"
    assert other.token_review(other.token(ana))["status"]["authenticated"]

"""The sealed way back in: for one use, within an hour, and seen by everybody who looks."""

from cluster import with_id

DELETE_NODES = {"verb": "delete", "resource": "nodes"}


def arm(hub, cluster) -> str:
    armed = hub.cli("cluster", "break-glass", "arm", cluster.id, "--reason", "IAM is away")["value"]
    assert armed["token"].startswith("lbg_")
    return hub.secrets.add("a break-glass credential", armed["token"])


def test_an_armed_identity_opens_its_cluster_once(hub, cluster):
    credential = arm(hub, cluster)
    status = cluster.token_review(credential)["status"]
    assert status["authenticated"], status
    user = status["user"] | {"groups": [*status["user"]["groups"], "system:authenticated"]}
    assert user["username"] == f"lanyard:break-glass:{cluster.id}"
    assert "system:masters" not in user["groups"]
    verdict, reason = cluster.verdict(user, **DELETE_NODES)
    assert verdict == "allowed", reason
    for _ in range(2):
        again = cluster.token_review(credential)["status"]
        assert again["authenticated"] is False and with_id(again["error"])[0] == "break_glass_refused"


def test_it_is_in_every_list_from_arming_to_use(hub, cluster):
    def listed():
        return [
            armed for armed in hub.cli("cluster", "break-glass", "list") if armed["cluster"] == cluster.uid
        ]

    assert listed() == []
    credential = arm(hub, cluster)
    assert len(listed()) == 1 and not listed()[0].get("used_at")
    assert cluster.token_review(credential)["status"]["authenticated"]
    hub.settle()
    assert listed()[0]["used_at"]


def test_it_is_of_one_cluster_and_disarmed_it_is_nothing(hub, cluster):
    other = hub.create_cluster("other")
    credential = arm(hub, cluster)
    refused = other.token_review(credential)["status"]
    assert with_id(refused["error"])[0] == "break_glass_refused"
    hub.cli("cluster", "break-glass", "disarm", cluster.id)
    assert with_id(cluster.token_review(credential)["status"]["error"])[0] == "break_glass_refused"
    for guess in ("lbg_", "lbg_" + "A" * 43, credential + "A", credential[:-1]):
        assert cluster.token_review(guess)["status"]["authenticated"] is False, len(guess)


def test_disarming_ends_what_it_opened(hub, cluster):
    credential = arm(hub, cluster)
    user = cluster.token_review(credential)["status"]["user"]
    assert cluster.verdict(user, **DELETE_NODES)[0] == "allowed"
    hub.cli("cluster", "break-glass", "disarm", cluster.id)
    assert cluster.verdict(user, **DELETE_NODES)[0] == "denied"


def test_it_is_not_spent_where_people_ask_about_themselves(hub, cluster):
    credential = arm(hub, cluster)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    response = cluster.post("apis/authentication.k8s.io/v1/selfsubjectreviews", review, bearer=credential)
    assert response.status_code == 401
    assert cluster.token_review(credential)["status"]["authenticated"]

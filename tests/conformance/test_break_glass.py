"""The sealed way back in: for one use, within an hour, and seen by everybody who looks."""

import json

from cluster import with_id
from hub import YES

DELETE_NODES = {"verb": "delete", "resource": "nodes"}


def arm(hub, cluster) -> str:
    armed = hub.cli("cluster", "break-glass", "arm", cluster.id, "--reason", "IAM is away")["value"]
    assert armed["token"].startswith("lbg_")
    return hub.secrets.add("a break-glass credential", armed["token"])


def test_an_armed_identity_opens_its_cluster_once(hub, cluster):
    credential = arm(hub, cluster)
    # A review for the audiences of others does not spend it.
    foreign = cluster.token_review(credential, audiences=["vault"])["status"]
    assert foreign["authenticated"] is False and with_id(foreign["error"])[0] == "audience", foreign
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


def test_it_is_explained_without_being_spent(hub, cluster):
    def explained(*question):
        return hub.explain("--token", "-", "--cluster", cluster.id, *question, stdin=credential)

    credential = arm(hub, cluster)
    hub.settle()
    for _ in range(2):
        told = explained()
        (stage,) = told["stages"]
        assert (told["verdict"], stage["name"], stage["code"]) == ("allowed", "token", "break_glass_armed"), told
        assert any("was not used" in line for line in stage["lines"]), told
    assert explained("delete", "nodes")["verdict"] == "no_answer", "its bearer is nobody before its use"
    done = hub.run("token", "inspect", "-", stdin=credential)
    assert done.returncode == YES and "a break-glass credential" in done.stdout, done.stderr
    assert not hub.secrets.seen_in(done.stdout)
    assert cluster.token_review(credential)["status"]["authenticated"], "something has spent it"
    hub.settle()
    told = explained()
    assert (told["verdict"], told["stages"][-1]["code"]) == ("unauthorized", "break_glass_refused"), told
    assert any("it was used" in line for line in told["stages"][-1]["lines"]), told
    assert f"cluster break-glass arm {cluster.id}" in " ".join(told["advice"]), told


def immunity_58_whether_a_credential_is_the_armed_one_is_for_those_who_may_list_what_is_armed(hub, cluster):
    credential, ben = arm(hub, cluster), hub.create_user("ben")
    guess = "lbg_" + "A" * 43
    for actions, may in ((["lanyard:Explain"], False), (["lanyard:Explain", "lanyard:ListBreakGlass"], True)):
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        hub.cli("iam", "policy", "put", "--user", ben.name, "ask", "--document", "-", stdin=document)
        hub.settle()
        told = [
            hub.explain("--token", "-", "--cluster", cluster.id, stdin=token, credentials=ben.credentials)
            for token in (credential, guess)
        ]
        verdicts = [one["verdict"] for one in told]
        if may:
            assert verdicts == ["allowed", "unauthorized"], told
            continue
        for one in told:
            # Nothing else differs but the name that each token has in logs.
            lines = one["stages"][0]["lines"]
            one["stages"][0]["lines"] = [line for line in lines if not line.startswith("token: ")]
        assert verdicts == ["no_answer"] * 2 and told[0] == told[1], told
        assert "lanyard:ListBreakGlass" in json.dumps(told[0]) and "identity-provider" not in json.dumps(told[0])

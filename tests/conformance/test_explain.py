"""`lanyard explain`: Unauthorized told from Forbidden, each stage named, and nothing told to who may not know."""

import hashlib
import json

import pytest

import tokens
from cluster import with_id
from hub import NO, NO_ANSWER, USAGE, YES
from management import FrontDoor
from tokens import minutes


@pytest.fixture(scope="module")
def world(hub):
    cluster = hub.create_cluster("explained")
    ana = hub.create_user("ana")
    cluster.entry(ana, groups=["devs"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    return cluster, ana


def explain(hub, cluster, token, *question):
    return hub.explain("--token", "-", "--cluster", cluster.id, *question, stdin=token)


def test_every_stage_of_a_yes_is_told(hub, world):
    cluster, ana = world
    told = explain(hub, cluster, cluster.token(ana), "get", "pods", "-n", "team-a")
    assert told["verdict"] == "allowed"
    assert [stage["name"] for stage in told["stages"]] == ["token", "identity", "mapping", "decision"]
    text = json.dumps(told)
    for part in (
        ana.arn,
        ana.principal_id,
        ana.credentials.access_key_id,
        "local",
        "devs",
        "AmazonEKSViewPolicy",
    ):
        assert part in text, part


def test_a_token_of_the_hubs_own_is_verified_by_itself_each_time(hub, world):
    cluster, ana = world
    token = cluster.token(ana)
    for _ in range(2):
        stage = explain(hub, cluster, token)["stages"][0]
        assert stage["name"] == "token"
        assert "verified by: local IAM" in stage["lines"], stage
        assert "from the token cache: no" in stage["lines"], stage
        assert f"token: {hashlib.sha256(token.encode()).hexdigest()[:12]}" in stage["lines"], stage


def worth(told) -> dict:
    """What each part of who it is is worth, as data; for people the lines say the same."""
    (stage,) = [stage for stage in told["stages"] if stage["name"] == "identity"]
    words = {"verified": "verified", "caller_chosen": "caller-chosen", "assumed": "assumed, not proven"}
    assert stage["lines"] == [f"{part['name']}: {part['value']} ({words[part['standing']]})" for part in stage["parts"]]
    assert not any("parts" in other for other in told["stages"] if other is not stage)
    return {part["name"]: (part["value"], part["standing"]) for part in stage["parts"]}


def immunity_09_each_part_of_an_identity_is_verified_or_chosen_by_the_caller(hub, world):
    cluster, ana = world
    told = worth(explain(hub, cluster, cluster.token(ana)))
    assert {standing for _, standing in told.values()} == {"verified"}, "of a user all is"
    assert told["arn"][0] == ana.arn and told["access key"][0] == ana.credentials.access_key_id
    role = hub.create_role("explained", trusts=ana.arn)
    session = hub.assume_role(ana, role, "somebody-else", "--tag", "team=a")
    told = worth(explain(hub, cluster, cluster.token(session)))
    chosen = {name: value for name, (value, standing) in told.items() if standing == "caller_chosen"}
    arn = f"arn:aws:sts::{hub.account}:assumed-role/{role.name}/somebody-else"
    assert chosen == {"arn": arn, "session name": "somebody-else", "session tag team": "a"}
    verified = {name: value for name, (value, standing) in told.items() if standing == "verified"}
    assert verified["principal id"] == role.principal_id and verified["account"] == hub.account
    assert verified["canonical arn"] == role.arn and verified["authority"] == "local"
    told = worth(hub.explain("--as", ana.arn, "--cluster", cluster.id))
    assert told == {"arn": (ana.arn, "assumed"), "authority": ("local", "assumed")}, "nobody proved it"


@pytest.mark.parametrize(
    ("choices", "stage", "code"),
    [
        ({"at": tokens.now() - minutes(20)}, "token", "token_expired"),
        ({"header": "x-other"}, "token", "cluster_id_not_signed"),
    ],
)
def test_unauthorized_names_the_stage_and_the_part_that_failed(hub, world, choices, stage, code):
    cluster, ana = world
    told = explain(hub, cluster, cluster.token(ana, **choices), "get", "pods")
    assert told["verdict"] == "unauthorized"
    assert (told["stages"][-1]["name"], told["stages"][-1]["code"]) == (stage, code)
    assert told["advice"]


def test_unmapped_is_unauthorized_and_says_what_would_map(hub, world):
    cluster, _ = world
    stranger = hub.create_user("stranger")
    told = explain(hub, cluster, cluster.token(stranger))
    assert told["verdict"] == "unauthorized"
    assert told["stages"][-1]["code"] == "unmapped" and "entry" in " ".join(told["advice"])


def test_somebody_by_name_of_an_account_that_the_cluster_does_not_trust_is_told_of_trust(hub, world):
    cluster, ana = world
    stranger = "arn:aws:iam::909090909090:user/stranger"
    for flags in ((), ("--authority", "local")):
        told = hub.explain("--as", stranger, "--cluster", cluster.id, *flags, "get", "pods")
        (stage,) = told["stages"]
        assert (told["verdict"], stage["name"], stage["code"]) == ("unauthorized", "token", "account_not_trusted"), told
        trusts = [line for line in stage["lines"] if line.startswith("the cluster trusts: ")]
        assert ana.arn.split(":")[4] in trusts[0] and "909090909090" not in trusts[0], told
        assert f"cluster update {cluster.id} --trust" in " ".join(told["advice"]), told
    # One that it trusts, and another authority than it trusts for it.
    told = hub.explain("--as", ana.arn, "--cluster", cluster.id, "--authority", "aws")
    assert told["stages"][-1]["code"] == "account_not_trusted", told


@pytest.mark.parametrize(
    ("mode", "entry", "line"), [("CONFIG_MAP", False, True), ("API_AND_CONFIG_MAP", True, True), ("API", True, False)]
)
def test_what_would_map_is_what_counts_in_the_clusters_mode(hub, mode, entry, line):
    cluster = hub.create_cluster("advised", "--authentication-mode", mode)
    stranger = hub.create_user("stranger")
    for told in (
        explain(hub, cluster, cluster.token(stranger)),
        hub.explain("--as", stranger.arn, "--cluster", cluster.id),
    ):
        assert told["stages"][-1]["code"] == "unmapped"
        advice = " ".join(told["advice"])
        assert ("entry create" in advice, "aws-auth push" in advice) == (entry, line), advice


def test_whoever_is_mapped_and_not_let_in_is_not_told_to_make_an_entry(hub):
    cluster = hub.create_cluster("stale")
    ana = hub.create_user("ana")
    cluster.entry(ana)
    hub.cli("iam", "user", "delete", ana.name)
    hub.settle()
    gone = hub.explain("--as", ana.arn, "--cluster", cluster.id)
    hub.cli("iam", "user", "create", ana.name)
    anew = hub.create_key(ana.name)
    hub.settle()
    for told in (gone, explain(hub, cluster, cluster.token(anew))):
        assert (told["verdict"], told["stages"][-1]["code"]) == ("unauthorized", "stale_entry"), told
        assert "--rebind" in " ".join(told["advice"]) and "entry create" not in " ".join(told["advice"])
    hub.cli("entry", "update", cluster.id, ana.arn, "--rebind")
    hub.settle()
    assert explain(hub, cluster, cluster.token(anew))["verdict"] == "allowed"


def test_what_the_cluster_decides_is_not_called_forbidden(hub, world):
    cluster, ana = world
    told = explain(hub, cluster, cluster.token(ana), "delete", "pods", "-n", "team-a")
    assert told["verdict"] == "left_to_cluster"


def test_where_nobody_is_asked_after_lanyard_a_no_is_forbidden_and_says_what_to_do(hub):
    cluster = hub.create_cluster("whole", "--authorizer-mode", "full")
    ana = hub.create_user("ana")
    cluster.entry(ana, policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    question = ("delete", "pods", "-n", "team-a")
    for told in (
        explain(hub, cluster, cluster.token(ana), *question),
        hub.explain("--as", ana.arn, "--cluster", cluster.id, *question),
    ):
        assert told["verdict"] == "forbidden"
        assert "entry associate" in " ".join(told["advice"])
    asked = {"verb": "delete", "resource": "pods", "namespace": "team-a"}
    reason = cluster.access_review(cluster.log_in(ana), **asked)["status"]["reason"]
    assert hub.explain_decision(with_id(reason)[1])["verdict"] == "forbidden"


def refused_door(hub, cluster, who, **asked):
    """The id of a refusal on the API server's own way."""
    status = cluster.access_review(cluster.log_in(who), **asked)["status"]
    assert not status["allowed"], status
    reason, decision = with_id(status["reason"])
    assert "lanyard explain --id" in reason, "the person is not told where more is"
    return decision


def test_the_id_of_a_refused_review_leads_to_what_would_have_allowed_it(hub):
    cluster, ana = hub.create_cluster("refused"), hub.create_user("ana")
    cluster.entry(ana, groups=["devs"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    decision = refused_door(hub, cluster, ana, verb="list", resource="pods", namespace="team-b")
    told = hub.explain_decision(decision)
    assert told["verdict"] == "left_to_cluster" and told["advice"]
    as_it_was, now = told["stages"]
    assert (as_it_was["name"], now["name"]) == ("subject access review", "decision now")
    assert now["lines"][0].startswith("as of: ") and "revision" in now["lines"][0]
    assert any(line.startswith("hint: access policy AmazonEKSViewPolicy allows it in") for line in now["lines"]), told
    # It is asked anew each time: what was given meanwhile counts.
    cluster.associate(ana, "AmazonEKSViewPolicy")
    hub.settle()
    assert hub.explain_decision(decision)["stages"][-1]["outcome"] == "passed"


def test_a_record_has_the_selectors_that_were_asked_with(hub, world):
    cluster, ana = world
    selector = {"requirements": [{"key": "app", "operator": "In", "values": ["web"]}]}
    asked = {"verb": "list", "resource": "pods", "namespace": "team-b", "labelSelector": selector}
    told = hub.explain_decision(refused_door(hub, cluster, ana, **asked))
    assert "asked: list pods in namespace team-b, labels app in (web)" in told["stages"][0]["lines"], told


def test_the_id_of_an_unmapped_token_leads_to_the_near_miss(hub):
    cluster = hub.create_cluster("missed")
    near = hub.create_user("developer")
    hub.cli("iam", "user", "create", near.name + "s")
    hub.cli("entry", "create", cluster.id, near.arn + "s")
    error = cluster.token_review(cluster.token(near))["status"]["error"]
    decision = with_id(error)[1]
    told = hub.explain_decision(decision)
    now = told["stages"][-1]
    assert (told["verdict"], now["name"], now["code"]) == ("unauthorized", "mapping now", "unmapped")
    assert any(line.startswith("near miss: ") for line in now["lines"]), told
    assert "entry create" in " ".join(told["advice"])


def immunity_58_what_would_help_is_for_those_who_may_explain_in_the_cluster(hub, world):
    cluster, ana = world
    decision = refused_door(hub, cluster, ana, verb="delete", resource="nodes")
    hub.explain_decision(decision)
    ben = hub.create_user("ben")
    for actions, may in ((["lanyard:ExplainDecision"], False), (["lanyard:ExplainDecision", "lanyard:Explain"], True)):
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        hub.cli("iam", "policy", "put", "--user", ben.name, "ask", "--document", "-", stdin=document)
        hub.settle()
        told = hub.explain("--id", decision, credentials=ben.credentials)
        assert (told["stages"][-1]["name"] == "decision now") == may, told
        assert may or "lanyard:Explain" in " ".join(told["advice"])


def test_an_arn_is_explained_without_a_token(hub, world):
    cluster, ana = world
    told = hub.explain("--as", ana.arn, "--cluster", cluster.id, "get", "pods", "-n", "team-a")
    assert told["verdict"] == "allowed"
    told = hub.explain("--as", ana.arn + "-nobody", "--cluster", cluster.id, "get", "pods")
    assert told["verdict"] == "unauthorized"


def immunity_58_near_misses_and_decisions_are_for_those_who_may_know(hub, world):
    cluster, ana = world
    token = cluster.token(hub.create_user("stranger"))
    error = cluster.token_review(token)["status"]["error"]
    code, decision = with_id(error)
    assert code == "unmapped" and error == f"unmapped ({decision})", "an API server is told more than a code"
    assert hub.explain_decision(decision)["verdict"] == "unauthorized"
    # ana may come in, and may manage nothing: for her there is neither decision nor cluster.
    for words in (
        ["explain", "--id", decision],
        ["explain", "--as", ana.arn, "--cluster", cluster.id],
        ["cluster", "get", cluster.id],
    ):
        why = hub.refused(*words, credentials=ana.credentials, code=NO)
        assert ana.credentials.secret not in why
    unknown = hub.refused("explain", "--id", "00000000-0000-4000-8000-000000000000", code=NO)
    assert "00000000-0000-4000-8000-000000000000" in unknown


def test_token_inspect_is_offline_and_prints_nothing_secret(hub, world):
    cluster, ana = world
    token = cluster.token(ana)
    done = hub.run("token", "inspect", "-", "--cluster", cluster.id, stdin=token)
    assert done.returncode == YES, done.stderr
    assert not hub.secrets.seen_in(done.stdout)
    assert ana.credentials.access_key_id in done.stdout
    for spoilt in (
        tokens.PREFIX + "%",
        "nonsense",
        cluster.token(ana, header="x-other"),
        cluster.token(ana, at=tokens.now() - minutes(20)),
    ):
        done = hub.run("token", "inspect", "-", stdin=spoilt)
        assert done.returncode == NO, done.stdout


def test_commands_end_with_the_code_that_scripts_can_rely_on(hub, world):
    cluster, _ = world
    assert hub.run("cluster", "get", cluster.id).returncode == YES
    assert hub.run("cluster", "get", "there-is-none").returncode == NO
    assert hub.run("cluster", "get").returncode == USAGE
    assert hub.run("explain", "--as", "not-an-arn", "--cluster", cluster.id).returncode == USAGE
    nobody = {"LANYARD_HUB": "https://127.0.0.1:1", "LANYARD_CA": hub.ca}
    assert hub.run("cluster", "list", environment=nobody).returncode == NO_ANSWER


def test_rules_and_who_can_agree_with_the_check(hub):
    cluster = hub.create_cluster("asked-who", "--authorizer-mode", "full")
    ana, ben = hub.create_user("ana"), hub.create_user("ben")
    cluster.entry(ana, policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    cluster.entry(ben)
    holders = json.dumps(hub.cli("who-can", "list", "pods", "-n", "team-a", "--cluster", cluster.id))
    assert ana.arn in holders and ben.arn not in holders
    assert (
        cluster.verdict(cluster.log_in(ana), verb="list", resource="pods", namespace="team-a")[0] == "allowed"
    )
    assert (
        cluster.verdict(cluster.log_in(ben), verb="list", resource="pods", namespace="team-a")[0]
        == "no opinion"
    )
    rules = json.dumps(hub.cli("rules", "--as", ana.arn, "--cluster", cluster.id, "-n", "team-a"))
    assert "pods" in rules and "list" in rules


def test_what_the_cluster_gives_to_all_who_are_in_is_explained_as_it_is_decided(hub):
    """An API server adds `system:authenticated` to everybody it lets in, and RBAC gives that group something."""
    cluster = hub.create_cluster("everybody", "--authorizer-mode", "full")
    ana = hub.create_user("ana")
    cluster.entry(ana)
    api = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    role = {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": {"name": "basic"}, "rules": [rule]}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "basic"},
        "subjects": [{"apiGroup": api, "kind": "Group", "name": "system:authenticated"}],
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "basic"},
    }
    objects = {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
    hub.cli("rbac", "apply", cluster.id, "-f", "-", stdin=json.dumps(objects))
    hub.settle()
    asked = {"verb": "list", "resource": "configmaps", "namespace": "team-a"}
    assert cluster.verdict(cluster.log_in(ana), **asked)[0] == "allowed"
    for told in (
        explain(hub, cluster, cluster.token(ana), "list", "configmaps", "-n", "team-a"),
        hub.explain("--as", ana.arn, "--cluster", cluster.id, "list", "configmaps", "-n", "team-a"),
    ):
        assert told["verdict"] == "allowed", told
    assert "configmaps" in json.dumps(hub.cli("rules", "--as", ana.arn, "--cluster", cluster.id))
    assert "configmaps" in json.dumps(hub.cli("rules", "--entry", ana.arn, "--cluster", cluster.id))
    review = json.dumps({"resourceAttributes": asked})
    done = hub.run("authorize", "--as", ana.arn, "--cluster", cluster.id, "-f", "-", stdin=review)
    assert json.loads(done.stdout)["verdict"] == "allow", done.stderr


def test_entries_are_named_for_callers_who_may_list_them_and_for_nobody_else(hub):
    cluster = hub.create_cluster("named")
    ana = hub.create_user("ana")
    cluster.entry(ana, groups=["devs"], policy="AmazonEKSViewPolicy", namespaces=["team-a"])
    user = cluster.log_in(ana)
    door = FrontDoor(hub)
    asked = {"resource": {"verb": "list", "resource": "pods", "namespace": "team-a"}}
    who_can = {"cluster_uid": cluster.uid, "attributes": asked}
    hub.cli("entry", "update", cluster.id, ana.arn, "--no-groups")
    extra = {key: {"values": values} for key, values in user["extra"].items()}
    badge = {"username": user["username"], "groups": user["groups"], "extra": extra}
    batch = {"reviews": [{"cluster_uid": cluster.uid, "user": badge, "attributes": asked, "explain": True}]}

    def answers(credentials):
        held = door.call("/lanyard.authz.v1.Authorize/WhoCan", who_can, credentials)
        weighed = door.call("/lanyard.authz.v1.Authorize/AuthorizeBatch", batch, credentials)
        assert held.code.name == weighed.code.name == "OK", (held, weighed)
        holders = [holder for holder in held.message["holders"] if "entry_id" in holder]
        assert len(holders) == 2, "the creator and ana"
        [decision] = weighed.message["decisions"]
        return {holder.get("principal_arn") for holder in holders}, decision["hints"][0]

    creator = f"arn:aws:iam::{hub.account}:user/administrator"
    names, hint = answers(hub.administrator())
    assert names == {ana.arn, creator}
    assert hint == f"the access entry {ana.arn} no longer gives the group `devs`"

    ben = hub.create_user("ben")
    allowed = ["lanyard:WhoCan", "lanyard:AuthorizeBatch"]
    for actions, may in ((allowed, False), ([*allowed, "eks:ListAccessEntries"], True)):
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        hub.cli("iam", "policy", "put", "--user", ben.name, "ask", "--document", "-", stdin=document)
        names, hint = answers(ben.credentials)
        assert names == ({ana.arn, creator} if may else {None}), actions
        assert (ana.arn in hint) == may, hint
    door.close()


def test_many_reviews_are_decided_in_one_question_and_in_order(hub, world):
    cluster, ana = world
    reviews = "\n".join(
        json.dumps({"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "team-a"}})
        for verb in ("list", "delete", "get")
    )
    asked = ["authorize", "--as", ana.arn, "--cluster", cluster.id, "-f", "-"]
    done = hub.run(*asked, stdin=reviews)
    assert done.returncode == YES, done.stderr
    decided = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["verdict"] for one in decided] == ["allow", "no_opinion", "allow"]
    assert "AmazonEKSViewPolicy" in decided[0]["reason"] and decided[1]["hints"]
    assert hub.run(*asked, "--all-allowed", stdin=reviews).returncode == NO
    assert hub.run(*asked, stdin='{"user": "ben", "nonResourceAttributes": {"path": "/x", "verb": "get"}}').returncode == USAGE
